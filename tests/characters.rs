//! Characters, personas and lorebooks over a socket: what comes in goes out unharmed, what is hostile stays outside, and
//! nothing overwrites what it has not seen.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::ErrorKind;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use support::files::names_in;
use support::zips::zip_of;
use support::{Answer, Guest, Request, TestHouse};
use tavernkeep::store::Faults;

const PICTURE: &[u8] = include_bytes!("../src/library/characters/blank.png");

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind);
    sum.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &sum.finalize().to_be_bytes()].concat()
}

/// A card as SillyTavern writes it.
fn card(json: &Value) -> Vec<u8> {
    let mut newer = json.clone();
    newer["spec"] = json!("chara_card_v3");
    newer["spec_version"] = json!("3.0");
    let text = |keyword: &str, json: &Value| [keyword, "\0", &STANDARD.encode(json.to_string())].concat();
    let end = PICTURE.len() - 12;
    let (chara, ccv3) = (text("chara", json), text("ccv3", &newer));
    [&PICTURE[..end], &chunk(b"tEXt", chara.as_bytes()), &chunk(b"tEXt", ccv3.as_bytes()), &PICTURE[end..]].concat()
}

fn seraphine() -> Value {
    json!({
        "name": "Séraphine", "description": "A keeper of bees.", "personality": "calm", "scenario": "", "first_mes": "Hello!",
        "mes_example": "", "creatorcomment": "notes", "avatar": "none", "talkativeness": "0.5", "tags": ["bees", "calm"],
        "spec": "chara_card_v2", "spec_version": "2.0", "foreign": { "z": 1.50, "a": [null] },
        "data": {
            "name": "Séraphine", "description": "A keeper of bees.", "personality": "calm", "scenario": "",
            "first_mes": "Hello!", "mes_example": "", "creator_notes": "notes", "system_prompt": "",
            "post_history_instructions": "", "tags": ["bees", "calm"], "creator": "somebody", "character_version": "7",
            "alternate_greetings": ["Hi."], "unknown": 12,
            "extensions": { "talkativeness": "0.5", "fav": false, "world": "", "other_tool": { "deep": [1, 2] },
                "depth_prompt": { "prompt": "", "depth": 4, "role": "system" } },
            "character_book": { "name": "Bees", "entries": [
                { "id": 1, "keys": ["honey"], "content": "sweet", "enabled": true, "insertion_order": 10, "x": 1 },
            ] },
        },
    })
}

fn imports(guest: &Guest, bytes: &[u8]) -> Answer {
    guest.send(Request::new("POST", "/api/v1/characters/import").body("application/octet-stream", bytes))
}

fn id_of(answer: Answer) -> String {
    answer.expect(201).json()["id"].as_str().unwrap().to_owned()
}

fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn path(id: &str) -> String {
    format!("/api/v1/characters/{}", encoded(id))
}

#[test]
fn a_card_comes_in_and_goes_out_byte_for_byte() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let file = card(&seraphine());
    let id = id_of(imports(&ada, &file));
    assert_eq!(id, "Séraphine");
    assert_eq!(house.file("ada/characters/Séraphine.png"), file);
    assert!(house.path("ada/chats/Séraphine").is_dir());
    let out = ada.get(&format!("{}/export?format=png", path(&id))).expect(200);
    assert_eq!(out.body, file);
    assert!(out.header("content-disposition").unwrap().starts_with("attachment;"));
    let seen = ada.get(&path(&id)).expect(200).json();
    assert_eq!(seen["firstMessage"], "Hello!");
    assert_eq!(seen["alternateGreetings"], json!(["Hi."]));
    assert_eq!(seen["lorebook"], seraphine()["data"]["character_book"]);
    assert_eq!(seen["spec"], "chara_card_v3");
    let text = ada.get(&format!("{}/export?format=json", path(&id))).expect(200).json();
    assert_eq!(text["foreign"], seraphine()["foreign"]);
    assert_eq!(text["data"], seraphine()["data"]);
    // Saying what it says already changes no byte.
    let same = json!({ "version": seen["version"], "description": "A keeper of bees.", "tags": ["bees", "calm"] });
    assert_eq!(ada.patch(&path(&id), same).expect(200).json()["version"], seen["version"]);
    assert_eq!(house.file("ada/characters/Séraphine.png"), file);
    // A second one of the same name gets a number and hides nobody.
    assert_eq!(id_of(imports(&ada, &file)), "Séraphine1");
}

