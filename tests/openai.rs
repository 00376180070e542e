//! The OpenAI-compatible API over a real socket: who gets in, what is passed on, what comes back, and what happens when
//! somebody leaves. The official libraries are tried in `tests/sdk`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::Shutdown;

use serde_json::{Value, json};
use support::{Answer, Ending, FakeModel, Guest, Instead, Request, Speaks, TestHouse, eventually};
use tavernkeep::config::PrivateHosts;

/// A house with one person, their API key, and a model of theirs.
struct Place {
    house: TestHouse,
    model: FakeModel,
    ada: Guest,
    key: String,
    connection: String,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut tavernkeep::config::Config)) -> Self {
        let house = TestHouse::with(|config| {
            config.models.allow_private_hosts = PrivateHosts::parse(["*"]).unwrap();
            change(config);
        });
        let model = FakeModel::start(Speaks::OpenAi);
        let ada = house.moves_in("ada");
        let body = json!({
            "name": "Model", "kind": "openai", "baseUrl": model.base_url(), "model": "small", "key": "sk-provider",
            "parameters": { "temperature": 0.1, "topP": 0.5 },
        });
        let connection = ada.post("/api/v1/connections", body).expect(201).json()["id"].as_str().unwrap().to_owned();
        let key = ada.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
        let key = key["key"].as_str().unwrap().to_owned();
        Self { house, model, ada, key, connection }
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).without_token().header("Authorization", &format!("Bearer {}", self.key))
    }

    fn get(&self, path: &str) -> Answer {
        self.house.anonymous().send(self.request("GET", path))
    }

    fn asks(&self, body: &Value) -> Answer {
        self.house.anonymous().send(self.request("POST", "/v1/chat/completions").json(body))
    }

    fn used(&self) -> Value {
        self.ada.get("/api/v1/me/usage").expect(200).json()["total"].clone()
    }
}

fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] })
}

fn streamed(model: &str) -> Value {
    let mut body = hello(model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// The events of a stream; the last one has to be `[DONE]`.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.pop(), Some("[DONE]"), "{answer}");
    data.iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn an_answer_at_once() {
    let place = Place::new();
    place.model.thinks(&["Hm. ", "Well."]);
    let asked = json!({
        "model": format!("{}/large", place.connection),
        "messages": [
            { "role": "developer", "content": "Be kind." },
            { "role": "user", "content": [
                { "type": "text", "text": "Look" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAEC" } },
            ] },
        ],
        "temperature": 0.7, "max_completion_tokens": 50, "stop": ["END"], "seed": 3, "presence_penalty": 0.5,
        "frequency_penalty": 0.25, "reasoning_effort": "low", "user": "somebody",
    });
    let answer = place.asks(&asked).expect(200).json();
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("Hello there, friend."), &json!("stop"))
    );
    assert_eq!(choice["message"]["reasoning_content"], "Hm. Well.");
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 }));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &asked["model"]));
    let sent = place.model.last();
    assert_eq!(sent.header("authorization"), Some("Bearer sk-provider"));
    assert_eq!((&sent.body["model"], &sent.body["temperature"]), (&json!("large"), &json!(0.7)));
    // What is not said is as the connection has it.
    assert_eq!((&sent.body["top_p"], &sent.body["seed"]), (&json!(0.5), &json!(3)));
    assert_eq!((&sent.body["stop"], &sent.body["presence_penalty"]), (&json!(["END"]), &json!(0.5)));
    let sent = sent.body.to_string();
    assert!(sent.contains("Be kind.") && sent.contains("data:image/png;base64,AAEC"), "{sent}");
    eventually("the ledger has it", || place.used()["completion"] == 3);
}

#[test]
fn an_answer_piece_by_piece() {
    let place = Place::new();
    place.model.thinks(&["Hm."]);
    let answer = place.asks(&streamed(&place.connection)).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(&answer);
    assert_eq!(events[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "" }));
    let told = |field: &str| -> String {
        events.iter().filter_map(|event| event["choices"][0]["delta"][field].as_str()).collect()
    };
    assert_eq!((told("content").as_str(), told("reasoning_content").as_str()), ("Hello there, friend.", "Hm."));
    let [.., finish, usage] = events.as_slice() else { panic!() };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(10)));
    assert!(events.iter().all(|event| event["id"] == events[0]["id"] && event["object"] == "chat.completion.chunk"));

    // Without being asked nothing is said of tokens; what the provider does not report is counted.
    place.model.plan(|plan| plan.usage = None);
    let mut body = streamed(&place.connection);
    body["stream_options"] = Value::Null;
    let answer = place.asks(&body).expect(200);
    assert!(!answer.text().contains("usage"), "{answer}");
    eventually("the ledger has both", || place.used()["requests"] == 2);
    assert_eq!(place.used()["counted"], 1);
    assert!(place.used()["completion"].as_u64().unwrap() > 3);
}

