//! The tags that SillyTavern keeps in the settings, beside those of the cards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;

use super::listing::MoreTags;
use super::{Characters, stem};
use crate::library::settings;
use crate::mutex::lock;
use crate::store::{FileName, Handle, Stat, Store};

/// Settings above this size are not searched for tags.
const SETTINGS_MAX: u64 = 64 << 20;

/// What the settings of people said of tags, while they are the same.
#[derive(Default)]
pub(super) struct Tags(Mutex<HashMap<Handle, (Stat, Arc<MoreTags>)>>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    tags: Value,
    tag_map: Value,
}

impl Characters {
    /// The tags that the settings have for characters. Settings that cannot be read have none.
    pub(super) fn more_tags(&self, handle: &Handle) -> Arc<MoreTags> {
        let Ok(Some(stat)) = self.store.stat(&settings::place(handle)) else { return Arc::default() };
        if let Some((then, known)) = lock(&self.tags.0).get(handle)
            && *then == stat
        {
            return Arc::clone(known);
        }
        let read = Arc::new(read(&self.store, handle));
        lock(&self.tags.0).insert(handle.clone(), (stat, Arc::clone(&read)));
        read
    }

    /// The tags that the settings have for one character.
    pub fn more_tags_of(&self, handle: &Handle, id: &FileName) -> Vec<Arc<str>> {
        self.more_tags(handle).get(id).cloned().unwrap_or_default()
    }

    pub(super) fn forget_tags(&self, handle: &Handle) {
        lock(&self.tags.0).remove(handle);
    }
}

fn read(store: &Store, handle: &Handle) -> MoreTags {
    let text = store.read_at_most(&settings::place(handle), SETTINGS_MAX).unwrap_or_default();
    let said: Said = serde_json::from_slice(&text).unwrap_or_default();
    let names: HashMap<&str, Arc<str>> = said
        .tags
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| Some((tag.get("id")?.as_str()?, Arc::from(tag.get("name")?.as_str()?))))
        .collect();
    let map = said.tag_map.as_object().into_iter().flatten();
    map.filter_map(|(file, ids)| {
        let id = stem(&FileName::parse(file).ok()?)?;
        let tags: Vec<Arc<str>> = ids.as_array()?.iter().filter_map(|id| names.get(id.as_str()?).cloned()).collect();
        (!tags.is_empty()).then_some((id, tags))
    })
    .collect()
}
