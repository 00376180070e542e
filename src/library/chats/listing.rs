//! The chats of everybody one talks to, the latest first. What is shown of each is remembered for as long as its file is
//! the same; only those that are shown are read.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::{ChatRef, ChatVersion, Chats, ENDING, Key, folder_of};
use crate::clock;
use crate::error::Result;
use crate::mutex::lock;
use crate::render;
use crate::store::{FileName, Folder, Handle, Place, Stat};

/// Summaries are small, but there can be many chats.
const SUMMARIES_MAX: usize = 20_000;
/// A folder that was changed so shortly before it was listed may have been changed after, within a tick of its clock.
const GRAIN: Duration = Duration::from_secs(2);
/// So much of the last message is shown, in bytes.
const PREVIEW: usize = 300;

/// A chat in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Which.
    pub chat: ChatRef,
    /// Its version.
    pub version: ChatVersion,
    /// How many messages it has.
    pub messages: usize,
    /// Bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: i64,
    /// Whether it is pinned.
    pub pinned: bool,
    /// The first words of its last message, without Markdown.
    pub preview: String,
    /// Its file cannot be read.
    pub damaged: bool,
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent {
    /// How many chats there are in all.
    pub total: usize,
    /// Those asked for.
    pub items: Vec<Listed>,
}

#[derive(Default)]
pub(super) struct Summaries {
    chats: HashMap<Key, Summary>,
    folders: HashMap<(Handle, FileName), Names>,
}

#[derive(Clone)]
struct Summary {
    version: ChatVersion,
    messages: usize,
    preview: String,
}

/// The names of the chats in a folder, when it was last listed.
struct Names {
    modified: SystemTime,
    listed: SystemTime,
    chats: Vec<ChatRef>,
}

impl Summaries {
    pub(super) fn forget(&mut self, handle: &Handle) {
        self.chats.retain(|(whose, _), _| whose != handle);
        self.folders.retain(|(whose, _), _| whose != handle);
    }
}

impl Chats {
    /// All chats of a person, groups' included: the pinned ones first, then those written to last.
    pub fn recent(&self, handle: &Handle, offset: usize, limit: usize) -> Result<Recent> {
        self.page(handle, self.all(handle)?, offset, limit)
    }

    /// The chats with one character, in the same order.
    pub fn of_character(&self, handle: &Handle, character: &FileName) -> Result<Recent> {
        let found = self.files_in(handle, character, None)?;
        self.page(handle, found, 0, usize::MAX)
    }

    /// Each character's chats in all: how many bytes, and when one was last written to, in milliseconds since 1970.
    pub fn totals(&self, handle: &Handle) -> Result<HashMap<FileName, (u64, i64)>> {
        let mut totals = HashMap::new();
        for folder in self.store.list_folder_entries(&Place::of(handle).folder(Folder::CHATS))? {
            let files = self.files_in(handle, &folder.name, Some(&folder.stat))?;
            let size = files.iter().map(|(_, stat)| stat.size).sum();
            if let Some(last) = files.iter().map(|(_, stat)| clock::to_ms(stat.modified)).max() {
                totals.insert(folder.name, (size, last));
            }
        }
        Ok(totals)
    }

    /// Every chat of a person, groups' included, in no order, with what its file looks like.
    pub fn all(&self, handle: &Handle) -> Result<Vec<(ChatRef, Stat)>> {
        let mut found = self.in_groups(handle)?;
        for folder in self.store.list_folder_entries(&Place::of(handle).folder(Folder::CHATS))? {
            found.extend(self.files_in(handle, &folder.name, Some(&folder.stat))?);
        }
        Ok(found)
    }

    /// The chats in one folder. If the folder was not changed since, their names are known.
    fn files_in(&self, handle: &Handle, character: &FileName, folder: Option<&Stat>) -> Result<Vec<(ChatRef, Stat)>> {
        let key = (handle.clone(), character.clone());
        if let Some(folder) = folder {
            let summaries = lock(&self.summaries);
            let names = summaries.folders.get(&key).filter(|names| names.modified == folder.modified);
            let chats = names.filter(|names| names.modified + GRAIN < names.listed).map(|names| names.chats.clone());
            drop(summaries);
            if let Some(chats) = chats {
                let mut found = Vec::with_capacity(chats.len());
                for chat in chats {
                    let stat = self.store.stat(&chat.place(handle)?)?;
                    found.extend(stat.filter(|stat| stat.is_file).map(|stat| (chat, stat)));
                }
                return Ok(found);
            }
        }
        let listed = SystemTime::now();
        let mut found = Vec::new();
        for entry in self.store.list(&folder_of(handle, character))? {
            let Some(stem) = entry.name.as_str().strip_suffix(ENDING) else { continue };
            if let Ok(chat) = FileName::parse(stem).and_then(|chat| ChatRef::new(character.clone(), chat)) {
                found.push((chat, entry.stat));
            }
        }
        if let Some(folder) = folder {
            let chats = found.iter().map(|(chat, _)| chat.clone()).collect();
            let names = Names { modified: folder.modified, listed, chats };
            lock(&self.summaries).folders.insert(key, names);
        }
        Ok(found)
    }

    fn page(&self, handle: &Handle, found: Vec<(ChatRef, Stat)>, offset: usize, limit: usize) -> Result<Recent> {
        let pins = self.pins(handle)?;
        let total = found.len();
        let mut sorted: Vec<(bool, ChatRef, Stat)> =
            found.into_iter().map(|(chat, stat)| (pins.contains(&chat.to_string()), chat, stat)).collect();
        sorted.sort_by(|(a_pinned, a, a_stat), (b_pinned, b, b_stat)| {
            b_pinned.cmp(a_pinned).then(b_stat.modified.cmp(&a_stat.modified)).then_with(|| a.cmp(b))
        });
        let page = sorted.into_iter().skip(offset).take(limit);
        let items = page.map(|(pinned, chat, stat)| self.listed(handle, chat, &stat, pinned)).collect();
        Ok(Recent { total, items })
    }

    fn listed(&self, handle: &Handle, chat: ChatRef, stat: &Stat, pinned: bool) -> Listed {
        let version = ChatVersion::of(stat);
        let summary = self.summary(handle, &chat, version).map_err(|error| {
            // One file that cannot be read hides no other.
            tracing::warn!(?error, %handle, "a chat could not be read");
        });
        let damaged = summary.is_err();
        let (messages, preview) = summary.map_or((0, String::new()), |summary| (summary.messages, summary.preview));
        let modified = clock::to_ms(stat.modified);
        Listed { chat, version, messages, size: stat.size, modified, pinned, preview, damaged }
    }

    fn summary(&self, handle: &Handle, chat: &ChatRef, version: ChatVersion) -> Result<Summary> {
        let key = (handle.clone(), chat.clone());
        if let Some(summary) = lock(&self.summaries).chats.get(&key).filter(|known| known.version == version) {
            return Ok(summary.clone());
        }
        let seen = self.look(handle, chat)?;
        let lately = seen.count().saturating_sub(3)..seen.count();
        let last =
            seen.read(lately)?.into_iter().rev().find_map(|line| Some(render::words(line.message()?.text(), PREVIEW)));
        let summary = Summary { version: seen.version, messages: seen.count(), preview: last.unwrap_or_default() };
        let mut summaries = lock(&self.summaries);
        if summaries.chats.len() >= SUMMARIES_MAX {
            summaries.chats.clear();
        }
        summaries.chats.insert(key, summary.clone());
        Ok(summary)
    }
}
