//! Requests that no browser sends: half, twice, forged, malformed, endless. Each is refused or ignored, nothing outside the
//! pages is ever served, nothing is changed, and the next honest guest is served as if nothing had happened.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use support::{Answer, BLOCKING_THREADS, Request, TestHouse, client, eventually};
use tavernkeep::http::reply::Dialect;
use tavernkeep::http::routes;

/// Sends bytes as they are and reads what comes until the server closes; nothing is an answer too.
fn raw(house: &TestHouse, bytes: &[u8]) -> Option<Answer> {
    let socket = client::connect(house.address()).unwrap();
    let raw = client::talk(socket, bytes).ok()?;
    client::parse(&raw, String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned(), false).ok()
}

fn is_well(house: &TestHouse) {
    house.anonymous().get("/api/v1/house").expect(200);
}

#[rstest]
#[case::two_lengths(
    "POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"
)]
#[case::a_list_of_lengths("POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2, 3\r\n\r\n{}x")]
#[case::a_negative_length("POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n")]
#[case::a_signed_length("POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}")]
#[case::a_huge_length(
    "POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n{}"
)]
#[case::an_unknown_coding(
    "POST /api/users/list HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
)]
#[case::a_space_before_the_colon("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n")]
#[case::a_header_without_a_name("GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n")]
#[case::a_nul_in_a_header("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n")]
#[case::a_folded_header("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n")]
#[case::no_version("GET /\r\n\r\n")]
#[case::another_version("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n")]
#[case::another_protocol("\u{16}\u{3}\u{1}\u{2}garbage\r\n\r\n")]
#[case::two_hosts("GET /api/v1/house HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")]
#[case::no_host("GET /api/v1/house HTTP/1.1\r\n\r\n")]
#[case::a_foreign_host("GET /api/v1/house HTTP/1.1\r\nHost: evil.example\r\n\r\n")]
#[case::a_foreign_target("GET http://evil.example/api/v1/house HTTP/1.1\r\nHost: localhost\r\n\r\n")]
#[case::a_tunnel("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n")]
fn malformed_heads_are_refused(#[case] text: &str) {
    let house = TestHouse::open();
    let answer = raw(&house, text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes());
    if let Some(answer) = answer {
        assert!((400..500).contains(&answer.status), "{answer}");
        let hosts = text.contains("evil.example") || text.contains("HTTP/1.1\r\n\r\n");
        assert!(!hosts || [400, 421].contains(&answer.status), "{answer}");
    }
    is_well(&house);
}

/// A length and a chunked coding: whichever a proxy before us believes, what is left over is not a second request.
/// Values of which each is wrong nearly everywhere, as JSON.
const ODD: [&str; 11] = [
    "1",
    "null",
    "true",
    "[]",
    "{}",
    "[\"x\"]",
    "{\"not\":\"\"}",
    "1e999",
    "-0",
    "18446744073709551616",
    "\"\\ud800\"",
];

#[test]
fn no_request_is_smuggled_behind_another() {
    let house = TestHouse::open();
    let owner = house.owner();
    let cookie = format!("session-{}={}", &house.app().store.install().id[..8], owner.cookie("session-").unwrap());
    let hidden = format!(
        "DELETE /api/v1/session HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nX-CSRF-Token: {}\r\n\r\n",
        owner.token()
    );
    let bodies = [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", hidden.len() + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}"),
    ];
    for body in bodies {
        let text = format!("POST /api/users/list HTTP/1.1\r\nHost: localhost\r\n{body}");
        let mut socket = client::connect(house.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.write_all(text.as_bytes()).unwrap();
        let mut answers = Vec::new();
        let _ = socket.read_to_end(&mut answers);
        // Either the pair is refused, or the connection ends with it (RFC 9112, 6.1).
        let statuses = String::from_utf8_lossy(&answers).matches("HTTP/1.1 ").count();
        assert!(statuses <= 1, "{}", String::from_utf8_lossy(&answers));
        assert!(owner.is_signed_in(), "the hidden request was carried out");
    }
}

#[test]
fn absolute_targets_of_our_own_are_fine() {
    let house = TestHouse::open();
    let text = "GET http://localhost/api/v1/house HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(&house, text.as_bytes()).unwrap().status, 200);
    let text = "GET /api/v1/house HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    if let Some(answer) = raw(&house, text.as_bytes()) {
        assert!([200, 400].contains(&answer.status), "{answer}");
    }
}

