//! Chats over a socket: several windows, retries, damaged lines, a failing disk, a sudden end.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use support::files::copy_tree;
use support::{Answer, Guest, Program, Request, TestHouse};
use tavernkeep::store::Faults;

const BASE: &str = "/api/v1/chats/Ada/first";
const LINES: &str = concat!(
    r#"{"chat_metadata":{"integrity":"0a0b","odd":1.50},"user_name":"unused","character_name":"unused"}"#,
    "\n",
    r#"{"name":"Ada","is_user":false,"is_system":false,"send_date":"2026-11-22T03:42:56.980Z","mes":"Hello *there*","odd":[1e2]}"#,
    "\n",
    r#"{"name":"Ada","is_user":false,"mes":"half of a li"#,
    "\n",
    r#"{"name":"Bob","is_user":true,"mes":"Hi","extra":{"reasoning":""}}"#,
);

fn put(house: &TestHouse, path: &str, text: &str) -> PathBuf {
    let path = house.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// A house in which ada has one chat with Ada, a line of which is damaged.
fn scene() -> (TestHouse, Guest, PathBuf) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let path = put(&house, "ada/chats/Ada/first.jsonl", LINES);
    (house, ada, path)
}

fn version(guest: &Guest) -> String {
    guest.get(BASE).expect(200).json()["version"].as_str().unwrap().to_owned()
}

fn say(guest: &Guest, version: &str, text: &str) -> Answer {
    guest.post(&format!("{BASE}/messages"), json!({ "version": version, "text": text }))
}

fn texts(chat: &Value) -> Vec<&str> {
    chat["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[test]
fn a_damaged_line_is_shown_marked_and_kept() {
    let (_house, ada, path) = scene();
    let chat = ada.get(BASE).expect(200).json();
    assert_eq!((&chat["count"], &chat["first"], &chat["metadata"]["odd"]), (&json!(3), &json!(0), &json!(1.5)));
    let messages = chat["messages"].as_array().unwrap();
    assert_eq!(messages[1]["damaged"], true);
    assert!(messages[1]["text"].as_str().unwrap().contains("half of a li"));
    assert_eq!(messages[0]["sentAt"], 1_795_318_976_980_i64);
    assert!(messages[0]["html"].as_str().unwrap().contains("<em>there</em>"), "{}", messages[0]);
    assert_eq!((&messages[2]["isUser"], &messages[2]["name"]), (&json!(true), &json!("Bob")));

    let edit = json!({ "version": chat["version"], "text": "Ho" });
    let edited = ada.patch(&format!("{BASE}/messages/2"), edit).expect(200).json();
    assert_eq!((&edited["message"]["text"], &edited["count"]), (&json!("Ho"), &json!(3)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), LINES.replace("\"Hi\"", "\"Ho\""));
    let damaged = ada.patch(&format!("{BASE}/messages/1"), json!({ "version": edited["version"], "text": "x" }));
    damaged.expect_error(409, "damaged_message");
    say(&ada, edited["version"].as_str().unwrap(), "more").expect(201);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&LINES.replace("\"Hi\"", "\"Ho\"")));
}

