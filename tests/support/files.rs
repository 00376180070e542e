//! A look at the files that the server leaves.

use std::collections::BTreeMap;
use std::path::Path;

/// All plain files below a folder, with their bytes. What the server writes for itself (its lock) is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Vec<u8>>);

impl Tree {
    /// The files as they are now. Files that vanish meanwhile were temporary.
    pub fn of(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file())
        {
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name == "_system/server.lock" || name.starts_with("_system/locks/") {
                continue;
            }
            if let Ok(bytes) = std::fs::read(entry.path()) {
                files.insert(name, bytes);
            }
        }
        Self(files)
    }

    /// Only the files whose path holds.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| keep(name));
        self
    }

    /// Without the audit log and the sessions, which also note what was refused.
    #[must_use]
    pub fn without_notes(self) -> Self {
        self.only(|name| !name.starts_with("_system/events/") && !name.starts_with("_system/sessions/"))
    }

    /// The names of files that differ, with a mark for what happened to each.
    pub fn changes_to(&self, later: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, bytes) in &self.0 {
            match later.0.get(name) {
                None => changes.push(format!("-{name}")),
                Some(now) if now != bytes => changes.push(format!("~{name}")),
                Some(_) => {}
            }
        }
        changes.extend(later.0.keys().filter(|name| !self.0.contains_key(*name)).map(|name| format!("+{name}")));
        changes
    }

    /// Fails the test if anything differs.
    #[track_caller]
    pub fn is_still(&self, later: &Self, after: &str) {
        let changes = self.changes_to(later);
        assert!(changes.is_empty(), "{after} changed {changes:?}");
    }

    /// The files that hold these bytes anywhere.
    pub fn holding(&self, needle: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(_, bytes)| contains(bytes, needle.as_bytes()));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

/// Whether `bytes` hold `needle` anywhere.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && bytes.windows(needle.len()).any(|window| window == needle)
}

/// The names in a folder, sorted; none if there is no such folder.
pub fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Temporary files of ours that lie about below a folder.
pub fn left_over(root: &Path) -> Vec<String> {
    let names = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let names = names.filter_map(|entry| entry.path().to_str().map(str::to_owned));
    names.filter(|name| name.ends_with(".tmp")).collect()
}

/// Copies a folder, without the links and locks in it.
pub fn copy_tree(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else if entry.file_type().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
