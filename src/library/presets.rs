//! The presets, themes and names that SillyTavern's client loads together with the settings.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::Result;
use crate::store::{Entry, Folder, Handle, Place, Store};

const ENDING: &str = ".json";

/// Files of one folder as the client wants them: names without `.json`, and the texts in the same order.
#[derive(Debug, Default)]
pub struct Presets {
    /// File names without their ending.
    pub names: Vec<String>,
    /// The files' texts, untouched.
    pub texts: Vec<String>,
}

/// The readable presets of a folder, sorted as people sort names.
pub fn by_name(store: &Arc<Store>, handle: &Handle, folder: &'static str) -> Result<Presets> {
    let mut entries = json_files(store, handle, folder)?;
    entries.sort_by_cached_key(|entry| collation_key(entry.name.as_str()));
    let mut presets = Presets::default();
    for (name, text) in read_all(store, handle, folder, &entries)? {
        if serde_json::from_str::<IgnoredAny>(&text).is_ok() {
            presets.names.push(name);
            presets.texts.push(text);
        } else {
            warn_of_damage(handle, folder, &name);
        }
    }
    Ok(presets)
}

/// The readable files of a folder as JSON, in the order of their names' bytes.
pub fn values(store: &Arc<Store>, handle: &Handle, folder: &'static str) -> Result<Vec<Box<RawValue>>> {
    let mut entries = json_files(store, handle, folder)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut values = Vec::with_capacity(entries.len());
    for (name, text) in read_all(store, handle, folder, &entries)? {
        match RawValue::from_string(text) {
            Ok(value) => values.push(value),
            Err(_) => warn_of_damage(handle, folder, &name),
        }
    }
    Ok(values)
}

/// The names of the lorebooks, sorted as people sort names.
pub fn world_names(store: &Arc<Store>, handle: &Handle) -> Result<Vec<String>> {
    let mut entries = json_files(store, handle, "worlds")?;
    entries.sort_by_cached_key(|entry| collation_key(entry.name.as_str()));
    Ok(entries.iter().map(stem).collect())
}

fn json_files(store: &Store, handle: &Handle, folder: &'static str) -> Result<Vec<Entry>> {
    let mut entries = store.list(&Place::of(handle).folder(Folder(folder)))?;
    entries.retain(|entry| entry.name.as_str().ends_with(ENDING));
    Ok(entries)
}

/// The texts with their names. Files that are not UTF-8 are left out: the client could not read them either.
fn read_all(store: &Store, handle: &Handle, folder: &'static str, entries: &[Entry]) -> Result<Vec<(String, String)>> {
    let place = Place::of(handle).folder(Folder(folder));
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        match String::from_utf8(store.read(&place.file(&entry.name))?) {
            Ok(text) => found.push((stem(entry), text)),
            Err(_) => warn_of_damage(handle, folder, entry.name.as_str()),
        }
    }
    Ok(found)
}

fn stem(entry: &Entry) -> String {
    let name = entry.name.as_str();
    name.strip_suffix(ENDING).unwrap_or(name).to_owned()
}

fn warn_of_damage(handle: &Handle, folder: &str, file: &str) {
    tracing::warn!(%handle, folder, file, "a damaged preset is left out");
}

/// Sorts much as the browsers' locale order does: spaces and signs before digits before letters; accents and case only
/// break ties, the small letter first.
fn collation_key(name: &str) -> impl Ord + use<> {
    let letters = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let base: Vec<(u8, char)> = letters.map(|c| (rank(c), c)).collect();
    let ties: Vec<(bool, char)> = name.nfd().map(|c| (c.is_uppercase(), c)).collect();
    (base, ties)
}

/// The signs that names are made of, in Unicode's default order, then all others, then digits, then letters.
fn rank(c: char) -> u8 {
    const SIGNS: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";
    match SIGNS.chars().position(|sign| sign == c) {
        Some(position) => u8::try_from(position).unwrap_or(u8::MAX),
        None if c.is_numeric() => 253,
        None if c.is_alphabetic() => 254,
        None => 252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order was observed in SillyTavern 1.19.
    #[test]
    fn names_sort_as_in_the_browser() {
        let expected = ["_x", "10", "9", "a b", "a", "ä", "B", "broken", "é", "Eldoria", "Z", "Ω"];
        let mut names: Vec<String> = expected.iter().map(|name| format!("{name}.json")).collect();
        names.reverse();
        names.sort_by_cached_key(|name| collation_key(name));
        let sorted: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(ENDING)).collect();
        assert_eq!(sorted, expected);
    }
}
