//! Opening chats, and looking at a part of a long one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::lines::{Lines, Scan};
use super::{ChatRef, ChatVersion, Chats, Header, Key, Known, LINES_MAX, Message};
use crate::clock;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{Handle, OpenFile};

/// A line of more bytes than this is shown as damaged: it is no message of a person or a model.
const LINE_MAX: u64 = 64 << 20;
/// A window holds no more than this, however few messages that are.
const WINDOW_MAX: u64 = 64 << 20;
/// Of a damaged line so much is shown.
const SHOWN_MAX: usize = 2000;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A message.
    Message(Message),
    /// It cannot be read. It is kept as it is; this is its beginning, as far as it is text.
    Damaged(String),
}

/// A line behind the header.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Counted from 0, damaged ones included.
    pub index: usize,
    /// What it says.
    pub content: Content,
}

impl Line {
    /// The message, unless it is damaged.
    pub fn message(&self) -> Option<&Message> {
        match &self.content {
            Content::Message(message) => Some(message),
            Content::Damaged(_) => None,
        }
    }
}

/// A chat that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Its first line; none if there is none, or it is damaged.
    pub header: Option<Header>,
    /// Which version it is.
    pub version: ChatVersion,
    /// How many messages it has, damaged lines included.
    pub count: usize,
    /// Bytes.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: i64,
}

/// A part of a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The chat as a whole.
    pub chat: Opened,
    /// The lines, in order.
    pub lines: Vec<Line>,
}

/// A chat's file, and where its lines are.
pub(super) struct Seen {
    pub(super) file: OpenFile,
    pub(super) version: ChatVersion,
    pub(super) lines: Arc<Lines>,
    pub(super) has_header: bool,
}

impl Seen {
    /// How many messages there are.
    pub(super) fn count(&self) -> usize {
        self.lines.count() - usize::from(self.has_header)
    }

    /// The number of a message's line.
    pub(super) fn line_of(&self, index: usize) -> usize {
        index.saturating_add(usize::from(self.has_header))
    }

    pub(super) fn header(&self) -> Result<Option<Header>> {
        if !self.has_header {
            return Ok(None);
        }
        let Some(range) = self.lines.range(0) else { return Ok(None) };
        Ok(Header::parse(&self.file.read(&range)?))
    }

    /// The messages from `indexes.start` to before `indexes.end`.
    pub(super) fn read(&self, indexes: Range<usize>) -> Result<Vec<Line>> {
        let lines = self.line_of(indexes.start)..self.line_of(indexes.end);
        let Some(span) = self.lines.span(&lines) else { return Ok(Vec::new()) };
        if span.end - span.start > WINDOW_MAX {
            return indexes.map(|index| self.read_one(index)).collect();
        }
        let bytes = self.file.read(&span)?;
        let mut read = Vec::with_capacity(indexes.len());
        for (index, line) in indexes.zip(lines) {
            let Some(range) = self.lines.range(line) else { break };
            let within = |at: u64| usize::try_from(at - span.start).map_err(Error::internal);
            let line = bytes.get(within(range.start)?..within(range.end)?).unwrap_or_default();
            read.push(Line { index, content: content(line) });
        }
        Ok(read)
    }

    /// One message.
    pub(super) fn read_one(&self, index: usize) -> Result<Line> {
        let range = self.lines.range(self.line_of(index)).ok_or_else(no_message)?;
        let is_too_long = range.end - range.start > LINE_MAX;
        let end = if is_too_long { range.start + SHOWN_MAX as u64 } else { range.end };
        let bytes = self.file.read(&(range.start..end))?;
        let content = if is_too_long { Content::Damaged(shown(&bytes)) } else { content(&bytes) };
        Ok(Line { index, content })
    }

    /// One message, to be changed.
    pub(super) fn message(&self, index: usize) -> Result<Message> {
        match self.read_one(index)?.content {
            Content::Message(message) => Ok(message),
            Content::Damaged(_) => Err(Error::conflict(
                "damaged_message",
                "This line of the chat is damaged. It is kept as it is, and can be deleted, but not changed.",
            )),
        }
    }

    pub(super) fn opened(&self) -> Result<Opened> {
        Ok(Opened {
            header: self.header()?,
            version: self.version,
            count: self.count(),
            size: self.file.stat().size,
            modified: clock::to_ms(self.file.stat().modified),
        })
    }

