//! Chats: SillyTavern's JSONL, one file each, which is the only truth about it.
//!
//! - [`message`]: a line as it is written, and the first one
//! - [`lines`]: where the lines of a file are
//! - [`version`]: what a change names as the one it replaces
//! - `reading`: opening, and looking at a part of a long chat
//! - `changing`: adding, which is one write at the end, and all else, which is a new file while the old one goes to the
//!   trash
//! - `files`: making, naming, branching, deleting whole chats; which are pinned
//! - [`groups`]: SillyTavern's group chats, to be read
//! - [`export`], [`import`]: chats that are taken away, and chats from elsewhere
//! - [`pictures`]: what messages show
//! - `listing`: the chats of everybody one talks to, the latest first

mod changing;
pub mod dates;
pub mod export;
mod files;
pub mod groups;
pub mod import;
pub mod lines;
mod listing;
pub mod message;
mod naming;
pub mod pictures;
mod pins;
mod reading;
#[cfg(test)]
mod tests;
pub mod version;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::bin::Bin;
use super::changes::{Change, Changes};
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{FileName, Folder, Handle, Owner, Place, Store, Writer};

pub use changing::{Appended, Changed, Edit};
pub use files::{Branched, NewChat};
pub use lines::Lines;
pub use listing::{Listed, Recent};
pub use message::{Header, Message, Picture, Swipe};
pub use naming::{branch_name, new_name, typed_name};
pub use reading::{Content, Line, Opened, Window};
pub use version::{ChatVersion, Expect};

use listing::Summaries;

/// What chats' files end with.
pub(crate) const ENDING: &str = ".jsonl";
/// So many lines are remembered of all chats together, 16 bytes each; then those that were used least recently go.
const LINES_MAX: usize = 2_000_000;

/// Which chat: the name of the character's card and of the file, both without their endings; or one of a group's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChatRef {
    /// The folder.
    pub character: FileName,
    /// The file.
    pub chat: FileName,
    /// Whether it is a group's: then the folder is the one of all group chats, and no character's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_group: bool,
}

impl ChatRef {
    /// Takes names as they stand in an address. What cannot be a chat is simply not there.
    pub fn parse(character: &str, chat: &str) -> Result<Self> {
        let parsed = FileName::parse(character).and_then(|character| Self::new(character, FileName::parse(chat)?));
        parsed.map_err(|_| Error::not_found("There is no such chat."))
    }

    /// Takes names whose file can be named after them.
    pub fn new(character: FileName, chat: FileName) -> Result<Self> {
        FileName::parse(&format!("{chat}{ENDING}"))?;
        Ok(Self { character, chat, is_group: false })
    }

    /// A group's chat.
    pub fn of_group(chat: FileName) -> Result<Self> {
        Ok(Self { is_group: true, ..Self::new(FileName::known(Folder::GROUP_CHATS.as_str()), chat)? })
    }

    /// Whether it is a group's, which is only read here.
    pub fn is_group(&self) -> bool {
        self.is_group
    }

    /// Where its file is.
    pub fn place(&self, handle: &Handle) -> Result<Place> {
        let file = FileName::parse(&format!("{}{ENDING}", self.chat))?;
        Ok(if self.is_group {
            Place::of(handle).folder(Folder::GROUP_CHATS).file(&file)
        } else {
            folder_of(handle, &self.character).file(&file)
        })
    }
}

impl fmt::Display for ChatRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No character's name ends in a slash.
        let group = if self.is_group { "/" } else { "" };
        write!(f, "{}{group}/{}", self.character, self.chat)
    }
}

/// The folder of one character's chats.
fn folder_of(handle: &Handle, character: &FileName) -> Place {
    Place::of(handle).folder(Folder::CHATS).file(character)
}

type Key = (Handle, ChatRef);

/// Everybody's chats.
pub struct Chats {
    store: Arc<Store>,
    bin: Arc<Bin>,
    changes: Arc<Changes>,
    /// Where the lines are, of chats that were looked at.
    known: Mutex<HashMap<Key, Known>>,
    /// What lists show.
    summaries: Mutex<Summaries>,
    /// When an earlier version was last kept, so that a minute's small changes keep one.
    kept: Mutex<HashMap<Key, Kept>>,
}

/// The lines of a file, for as long as it is that version.
struct Known {
    version: ChatVersion,
    lines: Arc<Lines>,
    has_header: bool,
    used: Instant,
}

/// When a version was kept, and which one the change made of it.
struct Kept {
    at: Instant,
    made: ChatVersion,
}

impl Chats {
    /// The chats in `store`. What is deleted or replaced goes to `bin`; `changes` hears of everything.
    pub fn new(store: Arc<Store>, bin: Arc<Bin>, changes: Arc<Changes>) -> Self {
        Self { store, bin, changes, known: Mutex::default(), summaries: Mutex::default(), kept: Mutex::default() }
    }

    /// Forgets what is remembered of somebody's chats, because their whole folder was changed.
    pub fn forget(&self, handle: &Handle) {
        lock(&self.known).retain(|(whose, _), _| whose != handle);
        lock(&self.kept).retain(|(whose, _), _| whose != handle);
        lock(&self.summaries).forget(handle);
    }

    fn writing<T>(&self, handle: &Handle, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        self.store.writing(&Owner::User(handle.clone()), work)
    }

    fn tell(&self, handle: &Handle, chat: &ChatRef, version: Option<ChatVersion>) {
        let (character, chat) = (chat.character.to_string(), chat.chat.to_string());
        self.changes.publish(handle, Change::Chat { character, chat, version, generation: None });
    }

    fn tell_list(&self, handle: &Handle) {
        self.changes.publish(handle, Change::Chats {});
    }
}
