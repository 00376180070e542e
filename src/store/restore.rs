//! Bringing an archive back: first unpacked beside the data and compared, then exchanged for what is there.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive::{Archive, Contents, Limits, Part, Plan, Progress, Staging};
use super::disk::Disk;
use super::record::FORMAT;
use super::swap::{Change, Staged};
use super::undo::Reason;
use super::{
    FileName, Folder, Handle, Owner, Place, RelPath, RestoreId, Store, USER_FOLDERS, UndoId, Version, failure,
    if_there, write_failure,
};
use crate::error::{Error, Result};

const RECORD: FileName = FileName::known("restore.json");

/// A restore that has been prepared: nothing is changed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its name.
    pub id: RestoreId,
    /// What it would do.
    pub plan: Plan,
}

/// The content of `restore.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RestoreRecord {
    format: u32,
    pub(super) handle: Handle,
    plan: Plan,
}

impl Store {
    /// Takes an archive in, of at most `limit` bytes. It has no name on the disk and is gone when dropped.
    pub fn upload(&self, limit: u64) -> Result<Upload> {
        let place = restores();
        let folder = self.path(&place);
        let made = self.disk.make_folders(&folder).and_then(|()| self.disk.unnamed_in(&folder));
        let file = made.map_err(|error| write_failure("take in an archive", &place, error))?;
        Ok(Upload { file, disk: self.disk.clone(), left: limit })
    }

    /// Unpacks an archive beside the data, checks every byte of it, and says what bringing it back would do. When it is
    /// refused, nothing of it is left.
    pub fn prepare_restore(
        &self,
        handle: &Handle,
        archive: File,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Prepared> {
        let mut archive = Archive::open(archive, limits)?;
        let id = RestoreId::new()?;
        let prepared = self.unpack(&id, &mut archive, progress).and_then(|contents| {
            let plan = self.compare(handle, &archive, &contents)?;
            let record = RestoreRecord { format: FORMAT, handle: handle.clone(), plan };
            self.write_record(&self::record(&id), &record)?;
            Ok(Prepared { id: id.clone(), plan: record.plan })
        });
        match &prepared {
            Ok(_) => self.forget_others(handle, &id),
            Err(_) => self.drop_restore(handle, &id),
        }
        prepared
    }

    /// Forgets what was prepared for this user before: one person's uploads must not add up to a full disk.
    fn forget_others(&self, handle: &Handle, kept: &RestoreId) {
        let forgotten = self.list_folders(&restores()).and_then(|names| {
            let ids = names.iter().filter_map(|name| RestoreId::parse(name.as_str()).ok());
            ids.filter(|id| id != kept && self.prepared_restore(handle, id).is_ok())
                .try_for_each(|id| self.discard_restore(handle, &id))
        });
        if let Err(error) = forgotten {
            tracing::warn!(?error, %handle, "an earlier upload stays until it is swept away");
        }
    }

    /// A restore that was prepared for this user.
    pub fn prepared_restore(&self, handle: &Handle, id: &RestoreId) -> Result<Prepared> {
        self.read_record_if_there::<RestoreRecord>(&record(id))?
            .filter(|record| record.handle == *handle)
            .map(|record| Prepared { id: id.clone(), plan: record.plan })
            .ok_or_else(|| Error::not_found("There is no such restore. Upload the archive again."))
    }

    /// Forgets a prepared restore.
    pub fn discard_restore(&self, handle: &Handle, id: &RestoreId) -> Result<()> {
        self.writing(&Owner::User(handle.clone()), |_| {
            self.prepared_restore(handle, id)?;
            self.remove_recorded(&folder(id), &record(id))
        })
    }

    /// Makes each of `parts` exactly as it is in the archive. What was there is in the undo point. All or nothing.
    pub fn apply_restore(&self, handle: &Handle, id: &RestoreId, parts: &[Part]) -> Result<UndoId> {
        self.writing(&Owner::User(handle.clone()), |writer| {
            let plan = self.prepared_restore(handle, id)?.plan;
            let parts: BTreeSet<Part> = parts.iter().copied().collect();
            check_choice(&plan, &parts)?;
            let chosen = |name: &FileName| match Part::of(name.as_str()) {
                Some(part) => parts.contains(&part),
                None => name.as_str() != Folder::TRASH.as_str() && parts.iter().any(|part| part.has_thumbnails()),
            };
            let mut entries = self.top_names(&Place::of(handle))?;
            entries.extend(self.top_names(&tree(id))?);
            entries.retain(chosen);
            let parts = parts.into_iter().collect();
            let staged = Staged::Restore(id.clone());
            self.exchange(writer, handle, Change { staged, reason: Reason::Restore, parts, entries })
        })
    }

    fn unpack(&self, id: &RestoreId, archive: &mut Archive, progress: &Progress) -> Result<Contents> {
        let mut staging = Staging::new(&self.disk, self.path(&tree(id)))?;
        let contents = archive.unpack(Some(&mut staging), progress)?;
        // The folders that every user has, in the parts that the archive has. And an empty cache of thumbnails: those of
        // pictures that are replaced would be of the old ones.
        let parts = contents.parts();
        for folder in USER_FOLDERS.iter().map(|folder| folder.as_str()) {
            let top = folder.split('/').next().unwrap_or(folder);
            if Part::of(top).is_none_or(|part| parts.contains(&part)) {
                staging.make_folder(folder)?;
            }
        }
        staging.finish()?;
        Ok(contents)
    }

    fn compare(&self, handle: &Handle, archive: &Archive, contents: &Contents) -> Result<Plan> {
        let user = Place::of(handle);
        let walked = self.disk.walk(&self.path(&user)).map_err(|error| failure("walk a folder", &user, error));
        let live: HashMap<RelPath, u64> = if_there(walked)?
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, stat)| stat.is_file)
            .filter_map(|(path, stat)| Some((RelPath::parse(path.to_str()?).ok()?, stat.size)))
            .collect();
        // A file that vanishes or cannot be read differs from the archive's.
        let read = |path: &RelPath| version_of(&self.disk, &self.path(&user.below(path))).ok();
        let included = contents.parts();
        Ok(Plan {
            source: archive.source(),
            handle: archive.handle().cloned(),
            created: archive.created(),
            verified: archive.handle().is_some(),
            files: contents.files.len() as u64,
            bytes: contents.files.values().map(|(size, _)| size).sum(),
            parts: contents.compare(&live, read),
            not_included: Part::all().filter(|part| !included.contains(part)).collect(),
        })
    }

    /// Removes a restore after a failure, unless an exchange that could not be taken back yet still needs it.
    pub(super) fn drop_restore(&self, handle: &Handle, id: &RestoreId) {
        let dropped = self.writing(&Owner::User(handle.clone()), |_| self.remove_recorded(&folder(id), &record(id)));
        dropped.unwrap_or_else(|error| tracing::warn!(?error, %handle, %id, "a restore is left to the sweep"));
    }
}

