<<<<<<< HEAD
//! Tavernkeep: one small binary that hosts AI chat for a household, keeps every word in plain files, and never loses one.

pub mod access;
pub mod accounts;
pub mod blocking;
pub mod clock;
pub mod error;
pub mod events;
pub mod library;
pub mod random;
pub mod store;
=======
//! x
pub mod config;
>>>>>>> config
