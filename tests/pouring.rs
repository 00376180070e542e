//! Model servers that pour: lines, words, pages, heads and lists without end, and what unpacks to more than was sent. Each is
//! cut off with a clear word, what came is kept, the turn is free again, the server's memory stays small, and whoever else
//! is in the house is served meanwhile.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::events::Events;
use support::{Ending, FakeModel, Guest, Instead, Program, Request, Speaks, eventually};

/// What the server may grow by while five doors are poured into at once, in KiB.
const GROWS: usize = 160 * 1024;
/// The longest that whoever else is in the house may wait for anything.
const PATIENCE: Duration = Duration::from_secs(15);

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";

/// A server with two people, and a connection of the house to a model.
struct Place {
    program: Program,
    model: FakeModel,
    ada: Guest,
    bob: Guest,
    key: String,
    connection: String,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start_with(folder.path(), &[], env);
        let model = FakeModel::start(Speaks::OpenAi);
        let owner = program.owner();
        let body = json!({
            "scope": "house", "name": "Fake", "kind": "openai", "baseUrl": model.base_url(), "model": "small",
        });
        let connection = owner.post("/api/v1/connections", body).expect(201).json()["id"].as_str().unwrap().to_owned();
        let [ada, bob] = ["ada", "bob"].map(|handle| {
            let password = support::password_of(handle);
            let body = json!({ "handle": handle, "name": handle, "password": password });
            owner.post("/api/v1/users", body).expect(201);
            let guest = program.anonymous();
            guest.signs_in(handle, &password).expect(200);
            guest.post("/api/v1/characters/assistant", json!({}));
            let folder = program.data().join(handle).join("chats/Assistant");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("talk.jsonl"), json!({ "chat_metadata": {} }).to_string()).unwrap();
            guest
        });
        let key = ada.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
        let key = key["key"].as_str().unwrap().to_owned();
        Self { program, model, ada, bob, key, connection, _folder: folder }
    }

    /// Says something in a chat; how the reply ended.
    fn asks(&self, guest: &Guest, connection: &str) -> Value {
        let body = json!({
            "character": "Assistant", "chat": "talk", "kind": "reply", "text": "Well?", "connection": connection,
        });
        let started = guest.post("/api/v1/generations", body).expect(202);
        let id = started.json()["id"].as_str().unwrap().to_owned();
        let last = Events::follow(guest, &format!("/api/v1/generations/{id}/events?html=false")).rest().pop().unwrap();
        json!({ "name": last.name, "data": last.data })
    }

    /// Asks as a program does; the error's code.
    fn asks_by_key(&self, streams: bool) -> String {
        let model = format!("{}/small", self.connection);
        let messages = json!([{ "role": "user", "content": "Well?" }]);
        let answer = self.by_key(
            Request::new("POST", "/v1/chat/completions")
                .json(&json!({ "model": model, "messages": messages, "stream": streams })),
        );
        let text = answer.text();
        // An error in the midst of a stream is its last event.
        let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap_or(&text);
        let value: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{answer}"));
        value["error"]["code"].as_str().unwrap_or_else(|| panic!("{last}")).to_owned()
    }

    fn by_key(&self, request: Request) -> support::Answer {
        let request = request.without_token().header("Authorization", &format!("Bearer {}", self.key));
        self.program.anonymous().send(request)
    }

    /// The most memory that the server ever had, in KiB.
    fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Every door behind which the model is asked, all at once; the words with which each was shut.
    fn all_doors(&self) -> Vec<(&'static str, String)> {
        thread::scope(|scope| {
            let chat = scope.spawn(|| {
                let end = self.asks(&self.ada, &self.connection);
                assert_eq!(end["name"], "error", "{end}");
                assert!(end["data"]["message"].as_str().unwrap().len() > 20, "{end}");
                end["data"]["code"].as_str().unwrap().to_owned()
            });
            let streamed = scope.spawn(|| self.asks_by_key(true));
            let at_once = scope.spawn(|| self.asks_by_key(false));
            let test = scope.spawn(|| {
                let path = format!("/api/v1/connections/{}/test", self.connection);
                let trial = self.ada.copy().post(&path, json!({})).expect(200).json();
                assert!(trial["message"].as_str().unwrap().len() > 20, "{trial}");
                trial["ok"].to_string()
            });
            let models = scope.spawn(|| {
                let answer = self.ada.copy().get(&format!("/api/v1/connections/{}/models", self.connection));
                self.by_key(Request::new("GET", "/v1/models")).expect(200);
                if answer.status == 200 { "listed".to_owned() } else { answer.code() }
            });
            let doors =
                [("chat", chat), ("streamed", streamed), ("at once", at_once), ("test", test), ("models", models)];
            doors.into_iter().map(|(door, code)| (door, code.join().unwrap())).collect()
        })
    }

    /// Does something while another person uses the house; whether they were served all the time.
    fn beside<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let neighbour = scope.spawn(|| {
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) || served.load(Ordering::Relaxed) == 0 {
                    let started = Instant::now();
                    self.bob.get("/api/v1/me").expect(200);
                    self.bob.saves(&json!({ "words": what })).expect(200);
                    assert_eq!(self.asks(&self.bob, "echo")["name"], "done", "{what}");
                    slowest = slowest.max(started.elapsed());
                    served.fetch_add(1, Ordering::Relaxed);
                }
                slowest
            });
            let done = act();
            over.store(true, Ordering::Relaxed);
            let slowest = neighbour.join().unwrap();
            assert!(slowest < PATIENCE, "{what}: somebody else waited for {slowest:?}");
            done
        })
    }

    fn rests(&self) {
        eventually("nothing is under way", || {
            self.ada.get("/api/v1/generations").json()["generations"] == json!([]) && self.model.answering() == 0
        });
    }

    fn chat(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.program.data().join("ada/chats/Assistant/talk.jsonl")).unwrap();
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// 400 MB of nothing, packed.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b' '; 1 << 20];
    (0..400).for_each(|_| packed.write_all(&block).unwrap());
    packed.finish().unwrap()
}

