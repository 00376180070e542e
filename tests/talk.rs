//! T8, a reply you paid for is not lost when you leave: the whole way over real sockets, with a model server that does as it
//! is told. Clients are dropped and the program is killed at each piece of a reply.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use support::events::{Event, Events, words_of};
use support::model::{Ending, FakeModel, Instead, Speaks};
use support::{Answer, Guest, OWNER, Program, Request, TestHouse, eventually};

const WORDS: [&str; 6] = ["Good ", "evening", ", tra", "veller. Sit ", "down; größer ", "is the fire."];

/// A house with a character, a chat, and a model server that the house's connection leads to.
struct Scene {
    house: TestHouse,
    model: FakeModel,
    ada: Guest,
    connection: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut tavernkeep::config::Config)) -> Self {
        let house = TestHouse::with(change);
        let model = FakeModel::start(Speaks::OpenAi);
        model.says(&WORDS);
        let connection = connect(&house.owner(), &model);
        let ada = house.moves_in("ada");
        furnish(&ada, house.data(), "ada");
        Self { house, model, ada, connection }
    }

    fn starts(&self, more: Value) -> Answer {
        start(&self.ada, more)
    }

    fn lines(&self) -> Vec<Value> {
        chat(self.house.data(), "ada", "talk")
    }

    /// The last message once it is there.
    fn last_once(&self, count: usize) -> Value {
        eventually("the reply is in the chat", || self.lines().len() == count);
        self.lines().pop().unwrap()
    }

    /// Waits until nothing is under way.
    fn rests(&self) {
        eventually("nothing is under way", || {
            self.ada.get("/api/v1/generations").json()["generations"] == json!([])
                && names(&self.house.path("_system/generations")).is_empty()
        });
    }
}

fn connect(owner: &Guest, model: &FakeModel) -> String {
    let body =
        json!({ "scope": "house", "name": "Fake", "kind": "openai", "baseUrl": model.base_url(), "model": "small" });
    owner.post("/api/v1/connections", body).expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// Gives somebody a character and an empty chat with it.
fn furnish(guest: &Guest, data: &Path, handle: &str) {
    guest.post("/api/v1/characters/assistant", json!({}));
    new_chat(data, handle, "talk");
}

fn new_chat(data: &Path, handle: &str, name: &str) {
    let folder = data.join(handle).join("chats/Assistant");
    std::fs::create_dir_all(&folder).unwrap();
    let header = json!({ "chat_metadata": { "integrity": format!("word-of-{name}") }, "user_name": "unused", "character_name": "unused" });
    std::fs::write(folder.join(format!("{name}.jsonl")), header.to_string()).unwrap();
}

/// The messages of a chat on the disk. Lines that a failing disk tore are passed over, as every reader does.
fn chat(data: &Path, handle: &str, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data.join(handle).join(format!("chats/Assistant/{name}.jsonl"))).unwrap();
    text.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    if folder.exists() { support::files::names_in(folder) } else { Vec::new() }
}

fn start(guest: &Guest, more: Value) -> Answer {
    let mut body = json!({ "character": "Assistant", "chat": "talk", "kind": "reply" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    guest.post("/api/v1/generations", body)
}

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn question() -> Value {
    json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "text": "Hello!", "id": "m1" })
}

fn events(id: &str) -> String {
    format!("/api/v1/generations/{id}/events")
}

fn hush(id: &str) -> String {
    format!("{}?html=false", events(id))
}

#[test]
fn from_a_question_to_a_reply_in_the_chat() {
    let scene = Scene::new();
    scene.model.thinks(&["Who ", "is it?"]);
    let started = scene.starts(json!({ "text": "Hello!", "id": "m1" })).expect(202);
    assert_eq!(started.json()["userMessage"]["index"], 0, "{started}");
    let all = Events::follow(&scene.ada, &events(&id_of(&started))).rest();
    assert_eq!(all[0].name, "start");
    assert_eq!(all[0].data, json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "index": 1 }));
    assert_eq!((words_of(&all, "text"), words_of(&all, "reasoning")), (WORDS.concat(), "Who is it?".to_owned()));
    let done = all.last().unwrap();
    assert_eq!((done.name.as_str(), &done.data["finish"], &done.data["index"]), ("done", &json!("stop"), &json!(1)));
    assert_eq!(done.data["usage"], json!({ "prompt": 7, "completion": 3 }));
    let lines = scene.lines();
    assert_eq!((lines.len(), &lines[0]["mes"], &lines[0]["is_user"]), (2, &json!("Hello!"), &json!(true)));
    let reply = &lines[1];
    assert_eq!(
        (&reply["mes"], &reply["name"], &reply["is_user"]),
        (&json!(WORDS.concat()), &json!("Assistant"), &json!(false))
    );
    assert_eq!((&reply["swipes"], &reply["swipe_id"]), (&json!([WORDS.concat()]), &json!(0)));
    assert_eq!((&reply["extra"]["model"], &reply["extra"]["reasoning"]), (&json!("small"), &json!("Who is it?")));
    assert!(reply["extra"]["token_count"].as_u64() > Some(3) && reply["gen_started"].is_string());
    assert_eq!(reply["swipe_info"][0]["extra"], reply["extra"]);
    let asked = scene.model.last().body;
    assert_eq!(asked["messages"].as_array().unwrap().last().unwrap()["content"], "Hello!");
    scene.rests();
    let usage = scene.ada.get("/api/v1/me/usage").expect(200).json();
    assert_eq!((&usage["total"]["prompt"], &usage["total"]["completion"]), (&json!(7), &json!(3)), "{usage}");
}

