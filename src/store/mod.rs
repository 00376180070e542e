//! The data folder. This room alone touches it.
//!
//! - [`names`]: checked names; a path is made from nothing else
//! - [`place`]: where things are, built downwards from names
//! - [`disk`]: the calls to the file system, each one a step that tests can make fail (`faults`)
//! - [`pieces`]: files read and written in pieces, moved, kept under a second name
//! - [`reserve`]: room for what has to work on a full disk
//! - [`version`]: what a write says it replaces
//! - [`opening`]: taking a folder into use: first run, SillyTavern's folder, one server per folder
//! - [`moment`]: one moment of a user's folder, kept while people go on writing
//! - [`archive`]: backups, written from a moment and read with suspicion
//! - [`restore`], [`undo`], [`trash`]: bringing archives, earlier states and deleted accounts back
//! - [`swap`]: what these stand on: exchanging parts of a folder, all or nothing
//!
//! Reading needs no lock, because a file is only ever replaced whole. Writing happens inside [`Store::writing`], which
//! lets one writer at a time into a user's folder, in this process and among processes.

pub mod archive;
#[expect(clippy::disallowed_methods, reason = "this is where they are allowed")]
pub(crate) mod disk;
mod faults;
#[expect(clippy::disallowed_methods, reason = "this is where they are allowed")]
mod host;
pub mod ids;
pub mod moment;
pub mod names;
pub mod opening;
pub mod pieces;
pub mod place;
mod record;
mod reserve;
pub mod restore;
mod search;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod trash;
pub mod undo;
pub mod version;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use disk::Stat;
pub use faults::{Faults, Step};
pub use host::{HostFile, create_host_file, note_on_host, open_host_file, open_log, open_public, read_host_file};
pub use ids::{RestoreId, TrashId, UndoId};
pub use names::{FileName, Handle, RelPath};
pub use opening::{Install, Opened};
pub use pieces::{OpenFile, Piece};
pub use place::{Folder, Place, USER_FOLDERS};
pub use restore::{Prepared, Upload};
pub use trash::{Swept, Trashed};
pub use undo::{Reason, UndoPoint};
pub use version::{Expect, Version};

use crate::error::{Error, Kind, Result};
use crate::mutex::lock;
use disk::{Disk, NotPlain};
use moment::Moments;

/// The largest file that is read into memory at once, in bytes. SillyTavern's own limit for a JSON body.
pub const READ_LIMIT: u64 = 500 * 1024 * 1024;

/// How many may wait until a user's folder is free. Each waits on a thread of the server's, of which there are not so many
/// that one user's could be spared.
const USER_WAITERS: usize = 16;
/// The same for what everyone's requests write to, each for a moment.
const SHARED_WAITERS: usize = 512;
/// How long the server waits for another process.
const SERVER_PATIENCE: Duration = Duration::from_secs(10);
/// The same for the audit log, whose entries are kept in memory and written with the next one.
const EVENTS_PATIENCE: Duration = Duration::from_secs(2);
/// How long a command waits: nobody else has to wait for it.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// The longest sleep between two tries.
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// A file or folder in a listing.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: FileName,
    /// Size and times.
    pub stat: Stat,
}

/// Whose files are being written: each has a lock of its own. Whoever needs two takes them in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A user's folder.
    User(Handle),
    /// The server's own records.
    System,
    /// The journals of replies under way.
    Generations,
    /// The audit log.
    Events,
}

impl Owner {
    fn root(&self) -> Place {
        match self {
            Self::User(handle) => Place::of(handle),
            Self::System => Place::system(),
            Self::Generations => Place::system().folder(Folder::GENERATIONS),
            Self::Events => Place::system().folder(Folder::EVENTS),
        }
    }

    fn lock_name(&self) -> String {
        match self {
            Self::User(handle) => format!("user-{handle}"),
            Self::System => "system".to_owned(),
            Self::Generations => "generations".to_owned(),
            Self::Events => "events".to_owned(),
        }
    }

    fn waiters_max(&self) -> usize {
        match self {
            Self::User(_) => USER_WAITERS,
            Self::System | Self::Generations | Self::Events => SHARED_WAITERS,
        }
    }
}

/// A data folder in use.
pub struct Store {
    root: PathBuf,
    disk: Disk,
    /// One per owner that was ever written to; never removed, a household has few.
    locks: Mutex<HashMap<Owner, Arc<OwnerLock>>>,
    /// What backups still have to read as it was.
    moments: Moments,
    /// Held while this process serves the folder; `None` for a command beside the server.
    server: Option<File>,
    /// How long a write waits for another process.
    patience: Duration,
    install: Install,
    /// Whether the folder has its mark: only not during the first start.
    marked: AtomicBool,
}

