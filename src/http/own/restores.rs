//! Restores and undo points.

use std::io::Write;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use warp::http::header;

use crate::blocking::blocking;
use crate::config::ByteSize;
use crate::error::{Error, Kind, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::mutex::lock;
use crate::store::archive::{Limits, Part, Progress};
use crate::store::{Handle, RestoreId, UndoId};

/// `POST /api/v1/me/restores`: the archive goes to the disk as it comes, then is checked and unpacked beside the data.
pub async fn create(mut call: Call) -> Result<Reply> {
    let kind = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if !kind.starts_with("application/zip") && !kind.starts_with("application/x-zip") {
        return Err(Error::new(Kind::Unsupported, "unsupported", "The body has to be application/zip."));
    }
    let limit = call.state.app.config.backups.max_restore_bytes.bytes();
    if call.announced().is_some_and(|length| length as u64 > limit) {
        return Err(too_large(limit));
    }
    let _only = OneUpload::of(&call)?;
    let state = call.state.clone();
    let mut upload = blocking(move || state.app.store.upload(limit)).await?;
    while let Some(chunk) = call.next_chunk().await? {
        upload = blocking(move || {
            upload.write_all(&chunk).map_err(|error| match error.kind() {
                std::io::ErrorKind::FileTooLarge => too_large(limit),
                _ => Error::storage("take in the archive", error),
            })?;
            Ok(upload)
        })
        .await?;
    }
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let archive = upload.into_archive()?;
        let limits = Limits { max_bytes: limit };
        let prepared = state.app.store.prepare_restore(&handle, archive, &limits, &Progress::default())?;
        Ok(reply::json(&json!({ "id": prepared.id.as_str(), "plan": prepared.plan })))
    })
    .await
}

/// The one upload that a person may have open. Several would only fill the disk.
struct OneUpload {
    state: Arc<State>,
    handle: Handle,
}

impl OneUpload {
    fn of(call: &Call) -> Result<Self> {
        let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
        if !lock(&state.uploads).insert(handle.clone()) {
            return Err(Error::new(
                Kind::Busy,
                "busy",
                "You are uploading an archive already. Wait until that is done.",
            ));
        }
        Ok(Self { state, handle })
    }
}

impl Drop for OneUpload {
    fn drop(&mut self) {
        lock(&self.state.uploads).remove(&self.handle);
    }
}

/// `GET /api/v1/me/restores/{id}`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), restore_id(&call)?);
    blocking(move || {
        let prepared = state.app.store.prepared_restore(&handle, &id)?;
        Ok(reply::json(&json!({ "id": prepared.id.as_str(), "plan": prepared.plan })))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    parts: Vec<String>,
}

/// `POST /api/v1/me/restores/{id}/apply`.
pub async fn apply(mut call: Call) -> Result<Reply> {
    let Apply { parts } = call.json().await?;
    let parts = parts.iter().map(|part| Part::parse(part)).collect::<Result<Vec<_>>>()?;
    let (state, handle, id, origin) =
        (call.state.clone(), call.me()?.handle.clone(), restore_id(&call)?, call.origin());
    blocking(move || {
        let undo = state.app.apply_restore(&handle, &id, &parts, &origin)?;
        Ok(reply::json(&json!({ "undo": undo.as_str() })))
    })
    .await
}

/// `DELETE /api/v1/me/restores/{id}`.
pub async fn discard(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), restore_id(&call)?);
    blocking(move || {
        state.app.store.discard_restore(&handle, &id)?;
        Ok(reply::nothing())
    })
    .await
}

/// `GET /api/v1/me/undo`.
pub async fn undo_points(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || Ok(reply::json(&state.app.store.list_undo(&handle)?))).await
}

/// `POST /api/v1/me/undo/{id}`.
pub async fn undo(call: Call) -> Result<Reply> {
    let (state, handle, id, origin) = (call.state.clone(), call.me()?.handle.clone(), undo_id(&call)?, call.origin());
    blocking(move || {
        let undo = state.app.undo(&handle, &id, &origin)?;
        Ok(reply::json(&json!({ "undo": undo.as_str() })))
    })
    .await
}

/// `DELETE /api/v1/me/undo/{id}`.
pub async fn remove_undo(call: Call) -> Result<Reply> {
    let (state, handle, id, origin) = (call.state.clone(), call.me()?.handle.clone(), undo_id(&call)?, call.origin());
    blocking(move || {
        state.app.remove_undo(&handle, &id, &origin)?;
        Ok(reply::nothing())
    })
    .await
}

/// `POST /api/v1/me/reset`: a code on the console.
pub async fn ask_for_reset(call: Call) -> Result<Reply> {
    call.state.app.accounts.request_reset(call.me()?, &call.visitor()).await?;
    Ok(reply::nothing())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    password: String,
    code: String,
}

/// `POST /api/v1/me/reset/confirm`.
pub async fn confirm_reset(mut call: Call) -> Result<Reply> {
    let Confirm { password, code } = call.json().await?;
    let account = call.me()?.clone();
    call.state.app.accounts.confirm_reset(&account, &password, &code, &call.visitor()).await?;
    let (state, origin) = (call.state.clone(), call.origin());
    blocking(move || {
        let undo = state.app.reset_folder(&account.handle, &origin)?;
        Ok(reply::json(&json!({ "undo": undo.as_str() })))
    })
    .await
}

fn restore_id(call: &Call) -> Result<RestoreId> {
    call.named("id", RestoreId::parse, "There is no such restore. Upload the archive again.")
}

fn undo_id(call: &Call) -> Result<UndoId> {
    call.named("id", UndoId::parse, "There is no such undo point.")
}

fn too_large(limit: u64) -> Error {
    Error::new(
        Kind::TooLarge,
        "too_large",
        format!("The archive is too large: at most {} is taken.", ByteSize(limit).in_words()),
    )
}
