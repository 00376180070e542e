//! Undo points: what a restore, a reset or an undo took out of a user's folder, ready to be brought back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::archive::Part;
use super::swap::{Change, Staged};
use super::{
    FileName, Folder, Handle, Owner, Place, RestoreId, Store, USER_FOLDERS, UndoId, Writer, failure, if_there, restore,
    write_failure,
};
use crate::error::{Error, Result};

const RECORD: FileName = FileName::known("undo.json");

/// What made an undo point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// An archive was brought back.
    Restore,
    /// The folder was started afresh.
    Reset,
    /// An earlier undo point was brought back.
    Undo,
}

/// A state that can be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoPoint {
    /// Its name.
    pub id: UndoId,
    /// When it was replaced, in milliseconds since 1970.
    pub date: i64,
    /// By what.
    pub reason: Reason,
    /// Bytes of the files that it keeps.
    pub bytes: u64,
    /// The parts that it would bring back.
    pub parts: Vec<Part>,
}

/// The content of `undo.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UndoRecord {
    pub(super) format: u32,
    #[serde(flatten)]
    pub(super) point: UndoPoint,
    /// The top-level names that were exchanged; those that the tree does not have were not there.
    pub(super) entries: Vec<FileName>,
}

impl UndoRecord {
    pub(super) fn folder(handle: &Handle, id: &UndoId) -> Place {
        points_of(handle).file(id.as_name())
    }

    pub(super) fn place(handle: &Handle, id: &UndoId) -> Place {
        Self::folder(handle, id).file(&RECORD)
    }
}

impl Store {
    /// A user's undo points, newest first.
    pub fn list_undo(&self, handle: &Handle) -> Result<Vec<UndoPoint>> {
        let mut points = Vec::new();
        for name in self.list_folders(&points_of(handle))? {
            let Ok(id) = UndoId::parse(name.as_str()) else { continue };
            match self.undo_record(handle, &id) {
                Ok(record) => points.push(record.point),
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(?error, %handle, %id, "an undo point cannot be read"),
            }
        }
        points.sort_by(|a, b| (b.date, &b.id).cmp(&(a.date, &a.id)));
        Ok(points)
    }

    /// Brings back what an undo point keeps; the present state becomes a new one.
    pub fn undo(&self, handle: &Handle, id: &UndoId) -> Result<UndoId> {
        self.writing(&Owner::User(handle.clone()), |writer| {
            let record = self.undo_record(handle, id)?;
            let change = Change {
                staged: Staged::Undo(id.clone()),
                reason: Reason::Undo,
                parts: record.point.parts,
                entries: record.entries.into_iter().collect(),
            };
            self.exchange(writer, handle, change)
        })
    }

    /// Forgets an undo point, and with it the files that it keeps.
    pub fn remove_undo(&self, handle: &Handle, id: &UndoId) -> Result<()> {
        self.writing(&Owner::User(handle.clone()), |_| {
            self.undo_record(handle, id)?;
            self.remove_recorded(&UndoRecord::folder(handle, id), &UndoRecord::place(handle, id))
        })
    }

    /// Starts the user's folder afresh. `fill` writes the first files into a new tree, which has the folders that every
    /// user has; then it takes the place of all that is there, which becomes an undo point.
    pub fn reset_folder(
        &self,
        handle: &Handle,
        fill: impl FnOnce(&Writer<'_>, &Place) -> Result<()>,
    ) -> Result<UndoId> {
        let id = RestoreId::new()?;
        let reset = self.fresh_tree(&id, fill).and_then(|()| {
            self.writing(&Owner::User(handle.clone()), |writer| {
                let mut entries = self.top_names(&Place::of(handle))?;
                let parts: BTreeSet<Part> = entries.iter().filter_map(|name| Part::of(name.as_str())).collect();
                entries.extend(self.top_names(&restore::tree(&id))?);
                let parts = parts.into_iter().collect();
                let staged = Staged::Restore(id.clone());
                self.exchange(writer, handle, Change { staged, reason: Reason::Reset, parts, entries })
            })
        });
        reset.inspect_err(|_| self.drop_restore(handle, &id))
    }

    fn fresh_tree(&self, id: &RestoreId, fill: impl FnOnce(&Writer<'_>, &Place) -> Result<()>) -> Result<()> {
        let tree = restore::tree(id);
        for folder in USER_FOLDERS {
            let place = tree.folder(*folder);
            self.disk
                .make_folders(&self.path(&place))
                .map_err(|error| write_failure("make a folder", &place, error))?;
        }
        fill(&Writer { store: self, root: tree.clone(), keeps_processes_out: true, is_urgent: false }, &tree)
    }

    /// The names at the top of `folder`, of files and folders alike; none when it is not there.
    pub(super) fn top_names(&self, folder: &Place) -> Result<BTreeSet<FileName>> {
        let found = self.disk.list(&self.path(folder)).map_err(|error| failure("list a folder", folder, error));
        let found = if_there(found)?.unwrap_or_default();
        Ok(found.into_iter().filter_map(|(name, _)| FileName::parse(name.to_str()?).ok()).collect())
    }

    fn undo_record(&self, handle: &Handle, id: &UndoId) -> Result<UndoRecord> {
        self.read_record_if_there(&UndoRecord::place(handle, id))?
            .ok_or_else(|| Error::not_found("There is no such undo point."))
    }
}

/// The folder of all undo points of a user.
pub(super) fn points_of(handle: &Handle) -> Place {
    Place::system().folder(Folder::UNDO).named(handle, "")
}
