use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::library::Bin;
use crate::library::bin::Rules;
use crate::store::testing::{ada, house, open as open_store, put};

struct Scene {
    root: TempDir,
    search: Arc<Search>,
}

fn over(store: Store) -> Arc<Search> {
    let store = Arc::new(store);
    let bin = Arc::new(Bin::new(Arc::clone(&store), Rules { days: 30, size_max: 1 << 30 }, Arc::default()));
    let chats = Arc::new(Chats::new(Arc::clone(&store), bin, Arc::default()));
    Arc::new(Search::new(store, chats))
}

impl Scene {
    fn new() -> Self {
        let (root, store) = house(&[]);
        Self { root, search: over(store) }
    }

    fn path(&self, chat: &str) -> PathBuf {
        self.root.path().join(format!("ada/chats/{chat}.jsonl"))
    }

    fn index(&self) -> PathBuf {
        self.root.path().join("_system/search/ada")
    }

    /// Writes a chat as another program would.
    fn has(&self, chat: &str, texts: &[&str]) {
        let lines: Vec<String> = texts.iter().enumerate().map(|(at, text)| line(text, at)).collect();
        put(&self.path(chat), format!("{HEADER}\n{}", lines.join("\n")).as_bytes());
    }

    fn appends(&self, chat: &str, text: &str, at: usize) {
        let mut file = OpenOptions::new().append(true).open(self.path(chat)).unwrap();
        file.write_all(format!("\n{}", line(text, at)).as_bytes()).unwrap();
    }

    /// Looks anew and waits until all is in the index.
    fn asks(&self, typed: &str) -> Answer {
        self.asks_of(typed, None)
    }

