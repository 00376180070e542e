//! What is kept of the past, and what may be brought back.

use serde::{Deserialize, Serialize};

use super::ByteSize;

/// `backups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backups {
    /// Users may download all their data. Default `true`.
    pub allow_full_data_backup: bool,
    /// For automatic copies: here, snapshots of the settings.
    pub common: CommonBackups,
    /// SillyTavern's copies of chats. Read, so that its configuration can be used as it is, and without effect.
    pub chat: ChatBackups,
    /// Days for which what was deleted or overwritten can be brought back, 0 to 3650. Default `30`.
    pub undo_days: u32,
    /// The most that an uploaded backup may unpack to. Default `64GiB`.
    pub max_restore_bytes: ByteSize,
}

impl Default for Backups {
    fn default() -> Self {
        Backups {
            allow_full_data_backup: true,
            common: CommonBackups::default(),
            chat: ChatBackups::default(),
            undo_days: 30,
            max_restore_bytes: ByteSize::gib(64),
        }
    }
}

/// `backups.common`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommonBackups {
    /// Snapshots kept of each person's settings. Default `50`.
    pub number_of_backups: u32,
}

impl Default for CommonBackups {
    fn default() -> Self {
        CommonBackups { number_of_backups: 50 }
    }
}

/// `backups.chat`: SillyTavern's keys, which have no effect here. What a chat was before a change is in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChatBackups {
    /// With SillyTavern: copy a chat when it is saved. Default `true`.
    pub enabled: bool,
    /// With SillyTavern: refuse to save over a chat that another window has changed. Default `true`.
    pub check_integrity: bool,
    /// With SillyTavern: copies of chats kept for each user, the newest first; `-1` keeps all. Default `-1`.
    pub max_total_backups: i64,
    /// With SillyTavern: least time between two copies for one user, in milliseconds. Default `10000`.
    pub throttle_interval: u64,
}

impl Default for ChatBackups {
    fn default() -> Self {
        ChatBackups { enabled: true, check_integrity: true, max_total_backups: -1, throttle_interval: 10_000 }
    }
}
