//! Lorebooks, `worlds/<name>.json`: text that enters a prompt when its words occur. To us they are JSON that belongs to
//! its readers: checked, kept, given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::bin::{Bin, Item, Often, Part, Sort};
use super::cards::{Card, book, png};
use super::changes::{Change, Changes};
use super::characters::file_stem;
use super::json;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{self, Expect, FileName, Folder, Handle, Owner, Place, RelPath, Stat, Store, Version, Writer};

/// The largest lorebook, in bytes.
pub const SIZE_MAX: u64 = 64 << 20;
/// What its file ends with.
const ENDING: &str = ".json";
/// So many names are tried before another of the same name is given up.
const NAMES_MAX: u32 = 1000;

/// Everyone's lorebooks.
pub struct Lorebooks {
    store: Arc<Store>,
    bin: Arc<Bin>,
    changes: Arc<Changes>,
    /// How many entries each has, while its file is the same.
    counts: Mutex<Counts>,
}

/// Numbers of entries, with how the file was that they were counted in.
type Counts = HashMap<(Handle, FileName), (Stat, Option<usize>)>;

/// A lorebook in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name of its file, without the ending.
    pub name: FileName,
    /// How many entries it has; nothing where it cannot be read.
    pub entries: Option<usize>,
}

#[derive(Deserialize)]
struct Counted {
    entries: HashMap<String, IgnoredAny>,
}

impl Lorebooks {
    /// The lorebooks in `store`. What is deleted goes to `bin`; `changes` hears of everything.
    pub fn new(store: Arc<Store>, bin: Arc<Bin>, changes: Arc<Changes>) -> Self {
        Self { store, bin, changes, counts: Mutex::default() }
    }

    fn writing<T>(&self, handle: &Handle, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        let done = self.store.writing(&Owner::User(handle.clone()), work)?;
        self.changes.publish(handle, Change::Lorebooks {});
        Ok(done)
    }

    /// All of somebody's lorebooks, by name. Damaged ones are listed as well.
    pub fn list(&self, handle: &Handle) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for entry in self.store.list(&Place::of(handle).folder(Folder::WORLDS))? {
            let Some(Ok(name)) = entry.name.as_str().strip_suffix(ENDING).map(FileName::parse) else { continue };
            let entries = self.count(handle, &name, &entry.stat)?;
            found.push(Listed { name, entries });
        }
        found.sort_by_cached_key(|listed| (listed.name.as_str().to_lowercase(), listed.name.clone()));
        Ok(found)
    }

    fn count(&self, handle: &Handle, name: &FileName, stat: &Stat) -> Result<Option<usize>> {
        let key = (handle.clone(), name.clone());
        if let Some((then, count)) = lock(&self.counts).get(&key)
            && then == stat
        {
            return Ok(*count);
        }
        let text = match store::if_there(self.store.read_at_most(&place(handle, name)?, SIZE_MAX)) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) if error.code() == "too_large" => Vec::new(),
            Err(error) => return Err(error),
        };
        let count = serde_json::from_slice::<Counted>(&text).ok().map(|counted| counted.entries.len());
        lock(&self.counts).insert(key, (*stat, count));
        Ok(count)
    }

    /// A lorebook's text.
    pub fn text(&self, handle: &Handle, name: &FileName) -> Result<Vec<u8>> {
        let text = store::if_there(self.store.read_at_most(&place(handle, name)?, SIZE_MAX))?;
        text.ok_or_else(no_such_lorebook)
    }

    /// A lorebook, for whoever works with it; a conflict where it is damaged.
    pub fn read(&self, handle: &Handle, name: &FileName) -> Result<Value> {
        serde_json::from_slice(&self.text(handle, name)?).map_err(|error| {
            Error::conflict("damaged", format!("The lorebook {name} is damaged and was kept as it is.")).because(error)
        })
    }

    /// Saves a lorebook's text, if it is one, and if what is there is what is expected. What is replaced goes to the trash,
    /// once in a while. Returns the new version.
    pub fn save(&self, handle: &Handle, name: &FileName, text: &[u8], expect: Expect) -> Result<Version> {
        check(text)?;
        let text = json::check_and_indent(text, SIZE_MAX)?.text;
        let place = place(handle, name)?;
        let version = Version::of(&text);
        self.writing(handle, |writer| {
            let save = || writer.write(&place, &text, expect);
            match expect {
                Expect::Version(before) if before != version => {
                    let kept = (item(name, Sort::Version)?, Often::OnceInAWhile);
                    self.bin.replacing(writer, handle, kept, &place, save)
                }
                _ => save(),
            }
        })?;
        Ok(version)
    }

    /// Takes a lorebook in: SillyTavern's own form; a book as cards have it; or a card, whose book it takes. Never replaces
    /// another one. Returns its name.
    pub fn import(&self, handle: &Handle, bytes: &[u8], file_name: Option<&str>) -> Result<FileName> {
        let (text, said) = incoming(bytes)?;
        let stem = file_name
            .and_then(|name| name.rsplit(['/', '\\']).next())
            .map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned());
        let name = stem.filter(|name| !name.trim().is_empty()).or(said).unwrap_or_else(|| "Lorebook".to_owned());
        self.add(handle, &name, &text)
    }

    /// Saves the book inside a card as a lorebook of its own.
    pub fn from_card(&self, handle: &Handle, card: &Card) -> Result<FileName> {
        let book = card.lorebook().and_then(Value::as_object);
        let book = book.ok_or_else(|| Error::conflict("no_lorebook", "This character has no lorebook of its own."))?;
        let name = book.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let name = name.map_or_else(|| format!("{}'s Lorebook", card.name()), str::to_owned);
        let text = serde_json::to_vec(&book::to_lorebook(book)).map_err(Error::internal)?;
        self.add(handle, &name, &text)
    }

    fn add(&self, handle: &Handle, name: &str, text: &[u8]) -> Result<FileName> {
        let text = json::check_and_indent(text, SIZE_MAX)?.text;
        let base = file_stem(name);
        self.writing(handle, |writer| {
            for number in 0..NAMES_MAX {
                let name = if number == 0 { base.clone() } else { FileName::parse(&format!("{base} {number}"))? };
                match writer.write(&place(handle, &name)?, &text, Expect::Absent) {
                    Err(error) if error.code() == "conflict" => continue,
                    other => return other.map(|()| name),
                }
            }
            Err(Error::conflict("conflict", "There are too many lorebooks of that name. Nothing was changed."))
        })
    }

    /// Moves a lorebook to the trash.
    pub fn delete(&self, handle: &Handle, name: &FileName) -> Result<()> {
        let place = place(handle, name)?;
        self.writing(handle, |writer| {
            self.store.stat(&place)?.ok_or_else(no_such_lorebook)?;
            self.bin.discard(writer, handle, item(name, Sort::Lorebook)?).map(drop)
        })
    }
}

