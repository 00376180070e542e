//! Chats, what was deleted, search.

use crate::http::table::Route;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![]
}
