//! OpenAI's dialect, `/v1`: the models of one's connections, for programs that speak to OpenAI.
//!
//! - [`models`]: which there are, and what a name means; [`chat`]: asking one
//! - [`request`]: what programs send; [`answer`]: what they get
//!
//! It holds no rules: it ends in the same calls as our own dialect.

pub mod answer;
pub mod chat;
pub mod models;
pub mod request;

use warp::http::{HeaderName, StatusCode};

use super::reply::{self, Reply};
use crate::error::{Error, Kind};

/// Tells OpenAI's libraries not to send the same again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An error as OpenAI tells them.
pub fn failed(status: StatusCode, error: &Error) -> Reply {
    let mut answer = reply::json_with(status, &answer::error(error));
    if !is_worth_a_retry(error) {
        reply::set(&mut answer, SHOULD_RETRY, "false");
    }
    answer
}

/// Their libraries repeat every 409, 429 and 5xx. That would cost money, or time, where it cannot help.
fn is_worth_a_retry(error: &Error) -> bool {
    match error.kind() {
        Kind::Upstream => matches!(error.code(), "model_busy" | "model_failed" | "model_unreachable"),
        Kind::TooMany(_) | Kind::Busy | Kind::Storage => true,
        _ => false,
    }
}
