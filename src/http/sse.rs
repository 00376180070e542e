//! Server-Sent Events: a body that goes on until there is nothing more to tell, or whoever listens may not listen any more.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};
use warp::Reply as _;
use warp::http::header::{self, HeaderName};

use super::call::{Call, Person};
use super::reply::{self, Reply};
use super::state::State;
use crate::error;

/// Between two looks at whether somebody may still listen.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks without a word, one is said so that nobody on the way takes the silence for the end.
const QUIET: u32 = 15;

/// Adds an event to what is sent.
pub fn write(out: &mut Vec<u8>, name: &str, id: Option<u64>, data: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    if let Some(id) = id {
        out.extend_from_slice(format!("\nid: {id}").as_bytes());
    }
    out.extend_from_slice(b"\ndata: ");
    let before = out.len();
    // JSON has no line ends in it. What cannot be told at all is told as nothing.
    if serde_json::to_writer(&mut *out, data).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b"\n\n");
}

/// An event without a name, as OpenAI's libraries expect it.
pub fn unnamed(data: impl Display) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// What clients pass over, and whoever is on the way takes for life.
pub fn still_here() -> Bytes {
    Bytes::from_static(b": still here\n\n")
}

/// The id of the last event that arrived, as a browser names it when it comes back; a program may put it into the query.
pub fn last_event_id(call: &Call) -> Option<u64> {
    let named = call.header("last-event-id").map(str::to_owned).or_else(|| call.query("after"))?;
    named.trim().parse().ok()
}

/// Whether somebody may still listen; to be asked every now and then.
pub struct Guard {
    state: Arc<State>,
    person: Person,
    looks: Looks,
}

/// When to look, and how long nothing has been said.
pub struct Looks {
    look: Interval,
    quiet: u32,
}

impl Looks {
    /// From now on.
    pub fn start() -> Self {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { look, quiet: 0 }
    }

    /// Something was said.
    pub fn said_something(&mut self) {
        self.quiet = 0;
    }

    /// Waits for the next look, and tells whether nothing was said for long. Dropping the future loses nothing.
    pub async fn next(&mut self) -> bool {
        self.look.tick().await;
        self.quiet = (self.quiet + 1) % QUIET;
        self.quiet == 0
    }
}

/// What a look found.
pub enum Look {
    /// They may not.
    Over,
    /// They may, and have heard nothing for long.
    Quiet,
    /// They may.
    Fine,
}

impl Guard {
    /// For whoever calls.
    pub fn of(call: &Call) -> error::Result<Self> {
        Ok(Self { state: Arc::clone(&call.state), person: call.person()?.clone(), looks: Looks::start() })
    }

    /// Something was said.
    pub fn said_something(&mut self) {
        self.looks.said_something();
    }

    /// Waits for the next look. Dropping the future loses nothing.
    pub async fn look(&mut self) -> Look {
        let quiet = self.looks.next().await;
        match self.state.is_still_in(&self.person) {
            false => Look::Over,
            true if quiet => Look::Quiet,
            true => Look::Fine,
        }
    }
}

/// An answer that goes on for as long as `next` gives something.
pub fn reply<S, F>(start: S, next: impl FnMut(S) -> F + Send + 'static) -> Reply
where
    S: Send + 'static,
    F: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    let told = Shared(Mutex::new(Box::pin(futures_util::stream::unfold(start, next))));
    answer(told)
}

/// An answer that is told piece by piece.
pub fn answer<E>(told: impl Stream<Item = Result<Bytes, E>> + Send + Sync + 'static) -> Reply
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + Sync + 'static,
{
    let mut answer = warp::reply::stream(told).into_response();
    reply::set(&mut answer, header::CONTENT_TYPE, "text/event-stream; charset=utf-8");
    // Proxies are not to collect what is to be told at once.
    reply::set(&mut answer, HeaderName::from_static("x-accel-buffering"), "no");
    answer
}

/// A stream that one asks alone, for a body that has to be [`Sync`].
struct Shared(Mutex<Pin<Box<dyn Stream<Item = Bytes> + Send>>>);

impl Stream for Shared {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let told = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        told.as_mut().poll_next(context).map(|next| next.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_few_lines() {
        let mut out = Vec::new();
        write(&mut out, "text", Some(7), &serde_json::json!({ "text": "a\nb" }));
        write(&mut out, "ping", None, &serde_json::json!({}));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "event: text\nid: 7\ndata: {\"text\":\"a\\nb\"}\n\nevent: ping\ndata: {}\n\n"
        );
    }
}
