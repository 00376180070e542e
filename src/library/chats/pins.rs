//! Which chats are pinned: `tavernkeep/pins.json`. They follow renaming and deleting.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{ChatRef, Chats};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Expect, FileName, Folder, Handle, Place, Writer};

const FILE: FileName = FileName::known("pins.json");
const CHATS: &str = "chats";

impl Chats {
    /// Which chats are pinned. A damaged list is none; it is set aside when something is pinned.
    pub(super) fn pins(&self, handle: &Handle) -> Result<HashSet<String>> {
        let pins = self.read_pins(handle)?.unwrap_or_default();
        Ok(list(&pins).into_iter().collect())
    }

    /// Whether a chat is pinned.
    pub fn is_pinned(&self, handle: &Handle, chat: &ChatRef) -> Result<bool> {
        Ok(self.pins(handle)?.contains(&chat.to_string()))
    }

    /// Pins a chat, or takes its pin away.
    pub fn pin(&self, handle: &Handle, chat: &ChatRef, pinned: bool) -> Result<()> {
        self.writing(handle, |writer| {
            if pinned && self.store.stat(&chat.place(handle)?)?.is_none() {
                return Err(Error::not_found("There is no such chat."));
            }
            let name = chat.to_string();
            self.change_pins(writer, handle, |pins| {
                pins.retain(|pin| *pin != name);
                if pinned {
                    pins.push(name.clone());
                }
            })
        })?;
        self.tell_list(handle);
        Ok(())
    }

    /// Lets the pins follow a change of names.
    pub(super) fn change_pins(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<()> {
        let read = self.read_pins(handle)?;
        let mut pins = read.clone().unwrap_or_default();
        let before = list(&pins);
        let mut after = before.clone();
        change(&mut after);
        if before == after {
            return Ok(());
        }
        let place = place(handle);
        if read.is_none() && self.store.stat(&place)?.is_some() {
            writer.set_aside(&place, &FileName::parse(&format!("pins.damaged-{}.json", clock::now_ms()))?)?;
        }
        pins.insert(CHATS.to_owned(), json!(after));
        let text = serde_json::to_vec_pretty(&pins).map_err(Error::internal)?;
        writer.write(&place, &text, Expect::Anything)
    }

    /// The file, or `None` if it is damaged.
    fn read_pins(&self, handle: &Handle) -> Result<Option<Map<String, Value>>> {
        match self.store.read_if_there(&place(handle))? {
            None => Ok(Some(Map::new())),
            Some(text) => Ok(serde_json::from_slice(&text).ok()),
        }
    }
}

fn place(handle: &Handle) -> Place {
    Place::of(handle).folder(Folder::OURS).file(&FILE)
}

fn list(pins: &Map<String, Value>) -> Vec<String> {
    let names = pins.get(CHATS).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
