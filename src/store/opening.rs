//! Taking a data folder into use.
//!
//! `_system/install.json` says that a folder is ours, in which format and under which identity. A folder without it is
//! new, or SillyTavern's, or strange: a strange one is left alone, because a first run over it would hide what is there.
//! `_system/opening` marks a first start that has not finished; such a start is simply done again.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::faults::Faults;
use super::moment::Moments;
use super::{COMMAND_PATIENCE, FileName, Folder, Handle, Place, SERVER_PATIENCE, Store, write_failure};
use crate::error::{Error, Result};

/// The format of the data folder that this program writes.
pub const FORMAT: u32 = 1;

pub(super) const INSTALL: FileName = FileName::known("install.json");
const OPENING: FileName = FileName::known("opening");
const SERVER_LOCK: &str = "server.lock";

/// The identity of a data folder, `_system/install.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Install {
    /// Grows when the layout changes; a folder newer than the program is refused untouched.
    pub format: u32,
    /// Random; cookies carry a part of it, so that two houses on one host do not mix.
    pub id: String,
    /// When the folder was first used, milliseconds since 1970.
    pub created: i64,
}

/// What kind of folder was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// One that we had used before.
    Ours,
    /// A new one: it needs its first account.
    Fresh,
    /// SillyTavern's: its accounts are to be taken over.
    SillyTavern,
}

/// How to open a folder.
#[derive(Debug, Default)]
pub struct Opening {
    /// Serve it: take the lock that only one process can hold. Otherwise work beside a server that may run, in a folder
    /// that has been served before.
    pub serve: bool,
    /// Take a folder with user folders but no account records as one to start afresh with.
    pub adopt: bool,
    /// Make steps fail, in tests.
    pub faults: Option<std::sync::Arc<Faults>>,
}

impl Store {
    /// Opens the data folder at `root`. When the answer is not [`Opened::Ours`], the caller fills in the accounts and then
    /// calls [`Store::finish_opening`]; until then a crash only means that it is done again.
    pub fn open(root: &Path, opening: Opening) -> Result<(Self, Opened)> {
        let disk = opening.faults.map_or_else(Disk::default, Disk::failing);
        let state = look(&disk, root, opening.adopt)?;
        let system = root.join(Place::system().as_path());
        let preparing = |error| Error::storage("prepare the data folder", error);

        let (install, opened) = match state {
            Found::Ours(install) => (install, Opened::Ours),
            // It would be a house that nobody asked for, or somebody's SillyTavern taken over by the way.
            Found::New(_) if !opening.serve => {
                return Err(Error::conflict(
                    "no_house",
                    format!(
                        "There is no house in {} yet: check --data-root, or start the server there once.",
                        root.display()
                    ),
                ));
            }
            Found::New(opened) => {
                disk.make_folders(&system).map_err(preparing)?;
                let id = crate::random::random_hex::<16>()?;
                (Install { format: FORMAT, id, created: crate::clock::now_ms() }, opened)
            }
        };
        let server = if opening.serve { Some(take_server_lock(&disk, &system)?) } else { None };
        if opened != Opened::Ours {
            disk.replace(&system.join(OPENING.as_str()), b"").map_err(preparing)?;
        }
        for folder in [Folder::ACCOUNTS, Folder::AVATARS, Folder::EVENTS, Folder::SESSIONS, Folder::LOCKS] {
            // On a full or read-only disk an existing house still opens.
            if let Err(error) = disk.make_folders(&system.join(folder.as_str())) {
                if opened == Opened::Ours {
                    tracing::warn!(%error, folder = folder.as_str(), "a folder of the server could not be made");
                } else {
                    return Err(preparing(error));
                }
            }
        }
        let store = Self {
            root: root.to_owned(),
            disk,
            locks: Mutex::default(),
            moments: Moments::default(),
            patience: if server.is_some() { SERVER_PATIENCE } else { COMMAND_PATIENCE },
            server,
            install,
            marked: AtomicBool::new(opened == Opened::Ours),
        };
        store.clean_up();
        Ok((store, opened))
    }

    /// Says that the first start is complete.
    pub fn finish_opening(&self) -> Result<()> {
        let place = Place::system().file(&INSTALL);
        let text = serde_json::to_vec_pretty(&self.install).map_err(Error::internal)?;
        self.disk
            .replace(&self.path(&place), &text)
            .map_err(|error| write_failure("mark the data folder", &place, error))?;
        self.marked.store(true, Ordering::Release);
        let marker = Place::system().file(&OPENING);
        self.disk
            .remove_file(&self.path(&marker))
            .map_err(|error| write_failure("mark the data folder", &marker, error))
    }

