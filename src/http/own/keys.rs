//! `/api/v1/me/keys`: API keys, which act for oneself on `/v1`.

use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::StatusCode;

use crate::accounts::{Account, ApiKey};
use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// `GET /api/v1/me/keys`.
pub async fn list(call: Call) -> Result<Reply> {
    let account = call.me()?;
    let keys = call.state.app.accounts.keys().of(&account.handle);
    let views: Vec<Value> = keys.iter().map(|key| view(key, account)).collect();
    Ok(reply::json(&json!({ "keys": views })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    expires: Option<i64>,
}

/// `POST /api/v1/me/keys`. The key's text is in this answer and nowhere else.
pub async fn create(mut call: Call) -> Result<Reply> {
    let Create { name, expires } = call.json().await?;
    let (state, account, origin) = (call.state.clone(), call.me()?.clone(), call.origin());
    blocking(move || {
        let (secret, key) = state.app.accounts.create_key(&account, &name, expires, &origin)?;
        let mut made = view(&key, &account);
        made["key"] = json!(secret.to_text());
        Ok(reply::json_with(StatusCode::CREATED, &made))
    })
    .await
}

/// `DELETE /api/v1/me/keys/{id}`.
pub async fn revoke(call: Call) -> Result<Reply> {
    let (state, handle, origin) = (call.state.clone(), call.me()?.handle.clone(), call.origin());
    let id = call.param("id").to_owned();
    blocking(move || {
        state.app.accounts.revoke_key(&handle, &id, &origin)?;
        Ok(reply::nothing())
    })
    .await
}

fn view(key: &ApiKey, account: &Account) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "created": key.created,
        "expires": key.expires,
        "lastUsed": key.last_used(),
        // Also by a changed password, or fewer rights.
        "ended": !key.is_good_for(account),
    })
}