#[test]
fn every_format_comes_in() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let v1 = json!({ "name": "One", "description": "d", "first_mes": "hi", "foreign": 1 });
    let pygmalion = json!({ "char_name": "Pyg", "char_persona": "p", "char_greeting": "hey" });
    let id = id_of(imports(&ada, v1.to_string().as_bytes()));
    assert_eq!(ada.get(&path(&id)).expect(200).json()["firstMessage"], "hi");
    assert_eq!(ada.get(&format!("{}/export?format=json", path(&id))).json()["foreign"], 1);
    let id = id_of(imports(&ada, pygmalion.to_string().as_bytes()));
    assert_eq!(ada.get(&path(&id)).expect(200).json()["description"], "p");
    let id = id_of(imports(&ada, &card(&v1)));
    assert_eq!(id, "One1");
    // What belongs to whoever made the card stays with them.
    let mut private = seraphine();
    private["chat"] = json!("theirs");
    private["data"]["extensions"]["fav"] = json!(true);
    let seen = ada.get(&path(&id_of(imports(&ada, &card(&private))))).json();
    assert_eq!(seen["favorite"], false);
}

#[test]
fn a_charx_comes_in_with_its_pictures_and_goes_out_again() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let mut json = seraphine();
    json["spec"] = json!("chara_card_v3");
    json["data"]["assets"] = json!([
        { "type": "icon", "uri": "embeded://assets/icon/images/main.png", "name": "main", "ext": "png" },
        { "type": "emotion", "uri": "embeded://assets/emotion/joy.png", "name": "joy", "ext": "png" },
        { "type": "x-evil", "uri": "embeded://../../outside.png", "name": "../x", "ext": "png" },
    ]);
    let text = json.to_string();
    let zip = zip_of(&[
        ("card.json", text.as_bytes()),
        ("assets/icon/images/main.png", PICTURE),
        ("assets/emotion/joy.png", PICTURE),
        ("assets/other/note.txt", b"text"),
    ]);
    let id = id_of(imports(&ada, &zip));
    let seen = ada.get(&path(&id)).expect(200).json();
    assert_eq!(seen["description"], "A keeper of bees.");
    assert_eq!(house.file("ada/characters/Séraphine/joy.png"), PICTURE);
    let out = ada.get(&format!("{}/export?format=charx", path(&id))).expect(200);
    assert_eq!(&out.body[..4], b"PK\x03\x04");
    let again = id_of(imports(&ada, &out.body));
    let mut before = ada.get(&format!("{}/export?format=json", path(&id))).json();
    let after = ada.get(&format!("{}/export?format=json", path(&again))).json();
    before["data"].as_object_mut().unwrap().remove("assets");
    let mut after_data = after.clone();
    after_data["data"].as_object_mut().unwrap().remove("assets");
    assert_eq!(after_data, before);
    // With something before it, as self-extracting ones have.
    id_of(imports(&ada, &[b"\xff\xd8\xff some picture ".as_slice(), &zip].concat()));
}

#[test]
fn what_is_hostile_stays_outside() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let before = house.tree();
    let mut huge = card(&seraphine());
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    imports(&ada, &huge).expect_error(413, "too_large");
    let mut claims = PICTURE[..33].to_vec();
    claims.extend_from_slice(&(500u32 << 20).to_be_bytes());
    claims.extend_from_slice(b"tEXtchara\0AAAA");
    claims.resize(200, b'A');
    imports(&ada, &claims).expect_error(413, "too_large");
    for bad in [
        PICTURE.to_vec(),
        b"".to_vec(),
        b"<html><script>alert(1)</script>".to_vec(),
        b"{\"name\":".to_vec(),
        b"[1,2]".to_vec(),
        b"%PDF-1.7".to_vec(),
        card(&seraphine())[..400].to_vec(),
        format!("{{\"name\":\"x\",\"data\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
        zip_of(&[("other.json", b"{}")]),
        zip_of(&[("card.json", b"not json")]),
        zip_of(&[("../card.json", b"{\"name\":\"x\"}"), ("card.json", b"{\"name\":\"x\"}")]),
        zip_of(&[("CARD.json", b"{}"), ("card.json", b"{\"name\":\"x\"}")]),
        b"PK\x03\x04 and nothing".to_vec(),
    ] {
        let answer = imports(&ada, &bad);
        assert!(matches!(answer.code().as_str(), "bad_card" | "not_an_image" | "bad_archive"), "{answer}");
        assert_eq!(answer.status, 400, "{answer}");
    }
    before.is_still(&house.tree(), "hostile cards");
    let id = id_of(imports(&ada, &card(&seraphine())));
    for bad in [b"<svg onload=alert(1)>".as_slice(), b"%PDF-1.7", b""] {
        let put = Request::new("PUT", &format!("{}/picture", path(&id))).body("image/png", bad);
        ada.send(put).expect_error(400, "not_an_image");
    }
    let put = Request::new("PUT", &format!("{}/picture", path(&id))).body("image/png", huge);
    ada.send(put).expect_error(413, "too_large");
}

