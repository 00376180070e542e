//! T14, your data is only yours: every route of the table as every kind of caller, answered exactly as its row says; every
//! changing route without a good CSRF token or from another site; every id of somebody else's.
//!
//! The matrix is made from the table itself, so that a new route is tested the moment it has a row.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use serde_json::{Value, json};
use support::zips::zip_of;
use support::{Answer, Guest, OWNER, Request, TestHouse, password_of};
use tavernkeep::access::{Permission, Role};
use tavernkeep::http::reply::Dialect;
use tavernkeep::http::routes;
use tavernkeep::http::table::{Route, Who};

const NOBODY: &[&str] = &["nobody", "disabled", "deleted", "ended"];

/// What anybody may call, written down once more: a route becomes public only on purpose.
const PUBLIC: &[&str] = &[
    "GET /",
    "GET /login",
    "GET /account",
    "GET /users",
    "GET /chat",
    "GET /characters",
    "GET /personas",
    "GET /lorebooks",
    "GET /connections",
    "GET /search",
    "GET /trash",
    "GET /csrf-token",
    "POST /api/users/list",
    "POST /api/users/login",
    "POST /api/users/recover-step1",
    "POST /api/users/recover-step2",
    "GET /api/v1/openapi.json",
    "GET /api/v1/house",
    "POST /api/v1/session",
    "POST /api/v1/recovery",
    "POST /api/v1/recovery/redeem",
    "GET /api/v1/users/{handle}/avatar",
];

#[test]
fn what_is_public_is_public_on_purpose() {
    let all = routes::all();
    let open = all.iter().filter(|route| route.who == Who::Public).map(|r| format!("{} {}", r.method, r.pattern));
    assert_eq!(open.collect::<Vec<_>>(), PUBLIC);
}

#[test]
fn what_is_about_others_needs_more_than_an_ordinary_user_has() {
    let own = Role::User.permissions();
    for route in routes::all() {
        let about_others = route.pattern.contains("{handle}") || route.pattern == "/api/v1/users";
        let may = match route.who {
            Who::Public => route.pattern.ends_with("/avatar"),
            Who::SignedIn => false,
            Who::May(permission) => !own.has(permission),
        };
        assert!(!about_others || may, "{} {}", route.method, route.pattern);
    }
}

/// Whether somebody with this role (or none) is let in by this row.
fn is_allowed(route: &Route, role: Option<Role>) -> bool {
    match (route.who, role) {
        (Who::Public, _) | (Who::SignedIn, Some(_)) => true,
        (Who::May(permission), Some(role)) => role.permissions().has(permission),
        (Who::SignedIn | Who::May(_), None) => false,
    }
}

/// A request that would do harm if it were let through: real names, valid bodies.
fn harmful(route: &Route) -> Request {
    let path = route.pattern.replace("{handle}", "victim").replace("{name}", "settings_victim_x.json");
    let path = path.replace("{id}", "0123456789abcdef0123456789abcdef");
    let path = if route.pattern == "/api/v1/users/{handle}" { format!("{path}?data=remove") } else { path };
    let request = Request::new(route.method.as_str(), &path);
    if route.pattern.ends_with("/avatar") && route.changes() {
        return request.body("image/png", PICTURE);
    }
    if route.pattern == "/api/v1/me/restores" {
        return request.body("application/zip", zip_of(&[("settings.json", b"{\"evil\":true}")]));
    }
    let body = match route.pattern {
        "/api/v1/session" | "/api/users/login" => json!({ "handle": "victim", "password": password_of("victim") }),
        "/api/v1/me" => json!({ "name": "Evil" }),
        "/api/v1/me/password" => json!({ "oldPassword": "", "newPassword": "evil" }),
        "/api/v1/me/settings/reset" => json!({ "password": "" }),
        "/api/v1/me/backups" | "/api/v1/users/{handle}/backups" => json!({ "secrets": true }),
        "/api/v1/users" => json!({ "handle": "evil", "name": "Evil" }),
        "/api/v1/users/{handle}" => json!({ "name": "Evil", "enabled": false }),
        "/api/v1/users/{handle}/password" => json!({ "newPassword": "evil" }),
        _ => {
            json!({ "handle": "victim", "name": "evil", "password": "", "newPassword": "evil", "code": "0000", "text": "x" })
        }
    };
    if route.changes() { request.json(&body) } else { request }
}

