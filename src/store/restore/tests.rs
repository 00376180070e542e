//! Restores, undo and resets: what they do, and what is left when any step of them fails.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rstest::rstest;

use super::*;
use crate::store::archive::{BackupOptions, write_backup};
use crate::store::testing::{Tree, ada, copy, failing, folder, house, open, put, texts, tree};
use crate::store::{Expect, Reason, Writer};

const LIMITS: Limits = Limits { max_bytes: 1 << 30 };

fn user(root: &Path) -> Tree {
    tree(&root.join("ada"))
}

/// A backup of a house with these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (_root, store) = house(files);
    let mut bytes = Vec::new();
    let options = BackupOptions { secrets: true };
    write_backup(&store.moment(&ada()).unwrap(), options, &mut bytes, &Progress::default()).unwrap();
    bytes
}

fn upload(store: &Store, bytes: &[u8]) -> Result<File> {
    let mut upload = store.upload(1 << 20)?;
    upload.write_all(bytes).map_err(|error| Error::storage("take in an archive", error))?;
    upload.into_archive()
}

fn prepare(store: &Store, bytes: &[u8]) -> Result<Prepared> {
    store.prepare_restore(&ada(), upload(store, bytes)?, &LIMITS, &Progress::default())
}

const OLD: [(&str, &[u8]); 6] = [
    ("settings.json", b"old settings"),
    ("chats/a/1.jsonl", b"same"),
    ("chats/a/2.jsonl", b"only here"),
    ("worlds/w.json", b"stays"),
    ("thumbnails/avatar/c.png", b"stale"),
    ("stats.json", b"{}"),
];
const NEW: [(&str, &[u8]); 5] = [
    ("settings.json", b"new settings"),
    ("chats/a/1.jsonl", b"same"),
    ("chats/b/3.jsonl", b"only there"),
    ("characters/c.png", b"picture"),
    ("worlds/w.json", b"other"),
];
const CHOSEN: [Part; 4] = [Part::Settings, Part::Characters, Part::Chats, Part::Extensions];

#[test]
fn the_plan_says_what_would_happen_and_applying_does_it() {
    let (root, store) = house(&OLD);
    let before = user(root.path());
    let Prepared { id, plan } = prepare(&store, &archive(&NEW)).unwrap();
    assert_eq!(user(root.path()), before, "preparing changes nothing");
    assert!(plan.verified && plan.handle == Some(ada()) && plan.files == 5);
    let chats = plan.parts.iter().find(|planned| planned.part == Part::Chats).unwrap();
    assert_eq!((chats.files, chats.add, chats.replace, chats.same, chats.remove), (2, 1, 0, 1, 1));
    assert_eq!(chats.examples.remove, ["chats/a/2.jsonl"]);
    assert_eq!(chats.title, "Chats and groups");
    let worlds = plan.parts.iter().find(|planned| planned.part == Part::Lorebooks).unwrap();
    assert_eq!((worlds.replace, &worlds.examples.replace[..]), (1, &["worlds/w.json".to_owned()][..]));
    assert_eq!(plan.not_included, [Part::Secrets, Part::Other]);
    assert_eq!(store.prepared_restore(&ada(), &id).unwrap().plan, plan);

    let undo = store.apply_restore(&ada(), &id, &CHOSEN).unwrap();
    let after = user(root.path());
    let expected = [
        ("characters/c.png", "picture"),
        ("chats/a/1.jsonl", "same"),
        ("chats/b/3.jsonl", "only there"),
        ("settings.json", "new settings"),
        ("stats.json", "{}"),
        ("worlds/w.json", "stays"),
    ];
    assert_eq!(texts(&after), expected.map(|(path, text)| (path, text.to_owned())));
    assert!(after.contains_key("thumbnails/avatar"));
    assert!(store.prepared_restore(&ada(), &id).unwrap_err().is_not_found(), "it is used up");

    let points = store.list_undo(&ada()).unwrap();
    assert_eq!(points.len(), 1);
    assert_eq!((&points[0].id, points[0].reason), (&undo, Reason::Restore));
    assert!(points[0].bytes > 0 && points[0].parts == CHOSEN);

    let redo = store.undo(&ada(), &undo).unwrap();
    assert_eq!(user(root.path()), before, "T10: equal to before");
    assert!(store.undo(&ada(), &undo).unwrap_err().is_not_found(), "it is used up");
    store.undo(&ada(), &redo).unwrap();
    assert_eq!(user(root.path()), after);
}

