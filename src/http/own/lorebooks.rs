//! `/api/v1/lorebooks`.

use serde_json::{Value, json};
use warp::http::{StatusCode, header};

use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::store::{Expect, FileName, Version};

/// `GET /api/v1/lorebooks`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let listed = state.app.lorebooks.list(&handle)?;
        let view: Vec<Value> = listed
            .iter()
            .map(|book| match book.entries {
                Some(entries) => json!({ "name": book.name, "entries": entries }),
                None => json!({ "name": book.name, "entries": 0, "damaged": true }),
            })
            .collect();
        Ok(reply::json(&view))
    })
    .await
}

/// `GET /api/v1/lorebooks/{name}`: the file's text, with its version.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle, name) = (call.state.clone(), call.me()?.handle.clone(), lorebook(&call)?);
    blocking(move || {
        let text = state.app.lorebooks.text(&handle, &name)?;
        let version = Version::of(&text);
        let mut answer = reply::json_text(text);
        reply::set_version(&mut answer, version);
        reply::set(&mut answer, header::CACHE_CONTROL, "private, no-cache");
        Ok(answer)
    })
    .await
}

/// `PUT /api/v1/lorebooks/{name}`: replaces the version that `If-Match` names; without it, makes a new lorebook.
pub async fn put(mut call: Call) -> Result<Reply> {
    let expect = call.if_match()?.map_or(Expect::Absent, Expect::Version);
    let text = call.json_bytes().await?;
    let (state, handle, name) = (call.state.clone(), call.me()?.handle.clone(), lorebook(&call)?);
    blocking(move || {
        let version = state.app.lorebooks.save(&handle, &name, &text, expect)?;
        let status = if expect == Expect::Absent { StatusCode::CREATED } else { StatusCode::OK };
        Ok(reply::json_with(status, &json!({ "name": name, "version": version.to_string() })))
    })
    .await
}

/// `DELETE /api/v1/lorebooks/{name}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let (state, handle, name) = (call.state.clone(), call.me()?.handle.clone(), lorebook(&call)?);
    blocking(move || {
        state.app.lorebooks.delete(&handle, &name)?;
        Ok(reply::nothing())
    })
    .await
}

/// `POST /api/v1/lorebooks/import`: a file of any form; what it is is told from its content.
pub async fn import(mut call: Call) -> Result<Reply> {
    let bytes = call.bytes().await?;
    let file = call.file_name();
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let name = state.app.lorebooks.import(&handle, &bytes, file.as_deref())?;
        Ok(reply::json_with(StatusCode::CREATED, &json!({ "name": name })))
    })
    .await
}

/// `POST /api/v1/characters/{character}/lorebook`: the book inside the card becomes a lorebook of its own.
pub async fn from_character(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let name = state.app.lorebooks.from_card(&handle, &state.app.characters.get(&handle, &id)?)?;
        Ok(reply::json_with(StatusCode::CREATED, &json!({ "name": name })))
    })
    .await
}

/// The lorebook that the path names.
fn lorebook(call: &Call) -> Result<FileName> {
    call.named("name", FileName::parse, "There is no such lorebook.")
}
