//! Steps of the disk, and plans for making one of them fail.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
}

impl Faults {
    /// Fails the `n`-th changing step (counted from 1; 0 means never) with `error`; `forever` fails all later ones too.
    pub fn at(n: u64, error: io::ErrorKind, forever: bool) -> Arc<Self> {
        Arc::new(Self { seen: AtomicU64::new(0), fail_at: AtomicU64::new(n), forever, reads: false, error })
    }

    /// Fails every step, reading ones too, from now on.
    pub fn everything(error: io::ErrorKind) -> Arc<Self> {
        Arc::new(Self { seen: AtomicU64::new(0), fail_at: AtomicU64::new(1), forever: true, reads: true, error })
    }

    /// Starts counting again, with another step to fail (0: none).
    pub fn rearm(&self, n: u64) {
        self.seen.store(0, Ordering::SeqCst);
        self.fail_at.store(n, Ordering::SeqCst);
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
