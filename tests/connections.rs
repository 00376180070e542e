//! Connections to model servers over a real socket: whose they are, what others see of them, where their keys go; API keys
//! and the ledger.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use serde_json::{Value, json};
use support::files::contains;
use support::zips::unzip;
use support::{FakeModel, Guest, Instead, Program, Request, Speaks, TestHouse, Tree, password_of};
use tavernkeep::config::PrivateHosts;

const KEY: &str = "sk-CANARY-0123456789abcdef";

/// A house in which everybody may connect to servers on this machine.
fn house() -> TestHouse {
    TestHouse::with(|config| config.models.allow_private_hosts = PrivateHosts::parse(["*"]).unwrap())
}

fn connect(guest: &Guest, scope: &str, base: &str) -> Value {
    let body =
        json!({ "scope": scope, "name": "Model", "kind": "openai", "baseUrl": base, "model": "small", "key": KEY });
    guest.post("/api/v1/connections", body).expect(201).json()
}

fn ids(guest: &Guest) -> Vec<String> {
    let list = guest.get("/api/v1/connections").expect(200).json();
    let all = list["connections"].as_array().unwrap().clone();
    all.iter().map(|connection| connection["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_s_own_and_the_house_s() {
    let house = house();
    let model = FakeModel::start(Speaks::OpenAi);
    let (owner, ada, bob) = (house.owner(), house.moves_in("ada"), house.moves_in("bob"));
    let list = ada.get("/api/v1/connections").expect(200).json();
    assert_eq!((&list["default"], list["connections"].as_array().unwrap().len()), (&json!("echo"), 1));
    assert_eq!(list["connections"][0]["kind"], "echo");

    let base = model.base_url();
    let ours = connect(&owner, "house", &base);
    let hers = connect(&ada, "own", &base);
    assert_eq!((&ours["hasKey"], &ours["baseUrl"], &ours["key"]), (&json!(true), &json!(base), &Value::Null));
    let (ours, hers) = (ours["id"].as_str().unwrap(), hers["id"].as_str().unwrap());
    assert_eq!(ids(&ada), [hers, ours, "echo"]);
    assert_eq!(ids(&bob), [ours, "echo"]);

    // Others use the house's connection, and see neither its key nor where it leads.
    let list = bob.get("/api/v1/connections").expect(200);
    assert!(!list.text().contains("CANARY") && !list.text().contains(&base), "{list}");
    assert_eq!(list.json()["default"], ours);
    let models = bob.get(&format!("/api/v1/connections/{ours}/models")).expect(200).json();
    assert_eq!(models["models"][0]["id"], "small");
    assert_eq!(model.last().header("authorization"), Some(format!("Bearer {KEY}").as_str()));

    // They do not change it; and what is Ada's is not there.
    for (method, path, body) in [
        ("PATCH", format!("/api/v1/connections/{ours}"), json!({ "baseUrl": "http://evil.example" })),
        ("DELETE", format!("/api/v1/connections/{ours}"), json!({})),
        ("POST", "/api/v1/connections".to_owned(), json!({ "scope": "house", "name": "x", "kind": "echo" })),
        ("POST", "/api/v1/connections/test".to_owned(), json!({ "scope": "house", "name": "x", "kind": "echo" })),
    ] {
        bob.send(Request::new(method, &path).json(&body)).expect_error(403, "forbidden");
    }
    for (method, path, body) in [
        ("PATCH", format!("/api/v1/connections/{hers}"), json!({ "name": "x" })),
        ("DELETE", format!("/api/v1/connections/{hers}"), json!({})),
        ("GET", format!("/api/v1/connections/{hers}/models"), json!({})),
        ("POST", format!("/api/v1/connections/{hers}/test"), json!({})),
        ("PUT", "/api/v1/connections/default".to_owned(), json!({ "id": hers })),
    ] {
        let request = Request::new(method, &path);
        let answer = bob.send(if method == "GET" { request } else { request.json(&body) });
        answer.expect_error(404, "not_found");
    }
    assert_eq!(house.events("house_connection_changed").len(), 1);
    owner.delete(&format!("/api/v1/connections/{ours}")).expect(204);
    assert_eq!(ids(&bob), ["echo"]);
}

#[test]
fn a_connection_is_tried_out() {
    let house = house();
    let model = FakeModel::start(Speaks::OpenAi);
    let ada = house.moves_in("ada");
    let draft = json!({ "name": "New", "kind": "openai", "baseUrl": model.base_url(), "key": KEY });
    let tried = ada.post("/api/v1/connections/test", draft.clone()).expect(200).json();
    assert_eq!((&tried["ok"], &tried["reply"]), (&json!(true), &json!("Hello there, friend.")), "{tried}");
    assert_eq!(tried["models"].as_array().unwrap().len(), 2);
    // Nothing was saved but what it cost.
    assert_eq!(ids(&ada), ["echo"]);
    assert!(house.tree().holding("CANARY").is_empty());
    let usage = || ada.get("/api/v1/me/usage").expect(200).json();
    support::eventually("the ledger has it", || usage()["total"]["requests"] == 1);
    assert_eq!((&usage()["total"]["prompt"], &usage()["total"]["completion"]), (&json!(7), &json!(3)));

    let made = ada.post("/api/v1/connections", draft).expect(201).json();
    let path = format!("/api/v1/connections/{}/test", made["id"].as_str().unwrap());
    let tried = ada.post(&path, json!({ "model": "large" })).expect(200).json();
    assert_eq!((&tried["ok"], &model.last().body["model"]), (&json!(true), &json!("large")), "{tried}");

    // Failure is told in words, and does not repeat the key.
    let repeated = json!({ "error": { "message": format!("Incorrect API key provided: {KEY}") } }).to_string();
    model.plan(|plan| plan.instead = Some(Instead::Status(401, repeated)));
    let answer = ada.post(&path, json!({})).expect(200);
    assert_eq!(answer.json()["ok"], false);
    assert!(
        answer.json()["message"].as_str().unwrap().contains("key") && !answer.text().contains("CANARY"),
        "{answer}"
    );
    let nowhere = json!({ "name": "New", "kind": "openai", "baseUrl": "http://127.0.0.1:9/v1" });
    let tried = ada.post("/api/v1/connections/test", nowhere).expect(200).json();
    assert_eq!(tried["ok"], false);
    let echo = ada.post("/api/v1/connections/echo/test", json!({})).expect(200).json();
    assert_eq!(echo["ok"], true, "{echo}");
}

#[test]
fn without_the_key_file_keys_are_entered_again() {
    let house = house();
    let model = FakeModel::start(Speaks::OpenAi);
    let ada = house.moves_in("ada");
    let id = connect(&ada, "own", &model.base_url())["id"].as_str().unwrap().to_owned();
    let files = support::files::names_in(house.beside());
    let file = files.iter().find(|name| name.starts_with(".tavernkeep-key-")).unwrap();
    std::fs::remove_file(house.beside().join(file)).unwrap();
    let list = ada.get("/api/v1/connections").expect(200).json();
    assert_eq!((&list["connections"][0]["hasKey"], &list["connections"][0]["keyLost"]), (&json!(false), &json!(true)));
    ada.get(&format!("/api/v1/connections/{id}/models")).expect_error(409, "key_lost");
    let tried = ada.post(&format!("/api/v1/connections/{id}/test"), json!({})).expect(200).json();
    assert!(tried["message"].as_str().unwrap().contains("enter the key again"), "{tried}");
    ada.patch(&format!("/api/v1/connections/{id}"), json!({ "key": KEY })).expect(200);
    ada.get(&format!("/api/v1/connections/{id}/models")).expect(200);
}

#[test]
fn what_is_wrong_is_refused_and_the_key_is_not_repeated() {
    let house = house();
    let ada = house.moves_in("ada");
    for (body, code) in [
        (json!({ "name": "", "kind": "echo" }), "bad_name"),
        (json!({ "name": "x", "kind": "openai", "baseUrl": "file:///etc/passwd" }), "bad_address"),
        (json!({ "name": "x", "kind": "openai", "baseUrl": "http://u:p@host/" }), "bad_address"),
        (json!({ "name": "x", "kind": "text" }), "bad_address"),
        (json!({ "name": "x", "kind": "other" }), "bad_request"),
        (json!({ "name": "x", "kind": "echo", "key": 5 }), "bad_request"),
        (json!({ "name": "x", "kind": "echo", "key": "CANARY with spaces" }), "bad_request"),
        (json!({ "name": "x", "kind": "echo", "holder": "default-user" }), "bad_request"),
        (json!({ "name": "x", "kind": "echo", "parameters": { "temperature": "hot" } }), "bad_request"),
    ] {
        let answer = ada.post("/api/v1/connections", body).expect_error(400, code);
        assert!(!answer.text().contains("CANARY"), "{answer}");
    }
    assert_eq!(ids(&ada), ["echo"]);
    for id in ["..", "con", "x%2Fy", "ECHO", "default"] {
        let answer = ada.patch(&format!("/api/v1/connections/{id}"), json!({}));
        assert!([404, 405].contains(&answer.status), "{answer}");
    }
    ada.delete("/api/v1/connections/echo").expect_error(409, "built_in");
}

/// T15 for keys: a canary goes in; it comes out nowhere but at the model server.
#[test]
fn a_key_is_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("TAVERNKEEP_LOG", "trace"),
        ("TAVERNKEEP_LOGGING_FILE", "server.log"),
        ("TAVERNKEEP_MODELS_ALLOW_PRIVATE_HOSTS", "[\"*\"]"),
    ];
    let server = Program::start_with(folder.path(), &[], &env);
    let model = FakeModel::start(Speaks::OpenAi);
    let owner = server.owner();
    owner.post("/api/v1/users", json!({ "handle": "ada", "name": "Ada", "password": password_of("ada") })).expect(201);
    let ada = server.anonymous();
    ada.signs_in("ada", &password_of("ada")).expect(200);
    let mut heard = Vec::new();
    let mut ask = |guest: &Guest, method: &str, path: &str, body: Value| {
        let request = Request::new(method, path);
        let answer = guest.send(if method == "GET" { request } else { request.json(&body) });
        heard.push(answer.clone());
        answer
    };
    let mut made = Vec::new();
    for (guest, scope) in [(&owner, "house"), (&ada, "own")] {
        let body = json!({ "scope": scope, "name": "M", "kind": "openai", "baseUrl": model.base_url(), "key": KEY });
        made.push(ask(guest, "POST", "/api/v1/connections", body.clone()).json()["id"].as_str().unwrap().to_owned());
        ask(guest, "POST", "/api/v1/connections/test", body);
    }
    let api_key = ask(&ada, "POST", "/api/v1/me/keys", json!({ "name": "program" })).json();
    let api_key = api_key["key"].as_str().unwrap().to_owned();
    for (id, key) in made.iter().zip([format!("{KEY}-two"), KEY.to_owned()]) {
        ask(&ada, "GET", &format!("/api/v1/connections/{id}/models"), json!({}));
        ask(&ada, "POST", &format!("/api/v1/connections/{id}/test"), json!({}));
        ask(&owner, "PATCH", &format!("/api/v1/connections/{id}"), json!({ "key": format!("{KEY}-two") }));
        // A server that repeats what it was sent.
        let repeated = json!({ "error": { "message": format!("bad key {key}") } }).to_string();
        model.plan(|plan| plan.instead = Some(Instead::Status(401, repeated)));
        ask(&ada, "GET", &format!("/api/v1/connections/{id}/models"), json!({}));
        ask(&ada, "POST", &format!("/api/v1/connections/{id}/test"), json!({}));
        model.plan(|plan| plan.instead = None);
    }
    ask(&ada, "PATCH", &format!("/api/v1/connections/{}", made[1]), json!({ "name": 5, "key": KEY }));
    for path in ["/api/v1/connections", "/api/v1/me/keys", "/api/v1/me/usage", "/api/v1/connections/kinds"] {
        ask(&ada, "GET", path, json!({}));
    }
    ask(&owner, "GET", "/api/v1/events?limit=500", json!({}));
    let program = server.anonymous();
    let bearer = format!("Bearer {api_key}");
    for path in ["/v1/models", "/v1/models/nothing"] {
        heard.push(program.send(Request::new("GET", path).header("Authorization", &bearer)));
    }
    let asked = json!({ "model": format!("{}/small", made[0]), "messages": [{ "role": "user", "content": "Hi" }] });
    let request = Request::new("POST", "/v1/chat/completions").json(&asked).without_token();
    heard.push(program.send(request.header("Authorization", &bearer)).expect(200));
    let ticket = owner.post("/api/v1/users/ada/backups", json!({ "secrets": true })).json();
    let zip = owner.get(ticket["url"].as_str().unwrap()).expect(200).body;

    // It is where it has to be…
    assert_eq!(model.last().header("authorization"), Some(format!("Bearer {KEY}-two").as_str()));
    // …and nowhere else.
    for answer in heard.iter().filter(|answer| answer.asked != "POST /api/v1/me/keys") {
        assert!(!answer.text().contains("CANARY") && !answer.text().contains(&api_key), "{answer}");
    }
    for (name, bytes) in unzip(&zip) {
        assert!(!contains(&bytes, b"CANARY") && !name.contains("secrets/"), "{name}");
        assert!(!contains(&bytes, api_key.as_bytes()), "{name}");
    }
    let everything = Tree::of(folder.path());
    assert!(everything.holding("CANARY").is_empty(), "{:?}", everything.holding("CANARY"));
    assert!(everything.holding(&api_key).is_empty(), "{:?}", everything.holding(&api_key));
    let log = std::fs::read(folder.path().join("server.log")).unwrap();
    assert!(contains(&log, b"chat/completions"));
    assert!(!server.console().contains("CANARY") && !server.console().contains(&api_key));
}

