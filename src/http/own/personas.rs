//! `/api/v1/personas`.

use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{StatusCode, header};

use super::pictures;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::cards::picture::Crop;
use crate::library::characters::mark_of;
use crate::library::personas::{self, Edit, Persona};
use crate::library::thumbnails::Of;
use crate::store::{FileName, Handle};

/// `GET /api/v1/personas`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let listed = state.app.personas.list(&handle)?;
        let default = listed.default.as_ref();
        let items: Result<Vec<Value>> =
            listed.items.iter().map(|persona| view(&state, &handle, persona, default)).collect();
        Ok(reply::json(&json!({ "default": default, "items": items? })))
    })
    .await
}

fn view(state: &State, handle: &Handle, persona: &Persona, default: Option<&FileName>) -> Result<Value> {
    let mark = match mark_of(&state.app.store, &personas::place(handle, &persona.id)) {
        Err(error) if error.is_not_found() => "0".to_owned(),
        other => other?,
    };
    Ok(json!({
        "id": persona.id,
        "name": persona.name,
        "description": persona.description,
        "avatar": format!("/api/v1/personas/{}/picture?v={mark}", reply::encoded(persona.id.as_str())),
        "position": persona.position,
        "depth": persona.depth,
        "role": persona.role,
        "lorebook": persona.lorebook,
        "title": persona.title,
        "default": default == Some(&persona.id),
        "version": persona.version(),
    }))
}

/// One persona, after it was changed.
fn changed(state: &State, handle: &Handle, persona: &Persona) -> Result<Value> {
    state.app.portraits.forget(handle);
    let default = state.app.personas.list(handle)?.default;
    view(state, handle, persona, default.as_ref())
}

/// `POST /api/v1/personas`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let edit: Edit = call.json().await?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let persona = state.app.personas.create(&handle, &edit)?;
        Ok(reply::json_with(StatusCode::CREATED, &changed(&state, &handle, &persona)?))
    })
    .await
}

/// `PATCH /api/v1/personas/{persona}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let (version, edit) = call.change::<Edit>().await?;
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), persona(&call)?);
    blocking(move || {
        let persona = state.app.personas.update(&handle, &id, version, &edit)?;
        Ok(reply::json(&changed(&state, &handle, &persona)?))
    })
    .await
}

/// `DELETE /api/v1/personas/{persona}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), persona(&call)?);
    blocking(move || {
        state.app.personas.delete(&handle, &id)?;
        state.app.portraits.forget(&handle);
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /api/v1/personas/{persona}/default`.
pub async fn set_default(mut call: Call) -> Result<Reply> {
    if call.announced().unwrap_or(0) > 0 {
        let Nothing {} = call.json().await?;
    }
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), persona(&call)?);
    blocking(move || {
        state.app.personas.set_default(&handle, &id)?;
        state.app.portraits.forget(&handle);
        Ok(reply::nothing())
    })
    .await
}

/// `GET /api/v1/personas/{persona}/picture`. A persona without one is shown with the house's.
pub async fn picture(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), persona(&call)?);
    let place = personas::place(&handle, &id);
    match pictures::serve(&call, state, handle.clone(), Of::Persona, place, id.clone()).await {
        Err(error) if error.is_not_found() => {}
        other => return other,
    }
    let state = call.state.clone();
    blocking(move || state.app.personas.chosen(&handle, Some(&id)).map(drop)).await?;
    let answer = call.state.files.get("img/default-user.png", &call.headers, call.peer.client).await?;
    let mut answer = answer.ok_or_else(|| Error::not_found("There is no such picture."))?;
    reply::set(&mut answer, header::CACHE_CONTROL, "private, no-cache");
    Ok(answer)
}

/// `PUT /api/v1/personas/{persona}/picture`.
pub async fn set_picture(mut call: Call) -> Result<Reply> {
    let crop = call.query("crop").map(|text| Crop::parse(&text)).transpose()?;
    let id = persona(&call)?;
    let bytes = call.bytes().await?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let turn = state.app.thumbnails.turn().await?;
    blocking(move || {
        let _turn = turn;
        let persona = state.app.personas.set_picture(&handle, &id, &bytes, crop)?;
        Ok(reply::json(&changed(&state, &handle, &persona)?))
    })
    .await
}

/// The persona that the path names.
fn persona(call: &Call) -> Result<FileName> {
    call.named("persona", FileName::parse, "There is no such persona.")
}