#[test]
fn a_bomb_in_a_zip_is_refused_quickly() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let before = house.tree();
    let zeros = vec![b' '; 300 << 20];
    let bomb = zip_of(&[("card.json", &zeros)]);
    drop(zeros);
    let started = std::time::Instant::now();
    let answer = imports(&ada, &bomb);
    assert!(matches!(answer.status, 400 | 413), "{answer}");
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    before.is_still(&house.tree(), "a bomb");
}

#[test]
fn scripts_in_every_field_come_out_as_words() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>[a](javascript:alert(1))";
    let mut json = seraphine();
    for name in [
        "name",
        "description",
        "personality",
        "scenario",
        "first_mes",
        "mes_example",
        "creator_notes",
        "creator",
        "character_version",
        "system_prompt",
        "post_history_instructions",
    ] {
        json["data"][name] = json!(evil);
    }
    json["data"]["tags"] = json!([evil]);
    json["data"]["alternate_greetings"] = json!([evil]);
    let id = id_of(imports(&ada, &card(&json)));
    assert!(!id.contains('<') && !id.contains('/'), "{id}");
    let answer = ada.get(&path(&id)).expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let seen = answer.json();
    assert_eq!(seen["description"], evil, "words are words; whoever shows them makes text of them");
    let html = seen["creatorNotesHtml"].as_str().unwrap().to_lowercase();
    assert!(!html.contains("<script") && !html.contains("<svg") && !html.contains("href=\"javascript"), "{html}");
    assert!(!html.contains("onerror"), "{html}");
    let list = ada.get("/api/v1/characters").expect(200);
    assert!(list.header("content-type").unwrap().starts_with("application/json"));
    assert!(!list.json()["items"][0]["summary"].as_str().unwrap().contains("<script"));
    // A page that says it is a picture is served as a picture.
    let png = [card(&seraphine()), b"<html><script>alert(1)</script>".to_vec()].concat();
    let id = id_of(imports(&ada, &png));
    let picture = ada.get(&format!("{}/picture", path(&id))).expect(200);
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert_eq!(picture.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn a_stale_edit_is_refused_with_both_versions() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let id = id_of(imports(&ada, &card(&seraphine())));
    let version = ada.get(&path(&id)).json()["version"].clone();
    let first = ada.patch(&path(&id), json!({ "version": version, "description": "one" })).expect(200).json();
    let stale = ada.patch(&path(&id), json!({ "version": version, "description": "two" })).expect_error(409, "stale");
    assert_eq!(stale.json()["details"], json!({ "expected": version, "found": first["version"] }));
    let seen = ada.get(&path(&id)).json();
    assert_eq!(seen["description"], "one");
    let text = ada.get(&format!("{}/export?format=json", path(&id))).json();
    assert_eq!(text["data"]["extensions"]["other_tool"], json!({ "deep": [1, 2] }));
    assert_eq!(text["description"], "one", "the copy for old readers follows");
    ada.patch(&path(&id), json!({ "version": first["version"], "unheard_of": 1 })).expect(400);
    ada.patch(&path(&id), json!({ "description": "x" })).expect(400);
    ada.patch(&path(&id), json!({ "version": first["version"], "talkativeness": 7 })).expect(400);
    // What was replaced can be brought back.
    let trash = ada.get("/api/v1/trash");
    if trash.status == 200 {
        assert_eq!(trash.json()[0]["kind"], "version");
    }
}

#[test]
fn editing_every_field_is_read_back() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let edit = json!({
        "name": "Bea", "description": "d", "personality": "p", "scenario": "s", "firstMessage": "f",
        "alternateGreetings": ["g", "h"], "exampleMessages": "e", "systemPrompt": "y", "postHistoryInstructions": "h",
        "creator": "c", "creatorNotes": "**n**", "characterVersion": "2", "tags": ["t"], "favorite": true,
        "talkativeness": 0.25, "depthPrompt": { "prompt": "q", "depth": 3, "role": "user" }, "world": "w",
        "lorebook": { "entries": [], "odd": 1.5 },
    });
    let made = ada.post("/api/v1/characters", edit.clone()).expect(201).json();
    for (name, value) in edit.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    assert!(made["creatorNotesHtml"].as_str().unwrap().contains("<strong>n</strong>"));
    ada.post("/api/v1/characters", json!({ "name": "  " })).expect_error(400, "bad_name");
    let copy = ada.post(&format!("{}/duplicate", path("Bea")), json!({})).expect(201).json();
    assert_eq!(copy["id"], "Bea_1");
    assert_eq!(ada.post(&format!("{}/duplicate", path("Bea_1")), json!({})).expect(201).json()["id"], "Bea_2");
    let assistant = ada.post("/api/v1/characters/assistant", json!({})).expect(201).json();
    assert_eq!(assistant["id"], "Assistant");
    ada.post("/api/v1/characters/assistant", json!({})).expect(200);
}

