//! T11 and T10 over HTTP: a backup taken while its owner writes is one moment; whoever receives it slowly or leaves delays
//! nobody; what is brought back is what was taken, and can be undone; a hostile archive is refused whole.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use support::zips::{unzip, zip_of};
use support::{Answer, Guest, Request, TestHouse, eventually, files};

fn ticket(guest: &Guest, secrets: bool) -> Value {
    guest.post("/api/v1/me/backups", json!({ "secrets": secrets })).expect(200).json()
}

fn id_of(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

fn download(guest: &Guest) -> Vec<u8> {
    guest.get(ticket(guest, false)["url"].as_str().unwrap()).expect(200).body
}

fn state(guest: &Guest, id: &str) -> Value {
    guest.get(&format!("/api/v1/me/backups/{id}")).expect(200).json()
}

fn upload(guest: &Guest, zip: Vec<u8>) -> Answer {
    guest.send(Request::new("POST", "/api/v1/me/restores").body("application/zip", zip))
}

/// Bytes that do not pack, so that what is sent is as long as what is there.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(length / 8).flatten().collect()
}

#[test]
fn a_backup_holds_everything_but_secrets_and_caches() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "mine" })).expect(200);
    for (path, text) in
        [("secrets.json", "{\"api_key\":\"sk-1\"}"), ("characters/Böb.png", "png"), ("thumbnails/bg/x.jpg", "x")]
    {
        std::fs::write(house.path(&format!("ada/{path}")), text).unwrap();
    }
    let asked = ticket(&ada, false);
    assert!(asked["fileName"].as_str().unwrap().starts_with("ada-"));
    let answer = ada.get(asked["url"].as_str().unwrap()).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    let name = format!("attachment; filename=\"{}\"", asked["fileName"].as_str().unwrap());
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
    let zip = unzip(&answer.body);
    assert_eq!(zip["settings.json"], house.file("ada/settings.json"));
    assert_eq!(zip["characters/Böb.png"], b"png");
    assert!(
        !zip.contains_key("secrets.json") && !zip.keys().any(|name| name.starts_with("thumbnails/")),
        "{:?}",
        zip.keys()
    );
    let with = unzip(&ada.get(ticket(&ada, true)["url"].as_str().unwrap()).expect(200).body);
    assert_eq!(with["secrets.json"], b"{\"api_key\":\"sk-1\"}");
    eventually("both are in the log", || house.events("backup_taken").len() == 2);

    // As SillyTavern's client asks for it.
    let answer = ada.post("/api/users/backup", json!({ "handle": "ada" })).expect(200);
    assert_eq!(unzip(&answer.body)["settings.json"], house.file("ada/settings.json"));
}

#[test]
fn a_ticket_is_good_for_one_download_by_whoever_asked() {
    let house = TestHouse::open();
    let (ada, bob, owner) = (house.moves_in("ada"), house.moves_in("bob"), house.owner());
    let asked = ticket(&ada, false);
    let (id, url) = (id_of(&asked), asked["url"].as_str().unwrap().to_owned());
    for stranger in [&bob, &owner] {
        stranger.get(&url).expect_error(404, "not_found");
        stranger.get(&format!("/api/v1/me/backups/{id}")).expect_error(404, "not_found");
    }
    house.anonymous().get(&url).expect(401);
    assert_eq!(state(&ada, &id)["state"], "waiting");
    ada.get(&url).expect(200);
    ada.get(&url).expect_error(409, "conflict");
    eventually("it is done", || state(&ada, &id)["state"] == "done");
    let done = state(&ada, &id);
    assert_eq!((&done["bytesDone"], &done["filesDone"]), (&done["bytes"], &done["files"]));

    let of_ada = owner.post("/api/v1/users/ada/backups", json!({ "secrets": false })).expect(200).json();
    let zip = unzip(&owner.get(of_ada["url"].as_str().unwrap()).expect(200).body);
    assert_eq!(zip["settings.json"], house.file("ada/settings.json"));
}