    fn asks_of(&self, typed: &str, character: Option<&FileName>) -> Answer {
        for _ in 0..1000 {
            self.search.forget(&ada());
            let is_changing = || self.search.desk(&ada()).is_idle_since(Some(Instant::now() + IDLE));
            let answer = self.search.search(&ada(), typed, character, 50).unwrap();
            if answer.indexing.is_none() && is_changing() {
                self.search.forget(&ada());
                return self.search.search(&ada(), typed, character, 50).unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the index was never up to date");
    }

    /// Chat and index of what is found, the newest first.
    fn finds(&self, typed: &str) -> Vec<String> {
        let hits = self.asks(typed).hits;
        hits.into_iter().map(|hit| format!("{}#{}", hit.chat, hit.index)).collect()
    }
}

const HEADER: &str = r#"{"chat_metadata":{},"user_name":"unused","character_name":"unused"}"#;

fn line(text: &str, at: usize) -> String {
    let date = format!("2026-11-22T10:{:02}:{:02}.000Z", at / 60, at % 60);
    let is_user = at.is_multiple_of(2);
    json!({"name": if is_user { "Bob" } else { "Ada" }, "is_user": is_user, "send_date": date, "mes": text}).to_string()
}

#[test]
fn finds_beginnings_of_words_in_all_chats_the_newest_first() {
    let scene = Scene::new();
    scene.has("Ada/one", &["A dragon!", "Which Dragonfly?", "none"]);
    scene.has("Eve/two", &["x", "x", "x", "the dragon's egg"]);
    assert_eq!(scene.finds("drag"), ["Eve/two#3", "Ada/one#1", "Ada/one#0"]);
    assert_eq!(scene.finds("dragon "), ["Eve/two#3", "Ada/one#0"]);
    assert_eq!(scene.finds("dragon eg"), ["Eve/two#3"]);
    assert_eq!(scene.finds("\"which dragonfly\""), ["Ada/one#1"]);
    assert!(scene.finds("dragon cat").is_empty() && scene.finds("").is_empty() && scene.finds("!?").is_empty());
    let answer = scene.asks_of("dragon", Some(&FileName::known("Ada")));
    assert_eq!((answer.total, answer.hits.len()), (Some(2), 2));
    let hit = &answer.hits[1];
    assert_eq!((hit.name.as_str(), hit.is_user, hit.snippet.as_str()), ("Bob", true, "A <mark>dragon</mark>!"));
    assert_eq!(hit.sent_at, Some(1_795_341_600_000));
}

#[test]
fn what_changes_is_found_as_it_is() {
    let scene = Scene::new();
    scene.has("Ada/one", &["apple", "pear"]);
    assert_eq!(scene.finds("pear"), ["Ada/one#1"]);
    scene.appends("Ada/one", "plum", 2);
    scene.appends("Ada/one", "pear again", 3);
    assert_eq!(scene.finds("pear"), ["Ada/one#3", "Ada/one#1"]);
    // Edited: a new file in its place.
    scene.has("Ada/new", &["cherry", "pear"]);
    fs::rename(scene.path("Ada/new"), scene.path("Ada/one")).unwrap();
    assert_eq!(scene.finds("cherry"), ["Ada/one#0"]);
    assert_eq!(scene.finds("pear"), ["Ada/one#1"]);
    assert!(scene.finds("apple").is_empty());
    // Written over by another program, in the same file.
    scene.has("Ada/one", &["banana", "grape", "pear", "melon"]);
    assert_eq!(scene.finds("pear"), ["Ada/one#2"]);
    assert!(scene.finds("cherry").is_empty());
    fs::rename(scene.path("Ada/one"), scene.path("Ada/renamed")).unwrap();
    assert_eq!(scene.finds("melon"), ["Ada/renamed#3"]);
    fs::remove_file(scene.path("Ada/renamed")).unwrap();
    assert!(scene.finds("melon").is_empty());
}

#[test]
fn odd_lines_count_and_half_ones_wait() {
    let scene = Scene::new();
    let text =
        format!("{HEADER}\n{{broken\n\n{}\n[1]\n{}\n{{\"mes\":\"unfin", line("kiwi one", 1), line("kiwi two", 2));
    put(&scene.path("Ada/odd"), text.as_bytes());
    assert_eq!(scene.finds("kiwi"), ["Ada/odd#3", "Ada/odd#1"]);
    let mut file = OpenOptions::new().append(true).open(scene.path("Ada/odd")).unwrap();
    file.write_all(b"ished kiwi\"}\n").unwrap();
    assert_eq!(scene.finds("unfinished"), ["Ada/odd#4"]);
    assert_eq!(scene.finds("kiwi"), ["Ada/odd#3", "Ada/odd#1", "Ada/odd#4"]);
    put(&scene.path("Ada/headless"), line("lemon", 0).as_bytes());
    assert_eq!(scene.finds("lemon"), ["Ada/headless#0"]);
}

#[test]
fn a_new_server_goes_on_where_the_old_one_was() {
    let scene = Scene::new();
    scene.has("Ada/one", &["apple"]);
    assert_eq!(scene.finds("apple"), ["Ada/one#0"]);
    let again = Scene { search: over(open_store(scene.root.path(), None)), root: scene.root };
    again.appends("Ada/one", "apple pie", 1);
    assert_eq!(again.finds("apple"), ["Ada/one#1", "Ada/one#0"]);
    again.search.rest();
    assert_eq!(again.finds("pie"), ["Ada/one#1"]);
}

#[test]
fn an_index_that_is_deleted_or_damaged_is_made_anew() {
    let scene = Scene::new();
    scene.has("Ada/one", &["apple", "pear"]);
    assert_eq!(scene.finds("apple"), ["Ada/one#0"]);
    fs::remove_dir_all(scene.index()).unwrap();
    scene.appends("Ada/one", "more", 2);
    let _ = scene.search.search(&ada(), "apple", None, 5).unwrap();
    lock(&scene.search.desks).clear();
    assert_eq!(scene.finds("apple"), ["Ada/one#0"]);
    let mut root = scene.root;
    let files: Vec<PathBuf> =
        fs::read_dir(root.path().join("_system/search/ada")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for (nth, path) in files.iter().enumerate() {
        for damage in 0..3 {
            // The index was made anew since, under other names.
            let present =
                fs::read_dir(root.path().join("_system/search/ada")).unwrap().map(|entry| entry.unwrap().path());
            let mut present: Vec<PathBuf> = present.collect();
            present.sort();
            let path = present.get(nth).unwrap_or(path);
            let bytes = fs::read(path).unwrap_or_default();
            let damaged = match damage {
                0 => Vec::new(),
                1 => bytes[..bytes.len() / 2].to_vec(),
                _ => bytes.iter().map(|byte| byte ^ 0x55).collect(),
            };
            fs::write(path, damaged).unwrap();
            let next = Scene { search: over(open_store(root.path(), None)), root };
            assert_eq!(next.finds("pear"), ["Ada/one#1"], "{} {damage}", path.display());
            root = next.root;
        }
    }
}

#[test]
fn a_removed_index_is_gone() {
    let scene = Scene::new();
    scene.has("Ada/one", &["apple"]);
    scene.finds("apple");
    scene.search.remove(&ada()).unwrap();
    assert!(!scene.index().exists());
}

#[test]
fn much_is_read_beside_the_searches() {
    let scene = Scene::new();
    let text = "filler words that make the chat long enough ".repeat(200);
    let texts: Vec<&str> = (0..600).map(|_| text.as_str()).collect();
    scene.has("Ada/long", &texts);
    scene.has("Ada/short", &["needle"]);
    let first = scene.search.search(&ada(), "needle", None, 5).unwrap();
    assert!(first.indexing.is_some_and(|progress| progress.total > 4 << 20), "{first:?}");
    assert_eq!(scene.finds("needle"), ["Ada/short#0"]);
    assert_eq!(scene.asks("filler").total, Some(600));
}

/// Something that happens to a chat.
#[derive(Debug, Clone)]
enum Event {
    Append(usize, String),
    Replace(usize, Vec<String>),
    Delete(usize),
    Ask,
}

fn event() -> impl Strategy<Value = Event> {
    let text = "(red|green|blue|redder) ?(red|green)?";
    prop_oneof![
        4 => (0usize..3, text).prop_map(|(chat, text)| Event::Append(chat, text)),
        2 => (0usize..3, prop::collection::vec(text, 0..4)).prop_map(|(chat, texts)| Event::Replace(chat, texts)),
        1 => (0usize..3).prop_map(Event::Delete),
        2 => Just(Event::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn always_finds_what_a_look_at_all_chats_finds(events in prop::collection::vec(event(), 1..14)) {
        let scene = Scene::new();
        let mut chats: [Option<Vec<String>>; 3] = [None, None, None];
        for event in events.into_iter().chain([Event::Ask]) {
            match event {
                Event::Append(chat, text) => match &mut chats[chat] {
                    Some(texts) => {
                        scene.appends(&format!("Ada/c{chat}"), &text, 1);
                        texts.push(text);
                    }
                    None => {
                        scene.has(&format!("Ada/c{chat}"), &[&text]);
                        chats[chat] = Some(vec![text]);
                    }
                },
                Event::Replace(chat, texts) => {
                    scene.has("Ada/tmp", &texts.iter().map(String::as_str).collect::<Vec<_>>());
                    fs::rename(scene.path("Ada/tmp"), scene.path(&format!("Ada/c{chat}"))).unwrap();
                    chats[chat] = Some(texts);
                }
                Event::Delete(chat) => {
                    let _ = fs::remove_file(scene.path(&format!("Ada/c{chat}")));
                    chats[chat] = None;
                }
                Event::Ask => {
                    let mut found = scene.finds("red");
                    found.sort();
                    let mut expected: Vec<String> = Vec::new();
                    for (chat, texts) in chats.iter().enumerate() {
                        for (index, text) in texts.iter().flatten().enumerate() {
                            if text.split_whitespace().any(|word| word.starts_with("red")) {
                                expected.push(format!("Ada/c{chat}#{index}"));
                            }
                        }
                    }
                    expected.sort();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
