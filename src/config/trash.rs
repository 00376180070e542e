//! How long what was deleted or replaced can be brought back.

use serde::{Deserialize, Serialize};

use super::ByteSize;

/// `trash`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Trash {
    /// Days for which chats, characters and earlier versions are kept, 0 to 3650. Default `30`.
    pub days: u32,
    /// The most that is kept for each person. Default `2GiB`.
    pub max_size: ByteSize,
}

impl Default for Trash {
    fn default() -> Self {
        Trash { days: 30, max_size: ByteSize::gib(2) }
    }
}
