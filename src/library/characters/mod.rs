//! Characters: the cards in `characters/<id>.png`, with what is kept beside them.
//!
//! - [`index`]: what the list knows, without opening thousands of files
//! - [`listing`]: searching, filtering, sorting, paging
//! - [`tags`]: those that SillyTavern keeps in the settings
//! - [`changing`]: editing, pictures, copies
//! - [`moving`]: other names, and the trash
//! - [`incoming`]: cards that come from outside, in every format
//!
//! A card that cannot be understood is shown as damaged and kept as it is.

mod changing;
mod incoming;
mod index;
mod listing;
mod moving;
mod tags;

use std::sync::Arc;

pub use changing::Format;
pub use incoming::BLANK;
pub use index::{ChatsSeen, Row, Snapshot};
pub use listing::{Item, Order, Page, Wanted};

use super::cards::{Card, png};
use super::changes::{Change, Changes};
use super::thumbnails::Thumbnails;
use super::{Bin, Chats, Settings};
use crate::error::{Error, Result};
use crate::store::{Expect, FileName, Folder, Handle, Owner, Place, Store, Version, Writer};
use index::{Index, Key};

/// What a card's file name ends with.
pub(crate) const CARD_ENDING: &str = ".png";
/// The largest card that is read at once, in bytes.
pub const CARD_MAX: u64 = 192 << 20;
/// So many names are tried before another of the same name is given up.
const NAMES_MAX: u32 = 10_000;
/// What of a name goes into that of a file, in bytes: a number and an ending fit behind it.
const STEM_MAX: usize = 200;

/// Everyone's characters.
pub struct Characters {
    store: Arc<Store>,
    index: Arc<Index>,
    tags: tags::Tags,
    settings: Arc<Settings>,
    thumbnails: Arc<Thumbnails>,
    chats: Arc<Chats>,
    bin: Arc<Bin>,
    changes: Arc<Changes>,
}

/// What characters are made with.
pub struct Parts {
    /// The data folder.
    pub store: Arc<Store>,
    /// What refers to characters by the names of their files.
    pub settings: Arc<Settings>,
    /// Small pictures.
    pub thumbnails: Arc<Thumbnails>,
    /// What they said.
    pub chats: Arc<Chats>,
    /// Where they go when they are deleted.
    pub bin: Arc<Bin>,
    /// What hears of every change.
    pub changes: Arc<Changes>,
}

/// A card that was read.
pub struct Opened {
    /// Its file name without the ending.
    pub id: FileName,
    /// The version of the file.
    pub version: Version,
    /// A word that changes with the file, for addresses.
    pub mark: String,
    /// What the card says, or why it cannot be understood.
    pub card: Result<Card>,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Characters {
    /// Everyone's characters.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, settings, thumbnails, chats, bin, changes } = parts;
        let index = Arc::new(Index::new(Arc::clone(&store)));
        let tags = tags::Tags::default();
        Self { store, index, tags, settings, thumbnails, chats, bin, changes }
    }

    /// What a character's card says; a conflict where it is damaged.
    pub fn get(&self, handle: &Handle, id: &FileName) -> Result<Card> {
        self.open(handle, id)?.card.map_err(|error| damaged(&error))
    }

    /// A character's card with its file, damaged or not.
    pub fn open(&self, handle: &Handle, id: &FileName) -> Result<Opened> {
        self.settle(handle);
        let place = card_place(handle, id)?;
        let stat = self.store.stat(&place)?.filter(|stat| stat.is_file).ok_or_else(no_such_character)?;
        let bytes = self.store.read_at_most(&place, CARD_MAX)?;
        let card = png::read(&bytes);
        Ok(Opened { id: id.clone(), version: Version::of(&bytes), mark: Key::of(&stat).mark(), card, bytes })
    }

    /// What the list knows of one character; nothing where there is none of that name.
    pub fn row(&self, handle: &Handle, id: &FileName) -> Result<Option<Arc<Row>>> {
        self.index.row(handle, id)
    }

    /// What the list knows of all characters.
    pub fn look(&self, handle: &Handle) -> Result<Arc<Snapshot>> {
        self.index.look(handle)
    }

    /// Forgets what is known of somebody, whose folder was replaced or removed.
    pub fn forget(&self, handle: &Handle) {
        self.index.forget(handle);
        self.forget_tags(handle);
    }

    /// Forgets somebody who has left for good, and what the derived file says of their characters.
    pub fn erase(&self, handle: &Handle) -> Result<()> {
        self.forget_tags(handle);
        self.index.erase(handle)
    }

    fn writing<T>(&self, handle: &Handle, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        let done = self.store.writing(&Owner::User(handle.clone()), work)?;
        self.changes.publish(handle, Change::Characters {});
        Ok(done)
    }

    /// Saves a new card under a free name made from `name`, and makes the folder for its chats.
    fn add(&self, handle: &Handle, name: &str, bytes: &[u8]) -> Result<FileName> {
        self.add_from(handle, name, 0, bytes)
    }

    /// The same, counting from `first`; 0 is no number at all.
    fn add_from(&self, handle: &Handle, name: &str, first: u32, bytes: &[u8]) -> Result<FileName> {
        let base = file_stem(name);
        self.writing(handle, |writer| {
            for number in first..NAMES_MAX {
                let id = numbered(&base, number)?;
                match writer.write(&card_place(handle, &id)?, bytes, Expect::Absent) {
                    Err(error) if error.code() == "conflict" => continue,
                    other => other?,
                }
                // The card is there; a folder that cannot be made now is made with the first chat.
                if let Err(error) = writer.make_folder(&Place::of(handle).folder(Folder::CHATS).file(&id)) {
                    tracing::warn!(?error, %handle, %id, "the folder for chats could not be made");
                }
                return Ok(id);
            }
            Err(Error::conflict("conflict", "There are too many characters of that name. Nothing was changed."))
        })
    }
}

/// Where a card is.
pub fn card_place(handle: &Handle, id: &FileName) -> Result<Place> {
    Ok(Place::of(handle).folder(Folder::CHARACTERS).file(&file_of(id)?))
}

/// A word that changes with the file at `place`, for addresses.
pub fn mark_of(store: &Store, place: &Place) -> Result<String> {
    let stat = store.stat(place)?.filter(|stat| stat.is_file);
    let stat = stat.ok_or_else(|| Error::not_found("There is no such picture."))?;
    Ok(Key::of(&stat).mark())
}

/// The name of a card's file.
pub fn file_of(id: &FileName) -> Result<FileName> {
    FileName::parse(&format!("{id}{CARD_ENDING}")).map_err(|_| no_such_character())
}

/// The id of the card with this file name, if it is a card's.
fn stem(file: &FileName) -> Option<FileName> {
    FileName::parse(file.as_str().strip_suffix(CARD_ENDING)?).ok()
}

/// A name for files, made from what a person typed.
pub fn file_stem(name: &str) -> FileName {
    FileName::made_of(name, STEM_MAX).unwrap_or(FileName::known("Character"))
}

fn numbered(base: &FileName, number: u32) -> Result<FileName> {
    if number == 0 { Ok(base.clone()) } else { FileName::parse(&format!("{base}{number}")) }
}

fn no_such_character() -> Error {
    Error::not_found("There is no such character.")
}

/// A damaged card, as an answer to whoever wanted to work with it.
fn damaged(error: &Error) -> Error {
    Error::conflict("damaged", format!("This card is damaged and was kept as it is. {}", error.message()))
}
