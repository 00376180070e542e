//! Model servers: connections, their keys, usage; API keys.

use crate::http::table::Route;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![]
}