fn floods() -> Vec<(&'static str, Instead, &'static [&'static str])> {
    let flood = |head: &str, block: &[u8]| Instead::Flood(head.to_owned(), block.repeat((64 << 10) / block.len()));
    let packed = format!("{}content-encoding: gzip\r\n\r\n", EVENTS.trim_end_matches("\r\n").to_owned() + "\r\n");
    let mut unpacking = packed.into_bytes();
    unpacking.extend(bomb());
    let much: &[&str] = &["model_too_much"];
    // A slow machine does not get to the end of the bytes before the time is over.
    let wordless: &[&str] = &["model_too_much", "model_silent"];
    vec![
        ("a line without end", flood(&format!("{EVENTS}data: "), b"a"), much),
        ("nothing without end", flood(EVENTS, b"\n"), wordless),
        ("comments without end", flood(EVENTS, b": hello there\n\n"), wordless),
        ("an event without end", flood(EVENTS, b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"), much),
        ("a document without end", flood(&format!("{JSON}{{\"choices\":\""), b"a"), much),
        ("values without end", flood(&format!("{JSON}{{\"choices\":[0"), b",0"), much),
        ("depth without end", flood(&format!("{JSON}{{\"choices\":"), b"["), much),
        ("objects without end", flood(&format!("{EVENTS}data: [{{}}"), b",{\"\":{}}"), much),
        ("a refusal without end", flood("HTTP/1.1 500 No\r\n\r\n", b"a"), &["model_failed"]),
        ("a refusal of the request without end", flood("HTTP/1.1 400 No\r\n\r\n", b"{\"a\":1},"), &["model_refused"]),
        ("heads without end", flood("HTTP/1.1 200 OK\r\n", b"x: y\r\n"), &["model_garbage"]),
        ("a head without end", flood("HTTP/1.1 200 OK\r\nx: ", b"a"), &["model_garbage"]),
        ("what unpacks to 400 MB", Instead::Raw(unpacking), &["model_garbage", "model_cut"]),
    ]
}

/// T17, one person cannot slow the others, and models that pour.
#[test]
fn what_pours_is_cut_off_and_fills_no_memory() {
    let timeouts = [("TAVERNKEEP_MODELS_FIRST_WORD_TIMEOUT", "5"), ("TAVERNKEEP_MODELS_REPLY_TIMEOUT", "20")];
    let place = Place::new(&timeouts);
    assert_eq!(place.asks(&place.ada, &place.connection)["name"], "done");
    let before = place.peak();
    for (what, instead, expected) in floods() {
        place.model.does_instead(instead);
        let began = Instant::now();
        let doors = place.beside(what, || place.all_doors());
        println!("{what}: {doors:?}, {:?}, {} MiB more", began.elapsed(), (place.peak() - before) >> 10);
        for (door, code) in &doors {
            let fine = match *door {
                "test" => code == "false",
                _ => expected.contains(&code.as_str()),
            };
            assert!(fine, "{what}: {doors:?}");
        }
        place.rests();
    }
    // Words that are words, but never end: what came is in the chat.
    place.model.plan(|plan| {
        plan.instead = None;
        plan.words = vec!["x".repeat(2000)];
        plan.ending = Ending::Endless;
    });
    let lines = place.chat().len();
    let doors = place.beside("words without end", || place.all_doors_of_words());
    println!("words without end: {doors:?}, {} MiB more", (place.peak() - before) >> 10);
    place.rests();
    let last = place.chat().pop().unwrap();
    assert_eq!((place.chat().len(), &last["extra"]["tavernkeep"]["unfinished"]), (lines + 2, &json!(true)));
    assert!(last["mes"].as_str().unwrap().len() >= 4 << 20, "{}", last["mes"].as_str().unwrap().len());
    let grown = place.peak() - before;
    assert!(grown < GROWS, "the server has grown by {} MiB", grown >> 10);
    place.model.plan(|plan| plan.ending = Ending::Done);
    assert_eq!(place.asks(&place.ada, &place.connection)["name"], "done", "the turn is free again");
}

impl Place {
    /// Where words come, the list of models is an honest one and a test hears enough after a few.
    fn all_doors_of_words(&self) -> Vec<String> {
        thread::scope(|scope| {
            let chat = scope.spawn(|| {
                let end = self.asks(&self.ada, &self.connection);
                assert_eq!((&end["name"], &end["data"]["kept"]), (&json!("error"), &json!(true)), "{end}");
                end["data"]["code"].as_str().unwrap().to_owned()
            });
            let streamed = scope.spawn(|| self.asks_by_key(true));
            let at_once = scope.spawn(|| self.asks_by_key(false));
            let test = self.ada.copy().post(&format!("/api/v1/connections/{}/test", self.connection), json!({}));
            assert_eq!(test.expect(200).json()["ok"], true);
            let codes = [streamed, at_once].map(|code| code.join().unwrap());
            assert_eq!(codes, ["model_too_much"; 2]);
            [&[chat.join().unwrap()], &codes[..]].concat()
        })
    }
}

/// One byte every so often, wherever: the turn is free again, and what came is kept.
#[test]
fn what_drips_is_given_up() {
    let timeouts = [
        ("TAVERNKEEP_MODELS_FIRST_WORD_TIMEOUT", "2"),
        ("TAVERNKEEP_MODELS_SILENCE_TIMEOUT", "1"),
        ("TAVERNKEEP_MODELS_REPLY_TIMEOUT", "6"),
        ("TAVERNKEEP_MODELS_PER_CONNECTION", "3"),
    ];
    let place = Place::new(&timeouts);
    let drip = |text: String| Instead::Drip(text.into_bytes(), Duration::from_millis(300));
    let drips = [
        ("in the head", drip(format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(1000)))),
        ("in a line", drip(format!("data: {}", "a".repeat(1000)))),
        ("in a document", drip(format!("{{\"choices\":\"{}", "a".repeat(1000)))),
        ("in comments", drip(":\n".repeat(1000))),
    ];
    for (what, instead) in drips {
        let Instead::Drip(text, pause) = instead else { unreachable!() };
        // Each second question would wait for the turn of the first, were that not given up.
        let head = if what == "in the head" { "" } else { EVENTS };
        place.model.does_instead(Instead::Trickle(head.as_bytes().to_vec(), text, pause));
        let began = Instant::now();
        let codes = place.beside(what, || {
            thread::scope(|scope| {
                let doors = [scope.spawn(|| place.asks_by_key(true)), scope.spawn(|| place.asks_by_key(false))];
                let end = place.asks(&place.ada, &place.connection);
                let mut codes = doors.map(|code| code.join().unwrap()).to_vec();
                codes.push(end["data"]["code"].as_str().unwrap_or_else(|| panic!("{end}")).to_owned());
                codes
            })
        });
        assert_eq!(codes, ["model_silent"; 3], "{what}");
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", began.elapsed());
        place.rests();
    }
    // Words come, a little at a time, and never an end.
    let word = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"drop \"}}]}\n\n";
    place.model.does_instead(Instead::Trickle(EVENTS.into(), word.repeat(1000).into_bytes(), Duration::from_millis(5)));
    let lines = place.chat().len();
    let end = place.beside("words", || place.asks(&place.ada, &place.connection));
    assert_eq!((&end["data"]["code"], &end["data"]["kept"]), (&json!("model_endless"), &json!(true)), "{end}");
    assert!(end["data"]["message"].as_str().unwrap().contains("not done after 6 seconds"), "{end}");
    let said = place.chat();
    assert_eq!((said.len(), &said[lines + 1]["extra"]["tavernkeep"]["unfinished"]), (lines + 2, &json!(true)));
    assert!(said[lines + 1]["mes"].as_str().unwrap().starts_with("drop "));
    assert_eq!(place.asks_by_key(true), "model_endless");
}