#[test]
fn a_foreign_name_is_refused_and_never_repeated() {
    let house = TestHouse::open();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
        let answer = house.anonymous().send(Request::new("GET", "/api/v1/house").header("Host", host));
        answer.clone().expect_error(421, "unknown_host");
        assert!(!answer.text().contains("evil"));
    }
    let request = Request::new("GET", "/account").header("X-Forwarded-Host", "evil.example");
    let answer = house.anonymous().send(request).expect(302);
    assert_eq!(answer.header("location"), Some("/login?then=/account"));
}

#[test]
fn heads_without_end_are_cut_off() {
    let house = TestHouse::open();
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let many: String = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(200_000));
    for text in [long, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), target] {
        if let Some(answer) = raw(&house, text.as_bytes()) {
            assert!((400..500).contains(&answer.status), "{answer}");
        }
    }
    is_well(&house);
}

#[test]
fn those_who_send_slowly_keep_nobody_out() {
    let house = TestHouse::open();
    let slow: Vec<_> = (0..400)
        .map(|n| {
            let mut socket = client::connect(house.address()).unwrap();
            let half: &[u8] = if n % 2 == 0 {
                b"GET / HTTP/1.1\r\nHost: local"
            } else {
                b"POST /api/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
            };
            socket.write_all(half).unwrap();
            socket
        })
        .collect();
    let started = Instant::now();
    house.owner().saves(&json!({ "words": "served" })).expect(200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(slow);
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "old" })).expect(200);
    let before = house.tree();
    let whole = br#"{"words":"new"}"#.to_vec();
    for (method, path, media_type) in [
        ("POST", "/api/settings/save", "application/json"),
        ("PATCH", "/api/v1/me", "application/json"),
        ("PUT", "/api/v1/me/avatar", "image/png"),
        ("POST", "/api/v1/me/restores", "application/zip"),
    ] {
        // The length announces more than comes.
        let request = Request::new(method, path).body(media_type, whole.clone());
        drop(ada.begin(&request.clone().header("Content-Length", "5000")));
        let mut chunked = request.header("Transfer-Encoding", "chunked");
        chunked.body = Some([b"f\r\n", whole.as_slice(), b"\r\n"].concat());
        drop(ada.begin(&chunked));
    }
    eventually("uploads are gone", || before.changes_to(&house.tree()).is_empty());
    assert_eq!(house.settings_of("ada"), json!({ "words": "old" }));
}

/// Spellings of ways out of the folder of pages, into the data, and to what is hidden.
const PATHS: &[&str] = &[
    "/../canary.txt",
    "/../data/canary.txt",
    "/data/canary.txt",
    "/%2e%2e/data/canary.txt",
    "/%2e%2e%2fdata%2fcanary.txt",
    "/..%2fdata/canary.txt",
    "/%252e%252e/data/canary.txt",
    "/..%255cdata/canary.txt",
    "/..\\data\\canary.txt",
    "/%5c..%5cdata%5ccanary.txt",
    "/..%c0%afdata/canary.txt",
    "/....//data/canary.txt",
    "/./data/canary.txt",
    "//data/canary.txt",
    "//evil.example/canary.txt",
    "/img/../../data/canary.txt",
    "/img/%2e%2e/%2e%2e/data/canary.txt",
    "/link.txt",
    "/linked/canary.txt",
    "/.hidden",
    "/.git/config",
    "/folder/.hidden",
    "/canary.txt%00.png",
    "/%00",
    "/data/ada/settings.json",
    "/ada/settings.json",
    "/_system/accounts/ada.json",
    "/secrets.json",
    "/backups/",
    "/C:/canary.txt",
    "/%ff%fe",
    "/folder",
    "/folder/",
    "/con",
    "/%E2%80%AE",
    "/user/images/x.png",
    "/characters/x.png",
];

