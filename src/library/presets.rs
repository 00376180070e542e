//! The presets, themes and names that SillyTavern's client loads together with the settings.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::error::Result;
use crate::store::{Folder, Handle, Place, Store};

/// Files of one folder as the client wants them: names without `.json`, and the texts in the same order.
#[derive(Debug, Default)]
pub struct Presets {
    /// File names without their ending.
    pub names: Vec<String>,
    /// The files' texts.
    pub texts: Vec<String>,
}

/// The readable presets of a folder, sorted as people sort names.
pub fn by_name(store: &Arc<Store>, handle: &Handle, folder: &'static str) -> Result<Presets> {
    let mut presets = Presets::default();
    for (name, text) in json_files(store, handle, folder, |name| name.to_lowercase())? {
        presets.names.push(name);
        presets.texts.push(String::from(Box::<str>::from(text)));
    }
    Ok(presets)
}

/// The readable files of a folder as JSON, in the order of their bytes.
pub fn values(store: &Arc<Store>, handle: &Handle, folder: &'static str) -> Result<Vec<Box<RawValue>>> {
    Ok(json_files(store, handle, folder, str::to_owned)?.into_iter().map(|(_, text)| text).collect())
}

/// The names of the lorebooks.
pub fn world_names(store: &Arc<Store>, handle: &Handle) -> Result<Vec<String>> {
    let mut names: Vec<String> = store
        .list(&Place::of(handle).folder(Folder("worlds")))?
        .into_iter()
        .filter_map(|entry| entry.name.as_str().strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort_by_cached_key(|name| name.to_lowercase());
    Ok(names)
}

fn json_files(
    store: &Arc<Store>,
    handle: &Handle,
    folder: &'static str,
    key: impl Fn(&str) -> String,
) -> Result<Vec<(String, Box<RawValue>)>> {
    let place = Place::of(handle).folder(Folder(folder));
    let mut entries = store.list(&place)?;
    entries.retain(|entry| entry.name.as_str().ends_with(".json"));
    entries.sort_by_cached_key(|entry| key(entry.name.as_str()));
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let text = store.read(&place.file(&entry.name))?;
        match String::from_utf8(text).map_err(drop).and_then(|text| RawValue::from_string(text).map_err(drop)) {
            Ok(text) => found.push((entry.name.as_str().trim_end_matches(".json").to_owned(), text)),
            Err(()) => tracing::warn!(%handle, folder, file = %entry.name, "a damaged preset is left out"),
        }
    }
    Ok(found)
}
