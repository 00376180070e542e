//! T2, T3 and T7: whatever write fails, at whichever of its steps, nothing that was saved is lost, the answer never says
//! "saved" when it is not, and an error is never an empty success.
//!
//! Each act is done once to count its steps; then once more for each step, which fails: once, or from then on. Of acts with
//! very many steps (making thirty folders) only some are tried, all of them with `ALL_STEPS=1`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use support::events::Events;
use support::files::{copy_tree, names_in};
use support::zips::zip_of;
use support::{Answer, Guest, OWNER, Program, Request, TestHouse, password_of};
use tavernkeep::http::routes;
use tavernkeep::http::table::{Route, Who};
use tavernkeep::store::Faults;

const PICTURE: &[u8] = include_bytes!("../public/img/default-user.png");

/// A folder in memory, where there is such a place: these tests sync thousands of times.
fn in_memory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A house in which ada lives, has settings in two versions, has uploaded an archive, and has one of everything else.
struct Scene {
    house: TestHouse,
    faults: Arc<Faults>,
    ada: Guest,
    owner: Guest,
    names: Names,
}

/// What things in the scene are called.
#[derive(Clone)]
struct Names {
    snapshot: String,
    restore: String,
    undo: String,
    persona: String,
    connection: String,
    house_connection: String,
    key: String,
    session: String,
}

/// The scene's files, made once and copied for each try: most of the time would go into building it.
struct Stage {
    folder: tempfile::TempDir,
    names: Names,
}

impl Stage {
    fn build() -> Self {
        let folder = in_memory();
        let house = TestHouse::open();
        let ada = house.moves_in("ada");
        // A second device of hers.
        house.signed_in("ada");
        ada.saves(&json!({ "words": "first" })).expect(200);
        ada.saves(&json!({ "words": "before" })).expect(200);
        let snapshot = house.snapshots_of("ada")[0].clone();
        let upload = |files: &[(&str, &[u8])]| {
            let request = Request::new("POST", "/api/v1/me/restores").body("application/zip", zip_of(files));
            ada.send(request).expect(200).json()["id"].as_str().unwrap().to_owned()
        };
        let earlier = upload(&[("settings.json", b"{\"words\":\"older\"}")]);
        let applied = ada.post(&format!("/api/v1/me/restores/{earlier}/apply"), json!({ "parts": ["settings"] }));
        let undo = applied.expect(200).json()["undo"].as_str().unwrap().to_owned();
        ada.saves(&json!({ "words": "old" })).expect(200);
        let restore = upload(&[("settings.json", b"{\"words\":\"restored\"}"), ("themes/a.json", b"{\"name\":\"a\"}")]);
        let id_of = |answer: Answer| answer.expect(201).json()["id"].as_str().unwrap().to_owned();
        let connection = |scope: &str| {
            let base = "https://example.com/v1";
            json!({ "scope": scope, "name": "Before", "kind": "openai", "baseUrl": base, "key": "sk-before" })
        };
        let sessions = ada.get("/api/v1/me/sessions").expect(200).json();
        let other = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
        let names = Names {
            snapshot,
            restore,
            undo,
            persona: id_of(ada.post("/api/v1/personas", json!({ "name": "Before" }))),
            connection: id_of(ada.post("/api/v1/connections", connection("own"))),
            house_connection: id_of(house.owner().post("/api/v1/connections", connection("house"))),
            key: id_of(ada.post("/api/v1/me/keys", json!({ "name": "before" }))),
            session: other["id"].as_str().unwrap().to_owned(),
        };
        id_of(ada.post("/api/v1/characters", json!({ "name": "Bea", "description": "before" })));
        ada.send(lorebook("before", None)).expect(201);
        ada.post("/api/v1/characters/Bea/chats", json!({ "name": "before" })).expect(201);
        house.has("guest");
        house.owner().patch("/api/v1/users/guest", json!({ "enabled": false })).expect(200);
        copy_tree(house.data(), &folder.path().join("data"));
        Self { folder, names }
    }

    fn set(&self, error: ErrorKind, forever: bool) -> Scene {
        let faults = Faults::at(0, error, forever);
        let folder = in_memory();
        copy_tree(&self.folder.path().join("data"), &folder.path().join("data"));
        let house = TestHouse::in_folder(folder, Some(Arc::clone(&faults)), |_| {});
        let (owner, ada) = (house.owner(), house.signed_in("ada"));
        for guest in [&owner, &ada] {
            guest.token();
        }
        Scene { house, faults, ada, owner, names: self.names.clone() }
    }
}