#[test]
fn models_have_names() {
    let place = Place::new();
    let id = &place.connection;
    let list = place.get("/v1/models").expect(200).json();
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(&names[..3], [format!("{id}/small"), format!("{id}/large"), "echo/echo".to_owned()]);
    for name in [format!("{id}/large"), id.clone(), "large".to_owned(), "echo".to_owned(), "echo/echo".to_owned()] {
        assert_eq!(place.get(&format!("/v1/models/{name}")).expect(200).json()["id"], name);
        // As libraries write it in a path.
        let encoded = name.replace('/', "%2F");
        assert_eq!(place.get(&format!("/v1/models/{encoded}")).expect(200).json()["id"], name);
        place.asks(&hello(&name)).expect(200);
    }
    for name in ["nothing", "abc/large", "character:Nobody"] {
        let answer = place.get(&format!("/v1/models/{name}")).expect(404).json();
        assert_eq!(answer["error"]["code"], "model_not_found", "{answer}");
    }
    // A bare name is one of the connection that is used by default.
    place.asks(&hello("anything")).expect(200);
    assert_eq!(place.model.last().body["model"], "anything");
    // Nobody takes the echo for what they asked for.
    place.ada.delete(&format!("/api/v1/connections/{id}")).expect(204);
    assert_eq!(place.asks(&hello("gpt-5")).expect(404).json()["error"]["code"], "model_not_found");
    assert!(place.asks(&hello("echo")).expect(200).text().contains("Hello"));
}

/// A character is asked like a model: its card is in the prompt, and no chat is made.
#[test]
fn a_character_is_asked() {
    let place = Place::new();
    let card = json!({
        "name": "Eva Stone", "description": "{{char}} keeps the lighthouse.", "firstMessage": "Who is there?",
        "systemPrompt": "You are {{char}}.",
    });
    place.ada.post("/api/v1/characters", card).expect(201);
    let list = place.get("/v1/models").expect(200).json();
    let last = list["data"].as_array().unwrap().last().unwrap()["id"].clone();
    assert_eq!(last, "character:Eva Stone");
    assert_eq!(place.get("/v1/models/character:Eva%20Stone").expect(200).json()["id"], last);
    let before = place.house.tree().only(|name| name.starts_with("ada/"));
    for name in ["character:Eva Stone", "character:eva stone"] {
        let answer = place.asks(&hello(name)).expect(200).json();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello there, friend.");
        let sent = place.model.last().body["messages"].clone();
        let text = sent.to_string();
        assert!(text.contains("Eva Stone keeps the lighthouse.") && text.contains("You are Eva Stone."), "{text}");
        let last = sent.as_array().unwrap().last().unwrap();
        assert_eq!((&last["role"], last["content"].to_string().contains("Hello")), (&json!("user"), true), "{text}");
    }
    before.is_still(&place.house.tree().only(|name| name.starts_with("ada/")), "asking a character");
    let bob = place.house.moves_in("bob");
    let key = bob.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let request = Request::new("POST", "/v1/chat/completions").without_token().header("Authorization", &bearer);
    place.house.anonymous().send(request.json(&hello("character:Eva Stone"))).expect(404);
}

#[test]
fn somebody_else_s_connection_is_not_there() {
    let place = Place::new();
    let bob = place.house.moves_in("bob");
    let key = bob.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let ask = |model: &str| {
        let request = Request::new("POST", "/v1/chat/completions").without_token().header("Authorization", &bearer);
        place.house.anonymous().send(request.json(&hello(model)))
    };
    let (hers, nobodys) = (ask(&format!("{}/small", place.connection)), ask("0123456789abcdef/small"));
    assert_eq!((hers.status, nobodys.status), (404, 404));
    assert_eq!(hers.text().replace(&place.connection, ""), nobodys.text().replace("0123456789abcdef", ""));
    let list = Request::new("GET", "/v1/models").header("Authorization", &bearer);
    assert!(!place.house.anonymous().send(list).expect(200).text().contains(&place.connection));
}