/// A request that is let through and then does nothing, because what it names is not there.
fn harmless(route: &Route) -> Request {
    let path = route.pattern.replace("{handle}", "not-here").replace("{name}", "settings_x_x.json");
    let path = path.replace("{id}", "00").replace("{*id}", "00");
    // What goes on for as long as somebody listens is only looked at.
    let method = if route.pattern == "/api/v1/me/changes" { "HEAD" } else { route.method.as_str() };
    let request = Request::new(method, &path);
    if route.changes() { request.json(&json!({})) } else { request }
}

/// The smallest PNG: one pixel.
const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0, 1, 0, 0, 5, 0, 1,
    0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// What the gate says to whoever is not let in.
fn is_denial(route: &Route, signed_in: bool, answer: &Answer) -> bool {
    match route.dialect {
        Dialect::Tavern => answer.status == 403 && answer.text() == "Forbidden",
        Dialect::Own if signed_in => answer.status == 403 && answer.code() == "forbidden",
        Dialect::Own => answer.status == 401 && answer.code() == "not_signed_in",
        Dialect::OpenAi => answer.status == 401 && answer.json()["error"]["code"] == "invalid_api_key",
        Dialect::Page => answer.status == 302,
    }
}

/// An API key of somebody in this role. The three who were somebody once hold one of then.
fn key_of(house: &TestHouse, who: &str) -> Option<String> {
    let make = |guest: &Guest| {
        let made = guest.post("/api/v1/me/keys", json!({ "name": "a program" })).expect(201).json();
        (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    };
    match who {
        "nobody" => None,
        "ended" => {
            let guest = house.signed_in("victim");
            let (key, id) = make(&guest);
            guest.delete(&format!("/api/v1/me/keys/{id}")).expect(204);
            Some(key)
        }
        "disabled" => {
            let key = make(&house.moves_in("shut")).0;
            house.owner().patch("/api/v1/users/shut", json!({ "enabled": false })).expect(200);
            house.owner().patch("/api/v1/users/shut", json!({ "enabled": true })).expect(200);
            Some(key)
        }
        "deleted" => {
            let key = make(&house.moves_in("left")).0;
            house.owner().delete("/api/v1/users/left?data=remove").expect(204);
            house.has("left");
            Some(key)
        }
        _ => Some(make(&caller(house, who)).0),
    }
}

/// A request of a program: with its key, which alone says for whom it asks.
fn by_program(request: Request, key: Option<&str>) -> Request {
    match key {
        Some(key) => request.without_token().header("Authorization", &format!("Bearer {key}")),
        None => request.without_token(),
    }
}

/// Somebody in this role. The three who were somebody once hold the cookies of then.
fn caller(house: &TestHouse, who: &str) -> Guest {
    match who {
        "nobody" => house.anonymous(),
        "ended" => {
            let guest = house.signed_in("victim");
            let old = guest.copy();
            guest.delete("/api/v1/session").expect(204);
            old
        }
        "disabled" => {
            let guest = house.moves_in("gone");
            house.owner().patch("/api/v1/users/gone", json!({ "enabled": false })).expect(200);
            guest.forgets_token();
            guest
        }
        "deleted" => {
            let guest = house.moves_in("gone");
            house.owner().delete("/api/v1/users/gone?data=remove").expect(204);
            guest.forgets_token();
            guest
        }
        "admin" => house.signed_in("ann"),
        "manager" => house.signed_in("mia"),
        "moderator" => house.signed_in("mo"),
        _ => house.signed_in("uma"),
    }
}

fn staffed_house() -> TestHouse {
    let house = TestHouse::open();
    for (handle, role) in
        [("victim", "user"), ("ann", "admin"), ("mia", "manager"), ("mo", "moderator"), ("uma", "user")]
    {
        house.has(handle);
        house.appoints(handle, role);
    }
    house.signed_in("victim").saves(&json!({ "words": "mine" })).expect(200);
    house
}

fn role_of(who: &str) -> Option<Role> {
    match who {
        "admin" => Some(Role::Admin),
        "manager" => Some(Role::Manager),
        "moderator" => Some(Role::Moderator),
        "user" => Some(Role::User),
        _ => None,
    }
}

#[test]
fn every_route_answers_every_caller_as_its_row_says() {
    let mut tried = [0, 0];
    for who in ["nobody", "disabled", "deleted", "ended", "user", "moderator", "manager", "admin"] {
        let house = staffed_house();
        let role = role_of(who);
        let mut guest = caller(&house, who);
        let (key, stranger) = (key_of(&house, who), house.anonymous());
        for route in routes::all() {
            let name = format!("{who}: {} {}", route.method, route.pattern);
            if route.dialect == Dialect::OpenAi {
                // What a browser sends by itself counts for nothing there.
                guest.token();
                let before = house.tree();
                let answer = guest.send(harmful(&route));
                assert!(is_denial(&route, role.is_some(), &answer), "{name}: {answer}");
                let answer = if is_allowed(&route, role) {
                    let answer = stranger.send(by_program(harmless(&route), key.as_deref()));
                    assert!(answer.status < 500 && !is_denial(&route, true, &answer), "{name}: {answer}");
                    answer
                } else {
                    let answer = stranger.send(by_program(harmful(&route), key.as_deref()));
                    assert!(is_denial(&route, false, &answer), "{name}: {answer}");
                    answer
                };
                assert!(answer.set_cookies().is_empty());
                before.is_still(&house.tree(), &name);
                tried[usize::from(!is_allowed(&route, role))] += 1;
                continue;
            }
            // Nothing but the door is being tried: a good token comes with every request.
            guest.token();
            let before = house.tree();
            if is_allowed(&route, role) {
                let answer = guest.send(harmless(&route));
                assert_ne!(answer.status, 401, "{name}: {answer}");
                assert!(answer.status < 500, "{name}: {answer}");
                if route.dialect == Dialect::Page {
                    let in_front = role.is_none() && route.pattern != "/login";
                    assert_eq!(answer.status, if in_front { 302 } else { 200 }, "{name}: {answer}");
                } else {
                    assert!(!is_denial(&route, role.is_some(), &answer), "{name}: {answer}");
                    assert_ne!(answer.code(), "csrf", "{name}");
                }
                tried[0] += 1;
            } else {
                let answer = guest.send(harmful(&route));
                assert!(is_denial(&route, role.is_some(), &answer), "{name} was not refused: {answer}");
                before.is_still(&house.tree(), &name);
                tried[1] += 1;
            }
            if role.is_some() && !guest.is_signed_in() {
                // It was a sign-out.
                guest = caller(&house, who);
            }
        }
    }
    println!("{} requests let in, {} refused", tried[0], tried[1]);
    assert!(tried[1] > 4 * routes::all().len() / 2, "{} and {:?}", tried[1], NOBODY);
}

#[test]
fn no_change_without_the_token_or_from_another_site() {
    let house = staffed_house();
    let victim = house.signed_in("ann");
    let (token, foreign) = (victim.token(), house.signed_in("uma").token());
    let mut tried = 0;
    let with_cookies = |route: &Route| route.changes() && route.dialect != Dialect::OpenAi;
    for route in routes::all().into_iter().filter(with_cookies) {
        let name = format!("{} {}", route.method, route.pattern);
        let evil = |request: Request, name: &str, value: &str| request.token(&token).header(name, value);
        let attacks = [
            ("no token", harmful(&route).without_token()),
            ("an empty token", harmful(&route).token("")),
            ("somebody else's token", harmful(&route).token(&foreign)),
            ("a foreign origin", evil(harmful(&route), "Origin", "https://evil.example")),
            ("the origin null", evil(harmful(&route), "Origin", "null")),
            ("a foreign site", evil(harmful(&route), "Sec-Fetch-Site", "cross-site")),
            ("a neighbouring site", evil(harmful(&route), "Sec-Fetch-Site", "same-site")),
        ];
        let before = house.tree();
        for (how, request) in attacks {
            let answer = victim.send(request);
            assert_eq!(answer.status, 403, "{name} with {how}: {answer}");
            assert!(answer.set_cookies().is_empty(), "{name} with {how}");
            tried += 1;
        }
        before.is_still(&house.tree(), &name);
    }
    println!("{tried} forged requests refused");
    assert!(victim.is_signed_in());
}

#[test]
fn a_form_or_text_from_another_page_is_not_json() {
    let house = staffed_house();
    let admin = house.signed_in("ann");
    let before = house.tree();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let body = br#"{"handle":"evil","name":"Evil"}"#.to_vec();
        admin.send(Request::new("POST", "/api/v1/users").body(media_type, body.clone())).expect(415);
        admin.send(Request::new("POST", "/api/users/create").body(media_type, body)).expect(400);
    }
    before.is_still(&house.tree(), "a form");
}

