//! `/api/v1/me/usage`: what one had models do, in tokens.

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::models::usage::LONGEST;

/// `GET /api/v1/me/usage?days=`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let days = call.number("days")?.unwrap_or(30);
    if !(1..=LONGEST).contains(&days) {
        return Err(Error::invalid("bad_request", format!("days has to be a number from 1 to {LONGEST}.")));
    }
    blocking(move || Ok(reply::json(&state.app.ledger.summary(&handle, days)?))).await
}
