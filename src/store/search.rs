//! Where the search indexes are. Their files are written by the library that makes them; all of it is derived from the
//! chats, and can be thrown away at any time.

use std::path::PathBuf;

use super::{Folder, Handle, Place, Store, write_failure};
use crate::error::Result;

impl Store {
    /// The folder of somebody's search index, made if it is not there.
    pub fn search_folder(&self, handle: &Handle) -> Result<PathBuf> {
        let place = search(handle);
        let path = self.path(&place);
        self.disk.make_folders(&path).map_err(|error| write_failure("make a folder", &place, error))?;
        Ok(path)
    }

    /// Whether somebody has a search index.
    pub fn has_search(&self, handle: &Handle) -> Result<bool> {
        self.stat(&search(handle)).map(|stat| stat.is_some())
    }

    /// Throws somebody's search index away.
    pub fn remove_search(&self, handle: &Handle) -> Result<()> {
        let place = search(handle);
        self.disk.remove_tree(&self.path(&place)).map_err(|error| write_failure("remove a search index", &place, error))
    }
}

fn search(handle: &Handle) -> Place {
    Place::system().folder(Folder::SEARCH).named(handle, "")
}
