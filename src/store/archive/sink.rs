//! Where a backup goes, with a guard against half an archive that looks like a whole one.
//!
//! A `ZipWriter` that is dropped before its end still writes the archive's directory, so what was sent so far would open
//! as a valid zip. The guard therefore sits between it and the receiver: once broken, it swallows everything. Then it
//! sends [`FILLER`], because the last file sent may itself be a zip, and a reader that searches for the directory from the
//! end would find that one.

use std::cell::Cell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

/// Small pieces (headers, directory entries) are put together to this size.
const BUFFER: usize = 64 * 1024;
/// More than a reader searches for the directory of a zip.
const FILLER: usize = 66 * 1024;

pub(super) struct Sink<W: Write> {
    inner: BufWriter<W>,
    seal: Seal,
}

/// Breaks the [`Sink`] that it belongs to.
#[derive(Clone, Default)]
pub(super) struct Seal(Rc<Cell<bool>>);

impl Seal {
    pub(super) fn break_off(&self) {
        self.0.set(true);
    }
}

impl<W: Write> Sink<W> {
    pub(super) fn new(inner: W, seal: Seal) -> Self {
        Self { inner: BufWriter::with_capacity(BUFFER, inner), seal }
    }

    /// Passes the first error on, and swallows all that comes after it.
    fn guarded(&mut self, work: impl FnOnce(&mut BufWriter<W>) -> io::Result<usize>) -> io::Result<usize> {
        work(&mut self.inner).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.seal.break_off();
            }
        })
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.seal.0.get() { Ok(bytes.len()) } else { self.guarded(|inner| inner.write(bytes)) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.seal.0.get() { Ok(()) } else { self.guarded(|inner| inner.flush().map(|()| 0)).map(drop) }
    }
}

/// Makes sure that what `receiver` got so far is no archive. Best effort: it may be gone.
pub(super) fn spoil(receiver: &mut impl Write) {
    let _ = receiver.write_all(&[0; FILLER]).and_then(|()| receiver.flush());
}
