use serde_json::Value;

use super::*;
use crate::store::testing::{ada, house};

fn bin(files: &[(&str, &[u8])], size_max: u64) -> (tempfile::TempDir, Bin) {
    let (root, store) = house(files);
    (root, Bin::new(Arc::new(store), Rules { days: 30, size_max }, Arc::default()))
}

fn character(stem: &str) -> Item {
    let part = |folder: &str, ending: &str| Part::new(RelPath::parse(folder).unwrap(), ending);
    Item {
        sort: Sort::Character,
        stem: FileName::parse(stem).unwrap(),
        name: "Ada Lovelace".to_owned(),
        of: None,
        parts: vec![part("characters", ".png"), part("chats", "")],
        note: serde_json::json!({ "a": 1 }),
    }
}

fn writing<T>(bin: &Bin, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
    bin.store.writing(&Owner::User(ada()), work)
}

#[test]
fn a_thing_of_several_parts_goes_and_comes_back_as_one() {
    let files: &[(&str, &[u8])] =
        &[("characters/Ada.png", b"card"), ("chats/Ada/x.jsonl", b"chat"), ("chats/Ada/y.jsonl", b"other")];
    let (root, bin) = bin(files, 1 << 20);
    let user = root.path().join("ada");
    let id = writing(&bin, |writer| bin.discard(writer, &ada(), character("Ada"))).unwrap();
    assert!(!user.join("characters/Ada.png").exists() && !user.join("chats/Ada").exists());
    let listed = bin.list(&ada()).unwrap();
    assert_eq!((listed.len(), listed[0].size, listed[0].name.as_str()), (1, 13, "Ada Lovelace"));
    assert_eq!(listed[0].expires - listed[0].deleted, 30 * DAY_MS);

    // Somebody else has the name now.
    std::fs::write(user.join("characters/Ada.png"), b"new").unwrap();
    let restored = bin.restore(&ada(), &id, |_, restored| {
        assert_eq!(restored.note["a"], 1);
        Ok(())
    });
    let restored = restored.unwrap();
    assert_eq!((restored.stem.as_str(), restored.was.as_str()), ("Ada1", "Ada"));
    assert_eq!(std::fs::read(user.join("characters/Ada.png")).unwrap(), b"new");
    assert_eq!(std::fs::read(user.join("characters/Ada1.png")).unwrap(), b"card");
    assert_eq!(std::fs::read(user.join("chats/Ada1/y.jsonl")).unwrap(), b"other");
    assert!(bin.list(&ada()).unwrap().is_empty());
    assert!(bin.restore(&ada(), &id, |_, _| Ok(())).unwrap_err().is_not_found());
    assert!(writing(&bin, |writer| bin.discard(writer, &ada(), character("Nobody"))).unwrap_err().is_not_found());
}

#[test]
fn what_cannot_be_finished_is_taken_back() {
    let (root, bin) = bin(&[("characters/Ada.png", b"card"), ("chats/Ada/x.jsonl", b"chat")], 1 << 20);
    let id = writing(&bin, |writer| bin.discard(writer, &ada(), character("Ada"))).unwrap();
    let failed = bin.restore(&ada(), &id, |_, _| Err(Error::conflict("no", "no")));
    assert_eq!(failed.unwrap_err().code(), "no");
    assert!(!root.path().join("ada/characters/Ada.png").exists());
    assert_eq!(bin.list(&ada()).unwrap().len(), 1);
    assert_eq!(bin.restore(&ada(), &id, |_, _| Ok(())).unwrap().stem.as_str(), "Ada");
}

