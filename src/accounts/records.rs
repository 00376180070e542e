//! What lets people in, sessions and keys: all in memory, and on the disk as one small file for each account.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, de::DeserializeOwned};

use crate::error::{Error, Kind, Result};
use crate::mutex::lock;
use crate::store::{Expect, Folder, Handle, Owner, Place, Store};

/// No file of ours is near this size, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Which format a file has; those before the first number have none.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    format: u32,
}

/// How much it matters that something is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It can wait until the disk has room.
    Usual,
    /// Something ends, and has to have ended after a restart too: on a full disk as well.
    Urgent,
}

/// The records of all accounts in one folder of the server's. `T` is what they are in memory.
pub(super) struct Records<T> {
    store: Arc<Store>,
    folder: Folder,
    live: RwLock<T>,
    /// Accounts whose times of last use have changed since they were written.
    dirty: Mutex<HashSet<Handle>>,
    /// Accounts whose files are left as they are: of a newer format, or not to be read when the house was opened.
    left_alone: HashSet<Handle>,
}

impl<T: Default> Records<T> {
    /// Reads all files of `folder` up to `format`; `take` gets each with its account. One that is damaged, newer or not to
    /// be read costs its account what is in it, nothing else.
    pub fn open<F: DeserializeOwned>(
        store: Arc<Store>,
        folder: Folder,
        format: u32,
        mut take: impl FnMut(&mut T, &Handle, F),
    ) -> Result<Self> {
        let (mut live, mut left_alone) = (T::default(), HashSet::new());
        let place = Place::system().folder(folder);
        for entry in store.list(&place)? {
            let handle = entry.name.as_str().strip_suffix(".json").and_then(|stem| Handle::parse(stem).ok());
            let Some(handle) = handle else { continue };
            let file = place.file(&entry.name);
            match store.read_at_most(&file, LIMIT) {
                Ok(bytes) if is_newer(&bytes, format) => {
                    tracing::warn!(path = %file.as_path().display(), "written by a newer version; left as it is, and what is in it does not count");
                    left_alone.insert(handle);
                }
                Ok(bytes) => match serde_json::from_slice(&bytes) {
                    Ok(content) => take(&mut live, &handle, content),
                    Err(error) => {
                        tracing::warn!(path = %file.as_path().display(), %error, "damaged; its account has to make anew what was in it")
                    }
                },
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::error!(path = %file.as_path().display(), ?error, "cannot be read; left as it is until the server is started again");
                    left_alone.insert(handle);
                }
            }
        }
        Ok(Self { store, folder, live: RwLock::new(live), dirty: Mutex::default(), left_alone })
    }

    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of this account was used: the next [`Records::flush`] writes it.
    pub fn used(&self, handle: &Handle) {
        let mut dirty = lock(&self.dirty);
        if !dirty.contains(handle) {
            dirty.insert(handle.clone());
        }
    }

    /// Saves whatever was used. What could not be saved is tried again the next time.
    pub fn flush(&self, save: impl Fn(&Handle) -> Result<()>) {
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        for handle in dirty.into_iter().filter(|handle| !self.left_alone.contains(handle)) {
            if let Err(error) = save(&handle) {
                tracing::warn!(?error, %handle, folder = self.folder.as_str(), "the last use could not be written yet");
                self.used(&handle);
            }
        }
    }

    /// Writes an account's file; `text` makes it of what is in memory then, or says that there need not be one.
    pub fn save(&self, handle: &Handle, need: Need, text: impl FnOnce(&T) -> Result<Option<Vec<u8>>>) -> Result<()> {
        if self.left_alone.contains(handle) {
            return Err(Error::new(
                Kind::Storage,
                "storage",
                "The server's file of this could not be read when it was started, or is of a newer version. It was left \
                 as it is, and nothing can be saved there.",
            ));
        }
        self.store.writing(&Owner::System, |writer| {
            // Read under the lock, so that the file ends as the newest state whoever writes last.
            let text = text(&self.read())?;
            let place = self.place(handle);
            let urgent = (need == Need::Urgent).then(|| writer.urgent());
            let writer = urgent.as_ref().unwrap_or(writer);
            match text {
                Some(text) => writer.write(&place, &text, Expect::Anything),
                None if self.store.stat(&place)?.is_none() => Ok(()),
                None => writer.remove(&place),
            }
        })
    }

    /// Removes the file of an account that is gone.
    pub fn remove(&self, handle: &Handle) -> Result<()> {
        let place = self.place(handle);
        if self.store.stat(&place)?.is_none() {
            return Ok(());
        }
        self.store.writing(&Owner::System, |writer| writer.remove(&place))
    }

    fn place(&self, handle: &Handle) -> Place {
        Place::system().folder(self.folder).named(handle, ".json")
    }
}

fn is_newer(bytes: &[u8], known: u32) -> bool {
    serde_json::from_slice::<Format>(bytes).is_ok_and(|file| file.format > known)
}
