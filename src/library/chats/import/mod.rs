//! Chats from elsewhere, recognised by their shape: SillyTavern and what it imports (Kobold Lite, text-generation-webui,
//! Agnai, CAI Tools, RisuAI, Chub), and the exports of ChatGPT, Claude, LibreChat, Chatbot UI and Grok.
//!
//! What comes is a stranger's: sizes are bounded by the request's, depth by the parser, and chains of messages by their
//! number. Of a conversation that branches, the branch that was looked at last is taken.

mod assistants;
mod roleplay;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{ChatRef, Chats, Header, Message, dates, naming};
use crate::clock;
use crate::config::ByteSize;
use crate::error::{Error, Kind, Result};
use crate::store::{FileName, Handle};

/// More conversations than this are not taken at once.
const CHATS_MAX: usize = 10_000;
/// A conversation in one object is read as values, which take many times its size; a larger one is not.
const OBJECT_MAX: usize = 64 * 1024 * 1024;

/// Who speaks, where a file does not say.
#[derive(Debug, Clone, Copy)]
pub struct Speakers<'a> {
    /// What the character is called.
    pub character: &'a str,
    /// What the person is called.
    pub user: &'a str,
}

/// A chat that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What it was called there.
    pub title: Option<String>,
    /// Its file.
    pub text: Vec<u8>,
}

/// A chat that is being put together.
struct Draft<'a> {
    speakers: Speakers<'a>,
    title: Option<String>,
    messages: Vec<Message>,
}

impl<'a> Draft<'a> {
    fn new(speakers: Speakers<'a>, title: Option<&Value>) -> Self {
        let title = title.and_then(Value::as_str).map(str::trim).filter(|title| !title.is_empty());
        Self { speakers, title: title.map(str::to_owned), messages: Vec::new() }
    }

    /// Adds what somebody said, unless it is nothing.
    fn say(&mut self, is_user: bool, text: &str, date: Option<&Value>) -> Option<&mut Message> {
        if text.trim().is_empty() {
            return None;
        }
        let name = if is_user { self.speakers.user } else { self.speakers.character };
        let mut message = Message::new(name, is_user, text);
        if let Some(at) = date.and_then(dates::parse) {
            message.fields_mut().insert("send_date".to_owned(), clock::rfc3339(at).into());
        }
        self.messages.push(message);
        self.messages.last_mut()
    }

    fn finish(self) -> Result<Option<Imported>> {
        if self.messages.is_empty() {
            return Ok(None);
        }
        let mut text = Header::new(Map::new())?.to_line()?;
        for message in &self.messages {
            text.push(b'\n');
            text.extend(message.to_line()?);
        }
        Ok(Some(Imported { title: self.title, text }))
    }
}

/// Reads a file that holds chats.
pub fn read(bytes: &[u8], speakers: Speakers<'_>) -> Result<Vec<Imported>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let chats = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => many(bytes, speakers)?,
        Some(b'{') => one_or_lines(bytes, speakers)?,
        _ => return Err(unknown()),
    };
    if chats.is_empty() {
        return Err(Error::invalid("nothing_there", "There are no messages in this file. Nothing was changed."));
    }
    if chats.len() > CHATS_MAX {
        return Err(Error::invalid("too_many", format!("At most {CHATS_MAX} conversations are taken at once.")));
    }
    Ok(chats)
}

/// A list: of conversations, each read for itself so that only one is held as values, or of one chat's messages.
fn many(bytes: &[u8], speakers: Speakers<'_>) -> Result<Vec<Imported>> {
    let items: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(damaged)?;
    let mut chats = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for item in items {
        check_size(item)?;
        let value: Value = serde_json::from_str(item.get()).map_err(damaged)?;
        let Value::Object(fields) = value else { return Err(unknown()) };
        if fields.contains_key("chat_messages")
            || fields.contains_key("mapping")
            || fields.contains_key("conversationId")
        {
            chats.extend(assistants::read(&fields, speakers)?);
        } else if fields.contains_key("mes") || fields.contains_key("chat_metadata") {
            lines.push(item.get());
        } else {
            return Err(unknown());
        }
    }
    match (chats.is_empty(), lines.is_empty()) {
        (_, true) => Ok(chats),
        (true, false) => {
            // One line each, whatever way they were written in.
            let lines: Result<Vec<String>> = lines.into_iter().map(compact).collect();
            roleplay::lines(lines?.join("\n").as_bytes())
        }
        (false, false) => Err(unknown()),
    }
}

fn check_size(object: &RawValue) -> Result<()> {
    if object.get().len() <= OBJECT_MAX {
        return Ok(());
    }
    let most = format!(
        "A conversation in one piece of JSON has at most {}. Nothing was changed.",
        ByteSize(OBJECT_MAX as u64).in_words()
    );
    Err(Error::new(Kind::TooLarge, "too_large", most))
}

fn compact(text: &str) -> Result<String> {
    let value: Value = serde_json::from_str(text).map_err(damaged)?;
    serde_json::to_string(&value).map_err(Error::internal)
}

/// One object is a conversation, or a collection of them; several, one a line, are SillyTavern's.
fn one_or_lines(bytes: &[u8], speakers: Speakers<'_>) -> Result<Vec<Imported>> {
    if bytes.len() > OBJECT_MAX {
        // Only looked over: lines, of whatever length the whole is, are no single value.
        if let Ok(one) = serde_json::from_slice(bytes.trim_ascii()) {
            check_size(one)?;
        }
        return roleplay::lines(bytes);
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(bytes) else { return roleplay::lines(bytes) };
    if let Some(chats) = roleplay::read(&fields, speakers)? {
        return Ok(chats);
    }
    if assistants::is_one(&fields) {
        return assistants::read(&fields, speakers);
    }
    if fields.contains_key("chat_metadata") || fields.contains_key("user_name") || fields.contains_key("mes") {
        return roleplay::lines(bytes);
    }
    Err(unknown())
}

impl Chats {
    /// Makes chats of what was read: all of them, or none.
    pub fn import(
        &self,
        handle: &Handle,
        character: &FileName,
        character_name: &str,
        name: Option<&str>,
        imported: Vec<Imported>,
    ) -> Result<Vec<ChatRef>> {
        let mut made = Vec::new();
        for chat in imported {
            let title = chat.title.as_deref().or(name).and_then(|title| naming::typed_name(title).ok());
            let base = match title {
                Some(title) => title,
                None => naming::imported_name(character_name)?,
            };
            match self.create_file(handle, character, |n| naming::numbered(&base, n), &chat.text) {
                Ok((chat, _)) => made.push(chat),
                Err(error) => {
                    self.unmake(handle, &made);
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Removes chats that were made a moment ago, since others could not be; the file that they came from has them still.
    fn unmake(&self, handle: &Handle, made: &[ChatRef]) {
        let unmade =
            self.writing(handle, |writer| made.iter().try_for_each(|chat| writer.remove(&chat.place(handle)?)));
        unmade.unwrap_or_else(|error| tracing::warn!(?error, %handle, "half of an import is left"));
        self.tell_list(handle);
    }
}

fn damaged(error: serde_json::Error) -> Error {
    Error::invalid("damaged", "This file is damaged: it is not whole JSON. Nothing was changed.").because(error)
}

fn unknown() -> Error {
    Error::invalid(
        "unknown_format",
        "This is no chat in a format that is known here: SillyTavern, Kobold Lite, text-generation-webui, Agnai, CAI \
         Tools, RisuAI, ChatGPT, Claude, LibreChat, Chatbot UI, Grok. Nothing was changed.",
    )
}
