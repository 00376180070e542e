//! What the tests of the store share: houses in memory, whole trees to compare, steps that fail everywhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tempfile::TempDir;

use super::opening::Opening;
use super::{Faults, Handle, Store};

/// A folder in memory, where there is such a place: these tests sync thousands of times.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

pub(crate) fn ada() -> Handle {
    Handle::parse("ada").unwrap()
}

/// Opens the house at `root`, which may be new, with steps that fail as `faults` says.
pub(crate) fn open(root: &Path, faults: Option<Arc<Faults>>) -> Store {
    // A new house can only be opened by its server; those who come later are beside it.
    let serve = !root.join("_system/install.json").exists();
    let (store, _) = Store::open(root, Opening { serve, adopt: true, faults }).unwrap();
    store
}

/// A new house in which ada has `files`.
pub(crate) fn house(files: &[(&str, &[u8])]) -> (TempDir, Store) {
    let root = folder();
    let store = open(root.path(), None);
    store.finish_opening().unwrap();
    store.make_user_folders(&ada()).unwrap();
    for (path, bytes) in files {
        put(&root.path().join("ada").join(path), bytes);
    }
    (root, store)
}

/// Writes a file with the folders above it, as another program would.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What is at a path: a folder, or a file with its bytes, time and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Folder,
    File(Vec<u8>, SystemTime, u32),
}

pub(crate) type Tree = BTreeMap<String, Thing>;

/// Everything below `root`; nothing when it is not there.
pub(crate) fn tree(root: &Path) -> Tree {
    let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter().filter_map(Result::ok);
    walk.map(|entry| {
        let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let thing = if entry.file_type().is_dir() {
            Thing::Folder
        } else {
            let stat = super::Stat::of(&entry.metadata().unwrap());
            Thing::File(fs::read(entry.path()).unwrap(), stat.modified, stat.mode)
        };
        (path, thing)
    })
    .collect()
}

/// The bytes of the files of a tree, for messages that can be read.
pub(crate) fn texts(tree: &Tree) -> Vec<(&str, String)> {
    tree.iter()
        .filter_map(|(path, thing)| match thing {
            Thing::File(bytes, ..) => Some((path.as_str(), String::from_utf8_lossy(bytes).into_owned())),
            Thing::Folder => None,
        })
        .collect()
}

/// Makes `to` a copy of `from`, times and modes included.
pub(crate) fn copy(from: &Path, to: &Path) {
    for (path, thing) in tree(from) {
        let path = to.join(path);
        match thing {
            Thing::Folder => fs::create_dir_all(path).unwrap(),
            Thing::File(bytes, modified, mode) => {
                put(&path, &bytes);
                let file = File::options().write(true).open(path).unwrap();
                super::disk::Disk::default().dress(&file, Some(modified), Some(mode)).unwrap();
            }
        }
    }
}

/// Steps that fail with a full disk, from the `n`-th changing one on, or only that one.
pub(crate) fn failing(n: u64, forever: bool) -> Arc<Faults> {
    Faults::at(n, io::ErrorKind::StorageFull, forever)
}
