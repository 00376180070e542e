//! The web. This room alone knows HTTP.
//!
//! A request's way: [`serve`] (accept, TLS, limits) → [`dispatch`] (one warp filter: addresses, hosts, the table) →
//! [`gate`] (session, CSRF, permission) → a handler of a dialect, which makes one domain call → [`reply`].
//!
//! - [`table`]: what a route is; [`routes`]: all of them, each with who may call it
//! - [`call`]: a request as a handler sees it
//! - [`tavern`]: SillyTavern's dialect; [`own`]: ours, under `/api/v1`; [`openai`]: OpenAI's, under `/v1`; [`pages`], [`shell`] and [`files`]: what browsers load

pub mod call;
pub mod cookies;
pub mod csrf;
pub mod dispatch;
pub mod files;
pub mod gate;
pub mod openai;
pub mod openapi;
pub mod own;
pub mod pages;
pub mod peer;
pub mod pipe;
pub mod reply;
pub mod routes;
pub mod serve;
pub mod shares;
pub mod shell;
pub mod sse;
pub mod state;
pub mod table;
pub mod tavern;
pub mod tickets;
pub mod tls;

pub use state::State;
