//! T1: what was acknowledged survives `kill -9` at any moment, and a server that is asked to stop finishes what it writes.
//!
//! The real program, killed while several people save, make snapshots and accounts are made. `KILL_ROUNDS` sets how often.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Guest, Program, Request, client, eventually, files, program};

const PEOPLE: [&str; 3] = ["ada", "bob", "cleo"];

/// What the server said was saved, and what was sent, of one person.
#[derive(Debug, Default, Clone, Copy)]
struct Words {
    acknowledged: u64,
    sent: u64,
}

/// All that was promised over all rounds.
#[derive(Debug, Default)]
struct Promises {
    words: BTreeMap<&'static str, Words>,
    accounts: Vec<String>,
    snapshots: BTreeMap<&'static str, u64>,
    saves: u64,
}

fn try_json(guest: &Guest, method: &str, path: &str, body: &Value) -> Option<u16> {
    guest.try_send(Request::new(method, path).json(body)).ok().map(|answer| answer.status)
}

/// One person saves on and on until the server is gone.
fn saves_on(guest: &Guest, name: &'static str, promises: &Mutex<Promises>, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let count = {
            let mut promises = promises.lock().unwrap();
            let words = promises.words.entry(name).or_default();
            words.sent += 1;
            words.sent
        };
        let body = json!({ "count": count, "again": count, "filler": "x".repeat((count % 50) as usize * 200) });
        match try_json(guest, "POST", "/api/settings/save", &body) {
            Some(200) => {
                let mut promises = promises.lock().unwrap();
                promises.words.get_mut(name).unwrap().acknowledged = count;
                promises.saves += 1;
            }
            Some(other) => panic!("a save was answered {other}"),
            None => return,
        }
        if count % 7 == 0 && try_json(guest, "POST", "/api/v1/me/snapshots", &json!({})) == Some(200) {
            promises.lock().unwrap().snapshots.insert(name, count);
        }
    }
}

/// An admin makes accounts on and on.
fn makes_accounts(guest: &Guest, round: usize, promises: &Mutex<Promises>, over: &AtomicBool) {
    for n in 0.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let handle = format!("new-{round}-{n}");
        match try_json(guest, "POST", "/api/v1/users", &json!({ "handle": handle, "name": "New" })) {
            Some(201) => promises.lock().unwrap().accounts.push(handle),
            Some(other) => panic!("an account was answered {other}"),
            None => return,
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

fn json_of(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json_in(&bytes, path)
}

fn json_in(bytes: &[u8], path: &Path) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{} is torn: {error}", path.display()))
}

/// What has to hold in the folder of a server that was killed, once it has been opened again.
fn check(data: &Path, promises: &Promises) {
    for (name, words) in &promises.words {
        let settings = json_of(&data.join(name).join("settings.json"));
        let count = settings["count"].as_u64().unwrap_or(0);
        assert!(
            (words.acknowledged..=words.sent).contains(&count),
            "{name}'s settings are at {count}; {} was acknowledged, {} was sent",
            words.acknowledged,
            words.sent
        );
        assert_eq!(settings["count"], settings["again"]);
    }
    for handle in &promises.accounts {
        assert_eq!(json_of(&data.join(format!("_system/accounts/{handle}.json")))["handle"], json!(handle));
    }
    for (name, count) in &promises.snapshots {
        let folder = data.join(name).join("backups");
        // The server that has just been opened may be making one at this moment, which has no name yet, and removing the
        // oldest for it.
        let named = files::names_in(&folder).into_iter().filter(|file| file.starts_with("settings_"));
        let there = named.map(|file| folder.join(file)).filter_map(|path| Some((std::fs::read(&path).ok()?, path)));
        let counts: Vec<_> = there.map(|(bytes, path)| json_in(&bytes, &path)["count"].clone()).collect();
        assert!(counts.iter().any(|c| c.as_u64() >= Some(*count)), "{name}'s snapshot of {count} is gone: {counts:?}");
    }
    eventually("temporary files are gone", || files::left_over(data).is_empty());
}

#[test]
fn nothing_acknowledged_is_lost_by_a_sudden_end() {
    let rounds: usize = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let folder = tempfile::tempdir().unwrap();
    let promises = Mutex::new(Promises::default());
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..rounds {
        let server = Program::start(folder.path());
        check(&server.data(), &promises.lock().unwrap());
        let owner = server.owner();
        let guests = PEOPLE.map(|name| {
            if round == 0 {
                owner.post("/api/v1/users", json!({ "handle": name, "name": name })).expect(201);
            }
            let guest = server.anonymous();
            guest.signs_in(name, "").expect(200);
            guest.token();
            guest
        });
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let until = Duration::from_micros(5_000 + dice % 250_000);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (guest, name) in guests.iter().zip(PEOPLE) {
                let (promises, over) = (&promises, &over);
                scope.spawn(move || saves_on(guest, name, promises, over));
            }
            scope.spawn(|| makes_accounts(&owner, round, &promises, &over));
            std::thread::sleep(until);
            server.kill();
            over.store(true, Ordering::SeqCst);
        });
        program::run(folder.path(), &["events", "verify"]).expect(0);
    }
    Program::start(folder.path()).stop();
    let promises = promises.into_inner().unwrap();
    check(&folder.path().join("data"), &promises);
    println!("{rounds} sudden ends, {} saves and {} accounts kept", promises.saves, promises.accounts.len());
    assert!(promises.saves > rounds as u64 && !promises.accounts.is_empty());
}

#[test]
fn asked_to_stop_it_finishes_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    let owner = server.owner();
    let body = serde_json::to_vec(&json!({ "words": "last", "filler": "x".repeat(300_000) })).unwrap();
    let request = Request::new("POST", "/api/settings/save").body("application/json", body);
    let bytes = owner.bytes_of(&request, Some(&owner.token()));
    let mut socket = client::connect(server.address()).unwrap();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    socket.write_all(first).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal(rustix::process::Signal::TERM);
    eventually("nobody new is let in", || client::connect(server.address()).is_err());
    socket.write_all(rest).unwrap();
    let mut raw = Vec::new();
    socket.read_to_end(&mut raw).unwrap();
    let answer = client::parse(&raw, "the last save".to_owned(), false).unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    let data = server.data();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(json_of(&data.join("default-user/settings.json"))["words"], "last");
    program::run(folder.path(), &["events", "verify"]).expect(0);
}

#[test]
fn asked_to_stop_it_does_not_wait_for_those_who_only_sit_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    let idle: Vec<_> = (0..5).map(|_| client::connect(server.address()).unwrap()).collect();
    let mut half = client::connect(server.address()).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let started = std::time::Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop(idle);
}
