//! The trash of things: what a person deleted, and earlier versions of what was changed, kept for a while.
//!
//! Each is a folder of its own in the user's `trash/`: the things as they were, and `record.json`, which says what they
//! are and where they were. Without its record a folder counts for nothing. Backups leave the trash out.

mod things;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::changes::{Change, Changes};
use super::chats::dates;
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::mutex::lock;
use crate::store::{
    self, Expect, FileName, Folder, Handle, OpenFile, Owner, Piece, Place, RelPath, Store, TrashId, Writer,
};

use things::Record;
pub use things::{Discarded, Item, Often, Part, Restored, Sort};

const RECORD: FileName = FileName::known("record.json");
/// Far more than a record has, notes included.
const RECORD_MAX: u64 = 16 << 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Of what editors save again and again, earlier versions are kept so often.
const KEPT_EVERY: Duration = Duration::from_secs(10 * 60);
/// More names than this are not tried for what comes back.
const NAMES_MAX: usize = 1000;

/// How long things are kept, and how much of them.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Days.
    pub days: u32,
    /// Bytes for each person.
    pub size_max: u64,
}

/// Everybody's trash.
pub struct Bin {
    store: Arc<Store>,
    rules: Rules,
    changes: Arc<Changes>,
    /// How much is in each person's, as far as it is known.
    sizes: Mutex<HashMap<Handle, u64>>,
    /// Of what a version was kept lately, and when.
    kept: Mutex<KeptLately>,
}

/// By person, folder and stem.
type KeptLately = HashMap<(Handle, RelPath, FileName), (TrashId, Instant)>;

impl Bin {
    /// The trash in `store`. `changes` hears of everything.
    pub fn new(store: Arc<Store>, rules: Rules, changes: Arc<Changes>) -> Self {
        Self { store, rules, changes, sizes: Mutex::default(), kept: Mutex::default() }
    }

    /// Forgets how much there is, and tells of the change.
    fn changed(&self, handle: &Handle) {
        lock(&self.sizes).remove(handle);
        self.changes.publish(handle, Change::Trash {});
    }

    /// Moves something to the trash: all of it or nothing, also on a full disk. Parts that are not there are fine.
    pub fn discard(&self, writer: &Writer<'_>, handle: &Handle, item: Item) -> Result<TrashId> {
        let writer = &writer.urgent();
        let id = TrashId::new()?;
        let folder = folder(handle, &id);
        let mut moves = Vec::new();
        let mut size = 0;
        for (index, part) in item.parts.iter().enumerate() {
            let live = part.live(handle, &item.stem)?;
            match self.store.stat(&live)? {
                Some(stat) if stat.is_folder => size += self.measure(&live)?,
                Some(stat) => size += stat.size,
                None => continue,
            }
            moves.push((live, folder.file(&stored_name(index)?)));
        }
        if moves.is_empty() && !item.parts.is_empty() {
            return Err(Error::not_found("There is nothing to delete."));
        }
        let record = Record::new(id.clone(), item, size);
        let moved = self.write_record(writer, &folder, &record).and_then(|()| move_all(writer, &self.store, &moves));
        if let Err(error) = moved {
            // What was moved is back, or, where even that failed, still in here with its record.
            let is_left = moves.iter().any(|(_, stored)| !matches!(self.store.stat(stored), Ok(None)));
            if !is_left {
                self.forget(writer, &folder).unwrap_or_else(|error| tracing::warn!(?error, "left in the trash"));
            }
            return Err(error);
        }
        self.added(writer, handle, size);
        Ok(id)
    }

    /// Keeps a file that is about to be replaced, without moving it. It has exactly one part.
    pub fn keep(&self, writer: &Writer<'_>, handle: &Handle, item: Item, size: u64) -> Result<TrashId> {
        let id = TrashId::new()?;
        let folder = folder(handle, &id);
        let [part] = item.parts.as_slice() else { return Err(Error::internal("a version is one file")) };
        let live = part.live(handle, &item.stem)?;
        let stored = folder.file(&stored_name(0)?);
        let kept = self
            .write_record(writer, &folder, &Record::new(id.clone(), item, size))
            .and_then(|()| writer.keep_as(&live, &stored));
        if let Err(error) = kept {
            self.drop_kept(writer, handle, &id);
            return Err(error);
        }
        self.added(writer, handle, size);
        Ok(id)
    }

    /// Keeps a file as it is while `work` replaces `replaced`: that file, or one that says more about it. Where nothing was
    /// replaced after all, nothing is kept.
    pub fn replacing<T>(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        (item, often): (Item, Often),
        replaced: &Place,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let kept = self.keep_once(writer, handle, item, often)?;
        let before = self.store.stat(replaced)?;
        work().inspect_err(|_| {
            // It can have been replaced all the same, when only the last sync failed; then what it was stays kept.
            if let (Some(kept), Some(before), Ok(Some(now))) = (&kept, before, self.store.stat(replaced))
                && now.inode == before.inode
            {
                self.drop_kept(writer, handle, kept);
            }
        })
    }