#[test]
fn the_list_is_searched_filtered_sorted_and_paged() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    for (name, tags, favorite) in
        [("Cleo", vec!["sea"], true), ("Ana", vec!["sea", "sky"], false), ("bob", vec!["sky"], false)]
    {
        let body =
            json!({ "name": name, "tags": tags, "favorite": favorite, "description": format!("{name} likes Tea") });
        ada.post("/api/v1/characters", body).expect(201);
    }
    std::fs::write(house.path("ada/characters/Broken.png"), b"not a picture").unwrap();
    ada.saves(&json!({ "tags": [{ "id": "7", "name": "mine" }], "tag_map": { "bob.png": ["7", "none"] } })).expect(200);
    let names = |query: &str| {
        let list = ada.get(&format!("/api/v1/characters?{query}")).expect(200).json();
        let items: Vec<String> =
            list["items"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_owned()).collect();
        (list["total"].as_u64().unwrap(), items.join(" "))
    };
    assert_eq!(names("sort=name"), (4, "Ana bob Broken Cleo".to_owned()));
    assert_eq!(names("sort=name&offset=1&limit=2"), (4, "bob Broken".to_owned()));
    assert_eq!(names("sort=name&tag=sea"), (2, "Ana Cleo".to_owned()));
    assert_eq!(names("tag=mine"), (1, "bob".to_owned()));
    assert_eq!(names("favorite=true"), (1, "Cleo".to_owned()));
    assert_eq!(names("q=tea+AN"), (1, "Ana".to_owned()));
    assert_eq!(names("q=sk&sort=name"), (2, "Ana bob".to_owned()));
    std::fs::create_dir_all(house.path("ada/chats/bob")).unwrap();
    std::fs::write(house.path("ada/chats/bob/bob - 1.jsonl"), b"{}").unwrap();
    names("sort=name");
    assert!(names("sort=recent").1.starts_with("bob"));
    let list = ada.get("/api/v1/characters?sort=name").json();
    assert_eq!(
        list["tags"],
        json!([{ "name": "sea", "count": 2 }, { "name": "sky", "count": 2 }, { "name": "mine", "count": 1 }])
    );
    assert_eq!(list["items"][1]["tags"], json!(["sky", "mine"]));
    assert_eq!(list["items"][1]["chatSize"], 2);
    assert!(list["items"][2]["damaged"].as_str().unwrap().contains("not a PNG"));
    ada.get("/api/v1/characters?sort=wrong").expect(400);
    ada.get("/api/v1/characters?limit=x").expect(400);
    // The damaged one is looked at, taken out and deleted like any other; only its words cannot be changed.
    let broken = ada.get(&path("Broken")).expect(200).json();
    assert!(broken["damaged"].is_string());
    ada.patch(&path("Broken"), json!({ "version": broken["version"], "name": "x" })).expect_error(409, "damaged");
    assert_eq!(ada.get(&format!("{}/export", path("Broken"))).expect(200).body, b"not a picture");
    ada.get(&format!("{}/picture?size=thumb", path("Broken"))).expect(200);
    assert_eq!(house.file("ada/characters/Broken.png"), b"not a picture");
}

#[test]
fn a_file_that_others_change_shows_at_once() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let first = |ada: &Guest| ada.get("/api/v1/characters").expect(200).json()["items"][0].clone();
    let id = id_of(imports(&ada, &card(&seraphine())));
    let before = first(&ada);
    let mut json = seraphine();
    json["data"]["name"] = json!("Another");
    std::fs::write(house.path("ada/characters/new.tmp"), card(&json)).unwrap();
    std::fs::rename(house.path("ada/characters/new.tmp"), house.path(&format!("ada/characters/{id}.png"))).unwrap();
    let after = first(&ada);
    assert_eq!(after["name"], "Another");
    assert_ne!(after["avatar"], before["avatar"]);
    std::fs::remove_file(house.path(&format!("ada/characters/{id}.png"))).unwrap();
    assert_eq!(ada.get("/api/v1/characters").json()["total"], 0);
    // The derived file may be deleted or damaged at any time.
    let index = house.path("_system/index/characters/ada.json");
    assert!(index.exists());
    std::fs::write(&index, b"{ damaged").unwrap();
    imports(&ada, &card(&seraphine())).expect(201);
    house.app().characters.forget(&tavernkeep::store::Handle::parse("ada").unwrap());
    assert_eq!(ada.get("/api/v1/characters").json()["total"], 1);
}

