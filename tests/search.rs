//! Search over a socket: what was said is found at once, what was deleted is not, and nobody finds another's words.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};
use support::{Guest, TestHouse, eventually};

/// Writes a chat, as SillyTavern would.
fn write(house: &TestHouse, chat: &str, texts: &[&str]) {
    let path = house.path(chat);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut text = r#"{"chat_metadata":{},"user_name":"unused","character_name":"unused"}"#.to_owned();
    for said in texts {
        text.push('\n');
        text.push_str(
            &json!({"name": "Bob", "is_user": true, "send_date": "2026-11-22T10:00:00.000Z", "mes": said}).to_string(),
        );
    }
    fs::write(path, text).unwrap();
}

fn search(guest: &Guest, query: &str) -> Value {
    guest.get(&format!("/api/v1/search?{query}")).expect(200).json()
}

/// Waits until a search finds so many.
fn finds(guest: &Guest, query: &str, count: usize) -> Value {
    let mut found = Value::Null;
    eventually(&format!("{query} finds {count}"), || {
        found = search(guest, query);
        found["hits"].as_array().unwrap().len() == count && found.get("indexing").is_none()
    });
    found
}

#[test]
fn what_is_said_is_found_and_what_is_deleted_is_not() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    write(&house, "ada/chats/Eve/one.jsonl", &["Where is the <b>Dragon</b>?", "Asleep."]);
    let found = finds(&ada, "q=drag", 1);
    assert_eq!(
        found,
        json!({"total": 1, "hits": [{"character": "Eve", "characterName": "Eve", "chat": "one", "index": 0, "name": "Bob",
            "isUser": true, "sentAt": 1_795_341_600_000_i64, "snippet": "Where is the &lt;b&gt;<mark>Dragon</mark>&lt;/b&gt;?"}]})
    );
    let mut file = fs::OpenOptions::new().append(true).open(house.path("ada/chats/Eve/one.jsonl")).unwrap();
    file.write_all(b"\n{\"name\":\"Eve\",\"mes\":\"The dragon wakes\"}").unwrap();
    finds(&ada, "q=dragon", 2);
    finds(&ada, "q=dragon&limit=1", 1);
    finds(&ada, "q=dragon&character=Eve", 2);
    finds(&ada, "q=dragon&character=Bob", 0);
    finds(&ada, "q=", 0);
    fs::remove_file(house.path("ada/chats/Eve/one.jsonl")).unwrap();
    finds(&ada, "q=dragon", 0);
}

#[test]
fn nobody_finds_anothers_words() {
    let house = TestHouse::open();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    write(&house, "ada/chats/Eve/one.jsonl", &["a secret"]);
    write(&house, "bob/chats/Eve/one.jsonl", &["nothing"]);
    finds(&ada, "q=secret", 1);
    finds(&bob, "q=nothing", 1);
    finds(&bob, "q=secret", 0);
    finds(&house.owner(), "q=secret", 0);
    assert_eq!(house.anonymous().get("/api/v1/search?q=secret").status, 401);
    // Whoever gets a handle that somebody had finds nothing of theirs.
    let delete = json!({ "handle": "ada", "purge": true });
    assert!(house.owner().post("/api/users/delete", delete).status < 300);
    assert!(!house.path("_system/search/ada").exists());
}

#[test]
fn an_index_that_is_gone_or_damaged_is_made_anew() {
    let mut house = TestHouse::open();
    let ada = house.moves_in("ada");
    write(&house, "ada/chats/Eve/one.jsonl", &["an apple"]);
    finds(&ada, "q=apple", 1);
    fs::remove_dir_all(house.path("_system/search/ada")).unwrap();
    write(&house, "ada/chats/Eve/two.jsonl", &["another apple"]);
    finds(&ada, "q=apple", 2);
    drop(ada);
    house.reopen(|_| {});
    for entry in fs::read_dir(house.path("_system/search/ada")).unwrap() {
        fs::write(entry.unwrap().path(), b"not what it was").unwrap();
    }
    let ada = house.signed_in("ada");
    finds(&ada, "q=apple", 2);
}

#[test]
fn the_index_is_in_no_backup() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    write(&house, "ada/chats/Eve/one.jsonl", &["an apple"]);
    finds(&ada, "q=apple", 1);
    assert!(house.path("_system/search/ada/meta.json").exists());
    assert!(!house.path("ada/search").exists());
}

#[test]
fn odd_questions_are_answered() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    write(&house, "ada/chats/Eve/one.jsonl", &["plain words"]);
    finds(&ada, "q=plain", 1);
    for odd in [
        "%22",
        "%22%22%22a",
        "*",
        "a%20OR%20b",
        "%00",
        "text:plain",
        "-plain%20(",
        "%F0%9F%99%82",
        "a+".repeat(500).as_str(),
    ] {
        search(&ada, &format!("q={odd}"));
    }
    for refused in ["q=a&limit=0", "q=a&limit=x", "q=a&limit=101", "q=a&character=..%2F"] {
        assert_eq!(ada.get(&format!("/api/v1/search?{refused}")).status, 400, "{refused}");
    }
}
