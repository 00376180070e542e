//! `GET /api/v1/events`: the audit log.

use serde_json::json;

use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// The most events in one answer.
const MOST: usize = 500;

/// `GET /api/v1/events?before=&limit=`.
pub async fn list(call: Call) -> Result<Reply> {
    let limit = call.number("limit")?.unwrap_or(100).clamp(1, MOST);
    let before = call.number("before")?;
    let state = call.state.clone();
    blocking(move || {
        let (events, more) = state.app.events.page(before, limit)?;
        Ok(reply::json(&json!({ "events": events, "more": more })))
    })
    .await
}