#[rstest]
#[case::built_in_pages(false)]
#[case::a_folder_of_ones_own(true)]
fn nothing_but_the_pages_is_served(#[case] own_folder: bool) {
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("public");
    std::fs::create_dir_all(public.join("folder")).unwrap();
    std::fs::create_dir_all(public.join(".git")).unwrap();
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    for hidden in ["canary.txt", "data/canary.txt", "public/.hidden", "public/.git/config", "public/folder/.hidden"] {
        std::fs::write(folder.path().join(hidden), "CANARY").unwrap();
    }
    std::fs::write(public.join("folder/shown.txt"), "shown").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("canary.txt"), public.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(folder.path(), public.join("linked")).unwrap();
    }
    let house = TestHouse::in_folder(folder, None, |config| {
        if own_folder {
            config.public = public;
        }
    });
    let ada = house.moves_in("ada");
    if own_folder {
        assert_eq!(ada.get("/folder/shown.txt").expect(200).text(), "shown");
    }
    let absent = ada.get("/not-here-at-all").expect(404);
    for path in PATHS {
        for guest in [&house.anonymous(), &ada] {
            let answer = guest.send(Request::new("GET", path));
            assert!([400, 404].contains(&answer.status), "{answer}");
            assert!(!answer.text().contains("CANARY"), "{path}");
            if answer.status == 404 && !path.contains("//") {
                assert_eq!(answer.body, absent.body, "{path} can be told from what is not there");
            }
        }
        let handle = path.trim_start_matches('/').replace('/', "%2f").replace('\\', "%5c");
        let answer = ada.get(&format!("/api/v1/users/{handle}/avatar"));
        assert!([400, 404].contains(&answer.status), "{answer}");
    }
}

