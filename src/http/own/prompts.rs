//! `POST /api/v1/prompts`: what a model would be asked, part by part. Nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::generations::Asked;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// As many prompts one person may have in the making, or waiting for their turn. Each waits with the body of its request.
const PROMPTS: usize = 4;

/// `POST /api/v1/prompts`.
pub async fn show(mut call: Call) -> Result<Reply> {
    let asked: Asked = call.json().await?;
    let order = asked.order(&call)?;
    let state = call.state.clone();
    let handle = order.handle.clone();
    let share = state.prompts.take(handle.clone(), PROMPTS).ok_or_else(|| {
        let wait = Duration::from_secs(2);
        Error::too_many(wait, "Other prompts of yours are being put together; look again when they are done.")
    })?;
    let talk = Arc::clone(&state.app.talk);
    talk.in_turn(&handle, move || {
        let _share = share;
        let gathered = state.app.talk.house().gather(&order)?;
        let prompt = &gathered.prompt;
        let parts: Vec<_> = prompt
            .parts
            .iter()
            .map(|part| {
                json!({
                    "name": part.name,
                    "detail": part.detail,
                    "role": part.role,
                    "text": part.text,
                    "tokens": part.tokens,
                    "depth": part.depth,
                    "images": part.images,
                })
            })
            .collect();
        let messages: Vec<_> = gathered
            .ask
            .messages
            .iter()
            .map(|message| json!({ "role": message.role, "name": message.name, "text": message.words() }))
            .collect();
        let left_out = prompt.left_out;
        Ok(reply::json(&json!({
            "connection": gathered.connection.id,
            "connectionName": gathered.connection.name,
            "model": gathered.ask.model,
            "context": gathered.room.tokens,
            "contextSource": gathered.room.source,
            "reserved": gathered.reserve,
            "parts": parts,
            "messages": messages,
            "tokens": prompt.tokens,
            "exact": gathered.exact,
            "leftOut": {
                "messages": left_out.messages,
                "examples": left_out.examples,
                "lore": left_out.lore,
                "keys": left_out.keys,
            },
        })))
    })
    .await
}
