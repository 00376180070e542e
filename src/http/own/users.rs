//! `/api/v1/users`: people, for those who manage them.

use serde::Deserialize;
use serde_json::json;
use warp::http::StatusCode;

use super::{me, views};
use crate::access::{Role, What, require};
use crate::accounts::Password;
use crate::accounts::changing::{Changes, OldPassword};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::{Call, Person, by};
use crate::http::reply::{self, Reply};
use crate::store::{Handle, Place};

/// `GET /api/v1/users`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, mine) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let all = state.app.accounts.listing()?.by_age();
        let rows: Result<Vec<_>> = all.iter().map(|account| views::row(&state, account, &mine)).collect();
        Ok(reply::json(&rows?))
    })
    .await
}

/// `GET /api/v1/users/{handle}/size`. Walks the folder.
pub async fn size(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.handle()?);
    blocking(move || {
        known(&state, &handle)?;
        let (bytes, files) = state.app.store.measure(&handle)?;
        Ok(reply::json(&json!({ "bytes": bytes, "files": files })))
    })
    .await
}

/// `GET /api/v1/handles/slug?text=`.
pub async fn slug(call: Call) -> Result<Reply> {
    let (state, text) = (call.state.clone(), call.query("text").unwrap_or_default());
    blocking(move || {
        let Some(handle) = Handle::slug(&text) else {
            return Ok(reply::json(&json!({ "handle": "", "taken": false, "hasData": false })));
        };
        let taken = state.app.accounts.listing()?.get(&handle).is_some();
        let has_data = state.app.store.stat(&Place::of(&handle))?.is_some();
        Ok(reply::json(&json!({ "handle": handle, "taken": taken, "hasData": has_data })))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    handle: Handle,
    name: String,
    #[serde(default)]
    password: String,
}

/// `POST /api/v1/users`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let Create { handle, name, password } = call.json().await?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    let hash = state.app.accounts.hash(Password::optional(&password)?).await?;
    blocking(move || {
        state.app.create_user(by(&person, &origin), &handle, &name, hash)?;
        let account = known(&state, &handle)?;
        Ok(reply::json_with(StatusCode::CREATED, &views::row(&state, &account, &person.account.handle)?))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
    enabled: Option<bool>,
    role: Option<Role>,
}

/// `PATCH /api/v1/users/{handle}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let Update { name, enabled, role } = call.json().await?;
    let changes = Changes { name, enabled, role };
    let (state, person, origin, handle) = (call.state.clone(), call.person()?.clone(), call.origin(), call.handle()?);
    blocking(move || {
        let account = state.update_user(by(&person, &origin), &handle, &changes)?;
        Ok(reply::json(&views::row(&state, &account, &person.account.handle)?))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SetPassword {
    new_password: String,
}

/// `PUT /api/v1/users/{handle}/password`.
pub async fn set_password(mut call: Call) -> Result<Reply> {
    let SetPassword { new_password } = call.json().await?;
    let Person { account, session } = call.person()?.clone();
    let handle = call.handle()?;
    let accounts = &call.state.app.accounts;
    accounts.change_password(&account, session, &handle, OldPassword::NotAsked, &new_password, &call.visitor()).await?;
    Ok(reply::nothing())
}

/// `PUT /api/v1/users/{handle}/avatar`.
pub async fn set_avatar(call: Call) -> Result<Reply> {
    let handle = call.handle()?;
    me::put_avatar(call, handle).await
}

/// `DELETE /api/v1/users/{handle}/avatar`.
pub async fn remove_avatar(call: Call) -> Result<Reply> {
    let handle = call.handle()?;
    me::change_avatar(call, handle, None).await
}

/// `DELETE /api/v1/users/{handle}?data=keep|remove`.
pub async fn delete(call: Call) -> Result<Reply> {
    let remove = match call.query("data").as_deref() {
        Some("keep") => false,
        Some("remove") => true,
        _ => return Err(Error::invalid("bad_request", "Say what becomes of the data: ?data=keep or ?data=remove.")),
    };
    let (state, person, origin, handle) = (call.state.clone(), call.person()?.clone(), call.origin(), call.handle()?);
    blocking(move || {
        state.delete_user(by(&person, &origin), &handle, remove)?;
        Ok(reply::nothing())
    })
    .await
}

/// The account of that handle.
pub fn known(state: &crate::http::State, handle: &Handle) -> Result<std::sync::Arc<crate::accounts::Account>> {
    state.app.accounts.listing()?.get(handle).cloned().ok_or_else(|| Error::not_found("User not found"))
}

/// Whether whoever calls may act on that account with this permission.
pub fn require_on(
    call: &Call,
    permission: crate::access::Permission,
    account: &crate::accounts::Account,
) -> Result<()> {
    require(call.me()?.actor(), permission, What::Person(&account.handle, account.role))
}
