use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::library::bin::Rules;
use crate::store::testing::{ada, failing, folder, house, open};

struct Scene {
    root: TempDir,
    chats: Chats,
}

const RULES: Rules = Rules { days: 30, size_max: 1 << 30 };

fn over(store: Store) -> Chats {
    let store = Arc::new(store);
    Chats::new(Arc::clone(&store), Arc::new(Bin::new(store, RULES, Arc::default())), Arc::default())
}

impl Scene {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let (root, store) = house(files);
        Self { root, chats: over(store) }
    }

    fn of(text: &[u8]) -> Self {
        Self::with(&[("chats/Ada/x.jsonl", text)])
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("ada/chats/Ada/x.jsonl")
    }

    fn text(&self) -> String {
        String::from_utf8(std::fs::read(self.path()).unwrap()).unwrap()
    }

    fn version(&self) -> Expect {
        Expect::Version(self.chats.open(&ada(), &x()).unwrap().version)
    }

    fn texts(&self) -> Vec<String> {
        let window = self.chats.window(&ada(), &x(), None, 1000).unwrap();
        window.lines.iter().map(|line| line.message().map_or("?".to_owned(), |m| m.text().to_owned())).collect()
    }

    fn trash(&self) -> Vec<crate::library::bin::Discarded> {
        self.chats.bin.list(&ada()).unwrap()
    }
}

fn x() -> ChatRef {
    ChatRef::parse("Ada", "x").unwrap()
}

fn said(text: &str) -> Message {
    Message::of(Map::from_iter([("mes".to_owned(), Value::from(text))]))
}

const HEADER: &str = r#"{"chat_metadata":{"odd":1.50},"user_name":"unused","character_name":"unused"}"#;
const ODD: &str = "{\"chat_metadata\":{\"odd\":1.50}}\n{\"mes\":\"a\",\"x\":1e2}\n{broken\n\n  \n{\"mes\":\"b\",\"y\":[1.0]}\r\n{\"mes\":\"c\"}";

#[test]
fn a_window_shows_the_end_and_what_is_before() {
    let scene = Scene::of(ODD.as_bytes());
    assert_eq!(scene.texts(), ["a", "?", "b", "c"]);
    let window = scene.chats.window(&ada(), &x(), None, 2).unwrap();
    assert_eq!((window.chat.count, window.lines[0].index), (4, 2));
    let before = scene.chats.window(&ada(), &x(), Some(2), 60).unwrap();
    assert_eq!(before.lines.len(), 2);
    assert_eq!(before.lines[1].content, Content::Damaged("{broken".into()));
    assert!(scene.chats.window(&ada(), &x(), Some(0), 60).unwrap().lines.is_empty());
    assert_eq!(scene.chats.open(&ada(), &ChatRef::parse("Ada", "y").unwrap()).unwrap_err().code(), "not_found");
    assert!(ChatRef::parse("..", "x").is_err() && ChatRef::parse("a/b", "x").is_err());
}

#[test]
fn an_edit_leaves_every_other_byte() {
    let scene = Scene::of(ODD.as_bytes());
    let edit = Edit { text: Some("B".into()), ..Edit::default() };
    scene.chats.edit(&ada(), &x(), scene.version(), 2, &edit).unwrap();
    assert_eq!(scene.text(), ODD.replace("{\"mes\":\"b\",\"y\":[1.0]}\r", "{\"mes\":\"B\",\"y\":[1.0]}"));
    let damaged = scene.chats.edit(&ada(), &x(), scene.version(), 1, &edit).unwrap_err();
    assert_eq!(damaged.code(), "damaged_message");
    assert_eq!(scene.chats.edit(&ada(), &x(), scene.version(), 4, &edit).unwrap_err().code(), "not_found");
}

