//! Small JSON records of the store itself: of restores, undo points, exchanges under way.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Place, Store, if_there, write_failure};
use crate::error::{Error, Result};

/// The newest format of these records that this program reads, and the one it writes.
pub(super) const FORMAT: u32 = 1;
/// Far more than any of them has.
const SIZE_MAX: u64 = 16 << 20;

impl Store {
    /// The record at `place`; an error that names it when it is damaged.
    pub(super) fn read_record<T: DeserializeOwned>(&self, place: &Place) -> Result<T> {
        let text = self.read_at_most(place, SIZE_MAX)?;
        serde_json::from_slice(&text).map_err(|error| {
            Error::conflict("damaged", format!("{} is damaged. Nothing was changed.", place.as_path().display()))
                .because(error)
        })
    }

    /// The same, or `None` when it is not there.
    pub(super) fn read_record_if_there<T: DeserializeOwned>(&self, place: &Place) -> Result<Option<T>> {
        if_there(self.read_record(place))
    }

    /// Writes the record at `place`, durably, with the folders above it.
    pub(super) fn write_record(&self, place: &Place, record: &impl Serialize) -> Result<()> {
        let text = text_of(record)?;
        self.put_record(place, &text).map_err(|error| write_failure("write a record", place, error))
    }

    /// The same for what has to work on a full disk.
    pub(super) fn write_record_urgently(&self, place: &Place, record: &impl Serialize) -> Result<()> {
        let text = text_of(record)?;
        let put = self.with_reserve(|| self.put_record(place, &text));
        put.map_err(|error| write_failure("write a record", place, error))
    }

    fn put_record(&self, place: &Place, text: &[u8]) -> io::Result<()> {
        let path = self.path(place);
        path.parent().map_or(Ok(()), |folder| self.disk.make_folders(folder))?;
        self.disk.replace(&path, text)
    }

    /// Removes the record at `place`, durably; one that is not there is fine.
    pub(super) fn remove_record(&self, place: &Place) -> Result<()> {
        let path = self.path(place);
        let removing = |error| write_failure("remove a record", place, error);
        if !self.disk.exists(&path).map_err(removing)? {
            return Ok(());
        }
        self.disk.remove_file(&path).map_err(removing)?;
        path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder)).map_err(removing)
    }

    /// Removes a folder that `record` makes count: first the record, so that half a folder is never taken for a whole one.
    pub(super) fn remove_recorded(&self, folder: &Place, record: &Place) -> Result<()> {
        self.remove_record(record)?;
        let path = self.path(folder);
        self.moments.keep_below(&path);
        self.disk.remove_tree(&path).map_err(|error| write_failure("remove a folder", folder, error))
    }
}

fn text_of(record: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(record).map_err(Error::internal)
}
