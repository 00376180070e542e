//! What an index holds: which chats, and how far. It is committed with the index, so that both always agree.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::library::chats::ChatRef;
use crate::store::Stat;

/// An index of another form is made anew.
const FORM: u32 = 1;

/// What a file looks like from outside. As long as that is so, it is taken to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (u64, u32),
}

impl Look {
    /// Of a file.
    pub fn of(stat: &Stat) -> Self {
        let since = stat.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { inode: stat.inode, size: stat.size, modified: (since.as_secs(), since.subsec_nanos()) }
    }

    /// Whether a file that looked like this may have become one that looks like `now` by being added to.
    pub fn may_grow_into(&self, now: &Self) -> bool {
        self.inode == now.inode && self.size < now.size
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A chat in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which.
    pub chat: ChatRef,
    /// Its number in the index.
    pub id: u64,
    /// How its file looked.
    pub look: Look,
    /// How many bytes of it are in the index: whole lines.
    pub read: u64,
    /// How many messages that are.
    pub messages: u64,
    /// The hash of the last bytes that were read, by which one sees that what follows was added.
    pub tail: u64,
}

/// All chats in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    form: u32,
    next: u64,
    chats: Vec<Known>,
}

impl Default for Roll {
    fn default() -> Self {
        Self { form: FORM, next: 1, chats: Vec::new() }
    }
}

impl Roll {
    /// Whether this is of the form that this server makes.
    pub fn is_ours(&self) -> bool {
        self.form == FORM
    }

    /// All chats.
    pub fn chats(&self) -> &[Known] {
        &self.chats
    }

    /// The chat of a number.
    pub fn chat(&self, id: u64) -> Option<&ChatRef> {
        self.chats.iter().find(|known| known.id == id).map(|known| &known.chat)
    }

    /// A number that no chat has had.
    pub fn new_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Notes chats, in place of what was known of them; without those whose numbers are in `gone`.
    pub fn note(&mut self, chats: Vec<Known>, gone: &[u64]) {
        let noted: HashMap<&ChatRef, ()> = chats.iter().map(|known| (&known.chat, ())).collect();
        self.chats.retain(|known| !noted.contains_key(&known.chat) && !gone.contains(&known.id));
        self.chats.extend(chats);
    }
}