#[test]
fn deleting_and_moving() {
    let scene = Scene::of(ODD.as_bytes());
    let now = |chats: &Chats| Expect::Version(chats.open(&ada(), &x()).unwrap().version);
    let chats = &scene.chats;
    chats.move_message(&ada(), &x(), now(chats), 0, 3).unwrap();
    assert_eq!(scene.texts(), ["?", "b", "c", "a"]);
    chats.move_message(&ada(), &x(), now(chats), 2, 0).unwrap();
    assert_eq!(scene.texts(), ["c", "?", "b", "a"]);
    chats.delete_message(&ada(), &x(), now(chats), 1, false).unwrap();
    assert_eq!(scene.texts(), ["c", "b", "a"]);
    chats.delete_message(&ada(), &x(), now(chats), 1, true).unwrap();
    assert_eq!(scene.text(), "{\"chat_metadata\":{\"odd\":1.50}}\n{\"mes\":\"c\"}");
    chats.delete_message(&ada(), &x(), now(chats), 0, true).unwrap();
    assert_eq!(scene.text(), "{\"chat_metadata\":{\"odd\":1.50}}");
    // Each of these took something away, and each is kept.
    let kept = scene.trash();
    assert_eq!(kept.len(), 5);
    let back = chats.bin.restore(&ada(), &kept[4].id, |_, _| Ok(())).unwrap();
    assert_eq!(back.stem.as_str(), "x - Restored #1");
    assert_eq!(std::fs::read(scene.root.path().join("ada/chats/Ada/x - Restored #1.jsonl")).unwrap(), ODD.as_bytes());
}

#[test]
fn a_torn_last_line_is_kept_and_what_comes_after_is_whole() {
    let torn = format!("{HEADER}\n{{\"mes\":\"a\"}}\n{{\"mes\":\"b");
    let scene = Scene::of(torn.as_bytes());
    assert_eq!(scene.texts(), ["a", "?"]);
    let added = scene.chats.append(&ada(), &x(), scene.version(), said("c")).unwrap();
    assert_eq!(added.index, 2);
    assert_eq!(scene.text(), format!("{torn}\n{{\"mes\":\"c\"}}"));
    assert_eq!(scene.texts(), ["a", "?", "c"]);
}

#[test]
fn an_empty_file_gets_a_header() {
    let scene = Scene::of(b"");
    scene.chats.append(&ada(), &x(), scene.version(), said("a")).unwrap();
    scene.chats.append(&ada(), &x(), scene.version(), said("b")).unwrap();
    let opened = scene.chats.open(&ada(), &x()).unwrap();
    assert!(opened.header.unwrap().integrity().is_some());
    assert_eq!((opened.count, scene.texts()), (2, vec!["a".to_owned(), "b".to_owned()]));
    assert!(!scene.text().ends_with('\n'));
}

#[test]
fn a_stale_change_is_refused_with_both_versions() {
    let scene = Scene::of(ODD.as_bytes());
    let stale = scene.version();
    let now = scene.chats.append(&ada(), &x(), stale, said("d")).unwrap().version;
    let before = scene.text();
    let refused = [
        scene.chats.append(&ada(), &x(), stale, said("e")).map(drop),
        scene.chats.edit(&ada(), &x(), stale, 0, &Edit { hidden: Some(true), ..Edit::default() }).map(drop),
        scene.chats.delete_message(&ada(), &x(), stale, 0, true).map(drop),
        scene.chats.move_message(&ada(), &x(), stale, 0, 1).map(drop),
        scene.chats.rename(&ada(), &x(), stale, "y").map(drop),
        scene.chats.delete(&ada(), &x(), stale).map(drop),
        scene.chats.change_header(&ada(), &x(), stale, |_| Ok(())).map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), "stale");
        assert_eq!(error.details().unwrap()["found"], now.to_string());
    }
    assert_eq!(scene.text(), before);
}

#[test]
fn what_is_sent_again_changes_nothing() {
    let scene = Scene::of(ODD.as_bytes());
    let version = scene.version();
    let first = scene.chats.append(&ada(), &x(), version, said("d").with_id("m1")).unwrap();
    let again = scene.chats.append(&ada(), &x(), version, said("d").with_id("m1")).unwrap();
    assert_eq!(first, again);
    scene.chats.append(&ada(), &x(), Expect::Anything, said("reply")).unwrap();
    let later = scene.chats.append(&ada(), &x(), version, said("d").with_id("m1")).unwrap();
    assert_eq!(later.index, 4);
    assert_eq!(scene.texts().len(), 6);
}

