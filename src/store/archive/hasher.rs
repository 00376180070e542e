//! SHA-256 on a second thread, since it is the slowest step of a backup whose files are stored as they are.
//!
//! A small ring of buffers goes round: filled and written by one thread, hashed by the other, filled again. The ring
//! bounds the memory and makes the faster one wait.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::Version;

/// Bytes in one buffer.
const BUFFER: usize = 256 * 1024;
/// Buffers in the ring: 4 MiB in all.
const RING: usize = 16;

type Buffer = Box<[u8]>;

enum Work {
    Bytes(Buffer, usize),
    EndOfFile,
}

pub(super) struct Hasher<'scope> {
    work: SyncSender<Work>,
    free: Receiver<Buffer>,
    thread: ScopedJoinHandle<'scope, Vec<Version>>,
}

impl<'scope> Hasher<'scope> {
    pub(super) fn start<'env>(scope: &'scope Scope<'scope, 'env>) -> Self {
        let (work, todo) = sync_channel(RING * 4);
        let (give_back, free) = sync_channel(RING);
        for _ in 0..RING {
            // There is room for all of them, and the other end is right here.
            let _ = give_back.send(vec![0; BUFFER].into_boxed_slice());
        }
        let thread = scope.spawn(move || hash(&todo, &give_back));
        Self { work, free, thread }
    }

    /// An empty buffer, as soon as there is one.
    pub(super) fn buffer(&self) -> Result<Buffer> {
        self.free.recv().map_err(Error::internal)
    }

    /// Takes the first `len` bytes of `buffer` as the next ones of the file.
    pub(super) fn take(&self, buffer: Buffer, len: usize) -> Result<()> {
        self.work.send(Work::Bytes(buffer, len)).map_err(|error| Error::internal(error.to_string()))
    }

    pub(super) fn end_of_file(&self) -> Result<()> {
        self.work.send(Work::EndOfFile).map_err(|error| Error::internal(error.to_string()))
    }

    /// The hashes of all files, in their order.
    pub(super) fn finish(self) -> Result<Vec<Version>> {
        drop(self.work);
        self.thread.join().map_err(|_| Error::internal("the hashing thread panicked"))
    }
}

fn hash(todo: &Receiver<Work>, give_back: &SyncSender<Buffer>) -> Vec<Version> {
    let mut hashes = Vec::new();
    let mut hasher = Sha256::new();
    for work in todo {
        match work {
            Work::Bytes(buffer, len) => {
                hasher.update(&buffer[..len]);
                // Nobody waits for it any more when the backup has failed.
                let _ = give_back.send(buffer);
            }
            Work::EndOfFile => hashes.push(Version::seen_by(std::mem::take(&mut hasher))),
        }
    }
    hashes
}
