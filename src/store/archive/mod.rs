//! Backups as zip archives: written from a moment, read with suspicion.
//!
//! - [`write_backup`]: a moment, streamed; the last entry is the manifest, which names every file with its SHA-256
//! - [`Archive`]: an archive that came from outside, checked before a byte of it is unpacked
//! - [`Part`]: what people choose from when they bring a backup back
//! - [`Plan`]: what bringing it back would do

mod check;
mod directory;
mod hasher;
mod manifest;
mod parts;
mod plan;
mod progress;
mod read;
mod sink;
mod write;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub(crate) use manifest::MANIFEST;
pub use parts::Part;
pub(crate) use plan::Contents;
pub use plan::{Examples, Plan, PlannedPart, Source};
pub use progress::Progress;
pub(crate) use read::Staging;
pub use read::{Archive, Limits};
pub use write::{BackupOptions, Written, write_backup};