/// What bob can name that is ada's: each answers him as if it were not there at all.
#[test]
fn what_is_somebody_elses_is_not_there() {
    let house = TestHouse::open();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    ada.saves(&json!({ "words": "ada's" })).expect(200);
    bob.saves(&json!({ "words": "bob's" })).expect(200);
    let snapshot = house.snapshots_of("ada")[0].clone();
    let zip = zip_of(&[("settings.json", b"{\"words\":\"restored\"}")]);
    let upload = || Request::new("POST", "/api/v1/me/restores").body("application/zip", zip.clone());
    let first = ada.send(upload()).expect(200).json()["id"].as_str().unwrap().to_owned();
    let body = json!({ "parts": ["settings"] });
    let undo = ada.post(&format!("/api/v1/me/restores/{first}/apply"), body.clone()).expect(200).json();
    let undo = undo["undo"].as_str().unwrap().to_owned();
    let restore = ada.send(upload()).expect(200).json()["id"].as_str().unwrap().to_owned();
    let ticket = ada.post("/api/v1/me/backups", json!({ "secrets": false })).expect(200).json();
    let ticket = ticket["id"].as_str().unwrap().to_owned();
    let session = ada.get("/api/v1/me/sessions").json()[0]["id"].as_str().unwrap().to_owned();

    let before = house.tree();
    let absent = |id: &str| -> String {
        id.chars().map(|c| if c.is_ascii_digit() { if c == '7' { '3' } else { '7' } } else { c }).collect()
    };
    let requests = [
        ("GET", "/api/v1/me/snapshots/{}", &snapshot, json!({})),
        ("GET", "/api/v1/me/snapshots/{}/diff", &snapshot, json!({})),
        ("POST", "/api/v1/me/snapshots/{}/restore", &snapshot, json!({})),
        ("DELETE", "/api/v1/me/snapshots/{}", &snapshot, json!({})),
        ("GET", "/api/v1/me/restores/{}", &restore, json!({})),
        ("POST", "/api/v1/me/restores/{}/apply", &restore, body),
        ("DELETE", "/api/v1/me/restores/{}", &restore, json!({})),
        ("POST", "/api/v1/me/undo/{}", &undo, json!({})),
        ("DELETE", "/api/v1/me/undo/{}", &undo, json!({})),
        ("GET", "/api/v1/me/backups/{}", &ticket, json!({})),
        ("GET", "/api/v1/me/backups/{}/download", &ticket, json!({})),
        ("DELETE", "/api/v1/me/sessions/{}", &session, json!({})),
    ];
    for (method, path, id, body) in &requests {
        let ask = |id: &str| {
            let request = Request::new(method, &path.replace("{}", id));
            bob.send(if *method == "POST" { request.json(body) } else { request })
        };
        let (hers, nobodys) = (ask(id), ask(&absent(id)));
        assert!([400, 404].contains(&hers.status), "{hers}");
        assert_eq!((hers.status, hers.text()), (nobodys.status, nobodys.text()), "{method} {path}");
    }
    for path in ["/api/settings/load-snapshot", "/api/settings/restore-snapshot"] {
        let [hers, nobodys] = [&snapshot, &absent(&snapshot)].map(|name| bob.post(path, json!({ "name": name })));
        assert!([400, 404].contains(&hers.status), "{hers}");
        assert_eq!((hers.status, hers.text()), (nobodys.status, nobodys.text()), "{path}");
    }
    before.is_still(&house.tree(), "bob's asking");
    assert!(ada.is_signed_in());
    ada.get(&format!("/api/v1/me/backups/{ticket}/download")).expect(200);
}