#[test]
fn a_minute_of_small_changes_keeps_the_first_version_only() {
    let scene = Scene::of(ODD.as_bytes());
    let edit = |text: &str| {
        let edit = Edit { text: Some(text.to_owned()), ..Edit::default() };
        scene.chats.edit(&ada(), &x(), scene.version(), 0, &edit).unwrap();
    };
    ["1", "2", "3"].into_iter().for_each(edit);
    assert_eq!(scene.trash().len(), 1);
    // What was added in between is kept when it is changed.
    scene.chats.append(&ada(), &x(), Expect::Anything, said("new")).unwrap();
    edit("4");
    assert_eq!(scene.trash().len(), 2);
    scene.chats.delete_message(&ada(), &x(), scene.version(), 0, false).unwrap();
    assert_eq!(scene.trash().len(), 3);
    let oldest = scene.trash().pop().unwrap();
    let stored = scene.root.path().join(format!("ada/trash/{}/0", oldest.id));
    assert_eq!(std::fs::read(stored).unwrap(), ODD.as_bytes());
}

#[test]
fn an_unchanged_edit_writes_nothing() {
    let scene = Scene::of(ODD.as_bytes());
    let before = scene.version();
    scene
        .chats
        .edit(&ada(), &x(), before, 0, &Edit { hidden: None, text: Some("a".into()), ..Edit::default() })
        .unwrap();
    scene.chats.change_header(&ada(), &x(), before, |_| Ok(())).unwrap();
    scene.chats.move_message(&ada(), &x(), before, 2, 2).unwrap();
    assert_eq!(scene.version(), before);
    assert!(scene.trash().is_empty());
}

#[test]
fn a_branch_has_what_was_before_and_a_name_of_its_own() {
    let scene = Scene::of(ODD.as_bytes());
    let names: Vec<String> =
        [0, 2].map(|at| scene.chats.branch(&ada(), &x(), at, None).unwrap().chat.chat.into()).into();
    assert_eq!(names, ["x - Branch #1", "x - Branch #2"]);
    let branch = ChatRef::parse("Ada", &names[1]).unwrap();
    let window = scene.chats.window(&ada(), &branch, None, 10).unwrap();
    assert_eq!(window.lines.len(), 3);
    let header = window.chat.header.unwrap();
    assert_eq!(header.metadata().unwrap()["main_chat"], "x");
    assert_eq!(header.metadata().unwrap()["odd"], 1.5);
    assert_eq!(header.integrity().unwrap().len(), 36);
    // The messages name their branches, and nothing else about them has changed.
    let at = |index| match scene.chats.message(&ada(), &x(), index).unwrap().1.content {
        Content::Message(message) => message,
        Content::Damaged(text) => panic!("{text}"),
    };
    assert_eq!(at(2).extra().unwrap()["branches"], serde_json::json!([names[1]]));
    scene.chats.branch(&ada(), &x(), 2, Some("mine")).unwrap();
    assert_eq!(at(2).extra().unwrap()["branches"], serde_json::json!([names[1], "mine"]));
    assert!(
        scene.chats.window(&ada(), &branch, None, 10).unwrap().lines[2]
            .message()
            .unwrap()
            .extra()
            .is_none_or(|extra| !extra.contains_key("branches"))
    );
    assert_eq!(scene.chats.branch(&ada(), &x(), 4, None).unwrap_err().code(), "not_found");
    assert_eq!(scene.chats.branch(&ada(), &x(), 0, Some("x")).unwrap_err().code(), "conflict");
}

#[test]
fn names_and_pins_go_together() {
    let scene = Scene::of(ODD.as_bytes());
    scene.chats.pin(&ada(), &x(), true).unwrap();
    let y = scene.chats.rename(&ada(), &x(), scene.version(), "y?").unwrap();
    assert_eq!(y.chat.as_str(), "y");
    assert!(scene.chats.is_pinned(&ada(), &y).unwrap());
    let made = scene.chats.create(&ada(), &y.character, NewChat { name: Some("y".into()), ..NewChat::default() });
    assert_eq!(made.unwrap_err().code(), "conflict");
    let id = scene.chats.delete(&ada(), &y, Expect::Anything).unwrap();
    assert!(scene.chats.pins(&ada()).unwrap().is_empty());
    assert!(scene.chats.open(&ada(), &y).unwrap_err().is_not_found());
    let back = scene.chats.bin.restore(&ada(), &id, |_, _| Ok(())).unwrap();
    assert_eq!((back.stem.as_str(), back.note), ("y", json!({ "pinned": true })));
    assert_eq!(scene.chats.open(&ada(), &y).unwrap().count, 4);
    assert!(scene.trash().is_empty());
    assert!(scene.chats.pin(&ada(), &x(), true).unwrap_err().is_not_found());
}

