//! `/api/v1/chats`, `/api/v1/characters/{character}/chats`: chats as a whole.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use warp::Reply as _;
use warp::http::{StatusCode, header};

use super::characters::avatar;
use super::messages;
use super::views::merged;
use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::http::call::Call;
use crate::http::pipe;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::characters::Row;
use crate::library::chats::dates;
use crate::library::chats::export::Format;
use crate::library::chats::groups::Group;
use crate::library::chats::import::{self, Speakers};
use crate::library::chats::{Branched, ChatRef, ChatVersion, Expect, Header, Listed, NewChat, Opened, Recent, Window};
use crate::store::{FileName, Handle};

/// How many are shown unless the caller says otherwise, and at most.
const LIMIT: usize = 60;
const LIMIT_MAX: usize = 500;
/// Chats that one person can be downloading.
const EXPORTS: usize = 4;

/// The chat that an address names.
pub fn chat(call: &Call) -> Result<ChatRef> {
    ChatRef::parse(call.param("character"), call.param("chat"))
}

/// The group chat that an address names.
fn group_chat(call: &Call) -> Result<ChatRef> {
    call.named("chat", |name| FileName::parse(name).and_then(ChatRef::of_group), "There is no such chat.")
}

/// What a change expects, if it says so.
pub fn expect(version: Option<&str>) -> Result<Expect> {
    version.map_or(Ok(Expect::Anything), |text| ChatVersion::parse(text).map(Expect::Version))
}

/// The version that a change replaces, which it has to name.
pub fn named(version: Option<&str>) -> Result<Expect> {
    match version {
        Some(version) => expect(Some(version)),
        None => Err(Error::invalid("bad_request", "version has to name the version of the chat that is changed.")),
    }
}

fn limit(call: &Call) -> Result<usize> {
    Ok(call.number("limit")?.unwrap_or(LIMIT).min(LIMIT_MAX))
}

/// `GET /api/v1/chats`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let (offset, limit) = (call.number("offset")?.unwrap_or(0), limit(&call)?);
    blocking(move || {
        let recent = state.app.chats.recent(&handle, offset, limit)?;
        Ok(reply::json(&listed(&state, &handle, &recent)?))
    })
    .await
}

/// `GET /api/v1/characters/{character}/chats`.
pub async fn of_character(call: Call) -> Result<Reply> {
    let (state, handle, character) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    blocking(move || {
        let recent = state.app.chats.of_character(&handle, &character)?;
        if recent.total == 0 && state.app.characters.row(&handle, &character)?.is_none() {
            return Err(Error::not_found("There is no such character."));
        }
        Ok(reply::json(&listed(&state, &handle, &recent)?))
    })
    .await
}

fn listed(state: &State, handle: &Handle, recent: &Recent) -> Result<Value> {
    let characters = state.app.characters.look(handle)?;
    let groups = groups_of(state, handle, recent.items.iter().map(|item| &item.chat))?;
    let item = |item: &Listed| {
        let head = match item.chat.is_group() {
            true => group_head(&groups, &item.chat),
            false => head(characters.row(&item.chat.character).map(|row| &**row), &item.chat),
        };
        let rest = json!({
            "messages": item.messages,
            "size": item.size,
            "modified": item.modified,
            "pinned": item.pinned,
            "preview": item.preview,
            "version": item.version,
        });
        let mut view = merged(head, rest);
        if item.damaged {
            view["damaged"] = true.into();
        }
        under_way(state, handle, &item.chat, &mut view);
        view
    };
    Ok(json!({ "total": recent.total, "items": recent.items.iter().map(item).collect::<Vec<_>>() }))
}

/// Which chat, and what its character is called and looks like, if there is one.
fn head(row: Option<&Row>, chat: &ChatRef) -> Value {
    let name = row.map_or(chat.character.as_str(), |row| &*row.name);
    let mut head = json!({ "character": chat.character, "characterName": name });
    if let Some(row) = row {
        head["avatar"] = avatar(&row.id, &row.mark()).into();
    }
    called(&mut head, chat.chat.as_str());
    head
}

/// What a chat is called, and which moment that is, if it is one.
pub fn called(view: &mut Value, chat: &str) {
    view["chat"] = chat.into();
    if let Some(begun) = dates::in_name(chat) {
        view["begun"] = begun.into();
    }
}

/// The groups of group chats that are to be shown, if any are.
pub fn groups_of<'a>(
    state: &State,
    handle: &Handle,
    mut chats: impl Iterator<Item = &'a ChatRef>,
) -> Result<HashMap<FileName, Group>> {
    if chats.any(ChatRef::is_group) { state.app.chats.groups(handle) } else { Ok(HashMap::new()) }
}

/// Which group chat, and what its group is called, if there is one.
fn group_head(groups: &HashMap<FileName, Group>, chat: &ChatRef) -> Value {
    let group = groups.get(&chat.chat);
    let mut head = json!({ "group": group.map(|group| &group.id), "groupName": group_name(groups, chat) });
    called(&mut head, chat.chat.as_str());
    head
}

