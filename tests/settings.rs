//! Settings and their snapshots: what is saved is what comes back, nothing overwrites what it has not seen, and a damaged
//! file never hides the others.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::sync::Barrier;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Guest, Request, TestHouse};

/// Sends a text as it is, not as a value that has been read and written again.
fn saves_text(guest: &Guest, text: &[u8]) -> Answer {
    guest.send(Request::new("POST", "/api/settings/save").body("application/json", text))
}

fn puts(guest: &Guest, version: &str, text: &str) -> Answer {
    let request = Request::new("PUT", "/api/v1/me/settings").body("application/json", text.as_bytes());
    guest.send(request.header("If-Match", version))
}

fn version(guest: &Guest) -> String {
    guest.get("/api/v1/me/settings").expect(200).header("etag").unwrap().to_owned()
}

#[test]
fn a_save_keeps_every_key_number_and_order_as_sent() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let text = r#"{"zebra":1.50,"apple":1e5,"big":123456789012345678901234567890,"neg":-0.0,"u":"é\u00e9\ud83d\ude00",
        "unknown_of_tomorrow":{"b":[],"a":{}},"__proto__":{"x":1},"list":[3,1,2],"":null}"#;
    saves_text(&ada, text.as_bytes()).expect(200);
    let file = String::from_utf8(house.file("ada/settings.json")).unwrap();
    let tight = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(tight(&file), tight(text));
    assert!(file.starts_with("{\n    \"zebra\": 1.50,\n"), "{file}");
    let got = ada.post("/api/settings/get", json!({})).expect(200).json();
    assert_eq!(got["settings"], Value::String(file.clone()));
    assert_eq!(ada.get("/api/v1/me/settings").expect(200).text(), file);
    // What came back is saved again and changes nothing.
    saves_text(&ada, file.as_bytes()).expect(200);
    assert_eq!(String::from_utf8(house.file("ada/settings.json")).unwrap(), file);
}

#[rstest]
#[case(b"")]
#[case(b"{}")]
#[case(b"[]")]
#[case(b"null")]
#[case(b"\"text\"")]
#[case(b"{\"a\":}")]
#[case(b"{\"a\":1")]
#[case(b"{\"a\":1}{\"b\":2}")]
#[case(b"{\"a\":\"\xff\"}")]
#[case(b"\xef\xbb\xbf{\"a\":1}")]
#[case(b"{'a':1}")]
#[case(b"{\"a\":NaN}")]
fn what_is_not_an_object_is_refused_and_the_old_file_stays(#[case] text: &[u8]) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "old" })).expect(200);
    let before = house.tree();
    saves_text(&ada, text).expect(400);
    let request = Request::new("PUT", "/api/v1/me/settings").body("application/json", text);
    let put = ada.send(request.header("If-Match", &version(&ada)));
    // Through our own dialect, an empty object is what somebody asked for.
    assert!(put.status == 400 || text == b"{}", "{put}");
    if text != b"{}" {
        before.is_still(&house.tree(), "a refused save");
    }
}

#[test]
fn a_save_without_json_does_not_wipe_the_settings() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "old" })).expect(200);
    for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = Request::new("POST", "/api/settings/save").body(media_type, br#"{"words":"new"}"#.to_vec());
        ada.send(request).expect(400);
    }
    ada.send(Request::new("POST", "/api/settings/save")).expect(400);
    assert_eq!(house.settings_of("ada"), json!({ "words": "old" }));
}

#[rstest]
#[case::cut_short(b"{\n    \"words\": \"ol")]
#[case::empty(b"")]
#[case::zeros(b"\0\0\0\0\0\0\0\0")]
#[case::another_kind(b"[1,2,3]")]
fn a_damaged_file_is_set_aside_and_the_last_good_one_offered(#[case] damage: &[u8]) {
    let house = TestHouse::open();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    ada.saves(&json!({ "words": "good" })).expect(200);
    bob.saves(&json!({ "words": "bob's" })).expect(200);
    let bobs = house.tree().only(|name| name.starts_with("bob/"));
    std::fs::write(house.path("ada/settings.json"), damage).unwrap();

    let state = ada.get("/api/v1/me/settings/state").expect(200).json();
    assert_eq!(state["state"], "damaged");
    ada.get("/").expect(200);
    ada.get("/api/v1/me").expect(200);
    let got = ada.post("/api/settings/get", json!({})).expect(200).json();
    assert!(got["settings"].as_str().unwrap().contains("firstRun"));
    let state = ada.get("/api/v1/me/settings/state").expect(200).json();
    assert_eq!(state["state"], "damaged", "{state}");
    let aside = state["damagedCopies"][0].as_str().unwrap();
    assert_eq!(house.file(&format!("ada/{aside}")), damage);
    let good = state["lastGood"].as_str().unwrap();
    ada.post(&format!("/api/v1/me/snapshots/{good}/restore"), json!({})).expect(204);
    assert_eq!(house.settings_of("ada"), json!({ "words": "good" }));
    assert_eq!(ada.get("/api/v1/me/settings/state").json()["state"], "ok");
    bobs.is_still(&house.tree().only(|name| name.starts_with("bob/")), "ada's damage");
}

