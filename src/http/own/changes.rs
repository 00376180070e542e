//! `GET /api/v1/me/changes`: what changes in somebody's other windows.

use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::Reply;
use crate::http::sse::{self, Guard, Look};
use crate::library::changes::{Heard, Listener};

struct Window {
    listener: Listener,
    guard: Guard,
    stopping: CancellationToken,
    /// Whether the first word is still to be said: until then a browser does not know that it is connected.
    is_new: bool,
}

/// `GET /api/v1/me/changes`.
pub async fn follow(call: Call) -> Result<Reply> {
    let window = Window {
        listener: call.state.app.changes.subscribe(&call.me()?.handle),
        guard: Guard::of(&call)?,
        stopping: call.state.stopping.clone(),
        is_new: true,
    };
    Ok(sse::reply(window, Window::next))
}

impl Window {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut out = Vec::new();
        if std::mem::replace(&mut self.is_new, false) {
            sse::write(&mut out, "ping", None, &json!({}));
            return Some((out.into(), self));
        }
        loop {
            tokio::select! {
                heard = self.listener.next() => match heard {
                    Heard::Change(change) => sse::write(&mut out, change.name(), None, &change),
                    // More than a window can be told at once: it is to load what it shows anew.
                    Heard::Missed => sse::write(&mut out, "missed", None, &json!({})),
                    Heard::End => return None,
                },
                look = self.guard.look() => match look {
                    Look::Over => return None,
                    Look::Quiet => sse::write(&mut out, "ping", None, &json!({})),
                    Look::Fine => continue,
                },
                () = self.stopping.cancelled() => return None,
            }
            self.guard.said_something();
            return Some((out.into(), self));
        }
    }
}
