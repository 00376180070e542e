//! T15: secrets do not leak. Canaries in every place where a secret goes in; none comes out in logs, in answers, in the
//! audit log or in backups.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use serde_json::{Value, json};
use support::files::contains;
use support::zips::unzip;
use support::{Guest, Program, Request, Tree};

const OLD: &str = "CANARY-old-password";
const NEW: &str = "CANARY-new-password";
const TYPED: &str = "CANARY-typed-into-the-wrong-field";
const KEY: &str = "sk-CANARY-provider-key";
const WORDS: &str = "CANARY-words-of-a-chat";

/// All that was answered, to be searched at the end.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    fn ask(&mut self, guest: &Guest, method: &str, path: &str, body: Value) -> Value {
        let request = Request::new(method, path);
        let answer = guest.send(if method == "GET" { request } else { request.json(&body) });
        let value = serde_json::from_slice(&answer.body).unwrap_or_default();
        self.0.push((format!("{method} {path} -> {}", answer.status), answer.body));
        value
    }
}

#[test]
fn nothing_secret_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("TAVERNKEEP_LOG", "trace"),
        ("TAVERNKEEP_LOGGING_FILE", "server.log"),
        ("TAVERNKEEP_RECOVERY_CODE_LENGTH", "10"),
        ("TAVERNKEEP_BASIC_AUTH_USER_PASSWORD", "CANARY-basic"),
    ];
    let server = Program::start_with(folder.path(), &[], &env);
    let (owner, mut heard) = (server.owner(), Heard::default());
    heard.ask(&owner, "POST", "/api/v1/users", json!({ "handle": "ada", "name": "Ada", "password": OLD }));
    std::fs::write(server.data().join("ada/secrets.json"), format!("{{\"api_key\":\"{KEY}\"}}")).unwrap();

    let ada = server.anonymous();
    heard.ask(&ada, "POST", "/api/v1/session", json!({ "handle": "ada", "password": TYPED }));
    heard.ask(&ada, "POST", "/api/users/login", json!({ "handle": TYPED, "password": OLD }));
    heard.ask(&ada, "POST", "/api/v1/session", json!({ "handle": "ada", "password": 5, "x": TYPED }));
    heard.ask(&ada, "POST", "/api/v1/session", json!({ "handle": "ada", "password": OLD }));
    let (session, token) = (ada.cookie("session-").unwrap(), ada.token());
    heard.ask(&ada, "PUT", "/api/v1/me/password", json!({ "oldPassword": TYPED, "newPassword": NEW }));
    heard.ask(&ada, "PUT", "/api/v1/me/password", json!({ "oldPassword": OLD, "newPassword": NEW }));
    heard.ask(&ada, "POST", "/api/settings/save", json!({ "words": WORDS }));
    heard.ask(&ada, "GET", "/api/v1/me", json!({}));
    heard.ask(&ada, "GET", "/api/v1/me/sessions", json!({}));
    heard.ask(&ada, "GET", "/api/users/me", json!({}));
    heard.ask(&ada, "POST", "/api/settings/get-snapshots", json!({}));
    let lines = server.console_lines();
    heard.ask(&ada, "POST", "/api/v1/recovery", json!({ "handle": "ada" }));
    let code = server.code_after(lines);
    heard.ask(&ada, "POST", "/api/v1/recovery/redeem", json!({ "handle": "ada", "code": "000", "newPassword": NEW }));
    for path in ["/api/v1/users", "/api/v1/events?limit=500", "/api/v1/house", "/api/v1/openapi.json"] {
        heard.ask(&owner, "GET", path, json!({}));
    }
    heard.ask(&owner, "POST", "/api/users/get", json!({}));
    heard.ask(&owner, "POST", "/api/users/list", json!({}));
    let ticket = heard.ask(&owner, "POST", "/api/v1/users/ada/backups", json!({ "secrets": false }));
    let zip = owner.get(ticket["url"].as_str().unwrap()).expect(200).body;

    let account: Value =
        serde_json::from_slice(&std::fs::read(server.data().join("_system/accounts/ada.json")).unwrap()).unwrap();
    let hash = account["password"].as_str().unwrap().to_owned();
    assert!(hash.starts_with("$2b$"));
    let token_hash =
        String::from_utf8(std::fs::read(server.data().join("_system/sessions/ada.json")).unwrap()).unwrap();
    let token_hash =
        serde_json::from_str::<Value>(&token_hash).unwrap()["sessions"][0]["tokenHash"].as_str().unwrap().to_owned();
    let data = server.data();
    let (log, console) = (server.log(), server.console());
    assert_eq!(server.stop().code(), Some(0));
    let log_file = std::fs::read(folder.path().join("server.log")).unwrap();

    let secrets = [OLD, NEW, TYPED, KEY, "CANARY-basic", &session, &hash, &token_hash, &code];
    assert!(log.len() > 2_000 && log.contains("request"), "the log is not at its most talkative");
    for secret in secrets.into_iter().chain([token.as_str(), WORDS]) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{}", around(&log, secret));
        assert!(!contains(&log_file, secret.as_bytes()), "{secret} is in the log file");
    }
    for secret in secrets {
        for (asked, body) in &heard.0 {
            assert!(!contains(body, secret.as_bytes()), "{secret} is in the answer to {asked}");
        }
        assert!(secret == code || !console.contains(secret), "{secret} is on the console");
        for (name, bytes) in unzip(&zip) {
            assert!(!contains(&bytes, secret.as_bytes()), "{secret} is in {name} of a backup");
        }
    }
    // On the disk: hashes where they belong, nothing in clear, nothing of a guest's in the audit log.
    let tree = Tree::of(&data);
    for secret in [OLD, NEW, TYPED, &session, &token, &code, "CANARY-basic"] {
        assert_eq!(tree.holding(secret), Vec::<&str>::new(), "{secret}");
    }
    assert_eq!(tree.holding(&hash), ["_system/accounts/ada.json"]);
    assert_eq!(tree.holding(&token_hash), ["_system/sessions/ada.json"]);
    assert_eq!(tree.holding(KEY), ["ada/secrets.json"]);
}