#[test]
fn the_first_save_makes_a_snapshot_under_sillytaverns_name() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    assert_eq!(house.snapshots_of("ada"), Vec::<String>::new());
    ada.saves(&json!({ "words": 1 })).expect(200);
    let names = house.snapshots_of("ada");
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let stamp = names[0].strip_prefix("settings_ada_").unwrap().strip_suffix(".json").unwrap();
    let (day, time) = stamp.split_once('-').unwrap();
    assert!(names.len() == 1 && day.len() == 8 && time.len() == 6 && digits(day) && digits(time), "{names:?}");
    assert_eq!(house.file(&format!("ada/backups/{}", names[0])), house.file("ada/settings.json"));
    // Not one with each save: SillyTavern makes one in ten minutes.
    ada.saves(&json!({ "words": 2 })).expect(200);
    assert_eq!(house.snapshots_of("ada"), names);
    let listed = ada.post("/api/settings/get-snapshots", json!({})).expect(200).json();
    assert_eq!((&listed[0]["name"], listed.as_array().unwrap().len()), (&json!(names[0]), 1));
    let text = ada.post("/api/settings/load-snapshot", json!({ "name": names[0] })).expect(200);
    assert_eq!(text.body, house.file(&format!("ada/backups/{}", names[0])));
}

#[test]
fn identical_snapshots_are_not_kept_twice() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": 1 })).expect(200);
    let again = ada.post("/api/v1/me/snapshots", json!({})).expect(200).json();
    assert_eq!(again, json!({ "name": house.snapshots_of("ada")[0], "made": false }));
    ada.post("/api/settings/make-snapshot", json!({})).expect(204);
    assert_eq!(house.snapshots_of("ada").len(), 1);
    ada.saves(&json!({ "words": 2 })).expect(200);
    assert_eq!(ada.post("/api/v1/me/snapshots", json!({})).json()["made"], true);
    assert_eq!(house.snapshots_of("ada").len(), 2);
}

#[test]
fn only_so_many_snapshots_are_kept_and_the_oldest_goes() {
    let house = TestHouse::with(|config| config.backups.common.number_of_backups = 3);
    let ada = house.moves_in("ada");
    for n in 0..6 {
        ada.saves(&json!({ "words": n })).expect(200);
        ada.post("/api/settings/make-snapshot", json!({})).expect(204);
    }
    let mut kept: Vec<Value> = Vec::new();
    for name in house.snapshots_of("ada") {
        kept.push(house.json_file(&format!("ada/backups/{name}"))["words"].clone());
    }
    kept.sort_by_key(Value::as_u64);
    assert_eq!(kept, [3, 4, 5]);
}

#[test]
fn bringing_a_snapshot_back_keeps_what_was_there() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "first" })).expect(200);
    let first = house.snapshots_of("ada")[0].clone();
    ada.saves(&json!({ "words": "second", "new": [1] })).expect(200);
    let diff = ada.get(&format!("/api/v1/me/snapshots/{first}/diff")).expect(200).json();
    let kinds: Vec<_> =
        diff["changes"].as_array().unwrap().iter().map(|c| (c["path"].clone(), c["kind"].clone())).collect();
    assert!(kinds.contains(&(json!(["words"]), json!("changed"))), "{diff}");
    ada.post(&format!("/api/v1/me/snapshots/{first}/restore"), json!({})).expect(204);
    assert_eq!(house.events("settings_snapshot_restored").last().unwrap()["details"]["snapshot"], first);
    assert_eq!(house.settings_of("ada"), json!({ "words": "first" }));
    let list = ada.get("/api/v1/me/snapshots").expect(200).json();
    let kept = list.as_array().unwrap().iter().find(|snapshot| snapshot["name"] != json!(first)).unwrap();
    let name = kept["name"].as_str().unwrap();
    assert_eq!(ada.get(&format!("/api/v1/me/snapshots/{name}")).json(), json!({ "words": "second", "new": [1] }));
    ada.delete(&format!("/api/v1/me/snapshots/{name}")).expect(204);
    ada.delete(&format!("/api/v1/me/snapshots/{name}")).expect_error(404, "not_found");
    assert_eq!(house.snapshots_of("ada"), [first]);
}

