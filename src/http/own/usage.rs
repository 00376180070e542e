//! `/api/v1/me/usage`: what one had models do, in tokens.

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::models::usage::LONGEST;

/// `GET /api/v1/me/usage?days=`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let days =
        match call.query("days") {
            None => 30,
            Some(text) => text.parse().ok().filter(|days| (1..=LONGEST).contains(days)).ok_or_else(|| {
                Error::invalid("bad_request", format!("`days` has to be a number from 1 to {LONGEST}."))
            })?,
        };
    blocking(move || Ok(reply::json(&state.app.ledger.summary(&handle, days)?))).await
}