    fn keep_once(&self, writer: &Writer<'_>, handle: &Handle, item: Item, often: Often) -> Result<Option<TrashId>> {
        let [part] = item.parts.as_slice() else { return Err(Error::internal("a version is one file")) };
        let key = (handle.clone(), part.folder.clone(), item.stem.clone());
        let is_recent = lock(&self.kept).get(&key).is_some_and(|(_, at)| at.elapsed() < KEPT_EVERY);
        if is_recent && often == Often::OnceInAWhile {
            return Ok(None);
        }
        let live = part.live(handle, &item.stem)?;
        let Some(stat) = self.store.stat(&live)? else { return Ok(None) };
        let id = self.keep(writer, handle, item, stat.size)?;
        let mut known = lock(&self.kept);
        known.retain(|_, (_, at)| at.elapsed() < KEPT_EVERY);
        known.insert(key, (id.clone(), Instant::now()));
        Ok(Some(id))
    }

    /// Takes [`Bin::keep`] back, because nothing was replaced after all.
    pub fn drop_kept(&self, writer: &Writer<'_>, handle: &Handle, id: &TrashId) {
        let dropped = self.forget(writer, &folder(handle, id));
        dropped.unwrap_or_else(|error| tracing::warn!(?error, %handle, "left in the trash"));
        lock(&self.kept).retain(|_, (kept, _)| kept != id);
        self.changed(handle);
    }

    /// What is in somebody's trash, newest first.
    pub fn list(&self, handle: &Handle) -> Result<Vec<Discarded>> {
        Ok(self.records(handle)?.iter().map(|record| self.shown(record)).collect())
    }

