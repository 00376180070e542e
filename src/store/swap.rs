//! Exchanging top-level entries of a user's folder for others: all of them, or none.
//!
//! Each entry is renamed from the live folder to an undo point, and its successor from where it was staged to the live
//! folder. A journal written before the first rename says which; the undo point's record, written after the last, is the
//! commit. So whatever happens in between, a crash included, the next one who takes the user's write lock sees a journal
//! and knows: with the record the exchange is done, without it every rename is taken back. Each step of either way looks
//! at what is there, so it can be interrupted and done again any number of times.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::archive::Part;
use super::record::FORMAT;
use super::undo::{Reason, UndoPoint, UndoRecord};
use super::{FileName, Folder, Handle, Owner, Place, RestoreId, Store, UndoId, Writer, failure, write_failure};
use crate::error::{Error, Kind, Result};

const ENDING: &str = ".json";

/// Where the successors wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Staged {
    /// A restore, or the fresh tree of a reset.
    Restore(RestoreId),
    /// An earlier undo point.
    Undo(UndoId),
}

/// What is to be exchanged, and why.
pub(super) struct Change {
    pub(super) staged: Staged,
    pub(super) reason: Reason,
    pub(super) parts: Vec<Part>,
    /// Top-level names. One that is not staged is only taken away.
    pub(super) entries: BTreeSet<FileName>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    format: u32,
    staged: Staged,
    record: UndoRecord,
    moves: Vec<Move>,
}

/// One top-level entry, and what there was of it before.
#[derive(Debug, Serialize, Deserialize)]
struct Move {
    name: FileName,
    live: bool,
    staged: bool,
}

impl Store {
    /// Exchanges entries of the user's folder; what was there is in the undo point. After an error all is as before, or
    /// will be before anyone writes again.
    pub(super) fn exchange(&self, writer: &Writer<'_>, handle: &Handle, change: Change) -> Result<UndoId> {
        if !writer.keeps_processes_out {
            return Err(unlocked());
        }
        let exchange = Exchange::plan(self, handle, change)?;
        let id = exchange.journal.record.point.id.clone();
        match exchange.begin().and_then(|()| exchange.forward()).and_then(|()| exchange.commit()) {
            Ok(()) => {
                exchange.finish().unwrap_or_else(|error| tracing::warn!(?error, %handle, "to be tidied up later"));
                Ok(id)
            }
            Err(error) => {
                exchange.back().unwrap_or_else(|error| tracing::warn!(?error, %handle, "to be taken back later"));
                Err(error)
            }
        }
    }

    /// Brings exchanges that were interrupted to their end. For the start of a server; later each user's own is looked
    /// after by [`Store::writing`]. The answer names those for whom that failed: their writes are refused until it works.
    pub fn finish_swaps(&self) -> Result<Vec<Handle>> {
        let names = self.list(&Place::system().folder(Folder::SWAPS))?.into_iter().map(|entry| entry.name);
        let handles: Vec<Handle> =
            names.filter_map(|name| Handle::parse(name.as_str().strip_suffix(ENDING)?).ok()).collect();
        let is_unfinished = |handle: &Handle| match self.writing(&Owner::User(handle.clone()), |_| Ok(())) {
            Ok(()) => false,
            Err(error) => {
                tracing::error!(?error, %handle, "an interrupted restore could not be finished");
                true
            }
        };
        Ok(handles.into_iter().filter(is_unfinished).collect())
    }

    /// Brings an interrupted exchange of this user to its end. The caller holds the user's lock.
    pub(super) fn settle(&self, handle: &Handle, keeps_processes_out: bool) -> Result<()> {
        let place = journal_of(handle);
        if !self.disk.exists(&self.path(&place)).map_err(|error| failure("look for a journal", &place, error))? {
            return Ok(());
        }
        if !keeps_processes_out {
            return Err(unlocked());
        }
        let exchange = Exchange { store: self, handle, journal: self.read_record(&place)? };
        let is_committed = exchange.is_committed()?;
        tracing::warn!(%handle, is_committed, "a restore, an undo or a reset was interrupted; bringing it to an end");
        if is_committed { exchange.finish() } else { exchange.back() }
    }
}

struct Exchange<'a> {
    store: &'a Store,
    handle: &'a Handle,
    journal: Journal,
}

impl<'a> Exchange<'a> {
    /// Looks at what is there.
    fn plan(store: &'a Store, handle: &'a Handle, change: Change) -> Result<Self> {
        let Change { staged, reason, parts, entries } = change;
        let point = UndoPoint { id: UndoId::new()?, date: crate::clock::now_ms(), reason, bytes: 0, parts };
        let record = UndoRecord { format: FORMAT, point, entries: entries.iter().cloned().collect() };
        let journal = Journal { format: FORMAT, staged, record, moves: Vec::new() };
        let mut exchange = Self { store, handle, journal };
        for name in entries {
            let live = exchange.exists(&exchange.live(&name))?;
            let staged = exchange.exists(&exchange.staged(&name))?;
            exchange.journal.moves.push(Move { name, live, staged });
        }
        Ok(exchange)
    }

