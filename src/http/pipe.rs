//! From the disk to the client that receives, in a short queue of pieces: memory stays flat, and a client that is gone or
//! stalls ends it.
//!
//! A file is read piece by piece, and nobody waits but the task. What is packed on the way comes from a thread that waits
//! for the client; threads are few, so whoever opens such a pipe has to count them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A piece on its way, in bytes.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait.
const WAITING: usize = 8;
/// Pieces of a file that may: it is read as fast as it is taken.
const READ_AHEAD: usize = 2;
/// A client that takes nothing for so long has gone away.
const STALLED: Duration = Duration::from_secs(120);

type Piece = io::Result<Bytes>;

/// Where the writing thread writes to.
pub struct PieceWriter {
    pieces: Sender<Piece>,
    runtime: Handle,
    filling: BytesMut,
}

/// A part of a file, as fast as the client takes it. What is `held` is so until the end.
pub fn of_file(
    file: File,
    part: Range<u64>,
    held: impl Send + 'static,
) -> impl Stream<Item = Piece> + Send + Sync + 'static {
    let (pieces, received) = channel(READ_AHEAD);
    tokio::spawn(async move {
        let _held = held;
        pass_on(file, part, &pieces).await;
    });
    stream_of(received)
}

async fn pass_on(mut file: File, mut part: Range<u64>, pieces: &Sender<Piece>) {
    while part.start < part.end {
        let (read, back) = match read_at(file, part.clone()).await {
            Ok((read, back)) => (Ok(read), Some(back)),
            Err(error) => (Err(error), None),
        };
        part.start += read.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let sent = tokio::time::timeout(STALLED, pieces.send(read)).await;
        match (sent, back) {
            (Ok(Ok(())), Some(back)) => file = back,
            _ => return,
        }
    }
}

/// The first piece of a part, and the file back. No thread is kept between two pieces.
async fn read_at(mut file: File, part: Range<u64>) -> io::Result<(Bytes, File)> {
    let read = move || {
        let mut piece = Vec::with_capacity(PIECE);
        file.seek(SeekFrom::Start(part.start))?;
        (&mut file).take((part.end - part.start).min(PIECE as u64)).read_to_end(&mut piece)?;
        if piece.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok((piece.into(), file)) }
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

fn stream_of(received: Receiver<Piece>) -> impl Stream<Item = Piece> + Send + Sync + 'static {
    futures_util::stream::unfold(received, |mut received| async move {
        received.recv().await.map(|piece| (piece, received))
    })
}

/// A writer for a thread and what it writes as a stream for a body. To be called on the runtime.
pub fn open() -> (PieceWriter, impl Stream<Item = Piece> + Send + Sync + 'static) {
    let (pieces, received) = channel(WAITING);
    let writer = PieceWriter { pieces, runtime: Handle::current(), filling: BytesMut::with_capacity(PIECE) };
    (writer, stream_of(received))
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
