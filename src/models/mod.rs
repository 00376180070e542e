//! Language models: connections to their servers, the dialects of providers, streaming, tokens, usage. This room knows
//! nothing of characters and chats.

pub mod ask;
pub mod connection;
pub mod connections;
pub mod key;
pub mod presets;
pub mod usage;
pub mod vault;

pub use ask::{Ask, Finish, Image, Message, Parameters, Part, Piece, Pieces, Role, Usage};
pub use connection::{Connection, ConnectionId, Holder, Kind};
pub use connections::Connections;
pub use key::Key;
pub use usage::Ledger;
pub use vault::Vault;
