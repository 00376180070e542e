//! `/api/users/*` for admins.

use serde::Deserialize;
use serde_json::json;

use super::users::{Show, View, inline_picture, required, target};
use crate::access::Role;
use crate::accounts::Password;
use crate::accounts::changing::Changes;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::{Call, by};
use crate::http::reply::{self, Reply};
use crate::store::Handle;

/// `POST /api/users/get`: everyone.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, all) = (call.state.clone(), call.state.app.accounts.listing()?.by_age());
    blocking(move || {
        let views: Result<Vec<View>> = all
            .iter()
            .map(|account| Ok(View::of(account, inline_picture(&state, &account.handle)?, Show::All)))
            .collect();
        Ok(reply::json(&views?))
    })
    .await
}

#[derive(Deserialize)]
struct Create {
    handle: Option<String>,
    name: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

/// `POST /api/users/create`. The account is an ordinary user's, whatever else the body says.
pub async fn create(mut call: Call) -> Result<Reply> {
    let Create { handle, name, password } = call.json().await?;
    let (typed, name) = (required(handle)?, required(name)?);
    let handle = Handle::slug(&typed).ok_or_else(|| Error::invalid("bad_handle", "Invalid handle"))?;
    let password = Password::optional(&password.unwrap_or_default())?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    let hash = state.app.accounts.hash(password).await?;
    blocking(move || {
        state.app.create_user(by(&person, &origin), &handle, &name, hash)?;
        Ok(reply::json(&json!({ "handle": handle })))
    })
    .await
}

#[derive(Deserialize)]
struct Delete {
    handle: Option<String>,
    #[serde(default)]
    purge: bool,
}

/// `POST /api/users/delete`. With `purge` the folder goes to the trash.
pub async fn delete(mut call: Call) -> Result<Reply> {
    let Delete { handle, purge } = call.json().await?;
    let handle = match target(&call, handle) {
        Err(error) if error.is_not_found() => return Ok(reply::nothing()),
        other => other?,
    };
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    let deleted = blocking(move || state.delete_user(by(&person, &origin), &handle, purge)).await;
    match deleted {
        Ok(()) => Ok(reply::nothing()),
        // SillyTavern does not tell an unknown account from a deleted one here.
        Err(error) if error.is_not_found() => Ok(reply::nothing()),
        Err(error) => Err(as_bad_request(error)),
    }
}

/// `POST /api/users/enable`.
pub async fn enable(call: Call) -> Result<Reply> {
    change(call, Changes { enabled: Some(true), ..Changes::default() }).await
}

/// `POST /api/users/disable`.
pub async fn disable(call: Call) -> Result<Reply> {
    change(call, Changes { enabled: Some(false), ..Changes::default() }).await
}

/// `POST /api/users/promote`: makes an admin.
pub async fn promote(call: Call) -> Result<Reply> {
    change(call, Changes { role: Some(Role::Admin), ..Changes::default() }).await
}

/// `POST /api/users/demote`: makes an ordinary user.
pub async fn demote(call: Call) -> Result<Reply> {
    change(call, Changes { role: Some(Role::User), ..Changes::default() }).await
}

#[derive(Deserialize)]
struct Named {
    handle: Option<String>,
}

async fn change(mut call: Call, changes: Changes) -> Result<Reply> {
    let Named { handle } = call.json().await?;
    let handle = target(&call, handle)?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        state.update_user(by(&person, &origin), &handle, &changes).map_err(as_bad_request)?;
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
struct Slugify {
    text: Option<String>,
}

/// `POST /api/users/slugify`.
pub async fn slugify(mut call: Call) -> Result<Reply> {
    let Slugify { text } = call.json().await?;
    let slug = Handle::slug(&required(text)?);
    Ok(reply::express_string(slug.map(String::from).unwrap_or_default()))
}

/// SillyTavern says 400 to those who would lock themselves out.
fn as_bad_request(error: Error) -> Error {
    match error.code() {
        code @ ("not_yourself" | "last_admin") => Error::invalid(code, error.message().to_owned()),
        _ => error,
    }
}
