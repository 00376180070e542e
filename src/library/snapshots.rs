//! Settings snapshots: byte copies in `backups/settings_<handle>_<YYYYMMDD-HHMMSS>.json`, as SillyTavern names them.

use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Expect, FileName, Folder, Handle, Place, Stat, Store, Writer};

/// A snapshot in the list.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its file name, which is also its name in requests.
    pub name: FileName,
    /// Size and times.
    pub stat: Stat,
}

/// A user's snapshots, the newest first.
pub fn list(store: &Store, handle: &Handle) -> Result<Vec<Snapshot>> {
    let prefix = prefix(handle);
    let mut found: Vec<Snapshot> = store
        .list(&folder(handle))?
        .into_iter()
        .filter(|entry| entry.name.as_str().starts_with(&prefix))
        .map(|entry| Snapshot { name: entry.name, stat: entry.stat })
        .collect();
    found.sort_by(|a, b| b.stat.modified.cmp(&a.stat.modified).then_with(|| b.name.cmp(&a.name)));
    Ok(found)
}

/// Where a snapshot is.
pub fn place(handle: &Handle, name: &FileName) -> Place {
    folder(handle).file(name)
}

/// A name from a request, if it can be one of this user's snapshots.
pub fn check_name(handle: &Handle, name: &str) -> Result<FileName> {
    let wrong = || Error::invalid("bad_name", "Invalid snapshot name");
    if !name.starts_with(&prefix(handle)) {
        return Err(wrong());
    }
    FileName::parse(name).map_err(|_| wrong())
}

/// Keeps `text` as a snapshot, unless the newest one already says the same; then removes the oldest beyond `keep`, but for
/// the one that is protected because it is about to be brought back.
pub(super) fn make(
    store: &Store,
    writer: &Writer<'_>,
    handle: &Handle,
    text: &[u8],
    keep: usize,
    protect: Option<&FileName>,
) -> Result<Option<FileName>> {
    let existing = list(store, handle)?;
    if let Some(newest) = existing.first()
        && newest.stat.size == text.len() as u64
        && store.read(&place(handle, &newest.name))? == text
    {
        return Ok(None);
    }
    let name = write_new(writer, handle, text)?;
    for old in existing.iter().skip(keep.saturating_sub(1)).filter(|old| Some(&old.name) != protect) {
        writer.remove(&place(handle, &old.name))?;
    }
    Ok(Some(name))
}

fn write_new(writer: &Writer<'_>, handle: &Handle, text: &[u8]) -> Result<FileName> {
    let stamp = clock::file_stamp();
    for n in 1..100 {
        let again = if n == 1 { String::new() } else { format!("_{n}") };
        let name = FileName::parse(&format!("{}{stamp}{again}.json", prefix(handle)))?;
        match writer.write(&place(handle, &name), text, Expect::Absent) {
            Ok(()) => return Ok(name),
            Err(error) if error.code() == "conflict" => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::conflict("conflict", "There are too many snapshots of this second. Try again."))
}

fn prefix(handle: &Handle) -> String {
    format!("settings_{handle}_")
}

fn folder(handle: &Handle) -> Place {
    Place::of(handle).folder(Folder::BACKUPS)
}