impl Scene {
    fn new(error: ErrorKind, forever: bool) -> Self {
        Stage::build().set(error, forever)
    }

    /// Whether a file whose path begins so has these words in it.
    fn says(&self, path: &str, words: &str) -> bool {
        let tree = self.house.tree().only(|name| name.starts_with(path));
        tree.0.values().any(|bytes| String::from_utf8_lossy(bytes).contains(words))
    }
}

fn lorebook(words: &str, version: Option<&str>) -> Request {
    let text = json!({ "entries": { "0": { "content": words } } });
    let put = Request::new("PUT", "/api/v1/lorebooks/Book").json(&text);
    version.map_or(put.clone(), |version| put.header("If-Match", version))
}

/// Every kind of write that a browser can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Save,
    SaveVersion,
    Snapshot,
    RestoreSnapshot,
    RemoveSnapshot,
    ResetSettings,
    Rename,
    ChangePassword,
    SetAvatar,
    RemoveAvatar,
    CreateUser,
    DisableUser,
    DeleteUserKeepingData,
    DeleteUserWithData,
    EndOtherSessions,
    UploadArchive,
    ApplyRestore,
    DiscardRestore,
    Undo,
    RemoveUndo,
    ConnectOwn,
    ConnectHouse,
    EditOwn,
    EditHouse,
    DisconnectOwn,
    DisconnectHouse,
    ChooseConnection,
    CreateKey,
    RevokeKey,
    EditPersona,
    DefaultPersona,
    PersonaPicture,
    EditLorebook,
    DeleteLorebook,
    CreateCharacter,
    DuplicateCharacter,
    CreateChat,
    ImportChats,
    ChatPicture,
    SignIn,
    EndSession,
    EnableUser,
    SetRole,
    EmptyTrash,
}

