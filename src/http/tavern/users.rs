//! `/api/users/*` for everyone: the login screen, recovery, one's own account.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::accounts::changing::{Changes, OldPassword};
use crate::accounts::{Account, Picture};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::{Call, by};
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::http::{own, pages};
use crate::library::cards;
use crate::store::Handle;

/// The picture of whoever has none.
const DEFAULT_PICTURE: &str = "/img/default-user.png";

/// An account as the client knows it.
#[derive(Serialize)]
pub(super) struct View {
    handle: String,
    name: String,
    avatar: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    created: i64,
    password: bool,
}

/// How much of an account is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// At the login screen.
    Outside,
    /// To itself.
    Own,
    /// To an admin.
    All,
}

impl View {
    pub(super) fn of(account: &Account, avatar: String, show: Show) -> Self {
        Self {
            handle: account.handle.to_string(),
            name: account.name.clone(),
            avatar,
            admin: (show != Show::Outside).then_some(account.role == crate::access::Role::Admin),
            enabled: (show == Show::All).then_some(account.enabled),
            created: account.created,
            password: account.password.is_some(),
        }
    }
}

/// The picture as the client wants it: inline, or the default's address. Reads the disk.
pub(super) fn inline_picture(state: &State, handle: &Handle) -> Result<String> {
    let portraits = &state.app.portraits;
    let portrait = portraits.look(handle)?;
    Ok(portraits.picture(&portrait)?.map_or_else(|| DEFAULT_PICTURE.to_owned(), |picture| picture.to_data_url()))
}

/// `POST /api/users/list`: who can sign in; nothing at all in discreet mode.
pub async fn list(call: Call) -> Result<Reply> {
    let accounts = &call.state.app.accounts;
    if accounts.rules().discreet {
        return Ok(reply::nothing());
    }
    let (state, active) = (call.state.clone(), accounts.listing()?.active());
    blocking(move || {
        let views: Result<Vec<View>> = active
            .iter()
            .map(|account| Ok(View::of(account, inline_picture(&state, &account.handle)?, Show::Outside)))
            .collect();
        Ok(reply::json(&views?))
    })
    .await
}

#[derive(Deserialize)]
struct Login {
    handle: Option<String>,
    #[serde(default)]
    password: String,
}

/// `POST /api/users/login`.
pub async fn login(mut call: Call) -> Result<Reply> {
    let Login { handle, password } = call.json().await?;
    let handle = required(handle)?;
    let signed_in = call.state.app.accounts.sign_in(&handle, &password, &call.visitor()).await?;
    let mut answer = reply::json(&json!({ "handle": signed_in.account.handle }));
    pages::set_session(&call, &signed_in, &mut answer);
    Ok(answer)
}