#[derive(Default)]
struct OwnerLock {
    /// The lock file, opened at the first write; locked between processes while a write goes on.
    file: Mutex<Option<File>>,
    /// How many are in [`Store::writing`]: one at work, the others waiting.
    inside: AtomicUsize,
}

/// A place in the queue before a lock, given back when dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn join(lock: &'a OwnerLock, waiters_max: usize) -> Result<Self> {
        let queued = Self(&lock.inside);
        if queued.0.fetch_add(1, Ordering::AcqRel) > waiters_max { Err(busy()) } else { Ok(queued) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Store {
    /// The data folder's path, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder's identity.
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// Whether this process is the folder's server.
    pub fn is_server(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn path(&self, place: &Place) -> PathBuf {
        self.root.join(place.as_path())
    }

    /// The path of a file, or of a folder, unless a link leads out of the data folder on the way there.
    fn way_to(&self, place: &Place, is_folder: bool) -> io::Result<PathBuf> {
        self.disk.way_to(&self.root, place.as_path(), is_folder)
    }

    /// The file's bytes.
    pub fn read(&self, place: &Place) -> Result<Vec<u8>> {
        self.read_at_most(place, READ_LIMIT)
    }

    /// The file's bytes, refused above `limit`.
    pub fn read_at_most(&self, place: &Place, limit: u64) -> Result<Vec<u8>> {
        let read = self.way_to(place, false).and_then(|path| self.disk.read(&path, limit));
        read.map_err(|error| failure("read a file", place, error))
    }

    /// The file's bytes, or `None` when it is not there.
    pub fn read_if_there(&self, place: &Place) -> Result<Option<Vec<u8>>> {
        if_there(self.read(place))
    }

    /// Size and times, or `None` when it is not there.
    pub fn stat(&self, place: &Place) -> Result<Option<Stat>> {
        let stat = self.way_to(place, false).and_then(|path| self.disk.stat(&path));
        if_there(stat.map_err(|error| failure("look at a file", place, error)))
    }

    /// The plain files in a folder, in no order; none when the folder is not there. Links, folders, names that we would
    /// not make and files being written are left out.
    pub fn list(&self, folder: &Place) -> Result<Vec<Entry>> {
        let found = match self.way_to(folder, true).and_then(|path| self.disk.list(&path)) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failure("list a folder", folder, error)),
        };
        Ok(found
            .into_iter()
            .filter(|(_, stat)| stat.is_file)
            .filter_map(|(name, stat)| Some(Entry { name: FileName::parse(name.to_str()?).ok()?, stat }))
            .collect())
    }

    /// The names of the folders in a folder, in no order.
    pub fn list_folders(&self, folder: &Place) -> Result<Vec<FileName>> {
        Ok(self.list_folder_entries(folder)?.into_iter().map(|entry| entry.name).collect())
    }

    /// The folders in a folder, in no order.
    pub fn list_folder_entries(&self, folder: &Place) -> Result<Vec<Entry>> {
        match self.way_to(folder, true).and_then(|path| self.disk.list(&path)) {
            Ok(found) => Ok(found
                .into_iter()
                .filter(|(_, stat)| stat.is_folder)
                .filter_map(|(name, stat)| Some(Entry { name: FileName::parse(name.to_str()?).ok()?, stat }))
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failure("list a folder", folder, error)),
        }
    }

    /// Bytes and number of the plain files of a user. Walks the whole folder.
    pub fn measure(&self, handle: &Handle) -> Result<(u64, u64)> {
        let place = Place::of(handle);
        let size = self.disk.measure(&self.path(&place)).map_err(|error| failure("measure a folder", &place, error));
        Ok(if_there(size)?.unwrap_or_default())
    }

    /// Runs `work` while nobody else writes to what `owner` owns, in this process or another. An exchange of a user's files
    /// that was interrupted is brought to its end first, so that nobody writes into half of one.
    ///
    /// Blocks, but neither with many others nor without end: where somebody else goes on writing, the answer is that the
    /// owner is busy. Nested calls take owners in the order of [`Owner`]'s variants.
    pub fn writing<T>(&self, owner: &Owner, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        self.check_still_there()?;
        let until = Instant::now() + self.patience_for(owner);
        let waited_for = Arc::clone(lock(&self.locks).entry(owner.clone()).or_default());
        let _queued = Queued::join(&waited_for, owner.waiters_max())?;
        let mut file = lock(&waited_for.file);
        if file.is_none() {
            let path = self.path(&Place::system().folder(Folder::LOCKS)).join(owner.lock_name());
            // A disk too full even for an empty lock file must not keep this process from writing.
            *file = self.disk.lock_file(&path).map_err(|error| tracing::warn!(%error, "no lock file")).ok();
        }
        let between_processes = file.as_ref().map(|file| FileLock::take(file, until)).transpose()?;
        let keeps_processes_out = between_processes.is_some();
        if let Owner::User(handle) = owner {
            self.settle(handle, keeps_processes_out)?;
        }
        work(&Writer { store: self, root: owner.root(), keeps_processes_out, is_urgent: false })
    }

    /// How long a write waits for another process.
    fn patience_for(&self, owner: &Owner) -> Duration {
        match owner {
            Owner::Events if self.is_server() => self.patience.min(EVENTS_PATIENCE),
            _ => self.patience,
        }
    }

    /// Refuses to write where the data folder has vanished: into the empty mount point of a disk that was unplugged.
    fn check_still_there(&self) -> Result<()> {
        let mark = Place::system().file(&opening::INSTALL);
        match self.disk.stat(&self.path(&mark)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.marked.load(Ordering::Acquire) => {
                Err(Error::new(
                    Kind::Storage,
                    "storage",
                    "The data folder is not there any more; a disk may have been unplugged. Nothing was saved. What was \
                     saved before is on that disk.",
                )
                .because(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the folders every user has.
    pub fn make_user_folders(&self, handle: &Handle) -> Result<()> {
        let user = Place::of(handle);
        for folder in USER_FOLDERS {
            let place = user.folder(*folder);
            self.disk
                .make_folders(&self.path(&place))
                .map_err(|error| write_failure("make a folder", &place, error))?;
        }
        Ok(())
    }
}

/// The right to write to what one owner owns. Only [`Store::writing`] gives it.
pub struct Writer<'a> {
    store: &'a Store,
    root: Place,
    /// Whether other processes are kept out too, which fails only where no lock file can be made.
    keeps_processes_out: bool,
    /// Whether the reserve may be used.
    is_urgent: bool,
}

impl Writer<'_> {
    /// The same right, for what has to work on a full disk: it may use the room that is kept for that.
    #[must_use]
    pub fn urgent(&self) -> Writer<'_> {
        let Self { store, root, keeps_processes_out, .. } = self;
        Writer { store, root: root.clone(), keeps_processes_out: *keeps_processes_out, is_urgent: true }
    }

    /// Replaces a file, if what is there is what the caller expects.
    pub fn write(&self, place: &Place, bytes: &[u8], expect: Expect) -> Result<()> {
        let path = self.own(place)?;
        let saving = |error| write_failure("save a file", place, error);
        match expect {
            Expect::Anything => {}
            Expect::Absent => return self.create(place, bytes),
            Expect::Version(expected) => {
                let found = self.store.read_if_there(place)?.map(|bytes| Version::of(&bytes));
                if found != Some(expected) {
                    return Err(stale(expected, found));
                }
            }
        }
        self.store.moments.keep(&path);
        self.with_folder(&path, || self.store.disk.replace(&path, bytes)).map_err(saving)
    }

    /// Makes a new file; refuses with a conflict when there is one.
    pub fn create(&self, place: &Place, bytes: &[u8]) -> Result<()> {
        let path = self.own(place)?;
        self.with_folder(&path, || self.store.disk.create(&path, bytes)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::conflict("conflict", "There already is a file of that name."),
            _ => write_failure("save a file", place, error),
        })
    }

    /// Appends to a file, making it if need be.
    pub fn append(&self, place: &Place, bytes: &[u8]) -> Result<()> {
        let path = self.own(place)?;
        self.with_folder(&path, || self.store.disk.append(&path, bytes))
            .map_err(|error| write_failure("add to a file", place, error))
    }

    /// Cuts a file to its first `size` bytes: for an incomplete last line that has been set aside.
    pub fn cut(&self, place: &Place, size: u64) -> Result<()> {
        self.store.disk.cut(&self.own(place)?, size).map_err(|error| write_failure("mend a file", place, error))
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, place: &Place) -> Result<()> {
        let path = self.own(place)?;
        let removing = |error| write_failure("remove a file", place, error);
        self.store.moments.keep(&path);
        self.store.disk.remove_file(&path).map_err(removing)?;
        match path.parent() {
            Some(folder) => self.store.disk.sync_folder(folder).map_err(removing),
            None => Ok(()),
        }
    }

    /// Makes a folder with those above it; one that exists is fine.
    pub fn make_folder(&self, place: &Place) -> Result<()> {
        let path = self.own(place)?;
        self.with_room(|| self.store.disk.make_folders(&path))
            .map_err(|error| write_failure("make a folder", place, error))
    }

    /// Gives a file another name beside it; refuses when that name is taken.
    pub fn set_aside(&self, place: &Place, name: &FileName) -> Result<()> {
        let from = self.own(place)?;
        let Some(folder) = from.parent() else { return Err(Error::internal("a place without a folder")) };
        let to = folder.join(name.as_str());
        let renaming = |error| write_failure("set a file aside", place, error);
        if self.store.disk.stat(&to).is_ok() {
            return Err(Error::conflict("conflict", "There already is a file of that name."));
        }
        self.store.moments.keep(&from);
        self.store.disk.rename(&from, &to).map_err(renaming)?;
        self.store.disk.sync_folder(folder).map_err(renaming)
    }

    /// Runs `work`, and once more with the folder made anew, if somebody has removed it by hand.
    fn with_folder(&self, path: &Path, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        self.with_room(|| match (work(), path.parent()) {
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                self.store.disk.make_folders(folder)?;
                work()
            }
            (result, _) => result,
        })
    }

    /// Runs `work`; on a full disk again, with room from the reserve, if this may use it.
    fn with_room(&self, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        if self.is_urgent { self.store.with_reserve(work) } else { work() }
    }

    fn own(&self, place: &Place) -> Result<PathBuf> {
        if place.as_path().starts_with(self.root.as_path()) {
            self.store.way_to(place, false).map_err(|error| failure("write there", place, error))
        } else {
            Err(Error::internal(format!("{} is not in {}", place.as_path().display(), self.root.as_path().display())))
        }
    }
}

