//! The list that closes a backup: what is in it, byte for byte, and what is not.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

use crate::store::moment::Skipped;
use crate::store::{Handle, RelPath, Version};

/// The name of the last entry of a backup.
pub(crate) const MANIFEST: &str = "tavernkeep-manifest.json";
/// The format that this program writes; it reads no newer one.
pub(super) const FORMAT: u32 = 1;

/// The content of `tavernkeep-manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) handle: Handle,
    /// The moment that the backup is of, in milliseconds since 1970.
    pub(super) created: i64,
    /// The program that wrote it.
    pub(super) program: String,
    /// Whether the keys of model providers are in it.
    pub(super) secrets: bool,
    pub(super) files: Vec<Listed>,
    pub(super) folders: Vec<RelPath>,
    /// Paths that are never in a backup, or were not asked for.
    pub(super) left_out: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
}

/// A file in the manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) path: RelPath,
    pub(super) size: u64,
    pub(super) sha256: Version,
    /// Nanoseconds since 1970: SillyTavern compares times of pictures by the fraction.
    pub(super) modified: i64,
    /// Permission bits.
    pub(super) mode: u32,
}

impl Listed {
    pub(super) fn modified(&self) -> SystemTime {
        let distance = Duration::from_nanos(self.modified.unsigned_abs());
        let before = self.modified < 0;
        let time = if before {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Nanoseconds since 1970, negative before.
pub(super) fn nanos(time: SystemTime) -> i64 {
    let clamped = |distance: Duration| i64::try_from(distance.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => clamped(since),
        Err(before) => -clamped(before.duration()),
    }
}

/// Whether the file holds keys of model providers.
pub(crate) fn is_secret(path: &str) -> bool {
    path == "secrets.json" || (path.starts_with("backups/secrets_migration_") && path.ends_with(".json"))
}