#[test]
fn a_restore_is_only_for_the_one_it_was_prepared_for() {
    let (_root, store) = house(&OLD);
    let eve = Handle::parse("eve").unwrap();
    let id = prepare(&store, &archive(&NEW)).unwrap().id;
    assert!(store.prepared_restore(&eve, &id).unwrap_err().is_not_found());
    assert!(store.apply_restore(&eve, &id, &CHOSEN).unwrap_err().is_not_found());
    assert!(store.discard_restore(&eve, &id).unwrap_err().is_not_found());
    let undo = store.apply_restore(&ada(), &id, &CHOSEN).unwrap();
    assert!(store.undo(&eve, &undo).unwrap_err().is_not_found());
    assert!(store.remove_undo(&eve, &undo).unwrap_err().is_not_found());
}

#[test]
fn parts_that_are_not_there_or_none_at_all_are_refused() {
    let (root, store) = house(&OLD);
    let before = user(root.path());
    let id = prepare(&store, &archive(&NEW)).unwrap().id;
    for parts in [&[][..], &[Part::Settings, Part::Secrets]] {
        assert_eq!(store.apply_restore(&ada(), &id, parts).unwrap_err().code(), "bad_parts");
    }
    assert_eq!(user(root.path()), before);
}

#[test]
fn discarding_leaves_nothing() {
    let (root, store) = house(&OLD);
    let id = prepare(&store, &archive(&NEW)).unwrap().id;
    store.discard_restore(&ada(), &id).unwrap();
    assert!(tree(&root.path().join("_system/restores")).is_empty());
}

