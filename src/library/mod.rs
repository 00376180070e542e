//! What a user owns. So far: settings with their snapshots, the presets that SillyTavern's client loads with them, and the
//! picture that stands for a person.

pub mod cards;
pub mod characters;
pub mod diff;
pub mod json;
pub mod portrait;
pub mod presets;
pub mod settings;
pub mod snapshots;
pub mod thumbnails;

pub use characters::Characters;
pub use portrait::Portraits;
pub use settings::Settings;
pub use thumbnails::Thumbnails;