#[test]
fn of_two_windows_the_one_that_is_behind_is_told_and_loses_nothing() {
    let (house, one, path) = scene();
    let two = house.signed_in("ada");
    let seen = version(&two);
    let now = say(&one, &seen, "from the first").expect(201).json()["version"].clone();
    let before = std::fs::read(&path).unwrap();
    let requests = [
        Request::new("POST", &format!("{BASE}/messages")).json(&json!({ "version": seen, "text": "from the second" })),
        Request::new("PATCH", &format!("{BASE}/messages/0")).json(&json!({ "version": seen, "text": "x" })),
        Request::new("PATCH", &format!("{BASE}/messages/0")).json(&json!({ "version": seen, "hidden": true })),
        Request::new("DELETE", &format!("{BASE}/messages/0?version={seen}&after=true")),
        Request::new("POST", &format!("{BASE}/messages/0/move")).json(&json!({ "version": seen, "to": 2 })),
        Request::new("PATCH", BASE).json(&json!({ "version": seen, "name": "other" })),
        Request::new("PATCH", BASE).json(&json!({ "version": seen, "note": { "text": "x" } })),
        Request::new("DELETE", &format!("{BASE}?version={seen}")),
    ];
    for request in requests {
        let refused = two.send(request).expect_error(409, "stale").json();
        assert_eq!(refused["details"], json!({ "expected": seen, "found": now }));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    say(&two, now.as_str().unwrap(), "from the second").expect(201);
    let chat = one.get(BASE).expect(200).json();
    assert_eq!(texts(&chat)[3..], ["from the first", "from the second"]);
    // And without a version nothing is changed that takes words away.
    one.patch(&format!("{BASE}/messages/0"), json!({ "text": "x" })).expect_error(400, "bad_request");
    one.delete(&format!("{BASE}/messages/0")).expect_error(400, "bad_request");
    one.delete(BASE).expect_error(400, "bad_request");
    for what in [json!({ "name": "x" }), json!({ "note": { "text": "x" } }), json!({ "model": null })] {
        one.patch(BASE, what).expect_error(400, "bad_request");
    }
}

/// A change of several things at once is refused as a whole.
#[test]
fn a_name_that_is_taken_leaves_the_rest_unchanged_too() {
    let (house, ada, path) = scene();
    put(&house, "ada/chats/Ada/other.jsonl", LINES);
    let before = std::fs::read(&path).unwrap();
    let change = json!({ "version": version(&ada), "name": "other", "note": { "text": "x" } });
    ada.patch(BASE, change).expect_error(409, "conflict");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let change = json!({ "version": version(&ada), "name": "third", "note": { "text": "x" } });
    ada.patch(BASE, change).expect(200);
    assert!(house.file("ada/chats/Ada/third.jsonl").windows(11).any(|part| part == b"note_prompt"));
}

#[test]
fn what_is_sent_again_after_a_lost_answer_changes_nothing() {
    let (_house, ada, path) = scene();
    let body = json!({ "version": version(&ada), "text": "once", "id": "0190-a" });
    let first = ada.post(&format!("{BASE}/messages"), body.clone()).expect(201).json();
    let again = ada.post(&format!("{BASE}/messages"), body).expect(201).json();
    assert_eq!(first, again);
    assert_eq!(std::fs::read_to_string(path).unwrap().matches("once").count(), 1);
    let empty = json!({ "version": first["version"], "text": "  " });
    ada.post(&format!("{BASE}/messages"), empty).expect_error(400, "bad_request");
}

/// The chat that SillyTavern opens with a character is still the same one when it has another name.
#[test]
fn a_card_that_names_the_chat_follows_its_new_name() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let id =
        ada.post("/api/v1/characters", json!({ "name": "Eva" })).expect(201).json()["id"].as_str().unwrap().to_owned();
    let path = format!("ada/characters/{id}.png");
    let on_disk = || tavernkeep::library::cards::png::read(&house.file(&path)).unwrap();
    let mut card = on_disk();
    card.set_chat("first");
    let bytes = tavernkeep::library::cards::png::write(&house.file(&path), &card).unwrap();
    std::fs::write(house.path(&path), bytes).unwrap();
    for name in ["first", "second"] {
        put(&house, &format!("ada/chats/{id}/{name}.jsonl"), LINES);
    }
    let rename = |from: &str, to: &str| {
        let path = format!("/api/v1/chats/{id}/{from}");
        let version = ada.get(&path).expect(200).json()["version"].clone();
        ada.patch(&path, json!({ "version": version, "name": to })).expect(200);
    };
    // Another chat's name is no concern of the card.
    rename("second", "third");
    assert_eq!(on_disk(), card);
    rename("first", "the best");
    card.set_chat("the best");
    assert_eq!(on_disk(), card);
}

