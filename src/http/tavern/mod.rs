//! SillyTavern's dialect: the paths, fields, statuses and shapes of its 1.19 web client, translated to domain calls.
//!
//! Facts: `contracts/sillytavern/http.md`. What is different on purpose stands in `docs/differences.md`.

pub mod admin;
pub mod core;
pub mod settings;
pub mod users;