/// A writer counts in the settings, and puts the same count into a file beside; both go through the house's own writes, as
/// one change, so every backup has to find them equal.
#[test]
fn a_backup_taken_during_writes_is_one_moment() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    for n in 0..40 {
        std::fs::write(house.path(&format!("ada/characters/{n}.png")), noise(100_000)).unwrap();
    }
    ada.saves(&json!({ "count": 0 })).expect(200);
    ada.post("/api/v1/me/snapshots", json!({})).expect(200);
    let over = AtomicBool::new(false);
    let (saves, moments) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let guest = house.signed_in("ada");
            let mut count = 0;
            while !over.load(Ordering::SeqCst) {
                count += 1;
                guest.saves(&json!({ "count": count })).expect(200);
                guest.post("/api/v1/me/snapshots", json!({})).expect(200);
            }
            count
        });
        let mut moments = Vec::new();
        // As many as it takes for the writer to get on, on a slow machine as well.
        while moments.len() < 12 || (moments.len() < 200 && moments.last() <= Some(&(12, 12))) {
            let zip = unzip(&download(&ada));
            let count = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["count"].as_u64().unwrap();
            let snapshots = zip.iter().filter(|(name, _)| name.starts_with("backups/settings_ada_"));
            let newest = snapshots.map(|(_, bytes)| count(bytes)).max().unwrap();
            assert_eq!(zip.keys().filter(|name| name.starts_with("characters/")).count(), 40);
            moments.push((count(&zip["settings.json"]), newest));
        }
        over.store(true, Ordering::SeqCst);
        (writer.join().unwrap(), moments)
    });
    println!("{saves} saves, backups at {moments:?}");
    for (settings, newest) in &moments {
        // The snapshot of a count is made after its save and before the next one.
        assert!(*settings == *newest || *settings == newest + 1, "settings at {settings}, snapshots at {newest}");
    }
    assert!(saves > 12 && moments.is_sorted_by_key(|(settings, _)| *settings));
}

#[test]
fn a_client_that_stalls_delays_nobody_and_one_that_leaves_ends_it() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    for n in 0..8 {
        std::fs::write(house.path(&format!("ada/characters/{n}.png")), noise(4_000_000)).unwrap();
    }
    let asked = ticket(&ada, false);
    let id = id_of(&asked);
    let mut stalled = ada.begin(&Request::new("GET", asked["url"].as_str().unwrap()));
    let mut head = [0; 2048];
    assert!(stalled.read(&mut head).unwrap() > 0);
    assert!(head.starts_with(b"HTTP/1.1 200"));
    eventually("it runs", || state(&ada, &id)["bytesDone"].as_u64() > Some(100_000));
    // It stops where the client does: memory and disk hold no more of it.
    std::thread::sleep(Duration::from_millis(300));
    let done = state(&ada, &id)["bytesDone"].as_u64().unwrap();
    assert!(done < 30_000_000, "{done} bytes were read for a client that takes none");
    for n in 0..5 {
        let started = Instant::now();
        ada.saves(&json!({ "count": n })).expect(200);
        house.signed_in("ada").get("/api/v1/me").expect(200);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    assert_eq!(unzip(&download(&ada)).len(), 8 + 1 + 1 + usize::from(!house.snapshots_of("ada").is_empty()));
    assert_eq!(state(&ada, &id)["state"], "running");
    drop(stalled);
    eventually("it has failed", || state(&ada, &id)["state"] == "failed");
    assert!(house.events("backup_taken").iter().any(|event| event["details"]["outcome"] == "broken off"));
}