fn around<'a>(text: &'a str, needle: &str) -> &'a str {
    text.lines().find(|line| line.contains(needle)).unwrap_or_default()
}

#[cfg(unix)]
#[test]
fn what_the_server_makes_only_the_server_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    let owner = server.owner();
    owner.post("/api/v1/users", json!({ "handle": "ada", "name": "Ada", "password": OLD })).expect(201);
    owner.saves(&json!({ "words": WORDS })).expect(200);
    for entry in walkdir::WalkDir::new(server.data()).into_iter().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", entry.path().display());
    }
}

#[test]
fn errors_name_no_path_of_the_host() {
    let house = support::TestHouse::open();
    let ada = house.moves_in("ada");
    let host = house.beside().to_str().unwrap().to_owned();
    for (method, path) in [
        ("GET", "/not/here"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/me/snapshots/settings_ada_x.json"),
        ("POST", "/api/v1/me/undo/00"),
        ("GET", "/api/v1/me/restores/0123456789abcdef0123456789abcdef"),
    ] {
        let answer = ada.send(Request::new(method, path));
        assert!(answer.status >= 400 && !answer.text().contains(&host), "{answer}");
    }
    // A folder where a file should be: the disk gives an error, the log has the cause, the answer has none.
    std::fs::remove_file(house.path("ada/settings.json")).unwrap();
    std::fs::create_dir(house.path("ada/settings.json")).unwrap();
    let answer = ada.post("/api/settings/get", json!({}));
    assert!(answer.status >= 500 && !answer.text().contains(&host) && !answer.text().contains("os error"), "{answer}");
}