#[test]
fn the_built_in_echo_needs_no_model_server() {
    let scene = Scene::new();
    let started = scene.starts(json!({ "text": "Is anybody there?", "connection": "echo" })).expect(202);
    let all = Events::follow(&scene.ada, &events(&id_of(&started))).rest();
    assert!(words_of(&all, "text").ends_with("Is anybody there?"), "{all:?}");
    assert!(all.iter().any(|event| event.name == "html" && event.data["html"].as_str().unwrap().contains("<p>")));
    assert_eq!(scene.lines().len(), 2);
    assert!(scene.model.asked().is_empty());
}

#[test]
fn whoever_leaves_at_any_piece_finds_the_whole_reply() {
    for left_after in 0..=WORDS.len() {
        let scene = Scene::new();
        scene.model.plan(|plan| plan.stepwise = true);
        let started = scene.starts(json!({ "text": "Hello!" })).expect(202);
        let mut listening = Events::follow(&scene.ada, &events(&id_of(&started)));
        scene.model.lets_through(left_after);
        for _ in 0..left_after.min(1) {
            listening.until("text");
        }
        drop(listening);
        scene.model.lets_through(WORDS.len() + 2);
        let reply = scene.last_once(2);
        assert_eq!(
            (&reply["mes"], &reply["extra"]["tavernkeep"]["unfinished"]),
            (&json!(WORDS.concat()), &Value::Null)
        );
        assert_eq!(scene.model.left(), 0, "the model was left in the middle");
    }
}

#[test]
fn whoever_hangs_up_once_the_question_is_in_the_chat_gets_the_reply() {
    let scene = Scene::new();
    let asking = scene.ada.begin(&Request::new("POST", "/api/v1/generations").json(&question()));
    eventually("the question is in the chat", || !scene.lines().is_empty());
    drop(asking);
    assert_eq!(scene.last_once(2)["mes"], WORDS.concat());
    scene.rests();
    assert_eq!((scene.lines().len(), scene.model.questions().len()), (2, 1));
}

/// A connection that ends before its request was looked at may be answered with nothing; whatever it was, asking again is
/// the same generation.
#[test]
fn whoever_hangs_up_at_any_time_and_asks_again_gets_one_reply() {
    for waited in (0..16).map(|step| Duration::from_micros(step * step * 50)) {
        let scene = Scene::new();
        let asking = scene.ada.begin(&Request::new("POST", "/api/v1/generations").json(&question()));
        std::thread::sleep(waited);
        drop(asking);
        let again = scene.ada.post("/api/v1/generations", question()).expect(202);
        let all = Events::follow(&scene.ada, &events(&id_of(&again))).rest();
        assert_eq!(words_of(&all, "text"), WORDS.concat(), "after {waited:?}");
        scene.rests();
        assert_eq!((scene.lines().len(), scene.model.questions().len()), (2, 1), "after {waited:?}");
    }
}

#[test]
fn coming_back_with_any_id_there_is_no_gap_and_no_double() {
    let scene = Scene::new();
    scene.model.plan(|plan| plan.stepwise = true);
    let id = id_of(&scene.starts(json!({ "text": "Hello!" })).expect(202));
    let mut listening = Events::follow(&scene.ada, &hush(&id));
    let mut seen: Vec<Event> = vec![listening.until("start")];
    for _ in WORDS {
        scene.model.lets_through(1);
        seen.push(listening.until("text"));
    }
    // Some come back while it is under way, and hear the rest together with the first.
    let mut early: Vec<(usize, Events)> =
        (0..seen.len()).map(|n| (n, Events::resume(&scene.ada, &hush(&id), seen[n].id.unwrap()))).collect();
    scene.model.lets_through(3);
    seen.extend(listening.rest());
    let ids: Vec<u64> = seen.iter().filter_map(|event| event.id).collect();
    assert!(ids.windows(2).all(|two| two[0] < two[1]) && ids.len() == seen.len(), "{ids:?}");
    for (n, events) in &mut early {
        let got = events.rest();
        assert_eq!(words_of(&seen[..=*n], "text") + &words_of(&got, "text"), WORDS.concat(), "after {n}");
        assert_eq!(got.last().unwrap().name, "done");
    }
    for (n, event) in seen.iter().enumerate() {
        let mut late = Events::resume(&scene.ada, &hush(&id), event.id.unwrap());
        if n + 1 == seen.len() {
            assert_eq!(late.status, 204, "whoever has heard all is told not to come back");
            continue;
        }
        let got = late.rest();
        assert_eq!(words_of(&seen[..=n], "text") + &words_of(&got, "text"), WORDS.concat(), "after {n}");
    }
    // Ids that nobody was given do no harm.
    for odd in ["99999999", "18446744073709551615", "-1", "x", "45"] {
        let request = Request::new("GET", &hush(&id)).header("Last-Event-ID", odd);
        let got = Events::ask(&scene.ada, request).rest();
        assert!(WORDS.concat().ends_with(&words_of(&got, "text")), "{odd}");
    }
}

