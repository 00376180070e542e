//! Whole chats: made, named, branched, deleted.

use serde_json::{Map, Value};

use super::changing::item;
use super::reading::no_message;
use super::{ChatRef, ChatVersion, Chats, ENDING, Expect, Header, Message, naming};
use crate::error::{Error, Result};
use crate::library::bin::Sort;
use crate::mutex::lock;
use crate::store::{FileName, Handle, Piece, TrashId, Writer};

/// More names than this are not tried for a new chat.
const NAMES_MAX: usize = 1000;

/// A chat that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewChat {
    /// What it is to be called; after the character and the time, if not said.
    pub name: Option<String>,
    /// What people call the character.
    pub character_name: String,
    /// What it begins with.
    pub messages: Vec<Message>,
    /// What belongs to it as a whole, by SillyTavern's names.
    pub metadata: Map<String, Value>,
}

/// A branch that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branched {
    /// The new chat.
    pub chat: ChatRef,
    /// The version of the chat that it was made of, now that its message names the branch.
    pub from: ChatVersion,
}

impl Chats {
    /// Makes a chat. One of the same name is a conflict if a person chose the name.
    pub fn create(&self, handle: &Handle, character: &FileName, new: NewChat) -> Result<(ChatRef, ChatVersion)> {
        let mut text = Header::new(new.metadata)?.to_line()?;
        for message in &new.messages {
            text.push(b'\n');
            text.extend(message.to_line()?);
        }
        let name = new.name.as_deref().map(naming::typed_name).transpose()?;
        let is_chosen = name.is_some();
        let name = name.map_or_else(|| naming::new_name(&new.character_name), Ok)?;
        self.create_file(
            handle,
            character,
            |n| if is_chosen { Ok(name.clone()) } else { naming::numbered(&name, n) },
            &text,
        )
    }

    /// Makes a chat's file of its text, under the first name that is free.
    pub(super) fn create_file(
        &self,
        handle: &Handle,
        character: &FileName,
        name: impl Fn(usize) -> Result<FileName>,
        text: &[u8],
    ) -> Result<(ChatRef, ChatVersion)> {
        let made = self.writing(handle, |writer| {
            let chat = self.free_name(handle, character, name)?;
            let stat = writer.assemble(&chat.place(handle)?, &[Piece::Bytes(text)], false)?;
            Ok((chat, ChatVersion::of(&stat)))
        })?;
        self.tell_list(handle);
        Ok(made)
    }

    /// A chat that has what this one has up to and including the message at `index`. The message then names the branch, as
    /// SillyTavern has it: in `extra.branches`.
    pub fn branch(&self, handle: &Handle, chat: &ChatRef, index: usize, name: Option<&str>) -> Result<Branched> {
        let name = name.map(naming::typed_name).transpose()?;
        let made = self.writing(handle, |writer| {
            let seen = self.look(handle, chat)?;
            if index >= seen.count() {
                return Err(no_message());
            }
            let mut header = match seen.header()? {
                Some(header) => header,
                None => Header::new(Map::new())?,
            };
            header.renew_integrity()?;
            header.metadata_mut().insert("main_chat".to_owned(), chat.chat.as_str().into());
            let line = header.to_line()?;
            let span = seen.lines.span(&(seen.line_of(0)..seen.line_of(index) + 1)).ok_or_else(no_message)?;
            let branch = self.free_name(handle, &chat.character, |n| match &name {
                Some(name) => Ok(name.clone()),
                None => naming::branch_name(chat.chat.as_str(), n + 1),
            })?;
            let pieces = [Piece::Bytes(&line), Piece::Bytes(b"\n"), Piece::Of(&seen.file, span)];
            writer.assemble(&branch.place(handle)?, &pieces, false)?;
            // The branch is there: that its message cannot say so is no reason to say that it is not.
            let noted = self.note_branch(writer, handle, chat, &seen, index, &branch).unwrap_or_else(|error| {
                tracing::warn!(?error, %handle, "a message does not name the branch that was made of it");
                None
            });
            Ok((Branched { chat: branch, from: noted.unwrap_or(seen.version) }, noted))
        });
        let (branched, noted) = made?;
        if noted.is_some() {
            self.tell(handle, chat, noted);
        }
        self.tell_list(handle);
        Ok(branched)
    }

