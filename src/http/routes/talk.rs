//! Asking models: generations, prompts; what changes in other windows.

use warp::http::Method;

use crate::access::Permission::{ChatsOwn, ModelsUse};
use crate::http::own::{changes, generations, prompts};
use crate::http::table::{Route, Who};
use Who::May;

/// What a person says, with pictures as data URLs.
const WORDS: u64 = 64 * 1024 * 1024;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/api/v1/generations", May(ModelsUse), "ask for a reply", generations::start).takes(WORDS),
        Route::new(Method::GET, "/api/v1/generations", May(ModelsUse), "one's replies under way", generations::list),
        Route::new(Method::GET, "/api/v1/generations/{id}", May(ModelsUse), "how far a reply is", generations::get),
        Route::new(Method::DELETE, "/api/v1/generations/{id}", May(ModelsUse), "stop a reply; what came is kept", generations::stop),
        Route::new(Method::GET, "/api/v1/generations/{id}/events", May(ModelsUse), "follow a reply", generations::events),
        Route::new(Method::POST, "/api/v1/prompts", May(ModelsUse), "what a model would be asked", prompts::show).takes(WORDS),
        Route::new(Method::GET, "/api/v1/me/changes", May(ChatsOwn), "follow what changes in one's other windows", changes::follow),
    ]
}
