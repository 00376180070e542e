//! T3: on a disk without a free byte people get in, read, and delete; and what they erase makes room again.
//!
//! The disk here is full in earnest: whatever takes room fails, renaming and removing work, and what is given back counts.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use support::zips::zip_of;
use support::{Answer, Guest, OWNER, Request, TestHouse, password_of};
use tavernkeep::http::routes;
use tavernkeep::store::Faults;

const PICTURE: &[u8] = include_bytes!("../public/img/default-user.png");
const CHAT: &str = "{\"user_name\":\"Me\"}\n{\"name\":\"Me\",\"is_user\":true,\"mes\":\"one\"}\n\
                    {\"name\":\"Me\",\"is_user\":true,\"mes\":\"two\"}";

struct Scene {
    house: TestHouse,
    disk: Arc<Faults>,
    owner: Guest,
    ada: Guest,
}

impl Scene {
    /// A house on a disk that can be filled, in which ada lives.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Faults::filling(&folder.path().join("data"));
        let house = TestHouse::in_folder(folder, Some(Arc::clone(&disk)), |_| {});
        let (owner, ada) = (house.owner(), house.moves_in("ada"));
        Self { house, disk, owner, ada }
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.house.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Fills the disk. House keeping has been round before.
    fn fill(&self) {
        self.disk.rearm(0);
        self.house.app().keep_house();
        assert!(self.house.path("_system/reserve").exists());
        self.disk.fill();
        let refused = self.ada.saves(&json!({ "words": "new" })).expect(500);
        assert!(refused.text().contains("the disk is full") && refused.text().contains("safe"), "{refused}");
    }

    fn version(&self, path: &str) -> String {
        self.ada.get(path).expect(200).json()["version"].as_str().unwrap().to_owned()
    }

    fn upload(&self) -> String {
        let zip = zip_of(&[("settings.json", b"{\"words\":\"again\"}")]);
        let request = Request::new("POST", "/api/v1/me/restores").body("application/zip", zip);
        self.ada.send(request).expect(200).json()["id"].as_str().unwrap().to_owned()
    }

    fn made(&self, path: &str, body: Value) -> String {
        self.ada.post(path, body).expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    fn trash(&self) -> Vec<Value> {
        self.ada.get("/api/v1/trash").expect(200).json().as_array().unwrap().clone()
    }
}

/// A deletion: the row of the table, what is asked, and what is gone afterwards.
type Deletion<'a> = (&'static str, String, Box<dyn Fn() -> bool + 'a>);

fn deletions(scene: &Scene) -> Vec<Deletion<'_>> {
    let Scene { house, owner, ada, .. } = scene;
    let gone = |path: &str| {
        let path = house.path(path);
        Box::new(move || !path.exists()) as Box<dyn Fn() -> bool>
    };
    let not_listed = |list: &'static str, id: &str| {
        let id = id.to_owned();
        Box::new(move || !ada.get(list).expect(200).text().contains(&id)) as Box<dyn Fn() -> bool>
    };
    ada.saves(&json!({ "words": "first" })).expect(200);
    ada.saves(&json!({ "words": "old" })).expect(200);
    scene.put("ada/chats/Ada/first.jsonl", CHAT);
    scene.put("ada/chats/Ada/second.jsonl", CHAT);
    scene.put("ada/worlds/Book.json", "{\"entries\":{}}");
    ada.patch("/api/v1/chats/Ada/first", json!({ "pinned": true })).expect(200);
    let (first, second) = ("/api/v1/chats/Ada/first", "/api/v1/chats/Ada/second");
    let bea = scene.made("/api/v1/characters", json!({ "name": "Bea", "description": "d" }));
    scene.put("ada/chats/Bea/first.jsonl", CHAT);
    let persona = scene.made("/api/v1/personas", json!({ "name": "Me" }));
    let connection = json!({ "name": "Model", "kind": "openai", "baseUrl": "https://example.com/v1", "key": "sk-x" });
    let connection = scene.made("/api/v1/connections", connection);
    let of_house = json!({ "scope": "house", "name": "M", "kind": "openai", "baseUrl": "https://example.com/v1" });
    let of_house = owner.post("/api/v1/connections", of_house).expect(201).json()["id"].as_str().unwrap().to_owned();
    let key = scene.made("/api/v1/me/keys", json!({ "name": "program" }));
    ada.send(Request::new("PUT", "/api/v1/me/avatar").body("image/png", PICTURE)).expect(200);
    let snapshot = house.snapshots_of("ada")[0].clone();
    let earlier = scene.upload();
    let applied = ada.post(&format!("/api/v1/me/restores/{earlier}/apply"), json!({ "parts": ["settings"] }));
    let undo = applied.expect(200).json()["undo"].as_str().unwrap().to_owned();
    let restore = scene.upload();
    let (chat, version) = ("/api/v1/chats/{character}/{chat}", scene.version(first));
    let message = format!("{second}/messages/0?version={}&after=true", scene.version(second));
    house.has("bob");
    owner.send(Request::new("PUT", "/api/v1/users/bob/avatar").body("image/png", PICTURE)).expect(200);
    let others: Vec<Guest> = (0..3).map(|_| house.signed_in("ada")).collect();
    let sessions = ada.get("/api/v1/me/sessions").expect(200).json();
    let session = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    let session = session["id"].as_str().unwrap().to_owned();
    let sessions_of_ada = move || house.json_file("_system/sessions/ada.json")["sessions"].as_array().unwrap().len();
    let before = sessions_of_ada();
    drop(others);
    vec![
        (chat, format!("{first}?version={version}"), gone("ada/chats/Ada/first.jsonl")),
        (
            "/api/v1/chats/{character}/{chat}/messages/{index}",
            message,
            Box::new(move || ada.get(second).expect(200).json()["count"] == 0),
        ),
        (
            "/api/v1/characters/{character}",
            format!("/api/v1/characters/{bea}?chats=true"),
            gone("ada/characters/Bea.png"),
        ),
        ("/api/v1/personas/{persona}", format!("/api/v1/personas/{persona}"), not_listed("/api/v1/personas", &persona)),
        ("/api/v1/lorebooks/{name}", "/api/v1/lorebooks/Book".to_owned(), gone("ada/worlds/Book.json")),
        (
            "/api/v1/connections/{id}",
            format!("/api/v1/connections/{connection}"),
            not_listed("/api/v1/connections", &connection),
        ),
        (
            "/api/v1/connections/{id}",
            format!("/api/v1/connections/{of_house}"),
            not_listed("/api/v1/connections", &of_house),
        ),
        ("/api/v1/me/keys/{id}", format!("/api/v1/me/keys/{key}"), gone("_system/keys/ada.json")),
        ("/api/v1/me/avatar", "/api/v1/me/avatar".to_owned(), gone("_system/avatars/ada")),
        ("/api/v1/me/snapshots/{name}", format!("/api/v1/me/snapshots/{snapshot}"), {
            gone(&format!("ada/backups/{snapshot}"))
        }),
        ("/api/v1/me/undo/{id}", format!("/api/v1/me/undo/{undo}"), gone(&format!("_system/undo/ada/{undo}"))),
        (
            "/api/v1/me/restores/{id}",
            format!("/api/v1/me/restores/{restore}"),
            gone(&format!("_system/restores/{restore}")),
        ),
        (
            "/api/v1/me/sessions/{id}",
            format!("/api/v1/me/sessions/{session}"),
            Box::new(move || sessions_of_ada() == before - 1),
        ),
        ("/api/v1/me/sessions", "/api/v1/me/sessions".to_owned(), Box::new(move || sessions_of_ada() == 1)),
        ("/api/v1/users/{handle}/avatar", "/api/v1/users/bob/avatar".to_owned(), gone("_system/avatars/bob")),
        ("/api/v1/users/{handle}", "/api/v1/users/bob?data=remove".to_owned(), gone("_system/accounts/bob.json")),
    ]
}

