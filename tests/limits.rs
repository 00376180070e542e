//! How often something may be tried, from one address and at one account, and how much one request may bring.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use rstest::rstest;
use serde_json::json;
use support::{Guest, OWNER, Program, Request, TestHouse, password_of};

#[rstest]
#[case::own_dialect("/api/v1/session")]
#[case::sillytaverns("/api/users/login")]
fn the_sixth_try_from_an_address_has_to_wait(#[case] path: &str) {
    let house = TestHouse::with(|config| config.enable_forwarded_whitelist = false);
    house.has("ada");
    let try_as = |guest: &Guest, password: &str| guest.post(path, json!({ "handle": "ada", "password": password }));
    let guest = house.anonymous().from("192.0.2.1");
    for _ in 0..5 {
        try_as(&guest, "wrong").expect(403);
    }
    let refused = try_as(&guest, "wrong").expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    try_as(&guest, &password_of("ada")).expect(429);
    assert!(!guest.is_signed_in());
    // Another address is another window; and the log says it once.
    try_as(&house.anonymous().from("192.0.2.2"), &password_of("ada")).expect(200);
    assert_eq!(house.events("failed_login_too_many").len(), 1);
    assert_eq!(house.events("failed_login_invalid_password").len(), 5);
}

/// Thirty tries at once, of which the twentieth waits until one has been refused for being too many, or for so long that
/// all are being looked at: the others' hashes are still under way then.
fn burst(send: impl Fn(usize) -> u16 + Sync) -> Vec<u16> {
    let refused = AtomicBool::new(false);
    let one = |n: usize| {
        let started = Instant::now();
        while n == 20 && !refused.load(Ordering::SeqCst) && started.elapsed() < Duration::from_millis(150) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let status = send(n);
        refused.fetch_or(status == 429, Ordering::SeqCst);
        status
    };
    std::thread::scope(|scope| {
        let one = &one;
        let tries: Vec<_> = (0..30).map(|n| scope.spawn(move || one(n))).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Neither at the door nor with a browser that was found signed in does anybody get to guess the password by asking many
/// times at once: not even the right one is looked at.
#[rstest]
#[case::a_sign_in("POST", "/api/v1/session", json!({ "handle": "ada", "password": "wrong" }))]
#[case::a_new_password("PUT", "/api/v1/me/password", json!({ "oldPassword": "wrong", "newPassword": "x" }))]
#[case::a_reset("POST", "/api/v1/me/settings/reset", json!({ "password": "wrong" }))]
#[case::sillytaverns("POST", "/api/users/change-password", json!({ "handle": "ada", "oldPassword": "wrong", "newPassword": "x" }))]
fn many_tries_at_once_count_as_many(#[case] method: &str, #[case] path: &str, #[case] body: serde_json::Value) {
    let house = TestHouse::with(|config| config.passwords.bcrypt_cost = 12);
    let ada = house.moves_in("ada");
    ada.token();
    let wrong = Request::new(method, path).json(&body);
    let right = body.to_string().replace("\"wrong\"", &json!(password_of("ada")).to_string());
    let right = Request::new(method, path).json(&serde_json::from_str(&right).unwrap());
    let statuses = burst(|n| ada.send(if n == 20 { right.clone() } else { wrong.clone() }).status);
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 25, "{statuses:?}");
}

#[test]
fn a_good_sign_in_clears_the_count() {
    let house = TestHouse::open();
    house.has("ada");
    for _ in 0..4 {
        for _ in 0..4 {
            house.anonymous().signs_in("ada", "wrong").expect(403);
        }
        house.signed_in("ada");
    }
}

#[test]
fn a_whole_network_of_ipv6_is_one_address() {
    let house = TestHouse::with(|config| config.enable_forwarded_whitelist = false);
    house.has("ada");
    let from = |n: u32| house.anonymous().from(&format!("2001:db8:1:1::{n:x}")).signs_in("ada", "wrong").status;
    let statuses: Vec<u16> = (1..=7).map(from).collect();
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
}

/// Guesses at one account from ever new addresses: each further one has to wait longer, and in the end is sent away; the
/// owner, at home, is not locked out.
#[test]
fn one_account_is_not_guessed_from_many_addresses() {
    let house = TestHouse::with(|config| config.enable_forwarded_whitelist = false);
    let at_home = house.moves_in("ada");
    let wrong = |n: usize| house.anonymous().from(&format!("198.51.{}.{}", n / 250, n % 250)).signs_in("ada", "wrong");
    for n in 0..10 {
        wrong(n).expect(403);
    }
    let started = Instant::now();
    wrong(11).expect(403);
    wrong(12).expect(403);
    wrong(13).expect(403);
    assert!(started.elapsed() > Duration::from_millis(700), "{:?}", started.elapsed());
    // A crowd at once: most are sent away, at once.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (20..60).map(|n| scope.spawn(move || wrong(n).status)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    assert!(statuses.iter().filter(|status| **status == 429).count() > 20, "{statuses:?}");
    assert!(at_home.is_signed_in());
    let started = Instant::now();
    house.anonymous().signs_in("ada", &password_of("ada")).expect(200);
    assert!(started.elapsed() < Duration::from_secs(2), "the owner waited for {:?}", started.elapsed());
}

/// A server of its own, because codes are printed on the console; from many addresses, so that only the code's own
/// limit counts.
struct Recovering {
    program: Program,
    address: std::cell::Cell<u32>,
    _folder: tempfile::TempDir,
}

impl Recovering {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env = [("TAVERNKEEP_ENABLE_FORWARDED_WHITELIST", "false"), ("TAVERNKEEP_RECOVERY_CODE_LENGTH", "10")];
        let program = Program::start_with(folder.path(), &[], &env);
        let body = json!({ "handle": "ada", "name": "Ada", "password": "old" });
        program.owner().post("/api/v1/users", body).expect(201);
        Self { program, address: std::cell::Cell::new(0), _folder: folder }
    }

    fn guest(&self) -> Guest {
        self.address.set(self.address.get() + 1);
        self.program.anonymous().from(&format!("192.0.2.{}", self.address.get()))
    }

    fn ask(&self) -> String {
        let before = self.program.console_lines();
        self.guest().post("/api/v1/recovery", json!({ "handle": "ada" })).expect(204);
        self.program.code_after(before)
    }

    fn redeem(&self, handle: &str, code: &str) -> u16 {
        let body = json!({ "handle": handle, "code": code, "newPassword": "new" });
        self.guest().post("/api/v1/recovery/redeem", body).status
    }
}

#[test]
fn a_code_works_once_for_its_account_and_ends_all_sessions() {
    let house = Recovering::start();
    let old = house.program.anonymous();
    old.signs_in("ada", "old").expect(200);
    let code = house.ask();
    assert_eq!(code.len(), 10);
    assert_eq!(house.redeem(OWNER, &code), 403);
    assert!(old.is_signed_in());
    assert_eq!(house.redeem("ada", &format!(" {code} ")), 204);
    assert!(!old.is_signed_in());
    house.guest().signs_in("ada", "new").expect(200);
    house.guest().signs_in("ada", "old").expect(403);
    assert_eq!(house.redeem("ada", &code), 403);
    assert!(!house.program.log().contains(&code), "the code is in the log");
}

#[test]
fn five_wrong_tries_void_a_code_from_wherever_they_come() {
    let house = Recovering::start();
    let code = house.ask();
    for n in 0..5 {
        assert_eq!(house.redeem("ada", &format!("{n}{n}{n}{n}{n}{n}{n}{n}{n}x")), 403);
    }
    assert_eq!(house.redeem("ada", &code), 403, "a sixth try was taken");
}

#[test]
fn a_new_code_voids_the_old_one_and_a_restart_voids_all() {
    let house = Recovering::start();
    let old = house.ask();
    let new = house.ask();
    assert_ne!(old, new);
    assert_eq!(house.redeem("ada", &old), 403);
    assert_eq!(house.redeem("ada", &new), 204);
}

#[test]
fn of_two_who_use_a_code_at_once_one_gets_in() {
    let house = Recovering::start();
    let code = house.ask();
    let guests = [house.guest(), house.guest(), house.guest()];
    let body = json!({ "handle": "ada", "code": code, "newPassword": "new" });
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let (body, path) = (&body, "/api/v1/recovery/redeem");
        let all: Vec<_> =
            guests.iter().map(|guest| scope.spawn(move || guest.post(path, body.clone()).status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
}

#[test]
fn recovery_from_one_address_is_limited() {
    let house = TestHouse::open();
    house.has("ada");
    let guest = house.anonymous();
    let body = json!({ "handle": "ada", "code": "nope", "newPassword": "x" });
    let statuses: Vec<u16> = (0..7).map(|_| guest.post("/api/v1/recovery/redeem", body.clone()).status).collect();
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
    guest.post("/api/v1/recovery", json!({ "handle": "ada" })).expect(429);
}

#[test]
fn a_body_has_a_limit_of_its_route() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let name = "x".repeat(70_000);
    ada.patch("/api/v1/me", json!({ "name": name })).expect_error(413, "too_large");
    let picture = vec![0_u8; 2 * 1024 * 1024 + 1];
    ada.send(Request::new("PUT", "/api/v1/me/avatar").body("image/png", picture)).expect_error(413, "too_large");
    // Without a length, too.
    let mut chunked = Request::new("PATCH", "/api/v1/me").body("application/json", Vec::new());
    chunked = chunked.header("Transfer-Encoding", "chunked");
    let mut body = Vec::new();
    for _ in 0..80 {
        body.extend_from_slice(b"400\r\n");
        body.extend_from_slice(&[b'x'; 1024]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    chunked.body = Some(body);
    ada.send(chunked).expect_error(413, "too_large");
    assert!(ada.is_signed_in());
    // The settings' route takes much more.
    ada.saves(&json!({ "words": "x".repeat(3_000_000) })).expect(200);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_bodies_are_unpacked_and_bombs_are_not() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let save = |packed: Vec<u8>, how: &str| {
        let request = Request::new("POST", "/api/settings/save").body("application/json", packed);
        ada.send(request.header("Content-Encoding", how))
    };
    save(gzip(br#"{"words":"packed"}"#), "gzip").expect(200);
    assert_eq!(house.settings_of("ada"), json!({ "words": "packed" }));
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(br#"{"words":"deflated"}"#).unwrap();
    save(deflate.finish().unwrap(), "deflate").expect(200);
    assert_eq!(house.settings_of("ada"), json!({ "words": "deflated" }));

    let before = house.tree();
    save(b"not gzip".to_vec(), "gzip").expect(400);
    save(gzip(br#"{"words":"cut"}"#)[..20].to_vec(), "gzip").expect(400);
    save(b"{}".to_vec(), "br").expect(415);
    let bomb = gzip(format!("{{\"name\":\"{}\"}}", "x".repeat(20_000_000)).as_bytes());
    assert!(bomb.len() < 64 * 1024);
    let request = Request::new("PATCH", "/api/v1/me").body("application/json", bomb);
    ada.send(request.header("Content-Encoding", "gzip")).expect_error(413, "too_large");
    before.is_still(&house.tree(), "a packed body that was refused");
}

fn with_basic(guest: Guest, text: &str) -> Guest {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    guest.always("Authorization", &format!("Basic {encoded}"))
}

#[test]
fn basic_authentication_is_limited_too() {
    let folder = tempfile::tempdir().unwrap();
    let house = TestHouse::in_folder(folder, None, |config| {
        config.listen = true;
        config.basic_auth_mode = true;
        config.basic_auth_user.username = "house".into();
        config.basic_auth_user.password = tavernkeep::config::Secret::new("keeper");
    });
    let with = |text: &str| with_basic(house.anonymous(), text).get("/login");
    for _ in 0..10 {
        with("house:keeper").expect(302);
    }
    for _ in 0..4 {
        assert!(with("house:wrong").expect(401).header("www-authenticate").is_some());
    }
    with("nobody:keeper").expect(401);
    with("house:wrong").expect(429);
    with("house:keeper").expect(429);
    let wrong = house.events("failed_login_invalid_password");
    assert_eq!(wrong.len(), 4);
    assert!(wrong.iter().all(|event| event.to_string().contains("basic") && event["target"].is_null()));
    assert_eq!(house.events("failed_login_invalid_username").len(), 1);
}

#[test]
fn basic_authentication_is_not_guessed_by_asking_many_times_at_once() {
    let mut house = TestHouse::with(|config| config.passwords.bcrypt_cost = 12);
    house.has("ada");
    house.reopen(|config| {
        config.listen = true;
        config.basic_auth_mode = true;
        config.per_user_basic_auth = true;
        config.enable_forwarded_whitelist = false;
    });
    let right = password_of("ada");
    let try_from = |address: &str, password: &str| {
        with_basic(house.anonymous().from(address), &format!("ada:{password}")).get("/login").status
    };
    let statuses = burst(|n| try_from("192.0.2.1", &if n == 20 { right.clone() } else { format!("wrong {n}") }));
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 25, "{statuses:?}");
    let wrong = house.events("failed_login_invalid_password");
    assert_eq!(wrong.len(), 5);
    assert!(wrong.iter().all(|event| event["target"] == "ada" && event.to_string().contains("basic")), "{wrong:?}");
    // A browser that is right and asks for much at once is not guessing.
    let statuses = burst(|_| try_from("192.0.2.2", &right));
    assert!(statuses.iter().all(|status| *status == statuses[0] && *status < 400), "{statuses:?}");
}

/// How long the slowest but two of sixty acts of somebody's took.
fn pace(guest: &Guest) -> Duration {
    let act = |n: usize| {
        let started = Instant::now();
        guest.get("/api/v1/me").expect(200);
        guest.saves(&json!({ "n": n })).expect(200);
        guest.get("/api/v1/characters").expect(200);
        started.elapsed()
    };
    let mut times: Vec<Duration> = (0..60).map(act).collect();
    times.sort_unstable();
    times[57]
}

/// T17, one person cannot slow the others: two thousand expressions that are hard to try, over a message of a megabyte.
#[test]
fn hard_lorebooks_are_bounded_and_slow_nobody_else() {
    let house = TestHouse::open();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    ada.post("/api/v1/characters/assistant", json!({})).expect(201);
    let hard = |n: usize| match n % 3 {
        0 => format!("/[ab]*a[ab]{{{}}}[^ab]*(?=e)|x{n}/", 800 + n % 50),
        1 => format!("/(\\p{{L}}+\\s){{5}}x{n}/i"),
        _ => format!("/(?=.*fox{n})(?=.*dog).*/"),
    };
    let entries: serde_json::Map<String, serde_json::Value> = (0..2000)
        .map(|n| {
            (n.to_string(), json!({ "uid": n, "key": [hard(n), "k".repeat(5000)], "content": format!("entry {n}") }))
        })
        .chain([("2000".to_owned(), json!({ "uid": 2000, "key": ["bab"], "order": 1, "content": "found by a word" }))])
        .collect();
    ada.put("/api/v1/lorebooks/hard", json!({ "entries": entries })).expect(201);
    let head = json!({ "chat_metadata": { "world_info": "hard" } });
    let said =
        json!({ "name": "Ada", "is_user": true, "mes": "ab".repeat(512 * 1024), "send_date": "2026-11-22T10:00:00Z" });
    let folder = house.path("ada/chats/Assistant");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("talk.jsonl"), format!("{head}\n{said}\n")).unwrap();
    let asked = json!({
        "character": "Assistant", "chat": "talk", "kind": "reply", "connection": "echo", "text": "bab",
        "parameters": { "context": 2_000_000 },
    });

    let started = Instant::now();
    let one = ada.post("/api/v1/prompts", asked.clone()).expect(200);
    println!("one prompt: {:?}, {}", started.elapsed(), one.json()["leftOut"]);
    let quiet = pace(&bob);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let shown: Vec<_> = (0..12)
            .map(|_| {
                let (ada, over, asked) = (ada.copy(), &over, &asked);
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    while statuses.is_empty() || !over.load(Ordering::SeqCst) {
                        let answer = ada.post("/api/v1/prompts", asked.clone());
                        if answer.status == 200 {
                            let shown = answer.json();
                            assert!(shown["leftOut"]["keys"].as_u64() > Some(1000), "{}", shown["leftOut"]);
                            assert!(answer.text().contains("found by a word"), "words are looked for as before");
                        } else {
                            answer.clone().expect_error(429, "too_many");
                            std::thread::sleep(Duration::from_millis(100));
                        }
                        statuses.push(answer.status);
                    }
                    statuses
                })
            })
            .collect();
        let loaded = pace(&bob);
        over.store(true, Ordering::SeqCst);
        let statuses: Vec<u16> = shown.into_iter().flat_map(|one| one.join().unwrap()).collect();
        println!("quiet {quiet:?}, loaded {loaded:?}, {statuses:?}");
        assert!(loaded < 10 * quiet + Duration::from_secs(1), "quiet {quiet:?}, loaded {loaded:?}");
        assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    });
}