#[test]
fn pictures_are_served_small_and_large_and_may_be_kept() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let id = id_of(imports(&ada, &card(&seraphine())));
    let avatar = ada.get(&path(&id)).json()["avatar"].as_str().unwrap().to_owned();
    let full = ada.get(&avatar).expect(200);
    assert_eq!(full.header("cache-control"), Some("private, max-age=31536000, immutable"));
    assert_eq!(full.header("content-type"), Some("image/png"));
    let thumb = ada.get(&format!("{avatar}&size=thumb")).expect(200);
    assert_eq!(thumb.header("content-type"), Some("image/jpeg"));
    assert!(thumb.body.starts_with(b"\xff\xd8\xff") && thumb.body.ends_with(b"\xff\xd9"));
    assert_eq!(ada.get(&format!("{avatar}&size=thumb")).body, thumb.body);
    ada.get(&format!("{avatar}&size=small")).expect(200);
    assert_eq!(names_in(&house.path("ada/thumbnails/avatar")), [format!("{id}.png")]);
    let etag = thumb.header("etag").unwrap().to_owned();
    ada.send(Request::new("GET", &format!("{avatar}&size=thumb")).header("If-None-Match", &etag)).expect(304);
    // Another picture: the words stay, the small ones are made anew, and what was there can be brought back.
    let text = ada.get(&format!("{}/export?format=json", path(&id))).json();
    let put = Request::new("PUT", &format!("{}/picture?crop=0,0,40,60", path(&id))).body("image/png", PICTURE);
    let seen = ada.send(put).expect(200).json();
    assert_ne!(seen["avatar"], avatar.as_str());
    assert_eq!(ada.get(&format!("{}/export?format=json", path(&id))).json(), text);
    assert!(names_in(&house.path("ada/thumbnails/avatar")).is_empty());
    let full = ada.get(seen["avatar"].as_str().unwrap()).expect(200);
    assert_eq!(&full.body[16..24], &[0, 0, 0, 40, 0, 0, 0, 60]);
    assert_eq!(names_in(&house.path("ada/trash")).len(), 1);
    // An old address still shows what there is, and promises nothing.
    assert_eq!(ada.get(&avatar).expect(200).header("cache-control"), Some("private, no-cache"));
    house.moves_in("bob").get(&avatar).expect(404);
}

#[test]
fn another_name_takes_chats_tags_and_groups_along() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let id = id_of(imports(&ada, &card(&seraphine())));
    std::fs::write(house.path("ada/chats/Séraphine/a.jsonl"), b"{}").unwrap();
    std::fs::write(house.path("ada/groups/1.json"), "{\n    \"members\": [\n        \"Séraphine.png\"\n    ]\n}")
        .unwrap();
    ada.saves(&json!({ "zebra": 1, "tag_map": { "Séraphine.png": ["7"] } })).expect(200);
    let renamed = ada.post(&format!("{}/rename", path(&id)), json!({ "name": "Bea: the 2nd" })).expect(200).json();
    assert_eq!((renamed["id"].as_str().unwrap(), renamed["name"].as_str().unwrap()), ("Bea the 2nd", "Bea: the 2nd"));
    assert_eq!(names_in(&house.path("ada/chats/Bea the 2nd")), ["a.jsonl"]);
    assert!(!house.path("ada/characters/Séraphine.png").exists() && !house.path("ada/chats/Séraphine").exists());
    assert_eq!(house.settings_of("ada")["tag_map"], json!({ "Bea the 2nd.png": ["7"] }));
    assert_eq!(house.json_file("ada/groups/1.json")["members"], json!(["Bea the 2nd.png"]));
    ada.get(&path(&id)).expect(404);
    // A name that is taken gets a number; the present one may stay.
    imports(&ada, &card(&seraphine())).expect(201);
    let again = ada.post(&format!("{}/rename", path("Séraphine")), json!({ "name": "Bea: the 2nd" })).expect(200);
    assert_eq!(again.json()["id"], "Bea the 2nd1");
    let same = ada.post(&format!("{}/rename", path("Bea the 2nd")), json!({ "name": "Bea the 2nd" })).expect(200);
    assert_eq!(same.json()["id"], "Bea the 2nd");
}