    fn begin(&self) -> Result<()> {
        self.store.write_record(&journal_of(self.handle), &self.journal)
    }

    fn forward(&self) -> Result<()> {
        for place in [Place::of(self.handle), self.point().folder(Folder::TREE)] {
            self.store.disk.make_folders(&self.store.path(&place)).map_err(|error| moving(&place, error))?;
        }
        for entry in &self.journal.moves {
            if entry.live {
                self.rename(&self.live(&entry.name), &self.kept(&entry.name))?;
            }
            if entry.staged {
                self.rename(&self.staged(&entry.name), &self.live(&entry.name))?;
            }
        }
        self.sync()
    }

    /// Writes the undo point's record: from here on the exchange has happened.
    fn commit(&self) -> Result<()> {
        let mut record = self.journal.record.clone();
        let tree = self.store.path(&self.point().folder(Folder::TREE));
        record.point.bytes = self.store.disk.measure(&tree).map_or(0, |(bytes, _)| bytes);
        self.store.write_record(&UndoRecord::place(self.handle, &record.point.id), &record)
    }

    fn is_committed(&self) -> Result<bool> {
        self.exists(&UndoRecord::place(self.handle, &self.journal.record.point.id))
    }

    /// Clears away what a done exchange leaves: its source, which is empty or no longer wanted, and the journal.
    fn finish(&self) -> Result<()> {
        self.store.remove_record(&self.source_record())?;
        self.store.remove_record(&journal_of(self.handle))?;
        // Without its record it counts for nothing; if this fails, the sweep gets it.
        self.store.remove_recorded(&self.source(), &self.source_record())
    }

    /// Takes every rename back that has been made, last first.
    fn back(&self) -> Result<()> {
        // The record could be there, if the very last step of writing it failed.
        self.store.remove_record(&UndoRecord::place(self.handle, &self.journal.record.point.id))?;
        for entry in self.journal.moves.iter().rev() {
            if entry.staged && !self.exists(&self.staged(&entry.name))? {
                self.rename(&self.live(&entry.name), &self.staged(&entry.name))?;
            }
            if entry.live && self.exists(&self.kept(&entry.name))? {
                self.rename(&self.kept(&entry.name), &self.live(&entry.name))?;
            }
        }
        self.sync()?;
        self.store.remove_record(&journal_of(self.handle))?;
        let point = self.point();
        self.store.disk.remove_tree(&self.store.path(&point)).map_err(|error| write_failure("tidy up", &point, error))
    }

    fn sync(&self) -> Result<()> {
        let trees = [Place::of(self.handle), self.point().folder(Folder::TREE), self.source().folder(Folder::TREE)];
        for place in trees {
            if self.exists(&place)? {
                self.store.disk.sync_folder(&self.store.path(&place)).map_err(|error| moving(&place, error))?;
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Place, to: &Place) -> Result<()> {
        let paths: [PathBuf; 2] = [from, to].map(|place| self.store.path(place));
        self.store.moments.renaming(&self.store.disk, &paths[0], &paths[1]).map_err(|error| moving(from, error))
    }

    fn exists(&self, place: &Place) -> Result<bool> {
        self.store.disk.exists(&self.store.path(place)).map_err(|error| failure("look at a file", place, error))
    }

    fn live(&self, name: &FileName) -> Place {
        Place::of(self.handle).file(name)
    }

    fn kept(&self, name: &FileName) -> Place {
        self.point().folder(Folder::TREE).file(name)
    }

    fn staged(&self, name: &FileName) -> Place {
        self.source().folder(Folder::TREE).file(name)
    }

    /// The folder of the new undo point.
    fn point(&self) -> Place {
        UndoRecord::folder(self.handle, &self.journal.record.point.id)
    }

    fn source(&self) -> Place {
        match &self.journal.staged {
            Staged::Restore(id) => super::restore::folder(id),
            Staged::Undo(id) => UndoRecord::folder(self.handle, id),
        }
    }

    fn source_record(&self) -> Place {
        match &self.journal.staged {
            Staged::Restore(id) => super::restore::record(id),
            Staged::Undo(id) => UndoRecord::place(self.handle, id),
        }
    }
}

fn journal_of(handle: &Handle) -> Place {
    Place::system().folder(Folder::SWAPS).named(handle, ENDING)
}

/// Renaming works within one file system only, and nothing else is atomic.
pub(super) fn moving(place: &Place, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::CrossesDevices | io::ErrorKind::ResourceBusy => Error::conflict(
            "other_disk",
            "A folder of this user is on another disk than the server's own folder, so it cannot be moved in one step. \
             Nothing was changed.",
        )
        .because(error),
        _ => write_failure("move files", place, error),
    }
}

fn unlocked() -> Error {
    Error::new(
        Kind::Storage,
        "storage",
        "This needs a lock file in the data folder, and none could be made. Make room and try again.",
    )
}