#[test]
fn an_upload_beyond_its_limit_is_refused_and_leaves_nothing() {
    let (root, store) = house(&[]);
    let mut upload = store.upload(10).unwrap();
    upload.write_all(b"12345").unwrap();
    assert_eq!(upload.write_all(b"678901").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert!(tree(&root.path().join("_system/restores")).is_empty(), "it has no name");
}

#[test]
fn what_is_live_is_looked_at_again_when_applying() {
    let (root, store) = house(&OLD);
    let id = prepare(&store, &archive(&NEW)).unwrap().id;
    put(&root.path().join("ada/groups/late.json"), b"written after the dry run");
    let undo = store.apply_restore(&ada(), &id, &[Part::Chats]).unwrap();
    assert!(!user(root.path()).contains_key("groups/late.json"));
    store.undo(&ada(), &undo).unwrap();
    assert!(user(root.path()).contains_key("groups/late.json"));
}

#[test]
fn a_reset_starts_afresh_and_can_be_undone() {
    let (root, store) = house(&OLD);
    let before = user(root.path());
    let undo = store.reset_folder(&ada(), fresh).unwrap();
    assert_eq!(texts(&user(root.path())), [("settings.json", "fresh".to_owned())]);
    assert!(user(root.path()).contains_key("worlds"));
    assert!(tree(&root.path().join("_system/restores")).is_empty());
    let point = &store.list_undo(&ada()).unwrap()[0];
    assert!(point.reason == Reason::Reset && point.parts.contains(&Part::Chats));
    store.undo(&ada(), &undo).unwrap();
    assert_eq!(user(root.path()), before);
}

#[test]
fn a_reset_whose_first_files_fail_changes_nothing() {
    let (root, store) = house(&OLD);
    let before = user(root.path());
    let failed = store.reset_folder(&ada(), |writer, tree| {
        fresh(writer, tree)?;
        Err(Error::internal("no"))
    });
    assert!(failed.is_err());
    assert_eq!(user(root.path()), before);
    assert!(tree(&root.path().join("_system/restores")).is_empty());
}

#[test]
fn a_folder_on_another_disk_is_said_and_left_alone() {
    let (root, store) = house(&OLD);
    let other = tempfile::tempdir().unwrap();
    if root.path().parent() == other.path().parent() {
        return; // There is only one disk here.
    }
    let (live, moved) = (root.path().join("ada"), other.path().join("ada"));
    copy(&live, &moved);
    fs::remove_dir_all(&live).unwrap();
    std::os::unix::fs::symlink(&moved, &live).unwrap();
    let before = user(&moved.join(".."));
    let id = prepare(&store, &archive(&NEW)).unwrap().id;
    assert_eq!(store.apply_restore(&ada(), &id, &CHOSEN).unwrap_err().code(), "other_disk");
    assert_eq!(store.reset_folder(&ada(), fresh).unwrap_err().code(), "other_disk");
    assert_eq!(user(&moved.join("..")), before);
    assert!(store.list_undo(&ada()).unwrap().is_empty());
    assert!(store.prepared_restore(&ada(), &id).is_ok(), "it can be tried again");
}

#[test]
fn a_damaged_journal_is_said_and_harms_nobody_else() {
    let (root, store) = house(&OLD);
    put(&root.path().join("_system/swaps/ada.json"), b"{");
    assert_eq!(store.finish_swaps().unwrap(), [ada()]);
    let write = |handle: &Handle| {
        store.writing(&Owner::User(handle.clone()), |writer| {
            writer.make_folder(&Place::of(handle))?;
            writer.write(&Place::of(handle).file(&FileName::known("x")), b"x", Expect::Anything)
        })
    };
    assert_eq!(write(&ada()).unwrap_err().code(), "damaged");
    write(&Handle::parse("eve").unwrap()).unwrap();
    assert!(store.sweep(30).is_ok());
}

/// The first files of a reset, with a time that is always the same.
fn fresh(writer: &Writer<'_>, tree: &Place) -> Result<()> {
    let settings = tree.file(&FileName::known("settings.json"));
    writer.write(&settings, b"fresh", Expect::Anything)?;
    File::options()
        .write(true)
        .open(writer.store.path(&settings))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    Ok(())
}

/// What is made to fail at every step.
#[derive(Debug, Clone, Copy)]
enum Act {
    Prepare,
    Apply,
    Undo,
    Reset,
}

impl Act {
    /// The house before, as a folder to be copied.
    fn stage(self, root: &Path) {
        let (house, store) = house(&OLD);
        if !matches!(self, Self::Prepare | Self::Reset) {
            let id = prepare(&store, &archive(&NEW)).unwrap().id;
            if matches!(self, Self::Undo) {
                store.apply_restore(&ada(), &id, &CHOSEN).unwrap();
            }
        }
        copy(house.path(), root);
    }

    /// How many steps of the mending, and of the mending of that, are passed over after each that is tried: a reset moves
    /// thirty folders in the same way, and all triples would take hours.
    fn strides(self) -> [usize; 2] {
        match self {
            Self::Reset => [17, 29],
            _ => [3, 2],
        }
    }

    fn run(self, store: &Store, archive: &[u8]) -> Result<()> {
        match self {
            Self::Prepare => prepare(store, archive).map(drop),
            Self::Apply => store.apply_restore(&ada(), &only_restore(store), &CHOSEN).map(drop),
            Self::Undo => {
                let newest = store.list_undo(&ada())?.remove(0);
                store.undo(&ada(), &newest.id).map(drop)
            }
            Self::Reset => store.reset_folder(&ada(), fresh).map(drop),
        }
    }
}

fn only_restore(store: &Store) -> RestoreId {
    let names = store.list_folders(&restores()).unwrap();
    RestoreId::parse(names[0].as_str()).unwrap()
}

/// A house in which an act failed at one step, to be looked at and mended.
struct Scene<'a> {
    act: Act,
    staged: &'a Path,
    archive: &'a [u8],
    old: Tree,
    new: Tree,
}