#[test]
fn what_is_deleted_is_in_the_trash() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let file = card(&seraphine());
    let id = id_of(imports(&ada, &file));
    std::fs::write(house.path("ada/chats/Séraphine/a.jsonl"), b"{}").unwrap();
    ada.delete(&path(&id)).expect(204);
    assert!(house.path("ada/chats/Séraphine/a.jsonl").exists(), "chats stay unless one says otherwise");
    ada.get(&path(&id)).expect(404);
    ada.delete(&path(&id)).expect(404);
    imports(&ada, &file).expect(201);
    ada.delete(&format!("{}?chats=true", path(&id))).expect(204);
    assert!(!house.path("ada/chats/Séraphine").exists());
    let handle = tavernkeep::store::Handle::parse("ada").unwrap();
    let bin = &house.app().bin;
    let newest = bin.list(&handle).unwrap()[0].clone();
    assert_eq!(newest.name, "Séraphine");
    bin.restore(&handle, &newest.id, |_, _| Ok(())).unwrap();
    assert_eq!(house.file("ada/characters/Séraphine.png"), file);
    assert!(house.path("ada/chats/Séraphine/a.jsonl").exists());
    ada.get(&path(&id)).expect(200);
}

#[test]
fn personas_live_in_the_settings_and_nothing_else_there_changes() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "zebra": 1.5, "power_user": { "other": [1], "personas": { "old.png": "Old" } }, "last": true }))
        .expect(200);
    let before = String::from_utf8(house.file("ada/settings.json")).unwrap();
    let made = ada.post("/api/v1/personas", json!({ "name": "Me", "description": "curious" })).expect(201).json();
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with(".png") && house.path(&format!("ada/User Avatars/{id}")).exists());
    let settings = house.settings_of("ada");
    assert_eq!(settings["power_user"]["personas"][&id], "Me");
    assert_eq!(settings["power_user"]["persona_descriptions"][&id]["description"], "curious");
    let persona = format!("/api/v1/personas/{}", encoded(&id));
    let seen = made["version"].clone();
    let change = json!({ "version": seen, "name": "Myself", "position": 4, "depth": 1, "role": 1 });
    let changed = ada.patch(&persona, change).expect(200).json();
    ada.patch(&persona, json!({ "version": changed["version"], "position": 5 })).expect(400);
    ada.patch(&persona, json!({ "version": changed["version"], "name": "" })).expect(400);
    // A change names what it replaces, and one that comes late is told.
    ada.patch(&persona, json!({ "name": "x" })).expect_error(400, "bad_request");
    let stale = ada.patch(&persona, json!({ "version": seen, "name": "x" })).expect_error(409, "stale").json();
    assert_eq!(stale["details"], json!({ "expected": seen, "found": changed["version"] }));
    ada.post(&format!("{persona}/default"), json!({})).expect(204);
    let list = ada.get("/api/v1/personas").expect(200).json();
    assert_eq!(list["default"], id.as_str());
    assert_eq!(list["items"][0]["name"], "Myself");
    assert_eq!(list["items"][0]["default"], true);
    assert_eq!(list["items"][1]["name"], "Old");
    ada.get(list["items"][0]["avatar"].as_str().unwrap()).expect(200);
    ada.get(list["items"][1]["avatar"].as_str().unwrap()).expect(200);
    let put = Request::new("PUT", &format!("{persona}/picture?crop=0,0,20,20")).body("image/png", PICTURE);
    assert_ne!(ada.send(put).expect(200).json()["avatar"], list["items"][0]["avatar"]);
    ada.delete(&persona).expect(204);
    ada.get(&format!("{persona}/picture")).expect(404);
    ada.patch("/api/v1/personas/none.png", json!({ "version": seen, "name": "x" })).expect(404);
    // All that is left of it are the empty places where it was.
    let after = String::from_utf8(house.file("ada/settings.json")).unwrap();
    let (before, after): (Value, Value) =
        (serde_json::from_str(&before).unwrap(), serde_json::from_str(&after).unwrap());
    assert_eq!(after["power_user"]["default_persona"], Value::Null);
    assert_eq!(after["power_user"]["personas"], before["power_user"]["personas"]);
    assert_eq!(after["zebra"], before["zebra"]);
    assert_eq!(after["power_user"]["other"], before["power_user"]["other"]);
}