#[test]
fn stopping_keeps_what_came() {
    let scene = Scene::new();
    scene.model.plan(|plan| plan.stepwise = true);
    let id = id_of(&scene.starts(json!({ "text": "Hello!" })).expect(202));
    let mut listening = Events::follow(&scene.ada, &hush(&id));
    scene.model.lets_through(2);
    let mut heard = String::new();
    while heard != "Good evening" {
        heard.push_str(listening.until("text").data["text"].as_str().unwrap());
    }
    scene.ada.delete(&format!("/api/v1/generations/{id}")).expect(204);
    let done = listening.rest().pop().unwrap();
    assert_eq!((done.name.as_str(), &done.data["finish"]), ("done", &json!("stopped")));
    let reply = scene.last_once(2);
    assert_eq!((&reply["mes"], &reply["extra"]["tavernkeep"]["unfinished"]), (&json!("Good evening"), &Value::Null));
    scene.model.lets_through(2);
    scene.model.until("the model is left alone", |model| model.answering() == 0);
    scene.rests();
    scene.ada.delete(&format!("/api/v1/generations/{id}")).expect(204);
    assert_eq!(scene.lines().len(), 2);
}

#[test]
fn two_windows_hear_the_same_and_a_chat_is_busy_for_both() {
    let scene = Scene::new();
    scene.model.plan(|plan| plan.stepwise = true);
    let (one, two) = (&scene.ada, scene.house.signed_in("ada"));
    let mut changes = Events::follow(&two, "/api/v1/me/changes");
    changes.until("ping");
    let id = id_of(&scene.starts(json!({ "text": "Hello!" })).expect(202));
    let told = loop {
        let event = changes.until("chat");
        if event.data["generation"].is_string() {
            break event;
        }
    };
    assert_eq!((&told.data["chat"], &told.data["generation"]), (&json!("talk"), &json!(id)));
    let (mut first, mut second) = (Events::follow(one, &hush(&id)), Events::follow(&two, &hush(&id)));
    start(&two, json!({ "text": "Me too!" })).expect_error(409, "busy_chat");
    assert_eq!(scene.lines().len(), 1, "a message was appended all the same");
    scene.model.lets_through(WORDS.len() + 2);
    assert_eq!(words_of(&first.rest(), "text"), words_of(&second.rest(), "text"));
    // Somebody else's is not there.
    let bob = scene.house.moves_in("bob");
    for answer in [
        bob.get(&events(&id)),
        bob.get(&format!("/api/v1/generations/{id}")),
        bob.delete(&format!("/api/v1/generations/{id}")),
    ] {
        answer.expect_error(404, "not_found");
    }
    assert_eq!(bob.get("/api/v1/generations").expect(200).json()["generations"], json!([]));
}

/// How a reply ended, for whoever follows it.
fn end_of(guest: &Guest, id: &str) -> Event {
    Events::follow(guest, &hush(id)).rest().pop().unwrap()
}