#[test]
fn everything_that_can_be_deleted_can_be_on_a_full_disk() {
    let scene = Scene::new();
    let (ada, owner) = (&scene.ada, &scene.owner);
    // These free room without the trash, and are tried below; and stopping a reply deletes nothing.
    let mut tried: BTreeSet<&str> =
        ["/api/v1/trash", "/api/v1/trash/{id}", "/api/v1/session", "/api/v1/generations/{id}"].into();
    for (pattern, path, is_gone) in deletions(&scene) {
        assert!(!is_gone(), "{path} is not there to be deleted");
        scene.fill();
        let is_owner_s = path.contains("/users/") || (pattern.contains("connections") && tried.contains(pattern));
        let answer: Answer = if is_owner_s { owner.delete(&path) } else { ada.delete(&path) };
        assert!((200..300).contains(&answer.status), "{path}: {answer}");
        assert!(is_gone(), "{path} is still there");
        tried.insert(pattern);
    }
    let can_be: BTreeSet<&str> =
        routes::all().iter().filter(|route| route.method == "DELETE").map(|route| route.pattern).collect();
    assert_eq!(tried, can_be, "a deletion that is not tried on a full disk");

    // Getting in and reading.
    scene.fill();
    let guest = scene.house.signed_in("ada");
    assert!(guest.is_signed_in());
    ada.get("/").expect(200);
    assert!(ada.post("/api/settings/get", json!({})).expect(200).text().contains("again"));
    // What was deleted can still be brought back, and erased.
    let trash = scene.trash();
    assert!(trash.len() >= 5, "{trash:?}");
    let chat = trash.iter().find(|thing| thing["kind"] == "chat").unwrap()["id"].as_str().unwrap();
    ada.post(&format!("/api/v1/trash/{chat}/restore"), json!({})).expect(200);
    assert_eq!(scene.house.file("ada/chats/Ada/first.jsonl"), CHAT.as_bytes());
    ada.delete(&format!("/api/v1/trash/{}", scene.trash()[0]["id"].as_str().unwrap())).expect(204);
    ada.delete("/api/v1/trash").expect(204);
    assert!(scene.trash().is_empty());
    ada.saves(&json!({ "words": "new" })).expect(200);
    guest.delete("/api/v1/session").expect(204);
    assert!(!guest.is_signed_in());
}

/// Without any reserve the answer says so, and what needs no room works: so that room can be made at all.
#[test]
fn where_no_room_was_kept_the_trash_can_be_emptied() {
    let scene = Scene::new();
    scene.put("ada/chats/Ada/first.jsonl", CHAT.repeat(100));
    scene.put("ada/chats/Ada/second.jsonl", CHAT);
    let (first, second) = ("/api/v1/chats/Ada/first", "/api/v1/chats/Ada/second");
    scene.ada.delete(&format!("{first}?version={}", scene.version(first))).expect(200);
    scene.disk.fill();
    let refused = scene.ada.delete(&format!("{second}?version={}", scene.version(second)));
    let refused = refused.expect_error(500, "storage");
    assert!(refused.text().contains("the disk is full") && refused.text().contains("make room"), "{refused}");
    assert_eq!(scene.house.file("ada/chats/Ada/second.jsonl"), CHAT.as_bytes());
    scene.house.anonymous().signs_in("ada", &password_of("ada")).expect(200);
    scene.house.anonymous().signs_in(OWNER, "").expect(200);
    scene.ada.delete("/api/v1/trash").expect(204);
    scene.ada.delete(&format!("{second}?version={}", scene.version(second))).expect(200);
}
