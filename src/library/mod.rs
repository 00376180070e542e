//! What a user owns. Settings with their snapshots, the presets that SillyTavern's client loads with them, the picture that
//! stands for a person; chats, and the trash that things go to.

pub mod bin;
pub mod changes;
pub mod chats;
pub mod diff;
pub mod json;
pub mod portrait;
pub mod presets;
pub mod settings;
pub mod snapshots;

pub use bin::Bin;
pub use changes::Changes;
pub use chats::Chats;
pub use portrait::Portraits;
pub use settings::Settings;
