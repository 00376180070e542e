//! What the trash knows of what is in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock;
use crate::error::{Error, Result};
use crate::store::{FileName, Folder, Handle, Place, RelPath, TrashId};

const FORMAT: u32 = 1;

/// What something in the trash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A deleted chat.
    Chat,
    /// A chat, a character, a lorebook or a persona as it was before a change.
    Version,
    /// A deleted character.
    Character,
    /// A deleted lorebook.
    Lorebook,
    /// A deleted persona.
    Persona,
}

/// Something that is going to the trash.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub sort: Sort,
    /// What its files are called, without endings.
    pub stem: FileName,
    /// What people call it.
    pub name: String,
    /// What it belongs to: the character of a chat.
    pub of: Option<String>,
    /// Its files and folders.
    pub parts: Vec<Part>,
    /// What is not in files of its own, for whoever brings it back.
    pub note: Value,
}

/// How often what something was is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Often {
    /// Each time.
    Always,
    /// Unless it was just now.
    OnceInAWhile,
}

/// A file or folder: `<folder>/<stem><ending>` in the user's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In which folder.
    pub folder: RelPath,
    /// Its ending, such as `.png`; nothing for a folder.
    pub ending: String,
}

impl Part {
    /// A part.
    pub fn new(folder: RelPath, ending: &str) -> Self {
        Self { folder, ending: ending.to_owned() }
    }

    pub(super) fn live(&self, handle: &Handle, stem: &FileName) -> Result<Place> {
        let name = FileName::parse(&format!("{stem}{}", self.ending))?;
        Ok(Place::of(handle).below(&self.folder).file(&name))
    }
}

/// `record.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: u32,
    pub(super) id: TrashId,
    pub(super) kind: Sort,
    pub(super) stem: FileName,
    pub(super) name: String,
    pub(super) of: Option<String>,
    /// Bytes of its files. Of a version, what belongs to it: the file may have grown since.
    pub(super) size: u64,
    /// When, in milliseconds since 1970.
    pub(super) deleted: i64,
    pub(super) parts: Vec<Part>,
    #[serde(default)]
    pub(super) note: Value,
}

impl Record {
    /// Of something that goes to the trash now, with so many bytes of files.
    pub(super) fn new(id: TrashId, item: Item, size: u64) -> Self {
        let Item { sort, stem, name, of, parts, note } = item;
        Self { format: FORMAT, id, kind: sort, stem, name, of, size, deleted: clock::now_ms(), parts, note }
    }

    /// Whether it is one that this program understands, of what goes by `id`.
    pub(super) fn is_of(&self, id: &TrashId) -> bool {
        self.format == FORMAT && self.id == *id
    }

    /// The first of its parts: the only one of a version.
    pub(super) fn part(&self) -> Result<&Part> {
        self.parts.first().ok_or_else(|| Error::internal("a version without a file"))
    }

    /// What came back under the name `stem`.
    pub(super) fn restored(&self, stem: FileName) -> Restored {
        Restored {
            kind: self.kind,
            thing: self.thing(),
            stem,
            was: self.stem.clone(),
            ending: self.parts.first().map(|part| part.ending.clone()),
            of: self.of.clone(),
            note: self.note.clone(),
        }
    }

    /// The `n`-th name like the one it had: chats are numbered as SillyTavern numbers branches, cards as it numbers cards.
    pub(super) fn numbered(&self, n: usize) -> Result<FileName> {
        let ending = match self.kind {
            Sort::Chat | Sort::Version => format!(" - Restored #{n}"),
            Sort::Character | Sort::Lorebook | Sort::Persona => n.to_string(),
        };
        let longest = self.parts.iter().map(|part| part.ending.len()).max().unwrap_or(0);
        let room = 255usize.saturating_sub(ending.len() + longest);
        let stem = &self.stem.as_str()[..self.stem.as_str().floor_char_boundary(room)];
        FileName::parse(&format!("{stem}{ending}"))
    }

    /// What it is, and of a version what it is one of: its folder says so.
    pub(super) fn thing(&self) -> Sort {
        let folder = self.parts.first().map(|part| part.folder.as_str()).unwrap_or_default();
        match self.kind {
            Sort::Version if folder == Folder::CHARACTERS.as_str() => Sort::Character,
            Sort::Version if folder == Folder::WORLDS.as_str() => Sort::Lorebook,
            Sort::Version if folder == Folder::PERSONAS.as_str() => Sort::Persona,
            Sort::Version => Sort::Chat,
            kind => kind,
        }
    }
}

/// Something in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discarded {
    /// By which it is named.
    pub id: TrashId,
    /// What it is.
    pub kind: Sort,
    /// What it was, or was a version of.
    pub thing: Sort,
    /// What people call it.
    pub name: String,
    /// What it belongs to.
    pub of: Option<String>,
    /// The moment that it is named after, if it is a chat that is, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<i64>,
    /// Bytes.
    pub size: u64,
    /// When it was deleted, in milliseconds since 1970.
    pub deleted: i64,
    /// When it will be gone for good.
    pub expires: i64,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// What it is.
    pub kind: Sort,
    /// What it was, or was a version of.
    pub thing: Sort,
    /// What its files are called now, without endings: another name than before, if that is taken.
    pub stem: FileName,
    /// What they were called.
    pub was: FileName,
    /// What the name of the first of its files ends with, if it has any.
    pub ending: Option<String>,
    /// What it belongs to.
    pub of: Option<String>,
    /// What was not in files of its own.
    pub note: Value,
}