#[test]
fn a_reset_goes_back_to_the_defaults_and_keeps_a_snapshot() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let defaults = house.file("ada/settings.json");
    ada.saves(&json!({ "words": "mine" })).expect(200);
    ada.saves(&json!({ "words": "newest" })).expect(200);
    ada.post("/api/v1/me/settings/reset", json!({ "password": "wrong" })).expect_error(403, "wrong_password");
    ada.post("/api/v1/me/settings/reset", json!({ "password": support::password_of("ada") })).expect(204);
    assert_eq!(house.file("ada/settings.json"), defaults);
    assert!(!house.tree().only(|name| name.starts_with("ada/backups/")).holding("newest").is_empty());
}

#[test]
fn a_stale_save_is_refused_with_both_versions() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let old = version(&ada);
    puts(&ada, &old, r#"{"words":"first"}"#).expect(200);
    let now = version(&ada);
    let before = house.tree();
    let answer = puts(&ada, &old, r#"{"words":"second"}"#).expect_error(409, "stale");
    let text = answer.json()["details"].to_string();
    assert!(text.contains(old.trim_matches('"')) && text.contains(now.trim_matches('"')), "{text}");
    for wrong in ["", "\"\"", "*", "W/\"x\"", "\"0000\""] {
        assert!([400, 409].contains(&puts(&ada, wrong, "{}").status), "{wrong}");
    }
    ada.send(Request::new("PUT", "/api/v1/me/settings").json(&json!({}))).expect(400);
    before.is_still(&house.tree(), "a stale save");
}

/// Four writers who each save only what they have read: for every version one of them wins, and every increment counts.
#[test]
fn of_two_writers_one_wins_each_version() {
    const WRITERS: usize = 4;
    const EACH: usize = 12;
    let house = TestHouse::open();
    house.moves_in("ada").saves(&json!({ "count": 0 })).expect(200);
    let start = Barrier::new(WRITERS);
    let refused: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let guest = house.signed_in("ada");
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let (mut won, mut refused) = (0, 0);
                    while won < EACH {
                        let read = guest.get("/api/v1/me/settings").expect(200);
                        let count = read.json()["count"].as_u64().unwrap();
                        let text = json!({ "count": count + 1 }).to_string();
                        match puts(&guest, read.header("etag").unwrap(), &text).status {
                            200 => won += 1,
                            409 => refused += 1,
                            other => panic!("{other}"),
                        }
                    }
                    refused
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    println!("{refused} stale saves were refused");
    assert_eq!(house.settings_of("ada"), json!({ "count": WRITERS * EACH }));
}

#[test]
fn snapshot_names_lead_nowhere_else() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": 1 })).expect(200);
    let before = house.tree();
    for name in ["../settings.json", "settings.json", "..", "", "settings_ada_/../../../bob/settings.json", "a\0b"] {
        for path in ["/api/settings/load-snapshot", "/api/settings/restore-snapshot"] {
            let answer = ada.post(path, json!({ "name": name }));
            assert!([400, 404].contains(&answer.status), "{name:?}: {answer}");
        }
    }
    for name in ["..%2fsettings.json", "%2e%2e", "settings_ada_%2f..%2f..%2fsettings.json", "settings_ada_%00"] {
        for (method, end) in [("GET", ""), ("GET", "/diff"), ("POST", "/restore"), ("DELETE", "")] {
            let answer = ada.send(Request::new(method, &format!("/api/v1/me/snapshots/{name}{end}")));
            assert!([400, 404].contains(&answer.status), "{answer}");
        }
    }
    before.is_still(&house.tree(), "a strange name");
}
