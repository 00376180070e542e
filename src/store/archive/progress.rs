//! How far a backup or a restore is, for those who watch it, and their way to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Shared between the one who works and those who watch. All figures only grow.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files in all.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Files that are done.
    pub files_done: AtomicU64,
    /// Bytes that are done.
    pub bytes_done: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Asks the work to stop soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.files.store(files, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts bytes; an error when the work is to stop.
    pub(super) fn passed(&self, bytes: usize) -> Result<()> {
        self.bytes_done.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::conflict("cancelled", "It was stopped before its end. Nothing was changed."));
        }
        Ok(())
    }

    pub(super) fn finished_file(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }
}
