//! What a person owns beside chats: characters, personas, lorebooks.

use crate::http::table::Route;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![]
}
