//! The presets, themes and names that SillyTavern's client loads together with the settings.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Kind, Result};
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

/// The texts with their names. Files that are not UTF-8 are left out: the client could not read them either. So are those
/// that vanished meanwhile or cannot be read for a reason of their own; a failing disk is an error.
fn read_all(store: &Store, handle: &Handle, folder: &'static str, entries: &[Entry]) -> Result<Vec<(String, String)>> {
    let place = Place::of(handle).folder(Folder(folder));
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let bytes = match store.read(&place.file(&entry.name)) {
            Ok(bytes) => bytes,
            Err(error) if is_of_one_file(&error) => {
                tracing::warn!(?error, %handle, folder, file = %entry.name, "a preset that cannot be read is left out");
                continue;
            }
            Err(error) => return Err(error),
        };
        match String::from_utf8(bytes) {
            Ok(text) => found.push((stem(entry), text)),
            Err(_) => warn_of_damage(handle, folder, entry.name.as_str()),
        }
    }
    Ok(found)
}

/// Whether a failed read says something of that file only, rather than of the disk.
fn is_of_one_file(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    matches!(error.kind(), Kind::NotFound | Kind::TooLarge | Kind::Invalid)
        || matches!(cause, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput))
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
    use crate::store::testing::{ada, house};

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

    /// A file that cannot be read is no reason to show none of the others.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test changes files as another program would")]
    fn a_file_that_cannot_be_read_is_left_out() {
        let (root, store) = house(&[("themes/Dark.json", b"{}"), ("themes/Light.json", b"{}")]);
        let huge = std::fs::File::create(root.path().join("ada/themes/Huge.json")).unwrap();
        huge.set_len(crate::store::READ_LIMIT + 1).unwrap();
        let store = Arc::new(store);
        assert_eq!(by_name(&store, &ada(), "themes").unwrap().names, ["Dark", "Light"]);
        assert_eq!(values(&store, &ada(), "themes").unwrap().len(), 2);
        // Listed, and then gone, or something else, before it was read.
        let entries = json_files(&store, &ada(), "themes").unwrap();
        std::fs::remove_file(root.path().join("ada/themes/Dark.json")).unwrap();
        std::fs::remove_file(root.path().join("ada/themes/Huge.json")).unwrap();
        std::fs::create_dir(root.path().join("ada/themes/Huge.json")).unwrap();
        let read = read_all(&store, &ada(), "themes", &entries).unwrap();
        assert_eq!(read, [("Light".to_owned(), "{}".to_owned())]);
    }

    #[test]
    fn a_failing_disk_is_no_list_without_presets() {
        let storage = Error::storage("read a file", io::Error::from(io::ErrorKind::Other));
        let denied = Error::storage("read a file", io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(!is_of_one_file(&storage) && is_of_one_file(&denied));
    }
}
