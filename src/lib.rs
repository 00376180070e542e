//! Tavernkeep: one small binary that hosts AI chat for a household, keeps every word in plain files, and never loses one.
//!
//! The rooms, from the top floor down; each knows only those below it:
//!
//! - [`cli`]: the commands
//! - [`http`]: the web: accept loop, route table, gate, one file per noun of each dialect
//! - [`app`]: the rooms put together
//! - [`conversation`]: what turns a chat, a character and a model into a reply
//! - [`library`]: what a user owns
//! - [`models`]: language models
//! - [`accounts`]: who lives here and how they get in
//! - [`access`]: who may do what
//! - [`events`]: the audit log
//! - [`egress`]: the one way out
//! - [`store`], [`config`]: the data folder; the configuration
//!
//! Beside them stand [`error`], [`clock`], [`random`], [`blocking`], [`turns`], [`values`], `mutex`, `hash`,
//! [`pictures`] and [`render`], which know nobody.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the files themselves"))]

pub mod access;
pub mod accounts;
pub mod app;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod egress;
pub mod error;
pub mod events;
mod hash;
pub mod http;
pub mod library;
pub mod models;
mod mutex;
pub mod pictures;
pub mod random;
pub mod render;
pub mod store;
pub mod turns;
pub mod values;