/// Texts that are not what any route expects: broken, endless, or of another shape.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n)).into_bytes();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1".to_vec()),
        ("a text", b"\"x\"".to_vec()),
        ("an open object", b"{".to_vec()),
        ("an open text", b"{\"handle\":\"".to_vec()),
        ("two objects", b"{}{}".to_vec()),
        ("invalid UTF-8", b"{\"handle\":\"\xff\xfe\"}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"handle\":1}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("a comment", b"{/**/}".to_vec()),
        ("a trailing comma", b"{\"handle\":\"x\",}".to_vec()),
        ("10,000 deep", deep(10_000)),
        ("10,000 lists deep", b"[".repeat(10_000)),
        ("NUL bytes", vec![0; 100]),
    ];
    // The right fields with wrong values.
    for value in ODD {
        let fields = [
            "handle",
            "name",
            "password",
            "code",
            "newPassword",
            "oldPassword",
            "secrets",
            "parts",
            "enabled",
            "role",
            "text",
        ];
        let list: Vec<String> = fields.iter().map(|field| format!("\"{field}\":{value}")).collect();
        bodies.push(("wrong types", format!("{{{}}}", list.join(",")).into_bytes()));
    }
    bodies.push(("the same key twice", br#"{"handle":"a","handle":"b","name":"x","name":"y"}"#.to_vec()));
    bodies
}

#[test]
fn malformed_json_is_refused_by_every_route() {
    let house = TestHouse::open();
    house.has("ada");
    let ann = house.moves_in_as("ann", "admin");
    // Acts without a body of their own are left out; sign-out would end the test.
    const WITHOUT_BODY: &[&str] = &[
        "/api/users/logout",
        "/api/ping",
        "/api/users/list",
        "/api/users/get",
        "/api/settings/get",
        "/api/settings/make-snapshot",
        "/api/settings/get-snapshots",
        "/api/users/reset-step1",
        "/api/v1/session",
        "/api/v1/me/reset",
        "/api/v1/me/snapshots",
        "/api/v1/connections/discover",
        "/api/v1/characters/assistant",
    ];
    let before = house.tree().without_notes().only(|name| !name.ends_with("settings.json"));
    let mut tried = 0;
    for route in routes::all().into_iter().filter(|route| route.changes() && route.method != "DELETE") {
        let of_names = route.pattern.contains("{name}") || route.pattern.contains("undo/{id}");
        if WITHOUT_BODY.contains(&route.pattern) && route.pattern != "/api/v1/session" || of_names {
            continue;
        }
        let path = route.pattern.replace("{handle}", "ada").replace("{id}", "0123456789abcdef");
        for (what, body) in broken_bodies() {
            let is_settings = route.pattern.contains("settings/save") || route.pattern == "/api/v1/me/settings";
            let is_file = route.pattern.ends_with("/import");
            if (is_settings || is_file) && (what == "wrong types" || what == "the same key twice") {
                // Settings are the client's own: any object is one. A card is what has a name, whatever else it has; what
                // becomes of odd ones is tried below.
                continue;
            }
            let mut request = Request::new(route.method.as_str(), &path).body("application/json", body);
            request = request.header("If-Match", "\"x\"");
            let answer = ann.send(request);
            let name = format!("{} {} with {what}", route.method, route.pattern);
            assert!((400..500).contains(&answer.status), "{name}: {answer}");
            let value = answer.json();
            let words = if route.dialect == Dialect::OpenAi { &value["error"]["message"] } else { &value["error"] };
            assert!(words.is_string(), "{name}: {answer}");
            assert!(route.dialect != Dialect::Own || value["code"].is_string(), "{name}: {answer}");
            tried += 1;
        }
    }
    println!("{tried} malformed bodies refused");
    let after = house.tree().without_notes().only(|name| !name.ends_with("settings.json"));
    before.is_still(&after, "malformed JSON");
    assert!(ann.is_signed_in());
}

/// Files to be brought in, each with one odd value in every field that its format has, or with its fields twice.
fn odd_files(value: &str) -> Vec<(&'static str, String)> {
    let fields = |names: &[&str]| -> String {
        names.iter().map(|name| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
    };
    let card = fields(&[
        "description",
        "personality",
        "scenario",
        "first_mes",
        "mes_example",
        "creator_notes",
        "system_prompt",
        "post_history_instructions",
        "alternate_greetings",
        "tags",
        "creator",
        "character_version",
        "extensions",
        "character_book",
        "fav",
        "talkativeness",
        "create_date",
        "avatar",
        "chat",
    ]);
    let entry = fields(&[
        "key",
        "keys",
        "keysecondary",
        "comment",
        "content",
        "constant",
        "selective",
        "order",
        "position",
        "depth",
        "role",
        "probability",
        "disable",
        "enabled",
        "extensions",
        "uid",
        "id",
        "insertion_order",
    ]);
    let message = fields(&[
        "is_user",
        "is_system",
        "send_date",
        "extra",
        "swipes",
        "swipe_id",
        "swipe_info",
        "force_avatar",
        "gen_started",
    ]);
    let v2 = |data: &str| format!("{{\"spec\":\"chara_card_v2\",\"spec_version\":\"2.0\",\"data\":{data}}}");
    let line = format!("{{\"name\":\"Eve\",\"mes\":\"Hi\",{message}}}");
    vec![
        ("a card of the first kind", format!("{{\"name\":\"Eve\",{card}}}")),
        ("a card of the second kind", v2(&format!("{{\"name\":\"Eve\",{card}}}"))),
        ("a card with an odd name", v2(&format!("{{\"name\":{value},{card}}}"))),
        ("a card whose data are odd", v2(value)),
        ("a card with everything twice", format!("{{\"name\":\"Eve\",\"name\":\"Bob\",{card},{card}}}")),
        ("a lorebook", format!("{{\"entries\":{{\"0\":{{{entry}}}}}}}")),
        ("a lorebook of a list", format!("{{\"name\":{value},\"entries\":[{{{entry}}}]}}")),
        ("a lorebook whose entries are odd", format!("{{\"entries\":{value}}}")),
        (
            "a lorebook with everything twice",
            format!("{{\"entries\":{{\"0\":{{{entry},{entry}}},\"0\":{{}}}},\"entries\":{{}}}}"),
        ),
        ("a chat", format!("{{\"chat_metadata\":{{}},\"user_name\":\"Ada\",\"character_name\":\"Eve\"}}\n{line}")),
        (
            "a chat with an odd head",
            format!("{{\"chat_metadata\":{value},\"user_name\":{value},\"character_name\":{value}}}\n{line}"),
        ),
        (
            "a chat with everything twice",
            format!(
                "{{\"chat_metadata\":{{}},\"chat_metadata\":{{}}}}\n{{\"name\":\"Eve\",\"mes\":\"Hi\",{message},{message}}}"
            ),
        ),
        ("a chat with odd words", format!("{{\"chat_metadata\":{{}}}}\n{{\"name\":{value},\"mes\":{value}}}")),
        (
            "a chat of a program",
            format!(
                "{{\"data_visible\":[[{value},{value}]],\"histories\":{value},\"messages\":{value},\"mapping\":{value},\"title\":{value}}}"
            ),
        ),
        ("just that", value.to_owned()),
    ]
}

/// What is brought in may have anything in any field: it is refused, or taken as it is and can be listed, opened and taken
/// away again. Never is it a failure of ours, and nobody else's list suffers.
#[test]
fn odd_files_are_refused_or_taken_and_do_no_harm() {
    const IMPORTS: [&str; 3] =
        ["/api/v1/characters/import", "/api/v1/lorebooks/import", "/api/v1/characters/Assistant/chats/import"];
    let known = routes::all().into_iter().filter(|route| route.pattern.ends_with("/import")).count();
    assert_eq!(known, IMPORTS.len(), "every way in is tried");
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.post("/api/v1/characters/assistant", json!({}));
    let (mut taken, mut refused) = (0, 0);
    for value in ODD.into_iter().chain(["[[[]]]", "{\"a\":{\"b\":1}}", "\"\"", "\"../../x\""]) {
        for (what, file) in odd_files(value) {
            for path in IMPORTS {
                let request = Request::new("POST", path).body("application/octet-stream", file.clone());
                let answer = ada.send(request.header("X-File-Name", "odd.json"));
                let name = format!("{what} of {value} by {path}");
                match answer.status {
                    201 => taken += 1,
                    400..500 => refused += 1,
                    _ => panic!("{name}: {answer}"),
                }
                assert!(answer.json().is_object(), "{name}: {answer}");
            }
        }
    }
    println!("{taken} odd files taken, {refused} refused");
    assert!(taken > 0 && refused > 0);
    // What was taken is as good as anything else of its kind.
    let list = |path: &str| ada.get(path).expect(200).json();
    for item in list("/api/v1/characters?limit=500")["items"].as_array().unwrap() {
        let id = percent(item["id"].as_str().unwrap());
        ada.get(&format!("/api/v1/characters/{id}")).expect(200);
        ada.get(&format!("/api/v1/characters/{id}/export?format=json")).expect(200);
        let made = ada.post(&format!("/api/v1/characters/{id}/chats"), json!({})).expect(201).json();
        let body = json!({ "character": item["id"], "chat": made["chat"], "kind": "reply", "text": "Hi" });
        let shown = ada.post("/api/v1/prompts", body);
        assert!(shown.status < 500, "{item}: {shown}");
    }
    for item in list("/api/v1/lorebooks").as_array().cloned().unwrap_or_default() {
        ada.get(&format!("/api/v1/lorebooks/{}", percent(item["name"].as_str().unwrap()))).expect(200);
    }
    for item in list("/api/v1/chats?limit=500")["items"].as_array().unwrap() {
        let path = format!(
            "/api/v1/chats/{}/{}",
            percent(item["character"].as_str().unwrap()),
            percent(item["chat"].as_str().unwrap())
        );
        ada.get(&path).expect(200);
        ada.get(&format!("{path}/export?format=markdown")).expect(200);
    }
    let outside: Vec<String> =
        house.tree().0.into_keys().filter(|file| file.ends_with("/x") || file.starts_with("x")).collect();
    assert!(outside.is_empty(), "{outside:?}");
    is_well(&house);
}

/// A name as a part of an address.
fn percent(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn strange_settings_are_kept_word_for_word_and_do_no_harm() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    for text in [r#"{"a":1e999}"#, r#"{"a":"\ud800"}"#, r#"{"a":1,"a":2}"#, r#"{"a":18446744073709551616}"#] {
        ada.send(Request::new("POST", "/api/settings/save").body("application/json", text)).expect(200);
        let got = ada.get("/api/v1/me/settings").expect(200).text();
        assert_eq!(got.split_whitespace().collect::<String>(), text);
        ada.post("/api/settings/get", json!({})).expect(200);
        ada.get("/api/v1/me").expect(200);
        assert_eq!(ada.get("/api/v1/me/settings/state").json()["state"], "ok");
    }
}

#[test]
fn methods_that_are_not_there() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    for method in ["TRACE", "OPTIONS", "PROPFIND", "get", "BREW"] {
        for path in ["/", "/api/v1/me", "/api/users/me", "/img/default-user.png"] {
            let answer = ada.send(Request::new(method, path));
            assert!((400..500).contains(&answer.status), "{answer}");
        }
    }
    let answer = ada.send(Request::new("PUT", "/api/v1/house")).expect(405);
    assert_eq!(answer.header("allow"), Some("GET"));
    assert!(ada.send(Request::new("HEAD", "/api/v1/me")).expect(200).body.is_empty());
}

/// A chat that no socket takes without being read.
fn long_chat(house: &TestHouse, handle: &str) {
    let folder = house.path(&format!("{handle}/chats/Seraphina"));
    std::fs::create_dir_all(&folder).unwrap();
    let line = json!({ "name": "Ada", "is_user": true, "mes": "word ".repeat(200_000) });
    let text = format!("{}\n{}", json!({ "user_name": "Ada" }), format!("{line}\n").repeat(16));
    std::fs::write(folder.join("long.jsonl"), text).unwrap();
}

#[test]
fn those_who_do_not_read_their_downloads_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("public");
    std::fs::create_dir_all(&public).unwrap();
    std::fs::write(public.join("large.bin"), vec![7; 16 * 1024 * 1024]).unwrap();
    let house = TestHouse::in_folder(folder, None, |config| config.public = public);
    let (ada, stranger) = (house.moves_in("ada"), house.anonymous());
    long_chat(&house, "ada");
    let exports = Request::new("GET", "/api/v1/chats/Seraphina/long/export");
    let file = Request::new("GET", "/large.bin");
    let idle: Vec<_> = (0..BLOCKING_THREADS).flat_map(|_| [ada.begin(&exports), stranger.begin(&file)]).collect();
    std::thread::sleep(Duration::from_millis(300));
    house.owner().saves(&json!({ "words": "served" })).expect(200);
    ada.send(exports).expect_error(503, "busy");
    // Whoever reads gets the whole all the same.
    assert_eq!(house.owner().get("/large.bin").expect(200).body, vec![7; 16 * 1024 * 1024]);
    drop(idle);
}

