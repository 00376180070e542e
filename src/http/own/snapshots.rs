//! `/api/v1/me/snapshots`: settings snapshots.

use serde_json::json;

use crate::blocking::blocking;
use crate::clock;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::store::Handle;

/// `GET /api/v1/me/snapshots`.
pub async fn list(call: Call) -> Result<Reply> {
    with(call, |state, handle, _| {
        let now = state.app.settings.load(handle)?;
        let mut list = Vec::new();
        for snapshot in state.app.settings.snapshots(handle)? {
            let name = snapshot.name.as_str();
            let same = snapshot.stat.size == now.len() as u64 && state.app.settings.read_snapshot(handle, name)? == now;
            list.push(json!({
                "name": name,
                "date": clock::to_ms(snapshot.stat.modified),
                "size": snapshot.stat.size,
                "sameAsNow": same,
            }));
        }
        Ok(reply::json(&list))
    })
    .await
}

/// `POST /api/v1/me/snapshots`.
pub async fn make(call: Call) -> Result<Reply> {
    with(call, |state, handle, _| {
        let made = state.app.settings.snapshot(handle)?;
        let name = match &made {
            Some(name) => Some(name.to_string()),
            None => state.app.settings.snapshots(handle)?.first().map(|newest| newest.name.to_string()),
        };
        Ok(reply::json(&json!({ "name": name, "made": made.is_some() })))
    })
    .await
}

/// `GET /api/v1/me/snapshots/{name}`.
pub async fn get(call: Call) -> Result<Reply> {
    with(call, |state, handle, name| Ok(reply::json_text(state.app.settings.read_snapshot(handle, name)?))).await
}

/// `GET /api/v1/me/snapshots/{name}/diff`.
pub async fn diff(call: Call) -> Result<Reply> {
    with(call, |state, handle, name| Ok(reply::json(&state.app.settings.compare(handle, name)?))).await
}

/// `POST /api/v1/me/snapshots/{name}/restore`.
pub async fn restore(call: Call) -> Result<Reply> {
    let origin = call.origin();
    with(call, move |state, handle, name| {
        state.app.restore_snapshot(handle, name, &origin)?;
        Ok(reply::nothing())
    })
    .await
}

/// `DELETE /api/v1/me/snapshots/{name}`.
pub async fn remove(call: Call) -> Result<Reply> {
    let origin = call.origin();
    with(call, move |state, handle, name| {
        state.app.remove_snapshot(handle, name, &origin)?;
        Ok(reply::nothing())
    })
    .await
}

async fn with(call: Call, work: impl FnOnce(&State, &Handle, &str) -> Result<Reply> + Send + 'static) -> Result<Reply> {
    let (state, handle, name) = (call.state.clone(), call.me()?.handle.clone(), call.param("name").to_owned());
    blocking(move || work(&state, &handle, &name)).await
}