/// `POST /api/users/logout`.
pub async fn logout(call: Call) -> Result<Reply> {
    let mut answer = reply::nothing();
    if let Some(session) = call.person()?.session.clone() {
        let (state, address) = (call.state.clone(), call.peer.client);
        blocking(move || state.app.accounts.sign_out(&session, Some(address))).await?;
        pages::end_session(&call, &mut answer);
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct Recover {
    handle: Option<String>,
    code: Option<String>,
    #[serde(default, rename = "newPassword")]
    new_password: Option<String>,
}

/// `POST /api/users/recover-step1`.
pub async fn recover_step1(mut call: Call) -> Result<Reply> {
    let Recover { handle, .. } = call.json().await?;
    call.state.app.accounts.request_recovery(&required(handle)?, &call.visitor()).await?;
    Ok(reply::nothing())
}

/// `POST /api/users/recover-step2`.
pub async fn recover_step2(mut call: Call) -> Result<Reply> {
    let Recover { handle, code, new_password } = call.json().await?;
    let (handle, code) = (required(handle)?, required(code)?);
    let new = new_password.unwrap_or_default();
    call.state.app.accounts.redeem_recovery(&handle, &code, &new, &call.visitor()).await?;
    Ok(reply::nothing())
}

/// `GET /api/users/me`. Asked often; the usual answer needs no look at the disk.
pub async fn me(call: Call) -> Result<Reply> {
    let account = call.me()?.clone();
    if let Some(portrait) = call.state.app.portraits.at_hand(&account.handle)
        && portrait.mark.is_empty()
    {
        return Ok(reply::json(&View::of(&account, DEFAULT_PICTURE.to_owned(), Show::Own)));
    }
    let state = call.state.clone();
    blocking(move || Ok(reply::json(&View::of(&account, inline_picture(&state, &account.handle)?, Show::Own)))).await
}

#[derive(Deserialize)]
struct ChangeAvatar {
    handle: Option<String>,
    avatar: Option<String>,
}

/// `POST /api/users/change-avatar`: a data URL, or an empty text to remove the picture.
pub async fn change_avatar(mut call: Call) -> Result<Reply> {
    let ChangeAvatar { handle, avatar } = call.json().await?;
    let handle = target(&call, handle)?;
    let picture = match avatar.as_deref() {
        None => return Err(Error::invalid("bad_request", "Missing required fields")),
        Some("") => None,
        Some(url) => {
            let picture =
                Picture::from_data_url(url).map_err(|_| Error::invalid("bad_data_url", "Invalid data URL"))?;
            cards::picture::check(picture.bytes())?;
            Some(picture)
        }
    };
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        state.app.accounts.set_picture(by(&person, &origin), &handle, picture.as_ref())?;
        state.app.portraits.forget(&handle);
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangePassword {
    handle: Option<String>,
    #[serde(default)]
    new_password: Option<String>,
    #[serde(default)]
    old_password: Option<String>,
}

/// `POST /api/users/change-password`. The client does not ask an admin for the old one.
pub async fn change_password(mut call: Call) -> Result<Reply> {
    let ChangePassword { handle, new_password, old_password } = call.json().await?;
    let handle = target(&call, handle)?;
    let person = call.person()?.clone();
    let old = old_password.unwrap_or_default();
    let old = OldPassword::AskedUnlessAdmin(&old);
    let new = new_password.unwrap_or_default();
    let accounts = &call.state.app.accounts;
    accounts.change_password(&person.account, person.session, &handle, old, &new, &call.visitor()).await?;
    Ok(reply::nothing())
}

#[derive(Deserialize)]
struct ChangeName {
    handle: Option<String>,
    name: Option<String>,
}

/// `POST /api/users/change-name`.
pub async fn change_name(mut call: Call) -> Result<Reply> {
    let ChangeName { handle, name } = call.json().await?;
    let handle = target(&call, handle)?;
    let changes = Changes { name: Some(required(name)?), ..Changes::default() };
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        state.app.accounts.update(by(&person, &origin), &handle, &changes)?;
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
struct Backup {
    handle: Option<String>,
}

/// `POST /api/users/backup`: the zip, at once.
pub async fn backup(mut call: Call) -> Result<Reply> {
    let Backup { handle } = call.json().await?;
    let handle = target(&call, handle)?;
    let account = own::users::known(&call.state, &handle)?;
    if handle != call.me()?.handle {
        let permission = crate::access::Permission::BackupsOthers;
        own::users::require_on(&call, permission, &account)?;
    }
    let secrets = call.state.app.config.allow_keys_exposure;
    let ticket = own::backups::ticket(&call, handle, secrets).await?;
    own::backups::start(&call.state, &ticket, call.origin()).await
}

#[derive(Deserialize)]
struct Reset {
    password: Option<String>,
    code: Option<String>,
}

/// `POST /api/users/reset-settings`: one's own, back to the defaults; a snapshot is made first.
pub async fn reset_settings(mut call: Call) -> Result<Reply> {
    let Reset { password, .. } = call.json().await?;
    let account = call.me()?.clone();
    let password = password.unwrap_or_default();
    call.state.app.accounts.confirm_password(&account, &password, &call.visitor()).await?;
    let (state, origin) = (call.state.clone(), call.origin());
    blocking(move || state.app.reset_settings(&account.handle, &origin)).await?;
    Ok(reply::nothing())
}

/// `POST /api/users/reset-step1`: a code on the console.
pub async fn reset_step1(call: Call) -> Result<Reply> {
    call.state.app.accounts.request_reset(call.me()?, &call.visitor()).await?;
    Ok(reply::nothing())
}

/// `POST /api/users/reset-step2`: one's whole folder starts afresh. What was there is kept as an undo point.
pub async fn reset_step2(mut call: Call) -> Result<Reply> {
    let Reset { password, code } = call.json().await?;
    let (password, code) = (password.unwrap_or_default(), required(code)?);
    let account = call.me()?.clone();
    // SillyTavern answers a wrong password or code here with 400.
    let confirmed = call.state.app.accounts.confirm_reset(&account, &password, &code, &call.visitor()).await;
    confirmed.map_err(|error| match error.code() {
        "wrong_password" => Error::invalid("wrong_password", "Incorrect password"),
        "wrong_code" => Error::invalid("wrong_code", "Incorrect code"),
        _ => error,
    })?;
    let (state, origin) = (call.state.clone(), call.origin());
    blocking(move || state.app.reset_folder(&account.handle, &origin)).await?;
    Ok(reply::nothing())
}

/// A field that has to be there and not be empty.
pub(super) fn required(field: Option<String>) -> Result<String> {
    field.filter(|text| !text.is_empty()).ok_or_else(|| Error::invalid("bad_request", "Missing required fields"))
}

/// The account that a request is about. Whoever may not manage accounts learns nothing about which there are.
pub(super) fn target(call: &Call, handle: Option<String>) -> Result<Handle> {
    let text = required(handle)?;
    let me = call.me()?;
    if text == me.handle.as_str() {
        return Ok(me.handle.clone());
    }
    if !me.role.permissions().has(crate::access::Permission::UsersManage) {
        return Err(Error::forbidden("forbidden", "Unauthorized"));
    }
    Handle::parse(&text).map_err(|_| Error::not_found("User not found"))
}
