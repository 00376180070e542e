//! Finding messages by their words, in all of a person's chats, as they type.
//!
//! - [`words`]: what counts as a word
//! - [`wanted`]: what somebody looks for, and how it is shown
//! - `reading`: a chat's file, line by line
//! - `shelf`: the index on the disk, one for each person, under `_system/search/<handle>/`
//! - `roll`: which chats it holds, and how far
//! - `keeping`: bringing it up to date
//!
//! The index is derived: whatever is wrong with it, it is made anew from the chats. It is brought up to date when somebody
//! searches; until then a message costs nothing but its line. It holds words, and not the messages: what is shown is read
//! from the chats and has to have the words, so that nothing is found that is not there any more.

mod keeping;
mod reading;
mod roll;
mod shelf;
#[cfg(test)]
mod tests;
pub mod wanted;
pub mod words;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::chats::{ChatRef, Chats, Message};
use crate::error::{Error, Kind, Result};
use crate::hash::hash;
use crate::mutex::lock;
use crate::store::{FileName, Handle, OpenFile, Store};

use keeping::Desk;
use roll::Roll;
use shelf::{Found, Shelf};
use wanted::Wanted;

/// The most hits in one answer.
pub const HITS_MAX: usize = 100;
/// A longer line is not shown.
const LINE_MAX: u64 = 8 << 20;
/// Where words have to follow each other, so many messages that have them are looked at for each that is wanted.
const PHRASE_DEPTH: usize = 20;
/// An index that nobody has used for so long is closed.
const IDLE: Duration = Duration::from_secs(180);

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where it is.
    pub chat: ChatRef,
    /// Which it is there.
    pub index: usize,
    /// Who says it.
    pub name: String,
    /// Whether the person says it.
    pub is_user: bool,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: Option<i64>,
    /// The part that was found, as HTML with no tags but `<mark>`.
    pub snippet: String,
}

/// How far an index has come, in bytes of chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many are in it.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// How many messages have the words, where that is known.
    pub total: Option<usize>,
    /// The newest of them.
    pub hits: Vec<Hit>,
    /// If not all chats were looked through.
    pub indexing: Option<Progress>,
}

/// Everybody's search.
pub struct Search {
    store: Arc<Store>,
    chats: Arc<Chats>,
    desks: Mutex<HashMap<Handle, Arc<Desk>>>,
    /// One large piece of work at a time in the whole house, and one small one beside it.
    large: Mutex<()>,
    small: Mutex<()>,
}

/// An index and what it holds.
struct Open {
    shelf: Shelf,
    roll: Mutex<Arc<Roll>>,
}

impl Open {
    fn roll(&self) -> Arc<Roll> {
        Arc::clone(&lock(&self.roll))
    }
}

impl Search {
    /// Search in the chats of `store`.
    pub fn new(store: Arc<Store>, chats: Arc<Chats>) -> Self {
        Self { store, chats, desks: Mutex::default(), large: Mutex::default(), small: Mutex::default() }
    }

    /// What a person's chats, or those with one character, have of what was `typed`: the newest messages first.
    pub fn search(
        self: &Arc<Self>,
        handle: &Handle,
        typed: &str,
        character: Option<&FileName>,
        limit: usize,
    ) -> Result<Answer> {
        let wanted = Wanted::parse(typed);
        let desk = self.desk(handle);
        let open = self.open(&desk)?;
        self.catch_up(&desk, &open);
        if wanted.words.is_empty() {
            return Ok(Answer { indexing: desk.progress(), ..Answer::default() });
        }
        let limit = limit.clamp(1, HITS_MAX);
        let depth = if wanted.phrases.is_empty() { limit * 2 } else { limit * PHRASE_DEPTH };
        let who = character.map(who);
        match attempt(|| open.shelf.find(&wanted, who, depth)) {
            Ok((total, found)) => {
                let hits = self.hits(handle, &open.roll(), &found, &wanted, limit)?;
                let total = wanted.phrases.is_empty().then_some(total);
                Ok(Answer { total, hits, indexing: desk.progress() })
            }
            Err(error) => {
                self.make_anew(&desk, &open, &error);
                Ok(Answer { indexing: desk.progress().or(Some(Progress { done: 0, total: 0 })), ..Answer::default() })
            }
        }
    }