impl Act {
    fn run(self, scene: &Scene) -> Answer {
        let (ada, owner) = (&scene.ada, &scene.owner);
        let persona = format!("/api/v1/personas/{}", scene.names.persona);
        let own = format!("/api/v1/connections/{}", scene.names.connection);
        let of_house = format!("/api/v1/connections/{}", scene.names.house_connection);
        let connection = |scope: &str| {
            let base = "https://example.com/v1";
            json!({ "scope": scope, "name": "After", "kind": "openai", "baseUrl": base, "key": "sk-after" })
        };
        match self {
            Self::Save => ada.saves(&json!({ "words": "new" })),
            Self::SaveVersion => {
                let version = ada.get("/api/v1/me/settings").header("etag").unwrap().to_owned();
                let put = Request::new("PUT", "/api/v1/me/settings").json(&json!({ "words": "new" }));
                ada.send(put.header("If-Match", &version))
            }
            Self::Snapshot => ada.post("/api/v1/me/snapshots", json!({})),
            Self::RestoreSnapshot => {
                ada.post(&format!("/api/v1/me/snapshots/{}/restore", scene.names.snapshot), json!({}))
            }
            Self::RemoveSnapshot => ada.delete(&format!("/api/v1/me/snapshots/{}", scene.names.snapshot)),
            Self::ResetSettings => ada.post("/api/v1/me/settings/reset", json!({ "password": password_of("ada") })),
            Self::Rename => ada.patch("/api/v1/me", json!({ "name": "Countess" })),
            Self::ChangePassword => {
                ada.put("/api/v1/me/password", json!({ "oldPassword": password_of("ada"), "newPassword": "new" }))
            }
            Self::SetAvatar => ada.send(Request::new("PUT", "/api/v1/me/avatar").body("image/png", PICTURE)),
            Self::RemoveAvatar => ada.delete("/api/v1/me/avatar"),
            Self::CreateUser => owner.post("/api/v1/users", json!({ "handle": "bob", "name": "Bob" })),
            Self::DisableUser => owner.patch("/api/v1/users/ada", json!({ "enabled": false })),
            Self::DeleteUserKeepingData => owner.delete("/api/v1/users/ada?data=keep"),
            Self::DeleteUserWithData => owner.delete("/api/v1/users/ada?data=remove"),
            Self::EndOtherSessions => ada.delete("/api/v1/me/sessions"),
            Self::UploadArchive => {
                let zip = zip_of(&[("settings.json", b"{\"words\":\"again\"}")]);
                ada.send(Request::new("POST", "/api/v1/me/restores").body("application/zip", zip))
            }
            Self::ApplyRestore => {
                let body = json!({ "parts": ["settings", "presets"] });
                ada.post(&format!("/api/v1/me/restores/{}/apply", scene.names.restore), body)
            }
            Self::Undo => ada.post(&format!("/api/v1/me/undo/{}", scene.names.undo), json!({})),
            Self::ConnectOwn => ada.post("/api/v1/connections", connection("own")),
            Self::ConnectHouse => owner.post("/api/v1/connections", connection("house")),
            Self::EditOwn => ada.patch(&own, json!({ "name": "After", "key": "sk-after" })),
            Self::EditHouse => owner.patch(&of_house, json!({ "name": "After", "key": "sk-after" })),
            Self::DisconnectOwn => ada.delete(&own),
            Self::DisconnectHouse => owner.delete(&of_house),
            Self::ChooseConnection => ada.put("/api/v1/connections/default", json!({ "id": scene.names.connection })),
            Self::CreateKey => ada.post("/api/v1/me/keys", json!({ "name": "after" })),
            Self::RevokeKey => ada.delete(&format!("/api/v1/me/keys/{}", scene.names.key)),
            Self::EditPersona => {
                let seen = ada.get("/api/v1/personas").expect(200).json();
                let seen = seen["items"].as_array().unwrap().iter().find(|item| item["id"] == *scene.names.persona);
                ada.patch(&persona, json!({ "version": seen.unwrap()["version"], "description": "After" }))
            }
            Self::DefaultPersona => ada.post(&format!("{persona}/default"), json!({})),
            Self::PersonaPicture => {
                let put = Request::new("PUT", &format!("{persona}/picture?crop=0,0,9,9"));
                ada.send(put.body("image/png", PICTURE))
            }
            Self::EditLorebook => {
                let version = ada.get("/api/v1/lorebooks/Book").header("etag").unwrap().to_owned();
                ada.send(lorebook("After", Some(&version)))
            }
            Self::DeleteLorebook => ada.delete("/api/v1/lorebooks/Book"),
            Self::CreateCharacter => ada.post("/api/v1/characters", json!({ "name": "After" })),
            Self::DuplicateCharacter => ada.post("/api/v1/characters/Bea/duplicate", json!({})),
            Self::CreateChat => ada.post("/api/v1/characters/Bea/chats", json!({ "name": "after" })),
            Self::ImportChats => {
                let post = Request::new("POST", "/api/v1/characters/Bea/chats/import");
                ada.send(post.body("application/octet-stream", serde_json::to_vec(&two_chats()).unwrap()))
            }
            Self::ChatPicture => {
                ada.send(Request::new("POST", "/api/v1/characters/Bea/images").body("image/png", PICTURE))
            }
            Self::SignIn => scene.house.anonymous().signs_in("ada", &password_of("ada")),
            Self::EndSession => ada.delete(&format!("/api/v1/me/sessions/{}", scene.names.session)),
            Self::EnableUser => owner.patch("/api/v1/users/guest", json!({ "enabled": true })),
            Self::SetRole => owner.patch("/api/v1/users/ada", json!({ "role": "manager" })),
            Self::EmptyTrash => ada.delete("/api/v1/trash"),
            Self::RemoveUndo => ada.delete(&format!("/api/v1/me/undo/{}", scene.names.undo)),
            Self::DiscardRestore => ada.delete(&format!("/api/v1/me/restores/{}", scene.names.restore)),
        }
    }

    /// Those that need nothing that their first try may have used up.
    fn can_be_repeated(self) -> bool {
        let uses_up = [Self::ChangePassword, Self::DisableUser, Self::DeleteUserKeepingData, Self::DeleteUserWithData];
        let exchanges = [Self::UploadArchive, Self::ApplyRestore, Self::Undo];
        !uses_up.contains(&self) && !exchanges.contains(&self)
    }

    fn is_about_accounts(self) -> bool {
        matches!(
            self,
            Self::ChangePassword | Self::DisableUser | Self::DeleteUserKeepingData | Self::DeleteUserWithData
        )
    }
}

