//! Links, pipes, sockets and folders in the place of files, at every kind of place in a person's folder: lists leave them
//! out, asking for one by name is answered at once and in words, and nothing outside the folder is ever read or written.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Guest, Request, TestHouse};

const CANARY: &str = "CANARY outside the folder";
/// Nothing here waits for anything.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What may be in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Pipe,
    Socket,
    Folder,
    LinkToFile,
    LinkToDevice,
    LinkToNothing,
}

impl What {
    fn put(self, at: &Path, outside: &Path) {
        let _ = std::fs::remove_file(at);
        match self {
            Self::Pipe => {
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, at, kind, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
            }
            // The path of a socket may not be long.
            Self::Socket => {
                let near = tempfile::tempdir().unwrap();
                drop(UnixListener::bind(near.path().join("s")).unwrap());
                std::fs::rename(near.path().join("s"), at).unwrap();
            }
            Self::Folder => std::fs::create_dir(at).unwrap(),
            Self::LinkToFile => symlink(outside, at).unwrap(),
            Self::LinkToDevice => symlink("/dev/zero", at).unwrap(),
            Self::LinkToNothing => symlink("/nothing/here", at).unwrap(),
        }
    }
}

/// A place in a person's folder, and the requests that name it.
struct Spot {
    at: &'static str,
    asked: &'static [(&'static str, &'static str, &'static str)],
}

