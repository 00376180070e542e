//! `/api/v1/characters`.

use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{StatusCode, header};

use super::{pictures, views};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::cards::charx::is_zip;
use crate::library::cards::edit::Edit;
use crate::library::cards::picture::Crop;
use crate::library::characters::{self, Format, Item, Opened, Order, Page, Wanted};
use crate::library::thumbnails::Of;
use crate::store::{FileName, Handle};

/// How many are listed unless the caller says otherwise.
const LIMIT: usize = 60;

/// `GET /api/v1/characters`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let wanted = Wanted {
        words: call.query("q").unwrap_or_default(),
        tags: call.query("tag").into_iter().filter(|tag| !tag.is_empty()).collect(),
        favorite: call.truth("favorite")?,
        order: call.query("sort").map_or(Ok(Order::default()), |text| Order::parse(&text))?,
        offset: call.number("offset")?.unwrap_or(0),
        limit: call.number("limit")?.unwrap_or(LIMIT),
    };
    blocking(move || Ok(reply::json(&page(&state.app.characters.list(&handle, &wanted)?)))).await
}

fn page(page: &Page) -> Value {
    let tags: Vec<Value> = page.tags.iter().map(|(name, count)| json!({ "name": **name, "count": count })).collect();
    json!({ "total": page.total, "tags": tags, "items": page.items.iter().map(item).collect::<Vec<_>>() })
}

fn item(item: &Item) -> Value {
    let row = &item.row;
    let tags: Vec<&str> = row.tags.iter().chain(&item.more_tags).map(|tag| &**tag).collect();
    let mut view = json!({
        "id": row.id,
        "name": row.name,
        "avatar": avatar(&row.id, &row.mark()),
        "tags": distinct(tags),
        "favorite": row.favorite,
        "creator": row.creator,
        "summary": row.summary,
        "added": row.added,
        "lastChat": (item.chats.last > 0).then_some(item.chats.last),
        "chatSize": item.chats.size,
        "chats": item.chats.count,
    });
    if let Some(damaged) = &row.damaged {
        view["damaged"] = json!(damaged);
    }
    view
}

fn distinct(tags: Vec<&str>) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    tags.into_iter().filter(|tag| seen.insert(*tag)).collect()
}

/// The address of a character's picture. It changes with the card, so that browsers may keep it.
pub fn avatar(id: &FileName, mark: &str) -> String {
    format!("/api/v1/characters/{}/picture?v={mark}", reply::encoded(id.as_str()))
}

/// `GET /api/v1/characters/{character}`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let opened = state.app.characters.open(&handle, &id)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// A character, all of it.
fn view(state: &State, handle: &Handle, opened: &Opened) -> Value {
    let head = json!({
        "id": opened.id,
        "version": opened.version.to_string(),
        "avatar": avatar(&opened.id, &opened.mark),
    });
    let more_tags = state.app.characters.more_tags_of(handle, &opened.id);
    let rest = match &opened.card {
        Ok(card) => json!({
            "name": card.name(),
            "favorite": card.favorite(),
            "tags": card.tags(),
            "otherTags": more_tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
            "description": card.description(),
            "personality": card.personality(),
            "scenario": card.scenario(),
            "firstMessage": card.first_message(),
            "alternateGreetings": card.alternate_greetings(),
            "exampleMessages": card.example_messages(),
            "systemPrompt": card.system_prompt(),
            "postHistoryInstructions": card.post_history_instructions(),
            "creator": card.creator(),
            "creatorNotes": card.creator_notes(),
            "creatorNotesHtml": crate::render::markdown(card.creator_notes()),
            "characterVersion": card.character_version(),
            "depthPrompt": card.depth_prompt(),
            "talkativeness": card.talkativeness(),
            "world": card.world(),
            "lorebook": card.lorebook(),
            "spec": card.spec(),
        }),
        Err(error) => json!({ "name": opened.id, "damaged": error.message() }),
    };
    views::merged(head, rest)
}

/// `POST /api/v1/characters`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let edit: Edit = call.json().await?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || made(&state, &handle, &state.app.characters.create(&handle, &edit)?)).await
}

/// `POST /api/v1/characters/assistant`.
pub async fn assistant(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let (opened, is_new) = state.app.characters.assistant(&handle)?;
        if is_new {
            return made(&state, &handle, &opened);
        }
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `POST /api/v1/characters/import`: a file of any format; what it is is told from its content.
pub async fn import(mut call: Call) -> Result<Reply> {
    let bytes = call.bytes().await?;
    let name = call.file_name();
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    // Of what is in an archive, a picture is decoded.
    let turn = if is_zip(&bytes) { Some(state.app.thumbnails.turn().await?) } else { None };
    blocking(move || {
        let _turn = turn;
        let opened = state.app.characters.import(&handle, &bytes, name.as_deref())?;
        made(&state, &handle, &opened)
    })
    .await
}

fn made(state: &State, handle: &Handle, opened: &Opened) -> Result<Reply> {
    Ok(reply::json_with(StatusCode::CREATED, &view(state, handle, opened)))
}

/// `PATCH /api/v1/characters/{character}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let (version, edit) = call.change::<Edit>().await?;
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let opened = state.app.characters.update(&handle, &id, version, &edit)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `POST /api/v1/characters/{character}/duplicate`.
pub async fn duplicate(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || made(&state, &handle, &state.app.characters.duplicate(&handle, &id)?)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    name: String,
}

/// `POST /api/v1/characters/{character}/rename`.
pub async fn rename(mut call: Call) -> Result<Reply> {
    let Rename { name } = call.json().await?;
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let opened = state.app.characters.rename(&handle, &id, &name)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `DELETE /api/v1/characters/{character}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let with_chats = call.truth("chats")?.unwrap_or(false);
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        state.app.characters.delete(&handle, &id, with_chats)?;
        Ok(reply::nothing())
    })
    .await
}

/// `GET /api/v1/characters/{character}/picture`.
pub async fn picture(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    let place = characters::card_place(&handle, &id)?;
    let file = characters::file_of(&id)?;
    pictures::serve(&call, state, handle, Of::Character, place, file).await
}

/// `PUT /api/v1/characters/{character}/picture`.
pub async fn set_picture(mut call: Call) -> Result<Reply> {
    let crop = call.query("crop").map(|text| Crop::parse(&text)).transpose()?;
    let id = call.character()?;
    let bytes = call.bytes().await?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let turn = state.app.thumbnails.turn().await?;
    blocking(move || {
        let _turn = turn;
        let opened = state.app.characters.set_picture(&handle, &id, &bytes, crop)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `GET /api/v1/characters/{character}/export`.
pub async fn export(call: Call) -> Result<Reply> {
    let format = match call.query("format").as_deref() {
        None | Some("png") => Format::Png,
        Some("json") => Format::Json,
        Some("charx") => Format::Charx,
        Some(_) => return Err(Error::invalid("bad_request", "The format is png, json or charx.")),
    };
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let (bytes, name, media_type) = state.app.characters.export(&handle, &id, format)?;
        let mut answer = reply::with_type(StatusCode::OK, media_type, bytes);
        reply::set_file_name(&mut answer, &name);
        reply::set(&mut answer, header::CACHE_CONTROL, "private, no-cache");
        Ok(answer)
    })
    .await
}