#[test]
fn a_backup_comes_back_exactly_and_can_be_undone() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "then" })).expect(200);
    std::fs::write(house.path("ada/characters/Cat.png"), "cat").unwrap();
    let of_ada = |house: &TestHouse| house.tree().only(|name| name.starts_with("ada/"));
    let then = of_ada(&house);
    let zip = download(&ada);

    ada.saves(&json!({ "words": "now" })).expect(200);
    std::fs::write(house.path("ada/characters/Dog.png"), "dog").unwrap();
    std::fs::remove_file(house.path("ada/characters/Cat.png")).unwrap();
    let now = of_ada(&house);
    let answer = upload(&ada, zip).expect(200).json();
    let (id, plan) = (id_of(&answer), &answer["plan"]);
    assert_eq!(
        (&plan["source"], &plan["handle"], &plan["verified"]),
        (&json!("tavernkeep"), &json!("ada"), &json!(true))
    );
    let part = |name: &str| plan["parts"].as_array().unwrap().iter().find(|part| part["part"] == name).unwrap().clone();
    let cats = part("characters");
    assert_eq!((&cats["add"], &cats["remove"], &part("settings")["replace"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(ada.get(&format!("/api/v1/me/restores/{id}")).expect(200).json()["plan"], *plan);
    now.is_still(&of_ada(&house), "a dry run");

    ada.post(&format!("/api/v1/me/restores/{id}/apply"), json!({ "parts": ["nonsense"] })).expect(400);
    ada.post(&format!("/api/v1/me/restores/{id}/apply"), json!({ "parts": [] })).expect(400);
    now.is_still(&of_ada(&house), "a wrong choice");
    let all: Vec<Value> = plan["parts"].as_array().unwrap().iter().map(|part| part["part"].clone()).collect();
    let undo = ada.post(&format!("/api/v1/me/restores/{id}/apply"), json!({ "parts": all })).expect(200).json();
    then.is_still(&of_ada(&house), "bringing everything back");

    let points = ada.get("/api/v1/me/undo").expect(200).json();
    assert_eq!((&points[0]["id"], &points[0]["reason"]), (&undo["undo"], &json!("restore")));
    let back = ada.post(&format!("/api/v1/me/undo/{}", undo["undo"].as_str().unwrap()), json!({})).expect(200).json();
    now.is_still(&of_ada(&house), "undoing it");
    ada.post(&format!("/api/v1/me/undo/{}", back["undo"].as_str().unwrap()), json!({})).expect(200);
    then.is_still(&of_ada(&house), "undoing the undoing");
}

#[test]
fn only_the_chosen_parts_come_back() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "now" })).expect(200);
    let zip = zip_of(&[("settings.json", b"{\"words\":\"then\"}"), ("themes/Dark.json", b"{\"name\":\"Dark\"}")]);
    let answer = upload(&ada, zip).expect(200).json();
    assert_eq!(answer["plan"]["source"], "sillytavern");
    assert_eq!(answer["plan"]["verified"], false);
    let path = format!("/api/v1/me/restores/{}/apply", id_of(&answer));
    ada.post(&path, json!({ "parts": ["presets"] })).expect(200);
    assert_eq!(house.settings_of("ada"), json!({ "words": "now" }));
    assert_eq!(house.json_file("ada/themes/Dark.json"), json!({ "name": "Dark" }));
    ada.post(&path, json!({ "parts": ["presets"] })).expect(404);
}

