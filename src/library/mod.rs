//! What a user owns. Settings with their snapshots, the presets that SillyTavern's client loads with them, the picture that
//! stands for a person; chats, and the trash that things go to.

pub mod bin;
pub mod cards;
pub mod changes;
pub mod characters;
pub mod chats;
pub mod diff;
pub mod json;
pub mod lorebooks;
pub mod personas;
pub mod portrait;
pub mod presets;
pub mod search;
pub mod settings;
pub mod snapshots;
pub mod splice;
pub mod thumbnails;

pub use bin::Bin;
pub use changes::Changes;
pub use characters::Characters;
pub use chats::Chats;
pub use lorebooks::Lorebooks;
pub use personas::Personas;
pub use portrait::Portraits;
pub use search::Search;
pub use settings::Settings;
pub use thumbnails::Thumbnails;
