//! `/api/v1/search`: messages by their words.

use serde_json::{Value, json};

use super::chats::{called, group_name, groups_of};
use super::views;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::library::search::{Answer, HITS_MAX, Hit};
use crate::store::FileName;

/// So many hits if the request does not say.
const HITS: usize = 20;

/// `GET /api/v1/search?q=&limit=&character=`.
pub async fn search(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let typed = call.query("q").unwrap_or_default();
    let limit = call.number("limit")?.unwrap_or(HITS);
    if !(1..=HITS_MAX).contains(&limit) {
        return Err(Error::invalid("bad_request", format!("limit has to be a number from 1 to {HITS_MAX}.")));
    }
    let character = match call.query("character").filter(|character| !character.is_empty()) {
        Some(character) => Some(FileName::parse(&character)?),
        None => None,
    };
    blocking(move || {
        let app = &state.app;
        let answer = app.search.search(&handle, &typed, character.as_ref(), limit)?;
        let groups = groups_of(&state, &handle, answer.hits.iter().map(|hit| &hit.chat))?;
        // Chats may outlive their character.
        let name = |id: &FileName| {
            let row = app.characters.row(&handle, id).ok().flatten();
            row.map_or_else(|| id.to_string(), |row| row.name.to_string())
        };
        Ok(reply::json(&view(&answer, |hit| match hit.chat.is_group() {
            true => json!({ "group": groups.get(&hit.chat.chat).map(|group| &group.id), "groupName": group_name(&groups, &hit.chat) }),
            false => json!({ "character": hit.chat.character, "characterName": name(&hit.chat.character) }),
        })))
    })
    .await
}

/// `with` names whom a chat is with.
fn view(answer: &Answer, with: impl Fn(&Hit) -> Value) -> Value {
    let hits: Vec<Value> = answer
        .hits
        .iter()
        .map(|hit| {
            let more = json!({
                "index": hit.index,
                "name": hit.name,
                "isUser": hit.is_user,
                "sentAt": hit.sent_at,
                "snippet": hit.snippet,
            });
            let mut view = with(hit);
            called(&mut view, hit.chat.chat.as_str());
            views::merged(view, more)
        })
        .collect();
    let mut view = json!({ "hits": hits });
    if let Some(total) = answer.total {
        view["total"] = json!(total);
    }
    if let Some(progress) = answer.indexing {
        view["indexing"] = json!({ "done": progress.done, "total": progress.total });
    }
    view
}