/// A key goes to the server that it was entered for: whoever changes the address cannot have it sent somewhere else.
#[test]
fn a_key_does_not_follow_to_another_server() {
    let house = house();
    let (first, second) = (FakeModel::start(Speaks::OpenAi), FakeModel::start(Speaks::OpenAi));
    for (guest, scope) in [(house.owner(), "house"), (house.moves_in("ada"), "own")] {
        let made = connect(&guest, scope, &first.base_url());
        let path = format!("/api/v1/connections/{}", made["id"].as_str().unwrap());
        let change = |body: Value| guest.patch(&path, body).expect(200).json();
        let sent_to = |model: &FakeModel| {
            guest.get(&format!("{path}/models")).expect(200);
            model.last().header("authorization").map(str::to_owned)
        };
        // Another path, name or model of the same server is the same server.
        let changed = change(json!({ "baseUrl": format!("http://{}/v1/", first.address()), "name": "Other" }));
        assert_eq!((&changed["hasKey"], changed.get("keyDropped")), (&json!(true), None));
        assert_eq!(sent_to(&first), Some(format!("Bearer {KEY}")));

        let changed = change(json!({ "baseUrl": second.base_url() }));
        assert_eq!((&changed["hasKey"], &changed["keyDropped"]), (&json!(false), &json!(true)));
        assert_eq!(sent_to(&second), None);
        // Back again, the key is not there either.
        let changed = change(json!({ "baseUrl": first.base_url() }));
        assert_eq!((&changed["hasKey"], changed.get("keyDropped")), (&json!(false), None));

        // One that comes with the change is for the new address.
        let changed = change(json!({ "baseUrl": second.base_url(), "key": "sk-second" }));
        assert_eq!((&changed["hasKey"], changed.get("keyDropped")), (&json!(true), None));
        assert_eq!(sent_to(&second).as_deref(), Some("Bearer sk-second"));
        // Another scheme, or another kind of server, is another server.
        let changed = change(json!({ "baseUrl": second.base_url().replace("http:", "https:") }));
        assert_eq!(changed["keyDropped"], true);
        change(json!({ "key": "sk-third" }));
        assert_eq!(change(json!({ "kind": "anthropic" }))["keyDropped"], true);
        // What cannot be a change takes no key away.
        change(json!({ "key": "sk-fourth" }));
        guest.patch(&path, json!({ "baseUrl": "nowhere" })).expect_error(400, "bad_address");
        assert_eq!(change(json!({}))["hasKey"], true);
    }
}