#[test]
fn lorebooks_are_kept_as_they_are_and_guarded_by_their_version() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let text = r#"{"entries":{"0":{"uid":0,"key":["a"],"odd":1.50}},"extensions":{}}"#;
    let put = |version: Option<&str>, text: &str| {
        let request = Request::new("PUT", "/api/v1/lorebooks/My%20World").body("application/json", text);
        ada.send(match version {
            Some(version) => request.header("If-Match", version),
            None => request,
        })
    };
    put(None, text).expect(201);
    put(None, text).expect_error(409, "conflict");
    put(None, r#"{"entries":[]}"#).expect_error(400, "bad_lorebook");
    let got = ada.get("/api/v1/lorebooks/My%20World").expect(200);
    assert!(got.text().contains("1.50"));
    let version = got.header("etag").unwrap().to_owned();
    put(Some(&version), &text.replace("1.50", "2.50")).expect(200);
    put(Some(&version), text).expect_error(409, "stale");
    assert_eq!(ada.get("/api/v1/lorebooks").json(), json!([{ "name": "My World", "entries": 1 }]));
    std::fs::write(house.path("ada/worlds/Broken.json"), b"{").unwrap();
    assert_eq!(ada.get("/api/v1/lorebooks").json()[0], json!({ "name": "Broken", "entries": 0, "damaged": true }));
    let import = |bytes: &[u8], name: &str| {
        let request = Request::new("POST", "/api/v1/lorebooks/import").body("application/octet-stream", bytes);
        ada.send(request.header("X-File-Name", name))
    };
    assert_eq!(import(text.as_bytes(), "My%20World.json").expect(201).json()["name"], "My World 1");
    assert_eq!(import(&card(&seraphine()), "").expect(201).json()["name"], "Bees");
    assert_eq!(house.json_file("ada/worlds/Bees.json")["entries"]["1"]["key"], json!(["honey"]));
    assert_eq!(house.json_file("ada/worlds/Bees.json")["originalData"]["entries"][0]["x"], 1);
    import(b"[]", "x.json").expect_error(400, "bad_lorebook");
    import(b"{}", "../../x.json").expect_error(400, "bad_lorebook");
    let id = id_of(imports(&ada, &card(&seraphine())));
    let made = ada.post(&format!("{}/lorebook", path(&id)), json!({})).expect(201);
    assert_eq!(made.json()["name"], "Bees 1");
    ada.delete("/api/v1/lorebooks/Bees").expect(204);
    ada.get("/api/v1/lorebooks/Bees").expect(404);
    ada.delete("/api/v1/lorebooks/Bees").expect(404);
}

/// What is replaced can be brought back: each picture, and of words what they were before a burst of changes.
#[test]
fn what_a_persona_and_a_lorebook_were_can_be_brought_back() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let made = ada.post("/api/v1/personas", json!({ "name": "Me", "description": "first" })).expect(201).json();
    let (id, mut version) = (made["id"].as_str().unwrap(), made["version"].clone());
    let persona = format!("/api/v1/personas/{id}");
    for words in ["second", "third"] {
        let change = json!({ "version": version, "description": words });
        version = ada.patch(&persona, change).expect(200).json()["version"].clone();
    }
    let book = |words: &str, version: Option<&str>| {
        let put = Request::new("PUT", "/api/v1/lorebooks/Bees");
        let put = put.json(&json!({ "entries": { "0": { "content": words } } }));
        ada.send(version.map_or(put.clone(), |version| put.header("If-Match", version)))
    };
    let mut seen = book("first", None).expect(201).json()["version"].as_str().unwrap().to_owned();
    for words in ["second", "second", "third"] {
        seen = book(words, Some(&seen)).expect(200).json()["version"].as_str().unwrap().to_owned();
    }
    let blank = house.file(&format!("ada/User Avatars/{id}"));
    let put = Request::new("PUT", &format!("{persona}/picture?crop=0,0,9,9"));
    ada.send(put.body("image/png", PICTURE)).expect(200);

    let trash = ada.get("/api/v1/trash").expect(200).json();
    let kept = |thing: &str| {
        let all = trash.as_array().unwrap().iter();
        all.filter(|one| one["kind"] == "version" && one["thing"] == thing).collect::<Vec<_>>()
    };
    assert_eq!((kept("persona").len(), kept("lorebook").len()), (2, 1), "{trash}");
    let back = |one: &Value| {
        let id = one["id"].as_str().unwrap();
        ada.post(&format!("/api/v1/trash/{id}/restore"), json!({})).expect(200).json()
    };
    let book = back(kept("lorebook")[0]);
    let name = book["lorebook"].as_str().unwrap();
    let text = ada.get(&format!("/api/v1/lorebooks/{}", name.replace(' ', "%20").replace('#', "%23"))).expect(200);
    assert_eq!(text.json()["entries"]["0"]["content"], "first");
    // The newest is the one before the picture, the oldest the one before the words.
    for (one, words) in kept("persona").into_iter().zip(["third", "first"]) {
        let back = back(one);
        let (name, all) = (back["persona"].as_str().unwrap(), ada.get("/api/v1/personas").expect(200).json());
        let all = all["items"].as_array().unwrap();
        let found = all.iter().find(|item| item["id"].as_str().unwrap().starts_with(name)).unwrap();
        assert_eq!((&found["name"], &found["description"]), (&json!("Me"), &json!(words)));
        assert_eq!(house.file(&format!("ada/User Avatars/{}", found["id"].as_str().unwrap())), blank);
    }
    let live = ada.get("/api/v1/personas").expect(200).json();
    let live = live["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap();
    assert_eq!((&live["description"], live["version"] == version), (&json!("third"), true));
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Import,
    Edit,
    Picture,
    Rename,
    Delete,
    NewPersona,
    DeletePersona,
    Lorebook,
}