#[test]
fn a_version_stays_what_it_was_though_the_file_grows() {
    let (root, bin) = bin(&[("chats/Ada/x.jsonl", b"old")], 1 << 20);
    let item = || Item {
        sort: Sort::Version,
        stem: FileName::known("x"),
        name: "x".to_owned(),
        of: Some("Ada".to_owned()),
        parts: vec![Part::new(RelPath::parse("chats/Ada").unwrap(), ".jsonl")],
        note: Value::Null,
    };
    let id = writing(&bin, |writer| bin.keep(writer, &ada(), item(), 3)).unwrap();
    // The server died before anything was replaced: the live file is the same one, and is added to.
    let live = root.path().join("ada/chats/Ada/x.jsonl");
    std::fs::write(&live, b"old and more").unwrap();
    let restored = bin.restore(&ada(), &id, |_, _| Ok(())).unwrap();
    assert_eq!(restored.stem.as_str(), "x - Restored #1");
    assert_eq!(std::fs::read(root.path().join("ada/chats/Ada/x - Restored #1.jsonl")).unwrap(), b"old");
    assert_eq!(std::fs::read(live).unwrap(), b"old and more");
}

#[test]
fn old_things_go_and_so_does_what_is_too_much() {
    let (root, bin) = bin(&[("chats/Ada/x.jsonl", &[b'x'; 100]), ("characters/Ada.png", b"card")], 250);
    let item = || Item {
        sort: Sort::Version,
        stem: FileName::known("x"),
        name: "x".to_owned(),
        of: Some("Ada".to_owned()),
        parts: vec![Part::new(RelPath::parse("chats/Ada").unwrap(), ".jsonl")],
        note: Value::Null,
    };
    for _ in 0..5 {
        writing(&bin, |writer| bin.keep(writer, &ada(), item(), 100)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let kept = bin.list(&ada()).unwrap();
    assert_eq!(kept.len(), 2, "two versions of 100 bytes fit into 250");
    assert!(kept[0].deleted >= kept[1].deleted);
    writing(&bin, |writer| bin.discard(writer, &ada(), character("Ada"))).unwrap();
    // What a person deleted today stays, whatever its size.
    let kinds: Vec<Sort> = bin.list(&ada()).unwrap().iter().map(|thing| thing.kind).collect();
    assert!(kinds.contains(&Sort::Character), "{kinds:?}");

    std::fs::create_dir(root.path().join("ada/trash/0123456789abcdef0123456789abcdef")).unwrap();
    std::fs::create_dir(root.path().join("ada/trash/something else")).unwrap();
    let unreadable = root.path().join("ada/trash/1123456789abcdef0123456789abcdef");
    std::fs::create_dir(&unreadable).unwrap();
    std::fs::write(unreadable.join("record.json"), "{\"format\": 99}").unwrap();
    assert_eq!(bin.sweep(&ada()).unwrap(), 0);
    bin.sweep_at(&ada(), clock::now_ms() + 29 * DAY_MS).unwrap();
    assert!(unreadable.exists(), "what cannot be read is kept as long as what can");
    let later = clock::now_ms() + 31 * DAY_MS;
    assert!(bin.sweep_at(&ada(), later).unwrap() >= 3);
    assert!(bin.list(&ada()).unwrap().is_empty());
    let left: Vec<_> =
        std::fs::read_dir(root.path().join("ada/trash")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["something else"], "what is not ours stays");
}

#[test]
fn erasing_is_real_and_bent_records_are_nothing() {
    let (root, bin) = bin(&[("characters/Ada.png", b"card"), ("characters/Bob.png", b"card")], 1 << 20);
    let id = writing(&bin, |writer| bin.discard(writer, &ada(), character("Ada"))).unwrap();
    let other = writing(&bin, |writer| bin.discard(writer, &ada(), character("Bob"))).unwrap();
    bin.erase(&ada(), &id).unwrap();
    assert!(!root.path().join(format!("ada/trash/{id}")).exists());
    assert!(bin.erase(&ada(), &id).unwrap_err().is_not_found());
    let record = root.path().join(format!("ada/trash/{other}/record.json"));
    let bent = std::fs::read_to_string(&record).unwrap().replace("\"characters\"", "\"../../bob\"");
    std::fs::write(&record, bent).unwrap();
    assert!(bin.list(&ada()).unwrap().is_empty());
    assert!(bin.restore(&ada(), &other, |_, _| Ok(())).unwrap_err().is_not_found());
    bin.empty(&ada()).unwrap();
    assert!(!root.path().join(format!("ada/trash/{other}")).exists());
}