/// A zip whose name for its one file is written over by another of the same length.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut zip = zip_of(&[(from, b"x"), ("settings.json", b"{}")]);
    while let Some(at) = zip.windows(from.len()).position(|window| window == from.as_bytes()) {
        zip[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    zip
}

fn linked() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.add_symlink("themes/link.json", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap().into_inner()
}

fn bomb() -> Vec<u8> {
    zip_of(&[("chats/zeros.jsonl", vec![0; 300_000_000].as_slice())])
}

#[rstest]
#[case::not_a_zip(b"hello".to_vec())]
#[case::nothing(Vec::new())]
#[case::cut_short({ let mut zip = zip_of(&[("settings.json", b"{}")]); zip.truncate(zip.len() - 10); zip })]
#[case::a_way_out(renamed("aaa/aa/evil.json", "../../../e2.json"))]
#[case::a_way_out_of_windows(renamed("aaa_aa_evi.json", "..\\..\\evil.json"))]
#[case::an_absolute_path(renamed("aetc/passwd", "/etc/passwd"))]
#[case::a_drive(renamed("aa/evil.json", "C:/evil.json"))]
#[case::a_nul(renamed("themes/a.json", "themes/\0.json"))]
#[case::twins(renamed("Settings.json", "settings.json"))]
#[case::file_and_folder(zip_of(&[("themes/A", b"1"), ("themes/A/b.json", b"2")]))]
#[case::a_file_that_is_a_folder(zip_of(&[("themes", b"1"), ("themes/a.json", b"2")]))]
#[case::a_link(linked())]
#[case::a_bomb(bomb())]
fn a_hostile_archive_is_refused_whole(#[case] zip: Vec<u8>) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "mine" })).expect(200);
    let before = house.tree();
    let started = Instant::now();
    let answer = upload(&ada, zip).expect_error(400, "bad_archive");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(!answer.text().contains(house.beside().to_str().unwrap()), "{answer}");
    before.is_still(&house.tree(), "a refused archive");
    assert_eq!(files::names_in(&house.path("_system/restores")), Vec::<String>::new());
}

#[test]
fn an_archive_that_is_too_large_or_of_another_kind_is_refused() {
    let house = TestHouse::with(|config| {
        config.backups.max_restore_bytes = tavernkeep::config::ByteSize::mib(1);
    });
    let ada = house.moves_in("ada");
    let before = house.tree();
    let big = zip_of(&[("characters/a.png", &noise(2_000_000))]);
    upload(&ada, big.clone()).expect_error(413, "too_large");
    let mut chunked = Request::new("POST", "/api/v1/me/restores").body("application/zip", Vec::new());
    let mut body = Vec::new();
    for piece in big.chunks(50_000) {
        write!(body, "{:x}\r\n", piece.len()).unwrap();
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    chunked.body = Some(body);
    ada.send(chunked.header("Transfer-Encoding", "chunked")).expect_error(413, "too_large");
    ada.send(Request::new("POST", "/api/v1/me/restores").json(&json!({}))).expect_error(415, "unsupported");
    before.is_still(&house.tree(), "a refused upload");
    assert_eq!(files::names_in(&house.path("_system/restores")), Vec::<String>::new());
}

#[test]
fn backups_can_be_switched_off() {
    let house = TestHouse::with(|config| config.backups.allow_full_data_backup = false);
    let ada = house.moves_in("ada");
    ada.post("/api/v1/me/backups", json!({ "secrets": false })).expect_error(403, "backups_off");
    ada.post("/api/users/backup", json!({ "handle": "ada" })).expect(403);
}

/// What the disk tells apart, a backup holds and a restore brings back.
#[test]
fn names_that_differ_only_in_case_or_form_come_back() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let names = ["worlds/Notes.json", "worlds/notes.json", "worlds/\u{e9}.json", "worlds/e\u{301}.json"];
    for (n, name) in names.iter().enumerate() {
        std::fs::write(house.path(&format!("ada/{name}")), format!("{{\"entries\":{{}},\"n\":{n}}}")).unwrap();
    }
    let archive = download(&ada);
    names.iter().for_each(|name| std::fs::remove_file(house.path(&format!("ada/{name}"))).unwrap());
    let id = id_of(&upload(&ada, archive).expect(200).json());
    ada.post(&format!("/api/v1/me/restores/{id}/apply"), json!({ "parts": ["lorebooks"] })).expect(200);
    for (n, name) in names.iter().enumerate() {
        let text = std::fs::read_to_string(house.path(&format!("ada/{name}"))).unwrap();
        assert!(text.contains(&format!("\"n\":{n}")), "{name}: {text}");
    }
}
