//! `/api/v1/me/sessions`: where one is signed in.

use serde_json::json;

use crate::accounts::Session;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// `GET /api/v1/me/sessions`.
pub async fn list(call: Call) -> Result<Reply> {
    let person = call.person()?;
    let current = person.session.as_ref().map(|session| session.id.as_str());
    let list: Vec<_> = call
        .state
        .app
        .accounts
        .sessions()
        .of(&person.account)
        .iter()
        .map(|session| {
            json!({
                "id": session.id,
                "device": session.device,
                "address": session.address,
                "created": session.created,
                "lastUsed": session.last_used(),
                "current": current == Some(session.id.as_str()),
            })
        })
        .collect();
    Ok(reply::json(&list))
}

/// `DELETE /api/v1/me/sessions/{id}`.
pub async fn end(call: Call) -> Result<Reply> {
    let id = call.param("id").to_owned();
    match end_where(call, move |session| session.id == id).await? {
        0 => Err(Error::not_found("There is no such session.")),
        _ => Ok(reply::nothing()),
    }
}

/// `DELETE /api/v1/me/sessions`: all but this one.
pub async fn end_others(call: Call) -> Result<Reply> {
    let current = call.person()?.session.as_ref().map(|session| session.id.clone());
    let ended = end_where(call, move |session| Some(&session.id) != current.as_ref()).await?;
    Ok(reply::json(&json!({ "ended": ended })))
}

async fn end_where(call: Call, which: impl Fn(&Session) -> bool + Send + 'static) -> Result<usize> {
    let (state, handle, origin) = (call.state.clone(), call.me()?.handle.clone(), call.origin());
    blocking(move || state.app.accounts.end_sessions(&handle, &origin, which)).await
}
