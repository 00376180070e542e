//! `/api/v1/chats/{character}/{chat}/messages`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use warp::http::StatusCode;

use super::chats::{chat, expect, named};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::library::chats::{Changed, Content, Edit, Line, Message};
use crate::render;

/// An id that a client may give to a message.
const ID_MAX: usize = 100;

/// A line of a chat as pages see it, its words as markup made safe.
pub fn view(line: &Line) -> Value {
    match &line.content {
        Content::Message(message) => message_view(line.index, message),
        Content::Damaged(text) => json!({
            "index": line.index,
            "name": "",
            "isUser": false,
            "isSystem": false,
            "sentAt": null,
            "text": text,
            "html": "",
            "swipe": null,
            "damaged": true,
        }),
    }
}

/// The same of a message that is known to be one.
pub fn message_view(index: usize, message: &Message) -> Value {
    let swipe = message.swipes().map(|(at, count)| json!({ "at": at, "count": count }));
    let mut view = json!({
        "index": index,
        "name": message.name(),
        "isUser": message.is_user(),
        "isSystem": message.is_system(),
        "sentAt": message.sent_at(),
        "text": message.text(),
        "html": render::markdown(message.text()),
        "swipe": swipe,
    });
    if let Some(reasoning) = message.reasoning() {
        view["reasoning"] = reasoning.into();
        view["reasoningHtml"] = render::markdown(reasoning).into();
    }
    if message.is_unfinished() {
        view["unfinished"] = true.into();
    }
    let images: Vec<String> =
        message.pictures().iter().filter_map(|picture| super::images::address(&picture.url)).collect();
    if !images.is_empty() {
        view["images"] = images.into();
    }
    if let Some(extra) = message.extra().filter(|extra| !extra.is_empty()) {
        view["extra"] = without_bulk(extra).into();
    }
    view
}

/// What pages can use of it: no pictures as text, and not the model's thoughts once more.
fn without_bulk(extra: &Map<String, Value>) -> Map<String, Value> {
    const LONGEST: usize = 4096;
    let short = |value: &Value| value.as_str().is_none_or(|text| text.len() <= LONGEST);
    let kept = extra.iter().filter(|(name, value)| *name != "reasoning" && *name != "media" && short(value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The index in the address.
fn index(call: &Call) -> Result<usize> {
    call.param("index").parse().map_err(|_| Error::not_found("There is no such message in this chat."))
}

fn changed(changed: &Changed) -> Reply {
    let mut answer = json!({ "version": changed.version, "count": changed.count });
    if let Some(line) = &changed.line {
        answer["message"] = view(line);
    }
    reply::json(&answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    version: String,
    text: String,
    id: Option<String>,
    #[serde(default)]
    images: Vec<String>,
    persona: Option<String>,
}

/// Refuses an id that cannot be one, and words that say nothing.
pub fn check_new(id: Option<&str>, text: Option<&str>, images: &[String]) -> Result<()> {
    if id.is_some_and(|id| id.is_empty() || id.len() > ID_MAX) {
        return Err(Error::invalid("bad_request", format!("id has to have 1 to {ID_MAX} bytes.")));
    }
    if images.is_empty() && text.is_some_and(|text| text.trim().is_empty()) {
        return Err(Error::invalid("bad_request", "There is nothing to say: text is empty."));
    }
    Ok(())
}

/// `POST …/messages`: what the person says.
pub async fn create(mut call: Call) -> Result<Reply> {
    let New { version, text, id, images, persona } = call.json().await?;
    let expected = expect(Some(&version))?;
    check_new(id.as_deref(), Some(&text), &images)?;
    let (state, account, chat) = (call.state.clone(), call.me()?.clone(), chat(&call)?);
    blocking(move || {
        let mut message = state.app.say(&account, &chat, persona.as_deref(), &text)?;
        for image in &images {
            message.add_picture(&state.app.chats.take_picture(&account.handle, &chat.character, image)?);
        }
        if let Some(id) = id {
            message = message.with_id(&id);
        }
        let appended = state.app.chats.append(&account.handle, &chat, expected, message)?;
        let answer = json!({
            "index": appended.index,
            "version": appended.version,
            "message": message_view(appended.index, &appended.message),
        });
        Ok(reply::json_with(StatusCode::CREATED, &answer))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    version: Option<String>,
    text: Option<String>,
    swipe: Option<usize>,
    hidden: Option<bool>,
    reasoning: Option<String>,
}

/// `PATCH …/messages/{index}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let Update { version, text, swipe, hidden, reasoning } = call.json().await?;
    let (expected, index) = (named(version.as_deref())?, index(&call)?);
    let edit = Edit { text, swipe, hidden, reasoning };
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || Ok(changed(&state.app.chats.edit(&handle, &chat, expected, index, &edit)?))).await
}

/// `DELETE …/messages/{index}`: one, or with `after=true` it and all later.
pub async fn delete(call: Call) -> Result<Reply> {
    let (expected, index) = (named(call.query("version").as_deref())?, index(&call)?);
    let after = call.truth("after")?.unwrap_or(false);
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || Ok(changed(&state.app.chats.delete_message(&handle, &chat, expected, index, after)?))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    version: Option<String>,
    to: usize,
}

/// `POST …/messages/{index}/move`.
pub async fn move_to(mut call: Call) -> Result<Reply> {
    let Move { version, to } = call.json().await?;
    let (expected, index) = (named(version.as_deref())?, index(&call)?);
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || Ok(changed(&state.app.chats.move_message(&handle, &chat, expected, index, to)?))).await
}
