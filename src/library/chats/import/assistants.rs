//! What ChatGPT, Claude, LibreChat, Chatbot UI and Grok give out.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Draft, Imported, Speakers, damaged};
use crate::error::{Error, Result};
use crate::library::chats::Message;

/// Whether this is a conversation, or a collection of them.
pub(super) fn is_one(fields: &Map<String, Value>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    has("chat_messages")
        || has("mapping")
        || has("conversations")
        || (has("version") && has("history"))
        || (has("conversationId") && (has("messages") || has("messagesTree")))
}

/// Its chats.
pub(super) fn read(fields: &Map<String, Value>, speakers: Speakers<'_>) -> Result<Vec<Imported>> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array);
    let one = |draft: Draft<'_>| Ok(draft.finish()?.into_iter().collect());
    if let Some(messages) = list("chat_messages") {
        return one(claude(fields, messages, speakers));
    }
    if let Some(mapping) = fields.get("mapping").and_then(Value::as_object) {
        return one(chatgpt(fields, mapping, speakers));
    }
    if let Some(tree) = list("messagesTree") {
        return one(librechat_tree(fields, tree, speakers));
    }
    if let Some(messages) = list("messages") {
        // With `recursive`, the list is a tree as well.
        let is_tree = messages.iter().any(|said| said.get("children").is_some_and(Value::is_array));
        return one(if is_tree {
            librechat_tree(fields, messages, speakers)
        } else {
            librechat(fields, messages, speakers)
        });
    }
    if let Some(history) = list("history") {
        return each(history, |chat| chatbot_ui(chat, speakers).finish());
    }
    if let Some(conversations) = list("conversations") {
        return each(conversations, |chat| grok(chat, speakers).finish());
    }
    Err(incomplete())
}

fn each(chats: &[Value], read: impl Fn(&Value) -> Result<Option<Imported>>) -> Result<Vec<Imported>> {
    chats.iter().filter_map(|chat| read(chat).transpose()).collect()
}

fn incomplete() -> Error {
    damaged(serde::de::Error::custom("a list is missing"))
}

/// Says what the model thought, if it did.
fn think(message: Option<&mut Message>, thoughts: &str) {
    if let Some(message) = message.filter(|_| !thoughts.trim().is_empty()) {
        message.set_reasoning(thoughts.trim());
    }
}

fn note_model(message: Option<&mut Message>, model: Option<&Value>) {
    if let (Some(message), Some(model)) = (message, model.and_then(Value::as_str)) {
        message.extra_mut().insert("model".to_owned(), model.into());
    }
}

/// The texts of parts of one kind, one after another.
fn parts(content: Option<&Value>, kind: &str, field: &str) -> String {
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    let of_kind = parts.filter(|part| part["type"].as_str() == Some(kind));
    let text = |part: &Value| {
        let value = part.get(field)?;
        value.as_str().or_else(|| value.get("value")?.as_str()).map(str::to_owned)
    };
    of_kind.filter_map(text).collect::<Vec<_>>().join("\n\n")
}

fn claude<'a>(fields: &Map<String, Value>, messages: &[Value], speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, fields.get("name").or(fields.get("title")));
    for said in messages {
        let written = parts(said.get("content"), "text", "text");
        let text = if written.trim().is_empty() { said["text"].as_str().unwrap_or_default() } else { &written };
        let thoughts = parts(said.get("content"), "thinking", "thinking");
        let message = draft.say(said["sender"].as_str() == Some("human"), text, said.get("created_at"));
        think(message, &thoughts);
    }
    draft
}