/// A lorebook as the trash knows it.
fn item(name: &FileName, sort: Sort) -> Result<Item> {
    let parts = vec![Part::new(RelPath::parse(Folder::WORLDS.as_str())?, ENDING)];
    Ok(Item { sort, stem: name.clone(), name: name.to_string(), of: None, parts, note: Value::Null })
}

/// The text of a lorebook in SillyTavern's form, and the name that it has for itself.
fn incoming(bytes: &[u8]) -> Result<(Vec<u8>, Option<String>)> {
    let named = |map: &Map<String, Value>| map.get("name").and_then(Value::as_str).map(str::to_owned);
    let from_card = |card: &Card| {
        let book = card.lorebook().and_then(Value::as_object);
        let book = book.ok_or_else(|| bad_lorebook("this card has none"))?;
        let name = named(book).unwrap_or_else(|| card.name().to_owned());
        let text = serde_json::to_vec(&book::to_lorebook(book)).map_err(Error::internal)?;
        Ok((text, Some(name)))
    };
    if png::is_png(bytes) {
        return from_card(&png::read(bytes)?);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| bad_lorebook(&error.to_string()).because(error))?;
    match value.get("entries") {
        Some(Value::Object(_)) => Ok((bytes.to_vec(), named(&value))),
        Some(Value::Array(_)) => {
            let text = serde_json::to_vec(&book::to_lorebook(&value)).map_err(Error::internal)?;
            Ok((text, named(&value)))
        }
        _ => from_card(&Card::from_fields(value).map_err(|_| bad_lorebook("it has no entries"))?),
    }
}

/// Refuses what SillyTavern could not open.
fn check(text: &[u8]) -> Result<()> {
    json::check_object(text)?;
    serde_json::from_slice::<Counted>(text)
        .map(drop)
        .map_err(|error| bad_lorebook("its entries have to be an object").because(error))
}

/// Where a lorebook is.
pub fn place(handle: &Handle, name: &FileName) -> Result<Place> {
    let file = FileName::parse(&format!("{name}{ENDING}")).map_err(|_| no_such_lorebook())?;
    Ok(Place::of(handle).folder(Folder::WORLDS).file(&file))
}

fn bad_lorebook(why: &str) -> Error {
    Error::invalid("bad_lorebook", format!("This is not a lorebook that can be read: {why}. Nothing was changed."))
}

fn no_such_lorebook() -> Error {
    Error::not_found("There is no such lorebook.")
}