/// What people call the group of a chat.
pub fn group_name(groups: &HashMap<FileName, Group>, chat: &ChatRef) -> String {
    groups.get(&chat.chat).map_or_else(|| "A group".to_owned(), |group| group.name.clone())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: Option<String>,
    #[serde(default)]
    greeting: usize,
    persona: Option<String>,
}

/// `POST /api/v1/characters/{character}/chats`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let New { name, greeting, persona } = call.json().await?;
    let (state, account, character) = (call.state.clone(), call.me()?.clone(), call.character()?);
    blocking(move || {
        let handle = &account.handle;
        let first = state.app.greet(&account, &character, persona.as_deref(), greeting)?;
        let mut metadata = Map::new();
        if let Some(persona) = persona {
            metadata.insert("tavernkeep".to_owned(), json!({ "persona": persona }));
        }
        let new = NewChat {
            name,
            character_name: first.character_name,
            messages: first.message.into_iter().collect(),
            metadata,
        };
        let (chat, _) = state.app.chats.create(handle, &character, new)?;
        let window = state.app.chats.window(handle, &chat, None, LIMIT)?;
        Ok(reply::json_with(StatusCode::CREATED, &shown(&state, handle, &chat, &window)?))
    })
    .await
}

/// `GET /api/v1/chats/{character}/{chat}`.
pub async fn get(call: Call) -> Result<Reply> {
    let chat = chat(&call)?;
    window(call, chat).await
}

/// `GET /api/v1/group-chats/{chat}`.
pub async fn get_of_group(call: Call) -> Result<Reply> {
    let chat = group_chat(&call)?;
    window(call, chat).await
}

async fn window(call: Call, chat: ChatRef) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let (before, limit) = (call.number("before")?, limit(&call)?);
    blocking(move || {
        let window = state.app.chats.window(&handle, &chat, before, limit)?;
        Ok(reply::json(&shown(&state, &handle, &chat, &window)?))
    })
    .await
}

/// A chat with a part of its messages.
fn shown(state: &State, handle: &Handle, chat: &ChatRef, window: &Window) -> Result<Value> {
    let mut view = about(state, handle, chat, &window.chat)?;
    let first = window.lines.first().map_or(window.chat.count, |line| line.index);
    view["first"] = first.into();
    view["messages"] = window.lines.iter().map(messages::view).collect();
    Ok(view)
}

/// A chat without its messages.
fn about(state: &State, handle: &Handle, chat: &ChatRef, opened: &Opened) -> Result<Value> {
    let head = if chat.is_group() {
        group_head(&state.app.chats.groups(handle)?, chat)
    } else {
        head(state.app.characters.row(handle, &chat.character)?.as_deref(), chat)
    };
    let metadata = opened.header.as_ref().and_then(Header::metadata).cloned().unwrap_or_default();
    let rest = json!({
        "version": opened.version,
        "count": opened.count,
        "size": opened.size,
        "modified": opened.modified,
        "pinned": state.app.chats.is_pinned(handle, chat)?,
        "metadata": metadata,
    });
    let mut view = merged(head, rest);
    under_way(state, handle, chat, &mut view);
    Ok(view)
}

/// Names the reply that is being written in a chat, if one is.
fn under_way(state: &State, handle: &Handle, chat: &ChatRef, view: &mut Value) {
    if let Some(id) = state.app.talk.running_in(handle, &chat.character, &chat.chat) {
        view["generation"] = id.as_str().into();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Branch {
    index: usize,
    name: Option<String>,
}

/// `POST /api/v1/chats/{character}/{chat}/branch`.
pub async fn branch(mut call: Call) -> Result<Reply> {
    let Branch { index, name } = call.json().await?;
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || {
        let Branched { chat, from } = state.app.chats.branch(&handle, &chat, index, name.as_deref())?;
        let answer = json!({ "character": chat.character, "chat": chat.chat, "fromVersion": from });
        Ok(reply::json_with(StatusCode::CREATED, &answer))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    version: Option<String>,
    name: Option<String>,
    pinned: Option<bool>,
    note: Option<Note>,
    #[serde(default, deserialize_with = "given")]
    persona: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    connection: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    model: Option<Option<String>>,
}

/// The author's note: words that go between the messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: Option<String>,
    depth: Option<u32>,
    role: Option<NoteRole>,
    interval: Option<u32>,
}

/// SillyTavern has numbers for them.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum NoteRole {
    System,
    User,
    Assistant,
}

/// Tells a null from nothing at all.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl Update {
    fn is_about_the_header(&self) -> bool {
        self.note.is_some() || self.persona.is_some() || self.connection.is_some() || self.model.is_some()
    }

    fn apply(&self, header: &mut Header) {
        for (field, value) in [("persona", &self.persona), ("connection", &self.connection), ("model", &self.model)] {
            if let Some(value) = value {
                header.set_ours(field, value.clone().map(Value::from));
            }
        }
        let Some(note) = &self.note else { return };
        let metadata = header.metadata_mut();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        };
        set("note_prompt", note.text.clone().map(Value::from));
        set("note_interval", note.interval.map(Value::from));
        set("note_depth", note.depth.map(Value::from));
        set("note_role", note.role.map(|role| (role as u8).into()));
        // In the chat, at its depth; SillyTavern has other places as well.
        metadata.entry("note_position").or_insert_with(|| 1.into());
    }
}

