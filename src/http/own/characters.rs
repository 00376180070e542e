//! `/api/v1/characters`.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{StatusCode, header};

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::cards::charx::is_zip;
use crate::library::cards::edit::Edit;
use crate::library::cards::picture::Crop;
use crate::library::characters::{self, Format, Item, Opened, Order, Page, Wanted};
use crate::library::thumbnails::{Of, Size};
use crate::pictures::PictureKind;
use crate::store::{FileName, Handle, Place, Version};

/// How many are listed unless the caller says otherwise.
const LIMIT: usize = 60;

/// `GET /api/v1/characters`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let wanted = Wanted {
        words: call.query("q").unwrap_or_default(),
        tags: call.query("tag").into_iter().filter(|tag| !tag.is_empty()).collect(),
        favorite: call.query("favorite").map(|text| truth("favorite", &text)).transpose()?,
        order: call.query("sort").map_or(Ok(Order::default()), |text| Order::parse(&text))?,
        offset: number(&call, "offset", 0)?,
        limit: number(&call, "limit", LIMIT)?,
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
    if let (Some(damaged), Some(view)) = (&row.damaged, view.as_object_mut()) {
        view.insert("damaged".to_owned(), json!(damaged));
    }
    view
}

fn distinct(tags: Vec<&str>) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    tags.into_iter().filter(|tag| seen.insert(*tag)).collect()
}

/// The address of a character's picture. It changes with the card, so that browsers may keep it.
pub fn avatar(id: &FileName, mark: &str) -> String {
    format!("/api/v1/characters/{}/picture?v={mark}", encoded(id.as_str()))
}

/// A component of an address.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// `GET /api/v1/characters/{character}`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
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
    merged(head, rest)
}