#[test]
fn a_model_that_fails_in_whatever_way_says_so_and_loses_nothing() {
    let scene = Scene::with(|config| {
        config.models.silence_timeout = 1;
        config.models.first_word_timeout = 2;
    });
    let html = "<html><body>Please sign in</body></html>".to_owned();
    let flood = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned();
    let before_a_word: Vec<(&str, Instead)> = vec![
        ("a refusal", Instead::Status(401, r#"{"error":{"message":"bad key"}}"#.to_owned())),
        ("a page", Instead::Status(200, html)),
        ("garbage", Instead::Raw(b"\x00\x01 not http at all\r\n\r\n".to_vec())),
        ("an end at once", Instead::Raw(Vec::new())),
        ("a flood", Instead::Flood(flood.clone(), vec![b'x'; 1 << 20])),
        ("a drip", Instead::Drip(format!("{flood}data: x").into_bytes(), Duration::from_millis(400))),
    ];
    let quiet = scene.house.moves_in("bob");
    furnish(&quiet, scene.house.data(), "bob");
    for (what, instead) in before_a_word {
        scene.model.does_instead(instead);
        let before = scene.lines().len();
        let id = id_of(&scene.starts(json!({ "text": what, "connection": scene.connection })).expect(202));
        // Nobody else has to wait for it.
        let started = Instant::now();
        let echo = id_of(&start(&quiet, json!({ "text": "And I?", "connection": "echo" })).expect(202));
        assert_eq!(end_of(&quiet, &echo).name, "done", "{what}");
        assert!(started.elapsed() < Duration::from_secs(3), "{what}: {:?}", started.elapsed());
        let failed = end_of(&scene.ada, &id);
        assert_eq!((failed.name.as_str(), &failed.data["kept"]), ("error", &json!(false)), "{what}: {failed:?}");
        let message = failed.data["message"].as_str().unwrap();
        assert!(message.len() > 20 && failed.data["code"].as_str() != Some("internal"), "{what}: {failed:?}");
        println!("{what}: {} {message}", failed.data["code"]);
        let lines = scene.lines();
        assert_eq!((lines.len(), &lines[before]["mes"]), (before + 1, &json!(what)), "what was said is there");
    }
    scene.model.plan(|plan| plan.instead = None);
    for ending in [Ending::Cut, Ending::Silence, Ending::Error, Ending::Pings] {
        scene.model.plan(|plan| plan.ending = ending);
        let id = id_of(&scene.starts(json!({ "text": "Go on" })).expect(202));
        let failed = end_of(&scene.ada, &id);
        assert_eq!((failed.name.as_str(), &failed.data["kept"]), ("error", &json!(true)), "{ending:?}: {failed:?}");
        let reply = scene.lines().pop().unwrap();
        assert_eq!((&reply["mes"], &reply["is_user"]), (&json!(WORDS.concat()), &json!(false)), "{ending:?}");
        let ours = &reply["extra"]["tavernkeep"];
        assert_eq!((&ours["unfinished"], &ours["error"]), (&json!(true), &failed.data["message"]), "{ending:?}");
    }
    // What was cut off goes on where it stopped, and is whole then.
    scene.model.plan(|plan| plan.ending = Ending::Done);
    scene.model.says(&[" And", " more."]);
    let count = scene.lines().len();
    let id = id_of(&scene.starts(json!({ "kind": "continue" })).expect(202));
    let all = Events::follow(&scene.ada, &hush(&id)).rest();
    assert_eq!(all[0].data["text"], WORDS.concat());
    assert_eq!(all.last().unwrap().name, "done");
    let lines = scene.lines();
    let reply = lines.last().unwrap();
    assert_eq!((lines.len(), &reply["mes"]), (count, &json!(WORDS.concat() + " And more.")));
    assert_eq!(
        (&reply["extra"]["tavernkeep"]["unfinished"], &reply["extra"]["tavernkeep"]["error"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(reply["swipe_info"][0]["extra"]["tavernkeep"]["unfinished"], Value::Null);
    assert_eq!(reply["swipes"], json!([WORDS.concat() + " And more."]));
    scene.rests();
}

#[test]
fn versions_of_a_reply_lie_beside_each_other() {
    let scene = Scene::new();
    let answer = |more: Value, words: &[&str]| {
        scene.model.says(words);
        let done = end_of(&scene.ada, &id_of(&scene.starts(more).expect(202)));
        assert_eq!(done.name, "done", "{done:?}");
        done
    };
    scene.starts(json!({ "kind": "swipe" })).expect_error(409, "nothing_to_swipe");
    scene.starts(json!({ "kind": "continue" })).expect_error(409, "nothing_to_continue");
    scene.starts(json!({ "kind": "swipe", "text": "x" })).expect_error(400, "bad_request");
    answer(json!({ "text": "Hello!" }), &["one"]);
    answer(json!({ "kind": "swipe" }), &["two"]);
    let done = answer(json!({ "kind": "regenerate" }), &["three"]);
    assert_eq!(
        (&done.data["message"]["swipe"], &done.data["message"]["text"]),
        (&json!({ "at": 2, "count": 3 }), &json!("three"))
    );
    // The reply that gets another version is no part of what the model is asked.
    assert!(!scene.model.last().body.to_string().contains("two"), "{}", scene.model.last().body);
    let lines = scene.lines();
    assert_eq!(
        (lines.len(), &lines[1]["swipes"], &lines[1]["swipe_id"]),
        (2, &json!(["one", "two", "three"]), &json!(2))
    );
    answer(json!({ "kind": "continue" }), &[" four"]);
    assert_eq!(scene.lines()[1]["swipes"], json!(["one", "two", "three four"]));
    let said = answer(json!({ "kind": "impersonate" }), &["I leave."]);
    assert_eq!((&said.data["text"], &said.data["index"], scene.lines().len()), (&json!("I leave."), &Value::Null, 2));
    // Where nothing was answered yet, "again" is the first answer.
    scene.model.fails(500, "{}");
    end_of(&scene.ada, &id_of(&scene.starts(json!({ "text": "Still there?" })).expect(202)));
    scene.model.plan(|plan| plan.instead = None);
    answer(json!({ "kind": "regenerate" }), &["Yes."]);
    assert_eq!(scene.lines().last().unwrap()["mes"], "Yes.");
}

#[test]
fn a_stale_window_sends_nothing() {
    let scene = Scene::new();
    let stale = scene.starts(json!({ "text": "Hello!", "version": "0123456789abcdef" })).expect_error(409, "stale");
    assert!(stale.json()["details"]["found"].is_string());
    assert_eq!((scene.lines().len(), scene.model.questions().len()), (0, 0));
    let version = stale.json()["details"]["found"].clone();
    let started = scene.starts(json!({ "text": "Hello!", "version": version, "id": "m1" })).expect(202);
    let done = end_of(&scene.ada, &id_of(&started));
    let next = scene.starts(json!({ "text": "And you?", "version": done.data["version"], "id": "m2" })).expect(202);
    assert_ne!(next.json()["version"], done.data["version"]);
    end_of(&scene.ada, &id_of(&next));
    scene.starts(json!({ "kind": "swipe", "version": version })).expect_error(409, "stale");
    scene.starts(json!({ "text": "x", "chat": "nowhere" })).expect_error(404, "not_found");
    scene.starts(json!({ "text": "x", "chat": "../talk" })).expect_error(404, "not_found");
    scene.starts(json!({ "text": "x", "surprise": 1 })).expect_error(400, "bad_request");
}

/// Whatever somebody does to a chat while a reply comes in, the reply is somewhere, once, and what they did stays.
#[test]
fn a_reply_finds_its_place_in_a_chat_that_has_changed() {
    let scene = Scene::new();
    let file = scene.house.path("ada/chats/Assistant/talk.jsonl");
    let done_after = |more: Value, change: &dyn Fn()| {
        scene.model.plan(|plan| plan.stepwise = true);
        scene.model.says(&["late", "r"]);
        let id = id_of(&scene.starts(more).expect(202));
        let mut listening = Events::follow(&scene.ada, &hush(&id));
        scene.model.lets_through(1);
        listening.until("text");
        change();
        scene.model.lets_through(3);
        let end = listening.rest().pop().unwrap();
        assert_eq!(end.name, "done", "{end:?}");
        end
    };
    let rewrite = |change: &dyn Fn(&mut Vec<Value>)| {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut lines);
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(&file, text.join("\n")).unwrap();
    };
    let texts = || scene.lines().iter().map(|line| line["mes"].as_str().unwrap().to_owned()).collect::<Vec<_>>();

    done_after(json!({ "text": "one" }), &|| rewrite(&|lines| lines[1]["mes"] = json!("one, edited")));
    assert_eq!(texts(), ["one, edited", "later"]);
    // The message that a version is for has moved, because one before it is gone.
    done_after(json!({ "kind": "swipe" }), &|| rewrite(&|lines| drop(lines.remove(1))));
    assert_eq!((texts(), &scene.lines()[0]["swipes"]), (vec!["later".to_owned()], &json!(["later", "later"])));
    // It is gone itself.
    done_after(json!({ "kind": "swipe" }), &|| rewrite(&|lines| lines.truncate(1)));
    assert_eq!(texts(), ["later"]);
    // It was edited while its continuation came: the edit stays, the continuation lies beside it.
    done_after(json!({ "kind": "continue" }), &|| {
        rewrite(&|lines| {
            lines[1]["mes"] = json!("edited");
            lines[1]["swipes"] = json!(["edited"]);
        })
    });
    assert_eq!((texts(), &scene.lines()[0]["swipes"]), (vec!["edited".to_owned()], &json!(["edited", "laterlater"])));
    // The conversation went on: what is seen of it does not change.
    done_after(json!({ "kind": "swipe" }), &|| {
        rewrite(&|lines| lines.push(json!({ "name": "Ada", "is_user": true, "mes": "on" })))
    });
    assert_eq!(
        (texts(), scene.lines()[0]["swipes"].as_array().unwrap().len()),
        (vec!["edited".to_owned(), "on".to_owned()], 3)
    );
    // The chat has another name, by which it is found.
    let renamed = file.with_file_name("other.jsonl");
    let end = done_after(json!({ "text": "two" }), &|| std::fs::rename(&file, &renamed).unwrap());
    assert_eq!((&end.data["chat"], end.data["index"].as_u64()), (&json!("other"), Some(3)));
    std::fs::rename(&renamed, &file).unwrap();
    // Another chat has taken its name, and a copy of what it was before is known by the same word.
    let copy = file.with_file_name("copy.jsonl");
    std::fs::copy(&file, &copy).unwrap();
    let end = done_after(json!({ "text": "two and a half" }), &|| {
        std::fs::rename(&file, &renamed).unwrap();
        new_chat(scene.house.data(), "ada", "talk");
        rewrite(&|lines| lines[0]["chat_metadata"]["integrity"] = json!("another word"));
    });
    assert_eq!((&end.data["chat"], scene.lines().len()), (&json!("other"), 0));
    assert_eq!(chat(scene.house.data(), "ada", "other").last().unwrap()["mes"], "later");
    std::fs::remove_file(&copy).unwrap();
    std::fs::rename(&renamed, &file).unwrap();
    // There is no such chat any more: the reply has one of its own.
    let end = done_after(json!({ "text": "three" }), &|| std::fs::remove_file(&file).unwrap());
    let kept = end.data["chat"].as_str().unwrap();
    assert!(kept.starts_with("talk (kept reply"), "{kept}");
    let lines = chat(scene.house.data(), "ada", kept);
    assert_eq!((lines.len(), &lines[0]["mes"]), (1, &json!("later")));
    assert!(!file.exists());
    scene.rests();
}

#[test]
fn people_take_turns_and_whoever_waits_is_told_their_place() {
    let scene = Scene::with(|config| {
        config.models.per_connection = 1;
        config.models.per_user = 3;
    });
    scene.model.plan(|plan| plan.stepwise = true);
    for name in ["two", "three", "four"] {
        new_chat(scene.house.data(), "ada", name);
    }
    let bob = scene.house.moves_in("bob");
    furnish(&bob, scene.house.data(), "bob");
    let first = id_of(&scene.starts(json!({ "text": "1" })).expect(202));
    Events::follow(&scene.ada, &hush(&first)).until("start");
    scene.model.until("the first is asked", |model| model.answering() == 1);
    let second = id_of(&scene.starts(json!({ "text": "2", "chat": "two" })).expect(202));
    let third = id_of(&scene.starts(json!({ "text": "3", "chat": "three" })).expect(202));
    let refused = scene.starts(json!({ "text": "4", "chat": "four" })).expect_error(429, "too_many");
    assert!(refused.header("retry-after").is_some() && chat(scene.house.data(), "ada", "four").is_empty());
    let bobs = id_of(&start(&bob, json!({ "text": "5" })).expect(202));
    let mut waiting = [(Events::follow(&scene.ada, &hush(&second)), 1), (Events::follow(&bob, &hush(&bobs)), 2)];
    for (events, place) in &mut waiting {
        while events.until("queued").data["place"] != json!(*place) {}
    }
    let mut last = Events::follow(&scene.ada, &hush(&third));
    while last.until("queued").data["place"] != json!(3) {}
    scene.model.lets_through(4 * (WORDS.len() + 1));
    for id in [&first, &second, &third] {
        assert_eq!(end_of(&scene.ada, id).name, "done");
    }
    assert_eq!(end_of(&bob, &bobs).name, "done");
    let order: Vec<String> = scene
        .model
        .questions()
        .iter()
        .map(|asked| asked.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["1", "2", "5", "3"]);
}

#[test]
fn whoever_is_signed_out_hears_no_more_within_a_second() {
    let scene = Scene::new();
    scene.model.plan(|plan| plan.stepwise = true);
    let id = id_of(&scene.starts(json!({ "text": "Hello!" })).expect(202));
    type End = fn(&Scene, &Guest);
    let ways: [(&str, End); 3] = [
        ("signed out", |_, guest| drop(guest.delete("/api/v1/session").expect(204))),
        ("password changed elsewhere", |scene, _| {
            let body = json!({ "newPassword": support::password_of("ada") });
            scene.house.owner().put("/api/v1/users/ada/password", body).expect(204);
        }),
        ("disabled", |scene, _| {
            scene.house.owner().patch("/api/v1/users/ada", json!({ "enabled": false })).expect(200);
        }),
    ];
    for (what, end) in ways {
        let guest = scene.house.signed_in("ada");
        let mut streams = [
            Events::follow(&guest, &hush(&id)).patience(Duration::from_secs(3)),
            Events::follow(&guest, "/api/v1/me/changes").patience(Duration::from_secs(3)),
        ];
        streams[0].until("start");
        streams[1].until("ping");
        let started = Instant::now();
        end(&scene, &guest);
        for events in &mut streams {
            while events.next().is_some() {}
        }
        assert!(started.elapsed() < Duration::from_millis(2500), "{what}: {:?}", started.elapsed());
    }
    // A disabled account's replies are stopped.
    eventually("it is stopped", || names(&scene.house.path("_system/generations")).is_empty());
}

#[test]
fn a_deleted_account_leaves_no_reply_behind() {
    let scene = Scene::new();
    scene.model.plan(|plan| plan.stepwise = true);
    scene.starts(json!({ "text": "Hello!" })).expect(202);
    scene.model.lets_through(2);
    scene.house.owner().delete("/api/v1/users/ada?data=remove").expect(204);
    eventually("the journal is gone", || names(&scene.house.path("_system/generations")).is_empty());
    assert!(!scene.house.path("ada").exists());
}

#[test]
fn the_prompt_is_shown_and_nothing_is_sent() {
    let scene = Scene::new();
    let body = json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "text": "What is the time?" });
    let shown = scene.ada.post("/api/v1/prompts", body).expect(200).json();
    assert_eq!((&shown["model"], &shown["context"], &shown["reserved"]), (&json!("small"), &json!(8192), &json!(1024)));
    let messages = shown["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["text"], "What is the time?");
    let tokens: u64 = shown["parts"].as_array().unwrap().iter().map(|part| part["tokens"].as_u64().unwrap()).sum();
    assert!(tokens > 0 && tokens <= shown["tokens"].as_u64().unwrap() + 8, "{shown}");
    assert!(shown["parts"].to_string().contains("Assistant is a helpful"), "{shown}");
    assert!(scene.lines().is_empty() && scene.model.questions().is_empty());
}

/// What is assumed about room is what the server says, and Ollama is told: else it would take its own.
#[test]
fn the_room_is_what_the_model_s_server_says() {
    let scene = Scene::new();
    let ollama = FakeModel::start(Speaks::Ollama);
    let shown = json!({ "parameters": "num_ctx 16384", "model_info": { "llama.context_length": 131_072 } });
    ollama.plan(|plan| plan.documents = vec![("/api/show".to_owned(), shown)]);
    let body =
        json!({ "scope": "house", "name": "O", "kind": "ollama", "baseUrl": ollama.base_url(), "model": "small" });
    let connection = scene.house.owner().post("/api/v1/connections", body).expect(201).json()["id"].clone();
    let ask =
        json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "text": "Hi", "connection": connection });
    let shown = scene.ada.post("/api/v1/prompts", ask.clone()).expect(200).json();
    assert_eq!((&shown["context"], &shown["contextSource"]), (&json!(16384), &json!("model")));
    end_of(&scene.ada, &id_of(&scene.ada.post("/api/v1/generations", ask.clone()).expect(202)));
    assert_eq!(ollama.questions()[0].body["options"]["num_ctx"], 16384);
    assert_eq!(ollama.asked().len(), 2, "it was asked once how much room there is");

    let path = format!("/api/v1/connections/{}", connection.as_str().unwrap());
    scene.house.owner().patch(&path, json!({ "parameters": { "context": 2000 } })).expect(200);
    let shown = scene.ada.post("/api/v1/prompts", ask).expect(200).json();
    assert_eq!((&shown["context"], &shown["contextSource"]), (&json!(2000), &json!("set")));
}

#[test]
fn a_server_that_does_not_say_how_much_room_there_is_holds_up_no_reply() {
    let scene = Scene::new();
    let body = json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "text": "Hi" });
    scene.model.does_instead(Instead::Drip(vec![b'x'; 1000], Duration::from_millis(100)));
    let begun = Instant::now();
    let shown = scene.ada.post("/api/v1/prompts", body).expect(200).json();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((&shown["context"], &shown["contextSource"]), (&json!(8192), &json!("usual")));
}

