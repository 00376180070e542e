//! Folders of deleted accounts, kept for a while, and the sweep that ends all waiting.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::record::FORMAT;
use super::restore::RestoreRecord;
use super::swap::moving;
use super::undo::{UndoRecord, points_of};
use super::{FileName, Folder, Handle, Owner, Place, RestoreId, Store, UndoId, restore};
use crate::error::{Error, Kind, Result};

const RECORD: FileName = FileName::known("trash.json");
/// Prepared restores are forgotten after a day: the archive can be uploaded again.
const RESTORES_KEPT: Duration = DAY;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A deleted account's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    format: u32,
    /// Whose it was.
    pub handle: Handle,
    /// When it was deleted, in milliseconds since 1970.
    pub date: i64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Undo points.
    pub undo: u64,
    /// Folders of deleted accounts.
    pub trash: u64,
    /// Restores that were never applied.
    pub restores: u64,
}

impl Store {
    /// Moves a user's folder and undo points to the trash, in one rename each. The undo points go first: they must never
    /// be seen by someone who gets the same handle later.
    pub fn trash_user(&self, handle: &Handle) -> Result<()> {
        self.writing(&Owner::User(handle.clone()), |_| {
            let bytes = self.measure(handle)?.0;
            let trashed = Trashed { format: FORMAT, handle: handle.clone(), date: crate::clock::now_ms(), bytes };
            let bin = trashed.folder()?;
            self.write_record_urgently(&bin.file(&RECORD), &trashed)?;
            let undo = bin.folder(Folder::UNDO);
            let moved = self
                .move_folder(&points_of(handle), &undo)
                .and_then(|()| self.move_folder(&Place::of(handle), &bin.folder(Folder::TREE)));
            moved.inspect_err(|_| {
                // Both are looked for, since a rename can have worked and only its sync failed; the bin goes last.
                let tidied = self
                    .move_folder(&bin.folder(Folder::TREE), &Place::of(handle))
                    .and_then(|()| self.move_folder(&undo, &points_of(handle)))
                    .and_then(|()| self.remove_recorded(&bin, &bin.file(&RECORD)));
                tidied.unwrap_or_else(|error| tracing::warn!(?error, %handle, "left in the trash"));
            })
        })
    }

    /// Deleted accounts' folders, newest first.
    pub fn list_trash(&self) -> Result<Vec<Trashed>> {
        let mut found = Vec::new();
        for (bin, record) in self.bins()? {
            if let Some(record) = record
                && self.is_there(&bin.folder(Folder::TREE))?
            {
                found.push(record);
            }
        }
        found.sort_by_key(|trashed| std::cmp::Reverse(trashed.date));
        Ok(found)
    }

    /// Brings the folder of a deleted account back, the newest if there are several.
    pub fn untrash(&self, handle: &Handle) -> Result<()> {
        self.writing(&Owner::User(handle.clone()), |_| {
            let trashed = self.list_trash()?.into_iter().find(|trashed| trashed.handle == *handle);
            let trashed = trashed.ok_or_else(|| Error::not_found("There is nothing of that account in the trash."))?;
            if self.is_there(&Place::of(handle))? {
                return Err(Error::conflict("conflict", "There already is a folder of that account."));
            }
            let bin = trashed.folder()?;
            self.move_folder(&bin.folder(Folder::TREE), &Place::of(handle))?;
            if !self.is_there(&points_of(handle))? {
                self.move_folder(&bin.folder(Folder::UNDO), &points_of(handle))?;
            }
            self.remove_recorded(&bin, &bin.file(&RECORD))
        })
    }

    /// Removes undo points and deleted accounts' folders older than `days`, and restores older than one day.
    pub fn sweep(&self, days: u32) -> Result<Swept> {
        self.sweep_at(SystemTime::now(), days)
    }