fn merged(mut head: Value, rest: Value) -> Value {
    if let (Some(head), Value::Object(rest)) = (head.as_object_mut(), rest) {
        head.extend(rest);
    }
    head
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
    let name = file_name(&call);
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

/// The name that the client has for the file that it sends.
pub fn file_name(call: &Call) -> Option<String> {
    let name = percent_decode_str(call.header("x-file-name")?).decode_utf8().ok()?;
    (!name.trim().is_empty()).then(|| name.into_owned())
}

fn made(state: &State, handle: &Handle, opened: &Opened) -> Result<Reply> {
    Ok(reply::json_with(StatusCode::CREATED, &view(state, handle, opened)))
}

#[derive(Deserialize)]
struct Update {
    version: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// `PATCH /api/v1/characters/{character}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let Update { version, rest } = call.json().await?;
    let version = Version::parse(&version)?;
    let edit: Edit = serde_json::from_value(Value::Object(rest)).map_err(|error| {
        Error::invalid("bad_request", format!("The request's body is not what is expected: {error}."))
    })?;
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
    blocking(move || {
        let opened = state.app.characters.update(&handle, &id, version, &edit)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `POST /api/v1/characters/{character}/duplicate`.
pub async fn duplicate(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
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
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
    blocking(move || {
        let opened = state.app.characters.rename(&handle, &id, &name)?;
        Ok(reply::json(&view(&state, &handle, &opened)))
    })
    .await
}

/// `DELETE /api/v1/characters/{character}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let with_chats = call.query("chats").map_or(Ok(false), |text| truth("chats", &text))?;
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
    blocking(move || {
        state.app.characters.delete(&handle, &id, with_chats)?;
        Ok(reply::nothing())
    })
    .await
}

/// `GET /api/v1/characters/{character}/picture`.
pub async fn picture(call: Call) -> Result<Reply> {
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
    let place = characters::card_place(&handle, &id)?;
    let file = characters::file_of(&id)?;
    serve_picture(&call, state, handle, Of::Character, place, file).await
}

/// Answers with a picture of somebody's, or with a small one made from it. One that cannot be shown gives way to ours.
pub async fn serve_picture(
    call: &Call,
    state: Arc<State>,
    handle: Handle,
    of: Of,
    place: Place,
    file: FileName,
) -> Result<Reply> {
    let size = match call.query("size").as_deref() {
        None | Some("full") => None,
        Some("thumb") => Some(Size::Large),
        Some("small") => Some(Size::Small),
        Some(_) => return Err(Error::invalid("bad_request", "The size is full, thumb or small.")),
    };
    let (looking, at) = (state.clone(), place.clone());
    let mark = blocking(move || characters::mark_of(&looking.app.store, &at)).await?;
    let etag = format!(
        "\"{mark}{}\"",
        match size {
            None => "",
            Some(Size::Small) => "-s",
            Some(Size::Large) => "-l",
        }
    );
    if call.header(header::IF_NONE_MATCH.as_str()).is_some_and(|named| named.contains(&etag)) {
        let mut answer = Reply::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(kept(answer, call, &mark, &etag));
    }
    let whole = {
        let state = state.clone();
        move || state.app.store.read_at_most(&place, characters::CARD_MAX)
    };
    let (bytes, media_type) = match size {
        None => {
            let bytes = blocking(whole).await?;
            match PictureKind::of(&bytes) {
                Some(kind) => (bytes, kind.mime()),
                None => (characters::BLANK.to_vec(), "image/png"),
            }
        }
        Some(size) => (thumbnail(&state, handle, of, size, file, mark.clone(), whole).await?, "image/jpeg"),
    };
    let answer = reply::with_type(StatusCode::OK, media_type, bytes);
    Ok(kept(answer, call, &mark, &etag))
}

async fn thumbnail(
    state: &Arc<State>,
    handle: Handle,
    of: Of,
    size: Size,
    file: FileName,
    mark: String,
    whole: impl FnOnce() -> Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>> {
    let ready = {
        let (state, handle, file, mark) = (state.clone(), handle.clone(), file.clone(), mark.clone());
        blocking(move || Ok(state.app.thumbnails.ready(&handle, of, size, &file, &mark))).await?
    };
    if let Some(ready) = ready {
        return Ok(ready);
    }
    let turn = state.app.thumbnails.turn().await?;
    let state = state.clone();
    blocking(move || {
        let _turn = turn;
        let thumbnails = &state.app.thumbnails;
        match thumbnails.make(&handle, of, size, &file, &mark, whole) {
            // What cannot be decoded has no small picture, and is not looked at again and again.
            Err(error) if matches!(error.code(), "not_an_image" | "too_large") => {
                thumbnails.make(&handle, of, size, &file, &mark, || Ok(characters::BLANK.to_vec()))
            }
            other => other,
        }
    })
    .await
}

/// An address that names the picture's state never changes its meaning.
fn kept(mut answer: Reply, call: &Call, mark: &str, etag: &str) -> Reply {
    let named = call.query("v").is_some_and(|v| v == mark);
    let keep = if named { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    reply::set(&mut answer, header::CACHE_CONTROL, keep);
    reply::set(&mut answer, header::ETAG, etag);
    answer
}

/// `PUT /api/v1/characters/{character}/picture`.
pub async fn set_picture(mut call: Call) -> Result<Reply> {
    let crop = call.query("crop").map(|text| Crop::parse(&text)).transpose()?;
    let id = character(&call)?;
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
    let (state, handle, id) = (call.state.clone(), call.me()?.handle.clone(), character(&call)?);
    blocking(move || {
        let (bytes, name, media_type) = state.app.characters.export(&handle, &id, format)?;
        Ok(download(bytes, &name, media_type))
    })
    .await
}

/// A file to be saved, whatever it is.
pub fn download(bytes: Vec<u8>, name: &str, media_type: &str) -> Reply {
    let mut answer = reply::with_type(StatusCode::OK, media_type, bytes);
    let disposition = format!("attachment; filename*=UTF-8''{}", encoded(name));
    reply::set(&mut answer, header::CONTENT_DISPOSITION, &disposition);
    reply::set(&mut answer, header::CACHE_CONTROL, "private, no-cache");
    answer
}

/// The character that the path names. What cannot be one is simply not there.
pub fn character(call: &Call) -> Result<FileName> {
    FileName::parse(call.param("character")).map_err(|_| Error::not_found("There is no such character."))
}

/// A whole number from the query.
pub fn number(call: &Call, name: &str, otherwise: usize) -> Result<usize> {
    let wrong = |_| Error::invalid("bad_request", format!("{name} has to be a whole number."));
    call.query(name).map_or(Ok(otherwise), |text| text.parse().map_err(wrong))
}

fn truth(name: &str, text: &str) -> Result<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::invalid("bad_request", format!("{name} has to be true or false."))),
    }
}
