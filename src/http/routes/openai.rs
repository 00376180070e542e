//! The OpenAI-compatible API, `/v1`. Who calls is told by an API key alone.

use warp::http::Method;

use crate::access::Permission::ModelsUse;
use crate::http::openai::{chat, models};
use crate::http::table::{Route, Who};
use Who::May;

/// A long chat with some pictures in it.
const CHAT: u64 = 32 * 1024 * 1024;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/models", May(ModelsUse), "the models that one can ask", models::list),
        Route::new(Method::GET, "/v1/models/{*id}", May(ModelsUse), "one of them", models::get),
        Route::new(Method::POST, "/v1/chat/completions", May(ModelsUse), "ask a model", chat::complete).takes(CHAT),
    ]
}