/// SillyTavern's routes that take a handle in the body: for others than oneself they need the right to manage people, and
/// tell whoever lacks it nothing about who is there.
#[test]
fn a_handle_in_the_body_gives_no_right() {
    let house = staffed_house();
    let uma = house.signed_in("uma");
    let before = house.tree();
    for (path, more) in [
        ("/api/users/change-name", json!({ "name": "Evil" })),
        ("/api/users/change-avatar", json!({ "avatar": "" })),
        ("/api/users/change-password", json!({ "newPassword": "evil", "oldPassword": "" })),
        ("/api/users/backup", json!({})),
    ] {
        let ask = |handle: &str| {
            let mut body = more.clone();
            body["handle"] = json!(handle);
            uma.post(path, body)
        };
        let [victim, owner, nobody] = ["victim", OWNER, "not-here"].map(ask);
        assert_eq!(victim.status, 403, "{victim}");
        assert_eq!(victim.text(), nobody.text(), "{path} tells who is there");
        assert_eq!(victim.text(), owner.text());
    }
    before.is_still(&house.tree(), "uma's asking");
}

/// SillyTavern's client asks an admin for no old password. Nobody else's session is enough for a new one.
#[test]
fn only_an_admin_changes_their_password_without_the_old_one() {
    let house = TestHouse::open();
    house.has("uma");
    for (handle, role) in [("mia", "manager"), ("mo", "moderator"), ("una", "user")] {
        let guest = house.moves_in_as(handle, role);
        let stolen = [
            ("POST", "/api/users/change-password".to_owned(), json!({ "handle": handle, "newPassword": "stolen" })),
            ("PUT", "/api/v1/me/password".to_owned(), json!({ "oldPassword": "", "newPassword": "stolen" })),
            ("PUT", format!("/api/v1/users/{handle}/password"), json!({ "newPassword": "stolen" })),
        ];
        for (method, path, body) in stolen {
            guest.send(Request::new(method, &path).json(&body)).expect(403);
        }
        house.signed_in(handle);
        let own = json!({ "handle": handle, "newPassword": "new one", "oldPassword": password_of(handle) });
        guest.post("/api/users/change-password", own).expect(204);
        house.anonymous().signs_in(handle, "new one").expect(200);
    }
    // Others' they may set where they may manage them, and an admin their own, as SillyTavern's client does it.
    let mia = house.anonymous();
    mia.signs_in("mia", "new one").expect(200);
    mia.post("/api/users/change-password", json!({ "handle": "uma", "newPassword": "by mia" })).expect(204);
    let ann = house.moves_in_as("ann", "admin");
    ann.put("/api/v1/users/ann/password", json!({ "newPassword": "mine" })).expect_error(403, "not_yourself");
    ann.post("/api/users/change-password", json!({ "handle": "ann", "newPassword": "mine" })).expect(204);
    house.anonymous().signs_in("ann", "mine").expect(200);
}

