//! SillyTavern's own format, and those that it imports.

use serde_json::{Map, Value};

use super::{Draft, Imported, Speakers, damaged, unknown};
use crate::error::{Error, Result};
use crate::library::chats::lines::Scan;
use crate::library::chats::{Header, Message};

/// What Kobold Lite puts before what the person and the model say.
const KOBOLD_MARKS: [&str; 2] = ["{{[INPUT]}}", "{{[OUTPUT]}}"];

/// A chat in lines. They are kept as they are, damaged ones too, if the first one is of a chat.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Imported>> {
    let mut scan = Scan::new();
    scan.look(bytes);
    let found = scan.finish();
    let slice = |n: usize| {
        let range = found.range(n)?;
        bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    };
    let first = slice(0).and_then(Message::parse).ok_or_else(unknown)?;
    let names = ["user_name", "name", "chat_metadata", "mes"];
    if !names.iter().any(|name| first.fields().contains_key(*name)) {
        return Err(unknown());
    }
    let has_header = slice(0).and_then(Header::parse).is_some();
    let mut text = Vec::with_capacity(bytes.len() + 200);
    if !has_header {
        text.extend(Header::new(Map::new())?.to_line()?);
    }
    for n in 0..found.count() {
        if !text.is_empty() {
            text.push(b'\n');
        }
        let line = slice(n).unwrap_or_default();
        match flattened(line)? {
            Some(line) => text.extend(line),
            None => text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line)),
        }
    }
    let is_empty = found.count() <= usize::from(has_header);
    Ok(if is_empty { Vec::new() } else { vec![Imported { title: None, text }] })
}

/// A line of Chub's, whose words are objects with the words inside; other lines stay as they are.
fn flattened(line: &[u8]) -> Result<Option<Vec<u8>>> {
    let is_suspect = ["\"mes\":{", "\"mes\": {", "\"swipes\":[{", "\"swipes\": [{"]
        .iter()
        .any(|sign| memchr::memmem::find(line, sign.as_bytes()).is_some());
    let Some(mut message) = is_suspect.then(|| Message::parse(line)).flatten() else { return Ok(None) };
    let inner = |value: &Value| value.get("message").and_then(Value::as_str).map(Value::from);
    let fields = message.fields_mut();
    if let Some(text) = fields.get("mes").and_then(inner) {
        fields.insert("mes".to_owned(), text);
    }
    if let Some(Value::Array(swipes)) = fields.get_mut("swipes") {
        for swipe in swipes {
            if let Some(text) = inner(swipe) {
                *swipe = text;
            }
        }
    }
    message.to_line().map(Some)
}

/// The other formats. `None` if it is none of them.
pub(super) fn read(fields: &Map<String, Value>, speakers: Speakers<'_>) -> Result<Option<Vec<Imported>>> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array);
    let chats = if fields.contains_key("savedsettings") {
        one(kobold(fields, speakers)?)?
    } else if let Some(histories) = fields.get("histories") {
        let histories =
            histories.get("histories").or(Some(histories)).and_then(Value::as_array).ok_or_else(incomplete)?;
        histories.iter().filter_map(|history| cai(history, speakers).transpose()).collect::<Result<_>>()?
    // What is shown, in the words of an older text-generation-webui and of a newer one.
    } else if let Some(pairs) = list("data_visible").or_else(|| list("internal").and_then(|_| list("visible"))) {
        one(ooba(pairs, speakers))?
    } else if fields.get("type").and_then(Value::as_str) == Some("risuChat") {
        one(risu(fields, speakers)?)?
    } else if let Some(messages) = list("messages").filter(|list| list.iter().any(|said| said.get("msg").is_some())) {
        one(agnai(messages, speakers))?
    } else {
        return Ok(None);
    };
    Ok(Some(chats))
}

fn one(draft: Draft<'_>) -> Result<Vec<Imported>> {
    Ok(draft.finish()?.into_iter().collect())
}

fn incomplete() -> Error {
    damaged(serde::de::Error::custom("a list is missing"))
}

fn kobold(fields: &Map<String, Value>, speakers: Speakers<'_>) -> Result<Draft<'static>> {
    let saved = &fields["savedsettings"];
    let named = |field: &str, otherwise: &str| {
        let name = saved.get(field).and_then(Value::as_str).unwrap_or_default();
        let name = name.split("||$||").next().unwrap_or_default().trim();
        if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
    };
    let (user, character) = (named("chatname", speakers.user), named("chatopponent", speakers.character));
    let mut draft = Draft::new(Speakers { user: "", character: "" }, None);
    let actions = fields.get("actions").and_then(Value::as_array).ok_or_else(incomplete)?;
    for said in fields.get("prompt").into_iter().chain(actions).filter_map(Value::as_str) {
        let is_user = said.contains(KOBOLD_MARKS[0]);
        let words = KOBOLD_MARKS.iter().fold(said.to_owned(), |words, mark| words.replace(mark, ""));
        if let Some(message) = draft.say(is_user, words.trim(), None) {
            let name = if is_user { &user } else { &character };
            message.fields_mut().insert("name".to_owned(), name.as_str().into());
        }
    }
    Ok(draft)
}

fn cai(history: &Value, speakers: Speakers<'_>) -> Result<Option<Imported>> {
    let mut draft = Draft::new(speakers, None);
    for said in history.get("msgs").and_then(Value::as_array).ok_or_else(incomplete)? {
        let is_user = said["src"]["is_human"].as_bool().unwrap_or(false);
        draft.say(is_user, said["text"].as_str().unwrap_or_default(), said.get("created"));
    }
    draft.finish()
}

fn ooba<'a>(pairs: &[Value], speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, None);
    for pair in pairs {
        for (at, is_user) in [(0, true), (1, false)] {
            draft.say(is_user, pair.get(at).and_then(Value::as_str).unwrap_or_default(), None);
        }
    }
    draft
}

fn agnai<'a>(messages: &[Value], speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, None);
    for said in messages {
        let is_user = said.get("userId").is_some_and(|id| !id.is_null() && id.as_str() != Some(""));
        draft.say(is_user, said["msg"].as_str().unwrap_or_default(), said.get("createdAt"));
    }
    draft
}

fn risu<'a>(fields: &Map<String, Value>, speakers: Speakers<'a>) -> Result<Draft<'a>> {
    let data = fields.get("data").unwrap_or(&Value::Null);
    let mut draft = Draft::new(speakers, data.get("name"));
    for said in data.get("message").and_then(Value::as_array).ok_or_else(incomplete)? {
        let is_user = said["role"].as_str() == Some("user");
        let name = said.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let message = draft.say(is_user, said["data"].as_str().unwrap_or_default(), said.get("time"));
        if let (Some(message), Some(name)) = (message, name) {
            message.fields_mut().insert("name".to_owned(), name.into());
        }
    }
    Ok(draft)
}