    /// The user folders that are there, whether or not they have an account.
    pub fn user_folders(&self) -> Result<Vec<Handle>> {
        let found = self.disk.list(&self.root).map_err(|error| Error::storage("list the data folder", error))?;
        Ok(found
            .into_iter()
            .filter(|(_, stat)| stat.is_folder)
            .filter_map(|(name, _)| Handle::parse(name.to_str()?).ok())
            .collect())
    }

    /// Removes the temporary files that a killed server left, wherever it writes.
    fn clean_up(&self) {
        if self.server.is_none() {
            return;
        }
        let users = self.user_folders().unwrap_or_default();
        let roots = users.iter().map(|handle| self.path(&Place::of(handle))).chain([self.path(&Place::system())]);
        for root in roots {
            let left = self.disk.walk(&root).unwrap_or_default().into_iter().filter(|(path, stat)| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                stat.is_file && name.starts_with(super::names::TEMP_PREFIX) && name.ends_with(".tmp")
            });
            for (path, _) in left {
                let _ = self.disk.remove_file(&root.join(path));
            }
        }
    }
}

enum Found {
    Ours(Install),
    New(Opened),
}

fn look(disk: &Disk, root: &Path, adopt: bool) -> Result<Found> {
    let system = root.join(Place::system().as_path());
    match disk.read(&system.join(INSTALL.as_str()), 64 * 1024) {
        Ok(text) => return parse_install(root, &text).map(Found::Ours),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::storage("read the data folder's mark", error)),
    }
    let there = |path: &Path| disk.stat(path).is_ok();
    if there(&system) && !there(&system.join(OPENING.as_str())) && !adopt {
        return Err(Error::conflict(
            "strange_folder",
            format!(
                "{} has a _system folder without install.json. It may be damaged, or half copied; nothing was changed. \
                 Bring the missing file back from a backup, or start once with --adopt to make new accounts for the \
                 folders that are there.",
                root.display()
            ),
        ));
    }
    if there(&root.join(Place::sillytavern_accounts().as_path())) {
        return Ok(Found::New(Opened::SillyTavern));
    }
    let lonely: Vec<String> = match disk.list(root) {
        Ok(found) => found
            .into_iter()
            .filter(|(_, stat)| stat.is_folder)
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| Handle::parse(name).is_ok())
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::storage("look at the data folder", error)),
    };
    if !lonely.is_empty() && !adopt && !there(&system.join(OPENING.as_str())) {
        return Err(Error::conflict(
            "strange_folder",
            format!(
                "{} has folders of users ({}) but no account records. Nothing was changed. If that is right, start once \
                 with --adopt: every folder gets an account.",
                root.display(),
                lonely.join(", ")
            ),
        ));
    }
    Ok(Found::New(Opened::Fresh))
}

fn parse_install(root: &Path, text: &[u8]) -> Result<Install> {
    let install: Install = serde_json::from_slice(text).map_err(|error| {
        Error::conflict(
            "strange_folder",
            format!(
                "{}/_system/install.json is damaged; nothing was changed. Bring it back from a backup.",
                root.display()
            ),
        )
        .because(error)
    })?;
    if install.format > FORMAT {
        return Err(Error::conflict(
            "newer_folder",
            format!(
                "{} was written by a newer Tavernkeep (format {}, this program knows up to {FORMAT}). Nothing was changed; \
                 start the newer program.",
                root.display(),
                install.format
            ),
        ));
    }
    Ok(install)
}