    pub(super) fn sweep_at(&self, now: SystemTime, days: u32) -> Result<Swept> {
        let unfinished = self.finish_swaps()?;
        let limit = |kept: Duration| crate::clock::to_ms(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH));
        let (oldest, oldest_restore) = (limit(DAY * days), limit(RESTORES_KEPT));
        let mut swept = Swept::default();
        for name in self.list_folders(&Place::system().folder(Folder::UNDO))? {
            if let Ok(handle) = Handle::parse(name.as_str())
                && !unfinished.contains(&handle)
            {
                let sweep = self.writing(&Owner::User(handle.clone()), |_| self.sweep_undo(&handle, oldest));
                swept.undo += unless_busy(sweep, &handle)?;
            }
        }
        for (bin, record) in self.bins()? {
            if self.date_of(&bin, record.as_ref().map(|record| record.date))? < oldest {
                swept.trash += self.sweep_bin(&bin, record.map(|record| record.handle))?;
            }
        }
        // An exchange that could not be finished may still need its restore.
        let restores = if unfinished.is_empty() {
            self.list_folders(&Place::system().folder(Folder::RESTORES))?
        } else {
            Vec::new()
        };
        for name in restores {
            if let Ok(id) = RestoreId::parse(name.as_str())
                && self.date_of(&restore::folder(&id), None)? < oldest_restore
            {
                swept.restores += self.sweep_restore(&id)?;
            }
        }
        Ok(swept)
    }

    fn sweep_undo(&self, handle: &Handle, oldest: i64) -> Result<u64> {
        let mut swept = 0;
        for name in self.list_folders(&points_of(handle))? {
            let Ok(id) = UndoId::parse(name.as_str()) else { continue };
            let (folder, record) = (UndoRecord::folder(handle, &id), UndoRecord::place(handle, &id));
            // One that cannot be read is as old as its folder.
            let date = self.read_record::<UndoRecord>(&record).ok().map(|record| record.point.date);
            if self.date_of(&folder, date)? < oldest {
                self.remove_recorded(&folder, &record)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Under its owner's lock, for it may be on its way back this very moment; then it is gone from here.
    fn sweep_bin(&self, bin: &Place, owner: Option<Handle>) -> Result<u64> {
        let remove = || {
            if !self.is_there(bin)? {
                return Ok(0);
            }
            self.remove_recorded(bin, &bin.file(&RECORD)).map(|()| 1)
        };
        match owner {
            Some(handle) => unless_busy(self.writing(&Owner::User(handle.clone()), |_| remove()), &handle),
            None => remove(),
        }
    }

    fn sweep_restore(&self, id: &RestoreId) -> Result<u64> {
        let remove = || self.remove_recorded(&restore::folder(id), &restore::record(id));
        match self.read_record::<RestoreRecord>(&restore::record(id)) {
            Ok(RestoreRecord { handle, .. }) => {
                let sweep = self.writing(&Owner::User(handle.clone()), |_| remove().map(|()| 1));
                unless_busy(sweep, &handle)
            }
            Err(_) => remove().map(|()| 1),
        }
    }

    /// All folders of the trash with their records.
    fn bins(&self) -> Result<Vec<(Place, Option<Trashed>)>> {
        let trash = Place::system().folder(Folder::TRASH);
        let names = self.list_folders(&trash)?;
        Ok(names
            .iter()
            .map(|name| trash.file(name))
            .map(|bin| {
                let record = self.read_record(&bin.file(&RECORD)).ok();
                (bin, record)
            })
            .collect())
    }

    fn date_of(&self, folder: &Place, recorded: Option<i64>) -> Result<i64> {
        match recorded {
            Some(date) => Ok(date),
            None => Ok(self.stat(folder)?.map_or(i64::MAX, |stat| crate::clock::to_ms(stat.modified))),
        }
    }

    fn is_there(&self, place: &Place) -> Result<bool> {
        Ok(self.stat(place)?.is_some())
    }

    /// Renames a folder, if it is there, and brings that to the disk.
    fn move_folder(&self, from: &Place, to: &Place) -> Result<()> {
        if !self.is_there(from)? {
            return Ok(());
        }
        let (source, target) = (self.path(from), self.path(to));
        self.moments.renaming(&self.disk, &source, &target).map_err(|error| moving(from, error))?;
        let mut above = [&source, &target].into_iter().filter_map(|path| path.parent());
        above.try_for_each(|folder| self.disk.sync_folder(folder)).map_err(|error| moving(from, error))
    }
}

/// Whoever is busy, with a backup perhaps, is swept the next time, and all others now.
fn unless_busy(swept: Result<u64>, handle: &Handle) -> Result<u64> {
    match swept {
        Err(error) if error.kind() == Kind::Busy => {
            tracing::info!(%handle, "busy; what has been kept long enough is removed the next time");
            Ok(0)
        }
        other => other,
    }
}

impl Trashed {
    fn folder(&self) -> Result<Place> {
        let name = FileName::parse(&format!("{}-{}", self.handle, self.date))?;
        Ok(Place::system().folder(Folder::TRASH).file(&name))
    }
}

#[cfg(test)]
mod tests;