fn check_choice(plan: &Plan, parts: &BTreeSet<Part>) -> Result<()> {
    if parts.is_empty() {
        return Err(Error::invalid("bad_parts", "Choose at least one part."));
    }
    match parts.iter().find(|part| plan.not_included.contains(part)) {
        Some(part) => {
            Err(Error::invalid("bad_parts", format!("The archive has nothing of this part: {}.", part.title())))
        }
        None => Ok(()),
    }
}

fn version_of(disk: &Disk, path: &Path) -> io::Result<Version> {
    let mut file = disk.open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Version::seen_by(hasher)),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn restores() -> Place {
    Place::system().folder(Folder::RESTORES)
}

/// The folder of a restore.
pub(super) fn folder(id: &RestoreId) -> Place {
    restores().file(id.as_name())
}

/// Its unpacked files.
pub(super) fn tree(id: &RestoreId) -> Place {
    folder(id).folder(Folder::TREE)
}

/// Its record.
pub(super) fn record(id: &RestoreId) -> Place {
    folder(id).file(&RECORD)
}

/// An archive being received.
pub struct Upload {
    file: File,
    disk: Disk,
    left: u64,
}

impl Upload {
    /// The received archive, for [`Store::prepare_restore`].
    pub fn into_archive(mut self) -> Result<File> {
        self.file.rewind().map_err(|error| Error::storage("read the archive", error))?;
        Ok(self.file)
    }
}

impl Write for Upload {
    /// Fails with `FileTooLarge` above the limit.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.disk.write(&mut self.file, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
