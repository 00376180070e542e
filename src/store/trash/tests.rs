use super::*;
use crate::store::testing::{ada, copy, failing, folder, house, open, tree};

fn later(days: u32) -> SystemTime {
    SystemTime::now() + DAY * days
}

#[test]
fn a_deleted_account_comes_back_whole_with_its_undo_points() {
    let (root, store) = house(&[("chats/a", b"words")]);
    store.reset_folder(&ada(), |_, _| Ok(())).unwrap();
    let before = tree(&root.path().join("ada"));
    let points = store.list_undo(&ada()).unwrap();
    store.trash_user(&ada()).unwrap();
    assert!(tree(root.path()).keys().all(|path| !path.starts_with("ada")));
    assert!(store.list_undo(&ada()).unwrap().is_empty(), "whoever gets the handle next sees none of it");
    assert_eq!(store.list_trash().unwrap()[0].handle, ada());

    store.make_user_folders(&ada()).unwrap();
    assert_eq!(store.untrash(&ada()).unwrap_err().code(), "conflict");
    std::fs::remove_dir_all(root.path().join("ada")).unwrap();
    store.untrash(&ada()).unwrap();
    assert_eq!(tree(&root.path().join("ada")), before);
    assert_eq!(store.list_undo(&ada()).unwrap(), points);
    assert!(store.untrash(&ada()).unwrap_err().is_not_found());
    assert!(tree(&root.path().join("_system/trash")).is_empty());
}

#[test]
fn an_account_without_a_folder_can_be_deleted() {
    let (_root, store) = house(&[]);
    store.trash_user(&Handle::parse("nobody").unwrap()).unwrap();
    assert!(store.list_trash().unwrap().is_empty());
}

#[test]
fn the_sweep_takes_what_is_old_and_nothing_else() {
    let (root, store) = house(&[("chats/a", b"words")]);
    let eve = Handle::parse("eve").unwrap();
    store.make_user_folders(&eve).unwrap();
    store.reset_folder(&ada(), |_, _| Ok(())).unwrap();
    store.trash_user(&eve).unwrap();
    let before = tree(&root.path().join("ada"));
    assert_eq!(store.sweep_at(later(29), 30).unwrap(), Swept::default());
    assert_eq!(store.sweep_at(later(31), 30).unwrap(), Swept { undo: 1, trash: 1, restores: 0 });
    assert_eq!(tree(&root.path().join("ada")), before);
    assert!(store.list_undo(&ada()).unwrap().is_empty() && store.list_trash().unwrap().is_empty());
}

#[test]
fn t2_a_failing_step_of_deleting_or_sweeping_loses_nothing() {
    let (staged, store) = house(&[("chats/a", b"words")]);
    store.reset_folder(&ada(), |_, _| Ok(())).unwrap();
    drop(store);
    let old = tree(&staged.path().join("ada"));
    for forever in [false, true] {
        for n in 1.. {
            let root = folder();
            copy(staged.path(), root.path());
            let faults = failing(0, forever);
            let store = open(root.path(), Some(faults.clone()));
            faults.rearm(n);
            let trashed = store.trash_user(&ada());
            let hit = faults.seen() >= n;
            let store = open(root.path(), None);
            let live = tree(&root.path().join("ada"));
            assert!(live == old || live.is_empty(), "step {n}");
            assert!(trashed.is_ok() == live.is_empty() || hit, "step {n}");
            if live.is_empty() {
                store.untrash(&ada()).unwrap();
                assert_eq!(tree(&root.path().join("ada")), old, "step {n}");
            }

            faults.rearm(n);
            let _ = open(root.path(), Some(faults.clone())).sweep_at(later(31), 30);
            assert_eq!(tree(&root.path().join("ada")), old, "step {n}");
            open(root.path(), None).sweep_at(later(61), 30).unwrap();
            assert_eq!(tree(&root.path().join("ada")), old, "step {n}");
            assert!(tree(&root.path().join("_system/undo/ada")).is_empty(), "step {n}");
            assert!(tree(&root.path().join("_system/trash")).is_empty(), "step {n}");
            if !hit && faults.seen() < n {
                break;
            }
        }
    }
}

#[test]
fn the_sweep_waits_for_whoever_works_with_the_owner_s_folder() {
    let (_root, store) = house(&[("chats/a", b"words")]);
    store.trash_user(&ada()).unwrap();
    std::thread::scope(|scope| {
        let sweeping = store.writing(&Owner::User(ada()), |_| {
            let sweeping = scope.spawn(|| store.sweep_at(later(31), 30));
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(store.list_trash().unwrap().len(), 1, "it is being brought back");
            Ok(sweeping)
        });
        assert_eq!(sweeping.unwrap().join().unwrap().unwrap().trash, 1);
    });
    assert!(store.list_trash().unwrap().is_empty());
}