#[test]
fn one_who_sends_slowly_does_not_take_the_room_for_everybody_s_large_bodies() {
    let house = TestHouse::open();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    let slow: Vec<_> = (0..6)
        .map(|_| {
            let request = Request::new("POST", "/api/settings/save").body("application/json", vec![b' '; 1_500_000]);
            ada.begin(&request.header("Content-Length", "4000000"))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    bob.saves(&json!({ "words": "word ".repeat(500_000) })).expect(200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(slow);
}

/// What may stand where a route has a name.
const NAMES: &[&str] = &[
    "..",
    "%2e%2e",
    ".",
    "..%2f..%2fcanary",
    "..%5c..%5ccanary",
    "%2e%2e%2fbob",
    "%00",
    "a%00.png",
    "a%2fb",
    "%2fetc%2fpasswd",
    "C:%5cx",
    "con",
    ".hidden",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%E2%80%AE",
    "%20",
    "x.",
    "-rf",
    "%252e%252e",
    "house:1",
    "*",
    "%7b%7d",
];

#[test]
fn names_that_lead_elsewhere_lead_nowhere_on_any_route() {
    let house = TestHouse::open();
    let ann = house.moves_in_as("ann", "admin");
    std::fs::write(house.data().join("canary.json"), "CANARY").unwrap();
    std::fs::write(house.path("ann/canary.json"), "CANARY").unwrap();
    let before = house.tree().without_notes();
    let long = "a".repeat(300);
    for route in routes::all().into_iter().filter(|route| route.pattern.contains('{')) {
        for name in NAMES.iter().copied().chain([long.as_str()]) {
            let mut path = String::new();
            for (n, part) in route.pattern.split('{').enumerate() {
                match part.split_once('}') {
                    Some((_, rest)) if n > 0 => path.extend([name, rest]),
                    _ => path.push_str(part),
                }
            }
            let request = Request::new(route.method.as_str(), &path);
            let request = if route.changes() { request.json(&json!({})) } else { request };
            let answer = ann.send(request);
            // Some lists are empty for whoever is not there, and some things can be deleted twice.
            assert!(answer.status < 500, "{answer}");
            assert!(!answer.text().contains("CANARY"), "{answer}");
        }
    }
    before.is_still(&house.tree().without_notes(), "a name");
}

/// A version that is none is never any version.
#[rstest]
#[case("*")]
#[case("")]
#[case("\"\"")]
#[case("W/\"0\"")]
#[case("\"x\", \"y\"")]
#[case("null")]
fn a_version_that_is_none_replaces_nothing(#[case] version: &str) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    ada.saves(&json!({ "words": "old" })).expect(200);
    ada.put("/api/v1/lorebooks/book", json!({ "entries": {} })).expect(201);
    let before = house.tree().without_notes();
    for path in ["/api/v1/me/settings", "/api/v1/lorebooks/book"] {
        let request = Request::new("PUT", path).json(&json!({ "entries": {}, "words": "new" }));
        let answer = ada.send(request.header("If-Match", version));
        assert!((400..500).contains(&answer.status), "{answer}");
    }
    before.is_still(&house.tree().without_notes(), version);
}