#[test]
fn who_gets_in() {
    let place = Place::new();
    for bearer in ["", "Bearer", "Bearer ", "Bearer tk-", "Bearer sk-other", &format!("Basic {}", place.key)] {
        let answer = place.house.anonymous().send(Request::new("GET", "/v1/models").header("Authorization", bearer));
        let error = answer.expect(401).json()["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&json!("invalid_api_key"), &json!("authentication_error")));
    }
    // A browser's cookie counts for nothing, so that no page can ask in somebody's name.
    place.ada.get("/v1/models").expect(401);
    let answer = place.ada.send(Request::new("POST", "/v1/chat/completions").json(&hello("echo")));
    answer.expect(401);
    place.house.anonymous().get("/v1/nothing").expect(404);
    assert_eq!(place.get("/v1/chat/completions").expect(405).header("allow"), Some("POST"));
}

/// There is one `Authorization` header only: a good key is more than the name and password that all others share.
#[test]
fn a_key_passes_where_basic_authentication_is_on() {
    let mut place = Place::new();
    place.house.reopen(|config| (config.listen, config.basic_auth_mode) = (true, true));
    place.get("/v1/models").expect(200);
    let wrong = Request::new("GET", "/v1/models").header("Authorization", "Bearer tk-wrong");
    let refused = place.house.anonymous().send(wrong).expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|asks| asks.starts_with("Basic")), "{refused}");
    // Nor is it one for pages.
    place.house.anonymous().send(place.request("GET", "/api/v1/me")).expect(401);
}

#[test]
fn where_accounts_are_off_a_key_is_needed_all_the_same() {
    let house = TestHouse::with(|config| config.enable_user_accounts = false);
    let owner = house.anonymous();
    owner.get("/v1/models").expect(401);
    let key = owner.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    house.anonymous().send(Request::new("GET", "/v1/models").header("Authorization", &bearer)).expect(200);
}

#[test]
fn what_is_wrong_is_told_in_openai_s_form() {
    let place = Place::new();
    let mut bodies = vec![
        (json!({ "model": "echo" }), 400),
        (json!({ "model": "echo", "messages": [] }), 400),
        (json!({ "messages": [{ "role": "user", "content": "x" }] }), 400),
        (json!({ "model": "echo", "messages": [{ "role": "tool", "content": "x" }] }), 400),
        (json!({ "model": "echo", "messages": "x" }), 400),
        (json!({ "model": "", "messages": [{ "role": "user", "content": "x" }] }), 404),
    ];
    for (name, value) in [("n", json!(2)), ("tools", json!([{}])), ("logprobs", json!(true)), ("max_tokens", json!(-1))]
    {
        let mut body = hello("echo");
        body[name] = value;
        bodies.push((body, 400));
    }
    for (body, status) in bodies {
        let answer = place.asks(&body).expect(status);
        let error = answer.json()["error"].clone();
        assert!(error["message"].is_string() && error["type"] == "invalid_request_error", "{answer}");
    }
    let request = place.request("POST", "/v1/chat/completions").body("text/plain", hello("echo").to_string());
    place.house.anonymous().send(request).expect(415);
    assert_eq!(place.used()["requests"], 0);
}

#[test]
fn a_model_server_that_fails() {
    let place = Place::new();
    for (status, expected, retry) in [(401, 502, false), (404, 502, false), (429, 429, true), (503, 502, true)] {
        let body = json!({ "error": { "message": "sk-provider says no" } }).to_string();
        place.model.plan(|plan| plan.instead = Some(Instead::Status(status, body)));
        let answer = place.asks(&hello(&place.connection)).expect(expected);
        assert!(!answer.text().contains("sk-provider"), "{answer}");
        assert_eq!(answer.header("x-should-retry").is_none(), retry, "{answer}");
    }
    place.model.plan(|plan| plan.instead = None);
    place.model.plan(|plan| plan.ending = Ending::Cut);
    place.asks(&hello(&place.connection)).expect(502);
    let answer = place.asks(&streamed(&place.connection)).expect(200);
    assert!(!answer.text().contains("[DONE]"), "{answer}");
    let last = answer.text().lines().rfind(|line| line.starts_with("data: ")).unwrap().to_owned();
    let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "model_cut", "{answer}");
    assert!(answer.text().contains(" friend."));
    // Cut off or not, it was paid for.
    eventually("the ledger has both", || place.used()["requests"] == 2);
}