/// What somebody chose in SillyTavern for models that complete plain text counts, unless the connection has a template.
#[test]
fn sillytavern_s_templates_are_used() {
    let scene = Scene::new();
    let llama = FakeModel::start(Speaks::LlamaCpp);
    let body = json!({ "scope": "house", "name": "L", "kind": "llamacpp", "baseUrl": llama.base_url() });
    let connection = scene.house.owner().post("/api/v1/connections", body).expect(201).json()["id"].clone();
    let ada = scene.house.path("ada");
    let write = |folder: &str, name: &str, json: &Value| {
        std::fs::create_dir_all(ada.join(folder)).unwrap();
        std::fs::write(ada.join(folder).join(format!("{name}.json")), json.to_string()).unwrap();
    };
    let instruct = json!({
        "name": "Mine", "input_sequence": "[IN]", "input_suffix": "[/IN]", "output_sequence": "[OUT]",
        "output_suffix": "[/OUT]", "system_sequence_prefix": "[SYS]", "system_sequence_suffix": "[/SYS]",
        "stop_sequence": "[END]", "wrap": false, "macro": true, "names_behavior": "none",
        "sequences_as_stop_strings": false,
    });
    write("instruct", "Mine", &instruct);
    let story = "{{#if system}}{{system}} {{/if}}{{#if persona}}{{persona}}{{/if}}{{trim}}";
    write("context", "Mine", &json!({ "name": "Mine", "story_string": story, "names_as_stop_strings": true }));
    write("sysprompt", "Mine", &json!({ "name": "Mine", "content": "Speak as {{char}}." }));
    let mut settings = scene.house.settings_of("ada");
    let mut choose = |power_user: Value| {
        settings["power_user"] = power_user;
        std::fs::write(ada.join("settings.json"), settings.to_string()).unwrap();
    };
    let asks = |count: usize| {
        let started = scene.starts(json!({ "text": format!("Hi {count}"), "connection": connection }));
        end_of(&scene.ada, &id_of(&started.expect(202)));
        let body = llama.questions().pop().unwrap().body;
        (body["prompt"].as_str().unwrap().to_owned(), body["stop"].clone())
    };
    let system = json!({ "enabled": true, "name": "Mine" });
    choose(json!({
        // What was edited since it was saved as a preset counts.
        "instruct": { "enabled": true, "preset": "Mine", "input_suffix": "[/ME]" },
        "context": { "preset": "Mine" }, "sysprompt": system,
    }));
    let (prompt, stop) = asks(1);
    assert_eq!(prompt, "[SYS]Speak as Assistant. [/SYS][IN]Hi 1[/ME][OUT]");
    assert_eq!(stop, json!(["[END]", "\nAda:"]));

    // Where instruct mode is off, the built-in template is as good as any.
    choose(
        json!({ "instruct": { "enabled": false, "preset": "Mine" }, "context": { "preset": "Mine" }, "sysprompt": system }),
    );
    let (prompt, _) = asks(2);
    assert!(prompt.starts_with("<|im_start|>system\n"), "{prompt}");

    // A connection's own template goes before all.
    choose(json!({ "instruct": { "enabled": true, "preset": "Mine" }, "context": { "preset": "Mine" } }));
    let path = format!("/api/v1/connections/{}", connection.as_str().unwrap());
    scene.house.owner().patch(&path, json!({ "template": "Gemma" })).expect(200);
    let (prompt, _) = asks(3);
    assert!(prompt.contains("<start_of_turn>user\nHi 3<end_of_turn>"), "{prompt}");

    // Nonsense is no reason not to talk.
    scene.house.owner().patch(&path, json!({ "template": null })).expect(200);
    choose(json!({ "instruct": { "enabled": true, "wrap": "perhaps" }, "context": 5, "sysprompt": [] }));
    let (prompt, _) = asks(4);
    assert!(prompt.starts_with("<|im_start|>system\n"), "{prompt}");
}