    /// Brings something back. It never takes the place of what is there now, but gets another name. `also` does what is
    /// not in files, before the trash lets go of it.
    pub fn restore(
        &self,
        handle: &Handle,
        id: &TrashId,
        also: impl FnOnce(&Writer<'_>, &Restored) -> Result<()>,
    ) -> Result<Restored> {
        let restored = self.store.writing(&Owner::User(handle.clone()), |writer| {
            let record = self.read(handle, id)?;
            let folder = folder(handle, id);
            let stem = self.free_stem(handle, &record)?;
            let restored = record.restored(stem.clone());
            if record.kind == Sort::Version {
                let copy = self.copy_back(writer, handle, &record, &stem)?;
                if let Err(error) = also(writer, &restored) {
                    writer.remove(&copy).unwrap_or_else(|error| tracing::warn!(?error, %handle, "a copy is left"));
                    return Err(error);
                }
            } else {
                let mut moves = Vec::new();
                for (index, part) in record.parts.iter().enumerate() {
                    let stored = folder.file(&stored_name(index)?);
                    if self.store.stat(&stored)?.is_some() {
                        moves.push((stored, part.live(handle, &stem)?));
                    }
                }
                move_all(writer, &self.store, &moves)?;
                if let Err(error) = also(writer, &restored) {
                    move_back(writer, &moves);
                    return Err(error);
                }
            }
            // It is back; if this fails, a record without files is left, which is nothing.
            self.forget(writer, &folder).unwrap_or_else(|error| tracing::warn!(?error, %handle, "left in the trash"));
            Ok(restored)
        })?;
        self.changed(handle);
        Ok(restored)
    }

    /// Puts an earlier version in the place of what is there now, which is kept as one in its turn. Where nothing is there
    /// any more it just comes back.
    pub fn put_back(&self, handle: &Handle, id: &TrashId) -> Result<Restored> {
        let restored = self.store.writing(&Owner::User(handle.clone()), |writer| {
            let record = self.read(handle, id)?;
            // What a persona says stands in the settings, not in its file.
            if record.kind != Sort::Version || record.thing() == Sort::Persona {
                return Err(Error::invalid(
                    "bad_request",
                    "Only an earlier version of a chat, a character or a lorebook can take the place of what is there. \
                     Nothing was changed.",
                ));
            }
            let restored = record.restored(record.stem.clone());
            let version = self.version(handle, &record)?;
            let live = record.part()?.live(handle, &record.stem)?;
            let Record { kind: sort, stem, name, of, parts, note, .. } = record;
            let present = (Item { sort, stem, name, of, parts, note }, Often::Always);
            self.replacing(writer, handle, present, &live, || {
                writer.assemble(&live, &[version.piece()], true).map(drop)
            })?;
            self.forget(writer, &folder(handle, id))
                .unwrap_or_else(|error| tracing::warn!(?error, %handle, "left in the trash"));
            Ok(restored)
        })?;
        self.changed(handle);
        Ok(restored)
    }

    /// Removes something for good.
    pub fn erase(&self, handle: &Handle, id: &TrashId) -> Result<()> {
        self.store.writing(&Owner::User(handle.clone()), |writer| {
            self.read(handle, id)?;
            let erased = self.forget(writer, &folder(handle, id));
            self.changed(handle);
            erased
        })
    }

    /// Removes all of it for good.
    pub fn empty(&self, handle: &Handle) -> Result<()> {
        let emptied = self.store.writing(&Owner::User(handle.clone()), |writer| {
            let trash = trash(handle);
            for name in self.store.list_folders(&trash)? {
                if TrashId::parse(name.as_str()).is_ok() {
                    self.forget(writer, &trash.file(&name))?;
                }
            }
            Ok(())
        });
        // Some of it may be gone even if not all of it could be removed.
        self.changed(handle);
        emptied
    }

    /// Removes what has been kept long enough, and the oldest of what is too much. Whoever is busy is swept the next time.
    pub fn sweep(&self, handle: &Handle) -> Result<u64> {
        self.sweep_at(handle, clock::now_ms())
    }

    fn sweep_at(&self, handle: &Handle, now: i64) -> Result<u64> {
        if self.store.stat(&trash(handle))?.is_none() {
            return Ok(0);
        }
        let swept = self.store.writing(&Owner::User(handle.clone()), |writer| {
            let mut swept = 0;
            let known = self.records(handle)?;
            for record in known.iter().filter(|record| self.expires(record) <= now) {
                self.forget(writer, &folder(handle, &record.id))?;
                swept += 1;
            }
            for name in self.store.list_folders(&trash(handle))? {
                let place = trash(handle).file(&name);
                let Ok(id) = TrashId::parse(name.as_str()) else { continue };
                if known.iter().any(|record| record.id == id) {
                    continue;
                }
                // Without a record it was never finished. With one that cannot be read it may yet be read, by a person or
                // another version of the program.
                let has_record = self.store.stat(&place.file(&RECORD))?.is_some();
                let patience = if has_record { self.patience() } else { DAY_MS };
                let touched = self.store.stat(&place)?.map_or(now, |stat| clock::to_ms(stat.modified));
                if touched.saturating_add(patience) < now {
                    self.forget(writer, &place)?;
                    swept += 1;
                }
            }
            Ok(swept + self.shrink(writer, handle, now)?)
        });
        match swept {
            Err(error) if error.kind() == Kind::Busy => Ok(0),
            Ok(swept) if swept > 0 => {
                self.changes.publish(handle, Change::Trash {});
                Ok(swept)
            }
            other => other,
        }
    }

    /// Removes the oldest until the rest fits: versions first, and of things deleted none of the last day. The newest
    /// version stays in any case.
    fn shrink(&self, writer: &Writer<'_>, handle: &Handle, now: i64) -> Result<u64> {
        let records = self.records(handle)?;
        let mut size: u64 = records.iter().map(|record| record.size).sum();
        let mut shrunk = 0;
        let (versions, things): (Vec<&Record>, Vec<&Record>) =
            records.iter().rev().partition(|record| record.kind == Sort::Version);
        let versions = versions.iter().take(versions.len().saturating_sub(1));
        let things = things.iter().filter(|record| record.deleted + DAY_MS < now);
        for record in versions.chain(things) {
            if size <= self.rules.size_max {
                break;
            }
            self.forget(writer, &folder(handle, &record.id))?;
            size = size.saturating_sub(record.size);
            shrunk += 1;
        }
        lock(&self.sizes).insert(handle.clone(), size);
        Ok(shrunk)
    }

    /// Notes that there is more, and makes room if it is too much. That this fails is no reason not to delete something.
    fn added(&self, writer: &Writer<'_>, handle: &Handle, size: u64) {
        let known = lock(&self.sizes).get(handle).copied();
        let is_fine = known.is_some_and(|known| known.saturating_add(size) <= self.rules.size_max);
        if is_fine {
            lock(&self.sizes).entry(handle.clone()).and_modify(|known| *known = known.saturating_add(size));
        } else if let Err(error) = self.shrink(writer, handle, clock::now_ms()) {
            tracing::warn!(?error, %handle, "the trash could not be made smaller");
        }
        self.changes.publish(handle, Change::Trash {});
    }

    /// All records that can be read and have something to them, newest first.
    fn records(&self, handle: &Handle) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in self.store.list_folders(&trash(handle))? {
            let Ok(id) = TrashId::parse(name.as_str()) else { continue };
            match self.read(handle, &id) {
                Ok(record) => records.push(record),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.deleted));
        Ok(records)
    }

