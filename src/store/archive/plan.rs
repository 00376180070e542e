//! What bringing an archive back would do, part by part, before anything is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Part;
use crate::store::{Handle, RelPath, Version};

/// Examples per kind of change.
const EXAMPLES_MAX: usize = 5;

/// Which program's folder an archive is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A backup with a manifest.
    Tavernkeep,
    /// A SillyTavern user folder.
    SillyTavern,
}

/// What bringing an archive back would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Which program's folder the archive is of.
    pub source: Source,
    /// Whose folder it was.
    pub handle: Option<Handle>,
    /// The moment it is of, in milliseconds since 1970.
    pub created: Option<i64>,
    /// Whether every file matched the SHA-256 of the archive's manifest.
    pub verified: bool,
    /// Files in the archive.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The parts that the archive has.
    pub parts: Vec<PlannedPart>,
    /// The parts that it does not have: they stay as they are.
    pub not_included: Vec<Part>,
}

/// What bringing one part back would do to the files that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedPart {
    /// Which part.
    pub part: Part,
    /// Its name for people.
    pub title: String,
    /// Files in the archive.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are only in the archive.
    pub add: u64,
    /// Files that differ.
    pub replace: u64,
    /// Files that are the same.
    pub same: u64,
    /// Files that are only here: they would go to the undo point.
    pub remove: u64,
    /// A few of each.
    pub examples: Examples,
}

/// A few paths per kind of change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after the figures that they are examples of")]
pub struct Examples {
    pub add: Vec<String>,
    pub replace: Vec<String>,
    pub remove: Vec<String>,
}

/// What was in an archive.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Size and content of each file.
    pub(crate) files: BTreeMap<RelPath, (u64, Version)>,
    pub(crate) folders: BTreeSet<RelPath>,
}

impl Contents {
    /// The parts that the archive has something of, be it an empty folder.
    pub(crate) fn parts(&self) -> BTreeSet<Part> {
        self.files.keys().chain(&self.folders).filter_map(|path| Part::of(path.top())).collect()
    }

    /// Compares with the files that are there, given with their sizes; `read` is asked for the version of those whose size
    /// does not tell.
    pub(crate) fn compare(
        &self,
        live: &HashMap<RelPath, u64>,
        mut read: impl FnMut(&RelPath) -> Option<Version>,
    ) -> Vec<PlannedPart> {
        let mut planned: BTreeMap<Part, PlannedPart> =
            self.parts().into_iter().map(|part| (part, PlannedPart::empty(part))).collect();
        for (path, (size, version)) in &self.files {
            let Some(part) = Part::of(path.top()).and_then(|part| planned.get_mut(&part)) else { continue };
            part.files += 1;
            part.bytes += size;
            match live.get(path) {
                None => note(&mut part.add, &mut part.examples.add, path),
                Some(there) if there == size && read(path) == Some(*version) => part.same += 1,
                Some(_) => note(&mut part.replace, &mut part.examples.replace, path),
            }
        }
        let mut gone: Vec<&RelPath> = live.keys().filter(|path| !self.files.contains_key(*path)).collect();
        gone.sort_unstable();
        for path in gone {
            if let Some(part) = Part::of(path.top()).and_then(|part| planned.get_mut(&part)) {
                note(&mut part.remove, &mut part.examples.remove, path);
            }
        }
        planned.into_values().collect()
    }
}

impl PlannedPart {
    fn empty(part: Part) -> Self {
        let title = part.title().to_owned();
        Self { part, title, files: 0, bytes: 0, add: 0, replace: 0, same: 0, remove: 0, examples: Examples::default() }
    }
}

fn note(count: &mut u64, examples: &mut Vec<String>, path: &RelPath) {
    *count += 1;
    if examples.len() < EXAMPLES_MAX {
        examples.push(path.to_string());
    }
}
