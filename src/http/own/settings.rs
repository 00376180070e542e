//! `/api/v1/me/settings`.

use serde::Deserialize;
use serde_json::json;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::store::{Expect, Version};

/// `GET /api/v1/me/settings`: the file's bytes, with their version.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let text = state.app.settings.load(&handle)?;
        let version = Version::of(&text);
        let mut answer = reply::json_text(text);
        reply::set_version(&mut answer, version);
        Ok(answer)
    })
    .await
}

/// `PUT /api/v1/me/settings`: replaces the version that `If-Match` names.
pub async fn put(mut call: Call) -> Result<Reply> {
    let expected = call.if_match()?.ok_or_else(|| {
        Error::invalid("bad_request", "If-Match has to name the version that is replaced (the ETag of GET).")
    })?;
    let text = call.json_bytes().await?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let saved = state.app.settings.save(&handle, &text, Expect::Version(expected))?;
        state.app.portraits.forget(&handle);
        Ok(reply::json(&json!({ "version": Version::of(&saved).to_string() })))
    })
    .await
}

/// `GET /api/v1/me/settings/state`.
pub async fn state(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || Ok(reply::json(&state.app.settings.state(&handle)?))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    password: String,
}

/// `POST /api/v1/me/settings/reset`.
pub async fn reset(mut call: Call) -> Result<Reply> {
    let Reset { password } = call.json().await?;
    let account = call.me()?.clone();
    call.state.app.accounts.confirm_password(&account, &password, &call.visitor()).await?;
    let (state, origin) = (call.state.clone(), call.origin());
    blocking(move || state.app.reset_settings(&account.handle, &origin)).await?;
    Ok(reply::nothing())
}