/// What another program exports: two conversations in one file.
fn two_chats() -> Value {
    let chat =
        |title: &str, words: &str| json!({ "name": title, "chat_messages": [{ "sender": "human", "text": words }] });
    json!([chat("One", "one"), chat("Two", "two")])
}

/// What must be so, also after the server has been started again, once an act was answered as done.
fn is_done(act: Act, scene: &Scene) -> bool {
    let house = &scene.house;
    let record = |handle: &str| {
        let text = std::fs::read(house.path(&format!("_system/accounts/{handle}.json"))).ok()?;
        serde_json::from_slice::<Value>(&text).ok()
    };
    match act {
        Act::Rename => record("ada").unwrap()["name"] == "Countess",
        Act::ChangePassword => house.anonymous().signs_in("ada", "new").status == 200,
        Act::SetAvatar => !house.tree().only(|name| name.starts_with("_system/avatars/ada")).0.is_empty(),
        Act::CreateUser => record("bob").is_some() && house.path("bob/settings.json").exists(),
        Act::DisableUser => record("ada").unwrap()["enabled"] == false && !scene.ada.is_signed_in(),
        Act::DeleteUserKeepingData => record("ada").is_none() && house.path("ada/settings.json").exists(),
        Act::DeleteUserWithData => record("ada").is_none() && !house.path("ada").exists(),
        Act::EndOtherSessions => {
            house.json_file("_system/sessions/ada.json")["sessions"].as_array().is_some_and(|list| list.len() == 1)
        }
        Act::RemoveSnapshot => !house.snapshots_of("ada").contains(&scene.names.snapshot),
        Act::DiscardRestore => scene.ada.get(&format!("/api/v1/me/restores/{}", scene.names.restore)).status == 404,
        Act::RemoveUndo => !scene.ada.get("/api/v1/me/undo").expect(200).text().contains(&scene.names.undo),
        Act::ConnectOwn | Act::EditOwn => scene.says("ada/connections/", "After"),
        Act::ConnectHouse | Act::EditHouse => scene.says("_system/connections/", "After"),
        Act::DisconnectOwn => {
            !scene.says("ada/connections/", "Before") && !scene.says("_system/secrets/", &scene.names.connection)
        }
        Act::DisconnectHouse => {
            let secret = scene.says("_system/secrets/", &scene.names.house_connection);
            !scene.says("_system/connections/", "Before") && !secret
        }
        Act::ChooseConnection => scene.says("ada/connections/_default.json", &scene.names.connection),
        Act::CreateKey => scene.says("_system/keys/ada.json", "after"),
        Act::RevokeKey => !scene.says("_system/keys/ada.json", "before"),
        Act::EditPersona => scene.says("ada/settings.json", "After"),
        Act::DefaultPersona => house.settings_of("ada")["power_user"]["default_persona"] == *scene.names.persona,
        // Nine pixels wide.
        Act::PersonaPicture => house.file(&format!("ada/User Avatars/{}", scene.names.persona))[16..20] == [0, 0, 0, 9],
        Act::EditLorebook => scene.says("ada/worlds/Book.json", "After"),
        Act::DeleteLorebook => !house.path("ada/worlds/Book.json").exists() && scene.says("ada/trash/", "before"),
        Act::CreateCharacter => house.path("ada/characters/After.png").exists(),
        Act::DuplicateCharacter => house.path("ada/characters/Bea_1.png").exists(),
        Act::CreateChat => house.path("ada/chats/Bea/after.jsonl").exists(),
        Act::ImportChats => scene.says("ada/chats/Bea/One", "one") && scene.says("ada/chats/Bea/Two", "two"),
        Act::ChatPicture => !names_in(&house.path("ada/user/images/Bea")).is_empty(),
        // A session holds until the server stops, if the disk did not take it.
        Act::SignIn => house.signed_in("ada").is_signed_in(),
        Act::EndSession => !scene.says("_system/sessions/ada.json", &scene.names.session),
        Act::EnableUser => record("guest").unwrap()["enabled"] == true,
        Act::SetRole => scene.ada.get("/api/v1/me").json()["role"] == "manager",
        Act::EmptyTrash => !house.path("ada/trash").exists() || names_in(&house.path("ada/trash")).is_empty(),
        Act::Save | Act::SaveVersion | Act::ResetSettings | Act::RestoreSnapshot | Act::ApplyRestore | Act::Undo => {
            true
        }
        Act::Snapshot => house.snapshots_of("ada").len() > 1,
        Act::RemoveAvatar => !house.path("_system/avatars/ada").exists(),
        Act::UploadArchive => !names_in(&house.path("_system/restores")).is_empty(),
    }
}

