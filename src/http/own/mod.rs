//! Our own dialect, `/api/v1`: REST over JSON. One file per noun; `docs/api.md` describes it for people.

pub mod backups;
pub mod changes;
pub mod characters;
pub mod chats;
pub mod connections;
pub mod events;
pub mod generations;
pub mod house;
pub mod images;
pub mod keys;
pub mod lorebooks;
pub mod me;
pub mod messages;
pub mod personas;
pub mod pictures;
pub mod prompts;
pub mod restores;
pub mod search;
pub mod session;
pub mod sessions;
pub mod settings;
pub mod snapshots;
pub mod trash;
pub mod usage;
pub mod users;
pub mod views;