    /// The last `limit` messages before `before`, or fewer where they are very long.
    fn range_before(&self, before: Option<usize>, limit: usize) -> Range<usize> {
        let end = before.unwrap_or(usize::MAX).min(self.count());
        let mut start = end.saturating_sub(limit);
        let too_much = |start: usize| {
            let span = self.lines.span(&(self.line_of(start)..self.line_of(end)));
            span.is_some_and(|span| span.end - span.start > WINDOW_MAX)
        };
        while start + 1 < end && too_much(start) {
            start += 1;
        }
        start..end
    }
}

impl Chats {
    /// Looks at a chat, without its messages.
    pub fn open(&self, handle: &Handle, chat: &ChatRef) -> Result<Opened> {
        self.look(handle, chat)?.opened()
    }

    /// At most `limit` messages before the one at `before`, or the last ones.
    pub fn window(&self, handle: &Handle, chat: &ChatRef, before: Option<usize>, limit: usize) -> Result<Window> {
        let seen = self.look(handle, chat)?;
        let range = seen.range_before(before, limit);
        Ok(Window { chat: seen.opened()?, lines: seen.read(range)? })
    }

    /// One message, and the version of the chat that it is in.
    pub fn message(&self, handle: &Handle, chat: &ChatRef, index: usize) -> Result<(ChatVersion, Line)> {
        let seen = self.look(handle, chat)?;
        Ok((seen.version, seen.read_one(index)?))
    }

    /// Every line from the one at `from` on, handed to `each` some at a time: for what goes over a whole chat.
    pub fn each(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        from: usize,
        mut each: impl FnMut(Line) -> Result<()>,
    ) -> Result<Opened> {
        const AT_ONCE: usize = 500;
        let seen = self.look(handle, chat)?;
        let mut at = from;
        while at < seen.count() {
            let end = (at + AT_ONCE).min(seen.count());
            seen.read(at..end)?.into_iter().try_for_each(&mut each)?;
            at = end;
        }
        seen.opened()
    }

    /// Opens a chat's file and finds its lines, if they are not known.
    pub(super) fn look(&self, handle: &Handle, chat: &ChatRef) -> Result<Seen> {
        let file = match self.store.open_file(&chat.place(handle)?) {
            Err(error) if error.is_not_found() => return Err(Error::not_found("There is no such chat.")),
            other => other?,
        };
        let version = ChatVersion::of(file.stat());
        let key = (handle.clone(), chat.clone());
        if let Some(known) = lock(&self.known).get_mut(&key)
            && known.version == version
        {
            known.used = Instant::now();
            let (lines, has_header) = (Arc::clone(&known.lines), known.has_header);
            return Ok(Seen { file, version, lines, has_header });
        }
        let mut scan = Scan::new();
        file.scan(|piece| scan.look(piece))?;
        let lines = Arc::new(scan.finish());
        let first = lines.range(0).filter(|range| range.end - range.start <= LINE_MAX);
        let has_header = match first {
            Some(range) => Header::parse(&file.read(&range)?).is_some(),
            None => false,
        };
        let seen = Seen { file, version, lines, has_header };
        self.remember(key, version, Arc::clone(&seen.lines), has_header);
        Ok(seen)
    }

    /// Remembers where the lines of a chat are, in place of those used least recently.
    pub(super) fn remember(&self, key: Key, version: ChatVersion, lines: Arc<Lines>, has_header: bool) {
        let mut known = lock(&self.known);
        known.insert(key, Known { version, lines, has_header, used: Instant::now() });
        // A chat counts for some lines even if it is empty.
        let weight = |known: &Known| known.lines.count() + 16;
        let mut total: usize = known.values().map(weight).sum();
        while total > LINES_MAX && known.len() > 1 {
            let Some(oldest) = known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone()) else {
                break;
            };
            total -= known.remove(&oldest).map_or(0, |known| weight(&known));
        }
    }
}

fn content(line: &[u8]) -> Content {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match (line.len() as u64 <= LINE_MAX).then(|| Message::parse(line)).flatten() {
        Some(message) => Content::Message(message),
        None => Content::Damaged(shown(line)),
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN_MAX)]).into_owned()
}

pub(super) fn no_message() -> Error {
    Error::not_found("There is no such message in this chat.")
}
