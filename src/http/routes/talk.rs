//! Asking models: generations, prompts; what changes in other windows.

use crate::http::table::Route;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![]
}