#[test]
fn asked_to_stop_the_server_keeps_the_part_and_lets_the_next_one_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start(Speaks::OpenAi);
    model.says(&WORDS);
    model.plan(|plan| plan.stepwise = true);
    let server = Program::start(folder.path());
    let (owner, data) = (server.owner(), server.data());
    connect(&owner, &model);
    furnish(&owner, &data, OWNER);
    let id = id_of(&start(&owner, json!({ "text": "Hello!" })).expect(202));
    let mut listening = Events::follow(&owner, &hush(&id));
    model.lets_through(1);
    listening.until("text");
    let ended = std::thread::spawn(move || listening.rest().pop());
    let begun = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let failed = ended.join().unwrap().expect("whoever listened was told");
    assert_eq!((&failed.data["code"], &failed.data["kept"]), (&json!("closing"), &json!(true)));
    let lines = chat(&data, OWNER, "talk");
    assert_eq!((&lines[1]["mes"], &lines[1]["extra"]["tavernkeep"]["unfinished"]), (&json!("Good "), &json!(true)));
    assert!(names(&data.join("_system/generations")).is_empty());
}

/// The model's house stays; the program is killed after each piece of a reply, and again and again while it recovers.
#[test]
fn killed_at_any_piece_the_part_is_in_the_chat_once() {
    for pieces in 0..=WORDS.len() + 1 {
        let folder = tempfile::tempdir().unwrap();
        let model = FakeModel::start(Speaks::OpenAi);
        model.says(&WORDS);
        model.plan(|plan| plan.stepwise = true);
        let server = Program::start(folder.path());
        let (owner, data) = (server.owner(), server.data());
        connect(&owner, &model);
        furnish(&owner, &data, OWNER);
        let started = start(&owner, json!({ "text": "Hello!", "id": "m1" })).expect(202);
        let mut listening = Events::follow(&owner, &hush(&id_of(&started)));
        let expected = WORDS[..pieces.min(WORDS.len())].concat();
        for _ in 0..pieces.min(WORDS.len()) {
            model.lets_through(1);
            listening.until("text");
        }
        let journal = || names(&data.join("_system/generations"));
        assert_eq!(journal().len(), 1);
        if pieces > WORDS.len() {
            model.lets_through(2);
            listening.until("done");
        } else if pieces > 0 {
            // About every second what came is on the disk.
            let file = data.join("_system/generations").join(&journal()[0]);
            let noted = || {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let lines = text.lines().skip(1).filter_map(|line| serde_json::from_str::<Value>(line).ok());
                lines.filter_map(|line| line["text"].as_str().map(str::to_owned)).collect::<String>()
            };
            let begun = Instant::now();
            eventually("the part is noted", || noted() == expected);
            assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
        }
        drop(listening);
        server.kill();
        // Killed again, at different moments of the next start.
        for wait in [0, 3, 10] {
            let mut child = support::program::command(folder.path(), &["--port", "0"])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(wait * 5));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let server = Program::start(folder.path());
        assert!(journal().is_empty(), "after {pieces} pieces: {:?}", journal());
        let lines = chat(&data, OWNER, "talk");
        assert_eq!(lines[0]["mes"], "Hello!");
        if pieces == 0 {
            assert_eq!(lines.len(), 1);
            continue;
        }
        assert_eq!((lines.len(), &lines[1]["mes"]), (2, &json!(expected)), "after {pieces} pieces");
        let is_whole = pieces > WORDS.len();
        assert_eq!(lines[1]["extra"]["tavernkeep"]["unfinished"], if is_whole { Value::Null } else { json!(true) });
        assert_eq!(lines[1]["extra"]["tavernkeep"]["id"], started.json()["id"]);
        if !is_whole {
            model.plan(|plan| plan.stepwise = false);
            model.says(&[" (more)"]);
            let owner = server.owner();
            let done = end_of(&owner, &id_of(&start(&owner, json!({ "kind": "continue" })).expect(202)));
            assert_eq!(done.name, "done");
            let lines = chat(&data, OWNER, "talk");
            assert_eq!((lines.len(), &lines[1]["mes"]), (2, &json!(expected + " (more)")));
            assert_eq!(lines[1]["extra"]["tavernkeep"]["unfinished"], Value::Null);
        }
    }
}

