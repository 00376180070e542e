//! `/api/v1/me`: one's own account. Pictures of others are here too, since they are served the same way.

use serde::Deserialize;
use serde_json::json;
use warp::http::{StatusCode, header};

use super::views;
use crate::accounts::changing::{Changes, OldPassword};
use crate::accounts::{Picture, pictures};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::{Call, Person, by};
use crate::http::reply::{self, Reply};
use crate::library::cards;
use crate::store::Handle;

/// `GET /api/v1/me`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, person) = (call.state.clone(), call.person()?.clone());
    blocking(move || Ok(reply::json(&views::me(&state, &person)?))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: String,
}

/// `PATCH /api/v1/me`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let Update { name } = call.json().await?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        let changes = Changes { name: Some(name), ..Changes::default() };
        let account = state.app.accounts.update(by(&person, &origin), &person.account.handle, &changes)?;
        Ok(reply::json(&views::me(&state, &Person { account, session: person.session.clone() })?))
    })
    .await
}

/// `PUT /api/v1/me/avatar`.
pub async fn set_avatar(call: Call) -> Result<Reply> {
    let handle = call.me()?.handle.clone();
    put_avatar(call, handle).await
}

/// `DELETE /api/v1/me/avatar`.
pub async fn remove_avatar(call: Call) -> Result<Reply> {
    let handle = call.me()?.handle.clone();
    change_avatar(call, handle, None).await
}

/// Sets somebody's picture from the body.
pub async fn put_avatar(mut call: Call, handle: Handle) -> Result<Reply> {
    let bytes = call.bytes().await?;
    cards::picture::check(&bytes)?;
    let picture = Picture::parse(bytes.to_vec())?;
    change_avatar(call, handle, Some(picture)).await
}

/// Sets or removes somebody's picture.
pub async fn change_avatar(call: Call, handle: Handle, picture: Option<Picture>) -> Result<Reply> {
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        state.app.accounts.set_picture(by(&person, &origin), &handle, picture.as_ref())?;
        state.app.portraits.forget(&handle);
        Ok(reply::json(&json!({ "avatar": views::avatar(&state, &handle)? })))
    })
    .await
}

/// `GET /api/v1/users/{handle}/avatar`. Before sign-in only those have a picture who are on the login screen; whoever asks
/// for another gets the answer for one that does not exist.
pub async fn avatar(call: Call) -> Result<Reply> {
    let handle = call.handle()?;
    let accounts = &call.state.app.accounts;
    let listing = accounts.listing()?;
    let visible = match (&call.person, listing.get(&handle)) {
        (_, None) => false,
        (Some(person), Some(_)) if person.account.handle == handle => true,
        (Some(person), Some(account)) => {
            account.enabled || person.account.role.permissions().has(crate::access::Permission::UsersView)
        }
        (None, Some(account)) => account.enabled && !accounts.rules().discreet,
    };
    // While accounts are off, the fallback account need not have a record.
    let fallback = !accounts.rules().accounts && handle.is_default_user();
    if !visible && !fallback {
        return Err(Error::not_found("There is no such picture."));
    }
    let state = call.state.clone();
    let picture = blocking(move || {
        let portrait = state.app.portraits.look(&handle)?;
        state.app.portraits.picture(&portrait)
    });
    let mut answer = match picture.await? {
        Some(picture) => reply::with_type(StatusCode::OK, picture.media_type(), picture.bytes().to_vec()),
        None => match call.state.files.get("img/default-user.png", &call.headers, call.peer.client).await? {
            Some(answer) => answer,
            None => return Err(Error::not_found("There is no such picture.")),
        },
    };
    // An address that names the picture's state never changes its meaning.
    let keep = if call.query("v").is_some() { "private, max-age=86400" } else { "no-cache" };
    reply::set(&mut answer, header::CACHE_CONTROL, keep);
    Ok(answer)
}

/// The most a picture's request takes, in bytes.
pub const AVATAR_LIMIT: u64 = pictures::LARGEST as u64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChangePassword {
    old_password: String,
    new_password: String,
}

/// `PUT /api/v1/me/password`.
pub async fn set_password(mut call: Call) -> Result<Reply> {
    let ChangePassword { old_password, new_password } = call.json().await?;
    let Person { account, session } = call.person()?.clone();
    let (accounts, visitor) = (&call.state.app.accounts, call.visitor());
    let old = OldPassword::Typed(&old_password);
    accounts.change_password(&account, session, &account.handle, old, &new_password, &visitor).await?;
    Ok(reply::nothing())
}