/// A manager manages people, but neither becomes an admin, nor makes one, nor touches one.
#[test]
fn a_manager_is_never_above_an_admin() {
    let house = staffed_house();
    let mia = house.signed_in("mia");
    let before = house.tree().without_notes();
    let forbidden: &[(&str, &str, Value)] = &[
        ("PATCH", "/api/v1/users/mia", json!({ "role": "admin" })),
        ("PATCH", "/api/v1/users/uma", json!({ "role": "admin" })),
        ("PATCH", "/api/v1/users/ann", json!({ "role": "user" })),
        ("PATCH", "/api/v1/users/ann", json!({ "enabled": false })),
        ("PATCH", "/api/v1/users/ann", json!({ "name": "Evil" })),
        ("PUT", "/api/v1/users/ann/password", json!({ "newPassword": "evil" })),
        ("DELETE", "/api/v1/users/ann?data=remove", json!({})),
        ("DELETE", "/api/v1/users/ann/avatar", json!({})),
        ("POST", "/api/v1/users/victim/backups", json!({ "secrets": false })),
        ("GET", "/api/v1/events", json!({})),
        ("POST", "/api/users/promote", json!({ "handle": "uma" })),
        ("POST", "/api/users/disable", json!({ "handle": "ann" })),
        ("POST", "/api/users/delete", json!({ "handle": "ann", "purge": true })),
        ("POST", "/api/users/change-password", json!({ "handle": "ann", "newPassword": "evil" })),
        ("POST", "/api/users/backup", json!({ "handle": "victim" })),
    ];
    for (method, path, body) in forbidden {
        let request = Request::new(method, path);
        let answer = mia.send(if *method == "GET" { request } else { request.json(body) });
        assert_eq!(answer.status, 403, "{answer}");
    }
    before.is_still(&house.tree().without_notes(), "the manager");
    assert!(!Role::Manager.permissions().has(Permission::BackupsOthers));
    mia.patch("/api/v1/users/uma", json!({ "role": "manager" })).expect(200);
}
