//! Steps of the disk, and plans for making one of them fail.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::Disk;

/// What a step does; a [`Faults`] plan chooses by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Opening and reading a file, or looking at its metadata.
    Read,
    /// Listing a folder.
    List,
    /// Making a new file.
    Create,
    /// Writing bytes.
    Write,
    /// Bringing a file's bytes to the disk.
    Sync,
    /// Renaming a file or folder.
    Rename,
    /// Bringing a folder's entries to the disk.
    SyncFolder,
    /// Removing a file or folder.
    Remove,
    /// Making a folder.
    MakeFolder,
    /// Giving a file a second name.
    Link,
}

impl Step {
    /// Whether the step changes what is on the disk.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Read | Self::List)
    }
}

/// A plan for failing steps, for tests: the N-th step that changes something fails, once or from then on.
#[derive(Debug)]
pub struct Faults {
    seen: AtomicU64,
    fail_at: AtomicU64,
    forever: bool,
    reads: bool,
    error: io::ErrorKind,
    full: Option<Full>,
}

/// A disk that can be filled to its last byte.
#[derive(Debug)]
struct Full {
    root: PathBuf,
    /// Bytes, all in all.
    size: AtomicU64,
}

/// What a file without bytes takes on a disk that was filled by a test.
pub(super) const FILE: u64 = 512;
/// What a folder takes there.
pub(super) const FOLDER: u64 = 4096;

impl Faults {
    /// Fails the `n`-th changing step (counted from 1; 0 means never) with `error`; `forever` fails all later ones too.
    pub fn at(n: u64, error: io::ErrorKind, forever: bool) -> Arc<Self> {
        Arc::new(Self { seen: AtomicU64::new(0), fail_at: AtomicU64::new(n), forever, reads: false, error, full: None })
    }

    /// Fails every step, reading ones too, from now on.
    pub fn everything(error: io::ErrorKind) -> Arc<Self> {
        let (seen, fail_at) = (AtomicU64::new(0), AtomicU64::new(1));
        Arc::new(Self { seen, fail_at, forever: true, reads: true, error, full: None })
    }

    /// A disk that [`Faults::fill`] fills with what is below `root`: what takes room fails, all else works, and room that
    /// is given back can be used.
    pub fn filling(root: &Path) -> Arc<Self> {
        let full = Some(Full { root: root.to_owned(), size: AtomicU64::new(u64::MAX) });
        let (seen, fail_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { seen, fail_at, forever: false, reads: false, error: io::ErrorKind::StorageFull, full })
    }

    /// From now on there is not a byte more than is used now.
    pub fn fill(&self) {
        if let Some(full) = &self.full {
            full.size.store(full.used(), Ordering::SeqCst);
        }
    }

    /// Bytes that are left on a disk that a test has filled.
    pub(super) fn free(&self) -> Option<u64> {
        self.full.as_ref()?.free()
    }

    /// Starts counting again, with another step to fail (0: none), on a disk with room.
    pub fn rearm(&self, n: u64) {
        self.seen.store(0, Ordering::SeqCst);
        self.fail_at.store(n, Ordering::SeqCst);
        if let Some(full) = &self.full {
            full.size.store(u64::MAX, Ordering::SeqCst);
        }
    }

    /// How many steps have been counted since the last [`Faults::rearm`].
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    pub(super) fn check(&self, step: Step) -> io::Result<()> {
        if !step.changes() && !self.reads {
            return Ok(());
        }
        let n = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.fail_at.load(Ordering::SeqCst);
        if at != 0 && (n == at || (self.forever && n > at)) { Err(self.error.into()) } else { Ok(()) }
    }
}

impl Full {
    /// Bytes that are taken. A file with two names counts once.
    fn used(&self) -> u64 {
        let found = Disk::default().walk(&self.root).unwrap_or_default();
        let mut seen = HashSet::new();
        let once = found.iter().filter(|(_, stat)| stat.inode == 0 || seen.insert(stat.inode));
        once.map(|(_, stat)| if stat.is_folder { FOLDER } else { FILE + stat.size }).sum()
    }

    /// Nothing as long as it was not filled.
    fn free(&self) -> Option<u64> {
        let size = self.size.load(Ordering::SeqCst);
        (size != u64::MAX).then(|| size.saturating_sub(self.used()))
    }
}