/// Programs stand in the same line before a connection as chats do, and count as their person's.
#[test]
fn programs_and_chats_share_one_line_and_one_limit() {
    let place = Place::with(|config| (config.models.per_connection, config.models.per_user) = (1, 2));
    place.model.plan(|plan| plan.stepwise = true);
    let asks = |body: Value| place.house.anonymous().begin(&place.request("POST", "/v1/chat/completions").json(&body));
    let mut first = asks(streamed(&place.connection));
    place.model.until("the first is asked", |model| model.answering() == 1);
    let second = asks(hello(&place.connection));
    let under_way = |count| eventually("so many are under way", || place.house.app().talk.count() == count);
    under_way(2);
    let refused = place.asks(&hello(&place.connection)).expect(429);
    assert!(refused.header("retry-after").is_some() && refused.header("x-should-retry").is_none(), "{refused}");
    let error = refused.json()["error"].clone();
    assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_error"), &json!("too_many")));
    // A chat of the same person is refused as well.
    place.ada.post("/api/v1/characters/assistant", json!({}));
    let made = place.ada.post("/api/v1/characters/Assistant/chats", json!({})).expect(201).json();
    let body = json!({ "character": "Assistant", "chat": made["chat"], "kind": "reply", "text": "Hi" });
    place.ada.post("/api/v1/generations", body).expect_error(429, "too_many");
    assert_eq!(place.model.questions().len(), 1, "the connection takes one at a time");

    // Whoever leaves while they wait is not asked for.
    drop(second);
    under_way(1);
    let waiting = asks(hello(&place.connection));
    under_way(2);
    place.model.lets_through(5);
    let mut text = String::new();
    first.read_to_string(&mut text).unwrap();
    assert!(text.contains("[DONE]"), "{text}");
    place.model.until("the next is asked", |model| model.questions().len() == 2);
    place.model.lets_through(5);
    let mut text = String::new();
    (&waiting).read_to_string(&mut text).unwrap();
    assert!(text.contains("Hello there, friend."), "{text}");
    place.model.plan(|plan| plan.stepwise = false);
    place.asks(&hello(&place.connection)).expect(200);
}

#[test]
fn whoever_leaves_stops_the_model() {
    let place = Place::new();
    place.model.plan(|plan| plan.stepwise = true);
    for body in [streamed(&place.connection), hello(&place.connection)] {
        let left = place.model.left();
        let streams = body["stream"] == json!(true);
        let socket = place.house.anonymous().begin(&place.request("POST", "/v1/chat/completions").json(&body));
        place.model.lets_through(1);
        if streams {
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().contains("Hello")));
        } else {
            eventually("the model answers", || place.model.answering() == 1);
        }
        socket.shutdown(Shutdown::Both).unwrap();
        drop(socket);
        place.model.until("the model notices", |model| model.left() > left || model.answering() == 0);
    }
    eventually("the ledger has what came", || place.used()["requests"].as_u64().unwrap() >= 1);
}

#[test]
fn a_revoked_key_ends_what_it_began() {
    let place = Place::new();
    place.model.plan(|plan| plan.stepwise = true);
    let request = place.request("POST", "/v1/chat/completions").json(&streamed(&place.connection));
    let mut socket = place.house.anonymous().begin(&request);
    place.model.lets_through(1);
    eventually("the model answers", || place.model.answering() == 1);
    let id = place.ada.get("/api/v1/me/keys").json()["keys"][0]["id"].as_str().unwrap().to_owned();
    place.ada.delete(&format!("/api/v1/me/keys/{id}")).expect(204);
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.contains("invalid_api_key") && !text.contains("[DONE]"), "{text}");
    place.model.until("the model is stopped", |model| model.answering() == 0);
}

#[test]
fn a_slow_reader_slows_the_model_and_not_the_house() {
    let place = Place::new();
    let word = "x".repeat(64 * 1024);
    place.model.says(&[&word]);
    place.model.plan(|plan| plan.ending = Ending::Endless);
    let request = place.request("POST", "/v1/chat/completions").json(&streamed(&place.connection));
    let socket = place.house.anonymous().begin(&request);
    eventually("the model answers", || place.model.answering() == 1);
    std::thread::sleep(std::time::Duration::from_millis(500));
    // Nobody reads; others are answered.
    place.asks(&hello("echo")).expect(200);
    drop(socket);
    place.model.until("the model is stopped", |model| model.answering() == 0);
}
