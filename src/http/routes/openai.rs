//! The OpenAI-compatible API, `/v1`.

use crate::http::table::Route;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![]
}