fn take_server_lock(disk: &Disk, system: &Path) -> Result<std::fs::File> {
    use std::io::Write;
    let path = system.join(SERVER_LOCK);
    let mut file = disk.lock_file(&path).map_err(|error| Error::storage("lock the data folder", error))?;
    match file.try_lock() {
        Ok(()) => {
            let text = format!("{{\"pid\":{},\"started\":{}}}\n", std::process::id(), crate::clock::now_ms());
            // Only for people who look; the lock itself is what counts.
            let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = disk.read(&path, 1024).ok().and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
            Err(Error::conflict(
                "folder_in_use",
                format!("Another server already uses this data folder ({}). Stop it first.", holder.trim()),
            ))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Error::storage("lock the data folder", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expect, Owner};

    fn open(root: &Path) -> Result<(Store, Opened)> {
        Store::open(root, Opening { serve: true, ..Opening::default() })
    }

    fn open_beside(root: &Path) -> Result<(Store, Opened)> {
        Store::open(root, Opening::default())
    }

    fn settle(root: &Path) -> Store {
        let (store, _) = open(root).unwrap();
        store.finish_opening().unwrap();
        store
    }

    /// Everything below a folder, to see that a refusal changed nothing.
    fn tree(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut found: Vec<_> = walkdir::WalkDir::new(root)
            .into_iter()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().to_owned(), std::fs::read(entry.path()).unwrap_or_default()))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn a_new_folder_is_fresh_until_it_is_finished_and_ours_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(open(dir.path()).unwrap().1, Opened::Fresh);
        assert_eq!(open(dir.path()).unwrap().1, Opened::Fresh);
        let id = settle(dir.path()).install().id.clone();
        let (store, opened) = open_beside(dir.path()).unwrap();
        assert_eq!((opened, &store.install().id), (Opened::Ours, &id));
    }

    #[test]
    fn sillytaverns_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("_storage")).unwrap();
        std::fs::create_dir(dir.path().join("default-user")).unwrap();
        assert_eq!(open(dir.path()).unwrap().1, Opened::SillyTavern);
    }

    #[test]
    fn strange_damaged_and_newer_folders_are_refused_untouched() {
        type Prepare = fn(&Path);
        let cases: [(&str, Prepare); 4] = [
            ("newer_folder", |root| {
                std::fs::create_dir(root.join("_system")).unwrap();
                let text = br#"{"format":999,"id":"x","created":0,"more":true}"#;
                std::fs::write(root.join("_system/install.json"), text).unwrap();
            }),
            ("strange_folder", |root| {
                std::fs::create_dir(root.join("_system")).unwrap();
                std::fs::write(root.join("_system/install.json"), b"{\"form").unwrap();
            }),
            ("strange_folder", |root| std::fs::create_dir_all(root.join("_system/accounts")).unwrap()),
            ("strange_folder", |root| std::fs::create_dir_all(root.join("ada/chats")).unwrap()),
        ];
        for (code, prepare) in cases {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path());
            let before = tree(dir.path());
            assert_eq!(open(dir.path()).err().unwrap().code(), code);
            assert_eq!(tree(dir.path()), before);
        }
    }

    #[test]
    fn one_server_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = settle(dir.path());
        assert_eq!(open(dir.path()).err().unwrap().code(), "folder_in_use");
        assert!(open_beside(dir.path()).is_ok(), "a command beside the server is fine");
        drop(first);
        assert!(open(dir.path()).is_ok());
    }

    #[test]
    fn a_command_makes_no_house() {
        for folder in [None, Some("_storage")] {
            let dir = tempfile::tempdir().unwrap();
            if let Some(folder) = folder {
                std::fs::create_dir(dir.path().join(folder)).unwrap();
            }
            let before = tree(dir.path());
            let error = open_beside(dir.path()).err().unwrap();
            assert!(error.code() == "no_house" && error.message().contains("--data-root"), "{error:?}");
            assert_eq!(tree(dir.path()), before);
            let nowhere = dir.path().join("nowhere");
            assert_eq!(open_beside(&nowhere).err().unwrap().code(), "no_house");
            assert!(!nowhere.exists());
        }
    }

    #[test]
    fn a_house_on_a_read_only_disk_opens_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        let (place, owner) = (Place::system().file(&FileName::known("note")), Owner::System);
        settle(dir.path()).writing(&owner, |writer| writer.write(&place, b"words", Expect::Anything)).unwrap();
        let before = tree(dir.path());
        for error in [std::io::ErrorKind::ReadOnlyFilesystem, std::io::ErrorKind::PermissionDenied] {
            let faults = Some(Faults::at(1, error, true));
            let (store, opened) = Store::open(dir.path(), Opening { serve: true, adopt: false, faults }).unwrap();
            assert_eq!((opened, store.read(&place).unwrap()), (Opened::Ours, b"words".to_vec()));
            assert_eq!(open(dir.path()).err().unwrap().code(), "folder_in_use", "it is locked as ever");
            let lock = std::fs::File::open(dir.path().join("_system/locks/system")).unwrap();
            store
                .writing(&owner, |writer| {
                    assert!(lock.try_lock().is_err(), "and so is what is written to");
                    assert_eq!(writer.remove(&place).unwrap_err().code(), "storage");
                    Ok(())
                })
                .unwrap();
        }
        let but_who_serves = |tree: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
            tree.into_iter().filter(|(path, _)| !path.ends_with(SERVER_LOCK)).collect()
        };
        assert_eq!(but_who_serves(tree(dir.path())), but_who_serves(before));
    }

    #[test]
    fn nothing_is_written_where_the_folder_has_vanished() {
        let dir = tempfile::tempdir().unwrap();
        let (root, aside) = (dir.path().join("data"), dir.path().join("unplugged"));
        let store = settle(&root);
        let handle = Handle::default_user();
        let save = || {
            store.writing(&Owner::User(handle.clone()), |writer| {
                writer.write(&Place::of(&handle).file(&FileName::known("settings.json")), b"{}", Expect::Anything)
            })
        };
        save().unwrap();
        std::fs::rename(&root, &aside).unwrap();
        std::fs::create_dir(&root).unwrap();
        assert_eq!(save().unwrap_err().code(), "storage");
        assert_eq!(tree(&root).len(), 1);
        std::fs::remove_dir(&root).unwrap();
        std::fs::rename(&aside, &root).unwrap();
        save().unwrap();
    }
}
