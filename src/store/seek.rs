//! Files looked into here and there, rather than read whole.

use std::fs::File;
use std::io;

use super::{FileName, Place, Stat, Store, failure};
use crate::error::Result;

impl Store {
    /// A file that can be read at any place, and what it looked like when it was opened. Links, pipes and devices are
    /// refused.
    pub fn open_to_seek(&self, place: &Place) -> Result<(File, Stat)> {
        let opened = self.disk.open(&self.path(place)).and_then(|file| {
            let stat = Stat::of(&file.metadata()?);
            Ok((file, stat))
        });
        opened.map_err(|error| failure("read a file", place, error))
    }

    /// The folders in a folder, with their times, in no order; none when the folder is not there.
    pub fn list_folders_seen(&self, folder: &Place) -> Result<Vec<(FileName, Stat)>> {
        match self.disk.list(&self.path(folder)) {
            Ok(found) => Ok(found
                .into_iter()
                .filter(|(_, stat)| stat.is_folder)
                .filter_map(|(name, stat)| Some((FileName::parse(name.to_str()?).ok()?, stat)))
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failure("list a folder", folder, error)),
        }
    }
}