#[test]
fn a_new_chat_is_as_sillytavern_writes_it() {
    let scene = Scene::with(&[]);
    let greeting = said("hello");
    let new = NewChat { character_name: "Ada: T".into(), messages: vec![greeting], ..NewChat::default() };
    let (chat, version) = scene.chats.create(&ada(), &FileName::known("Ada"), new.clone()).unwrap();
    assert!(chat.chat.as_str().starts_with("Ada T - 20"), "{chat}");
    assert_eq!(scene.chats.open(&ada(), &chat).unwrap().version, version);
    let again = scene.chats.create(&ada(), &FileName::known("Ada"), new).unwrap();
    assert_ne!(again.0, chat);
}

#[test]
fn lists_are_right_after_every_change() {
    let scene =
        Scene::with(&[("chats/Ada/x.jsonl", ODD.as_bytes()), ("chats/Bob/y.jsonl", b"{\"mes\":\" *hi*\\n there \"}")]);
    let names = |recent: &Recent| recent.items.iter().map(|item| item.chat.to_string()).collect::<Vec<_>>();
    scene.chats.append(&ada(), &x(), Expect::Anything, said("last  one")).unwrap();
    let recent = scene.chats.recent(&ada(), 0, 10).unwrap();
    assert_eq!((recent.total, names(&recent)), (2, vec!["Ada/x".to_owned(), "Bob/y".to_owned()]));
    assert_eq!((recent.items[0].messages, recent.items[0].preview.as_str()), (5, "last one"));
    assert_eq!(recent.items[1].preview, "hi there");
    let y = ChatRef::parse("Bob", "y").unwrap();
    scene.chats.pin(&ada(), &y, true).unwrap();
    let pinned = scene.chats.recent(&ada(), 0, 1).unwrap();
    assert_eq!((pinned.total, names(&pinned)), (2, vec!["Bob/y".to_owned()]));
    scene.chats.append(&ada(), &x(), Expect::Anything, said("more")).unwrap();
    assert_eq!(scene.chats.recent(&ada(), 1, 1).unwrap().items[0].preview, "more");
    scene.chats.delete(&ada(), &y, Expect::Anything).unwrap();
    assert_eq!(scene.chats.recent(&ada(), 0, 10).unwrap().total, 1);
    assert_eq!(scene.chats.of_character(&ada(), &FileName::known("Ada")).unwrap().total, 1);
    assert_eq!(scene.chats.totals(&ada()).unwrap().len(), 1);
}

#[test]
fn every_step_of_every_change_may_fail() {
    type Act = fn(&Chats) -> Result<()>;
    let acts: [(&str, Act); 8] = [
        ("append", |chats| chats.append(&ada(), &x(), Expect::Anything, said("new")).map(drop)),
        ("edit", |chats| {
            let edit = Edit { text: Some("new".into()), ..Edit::default() };
            chats.edit(&ada(), &x(), Expect::Anything, 0, &edit).map(drop)
        }),
        ("delete message", |chats| chats.delete_message(&ada(), &x(), Expect::Anything, 1, true).map(drop)),
        ("header", |chats| {
            chats
                .change_header(&ada(), &x(), Expect::Anything, |header| {
                    header.metadata_mut().insert("note_prompt".to_owned(), "new".into());
                    Ok(())
                })
                .map(drop)
        }),
        ("rename", |chats| chats.rename(&ada(), &x(), Expect::Anything, "y").map(drop)),
        ("branch", |chats| chats.branch(&ada(), &x(), 1, None).map(drop)),
        ("delete", |chats| chats.delete(&ada(), &x(), Expect::Anything).map(drop)),
        ("pin", |chats| chats.pin(&ada(), &x(), true)),
    ];
    for (name, act) in acts {
        for forever in [false, true] {
            for n in 1.. {
                let root = folder();
                drop(house_at(root.path()));
                let faults = failing(0, forever);
                let chats = over(open(root.path(), Some(Arc::clone(&faults))));
                faults.rearm(n);
                let done = act(&chats);
                let seen = faults.seen();
                faults.rearm(0);
                let chat = root.path().join("ada/chats/Ada");
                let mut all: Vec<Vec<u8>> = Vec::new();
                for entry in walkdir::WalkDir::new(root.path().join("ada")).into_iter().map(|entry| entry.unwrap()) {
                    let of_chats = entry.path().starts_with(&chat) || entry.file_name() == "0";
                    if entry.file_type().is_file() && of_chats {
                        all.push(std::fs::read(entry.path()).unwrap());
                    }
                }
                let step = format!("{name}, step {n}, forever: {forever}: {done:?}");
                // Whatever happened: what was there is somewhere, to its last byte.
                assert!(all.iter().any(|bytes| bytes.starts_with(ODD.as_bytes())), "{step}");
                // And nothing half-written is in sight.
                for entry in std::fs::read_dir(&chat).unwrap().map(|entry| entry.unwrap()) {
                    assert!(entry.file_name().to_str().unwrap().ends_with(".jsonl"), "{step}: {entry:?}");
                }
                let listed = chats.recent(&ada(), 0, 10).unwrap();
                assert!(listed.total > 0 || !chats.bin.list(&ada()).unwrap().is_empty(), "{step}");
                for item in &listed.items {
                    chats.window(&ada(), &item.chat, None, 100).unwrap();
                }
                if done.is_ok() && seen < n {
                    break;
                }
                assert!(n < 100, "{step}");
            }
        }
    }
}

