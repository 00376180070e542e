//! T8, a reply you paid for is not lost when you leave: the whole way over real sockets, with a model server that does as it
//! is told. Clients are dropped and the program is killed at each piece of a reply.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::events::{Event, Events, words_of};
use support::model::{FakeModel, Speaks};
use support::{Answer, Guest, Request, TestHouse, eventually};

const WORDS: [&str; 6] = ["Good ", "evening", ", tra", "veller. Sit ", "down; größer ", "is the fire."];

/// A house with a character, a chat, and a model server that the house's connection leads to.
struct Scene {
    house: TestHouse,
    model: FakeModel,
    ada: Guest,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut tavernkeep::config::Config)) -> Self {
        let house = TestHouse::with(change);
        let model = FakeModel::start(Speaks::OpenAi);
        model.says(&WORDS);
        connect(&house.owner(), &model);
        let ada = house.moves_in("ada");
        furnish(&ada, house.data(), "ada");
        Self { house, model, ada }
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

fn connect(owner: &Guest, model: &FakeModel) {
    let body =
        json!({ "scope": "house", "name": "Fake", "kind": "openai", "baseUrl": model.base_url(), "model": "small" });
    owner.post("/api/v1/connections", body).expect(201);
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

/// The messages of a chat on the disk.
fn chat(data: &Path, handle: &str, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data.join(handle).join(format!("chats/Assistant/{name}.jsonl"))).unwrap();
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
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
fn whoever_asks_and_does_not_wait_for_the_answer_gets_the_reply() {
    let scene = Scene::new();
    let body = json!({ "character": "Assistant", "chat": "talk", "kind": "reply", "text": "Hello!", "id": "m1" });
    drop(scene.ada.begin(&Request::new("POST", "/api/v1/generations").json(&body)));
    assert_eq!(scene.last_once(2)["mes"], WORDS.concat());
    scene.rests();
    // The retry of whoever got no answer is the same generation.
    let again = scene.ada.post("/api/v1/generations", body).expect(202);
    let all = Events::follow(&scene.ada, &events(&id_of(&again))).rest();
    assert_eq!(words_of(&all, "text"), WORDS.concat());
    assert_eq!((scene.lines().len(), scene.model.asked().len()), (2, 1));
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
