//! Group chats of SillyTavern: `group chats/<id>.jsonl`, which groups' files in `groups/` list by their ids. They are read
//! here and never written: who speaks next in a group is SillyTavern's to say.

use std::collections::HashMap;

use serde::Deserialize;

use super::{ChatRef, Chats, ENDING};
use crate::error::Result;
use crate::store::{FileName, Folder, Handle, Place, Stat};

/// The largest record of a group, in bytes.
const RECORD: u64 = 1024 * 1024;

/// A group of characters, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name of its file without the ending.
    pub id: FileName,
    /// What people call it.
    pub name: String,
}

/// A group's file.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    name: String,
    #[serde(default)]
    chats: Vec<String>,
}

impl Chats {
    /// The groups of a person, by the names of their chats. One whose record cannot be read is passed over.
    pub fn groups(&self, handle: &Handle) -> Result<HashMap<FileName, Group>> {
        let folder = Place::of(handle).folder(Folder::GROUPS);
        let mut groups = HashMap::new();
        for entry in self.store.list(&folder)? {
            let Some(id) = entry.name.as_str().strip_suffix(".json").and_then(|id| FileName::parse(id).ok()) else {
                continue;
            };
            let text = self.store.read_at_most(&folder.file(&entry.name), RECORD);
            let Some(record) = text.ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok()) else {
                continue;
            };
            let name = if record.name.trim().is_empty() { id.to_string() } else { record.name };
            let chats = record.chats.iter().filter_map(|chat| FileName::parse(chat).ok());
            groups.extend(chats.map(|chat| (chat, Group { id: id.clone(), name: name.clone() })));
        }
        Ok(groups)
    }

    /// Every group chat of a person, in no order.
    pub(super) fn in_groups(&self, handle: &Handle) -> Result<Vec<(ChatRef, Stat)>> {
        let mut found = Vec::new();
        for entry in self.store.list(&Place::of(handle).folder(Folder::GROUP_CHATS))? {
            let Some(stem) = entry.name.as_str().strip_suffix(ENDING) else { continue };
            if let Ok(chat) = FileName::parse(stem).and_then(ChatRef::of_group) {
                found.push((chat, entry.stat));
            }
        }
        Ok(found)
    }
}