/// A lock among processes, given back when dropped.
struct FileLock<'a>(&'a File);

impl<'a> FileLock<'a> {
    /// Tries at least once, and then until the time is over.
    fn take(file: &'a File, until: Instant) -> Result<Self> {
        let mut nap = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(Error::storage("lock a folder", error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return Err(busy()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(nap),
            }
            nap = LONGEST_NAP.min(nap * 2);
        }
    }
}

impl Drop for FileLock<'_> {
    fn drop(&mut self) {
        // Closing the file would give it back as well; there is nobody to tell.
        let _ = self.0.unlock();
    }
}

fn busy() -> Error {
    Error::new(
        Kind::Busy,
        "busy",
        "Somebody else is writing there, perhaps a backup from the host. Nothing was changed; try again in a moment.",
    )
}

fn stale(expected: Version, found: Option<Version>) -> Error {
    Error::conflict("stale", "Someone else saved this meanwhile. Nothing was changed; load it again and compare.")
        .with_details(serde_json::json!({
            "expected": expected.to_string(),
            "found": found.map(|version| version.to_string()),
        }))
}

/// Turns "it is not there" into `None`.
pub fn if_there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a failed write is called. That something is not there is no answer to a write: the disk, or somebody at it, took
/// away what it was to go into.
fn write_failure(doing: &'static str, place: &Place, error: io::Error) -> Error {
    match error.kind() {
        _ if NotPlain::is_why(&error) => not_plain(place, &error),
        // Too large is here what may be written, not what is read.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::FileTooLarge => {
            disk_failure(doing, place, &error)
        }
        _ => failure(doing, place, error),
    }
}

/// What a failed read is called.
fn failure(doing: &'static str, place: &Place, error: io::Error) -> Error {
    match error.kind() {
        _ if NotPlain::is_why(&error) => not_plain(place, &error),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::not_found("There is no such file."),
        io::ErrorKind::FileTooLarge => {
            Error::new(Kind::TooLarge, "too_large", "This file is too large to be read at once.").because(error)
        }
        _ => disk_failure(doing, place, &error),
    }
}

fn not_plain(place: &Place, error: &io::Error) -> Error {
    Error::new(
        Kind::Storage,
        "not_a_file",
        "Under this name, or on the way there, the data folder has a link, a pipe, a device or a folder instead of a file. It \
         was left alone; the host has to look at it.",
    )
    .because(io::Error::new(error.kind(), format!("{}: {error}", place.as_path().display())))
}

fn disk_failure(doing: &str, place: &Place, error: &io::Error) -> Error {
    Error::storage(doing, io::Error::new(error.kind(), format!("{}: {error}", place.as_path().display())))
}
