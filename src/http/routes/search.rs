//! Search.

use warp::http::Method;

use crate::access::Permission::ChatsOwn;
use crate::http::own::search;
use crate::http::table::{Route, Who};
use Who::May;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        // Our dialect: search
        Route::new(Method::GET, "/api/v1/search", May(ChatsOwn), "find messages by their words", search::search),
    ]
}
