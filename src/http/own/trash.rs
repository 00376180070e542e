//! `/api/v1/trash`: what was deleted, and chats as they were.

use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::library::bin::{Restored, Sort};
use crate::store::TrashId;

fn id(call: &Call) -> Result<TrashId> {
    call.named("id", TrashId::parse, "There is no such thing in the trash.")
}

/// `GET /api/v1/trash`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || Ok(reply::json(&state.app.bin.list(&handle)?))).await
}

/// `POST /api/v1/trash/{id}/restore`: beside what is there, or, `?instead=true`, in its place.
pub async fn restore(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), id(&call)?);
    let instead = call.truth("instead")?.unwrap_or(false);
    blocking(move || {
        let restored = if instead { state.app.put_back(&handle, &id) } else { state.app.untrash(&handle, &id) };
        Ok(reply::json(&view(&restored?)))
    })
    .await
}

/// Where it is now.
fn view(restored: &Restored) -> Value {
    let stem = &restored.stem;
    let renamed = restored.stem != restored.was;
    match restored.thing {
        Sort::Chat | Sort::Version if restored.of.is_some() => {
            json!({ "kind": restored.kind, "character": restored.of, "chat": stem, "renamed": renamed })
        }
        Sort::Character | Sort::Chat | Sort::Version => {
            json!({ "kind": restored.kind, "character": stem, "renamed": renamed })
        }
        Sort::Lorebook => json!({ "kind": restored.kind, "lorebook": stem, "renamed": renamed }),
        Sort::Persona => json!({ "kind": restored.kind, "persona": stem, "renamed": renamed }),
    }
}

/// `DELETE /api/v1/trash/{id}`: for good.
pub async fn erase(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), id(&call)?);
    blocking(move || {
        state.app.bin.erase(&handle, &id)?;
        Ok(reply::nothing())
    })
    .await
}

/// `DELETE /api/v1/trash`: all of it, for good.
pub async fn empty(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        state.app.bin.empty(&handle)?;
        Ok(reply::nothing())
    })
    .await
}