/// Which of so many steps are made to fail.
fn tried(steps: u64) -> impl Iterator<Item = u64> {
    let stride = if std::env::var_os("ALL_STEPS").is_some() { 1 } else { 1 + steps / 25 };
    (1..=steps).filter(move |n| n % stride == 1 % stride || n + 4 > steps)
}

/// The words in ada's settings, wherever they are found.
fn words(scene: &Scene) -> Option<String> {
    let text = std::fs::read(scene.house.path("ada/settings.json")).ok()?;
    let value: Value = serde_json::from_slice(&text).expect("the settings are neither old nor new but torn");
    Some(value["words"].as_str().unwrap_or("defaults").to_owned())
}

#[rstest]
#[case(Act::Save)]
#[case(Act::SaveVersion)]
#[case(Act::Snapshot)]
#[case(Act::RestoreSnapshot)]
#[case(Act::RemoveSnapshot)]
#[case(Act::ResetSettings)]
#[case(Act::Rename)]
#[case(Act::ChangePassword)]
#[case(Act::SetAvatar)]
#[case(Act::RemoveAvatar)]
#[case(Act::CreateUser)]
#[case(Act::DisableUser)]
#[case(Act::DeleteUserKeepingData)]
#[case(Act::DeleteUserWithData)]
#[case(Act::EndOtherSessions)]
#[case(Act::UploadArchive)]
#[case(Act::ApplyRestore)]
#[case(Act::DiscardRestore)]
#[case(Act::Undo)]
#[case(Act::RemoveUndo)]
#[case(Act::ConnectOwn)]
#[case(Act::ConnectHouse)]
#[case(Act::EditOwn)]
#[case(Act::EditHouse)]
#[case(Act::DisconnectOwn)]
#[case(Act::DisconnectHouse)]
#[case(Act::ChooseConnection)]
#[case(Act::CreateKey)]
#[case(Act::RevokeKey)]
#[case(Act::EditPersona)]
#[case(Act::DefaultPersona)]
#[case(Act::PersonaPicture)]
#[case(Act::EditLorebook)]
#[case(Act::DeleteLorebook)]
#[case(Act::CreateCharacter)]
#[case(Act::DuplicateCharacter)]
#[case(Act::CreateChat)]
#[case(Act::ImportChats)]
#[case(Act::ChatPicture)]
#[case(Act::SignIn)]
#[case(Act::EndSession)]
#[case(Act::EnableUser)]
#[case(Act::SetRole)]
#[case(Act::EmptyTrash)]
fn every_step_of_a_write_may_fail(#[case] act: Act) {
    let stage = Stage::build();
    let scene = stage.set(ErrorKind::StorageFull, false);
    scene.faults.rearm(0);
    let good = act.run(&scene);
    assert!((200..300).contains(&good.status) && is_done(act, &scene), "{act:?}: {good}");
    let steps = scene.faults.seen();
    let done = words(&scene);
    drop(scene);
    assert!(steps > 0, "{act:?} wrote nothing");

    let mut outcomes = BTreeSet::new();
    let mut halfway = 0;
    for (error, forever) in [(ErrorKind::StorageFull, true), (ErrorKind::Other, false)] {
        for n in tried(steps) {
            let scene = stage.set(error, forever);
            scene.faults.rearm(n);
            let answer = act.run(&scene);
            let name = format!("{act:?}, step {n} of {steps}, {error}, forever: {forever}");
            let ok = (200..300).contains(&answer.status);
            // SillyTavern's dialect has words only.
            let says_so = answer.code() == "storage" || answer.text().contains("\"error\":\"Could not ");
            assert!(ok || says_so, "{name}: {answer}");
            outcomes.insert(answer.status);

            // Old or new, never other; and what was said to be saved is.
            let now = words(&scene);
            let old = Some("old".to_owned());
            if now.is_none() && forever && matches!(act, Act::ApplyRestore | Act::Undo) && !ok {
                // Half exchanged, and the disk refuses to take it back: reading says so, until it can be taken back.
                let half = scene.ada.get("/api/v1/me/settings");
                assert!(half.status >= 500, "{name}: {half}");
                scene.faults.rearm(0);
                assert_eq!(scene.ada.get("/api/v1/me/settings").expect(200).json()["words"], "old", "{name}");
                halfway += 1;
                continue;
            }
            assert!(now == done || now == old, "{name}: the settings are {now:?}");
            assert!(!ok || now == done, "{name}: it said it was done and is not ({now:?})");
            whole(&scene, &name);
            assert!(!ok || is_done(act, &scene), "{name}: it said it was done, and is not");
            if matches!(act, Act::UploadArchive) && !forever && !ok {
                // A person has one prepared restore; a new upload takes the place of the one before.
                let there = names_in(&scene.house.path("_system/restores"));
                assert!(there.iter().all(|id| *id == scene.names.restore), "{name}: {there:?}");
            }

            // While the disk still refuses: reading works, and so does getting in.
            if !act.is_about_accounts() {
                scene.ada.get("/api/v1/me/settings").expect(200);
                scene.house.anonymous().signs_in("ada", &password_of("ada")).expect(200);
            }
            scene.house.anonymous().signs_in(OWNER, "").expect(200);

            // When the disk is well again, so is the house.
            scene.faults.rearm(0);
            if !ok && act.can_be_repeated() {
                // What failed in its very last step may have been done after all: it is there already, or gone.
                let again = act.run(&scene);
                assert!(
                    (200..300).contains(&again.status) || matches!(again.status, 404 | 409),
                    "{name}, again: {again}"
                );
                // What has ended in memory is noted by house keeping.
                scene.house.app().accounts.flush();
                assert!(is_done(act, &scene), "{name}, again: it is not done");
            }
            scene.house.anonymous().signs_in(OWNER, "").expect(200);
            scene.owner.get("/api/v1/users").expect(200);
            assert!(scene.house.app().events.verify().unwrap().first_fault.is_none(), "{name}");
        }
    }
    println!("{act:?}: {steps} steps, answers {outcomes:?}, {halfway} times taken back later");
}

