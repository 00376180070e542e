//! Changing chats: adding is one write at the end; all else is a new file, while the old one goes to the trash.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::reading::{Content, Line, Seen, no_message};
use super::{ChatRef, ChatVersion, Chats, ENDING, Expect, Header, Kept, Lines, Message, Swipe};
use crate::error::{Error, Result};
use crate::library::bin::{Item, Part, Sort};
use crate::mutex::lock;
use crate::store::{self, Handle, Piece, RelPath, Stat, TrashId, Writer};

/// So long small changes after one another keep only the version before the first of them.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// So far back a message that is sent again is looked for.
const SENT_LATELY: usize = 8;

/// A message that was added.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// Which one it is.
    pub index: usize,
    /// The version of the chat that it is in.
    pub version: ChatVersion,
    /// It, as it was written.
    pub message: Message,
}

/// A chat that was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Its version now.
    pub version: ChatVersion,
    /// How many messages it has now.
    pub count: usize,
    /// The line that was changed, if it was one.
    pub line: Option<Line>,
}

/// What is to be different about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Its words.
    pub text: Option<String>,
    /// Which swipe is shown. The other changes are to that one.
    pub swipe: Option<usize>,
    /// Whether it is hidden from the model.
    pub hidden: Option<bool>,
    /// What the model thought.
    pub reasoning: Option<String>,
}

/// A piece of a chat's new file.
enum Slot {
    /// Lines of the old one.
    Lines(Range<usize>),
    /// A new line, in place of those.
    New(Range<usize>, Vec<u8>),
}

/// Whether an earlier version is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// In any case: something is taken away.
    Always,
    /// Unless the change before was as small and not a minute ago.
    Once,
}

impl Chats {
    /// Adds a message: one line at the end of the file, on the disk when this returns. One that was added lately with the
    /// same id is not added again.
    pub fn append(&self, handle: &Handle, chat: &ChatRef, expect: Expect, message: Message) -> Result<Appended> {
        let appended = self.writing(handle, |writer| {
            let seen = self.look(handle, chat)?;
            if let Some(appended) = sent_already(&seen, &message)? {
                return Ok((appended, false));
            }
            expect.check(seen.version)?;
            Ok((self.append_to(writer, handle, chat, seen, message)?, true))
        });
        let (appended, is_new) = appended?;
        if is_new {
            self.tell(handle, chat, Some(appended.version));
        }
        Ok(appended)
    }

    fn append_to(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        chat: &ChatRef,
        seen: Seen,
        message: Message,
    ) -> Result<Appended> {
        let mut bytes = if seen.lines.needs_break() { b"\n".to_vec() } else { Vec::new() };
        let is_empty = seen.lines.count() == 0;
        if is_empty {
            bytes.extend(Header::new(Map::new())?.to_line()?);
            bytes.push(b'\n');
        }
        bytes.extend(message.to_line()?);
        let place = chat.place(handle)?;
        writer.append(&place, &bytes)?;
        let stat = self.store.stat(&place)?.ok_or_else(vanished)?;
        let version = ChatVersion::of(&stat);
        let (index, has_header) = (seen.count(), seen.has_header || is_empty);
        let grew_by_this = stat.size == seen.lines.size() + bytes.len() as u64;
        let key = (handle.clone(), chat.clone());
        // The other holder lets go, so that the lines need not be copied.
        lock(&self.known).remove(&key);
        if grew_by_this {
            let mut lines = seen.lines;
            Arc::make_mut(&mut lines).appended(&bytes);
            self.remember(key, version, lines, has_header);
        }
        Ok(Appended { index, version, message })
    }

    /// Changes one message by `change`.
    pub fn change(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        index: usize,
        change: impl FnOnce(&mut Message) -> Result<()>,
    ) -> Result<Changed> {
        self.rewriting(handle, chat, expect, Keep::Once, |seen| {
            let before = seen.message(index)?;
            let mut message = before.clone();
            change(&mut message)?;
            let line = Some(Line { index, content: Content::Message(message.clone()) });
            if message == before {
                return Ok((None, line));
            }
            let at = seen.line_of(index);
            let slots = vec![
                Slot::Lines(0..at),
                Slot::New(at..at + 1, message.to_line()?),
                Slot::Lines(at + 1..seen.lines.count()),
            ];
            Ok((Some(slots), line))
        })
    }

    /// Changes words, thoughts, the shown swipe or whether it is hidden, of one message.
    pub fn edit(&self, handle: &Handle, chat: &ChatRef, expect: Expect, index: usize, edit: &Edit) -> Result<Changed> {
        self.change(handle, chat, expect, index, |message| {
            if let Some(swipe) = edit.swipe {
                message.select_swipe(swipe)?;
            }
            if let Some(text) = &edit.text {
                message.set_text(text);
            }
            if let Some(reasoning) = &edit.reasoning {
                message.set_reasoning(reasoning);
            }
            if let Some(hidden) = edit.hidden {
                message.set_hidden(hidden);
            }
            Ok(())
        })
    }