const SPOTS: &[Spot] = &[
    Spot {
        at: "chats/Assistant/odd.jsonl",
        asked: &[
            ("GET", "/api/v1/chats/Assistant/odd", ""),
            ("GET", "/api/v1/chats/Assistant/odd/export", ""),
            (
                "POST",
                "/api/v1/chats/Assistant/odd/messages",
                r#"{"id":"m1","text":"x","version":"0123456789abcdef0123456789abcdef"}"#,
            ),
            ("POST", "/api/v1/prompts", r#"{"character":"Assistant","chat":"odd","kind":"reply","connection":"echo"}"#),
            (
                "POST",
                "/api/v1/generations",
                r#"{"character":"Assistant","chat":"odd","kind":"reply","text":"x","connection":"echo"}"#,
            ),
        ],
    },
    Spot {
        at: "group chats/odd.jsonl",
        asked: &[("GET", "/api/v1/group-chats/odd", ""), ("GET", "/api/v1/group-chats/odd/export", "")],
    },
    Spot {
        at: "characters/odd.png",
        asked: &[
            ("GET", "/api/v1/characters/odd", ""),
            ("GET", "/api/v1/characters/odd/picture", ""),
            ("GET", "/api/v1/characters/odd/export", ""),
            ("POST", "/api/v1/prompts", r#"{"character":"odd","chat":"x","kind":"reply","connection":"echo"}"#),
        ],
    },
    Spot { at: "User Avatars/odd.png", asked: &[("GET", "/api/v1/personas/odd.png/picture", "")] },
    Spot {
        at: "worlds/odd.json",
        asked: &[("GET", "/api/v1/lorebooks/odd", ""), ("PUT", "/api/v1/lorebooks/odd", r#"{"entries":{}}"#)],
    },
    Spot { at: "user/images/Assistant/odd.png", asked: &[("GET", "/api/v1/images/Assistant/odd.png", "")] },
    Spot {
        at: "backups/settings_ada_20260102-030405.json",
        asked: &[("GET", "/api/v1/me/snapshots/settings_ada_20260102-030405.json", "")],
    },
    Spot {
        at: "settings.json",
        asked: &[
            ("GET", "/api/v1/me/settings", ""),
            ("GET", "/api/v1/me/settings/state", ""),
            ("GET", "/api/v1/personas", ""),
            ("POST", "/api/settings/get", "{}"),
            ("POST", "/api/v1/me/snapshots", "{}"),
        ],
    },
];

/// What lists everything there is.
const LISTS: &[&str] = &[
    "/api/v1/chats",
    "/api/v1/characters",
    "/api/v1/characters/Assistant/chats",
    "/api/v1/lorebooks",
    "/api/v1/me/snapshots",
    "/api/v1/trash",
    "/api/v1/search?q=canary",
];

fn house() -> (TestHouse, Guest) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.post("/api/v1/characters/assistant", json!({})).expect(201);
    for folder in ["chats/Assistant", "user/images/Assistant"] {
        std::fs::create_dir_all(house.path("ada").join(folder)).unwrap();
    }
    std::fs::write(house.beside().join("outside.txt"), CANARY).unwrap();
    (house, ada)
}

/// Asks, and looks whether it was answered at once, in words, and with nothing that lies elsewhere.
#[track_caller]
fn ask(guest: &Guest, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::new(method, path);
    let request = if body.is_empty() { request } else { request.body("application/json", body) };
    let begun = Instant::now();
    let answer = guest.send(request);
    assert!(begun.elapsed() < AT_ONCE, "{answer}");
    assert!(!answer.text().contains("CANARY"), "{answer}");
    assert_ne!(answer.code(), "internal", "{answer}");
    answer
}

#[rstest]
fn special_files_are_passed_over_and_never_waited_for(
    #[values(What::Pipe, What::Socket, What::Folder, What::LinkToFile, What::LinkToDevice, What::LinkToNothing)]
    what: What,
) {
    let (house, ada) = house();
    let outside = house.beside().join("outside.txt");
    for spot in SPOTS {
        let at = house.path("ada").join(spot.at);
        let before = std::fs::read(&at).ok();
        what.put(&at, &outside);
        for (method, path, body) in spot.asked {
            let answer = ask(&ada, method, path, body);
            if path.starts_with("/api/v1/personas/") && answer.status == 200 {
                // A persona without a picture has the house's.
                continue;
            }
            assert!(answer.status >= 400, "{what:?} at {}: {answer}", spot.at);
            let body: Value = answer.json();
            let said = body["message"].as_str().or(body["error"].as_str()).unwrap_or_default();
            assert!(said.len() > 15, "{what:?} at {}: {answer}", spot.at);
        }
        for list in LISTS {
            let answer = ask(&ada, "GET", list, "");
            assert!(spot.at == "settings.json" || answer.status == 200, "{what:?} at {}: {answer}", spot.at);
        }
        ask(&ada, "POST", "/api/settings/save", r#"{"words":"mine"}"#);
        // What was there is still there, unless it was saved over.
        let kind = std::fs::symlink_metadata(&at).unwrap();
        assert!(spot.at == "settings.json" || !kind.is_file(), "{what:?} at {}", spot.at);
        if kind.is_dir() {
            std::fs::remove_dir(&at).unwrap()
        } else {
            std::fs::remove_file(&at).unwrap()
        }
        if let Some(before) = before {
            std::fs::write(&at, before).unwrap();
        }
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), CANARY);
    let backup = ada.post("/api/users/backup", json!({ "handle": "ada" })).expect(200);
    assert!(!backup.text().contains("CANARY"));
}

/// A folder that is a link: nothing behind it is listed, read or written.
#[rstest]
#[case("chats")]
#[case("chats/Assistant")]
#[case("characters")]
#[case("worlds")]
#[case("User Avatars")]
#[case("user")]
#[case("user/images")]
#[case("backups")]
fn folders_elsewhere_are_not_entered(#[case] folder: &str) {
    let (house, ada) = house();
    let elsewhere = house.beside().join("elsewhere");
    let here = house.path("ada").join(folder);
    std::fs::rename(&here, &elsewhere).unwrap();
    let files =
        ["odd.jsonl", "odd.json", "odd.png", "Assistant/odd.jsonl", "Assistant/odd.png", "images/Assistant/odd.png"];
    for file in files {
        let path = elsewhere.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, json!({ "chat_metadata": {}, "words": CANARY }).to_string()).unwrap();
    }
    symlink(&elsewhere, &here).unwrap();
    let before = support::Tree::of(&elsewhere);
    for spot in SPOTS.iter().filter(|spot| spot.at.starts_with(folder)) {
        for (method, path, body) in spot.asked {
            let answer = ask(&ada, method, path, body);
            assert!(answer.status >= 400, "{folder}: {answer}");
        }
    }
    for list in LISTS {
        let answer = ask(&ada, "GET", list, "");
        assert!(!answer.text().contains("odd"), "{folder}: {answer}");
    }
    ask(&ada, "POST", "/api/settings/make-snapshot", "{}");
    ask(&ada, "POST", "/api/v1/characters/assistant", "{}");
    ask(&ada, "PUT", "/api/v1/lorebooks/mine", r#"{"entries":{}}"#);
    ask(&ada, "POST", "/api/v1/characters/Assistant/chats", "{}");
    assert_eq!(before.changes_to(&support::Tree::of(&elsewhere)), Vec::<String>::new(), "{folder}");
}
