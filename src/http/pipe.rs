//! From a thread that reads or packs files to the client that receives them: a short queue of pieces. The thread waits for
//! the client, so memory stays flat, and a client that is gone or stalls ends the thread.

use std::io::{self, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A piece on its way, in bytes.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait.
const WAITING: usize = 8;
/// A client that takes nothing for so long has gone away.
const STALLED: Duration = Duration::from_secs(120);

type Piece = io::Result<Bytes>;

/// Where the writing thread writes to.
pub struct PieceWriter {
    pieces: Sender<Piece>,
    runtime: Handle,
    filling: BytesMut,
}

/// A writer for a thread and what it writes as a stream for a body. To be called on the runtime.
pub fn open() -> (PieceWriter, impl Stream<Item = Piece> + Send + Sync + 'static) {
    let (pieces, received) = channel(WAITING);
    let writer = PieceWriter { pieces, runtime: Handle::current(), filling: BytesMut::with_capacity(PIECE) };
    let stream = futures_util::stream::unfold(received, |mut received: Receiver<Piece>| async move {
        received.recv().await.map(|piece| (piece, received))
    });
    (writer, stream)
}

impl PieceWriter {
    /// Makes the body fail: a download that is not whole must not look as if it were.
    pub fn fail(mut self, error: io::Error) {
        self.filling.clear();
        let _ = self.send(Err(error));
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let sent = self.runtime.block_on(tokio::time::timeout(STALLED, self.pieces.send(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped receiving")),
        }
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filling.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.filling, BytesMut::with_capacity(PIECE)).freeze();
        self.send(Ok(piece))
    }
}