impl Scene<'_> {
    /// Lets each of `at`'s steps fail in turn, the first in the act, the others in the mending after it.
    fn play(&self, at: &[u64], forever: bool) -> Option<tempfile::TempDir> {
        let root = folder();
        copy(self.staged, root.path());
        for (depth, n) in at.iter().enumerate() {
            let faults = failing(0, forever);
            let store = open(root.path(), Some(faults.clone()));
            faults.rearm(*n);
            if depth == 0 {
                let result = self.act.run(&store, self.archive);
                assert!(
                    result.is_err() || self.is(root.path(), &self.new),
                    "{:?} at {at:?} said that it worked",
                    self.act
                );
            } else {
                let _ = store.finish_swaps();
            }
            if faults.seen() < *n {
                return None;
            }
        }
        Some(root)
    }

    fn is(&self, root: &Path, tree: &Tree) -> bool {
        matches!(self.act, Act::Prepare) || user(root) == *tree
    }

    /// After a clean start everything is as before or as after, and still works.
    fn check(&self, root: &Path, at: &[u64]) {
        let store = open(root, None);
        assert!(store.finish_swaps().unwrap().is_empty());
        let now = user(root);
        assert!(now == self.old || now == self.new, "{:?} at {at:?}: {:?}", self.act, texts(&now));
        assert!(tree(&root.join("_system/swaps")).is_empty());
        if now == self.old && !matches!(self.act, Act::Prepare) {
            self.act.run(&store, self.archive).unwrap();
            assert_eq!(user(root), self.new, "it can be done again after {at:?}");
        }
        if let Some(point) = store.list_undo(&ada()).unwrap().first() {
            store.undo(&ada(), &point.id).unwrap();
            assert_eq!(user(root), self.old, "it can be undone after {at:?}");
        }
        store.sweep_at(SystemTime::now() + Duration::from_secs(90 * 86_400), 30).unwrap();
        for folder in ["restores", "undo/ada"] {
            assert!(tree(&root.join("_system").join(folder)).is_empty(), "{folder} after {at:?}");
        }
    }
}

/// The N-th failing step, for all N; then again inside the mending, and inside the mending of that.
#[rstest]
#[case::prepare(Act::Prepare)]
#[case::apply(Act::Apply)]
#[case::undo(Act::Undo)]
#[case::reset(Act::Reset)]
fn t2_t4_a_failing_step_leaves_the_old_or_the_new_three_deep(#[case] act: Act, #[values(false, true)] forever: bool) {
    let staged = folder();
    act.stage(staged.path());
    let archive = archive(&NEW);
    let old = user(staged.path());
    let clean = folder();
    copy(staged.path(), clean.path());
    act.run(&open(clean.path(), None), &archive).unwrap();
    let new = user(clean.path());
    let scene = Scene { act, staged: staged.path(), archive: &archive, old, new };

    let [stride, deep_stride] = act.strides();
    let mut deepest = BTreeSet::new();
    for first in 1.. {
        let Some(root) = scene.play(&[first], forever) else { break };
        scene.check(root.path(), &[first]);
        for second in (1..).step_by(stride) {
            let Some(root) = scene.play(&[first, second], forever) else { break };
            scene.check(root.path(), &[first, second]);
            for third in (1..).step_by(deep_stride) {
                let Some(root) = scene.play(&[first, second, third], forever) else { break };
                scene.check(root.path(), &[first, second, third]);
                deepest.insert(third);
            }
        }
    }
    assert!(matches!(act, Act::Prepare) || !forever || deepest.len() > 1, "mending has steps of its own");
}

#[test]
fn nobody_writes_into_half_an_exchange() {
    let staged = folder();
    Act::Apply.stage(staged.path());
    let old = user(staged.path());
    for n in 1.. {
        let root = folder();
        copy(staged.path(), root.path());
        let faults = failing(0, true);
        let store = open(root.path(), Some(faults.clone()));
        faults.rearm(n);
        let result = Act::Apply.run(&store, &[]);
        if faults.seen() < n {
            break;
        }
        faults.rearm(0);
        let place = Place::of(&ada()).file(&FileName::known("settings.json"));
        store.writing(&Owner::User(ada()), |writer| writer.write(&place, b"mine", Expect::Anything)).unwrap();
        let now = user(root.path());
        assert_eq!(
            now.len() == old.len(),
            now.contains_key("stats.json") && result.is_err() && is_old(&now),
            "step {n}"
        );
        drop(store);
        assert!(open(root.path(), None).finish_swaps().unwrap().is_empty());
        assert_eq!(user(root.path()), now, "what was written stays, step {n}");
    }
}

fn is_old(tree: &Tree) -> bool {
    tree.contains_key("chats/a/2.jsonl")
}

#[test]
fn a_full_disk_refuses_an_upload_and_leaves_nothing() {
    let (root, _store) = house(&OLD);
    let archive = archive(&NEW);
    for n in 1..=3 {
        let faults = failing(0, true);
        let store = open(root.path(), Some(faults.clone()));
        faults.rearm(n);
        let mut text = String::new();
        match upload(&store, &archive) {
            Ok(mut file) => {
                file.rewind().unwrap();
                file.read_to_string(&mut text).unwrap_err();
            }
            Err(error) => assert_eq!(error.code(), "storage"),
        }
    }
    assert!(tree(&root.path().join("_system/restores")).is_empty());
}
