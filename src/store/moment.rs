//! One moment of a user's folder, kept while people go on writing.
//!
//! A moment is a list of what was there. No bytes are copied when it is made: the store replaces files by renaming and
//! removes them by unlinking, so an open handle keeps the old bytes. Whoever is about to replace, remove or rename a file
//! first lets the live moments open it ([`Moments::keep`]); appends need nothing, because the recorded length is read and
//! no more. So a backup sees one moment, and neither it nor the people who write ever wait for each other.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::names::TEMP_PREFIX;
use super::{Folder, Handle, Owner, Place, RelPath, Stat, Store, failure};
use crate::error::{Error, Result};
use crate::mutex::lock;

/// More oddities than this are not listed: a list is for people.
const SKIPPED_MAX: usize = 1000;

/// What a user's folder held at one moment.
pub struct Moment {
    handle: Handle,
    taken: i64,
    root: PathBuf,
    disk: Disk,
    /// Sorted by path.
    files: Vec<Recorded>,
    folders: BTreeSet<RelPath>,
    skipped: Vec<Skipped>,
    state: Mutex<State>,
    _alive: Alive,
}

/// A file as it was.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) path: RelPath,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) mode: u32,
    inode: u64,
}

/// Something that a backup cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path, as far as it can be written.
    pub path: String,
    /// Why it was passed over, for people.
    pub reason: String,
}

struct State {
    /// Where each top-level entry is now; a restore moves them while the moment lives.
    tops: HashMap<String, PathBuf>,
    /// Handles of files that have been replaced or removed since.
    kept: HashMap<usize, File>,
    streamed: Vec<bool>,
    /// Why the moment is lost, if it is.
    broken: Option<io::Error>,
}

impl Store {
    /// Records this moment of a user's folder. Writers wait while it is walked, not while it is read.
    pub fn moment(&self, handle: &Handle) -> Result<Arc<Moment>> {
        self.writing(&Owner::User(handle.clone()), |_| self.moment_now(handle))
    }

    /// The same, for a caller who keeps writers out.
    pub(crate) fn moment_now(&self, handle: &Handle) -> Result<Arc<Moment>> {
        let place = Place::of(handle);
        let root = self.path(&place);
        let found = self.disk.walk(&root).map_err(|error| failure("walk a folder", &place, error))?;
        let sorted = Sorted::of(found);
        let tops = sorted.tops().map(|top| (top.to_owned(), root.join(top))).collect();
        let state = State { tops, kept: HashMap::new(), streamed: vec![false; sorted.files.len()], broken: None };
        let moment = Arc::new(Moment {
            handle: handle.clone(),
            taken: crate::clock::now_ms(),
            root,
            disk: self.disk.clone(),
            files: sorted.files,
            folders: sorted.folders,
            skipped: sorted.skipped,
            state: Mutex::new(state),
            _alive: self.moments.alive(),
        });
        self.moments.add(&moment);
        Ok(moment)
    }
}

impl Moment {
    /// Whose folder it is.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// When it was, in milliseconds since 1970.
    pub fn taken(&self) -> i64 {
        self.taken
    }

    /// The files, sorted by path; their place in the list is what [`Moment::open`] takes.
    pub(crate) fn files(&self) -> &[Recorded] {
        &self.files
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = &RelPath> {
        self.folders.iter()
    }

    /// What was passed over: links, pipes, names that cannot be written into an archive.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Opens the file at `index` as it was: at least its recorded length is as it was then.
    pub(crate) fn open(&self, index: usize) -> Result<File> {
        let mut state = lock(&self.state);
        if let Some(error) = &state.broken {
            return Err(lost(io::Error::new(error.kind(), error.to_string())));
        }
        state.streamed[index] = true;
        match state.kept.remove(&index) {
            Some(file) => Ok(file),
            None => self.open_where_it_is(&state, index).map_err(lost),
        }
    }

    /// Keeps the file at `path`, if it is one of this moment that is still to be read.
    fn keep(&self, path: &Path) {
        let Some(below) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { return };
        let Ok(index) = self.files.binary_search_by(|file| file.path.as_str().cmp(below)) else { return };
        let mut state = lock(&self.state);
        if self.location(&state, index).is_some_and(|location| location == path) {
            self.keep_one(&mut state, index);
        }
    }

    /// Keeps all files below `folder`, which is about to be removed.
    fn keep_below(&self, folder: &Path) {
        let mut state = lock(&self.state);
        for index in 0..self.files.len() {
            if self.location(&state, index).is_some_and(|location| location.starts_with(folder)) {
                self.keep_one(&mut state, index);
            }
        }
    }

    fn keep_one(&self, state: &mut State, index: usize) {
        if state.streamed[index] || state.kept.contains_key(&index) || state.broken.is_some() {
            return;
        }
        match self.open_where_it_is(state, index) {
            Ok(file) => drop(state.kept.insert(index, file)),
            Err(error) => {
                tracing::warn!(%error, file = %self.files[index].path, "a backup lost a file that was being replaced");
                state.kept.clear();
                state.broken = Some(error);
            }
        }
    }

    fn open_where_it_is(&self, state: &State, index: usize) -> io::Result<File> {
        let recorded = &self.files[index];
        let path = self.location(state, index).ok_or(io::ErrorKind::NotFound)?;
        let file = self.disk.open(&path)?;
        if recorded.is_still(&Stat::of(&file.metadata()?)) {
            Ok(file)
        } else {
            Err(io::Error::other(format!("{} was changed by another program", recorded.path)))
        }
    }

    fn location(&self, state: &State, index: usize) -> Option<PathBuf> {
        let path = &self.files[index].path;
        let top = state.tops.get(path.top())?;
        let below = path.as_str().strip_prefix(path.top())?.trim_start_matches('/');
        // Joining nothing would add a slash, and a file with a slash behind it is not there.
        Some(if below.is_empty() { top.clone() } else { top.join(below) })
    }
}

impl Recorded {
    /// Whether `stat` is of the file that was recorded, which may have grown: the store only ever appends in place.
    fn is_still(&self, stat: &Stat) -> bool {
        self.inode == stat.inode
            && (stat.size > self.size || (stat.size == self.size && stat.modified == self.modified))
    }
}

impl State {
    fn relocate(&mut self, from: &Path, to: &Path) {
        for location in self.tops.values_mut() {
            if let Ok(below) = location.strip_prefix(from) {
                *location = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
            }
        }
    }
}

fn lost(error: io::Error) -> Error {
    Error::conflict(
        "moment_lost",
        "A file was changed from outside while the backup ran, so it would not be of one moment. Start it again.",
    )
    .because(error)
}

/// What a walk found, sorted by what a backup does with it.
#[derive(Default)]
struct Sorted {
    files: Vec<Recorded>,
    folders: BTreeSet<RelPath>,
    skipped: Vec<Skipped>,
}

impl Sorted {
    fn of(found: Vec<super::disk::Walked>) -> Self {
        let mut sorted = Self::default();
        for (path, stat) in found {
            sorted.take(&path, &stat);
        }
        sorted.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        sorted
    }