/// SillyTavern's group chats are found and read, and left as they are.
#[test]
fn group_chats_are_read_and_never_written() {
    let (house, ada, _) = scene();
    let put = |path: &str, text: &str| {
        let path = house.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let group = json!({ "id": "1700000000000", "name": "The crew", "members": ["Eva.png"], "chat_id": "2026-11-22@10h",
                        "chats": ["2026-11-22@10h"] });
    put("ada/groups/1700000000000.json", &group.to_string());
    put("ada/groups/broken.json", "{");
    put("ada/group chats/2026-11-22@10h.jsonl", "{\"chat_metadata\":{}}\n{\"name\":\"Eva\",\"mes\":\"Ahoy, *crew*\"}");
    put("ada/group chats/lost.jsonl", "{\"name\":\"Bob\",\"mes\":\"Anybody?\"}");
    let before = house.tree().only(|name| name.starts_with("ada/group"));

    let list = ada.get("/api/v1/chats").expect(200).json();
    let items = list["items"].as_array().unwrap();
    let of = |chat: &str| items.iter().find(|item| item["chat"] == chat).unwrap_or_else(|| panic!("{list}"));
    assert_eq!((list["total"].as_u64(), items.len()), (Some(3), 3));
    let crew = of("2026-11-22@10h");
    assert_eq!((&crew["group"], &crew["groupName"]), (&json!("1700000000000"), &json!("The crew")));
    assert_eq!((&crew["messages"], &crew["preview"]), (&json!(1), &json!("Ahoy, crew")));
    assert!(crew.get("character").is_none());
    assert_eq!((&of("lost")["group"], &of("lost")["groupName"]), (&Value::Null, &json!("A group")));

    let chat = ada.get("/api/v1/group-chats/2026-11-22%4010h").expect(200).json();
    assert_eq!((&chat["groupName"], &chat["messages"][0]["name"]), (&json!("The crew"), &json!("Eva")));
    assert!(chat["messages"][0]["html"].as_str().unwrap().contains("<em>crew</em>"));
    let text = ada.get("/api/v1/group-chats/2026-11-22%4010h/export?format=text").expect(200);
    assert!(text.text().contains("Ahoy"), "{text}");
    for gone in ["nothing", "..%2Fsettings"] {
        ada.get(&format!("/api/v1/group-chats/{gone}")).expect(404);
    }
    let mut found = Value::Null;
    support::eventually("the group's chat is found", || {
        found = ada.get("/api/v1/search?q=ahoy").expect(200).json();
        found["hits"].as_array().unwrap().len() == 1
    });
    assert_eq!(
        (&found["hits"][0]["groupName"], &found["hits"][0]["chat"]),
        (&json!("The crew"), &json!("2026-11-22@10h"))
    );
    // As far as a character is concerned there is no such chat, so that nothing can be said in it.
    let say = json!({ "version": chat["version"], "text": "Hi" });
    ada.post("/api/v1/chats/group%20chats/2026-11-22%4010h/messages", say).expect(404);
    ada.patch("/api/v1/group-chats/2026-11-22%4010h", json!({ "name": "x" })).expect(405);
    before.is_still(&house.tree().only(|name| name.starts_with("ada/group")), "reading group chats");
}

#[test]
fn the_life_of_a_chat() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let card = json!({ "name": "Eve", "firstMessage": "Hi {{user}}", "alternateGreetings": ["Ho {{user}}"] });
    let eve = ada.post("/api/v1/characters", card).expect(201).json()["id"].as_str().unwrap().to_owned();
    let chats = format!("/api/v1/characters/{eve}/chats");
    let begun = ada.post(&chats, json!({ "greeting": 1 })).expect(201).json();
    assert_eq!((&begun["characterName"], &begun["count"]), (&json!("Eve"), &json!(1)));
    assert_eq!(begun["messages"][0]["text"], format!("Ho {}", support::title("ada")));
    assert_eq!(begun["messages"][0]["swipe"], json!({ "at": 1, "count": 2 }));
    assert_eq!(begun["metadata"]["integrity"].as_str().unwrap().len(), 36);
    let name = begun["chat"].as_str().unwrap().to_owned();
    assert!(name.starts_with("Eve - 20"), "{name}");
    let path = |name: &str| format!("/api/v1/chats/{eve}/{}", name.replace(' ', "%20").replace('#', "%23"));
    let now = |name: &str| ada.get(&path(name)).expect(200).json();

    let said = json!({ "version": begun["version"], "text": "**one**" });
    let said = ada.post(&format!("{}/messages", path(&name)), said).expect(201).json();
    assert_eq!((&said["index"], &said["message"]["name"]), (&json!(1), &json!(support::title("ada"))));
    assert!(said["message"]["html"].as_str().unwrap().contains("<strong>"));
    let swiped = json!({ "version": said["version"], "swipe": 0 });
    let swiped = ada.patch(&format!("{}/messages/0", path(&name)), swiped).expect(200).json();
    assert_eq!(swiped["message"]["text"], format!("Hi {}", support::title("ada")));
    let moved = json!({ "version": swiped["version"], "to": 1 });
    ada.post(&format!("{}/messages/0/move", path(&name)), moved).expect(200);
    assert_eq!(texts(&now(&name))[0], "**one**");

    let branch = ada.post(&format!("{}/branch", path(&name)), json!({ "index": 0 })).expect(201).json();
    assert_eq!(branch["chat"], format!("{name} - Branch #1"));
    let branched = now(branch["chat"].as_str().unwrap());
    assert_eq!((&branched["count"], &branched["metadata"]["main_chat"]), (&json!(1), &json!(name)));
    assert_ne!(branched["metadata"]["integrity"], begun["metadata"]["integrity"]);
    let parent = now(&name);
    assert_eq!(
        (&parent["version"], &parent["messages"][0]["extra"]["branches"]),
        (&branch["fromVersion"], &json!([branch["chat"]]))
    );

    let note = json!({ "text": "rain", "depth": 3, "role": "user", "interval": 2 });
    let update =
        json!({ "version": branch["fromVersion"], "name": "A: new?", "pinned": true, "note": note, "model": "m" });
    let renamed = ada.patch(&path(&name), update).expect(200).json();
    assert_eq!((&renamed["chat"], &renamed["pinned"]), (&json!("A new"), &json!(true)));
    let metadata = &renamed["metadata"];
    assert_eq!(
        (&metadata["note_prompt"], &metadata["note_depth"], &metadata["note_role"]),
        (&json!("rain"), &json!(3), &json!(1))
    );
    assert_eq!(metadata["tavernkeep"], json!({ "model": "m" }));
    let cleared = ada.patch(&path("A new"), json!({ "version": renamed["version"], "model": null }));
    let cleared = cleared.expect(200).json();
    assert!(cleared["metadata"].get("tavernkeep").is_none());
    ada.get(&path(&name)).expect_error(404, "not_found");

    let listed = ada.get("/api/v1/chats").expect(200).json();
    assert_eq!(listed["total"], 2);
    let first = &listed["items"][0];
    assert_eq!((&first["chat"], &first["pinned"], &first["messages"]), (&json!("A new"), &json!(true), &json!(2)));
    assert!(first["avatar"].as_str().unwrap().starts_with("/api/v1/characters/"));
    assert_eq!(ada.get(&chats).expect(200).json()["total"], 2);
    assert_eq!(ada.get("/api/v1/chats?limit=1&offset=1").expect(200).json()["items"].as_array().unwrap().len(), 1);

    let gone = format!("{}/messages/0?version={}&after=true", path("A new"), cleared["version"].as_str().unwrap());
    let emptied = ada.delete(&gone).expect(200).json();
    assert_eq!(emptied["count"], 0);
    ada.delete(&format!("{}?version={}", path("A new"), emptied["version"].as_str().unwrap())).expect(200);
    ada.get(&path("A new")).expect(404);
    let trash = ada.get("/api/v1/trash").expect(200).json();
    let kinds: Vec<&str> = trash.as_array().unwrap().iter().map(|thing| thing["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "chat");
    assert!(kinds[1..].len() >= 2 && kinds[1..].iter().all(|kind| *kind == "version"), "{kinds:?}");
    let restore = |thing: &Value| {
        let path = format!("/api/v1/trash/{}/restore", thing["id"].as_str().unwrap());
        ada.post(&path, json!({})).expect(200).json()
    };
    assert_eq!(restore(&trash[0]), json!({ "kind": "chat", "character": eve, "chat": "A new", "renamed": false }));
    assert_eq!((&now("A new")["count"], &now("A new")["pinned"]), (&json!(0), &json!(true)));
    let back = restore(&trash[1]);
    assert_eq!((&back["chat"], &back["renamed"]), (&json!("A new - Restored #1"), &json!(true)));
    assert_eq!(now("A new - Restored #1")["count"], 2);

    // In the place of what is there, which is kept in its turn.
    let kept = || ada.get("/api/v1/trash").expect(200).json().as_array().unwrap().clone();
    let before = kept();
    let instead = |thing: &Value| {
        ada.post(&format!("/api/v1/trash/{}/restore?instead=true", thing["id"].as_str().unwrap()), json!({}))
    };
    let back = instead(&before[0]).expect(200).json();
    assert_eq!((&back["chat"], &back["renamed"]), (&json!("A new"), &json!(false)));
    assert_ne!(now("A new")["count"], 0);
    let after = kept();
    assert_eq!((after.len(), &after[0]["kind"], &after[0]["name"]), (before.len(), &json!("version"), &json!("A new")));
    instead(&after[0]).expect(200);
    assert_eq!(now("A new")["count"], 0, "and back again");
    instead(&before[0]).expect_error(404, "not_found");
    let bytes = house.file(&format!("ada/chats/{eve}/A new.jsonl"));
    let version = now("A new")["version"].as_str().unwrap().to_owned();
    ada.delete(&format!("{}?version={version}", path("A new"))).expect(200);
    let deleted = kept();
    instead(&deleted[0]).expect_error(400, "bad_request");
    restore(&deleted[0]);
    assert_eq!(house.file(&format!("ada/chats/{eve}/A new.jsonl")), bytes);
    ada.delete("/api/v1/trash").expect(204);
    assert_eq!(ada.get("/api/v1/trash").expect(200).json(), json!([]));
}

#[test]
fn chats_are_taken_away_and_brought_back() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let eve =
        ada.post("/api/v1/characters", json!({ "name": "Eve" })).expect(201).json()["id"].as_str().unwrap().to_owned();
    put(&house, &format!("ada/chats/{eve}/first.jsonl"), LINES);
    let export = |format: &str| ada.get(&format!("/api/v1/chats/{eve}/first/export?format={format}"));
    let whole = export("jsonl").expect(200);
    assert_eq!(whole.body, LINES.as_bytes());
    assert_eq!(whole.header("content-disposition"), Some("attachment; filename*=UTF-8''first.jsonl"));
    let words = export("text").expect(200).text();
    assert!(words.starts_with("Ada: Hello *there*\n\n[damaged line] {") && words.ends_with("Bob: Hi\n\n"), "{words}");
    assert!(export("markdown").expect(200).text().contains("**Ada** · 2026-11-22"));
    export("pdf").expect_error(400, "bad_request");
    ada.get(&format!("/api/v1/chats/{eve}/none/export")).expect_error(404, "not_found");

    let path = format!("/api/v1/characters/{eve}/chats/import");
    let bring = |body: &str, name: &str| {
        ada.send(Request::new("POST", &path).body("application/octet-stream", body).header("X-File-Name", name))
    };
    assert_eq!(bring(LINES, "first.jsonl").expect(201).json(), json!({ "chats": ["first 2"] }));
    assert_eq!(house.file(&format!("ada/chats/{eve}/first 2.jsonl")), LINES.as_bytes());
    let claude = json!([
        { "name": "A/b", "chat_messages": [{ "sender": "human", "text": "Hi" }] },
        { "name": "A/b", "chat_messages": [{ "sender": "assistant", "text": "Ho" }] },
    ]);
    assert_eq!(bring(&claude.to_string(), "x.json").expect(201).json(), json!({ "chats": ["Ab", "Ab 2"] }));
    let second = ada.get(&format!("/api/v1/chats/{eve}/Ab%202")).expect(200).json();
    assert_eq!((&second["messages"][0]["name"], &second["messages"][0]["text"]), (&json!("Eve"), &json!("Ho")));
    let before = house.tree().without_notes();
    bring("nonsense", "x").expect_error(400, "unknown_format");
    bring("[]", "x").expect_error(400, "nothing_there");
    let nobody = Request::new("POST", "/api/v1/characters/Nobody/chats/import").body("application/json", LINES);
    ada.send(nobody).expect_error(404, "not_found");
    before.is_still(&house.tree().without_notes(), "what was refused");
}

#[test]
fn pictures_are_kept_beside_and_shown() {
    let (_house, ada, _) = scene();
    let png = include_bytes!("../public/img/default-user.png");
    let kept = Request::new("POST", "/api/v1/characters/Ada/images").body("image/png", png.as_slice());
    let kept = ada.send(kept).expect(201).json();
    let body = json!({ "version": version(&ada), "text": "", "images": [kept["url"]] });
    let said = ada.post(&format!("{BASE}/messages"), body).expect(201).json();
    let address = said["message"]["images"][0].as_str().unwrap().to_owned();
    assert_eq!(kept["address"], address);
    let shown = ada.get(&address).expect(200);
    assert_eq!((shown.header("content-type"), shown.body.as_slice()), (Some("image/png"), png.as_slice()));
    for wrong in [
        "https://example.org/x.png",
        "/user/images/../x.png",
        "data:image/png;base64,AAAA",
        "/user/images/Ada/none.png",
    ] {
        let body = json!({ "version": said["version"], "text": "x", "images": [wrong] });
        let refused = ada.post(&format!("{BASE}/messages"), body);
        assert!((400..500).contains(&refused.status), "{refused}");
    }
    let svg = Request::new("POST", "/api/v1/characters/Ada/images").body("image/svg+xml", "<svg/>".as_bytes());
    ada.send(svg).expect_error(415, "unsupported");
}

#[test]
fn what_is_not_ones_own_is_not_there() {
    let (house, _ada, _) = scene();
    let bob = house.moves_in("bob");
    let before = house.tree().without_notes();
    for path in [
        BASE,
        "/api/v1/chats/..%2F..%2Fada%2Fchats%2FAda/first",
        "/api/v1/chats/Ada/..%2Ffirst",
        "/api/v1/chats/Ada/%00",
    ] {
        bob.get(path).expect_error(404, "not_found");
        bob.post(&format!("{path}/messages"), json!({ "version": "0123456789abcdef", "text": "x" })).expect(404);
        bob.post(&format!("{path}/branch"), json!({ "index": 0 })).expect(404);
        bob.delete(&format!("{path}?version=0123456789abcdef")).expect(404);
    }
    bob.delete("/api/v1/trash/0123456789abcdef0123456789abcdef").expect(404);
    bob.post("/api/v1/trash/..%2Fx/restore", json!({})).expect(404);
    assert_eq!(bob.get("/api/v1/chats").expect(200).json()["total"], 0);
    before.is_still(&house.tree().without_notes(), "bob's asking");
}

/// What a browser can do to a chat.
#[derive(Debug, Clone, Copy)]
enum Act {
    Say,
    Edit,
    Hide,
    DeleteOne,
    DeleteLater,
    Move,
    Note,
    Rename,
    Pin,
    Branch,
    Delete,
    Restore,
    Erase,
}

impl Act {
    const ALL: [Self; 13] = [
        Self::Say,
        Self::Edit,
        Self::Hide,
        Self::DeleteOne,
        Self::DeleteLater,
        Self::Move,
        Self::Note,
        Self::Rename,
        Self::Pin,
        Self::Branch,
        Self::Delete,
        Self::Restore,
        Self::Erase,
    ];

    fn run(self, ada: &Guest, version: &str, trashed: &str) -> Answer {
        let message = format!("{BASE}/messages/0");
        match self {
            Self::Say => {
                ada.post(&format!("{BASE}/messages"), json!({ "version": version, "text": "new", "id": "i1" }))
            }
            Self::Edit => ada.patch(&message, json!({ "version": version, "text": "new" })),
            Self::Hide => ada.patch(&message, json!({ "version": version, "hidden": true })),
            Self::DeleteOne => ada.delete(&format!("{message}?version={version}")),
            Self::DeleteLater => ada.delete(&format!("{message}?version={version}&after=true")),
            Self::Move => ada.post(&format!("{message}/move"), json!({ "version": version, "to": 2 })),
            Self::Note => ada.patch(BASE, json!({ "version": version, "note": { "text": "new" } })),
            Self::Rename => ada.patch(BASE, json!({ "version": version, "name": "second" })),
            Self::Pin => ada.patch(BASE, json!({ "pinned": true })),
            Self::Branch => ada.post(&format!("{BASE}/branch"), json!({ "index": 1 })),
            Self::Delete => ada.delete(&format!("{BASE}?version={version}")),
            Self::Restore => ada.post(&format!("/api/v1/trash/{trashed}/restore"), json!({})),
            Self::Erase => ada.delete(&format!("/api/v1/trash/{trashed}")),
        }
    }
}

/// Which of so many steps are made to fail: the room's own tests try all of them, on a quicker disk.
fn tried(steps: u64) -> impl Iterator<Item = u64> {
    let stride = if std::env::var_os("ALL_STEPS").is_some() { 1 } else { 1 + steps / 4 };
    (1..=steps).filter(move |n| n % stride == 1 % stride || n + 1 > steps)
}

/// T2, T3, T7: whichever step fails, what was there is there to its last byte, in the chat or in the trash; the answer never
/// says that something was done that is not; and afterwards all goes on.
#[test]
fn every_step_of_a_change_may_fail() {
    let stage = tempfile::tempdir().unwrap();
    let (house, ada, _) = scene();
    put(&house, "ada/chats/Ada/other.jsonl", LINES);
    let other = ada.get("/api/v1/chats/Ada/other").expect(200).json()["version"].as_str().unwrap().to_owned();
    let deleted = ada.delete(&format!("/api/v1/chats/Ada/other?version={other}")).expect(200).json();
    let trashed = deleted["trash"].as_str().unwrap().to_owned();
    copy_tree(house.data(), &stage.path().join("data"));
    drop((house, ada));
    let set = |error: ErrorKind, forever: bool| {
        let faults = Faults::at(0, error, forever);
        let folder = tempfile::tempdir().unwrap();
        copy_tree(&stage.path().join("data"), &folder.path().join("data"));
        let house = TestHouse::in_folder(folder, Some(Arc::clone(&faults)), |_| {});
        let ada = house.signed_in("ada");
        ada.token();
        (house, ada, faults)
    };
    for act in Act::ALL {
        let (_house, ada, faults) = set(ErrorKind::StorageFull, false);
        let now = version(&ada);
        faults.rearm(0);
        let good = act.run(&ada, &now, &trashed);
        assert!((200..300).contains(&good.status), "{act:?}: {good}");
        let steps = faults.seen();
        for (error, forever) in [(ErrorKind::StorageFull, true), (ErrorKind::Other, false)] {
            for n in tried(steps) {
                let (house, ada, faults) = set(error, forever);
                let now = version(&ada);
                faults.rearm(n);
                let answer = act.run(&ada, &now, &trashed);
                let name = format!("{act:?}, step {n} of {steps}, {error}, forever: {forever}: {answer}");
                let ok = (200..300).contains(&answer.status);
                assert!(ok || answer.code() == "storage", "{name}");
                // Reading goes on.
                ada.get("/api/v1/chats").expect(200);
                ada.get("/api/v1/trash").expect(200);
                faults.rearm(0);
                let whole = house.tree().only(|path| path.starts_with("ada/chats/") || path.starts_with("ada/trash/"));
                let copies = whole.0.values().filter(|bytes| bytes.starts_with(LINES.as_bytes())).count();
                let fewest = if matches!(act, Act::Erase) { 1 } else { 2 };
                assert!(copies >= fewest, "{name}: {:?}", whole.0.keys());
                let chats = ada.get("/api/v1/chats").expect(200).json();
                for chat in chats["items"].as_array().unwrap() {
                    let text = house.file(&format!("ada/chats/Ada/{}.jsonl", chat["chat"].as_str().unwrap()));
                    // Old or new, never half of it: every line but the one that was broken can be read.
                    let broken =
                        text.split(|byte| *byte == b'\n').filter(|line| serde_json::from_slice::<Value>(line).is_err());
                    // Half a line at the end stays only where the disk did not even let it be cut off.
                    let torn = usize::from(matches!(act, Act::Say) && forever);
                    assert!(broken.count() <= 1 + torn, "{name}: {}", String::from_utf8_lossy(&text));
                }
                if matches!(act, Act::Say) {
                    let said = act.run(&ada, &version(&ada), &trashed).expect(201).json();
                    let count = said["index"].as_u64().unwrap();
                    assert!(count == 3 || (forever && count == 4), "{name}: it is there once");
                }
            }
        }
    }
}

/// T1: every message that was acknowledged is in the chat after `kill -9`, once; of others at most the last one.
#[test]
fn what_was_said_survives_a_sudden_end() {
    let rounds: usize = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir().unwrap();
    let owner = |program: &Program| {
        let guest = program.owner();
        guest.token();
        guest
    };
    let base = "/api/v1/chats/Ada/first";
    let mut acknowledged: Vec<String> = Vec::new();
    let mut sent = 0;
    for round in 0..rounds {
        let program = Program::start(folder.path());
        let path = program.data().join("default-user/chats/Ada/first.jsonl");
        if round == 0 {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, LINES).unwrap();
        } else if round == 1 {
            // As a power cut can leave it.
            let mut text = std::fs::read(&path).unwrap();
            text.extend_from_slice(b"\n{\"name\":\"torn");
            std::fs::write(&path, text).unwrap();
        }
        let guest = owner(&program);
        let ends = std::time::Instant::now() + std::time::Duration::from_millis(150 + 70 * round as u64);
        let speaker = std::thread::spawn(move || {
            let (mut done, mut sent) = (Vec::new(), 0);
            let Ok(answer) = guest.try_send(Request::new("GET", base)) else { return (done, sent) };
            let mut version = answer.json()["version"].clone();
            loop {
                let text = format!("said {round}-{sent}");
                sent += 1;
                let body = json!({ "version": version, "text": text, "id": text });
                let request = Request::new("POST", &format!("{base}/messages")).json(&body);
                match guest.try_send(request) {
                    Ok(answer) if answer.status == 201 => {
                        version = answer.json()["version"].clone();
                        done.push(text);
                    }
                    Ok(other) => panic!("{other}"),
                    Err(_) => return (done, sent),
                }
            }
        });
        std::thread::sleep(ends.saturating_duration_since(std::time::Instant::now()));
        program.kill();
        let (done, tried) = speaker.join().unwrap();
        sent += tried;
        acknowledged.extend(done);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(LINES));
        for said in &acknowledged {
            assert_eq!(text.matches(&format!("\"mes\":\"{said}\"")).count(), 1, "{said}");
        }
        let lines = text.matches("\"mes\":\"said ").count();
        assert!(lines <= acknowledged.len() + round + 1, "{lines} lines, {} acknowledged", acknowledged.len());
    }
    println!("{} of {sent} messages acknowledged in {rounds} rounds, all of them there", acknowledged.len());
    assert!(!acknowledged.is_empty());
    let program = Program::start(folder.path());
    let chat = owner(&program).get(&format!("{base}?limit=500")).expect(200).json();
    let damaged = chat["messages"].as_array().unwrap().iter().filter(|message| message["damaged"] == true).count();
    assert!(damaged <= 2, "the one that was broken, and the torn one");
}

/// An index next to which the head of the file would stand, were numbers to go round.
#[test]
fn the_largest_index_is_no_message() {
    let (_house, ada, path) = scene();
    let body = json!({ "version": version(&ada), "text": "no head" });
    ada.patch(&format!("{BASE}/messages/{}", u64::MAX), body).expect(404);
    assert_eq!(std::fs::read_to_string(path).unwrap(), LINES);
}