fn house_at(root: &std::path::Path) -> Store {
    let store = open(root, None);
    store.finish_opening().unwrap();
    store.make_user_folders(&ada()).unwrap();
    crate::store::testing::put(&root.join("ada/chats/Ada/x.jsonl"), ODD.as_bytes());
    store
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        Just(HEADER.as_bytes().to_vec()),
        Just(b"{\"mes\":\"a\"}".to_vec()),
        Just(b"{\"mes\":{\"message\":1},\"swipes\":7,\"swipe_id\":-3,\"extra\":[]}".to_vec()),
        Just(b"{\"mes\":\"a\",\"swipes\":[\"a\",2],\"swipe_id\":1e300,\"swipe_info\":{}}".to_vec()),
        Just(b"\xef\xbb\xbf{}".to_vec()),
        Just(b"[{}]".to_vec()),
        Just(Vec::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Arbitrary bytes as a chat: nothing panics, and every byte survives an addition.
    #[test]
    fn any_file_is_a_chat(lines in prop::collection::vec(any_line(), 0..6), ended in any::<bool>()) {
        let mut bytes = lines.join(&b'\n');
        if ended {
            bytes.push(b'\n');
        }
        let scene = Scene::of(&bytes);
        let before = scene.chats.window(&ada(), &x(), None, 100).unwrap();
        let added = scene.chats.append(&ada(), &x(), Expect::Anything, said("new")).unwrap();
        let now = std::fs::read(scene.path()).unwrap();
        prop_assert!(now.starts_with(&bytes));
        let line = b"{\"mes\":\"new\"}";
        prop_assert!(now.ends_with(line));
        prop_assert_eq!(added.index, before.chat.count);
        let after = scene.chats.window(&ada(), &x(), None, 100).unwrap();
        prop_assert_eq!(after.chat.count, before.chat.count + 1);
        prop_assert_eq!(&after.lines[..before.lines.len()], &before.lines[..]);
        prop_assert_eq!(after.lines.last().unwrap().message().unwrap().text(), "new");
        // Everything that can be asked of it gets an answer.
        for index in 0..after.chat.count {
            let edit = Edit { swipe: Some(0), text: Some("t".into()), reasoning: Some("r".into()), hidden: Some(true) };
            let _ = scene.chats.edit(&ada(), &x(), Expect::Anything, index, &edit);
            let _ = scene.chats.add_swipe(&ada(), &x(), Expect::Anything, index, Swipe::default());
        }
        let _ = scene.chats.change_header(&ada(), &x(), Expect::Anything, |header| { header.set_ours("a", Some(1.into())); Ok(()) });
        let now = scene.chats.window(&ada(), &x(), None, 100).unwrap();
        prop_assert_eq!(now.chat.count, after.chat.count);
        let _ = scene.chats.move_message(&ada(), &x(), Expect::Anything, now.chat.count - 1, 0);
        let moved = scene.chats.window(&ada(), &x(), None, 100).unwrap();
        prop_assert_eq!(moved.chat.count, now.chat.count);
        scene.chats.delete_message(&ada(), &x(), Expect::Anything, 0, false).unwrap();
        prop_assert_eq!(scene.chats.open(&ada(), &x()).unwrap().count, moved.chat.count - 1);
        scene.chats.recent(&ada(), 0, 10).unwrap();
    }
}