    fn take(&mut self, path: &Path, stat: &Stat) {
        let parts = || path.iter().map(|part| part.to_string_lossy());
        let is_temporary = parts().any(|part| part.starts_with(TEMP_PREFIX));
        let is_in = |folder: Folder| parts().next().is_some_and(|top| top == folder.as_str());
        let is_cached = stat.is_file && is_in(Folder::THUMBNAILS);
        if is_temporary || is_cached || is_in(Folder::TRASH) {
            return;
        }
        match path.to_str().map(RelPath::parse) {
            _ if !stat.is_file && !stat.is_folder => self.skip(path, "it is a link or a special file"),
            Some(Ok(path)) if path.as_str() == super::archive::MANIFEST => {
                self.skip(Path::new(path.as_str()), "backups keep their own list under this name");
            }
            Some(Ok(path)) if stat.is_folder => drop(self.folders.insert(path)),
            Some(Ok(path)) => self.files.push(Recorded {
                path,
                size: stat.size,
                modified: stat.modified,
                mode: stat.mode,
                inode: stat.inode,
            }),
            _ => self.skip(path, "its name cannot be used"),
        }
    }

    fn skip(&mut self, path: &Path, reason: &str) {
        let path = path.to_string_lossy().into_owned();
        match self.skipped.len() {
            0..SKIPPED_MAX => self.skipped.push(Skipped { path, reason: reason.to_owned() }),
            SKIPPED_MAX => self.skipped.push(Skipped { path: "…".to_owned(), reason: "and more".to_owned() }),
            _ => {}
        }
    }

    fn tops(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| file.path.top());
        files.chain(self.folders.iter().map(RelPath::top)).collect::<BTreeSet<_>>().into_iter()
    }
}

/// The moments that someone still reads from.
#[derive(Default)]
pub(crate) struct Moments {
    live: Arc<AtomicUsize>,
    list: Mutex<Vec<Weak<Moment>>>,
}

/// Counts a moment as live until it is dropped.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Moments {
    /// Lets the live moments keep the file at `path`, which is about to be replaced, removed or renamed. The caller holds
    /// the user's write lock, as making a moment does, so none appears meanwhile.
    pub(crate) fn keep(&self, path: &Path) {
        self.live().iter().for_each(|moment| moment.keep(path));
    }

    /// The same for all that is below `folder`.
    pub(crate) fn keep_below(&self, folder: &Path) {
        self.live().iter().for_each(|moment| moment.keep_below(folder));
    }

    /// Renames a file or folder while no moment looks, and tells them where it went.
    pub(crate) fn renaming(&self, disk: &Disk, from: &Path, to: &Path) -> io::Result<()> {
        let live = self.live();
        let mut states: Vec<MutexGuard<'_, State>> = live.iter().map(|moment| lock(&moment.state)).collect();
        disk.rename(from, to)?;
        states.iter_mut().for_each(|state| state.relocate(from, to));
        Ok(())
    }

    fn alive(&self) -> Alive {
        self.live.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(&self.live))
    }

    fn add(&self, moment: &Arc<Moment>) {
        let mut list = lock(&self.list);
        list.retain(|moment| moment.strong_count() > 0);
        list.push(Arc::downgrade(moment));
    }

    fn live(&self) -> Vec<Arc<Moment>> {
        if self.live.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        lock(&self.list).iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests;
