//! `/api/v1/generations`: replies that the server asks for. Whoever starts one need not stay; whoever follows one can leave
//! and come back.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use warp::http::StatusCode;

use super::messages::{check_new, message_view};
use crate::conversation::generations::event::Event;
use crate::conversation::generations::shown::Watcher;
use crate::conversation::generations::tape::Numbered;
use crate::conversation::generations::{Generation, GenerationId, Kind, Order};
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::sse::{self, Guard, Look};
use crate::library::chats::{ChatRef, Message};
use crate::models::Parameters;

/// So much is put together at most, in bytes, before it is sent.
const AT_ONCE: usize = 64 * 1024;

/// What `POST` takes; `/api/v1/prompts` takes the same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    character: String,
    chat: String,
    #[serde(default)]
    version: Option<String>,
    kind: Kind,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    persona: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(default)]
    instruction: Option<String>,
}

impl Asked {
    /// As an order of whoever calls.
    pub fn order(self, call: &Call) -> Result<Order> {
        let chat = ChatRef::parse(&self.character, &self.chat)?;
        check_new(self.id.as_deref(), self.text.as_deref(), &self.images)?;
        Ok(Order {
            handle: call.me()?.handle.clone(),
            character: chat.character,
            chat: chat.chat,
            version: self.version,
            kind: self.kind,
            text: self.text,
            images: self.images,
            id: self.id,
            persona: self.persona,
            connection: self.connection,
            model: self.model,
            parameters: self.parameters,
            instruction: self.instruction,
        })
    }
}

/// `POST /api/v1/generations`.
pub async fn start(mut call: Call) -> Result<Reply> {
    let asked: Asked = call.json().await?;
    let order = asked.order(&call)?;
    let started = call.state.app.talk.start(order).await?;
    let mut answer = json!({ "id": started.id, "version": started.version });
    if let Some((index, message)) = &started.user_message {
        answer["userMessage"] = message_view(*index, message);
    }
    Ok(reply::json_with(StatusCode::ACCEPTED, &answer))
}

/// `GET /api/v1/generations`.
pub async fn list(call: Call) -> Result<Reply> {
    let running = call.state.app.talk.list(&call.me()?.handle);
    Ok(reply::json(&json!({ "generations": running })))
}

/// `GET /api/v1/generations/{id}`.
pub async fn get(call: Call) -> Result<Reply> {
    Ok(reply::json(&one(&call)?.summary()))
}

/// `DELETE /api/v1/generations/{id}`.
pub async fn stop(call: Call) -> Result<Reply> {
    call.state.app.talk.stop(&call.me()?.handle, &GenerationId::parse(call.param("id"))?)?;
    Ok(reply::nothing())
}

/// `GET /api/v1/generations/{id}/events`. `?html=false` leaves the markup out.
pub async fn events(call: Call) -> Result<Reply> {
    let generation = one(&call)?;
    let named = sse::last_event_id(&call);
    if named.is_some_and(|at| generation.is_over_at(at)) {
        // What browsers take for "do not come back".
        return Ok(reply::nothing());
    }
    let wants_html = call.truth("html")?.unwrap_or(true);
    let follower = Follower {
        at: named.unwrap_or(0),
        progress: generation.progress(),
        watcher: wants_html.then(|| Watcher::of(&generation)),
        generation,
        guard: Guard::of(&call)?,
    };
    Ok(sse::reply(follower, Follower::next))
}

fn one(call: &Call) -> Result<Arc<Generation>> {
    call.state.app.talk.get(&call.me()?.handle, &GenerationId::parse(call.param("id"))?)
}

/// Somebody who follows a generation.
struct Follower {
    generation: Arc<Generation>,
    /// The place up to which they know it.
    at: u64,
    progress: watch::Receiver<u64>,
    watcher: Option<Watcher>,
    guard: Guard,
}

impl Follower {
    /// What is to be told next, as soon as there is something.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            self.progress.mark_unchanged();
            let out = self.take();
            if !out.is_empty() {
                self.guard.said_something();
                return Some((out.into(), self));
            }
            if self.generation.is_over_at(self.at) {
                return None;
            }
            tokio::select! {
                biased;
                changed = self.progress.changed() => changed.ok()?,
                look = self.guard.look() => match look {
                    Look::Over => return None,
                    Look::Quiet => return Some((sse::still_here(), self)),
                    Look::Fine => {}
                },
                html = html(&mut self.watcher) => {
                    let mut out = Vec::with_capacity(html.len() + html.len() / 8 + 64);
                    sse::write(&mut out, "html", Some(self.at), &json!({ "html": &*html }));
                    return Some((out.into(), self));
                }
            }
        }
    }

    /// All that came since.
    fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < AT_ONCE
            && let Some(Numbered { id, event }) = self.generation.after(self.at)
        {
            self.at = id;
            let name = event.name();
            match event {
                Event::Start(start) => sse::write(&mut out, name, Some(id), &start),
                Event::Queued(place) => sse::write(&mut out, name, Some(id), &json!({ "place": place })),
                Event::Text(text) | Event::Reasoning(text) => {
                    sse::write(&mut out, name, Some(id), &json!({ "text": text }));
                }
                Event::Done(mut done) => {
                    done.message = shown(done.index, done.message.take());
                    sse::write(&mut out, name, Some(id), &done);
                }
                Event::Failed(failed) => sse::write(&mut out, name, Some(id), &failed),
            }
        }
        out
    }
}

/// A message as chats show it.
fn shown(index: Option<usize>, message: Option<Value>) -> Option<Value> {
    match message? {
        Value::Object(fields) => Some(message_view(index?, &Message::of(fields))),
        _ => None,
    }
}

async fn html(watcher: &mut Option<Watcher>) -> Arc<str> {
    if let Some(html) = async { watcher.as_mut()?.next().await }.await {
        return html;
    }
    *watcher = None;
    std::future::pending().await
}
