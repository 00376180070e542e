//! `GET /api/v1/events`: the audit log.

use serde_json::json;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// The most events in one answer.
const MOST: usize = 500;

/// `GET /api/v1/events?before=&limit=`.
pub async fn list(call: Call) -> Result<Reply> {
    let number = |name: &str| {
        let text = call.query(name);
        text.map(|text| {
            text.parse::<u64>().map_err(|_| Error::invalid("bad_request", format!("{name} is not a number.")))
        })
        .transpose()
    };
    let (before, limit) = (number("before")?, number("limit")?.unwrap_or(100));
    let limit = usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST);
    let state = call.state.clone();
    blocking(move || {
        let (events, more) = state.app.events.page(before, limit)?;
        Ok(reply::json(&json!({ "events": events, "more": more })))
    })
    .await
}