/// Whatever step of the disk fails from the question on, once or from then on: the person hears of it or the reply is there,
/// and when the disk is well again, or they ask again, everything is, once.
#[rstest]
#[case(true, 24)]
#[case(false, 12)]
fn every_step_of_a_reply_may_fail(#[case] forever: bool, #[case] steps: u64) {
    use tavernkeep::store::Faults;
    let mut outcomes = std::collections::BTreeMap::new();
    let mut halfway = 0;
    for n in 1..=steps {
        let faults = Faults::at(0, std::io::ErrorKind::StorageFull, forever);
        faults.rearm(0);
        let house = TestHouse::on_failing_disk(&faults);
        let owner = house.owner();
        furnish(&owner, house.data(), OWNER);
        let version = || owner.get("/api/v1/chats/Assistant/talk").expect(200).json()["version"].clone();
        let mut question = json!({ "text": "Hello you there", "id": "m1", "connection": "echo", "version": version() });
        let name = format!("step {n}, forever: {forever}");
        faults.rearm(n);
        let answer = start(&owner, question.clone());
        let end = if answer.status == 202 {
            end_of(&owner, &id_of(&answer)).name
        } else {
            assert!(answer.status >= 500, "{name}: {answer}");
            if answer.text().contains("Your message is in the chat") {
                assert_eq!(chat(house.data(), OWNER, "talk").len(), 1, "{name}: {answer}");
                assert_eq!(answer.json()["details"]["index"], 0, "{name}: {answer}");
                halfway += 1;
            }
            "refused".to_owned()
        };
        *outcomes.entry(end.clone()).or_insert(0) += 1;
        faults.rearm(0);
        house.app().keep_house();
        if end == "refused" {
            // The retry changes nothing that is there already. Only what was torn, and could not even be cut off, makes
            // another version of the chat.
            let mut again = start(&owner, question.clone());
            if again.code() == "stale" && forever {
                question["version"] = version();
                again = start(&owner, question.clone());
            }
            let again = again.expect(202);
            assert_eq!(end_of(&owner, &id_of(&again)).name, "done", "{name}");
        }
        // And the same again, as if even that answer had been lost.
        let id = id_of(&start(&owner, question).expect(202));
        assert_eq!(end_of(&owner, &id).name, if end == "refused" { "done" } else { &end }, "{name}");
        let lines = chat(house.data(), OWNER, "talk");
        assert_eq!(lines.len(), 2, "{name} ({end}): {lines:?}");
        assert_eq!(lines[0]["mes"], "Hello you there");
        assert!(lines[1]["mes"].as_str().unwrap().ends_with("Hello you there"), "{name}: {}", lines[1]);
        house.app().talk.recover().unwrap();
        assert_eq!(chat(house.data(), OWNER, "talk").len(), 2, "{name}");
        assert!(names(&house.path("_system/generations")).is_empty(), "{name}");
    }
    assert!(halfway > 0, "no answer said that the message is there: {outcomes:?}");
    println!("{outcomes:?}, {halfway} of them with the message");
}
