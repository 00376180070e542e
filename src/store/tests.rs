//! Who waits for whom, and for how long; and what a failed write is called.

use std::path::Path;
use std::time::{Duration, Instant};

use super::opening::Opening;
use super::testing::{ada, folder, put};
use super::{Expect, FileName, Folder, Handle, Owner, Place, Store};
use crate::error::{Kind, Result};

fn serve(root: &Path) -> Store {
    let (mut store, _) = Store::open(root, Opening { serve: true, ..Opening::default() }).unwrap();
    store.finish_opening().unwrap();
    store.patience = Duration::from_millis(700);
    store
}

fn eve() -> Handle {
    Handle::parse("eve").unwrap()
}

fn save(store: &Store, handle: &Handle) -> Result<()> {
    store.writing(&Owner::User(handle.clone()), |writer| {
        writer.write(&Place::of(handle).file(&FileName::known("settings.json")), b"{}", Expect::Anything)
    })
}

/// As when a command writes a backup into a pipe that nobody reads.
#[test]
fn a_lock_that_another_process_holds_stops_only_its_owner_and_not_for_long() {
    let root = folder();
    let server = serve(root.path());
    let (beside, _) = Store::open(root.path(), Opening::default()).unwrap();
    beside
        .writing(&Owner::User(ada()), |_| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                let saves: Vec<_> = (0..20).map(|_| scope.spawn(|| (save(&server, &ada()), start.elapsed()))).collect();
                save(&server, &eve()).unwrap();
                assert!(start.elapsed() < server.patience, "eve waited for ada's lock");
                let ended: Vec<_> = saves.into_iter().map(|save| save.join().unwrap()).collect();
                assert!(ended.iter().all(|(save, _)| save.as_ref().unwrap_err().kind() == Kind::Busy), "{ended:?}");
                assert!(ended.iter().all(|(_, after)| *after < server.patience * 3), "{ended:?}");
                let at_once = ended.iter().filter(|(_, after)| *after < server.patience).count();
                assert_eq!(at_once, 20 - 1 - super::USER_WAITERS, "{ended:?}");
            });
            Ok(())
        })
        .unwrap();
    save(&server, &ada()).unwrap();
}

#[test]
fn a_short_wait_for_another_process_is_no_error() {
    let root = folder();
    let server = serve(root.path());
    let (beside, _) = Store::open(root.path(), Opening::default()).unwrap();
    std::thread::scope(|scope| {
        let (held, is_held) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let hold = |_: &super::Writer<'_>| {
                held.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(100));
                Ok(())
            };
            beside.writing(&Owner::User(ada()), hold).unwrap();
        });
        is_held.recv().unwrap();
        save(&server, &ada()).unwrap();
    });
}

#[test]
fn everyone_may_write_to_the_shared_records_at_once() {
    let root = folder();
    let mut server = serve(root.path());
    server.patience = super::SERVER_PATIENCE;
    let place = Place::system().folder(Folder::EVENTS).file(&FileName::known("2026-01.jsonl"));
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| server.writing(&Owner::Events, |writer| writer.append(&place, b"x")).unwrap());
        }
    });
    assert_eq!(server.read(&place).unwrap().len(), 200);
}

#[test]
fn a_write_never_says_that_something_is_not_there() {
    let root = folder();
    let server = serve(root.path());
    let user = Place::of(&ada());
    put(&root.path().join("ada/worlds"), b"a file where a folder should be");
    let below = user.folder(Folder("worlds")).file(&FileName::known("a.json"));
    let gone = FileName::known("gone.json");
    server
        .writing(&Owner::User(ada()), |writer| {
            let failed = [
                writer.write(&below, b"1", Expect::Anything),
                writer.create(&below, b"1"),
                writer.append(&below, b"1"),
                writer.cut(&user.file(&gone), 1),
                writer.set_aside(&user.file(&gone), &FileName::known("aside.json")),
            ];
            for failed in failed {
                assert_eq!(failed.unwrap_err().kind(), Kind::Storage);
            }
            assert!(server.read(&user.file(&gone)).unwrap_err().is_not_found());
            Ok(())
        })
        .unwrap();
}