/// Every file that has to be JSON is whole.
fn whole(scene: &Scene, name: &str) {
    for (file, bytes) in scene.house.tree().0 {
        // An upload that could not even be thrown away stays where nobody looks until it is swept out.
        if file.ends_with(".json") && !file.starts_with("_system/trash/") && !file.starts_with("_system/restores/") {
            let parsed = serde_json::from_slice::<Value>(&bytes);
            assert!(parsed.is_ok(), "{name}: {file} is torn: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_password_change_that_fails_leaves_the_old_password() {
    for n in 1..=4 {
        let scene = Scene::new(ErrorKind::StorageFull, true);
        scene.faults.rearm(n);
        let answer = Act::ChangePassword.run(&scene);
        let password = if answer.status < 300 { "new".to_owned() } else { password_of("ada") };
        scene.faults.rearm(0);
        scene.house.anonymous().signs_in("ada", &password).expect(200);
    }
}

/// With a disk that cannot be read at all, every route that tells what is on it says so: none answers an empty success.
#[test]
fn an_error_is_never_an_empty_success() {
    // These tell nothing that is on the disk.
    const WITHOUT_DISK: &[&str] = &[
        "/login",
        "/csrf-token",
        "/version",
        "/api/v1/openapi.json",
        "/api/v1/me/backups/{id}",
        "/api/v1/me/backups/{id}/download",
    ];
    let reading = |route: &Route| {
        !route.changes()
            || matches!(route.pattern, "/api/settings/get" | "/api/settings/get-snapshots" | "/api/users/get")
    };
    let mut tried = 0;
    let faults = Faults::everything(ErrorKind::Other);
    faults.rearm(0);
    let house = TestHouse::on_failing_disk(&faults);
    let owner = house.owner();
    owner.saves(&json!({ "words": "mine" })).expect(200);
    owner.token();
    let key = owner.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    for route in routes::all().into_iter().filter(reading).filter(|route| !WITHOUT_DISK.contains(&route.pattern)) {
        let snapshot = house.snapshots_of(OWNER)[0].clone();
        let path = route.pattern.replace("{handle}", OWNER).replace("{name}", &snapshot);
        let path = path.replace("{id}", "0123456789abcdef0123456789abcdef").replace("{file}", "x.png");
        let path = path.replace("{*id}", "0123456789abcdef/small");
        let request = Request::new(route.method.as_str(), &path);
        let request = if route.changes() { request.json(&json!({})) } else { request };
        // Programs have an API key and no session.
        let of_programs = route.pattern.starts_with("/v1/");
        faults.rearm(1);
        let answer = match of_programs {
            true => house.anonymous().send(request.header("Authorization", &bearer)),
            false => owner.send(request),
        };
        faults.rearm(0);
        let needs_nothing = route.who == Who::Public && answer.status == 302;
        assert!(answer.status >= 500 && !needs_nothing, "{}: {answer}", route.pattern);
        assert!(!answer.text().contains(house.beside().to_str().unwrap()), "{answer}");
        tried += 1;
    }
    println!("{tried} routes say that the disk cannot be read");
    // The client that would save what it got is refused what it got, so nothing is overwritten.
    assert_eq!(house.settings_of(OWNER), json!({ "words": "mine" }));
}

/// Whoever follows what happens goes on following while the disk cannot say whether they still may.
#[test]
fn a_failing_disk_breaks_no_stream_off() {
    let faults = Faults::everything(ErrorKind::Other);
    faults.rearm(0);
    let house = TestHouse::on_failing_disk(&faults);
    let owner = house.owner();
    let chat = house.path(&format!("{OWNER}/chats/Ada/first.jsonl"));
    std::fs::create_dir_all(chat.parent().unwrap()).unwrap();
    std::fs::write(&chat, "{\"user_name\":\"Me\"}\n{\"name\":\"Me\",\"is_user\":true,\"mes\":\"words\"}").unwrap();
    let mut changes = Events::follow(&owner, "/api/v1/me/changes");
    assert_eq!(changes.next().unwrap().name, "ping");
    faults.rearm(1);
    std::thread::sleep(Duration::from_millis(2_500));
    faults.rearm(0);
    let version = owner.get("/api/v1/chats/Ada/first").expect(200).json()["version"].as_str().unwrap().to_owned();
    owner.delete(&format!("/api/v1/chats/Ada/first?version={version}")).expect(200);
    assert!(changes.next().is_some(), "the stream has ended");
}

/// Starting one's folder afresh asks for a code on the console; here it is begun behind that door.
#[test]
fn starting_afresh_is_all_or_nothing() {
    use tavernkeep::events::Origin;
    use tavernkeep::store::Handle;
    let stage = Stage::build();
    let (ada, origin) = (Handle::parse("ada").unwrap(), Origin::default());
    let of_ada = |scene: &Scene| scene.house.tree().only(|name| name.starts_with("ada/"));
    let scene = stage.set(ErrorKind::StorageFull, false);
    let old = of_ada(&scene);
    scene.faults.rearm(0);
    scene.house.app().reset_folder(&ada, &origin).unwrap();
    let (steps, new) = (scene.faults.seen(), of_ada(&scene));
    drop(scene);
    let mut failed = 0;
    for forever in [false, true] {
        for n in tried(steps) {
            let scene = stage.set(ErrorKind::StorageFull, forever);
            scene.faults.rearm(n);
            let done = scene.house.app().reset_folder(&ada, &origin).is_ok();
            scene.faults.rearm(0);
            // What could not be taken back is, before anyone writes again.
            scene.ada.get("/api/v1/me/settings").expect(200);
            scene.house.app().store.finish_swaps().unwrap();
            let name = format!("step {n} of {steps}, forever: {forever}");
            // A failure in the very last step may turn out to have been done after all; it is never half of one.
            let now = of_ada(&scene);
            assert!(now == new || (!done && now == old), "{name}: {:?}", old.changes_to(&now));
            failed += usize::from(!done);
        }
    }
    println!("{steps} steps, {failed} times taken back");
}

/// A process may be forbidden to write files beyond a size; the system then ends it, unless it sees to that.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_an_answer_and_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_with_file_limit(folder.path(), 2000);
    let owner = program.owner();
    owner.saves(&json!({ "words": "small" })).expect(200);
    let kept = std::fs::read(program.data().join(OWNER).join("settings.json")).unwrap();
    let large = json!({ "words": "x".repeat(3 << 20) });
    for _ in 0..3 {
        let answer = owner.saves(&large).expect(500);
        assert!(answer.text().contains("larger than the server may write here"), "{answer}");
    }
    assert_eq!(std::fs::read(program.data().join(OWNER).join("settings.json")).unwrap(), kept);
    owner.saves(&json!({ "words": "small again" })).expect(200);
    assert!(program.stop().success());
}