    /// Reads what was found. What is not there any more, or does not have the words any more, is left out.
    fn hits(&self, handle: &Handle, roll: &Roll, found: &[Found], wanted: &Wanted, limit: usize) -> Result<Vec<Hit>> {
        let mut files: HashMap<u64, Option<OpenFile>> = HashMap::new();
        let mut hits = Vec::new();
        for found in found {
            let Some(chat) = roll.chat(found.chat) else { continue };
            let file = match files.entry(found.chat) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.file(handle, chat)?),
            };
            let Some(file) = file else { continue };
            let end = found.start.saturating_add(found.length);
            if found.length > LINE_MAX || end > file.stat().size {
                continue;
            }
            let Some(message) = Message::parse(&file.read(&(found.start..end))?) else { continue };
            let Some(places) = wanted.places(message.text()) else { continue };
            hits.push(Hit {
                chat: chat.clone(),
                index: usize::try_from(found.index).unwrap_or(usize::MAX),
                name: message.name().to_owned(),
                is_user: message.is_user(),
                sent_at: message.sent_at(),
                snippet: wanted.snippet(message.text(), &places),
            });
            if hits.len() >= limit {
                break;
            }
        }
        Ok(hits)
    }

    fn file(&self, handle: &Handle, chat: &ChatRef) -> Result<Option<OpenFile>> {
        match self.store.open_file(&chat.place(handle)?) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn desk(&self, handle: &Handle) -> Arc<Desk> {
        let mut desks = lock(&self.desks);
        let desk = desks.entry(handle.clone()).or_insert_with(|| Arc::new(Desk::new(handle.clone())));
        desk.is_used();
        Arc::clone(desk)
    }

    /// The index, made if there is none or none that can be used.
    fn open(&self, desk: &Desk) -> Result<Arc<Open>> {
        let mut place = lock(&desk.open);
        if let Some(open) = place.as_ref() {
            return Ok(Arc::clone(open));
        }
        let folder = self.store.search_folder(&desk.handle)?;
        let opened = attempt(|| {
            let shelf = Shelf::open(&folder)?;
            let roll = shelf.roll()?.filter(|_| shelf.is_sound());
            Ok(roll.map(|roll| Open { shelf, roll: Mutex::new(Arc::new(roll)) }))
        });
        let open = match opened {
            Ok(Some(open)) => open,
            other => {
                tracing::warn!(handle = %desk.handle, error = ?other.err(), "a search index is made anew");
                self.store.remove_search(&desk.handle)?;
                let folder = self.store.search_folder(&desk.handle)?;
                let shelf = attempt(|| Shelf::open(&folder)).map_err(cannot_open)?;
                Open { shelf, roll: Mutex::default() }
            }
        };
        let open = Arc::new(open);
        *place = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Throws an index away that cannot be used. The next search makes a new one.
    fn make_anew(&self, desk: &Desk, open: &Arc<Open>, error: &dyn std::fmt::Display) {
        let mut place = lock(&desk.open);
        if place.as_ref().is_some_and(|present| Arc::ptr_eq(present, open)) {
            tracing::warn!(handle = %desk.handle, %error, "a search index cannot be used and is made anew");
            *place = None;
            desk.check_again();
            if let Err(error) = self.store.remove_search(&desk.handle) {
                tracing::warn!(?error, "a search index could not be removed");
            }
        }
    }

    /// Looks at all chats again at the next search, because the whole folder may be different.
    pub fn forget(&self, handle: &Handle) {
        if let Some(desk) = lock(&self.desks).get(handle) {
            desk.check_again();
        }
    }

    /// Removes the index of somebody who is not here any more.
    pub fn remove(&self, handle: &Handle) -> Result<()> {
        let desk = lock(&self.desks).remove(handle);
        if let Some(desk) = desk {
            desk.leave();
            *lock(&desk.open) = None;
        }
        self.store.remove_search(handle)
    }

    /// Closes what nobody has used for a while.
    pub fn rest(&self) {
        let before = Instant::now().checked_sub(IDLE);
        lock(&self.desks).retain(|_, desk| !desk.is_idle_since(before));
    }
}

/// Stands for no character: for groups.
const NOBODY: u64 = 0;

/// A number that stands for a character in the index.
fn who(character: &FileName) -> u64 {
    hash(character.as_str())
}

/// What went wrong with an index.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Works with an index. On bytes that are not what it wrote, the library may panic: that is a fault like any other.
fn attempt<T>(work: impl FnOnce() -> tantivy::Result<T>) -> std::result::Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("the index could not be read".into()),
    }
}

fn cannot_open(fault: Fault) -> Error {
    Error::new(
        Kind::Storage,
        "storage",
        "The search index could not be made, perhaps because the disk is full. Chats are not touched by this; the server's \
         log names the cause.",
    )
    .because(fault)
}