    /// Adds a swipe to a message and shows it.
    pub fn add_swipe(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        index: usize,
        swipe: Swipe,
    ) -> Result<Changed> {
        self.change(handle, chat, expect, index, |message| {
            message.add_swipe(swipe);
            Ok(())
        })
    }

    /// Replaces a line by another message, whatever it was.
    pub fn replace(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        index: usize,
        message: Message,
    ) -> Result<Changed> {
        self.rewriting(handle, chat, expect, Keep::Always, |seen| {
            let at = existing(seen, index)?;
            let slots = vec![
                Slot::Lines(0..at),
                Slot::New(at..at + 1, message.to_line()?),
                Slot::Lines(at + 1..seen.lines.count()),
            ];
            Ok((Some(slots), Some(Line { index, content: Content::Message(message) })))
        })
    }

    /// Deletes a message, or it and all after it. The chat as it was goes to the trash.
    pub fn delete_message(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        index: usize,
        and_later: bool,
    ) -> Result<Changed> {
        self.rewriting(handle, chat, expect, Keep::Always, |seen| {
            let at = existing(seen, index)?;
            let mut slots = vec![Slot::Lines(0..at)];
            if !and_later {
                slots.push(Slot::Lines(at + 1..seen.lines.count()));
            }
            Ok((Some(slots), None))
        })
    }

    /// Moves a message to where another is; those between make room.
    pub fn move_message(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        index: usize,
        to: usize,
    ) -> Result<Changed> {
        self.rewriting(handle, chat, expect, Keep::Always, |seen| {
            let (from, to) = (existing(seen, index)?, existing(seen, to)?);
            let end = seen.lines.count();
            let slots = match from.cmp(&to) {
                std::cmp::Ordering::Equal => return Ok((None, None)),
                std::cmp::Ordering::Less => [0..from, from + 1..to + 1, from..from + 1, to + 1..end],
                std::cmp::Ordering::Greater => [0..to, from..from + 1, to..from, from + 1..end],
            };
            Ok((Some(slots.into_iter().map(Slot::Lines).collect()), None))
        })
    }

    /// Changes what belongs to a chat as a whole. A chat without a header gets one.
    pub fn change_header(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        change: impl FnOnce(&mut Header) -> Result<()>,
    ) -> Result<Changed> {
        self.rewriting(handle, chat, expect, Keep::Once, |seen| {
            let before = seen.header()?;
            let mut header = match &before {
                Some(header) => header.clone(),
                None => Header::new(Map::new())?,
            };
            change(&mut header)?;
            if Some(&header) == before.as_ref() {
                return Ok((None, None));
            }
            let old = usize::from(seen.has_header);
            let slots = vec![Slot::New(0..old, header.to_line()?), Slot::Lines(old..seen.lines.count())];
            Ok((Some(slots), None))
        })
    }

    /// Notes in a message which chat was made of what was said up to it. The version of the chat then; none if the message
    /// cannot be read, and is left as it is.
    pub(super) fn note_branch(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        chat: &ChatRef,
        seen: &Seen,
        index: usize,
        branch: &ChatRef,
    ) -> Result<Option<ChatVersion>> {
        let Content::Message(mut message) = seen.read_one(index)?.content else { return Ok(None) };
        let branches = message.extra_mut().entry("branches").or_insert_with(|| Value::Array(Vec::new()));
        let name = Value::from(branch.chat.as_str());
        match branches {
            Value::Array(names) => names.push(name),
            other => *other = Value::Array(vec![name]),
        }
        let at = seen.line_of(index);
        let end = seen.lines.count();
        let slots = [Slot::Lines(0..at), Slot::New(at..at + 1, message.to_line()?), Slot::Lines(at + 1..end)];
        self.rewrite(writer, handle, chat, seen, &slots, Keep::Once)?;
        Ok(Some(self.look(handle, chat)?.version))
    }

    /// Makes a new file of what `plan` says, in place of the one that is there, which goes to the trash.
    fn rewriting(
        &self,
        handle: &Handle,
        chat: &ChatRef,
        expect: Expect,
        keep: Keep,
        plan: impl FnOnce(&Seen) -> Result<(Option<Vec<Slot>>, Option<Line>)>,
    ) -> Result<Changed> {
        let (changed, is_new) = self.writing(handle, |writer| {
            let seen = self.look(handle, chat)?;
            expect.check(seen.version)?;
            let (slots, line) = plan(&seen)?;
            let Some(slots) = slots else {
                return Ok((Changed { version: seen.version, count: seen.count(), line }, false));
            };
            self.rewrite(writer, handle, chat, &seen, &slots, keep)?;
            let after = self.look(handle, chat)?;
            Ok((Changed { version: after.version, count: after.count(), line }, true))
        })?;
        if is_new {
            self.tell(handle, chat, Some(changed.version));
        }
        Ok(changed)
    }