impl Act {
    fn run(self, ada: &Guest, version: &str) -> Answer {
        match self {
            Self::Import => imports(ada, &card(&seraphine())),
            Self::Edit => ada.patch(&path("Old"), json!({ "version": version, "description": "new" })),
            Self::Picture => {
                let put = format!("{}/picture?crop=0,0,9,9", path("Old"));
                ada.send(Request::new("PUT", &put).body("image/png", PICTURE))
            }
            Self::Rename => ada.post(&format!("{}/rename", path("Old")), json!({ "name": "New" })),
            Self::Delete => ada.delete(&format!("{}?chats=true", path("Old"))),
            Self::NewPersona => ada.post("/api/v1/personas", json!({ "name": "Fresh" })),
            Self::DeletePersona => ada.delete("/api/v1/personas/p.png"),
            Self::Lorebook => {
                ada.send(Request::new("PUT", "/api/v1/lorebooks/L").body("application/json", r#"{"entries":{}}"#))
            }
        }
    }
}

/// What a person sees of their things: old or new, never other.
fn seen(ada: &Guest) -> String {
    let list = ada.get("/api/v1/characters?sort=name").expect(200).json();
    let mut out = String::new();
    for item in list["items"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap();
        let card = ada.get(&path(id)).expect(200).json();
        let picture = ada.get(&format!("{}/picture", path(id))).expect(200).body;
        out += &format!("{id}:{}:{}:{:?}:{};", card["name"], card["description"], &picture[16..24], item["chats"]);
    }
    let personas = ada.get("/api/v1/personas").expect(200).json();
    for item in personas["items"].as_array().unwrap() {
        out += &format!("{};", item["name"]);
    }
    out + &ada.get("/api/v1/lorebooks").expect(200).text()
}

#[rstest]
#[case(Act::Import)]
#[case(Act::Edit)]
#[case(Act::Picture)]
#[case(Act::Rename)]
#[case(Act::Delete)]
#[case(Act::NewPersona)]
#[case(Act::DeletePersona)]
#[case(Act::Lorebook)]
fn every_step_of_a_write_may_fail(#[case] act: Act) {
    let build = |forever: bool| {
        let faults = Faults::at(0, ErrorKind::StorageFull, forever);
        let house = TestHouse::on_failing_disk(&faults);
        let ada = house.moves_in("ada");
        ada.post("/api/v1/characters", json!({ "name": "Old", "description": "old" })).expect(201);
        std::fs::write(house.path("ada/chats/Old/a.jsonl"), b"{}").unwrap();
        let personas =
            json!({ "personas": { "p.png": "P" }, "persona_descriptions": { "p.png": { "description": "d" } } });
        ada.saves(&json!({ "power_user": personas, "tag_map": { "Old.png": ["1"] } })).expect(200);
        std::fs::write(house.path("ada/User Avatars/p.png"), PICTURE).unwrap();
        let version = ada.get(&path("Old")).json()["version"].as_str().unwrap().to_owned();
        let old = seen(&ada);
        (house, faults, ada, version, old)
    };
    let (house, faults, ada, version, old) = build(false);
    faults.rearm(0);
    let answer = act.run(&ada, &version);
    assert!((200..300).contains(&answer.status), "{answer}");
    let steps = faults.seen();
    let new = seen(&ada);
    assert_ne!(old, new, "{act:?}");
    drop(house);
    for forever in [false, true] {
        let mut n = 0;
        while n < steps {
            // One house serves for all steps that change nothing in the end.
            let (house, faults, ada, version, old) = build(forever);
            loop {
                n += 1;
                faults.rearm(n);
                let answer = act.run(&ada, &version);
                let name = format!("{act:?}, step {n} of {steps}, forever: {forever}");
                let ok = (200..300).contains(&answer.status);
                assert!(ok || answer.code() == "storage", "{name}: {answer}");
                faults.rearm(0);
                let now = seen(&ada);
                assert!(now == old || now == new, "{name}: {now}\nneither {old}\nnor {new}");
                assert!(!ok || now == new, "{name}: it said it was done and is not");
                if now != old || n >= steps {
                    break;
                }
            }
            drop(house);
        }
    }
}