/// `PATCH /api/v1/chats/{character}/{chat}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let update: Update = call.json().await?;
    // A pin is beside the chat, and replaces nothing.
    let is_about_the_file = update.name.is_some() || update.is_about_the_header();
    let expected = if is_about_the_file { named } else { expect }(update.version.as_deref())?;
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || {
        let chats = &state.app.chats;
        let mut now = (chat, expected);
        // First what may be refused, and is done whole or not at all; a new name leaves the version as it is.
        if let Some(name) = &update.name {
            now.0 = state.app.rename_chat(&handle, &now.0, now.1, name)?;
        }
        if update.is_about_the_header() {
            chats.change_header(&handle, &now.0, now.1, |header| {
                update.apply(header);
                Ok(())
            })?;
        }
        if let Some(pinned) = update.pinned {
            chats.pin(&handle, &now.0, pinned)?;
        }
        let opened = chats.open(&handle, &now.0)?;
        Ok(reply::json(&about(&state, &handle, &now.0, &opened)?))
    })
    .await
}

/// `DELETE /api/v1/chats/{character}/{chat}`: to the trash.
pub async fn delete(call: Call) -> Result<Reply> {
    let expected = named(call.query("version").as_deref())?;
    let (state, handle, chat) = (call.state.clone(), call.me()?.handle.clone(), chat(&call)?);
    blocking(move || {
        let id = state.app.chats.delete(&handle, &chat, expected)?;
        Ok(reply::json(&json!({ "trash": id })))
    })
    .await
}

/// `GET /api/v1/chats/{character}/{chat}/export`: streamed, as long chats are large.
pub async fn export(call: Call) -> Result<Reply> {
    let chat = chat(&call)?;
    download(call, chat).await
}

/// `GET /api/v1/group-chats/{chat}/export`.
pub async fn export_of_group(call: Call) -> Result<Reply> {
    let chat = group_chat(&call)?;
    download(call, chat).await
}

async fn download(call: Call, chat: ChatRef) -> Result<Reply> {
    let format = call.query("format").map_or(Ok(Format::Jsonl), |word| Format::parse(&word))?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let (looking, whose, which) = (state.clone(), handle.clone(), chat.clone());
    blocking(move || looking.app.chats.open(&whose, &which)).await?;
    let (ending, media_type) = format.ending();
    let name = format!("{}{ending}", chat.chat);
    let share = state.exports.take(handle.clone(), EXPORTS).ok_or_else(|| {
        Error::new(Kind::Busy, "busy", "Other chats are being downloaded. Wait until they are done, and try again.")
    })?;
    let (mut writer, pieces) = pipe::open();
    tokio::task::spawn_blocking(move || {
        let _share = share;
        if let Err(error) = state.app.chats.export(&handle, &chat, format, &mut writer) {
            tracing::info!(?error, %handle, "an export was not finished");
            writer.fail(std::io::Error::other(error.message().to_owned()));
        }
    });
    let mut answer = warp::reply::stream(pieces).into_response();
    reply::set(&mut answer, header::CONTENT_TYPE, media_type);
    reply::set_file_name(&mut answer, &name);
    Ok(answer)
}

/// `POST /api/v1/characters/{character}/chats/import`: a file in one of the known formats, whatever it is called.
pub async fn bring_in(mut call: Call) -> Result<Reply> {
    let (state, account, character) = (call.state.clone(), call.me()?.clone(), call.character()?);
    let name = call.file_name();
    let bytes = call.bytes().await?;
    blocking(move || {
        let row = state.app.characters.row(&account.handle, &character)?;
        let row = row.ok_or_else(|| Error::not_found("There is no such character."))?;
        let speakers = Speakers { character: &row.name, user: &state.app.name_of(&account)? };
        let read = import::read(&bytes, speakers)?;
        drop(bytes);
        // The name of a file is the name of a chat only where the file is one.
        let stem = name.as_deref().and_then(|name| name.strip_suffix(".jsonl")).filter(|_| read.len() == 1);
        let made = state.app.chats.import(&account.handle, &character, &row.name, stem, read)?;
        let names: Vec<&str> = made.iter().map(|chat| chat.chat.as_str()).collect();
        Ok(reply::json_with(StatusCode::CREATED, &json!({ "chats": names })))
    })
    .await
}