#[test]
fn whoever_goes_takes_keys_and_ledger_along() {
    let house = house();
    let model = FakeModel::start(Speaks::OpenAi);
    let ada = house.moves_in("ada");
    connect(&ada, "own", &model.base_url());
    ada.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201);
    ada.post("/api/v1/connections/echo/test", json!({})).expect(200);
    let of_ada = || house.tree().only(|name| name.starts_with("_system/") && name.contains("/ada"));
    support::eventually("the ledger has it", || of_ada().0.keys().any(|name| name.starts_with("_system/usage/ada/")));
    for keep in ["keep", "remove"] {
        house.owner().delete(&format!("/api/v1/users/ada?data={keep}")).expect(204);
        let left = of_ada().only(|name| !name.starts_with("_system/trash/") && !name.starts_with("_system/undo/"));
        assert!(left.0.is_empty(), "{:?}", left.0.keys());
        let ada = house.moves_in("ada");
        assert!(ada.get("/api/v1/connections").json()["connections"][0]["hasKey"] == false);
        assert!(ada.get("/api/v1/me/keys").json()["keys"].as_array().unwrap().is_empty());
        assert_eq!(ada.get("/api/v1/me/usage").json()["total"]["requests"], 0);
    }
}

#[test]
fn api_keys_are_made_listed_and_revoked() {
    let mut house = house();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    let made = ada.post("/api/v1/me/keys", json!({ "name": "phone", "expires": null })).expect(201).json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("tk-") && key.len() == 46);
    let list = ada.get("/api/v1/me/keys").expect(200).json();
    assert_eq!((&list["keys"][0]["name"], &list["keys"][0]["key"]), (&json!("phone"), &Value::Null));
    ada.post("/api/v1/me/keys", json!({ "name": "x", "expires": 1 })).expect_error(400, "bad_expiry");
    let asks = |house: &TestHouse| {
        let request = Request::new("GET", "/v1/models").header("Authorization", &format!("Bearer {key}"));
        house.anonymous().send(request).status
    };
    assert_eq!(asks(&house), 200);
    // It opens nothing of our own dialect.
    let request = Request::new("GET", "/api/v1/me").header("Authorization", &format!("Bearer {key}"));
    house.anonymous().send(request).expect_error(401, "not_signed_in");
    let id = made["id"].as_str().unwrap();
    bob.delete(&format!("/api/v1/me/keys/{id}")).expect_error(404, "not_found");
    house.reopen(|_| {});
    assert_eq!(asks(&house), 200);
    let ada = house.signed_in("ada");
    assert!(ada.get("/api/v1/me/keys").json()["keys"][0]["lastUsed"].is_i64());
    ada.delete(&format!("/api/v1/me/keys/{id}")).expect(204);
    assert_eq!(asks(&house), 401);
    assert_eq!((house.events("api_key_created").len(), house.events("api_key_deleted").len()), (1, 1));
}

#[test]
fn a_key_ends_with_what_ends_sessions() {
    let house = house();
    for (how, ends) in [("password", true), ("disable", true), ("demote", true), ("promote", false), ("name", false)] {
        let guest = house.moves_in_as(how, "moderator");
        let made = guest.post("/api/v1/me/keys", json!({ "name": "program" })).expect(201).json();
        let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
        let user = format!("/api/v1/users/{how}");
        let body = json!({ "oldPassword": password_of(how), "newPassword": "another" });
        match how {
            "password" => drop(guest.put("/api/v1/me/password", body).expect(204)),
            "disable" => drop(house.owner().patch(&user, json!({ "enabled": false })).expect(200)),
            "demote" => drop(house.owner().patch(&user, json!({ "role": "user" })).expect(200)),
            "promote" => drop(house.owner().patch(&user, json!({ "role": "admin" })).expect(200)),
            _ => drop(guest.patch("/api/v1/me", json!({ "name": "Other" })).expect(200)),
        }
        let asked = house.anonymous().send(Request::new("GET", "/v1/models").header("Authorization", &bearer));
        assert_eq!(asked.status, if ends { 401 } else { 200 }, "{how}");
    }
}
