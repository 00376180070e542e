//! Room on the disk that is kept for what has to work on a full one: deleting, ending sessions, closing accounts. Moving
//! something to the trash frees nothing, and has to write down what it was.
//!
//! `_system/reserve` is a file of random bytes, so that no file system makes it smaller. Whoever may use it gives half of
//! it up at a time, so that what others write meanwhile does not take all of it. House keeping makes it anew.

use std::io;
use std::path::PathBuf;

use super::{FileName, Place, Store, write_failure};
use crate::error::{Error, Result};

const RESERVE: FileName = FileName::known("reserve");
/// Enough for large settings from which a persona goes, several times over.
const SIZE: u64 = 4 << 20;
/// A smaller rest is given up whole.
const LEAST: u64 = 64 << 10;
/// So much has to be free for it to be made anew: it must not be what fills the disk.
const FREE: u64 = 4 * SIZE;

impl Store {
    /// Makes the reserve, or makes it whole again, if there is room for it. Only the folder's server does.
    pub fn keep_reserve(&self) -> Result<()> {
        let path = self.reserve();
        let keeping = |error| write_failure("keep room for deleting", &Place::system().file(&RESERVE), error);
        let is_whole = self.disk.stat(&path).is_ok_and(|stat| stat.size == SIZE);
        if is_whole || !self.is_server() || self.disk.free(&self.root).map_err(keeping)? < FREE {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(SIZE).map_err(Error::internal)?];
        crate::random::fill(&mut bytes)?;
        self.disk.replace(&path, &bytes).map_err(keeping)
    }

    /// Does what has to work on a full disk: as often as there is still something of the reserve to give up for it.
    pub(super) fn with_reserve<T>(&self, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match work() {
                Err(error) if is_full(&error) && self.give_up_half() => {}
                result => return result,
            }
        }
    }

    /// Whether there was anything left to give up.
    fn give_up_half(&self) -> bool {
        let path = self.reserve();
        let Ok(stat) = self.disk.stat(&path) else { return false };
        let half = stat.size / 2;
        tracing::warn!(bytes = stat.size - half, "the disk is full: room that was kept for deleting is given up");
        let is_cut = half >= LEAST && self.disk.cut(&path, half).is_ok();
        is_cut || self.disk.remove_file(&path).and_then(|()| self.disk.sync_folder(&self.system())).is_ok()
    }

    fn reserve(&self) -> PathBuf {
        self.system().join(RESERVE.as_str())
    }

    fn system(&self) -> PathBuf {
        self.path(&Place::system())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::opening::Opening;
    use crate::store::testing::{ada, folder};
    use crate::store::{Expect, Faults, Owner};

    #[test]
    fn what_is_urgent_works_on_a_full_disk_until_the_reserve_is_used_up() {
        let root = folder();
        let faults = Faults::filling(root.path());
        let opening = Opening { serve: true, faults: Some(std::sync::Arc::clone(&faults)), ..Opening::default() };
        let (store, _) = Store::open(root.path(), opening).unwrap();
        store.finish_opening().unwrap();
        store.make_user_folders(&ada()).unwrap();
        store.keep_reserve().unwrap();
        let reserve = root.path().join("_system/reserve");
        let size = || std::fs::metadata(&reserve).map_or(0, |meta| meta.len());
        assert_eq!(size(), SIZE);

        faults.fill();
        let place = |n: u64| Place::of(&ada()).file(&FileName::parse(&format!("note-{n}")).unwrap());
        let write = |n: u64, urgent: bool| {
            store.writing(&Owner::User(ada()), |writer| {
                let urgent = urgent.then(|| writer.urgent());
                urgent.as_ref().unwrap_or(writer).write(&place(n), &[b'x'; 100_000], Expect::Absent)
            })
        };
        assert_eq!(write(0, false).unwrap_err().code(), "storage");
        assert_eq!(size(), SIZE, "nobody else may use it");
        write(0, true).unwrap();
        assert_eq!(size(), SIZE / 2);
        store.keep_reserve().unwrap();
        assert_eq!(size(), SIZE / 2, "it does not take what it just gave");
        let written = (1..).take_while(|n| write(*n, true).is_ok()).count() as u64;
        assert!((30..42).contains(&written), "{written} pieces of 100 kB fit into 4 MiB");
        assert!(!reserve.exists());
        assert_eq!(write(100, true).unwrap_err().code(), "storage");

        // What is removed makes room for other things, and then for the reserve.
        store.writing(&Owner::User(ada()), |writer| writer.remove(&place(0))).unwrap();
        write(0, false).unwrap();
        faults.rearm(0);
        store.keep_reserve().unwrap();
        assert_eq!(size(), SIZE);
    }
}
