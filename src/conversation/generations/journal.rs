//! What is under way, on the disk: a file for each generation that the next start reads if this one ends all of a sudden.
//! The first line says what is to be done with the reply; each further one has what came since the last. Lines are appended,
//! so a long reply costs no more a second than a short one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::errand::{Errand, GenerationId, Said};
use crate::error::{Error, Result};
use crate::store::{FileName, Folder, Owner, Place, Store};

/// What follows the id in a journal's name.
const ENDING: &str = ".jsonl";
/// Far more than the longest reply takes.
const SIZE_MAX: u64 = 64 << 20;

/// The journals of all generations.
pub struct Journals {
    store: Arc<Store>,
}

/// A line after the first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    /// Further words.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// Further thinking.
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    /// How it ended, where it ended and could not be put into the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Said>,
}

/// A journal that was found.
#[derive(Debug)]
pub enum Found {
    /// It can be read.
    Whole(Box<Errand>, Box<Said>),
    /// It cannot.
    Damaged,
}

impl Journals {
    /// Those in the data folder.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    fn place(id: &GenerationId) -> Result<Place> {
        let name = FileName::parse(&format!("{id}{ENDING}"))?;
        Ok(Place::system().folder(Folder::GENERATIONS).file(&name))
    }

    /// Begins a journal. When this has succeeded, whatever comes is not lost.
    pub fn begin(&self, errand: &Errand) -> Result<()> {
        let place = Self::place(&errand.id)?;
        let mut line = serde_json::to_vec(errand).map_err(Error::internal)?;
        line.push(b'\n');
        self.store.writing(&Owner::Generations, |writer| writer.create(&place, &line))
    }

    /// Adds what came since.
    pub fn add(&self, id: &GenerationId, text: &str, reasoning: &str) -> Result<()> {
        self.append(id, &Line { text: text.to_owned(), reasoning: reasoning.to_owned(), end: None })
    }

    /// Says how it ended, with all that came.
    pub fn end(&self, id: &GenerationId, said: &Said) -> Result<()> {
        self.append(id, &Line { end: Some(said.clone()), ..Line::default() })
    }

    fn append(&self, id: &GenerationId, line: &Line) -> Result<()> {
        let place = Self::place(id)?;
        // Begins with a line end, so that a line that was torn by a failing disk spoils nothing but itself.
        let mut bytes = vec![b'\n'];
        serde_json::to_writer(&mut bytes, line).map_err(Error::internal)?;
        bytes.push(b'\n');
        self.store.writing(&Owner::Generations, |writer| writer.append(&place, &bytes))
    }

    /// Removes a journal; the reply is where it belongs.
    pub fn remove(&self, id: &GenerationId) -> Result<()> {
        let place = Self::place(id)?;
        self.store.writing(&Owner::Generations, |writer| writer.remove(&place))
    }

    /// Puts a journal aside that cannot be read, for people to look at.
    pub fn set_aside(&self, id: &GenerationId) -> Result<()> {
        let name = FileName::parse(&format!("{id}.damaged"))?;
        self.store.writing(&Owner::Generations, |writer| writer.set_aside(&Self::place(id)?, &name))
    }

    /// The journals that are there.
    pub fn list(&self) -> Result<Vec<GenerationId>> {
        let there = self.store.list(&Place::system().folder(Folder::GENERATIONS))?;
        let ids = there.iter().filter_map(|entry| GenerationId::parse(entry.name.as_str().strip_suffix(ENDING)?).ok());
        Ok(ids.collect())
    }

    /// Reads a journal.
    pub fn read(&self, id: &GenerationId) -> Result<Found> {
        let place = Self::place(id)?;
        let finished = self.store.stat(&place)?.map_or(0, |stat| crate::clock::to_ms(stat.modified));
        let bytes = self.store.read_at_most(&place, SIZE_MAX)?;
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let Some(errand) = lines.next().and_then(|line| serde_json::from_slice::<Errand>(line).ok()) else {
            return Ok(Found::Damaged);
        };
        let mut said = Said { unfinished: true, finished, ..Said::default() };
        // A line that is torn was being written when the end came.
        for line in lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()) {
            match line.end {
                Some(end) => said = end,
                None => {
                    said.text.push_str(&line.text);
                    said.reasoning.push_str(&line.reasoning);
                }
            }
        }
        Ok(Found::Whole(Box::new(errand), Box::new(said)))
    }
}