    /// Gives a chat another name. Its version stays.
    pub fn rename(&self, handle: &Handle, chat: &ChatRef, expect: Expect, name: &str) -> Result<ChatRef> {
        let to = ChatRef::new(chat.character.clone(), naming::typed_name(name)?)?;
        if to == *chat {
            return Ok(to);
        }
        self.writing(handle, |writer| {
            let seen = self.look(handle, chat)?;
            expect.check(seen.version)?;
            writer.rename(&chat.place(handle)?, &to.place(handle)?)?;
            self.forget_chat(handle, chat);
            self.pins_follow(writer, handle, chat, Some(&to));
            Ok(())
        })?;
        self.tell(handle, chat, None);
        self.tell_list(handle);
        Ok(to)
    }

    /// Moves a chat to the trash.
    pub fn delete(&self, handle: &Handle, chat: &ChatRef, expect: Expect) -> Result<TrashId> {
        let id = self.writing(handle, |writer| {
            let seen = self.look(handle, chat)?;
            expect.check(seen.version)?;
            let pinned = self.is_pinned(handle, chat).unwrap_or(false);
            let note = if pinned { serde_json::json!({ "pinned": true }) } else { Value::Null };
            let id = self.bin.discard(writer, handle, item(chat, Sort::Chat, note)?)?;
            self.forget_chat(handle, chat);
            self.pins_follow(&writer.urgent(), handle, chat, None);
            Ok(id)
        })?;
        self.tell(handle, chat, None);
        self.tell_list(handle);
        Ok(id)
    }

    /// A chat came back from the trash: if it was pinned, it is again.
    pub fn restored(&self, handle: &Handle, chat: &ChatRef, note: &Value) {
        let was_pinned = note.get("pinned").and_then(Value::as_bool).unwrap_or(false);
        if was_pinned && let Err(error) = self.pin(handle, chat, true) {
            tracing::warn!(?error, %handle, "a chat came back without its pin");
        }
        // Windows may have it open as it was.
        if let Ok(seen) = self.look(handle, chat) {
            self.tell(handle, chat, Some(seen.version));
        }
        self.tell_list(handle);
    }

    /// Lets pins follow a character that gets another name, for whoever moves its folder of chats.
    pub fn character_renamed(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        from: &FileName,
        to: &FileName,
    ) -> Result<()> {
        let (from, to) = (format!("{from}/"), format!("{to}/"));
        self.forget(handle);
        self.change_pins(writer, handle, |pins| {
            for pin in pins.iter_mut() {
                if let Some(chat) = pin.strip_prefix(&from) {
                    *pin = format!("{to}{chat}");
                }
            }
        })
    }

    /// The chat itself has its new name already: that its pin cannot follow is no reason to say that it has not.
    fn pins_follow(&self, writer: &Writer<'_>, handle: &Handle, chat: &ChatRef, to: Option<&ChatRef>) {
        let name = chat.to_string();
        let followed = self.change_pins(writer, handle, |pins| match to {
            Some(to) => pins.iter_mut().filter(|pin| **pin == name).for_each(|pin| *pin = to.to_string()),
            None => pins.retain(|pin| *pin != name),
        });
        followed.unwrap_or_else(|error| tracing::warn!(?error, %handle, "a pin did not follow its chat"));
    }

    fn forget_chat(&self, handle: &Handle, chat: &ChatRef) {
        let key = (handle.clone(), chat.clone());
        lock(&self.known).remove(&key);
        lock(&self.kept).remove(&key);
    }

    fn free_name(
        &self,
        handle: &Handle,
        character: &FileName,
        name: impl Fn(usize) -> Result<FileName>,
    ) -> Result<ChatRef> {
        let mut last = None;
        for n in 0..NAMES_MAX {
            let name = name(n)?;
            if last.as_ref() == Some(&name) {
                break;
            }
            let chat = ChatRef::new(character.clone(), name.clone())?;
            if self.store.stat(&chat.place(handle)?)?.is_none() {
                return Ok(chat);
            }
            last = Some(name);
        }
        let name = last.map(String::from).unwrap_or_default();
        Err(Error::conflict("conflict", format!("There already is a chat of the name {name}{ENDING}.")))
    }
}