fn chatgpt<'a>(fields: &Map<String, Value>, mapping: &Map<String, Value>, speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, fields.get("title"));
    let is_leaf = |node: &Value| node["children"].as_array().is_none_or(Vec::is_empty) && !node["message"].is_null();
    let last_leaf = || mapping.iter().rev().find(|(_, node)| is_leaf(node)).map(|(id, _)| id.as_str());
    let current = fields.get("current_node").and_then(Value::as_str).filter(|id| mapping.contains_key(*id));
    let path = upwards(current.or_else(last_leaf), |id| mapping.get(id).and_then(|node| node["parent"].as_str()));
    let mut thoughts = String::new();
    for said in path.iter().filter_map(|id| mapping.get(*id)?.get("message")) {
        let is_hidden = said["metadata"]["is_visually_hidden_from_conversation"].as_bool().unwrap_or(false);
        let role = said["author"]["role"].as_str().unwrap_or_default();
        if is_hidden || !matches!(role, "user" | "assistant") {
            continue;
        }
        let content = &said["content"];
        match content["content_type"].as_str() {
            Some("thoughts") => {
                for thought in content["thoughts"].as_array().into_iter().flatten() {
                    for field in ["summary", "content"] {
                        thoughts.push_str(thought[field].as_str().unwrap_or_default());
                        thoughts.push('\n');
                    }
                }
            }
            Some("text" | "multimodal_text") | None => {
                let words = content["parts"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()));
                let text = words.collect::<Vec<_>>().join("\n\n");
                let message = draft.say(role == "user", &text, said.get("create_time"));
                if message.is_some() && role == "assistant" {
                    let message = draft.messages.last_mut();
                    think(message, &std::mem::take(&mut thoughts));
                    note_model(draft.messages.last_mut(), said["metadata"].get("model_slug"));
                }
            }
            Some(_) => {}
        }
    }
    draft
}

/// From a node up to the root, and that turned round. A chain that bites its own tail ends there.
fn upwards<'a>(leaf: Option<&'a str>, parent: impl Fn(&str) -> Option<&'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let mut path = Vec::new();
    let mut at = leaf;
    while let Some(id) = at.filter(|id| seen.insert(*id)) {
        path.push(id);
        at = parent(id);
    }
    path.reverse();
    path
}

fn librechat<'a>(fields: &Map<String, Value>, messages: &[Value], speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, fields.get("title"));
    let id = |said: &'_ Value| said["messageId"].as_str().map(str::to_owned);
    let by_id: HashMap<String, &Value> = messages.iter().filter_map(|said| Some((id(said)?, said))).collect();
    let leaf = messages.last().and_then(|said| said["messageId"].as_str());
    let path = upwards(leaf, |id| {
        let parent = by_id.get(id)?["parentMessageId"].as_str()?;
        by_id.get(parent)?["messageId"].as_str()
    });
    // Without parents they are in order.
    let has_parents =
        messages.iter().any(|said| said["parentMessageId"].as_str().is_some_and(|id| by_id.contains_key(id)));
    if has_parents {
        path.iter().filter_map(|id| by_id.get(*id)).for_each(|said| librechat_says(&mut draft, said));
    } else {
        messages.iter().for_each(|said| librechat_says(&mut draft, said));
    }
    draft
}

/// A tree: of several answers the last one is followed.
fn librechat_tree<'a>(fields: &Map<String, Value>, tree: &[Value], speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, fields.get("title"));
    let mut level = tree;
    // As they are nested, the parser has bounded how deep this goes.
    while let Some(said) = level.last() {
        librechat_says(&mut draft, said);
        level = said["children"].as_array().map_or(&[], Vec::as_slice);
    }
    draft
}

fn librechat_says(draft: &mut Draft<'_>, said: &Value) {
    let written = parts(said.get("content"), "text", "text");
    let text = match said["text"].as_str() {
        Some(text) if !text.trim().is_empty() => text,
        _ => &written,
    };
    let is_user = said["isCreatedByUser"].as_bool().unwrap_or(said["sender"].as_str() == Some("User"));
    let message = draft.say(is_user, text, said.get("createdAt"));
    if message.is_some() && !is_user {
        think(draft.messages.last_mut(), &parts(said.get("content"), "think", "think"));
        note_model(draft.messages.last_mut(), said.get("model"));
    }
}

fn chatbot_ui<'a>(chat: &Value, speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, chat.get("name"));
    for said in chat["messages"].as_array().into_iter().flatten() {
        let role = said["role"].as_str().unwrap_or_default();
        if matches!(role, "user" | "assistant") {
            draft.say(role == "user", said["content"].as_str().unwrap_or_default(), None);
        }
    }
    draft
}

fn grok<'a>(chat: &Value, speakers: Speakers<'a>) -> Draft<'a> {
    let mut draft = Draft::new(speakers, chat["conversation"].get("title"));
    for said in chat["responses"].as_array().into_iter().flatten() {
        let said = said.get("response").unwrap_or(said);
        let is_user = said["sender"].as_str().is_some_and(|sender| sender.eq_ignore_ascii_case("human"));
        let ms = said["create_time"]["$date"]["$numberLong"].clone();
        let date = if ms.is_null() { said.get("create_time") } else { Some(&ms) };
        draft.say(is_user, said["message"].as_str().unwrap_or_default(), date);
    }
    draft
}