    fn rewrite(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        chat: &ChatRef,
        seen: &Seen,
        slots: &[Slot],
        keep: Keep,
    ) -> Result<()> {
        let key = (handle.clone(), chat.clone());
        let is_one_more = keep == Keep::Once
            && lock(&self.kept)
                .get(&key)
                .is_some_and(|kept| kept.made == seen.version && kept.at.elapsed() < KEPT_EVERY);
        // What takes something away is what people do to make room.
        let urgent = (keep == Keep::Always).then(|| writer.urgent());
        let writer = urgent.as_ref().unwrap_or(writer);
        let kept = if is_one_more { None } else { Some(self.keep(writer, handle, chat, seen)?) };
        let place = chat.place(handle)?;
        let pieces = pieces(seen, slots);
        let stat = writer.assemble(&place, &pieces, true).inspect_err(|_| {
            // It can have been replaced all the same, when only the last sync failed; then what it was stays kept.
            let is_as_before = |stat: Stat| ChatVersion::of(&stat) == seen.version;
            if let (Some(id), Ok(Some(stat))) = (&kept, self.store.stat(&place))
                && is_as_before(stat)
            {
                self.bin.drop_kept(writer, handle, id);
            }
        })?;
        let mut all = lock(&self.kept);
        all.retain(|_, kept| kept.at.elapsed() < KEPT_EVERY);
        let made = ChatVersion::of(&stat);
        match all.get_mut(&key) {
            Some(kept) if is_one_more => kept.made = made,
            _ if keep == Keep::Once => drop(all.insert(key, Kept { at: Instant::now(), made })),
            _ => drop(all.remove(&key)),
        }
        Ok(())
    }

    fn keep(&self, writer: &Writer<'_>, handle: &Handle, chat: &ChatRef, seen: &Seen) -> Result<TrashId> {
        let item = item(chat, Sort::Version, Value::Null)?;
        self.bin.keep(writer, handle, item, seen.file.stat().size)
    }
}

/// A chat as the trash knows it.
pub(super) fn item(chat: &ChatRef, sort: Sort, note: Value) -> Result<Item> {
    let folder = RelPath::parse(&format!("{}/{}", store::Folder::CHATS.as_str(), chat.character))?;
    Ok(Item {
        sort,
        stem: chat.chat.clone(),
        name: chat.chat.to_string(),
        of: Some(chat.character.to_string()),
        parts: vec![Part::new(folder, ENDING)],
        note,
    })
}

/// The line of a message that is there.
fn existing(seen: &Seen, index: usize) -> Result<usize> {
    if index < seen.count() { Ok(seen.line_of(index)) } else { Err(no_message()) }
}

/// The message that this one would be once more, if it is among the last ones.
fn sent_already(seen: &Seen, message: &Message) -> Result<Option<Appended>> {
    let Some(id) = message.id() else { return Ok(None) };
    let lately = seen.count().saturating_sub(SENT_LATELY)..seen.count();
    let same =
        seen.read(lately)?.into_iter().rev().find(|line| line.message().is_some_and(|sent| sent.id() == Some(id)));
    Ok(same.and_then(|line| match line.content {
        Content::Message(message) => Some(Appended { index: line.index, version: seen.version, message }),
        Content::Damaged(_) => None,
    }))
}

/// The bytes of a new file: what stays is taken from the old one as it is, blank lines between included.
fn pieces<'a>(seen: &'a Seen, slots: &'a [Slot]) -> Vec<Piece<'a>> {
    let lines: &Lines = &seen.lines;
    let old = |range: Range<u64>| Piece::Of(&seen.file, range);
    let mut pieces = Vec::new();
    // The line of the old file behind what was put down so far; none before anything was.
    let mut next = None;
    for slot in slots {
        let (range, piece) = match slot {
            Slot::New(range, line) => (range, Piece::Bytes(line)),
            Slot::Lines(range) => match lines.span(range) {
                Some(span) => (range, old(span)),
                None => continue,
            },
        };
        let start = lines.range(range.start).map_or(lines.size(), |range| range.start);
        match next {
            // What is before the first line stays before it, and what is between two lines between them.
            None if range.start == 0 && !range.is_empty() => pieces.push(old(0..start)),
            None => {}
            Some(end) if end == range.start && end > 0 => pieces.push(old(end_of(lines, end)..start)),
            Some(_) => pieces.push(Piece::Bytes(b"\n")),
        }
        pieces.push(piece);
        next = Some(range.end);
    }
    // And what is behind the last line.
    if next == Some(lines.count()) {
        pieces.push(old(end_of(lines, lines.count())..lines.size()));
    }
    pieces
}

/// Where the last of the first `count` lines ends.
fn end_of(lines: &Lines, count: usize) -> u64 {
    count.checked_sub(1).and_then(|last| lines.range(last)).map_or(0, |range| range.end)
}

fn vanished() -> Error {
    Error::conflict("vanished", "The chat was removed from outside while it was written to. Load it again.")
}