    /// A record, if it is one and its files are there.
    fn read(&self, handle: &Handle, id: &TrashId) -> Result<Record> {
        let gone = || Error::not_found("There is no such thing in the trash.");
        let folder = folder(handle, id);
        let text = store::if_there(self.store.read_at_most(&folder.file(&RECORD), RECORD_MAX))?.ok_or_else(gone)?;
        let record: Record = serde_json::from_slice(&text).map_err(|_| gone())?;
        let mut has_files = record.parts.is_empty();
        for index in 0..record.parts.len() {
            has_files = has_files || self.store.stat(&folder.file(&stored_name(index)?))?.is_some();
        }
        if has_files && record.is_of(id) { Ok(record) } else { Err(gone()) }
    }

    fn write_record(&self, writer: &Writer<'_>, folder: &Place, record: &Record) -> Result<()> {
        let text = serde_json::to_vec_pretty(record).map_err(Error::internal)?;
        writer.write(&folder.file(&RECORD), &text, Expect::Absent)
    }

    /// First the record, so that half a folder is never taken for a whole one.
    fn forget(&self, writer: &Writer<'_>, folder: &Place) -> Result<()> {
        writer.remove(&folder.file(&RECORD))?;
        writer.remove_folder(folder)
    }

    /// A version comes back as a copy of what belonged to it: its file may be the one that is there now, grown since.
    fn copy_back(&self, writer: &Writer<'_>, handle: &Handle, record: &Record, stem: &FileName) -> Result<Place> {
        let copy = record.part()?.live(handle, stem)?;
        writer.assemble(&copy, &[self.version(handle, record)?.piece()], false)?;
        Ok(copy)
    }

    fn version(&self, handle: &Handle, record: &Record) -> Result<Version> {
        let file = self.store.open_file(&folder(handle, &record.id).file(&stored_name(0)?))?;
        let size = record.size.min(file.stat().size);
        Ok(Version { file, size })
    }

    /// The name it had, or the first one like it under which nothing of it is there.
    fn free_stem(&self, handle: &Handle, record: &Record) -> Result<FileName> {
        'names: for n in 0..NAMES_MAX {
            let stem = if n == 0 { record.stem.clone() } else { record.numbered(n)? };
            for part in &record.parts {
                if self.store.stat(&part.live(handle, &stem)?)?.is_some() {
                    continue 'names;
                }
            }
            return Ok(stem);
        }
        Err(Error::conflict("conflict", "There already are too many things of that name. Nothing was changed."))
    }

    fn measure(&self, folder: &Place) -> Result<u64> {
        let mut size = 0;
        for entry in self.store.list(folder)? {
            size += entry.stat.size;
        }
        for name in self.store.list_folders(folder)? {
            size += self.measure(&folder.file(&name))?;
        }
        Ok(size)
    }

    fn expires(&self, record: &Record) -> i64 {
        record.deleted.saturating_add(self.patience())
    }

    /// How long things are kept, in milliseconds.
    fn patience(&self) -> i64 {
        DAY_MS.saturating_mul(i64::from(self.rules.days))
    }

    fn shown(&self, record: &Record) -> Discarded {
        Discarded {
            id: record.id.clone(),
            kind: record.kind,
            thing: record.thing(),
            name: record.name.clone(),
            of: record.of.clone(),
            begun: record.of.as_ref().and_then(|_| dates::in_name(&record.name)),
            size: record.size,
            deleted: record.deleted,
            expires: self.expires(record),
        }
    }
}

/// The file of an earlier version.
struct Version {
    file: OpenFile,
    /// What belongs to it, in bytes: its file may be the one that is there now, grown since.
    size: u64,
}

impl Version {
    fn piece(&self) -> Piece<'_> {
        Piece::Of(&self.file, 0..self.size)
    }
}

/// Moves all of these, or none.
fn move_all(writer: &Writer<'_>, store: &Store, moves: &[(Place, Place)]) -> Result<()> {
    for (index, (from, to)) in moves.iter().enumerate() {
        if let Err(error) = writer.rename(from, to) {
            // The last one can have been moved and only its sync failed.
            let is_moved = matches!(store.stat(from), Ok(None));
            move_back(writer, &moves[..index + usize::from(is_moved)]);
            return Err(error);
        }
    }
    Ok(())
}

fn move_back(writer: &Writer<'_>, moves: &[(Place, Place)]) {
    for (from, to) in moves.iter().rev() {
        writer.rename(to, from).unwrap_or_else(|error| tracing::warn!(?error, "left in the trash"));
    }
}

fn stored_name(index: usize) -> Result<FileName> {
    FileName::parse(&index.to_string())
}

fn trash(handle: &Handle) -> Place {
    Place::of(handle).folder(Folder::TRASH)
}

fn folder(handle: &Handle, id: &TrashId) -> Place {
    trash(handle).file(id.as_name())
}

#[cfg(test)]
mod tests;
