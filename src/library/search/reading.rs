//! Reading a chat's file for the index: its lines from some place on, each with where it is.

use std::ops::Range;

use crate::error::Result;
use crate::hash::hash;
use crate::library::chats::{Header, Message};
use crate::store::OpenFile;

/// Read at once, in bytes.
const PIECE: u64 = 1 << 20;
/// A longer line is no message of a person or a model.
const LINE_MAX: usize = 8 << 20;
/// So many bytes before a place are compared to see that a file was only added to.
const TAIL: u64 = 256;

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Bytes, whole lines.
    pub bytes: u64,
    /// Messages, damaged ones included.
    pub messages: u64,
}

/// The hash of the bytes before `at`.
pub fn tail(file: &OpenFile, at: u64) -> Result<u64> {
    let bytes = file.read(&(at.saturating_sub(TAIL)..at))?;
    Ok(hash(bytes))
}

/// Shows `each` every message from `from` on, with its index and where its line is. A last line without an end counts if
/// it can be read, else it may still be being written.
pub fn read(
    file: &OpenFile,
    from: Read,
    mut each: impl FnMut(u64, Range<u64>, &Message) -> Result<()>,
) -> Result<Read> {
    let size = file.stat().size;
    let mut done = from;
    let mut line = Line { bytes: Vec::new(), start: from.bytes, is_too_long: false };
    let mut is_first = from.bytes == 0;
    let mut at = from.bytes;
    while at < size {
        let piece = file.read(&(at..(at + PIECE).min(size)))?;
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', &piece) {
            line.add(&piece[begin..end]);
            let next = at + end as u64 + 1;
            line.end(next - 1, &mut is_first, &mut done, &mut each)?;
            done.bytes = next;
            line.start = next;
            begin = end + 1;
        }
        line.add(&piece[begin..]);
        at += piece.len() as u64;
    }
    let is_whole = !line.is_too_long && Message::parse(&line.bytes).is_some();
    if is_whole {
        line.end(size, &mut is_first, &mut done, &mut each)?;
        done.bytes = size;
    }
    Ok(done)
}

struct Line {
    bytes: Vec<u8>,
    start: u64,
    is_too_long: bool,
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.bytes.len() + bytes.len() > LINE_MAX {
            self.is_too_long = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end(
        &mut self,
        end: u64,
        is_first: &mut bool,
        done: &mut Read,
        each: &mut impl FnMut(u64, Range<u64>, &Message) -> Result<()>,
    ) -> Result<()> {
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if !is_too_long && self.bytes.iter().all(u8::is_ascii_whitespace) {
            self.bytes.clear();
            return Ok(());
        }
        let was_first = std::mem::take(is_first);
        if was_first && Header::parse(&self.bytes).is_some() {
            self.bytes.clear();
            return Ok(());
        }
        let index = done.messages;
        done.messages += 1;
        if !is_too_long && let Some(message) = Message::parse(&self.bytes) {
            each(index, self.start..end, &message)?;
        }
        self.bytes.clear();
        Ok(())
    }
}
