//! Accounts over HTTP: signing in and out, sessions and what ends them, who may change whom, and that the house always
//! keeps an admin who can open it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::sync::Barrier;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Guest, OWNER, Request, TestHouse, password_of};

#[test]
fn signing_in_and_out() {
    let house = TestHouse::open();
    house.has("ada");
    let guest = house.anonymous();
    guest.get("/api/v1/me").expect_error(401, "not_signed_in");
    guest.signs_in("ada", "wrong").expect_error(403, "wrong_password");
    guest.signs_in("nobody", "wrong").expect_error(403, "wrong_password");
    let answer = guest.signs_in(" Ada ", &password_of("ada")).expect(200);
    assert_eq!(answer.json()["me"]["handle"], "ada");
    let cookie = answer.set_cookies().into_iter().find(|cookie| cookie.starts_with("session-")).unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && !cookie.contains("Secure"), "{cookie}");
    assert!(guest.is_signed_in());

    let stolen = guest.copy();
    guest.delete("/api/v1/session").expect(204);
    assert!(!guest.is_signed_in());
    assert!(!stolen.is_signed_in(), "a copy of the cookie outlived the sign-out");
    assert_eq!(house.events("logout_event").len(), 1);
    assert_eq!(house.events("failed_login_invalid_password").len(), 1);
    assert_eq!(house.events("failed_login_invalid_username").len(), 1);
    assert!(house.events("failed_login_invalid_username")[0]["target"].is_null());
}

#[test]
fn signing_in_as_sillytavern_does() {
    let house = TestHouse::open();
    house.has("ada");
    let guest = house.anonymous();
    assert_eq!(guest.get("/api/users/me").expect(403).text(), "Forbidden");
    guest.post("/api/users/login", json!({})).expect(400);
    guest.post("/api/users/login", json!({ "handle": "ada", "password": "no" })).expect(403);
    let body =
        json!({ "handle": "ada", "password": password_of("ada"), "admin": true, "__proto__": { "admin": true } });
    let answer = guest.post("/api/users/login", body).expect(200);
    assert_eq!(answer.json(), json!({ "handle": "ada" }));
    assert_eq!(guest.get("/api/users/me").json()["admin"], false);
    guest.post("/api/users/logout", json!({})).expect(204);
    assert!(!guest.is_signed_in());
}

#[test]
fn sessions_are_listed_and_ended_one_by_one_or_all_others() {
    let house = TestHouse::open();
    house.has("ada");
    let on = |device: &str| {
        let guest = house.anonymous().always("User-Agent", device);
        guest.signs_in("ada", &password_of("ada")).expect(200);
        guest
    };
    let (phone, laptop, tablet) = (on("Phone"), on("Laptop"), on("Tablet"));
    let list = phone.get("/api/v1/me/sessions").expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 3);
    let of = |device: &str| list.as_array().unwrap().iter().find(|s| s["device"] == device).unwrap().clone();
    assert_eq!((of("Phone")["current"].clone(), of("Laptop")["current"].clone()), (json!(true), json!(false)));
    assert_eq!(of("Laptop")["address"], "127.0.0.1");
    assert!(list.to_string().find(&phone.cookie("session-").unwrap()).is_none());

    phone.delete(&format!("/api/v1/me/sessions/{}", of("Laptop")["id"].as_str().unwrap())).expect(204);
    assert!(!laptop.is_signed_in() && phone.is_signed_in() && tablet.is_signed_in());
    phone
        .delete(&format!("/api/v1/me/sessions/{}", of("Laptop")["id"].as_str().unwrap()))
        .expect_error(404, "not_found");
    assert_eq!(phone.delete("/api/v1/me/sessions").expect(200).json(), json!({ "ended": 1 }));
    assert!(!tablet.is_signed_in() && phone.is_signed_in());
}

#[test]
fn sessions_outlive_a_restart_and_ended_ones_do_not_come_back() {
    let mut house = TestHouse::open();
    let (stays, goes) = (house.moves_in("ada"), house.signed_in("ada"));
    goes.delete("/api/v1/session").expect(204);
    let (stays, goes) = (stays.cookie("session-").unwrap(), goes.cookie("session-"));
    assert_eq!(goes, None);
    house.reopen(|_| {});
    let name = format!("session-{}", &house.app().store.install().id[..8]);
    let guest = house.anonymous().always("Cookie", &format!("{name}={stays}"));
    assert!(guest.is_signed_in());
}

#[rstest]
#[case::endless(-1, Some("Max-Age=34560000"), true)]
#[case::until_the_browser_closes(0, None, true)]
#[case::a_second(1, Some("Max-Age=1"), false)]
fn sessions_last_as_long_as_is_set(#[case] seconds: i64, #[case] max_age: Option<&str>, #[case] lasts: bool) {
    let house = TestHouse::with(|config| config.session_timeout = seconds);
    house.has("ada");
    let guest = house.anonymous();
    let answer = guest.signs_in("ada", &password_of("ada")).expect(200);
    let cookie = answer.set_cookies()[0].to_owned();
    assert_eq!(cookie.split("; ").find(|part| part.starts_with("Max-Age")), max_age);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(guest.is_signed_in(), lasts);
}

#[test]
fn a_new_password_keeps_ones_own_session_and_ends_the_others() {
    let house = TestHouse::open();
    let (here, there) = (house.moves_in("ada"), house.signed_in("ada"));
    let body = |old: &str, new: &str| json!({ "oldPassword": old, "newPassword": new });
    here.put("/api/v1/me/password", body("wrong", "new")).expect_error(403, "wrong_password");
    assert!(there.is_signed_in());
    here.put("/api/v1/me/password", body(&password_of("ada"), "new")).expect(204);
    assert!(here.is_signed_in() && !there.is_signed_in());
    house.anonymous().signs_in("ada", &password_of("ada")).expect(403);
    house.anonymous().signs_in("ada", "new").expect(200);

    here.put("/api/v1/me/password", body("new", "")).expect(204);
    house.anonymous().signs_in("ada", "").expect(200);
    assert!(house.json_file("_system/accounts/ada.json")["password"].is_null());
}

#[test]
fn a_password_from_an_admin_ends_all_sessions() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    house.owner().put("/api/v1/users/ada/password", json!({ "newPassword": "new" })).expect(204);
    assert!(!ada.is_signed_in());
    house.anonymous().signs_in("ada", "new").expect(200);
}

#[rstest]
#[case::own_dialect(false)]
#[case::sillytaverns(true)]
fn who_is_disabled_or_deleted_is_out_at_once(#[case] tavern: bool) {
    let house = TestHouse::open();
    let owner = house.owner();
    let (ada, bob) = (house.moves_in("ada"), house.moves_in("bob"));
    if tavern {
        owner.post("/api/users/disable", json!({ "handle": "ada" })).expect(204);
        owner.post("/api/users/delete", json!({ "handle": "bob" })).expect(204);
    } else {
        owner.patch("/api/v1/users/ada", json!({ "enabled": false })).expect(200);
        owner.delete("/api/v1/users/bob?data=keep").expect(204);
    }
    assert!(!ada.is_signed_in() && !bob.is_signed_in());
    house.anonymous().signs_in("ada", &password_of("ada")).expect_error(403, "disabled");
    house.anonymous().signs_in("bob", &password_of("bob")).expect_error(403, "wrong_password");
    assert!(house.path("bob/settings.json").exists());
    owner.patch("/api/v1/users/ada", json!({ "enabled": true })).expect(200);
    assert!(!ada.is_signed_in(), "an old session came back to life");
    house.signed_in("ada");
    // A new account of that name is another person: old cookies do not open it.
    house.has("bob");
    assert!(!bob.is_signed_in());
}

#[test]
fn deleting_with_the_data_moves_them_to_the_trash() {
    let house = TestHouse::open();
    house.moves_in("ada").saves(&json!({ "words": "precious" })).expect(200);
    house.owner().delete("/api/v1/users/ada").expect_error(400, "bad_request");
    house.owner().delete("/api/v1/users/ada?data=remove").expect(204);
    assert!(!house.path("ada").exists());
    let trash = house.tree().only(|name| name.starts_with("_system/trash/"));
    assert!(!trash.holding("precious").is_empty(), "{:?}", house.tree().0.keys());
}

#[test]
fn the_first_account_stays_and_nobody_locks_themselves_out() {
    let house = TestHouse::open();
    let ann = house.moves_in_as("ann", "admin");
    ann.delete(&format!("/api/v1/users/{OWNER}?data=keep")).expect_error(400, "default_user");
    ann.post("/api/users/delete", json!({ "handle": OWNER, "purge": true })).expect(400);
    ann.patch("/api/v1/users/ann", json!({ "enabled": false })).expect_error(403, "not_yourself");
    ann.patch("/api/v1/users/ann", json!({ "role": "user" })).expect_error(403, "not_yourself");
    ann.delete("/api/v1/users/ann?data=keep").expect_error(403, "not_yourself");
    for path in ["disable", "demote", "delete"] {
        ann.post(&format!("/api/users/{path}"), json!({ "handle": "ann" })).expect(400);
    }
    ann.patch(&format!("/api/v1/users/{OWNER}"), json!({ "enabled": false })).expect(200);
    assert_eq!(house.json_file("_system/accounts/ann.json")["role"], "admin");
    let row = ann.get("/api/v1/users").json();
    let row = row.as_array().unwrap().iter().find(|row| row["handle"] == "ann").unwrap().clone();
    assert_eq!((row["lastAdmin"].clone(), row["isMe"].clone()), (json!(true), json!(true)));
}

/// Two admins act on each other in the same moment, many times: whoever is faster wins, and one of them remains.
#[rstest]
#[case::delete("DELETE", "/api/v1/users/{}?data=keep", json!({}))]
#[case::demote("PATCH", "/api/v1/users/{}", json!({ "role": "user" }))]
#[case::disable("PATCH", "/api/v1/users/{}", json!({ "enabled": false }))]
fn two_admins_who_remove_each_other_never_both_succeed(#[case] method: &str, #[case] path: &str, #[case] body: Value) {
    let house = TestHouse::open();
    for round in 0..15 {
        let [a, b] = ["a", "b"].map(|letter| format!("{letter}{round}"));
        let guests = [&a, &b].map(|handle| {
            house.has(handle);
            house.appoints(handle, "admin");
            house.signed_in(handle)
        });
        guests[0].patch(&format!("/api/v1/users/{OWNER}"), json!({ "enabled": false })).expect(200);
        let request = |other: &str| Request::new(method, &path.replace("{}", other)).json(&body);
        for guest in &guests {
            guest.token();
        }
        let start = Barrier::new(2);
        let statuses = std::thread::scope(|scope| {
            let act = |guest: Guest, other: String| {
                let (start, request) = (&start, request(&other));
                scope.spawn(move || {
                    start.wait();
                    guest.send(request).status
                })
            };
            let [first, second] = guests;
            let (one, two) = (act(first, b.clone()), act(second, a.clone()));
            [one.join().unwrap(), two.join().unwrap()]
        });
        let done = statuses.iter().filter(|status| (200..300).contains(*status)).count();
        let refused = statuses.iter().any(|status| [401, 403, 409].contains(status));
        assert!(done == 1 && refused, "round {round}: {statuses:?}");
        let admins = house.app().accounts.listing().unwrap().active_admins();
        assert!(admins >= 1, "round {round}: nobody can open the house any more");
        // The winner lets the first account back in, for the next round.
        let winner = if (200..300).contains(&statuses[0]) { &a } else { &b };
        house.signed_in(winner).patch(&format!("/api/v1/users/{OWNER}"), json!({ "enabled": true })).expect(200);
        house.owner().delete(&format!("/api/v1/users/{winner}?data=keep")).expect(204);
    }
}

#[test]
fn an_account_is_made_as_an_ordinary_user_whatever_the_body_says() {
    let house = TestHouse::open();
    let owner = house.owner();
    let before = house.tree();
    for extra in ["role", "admin", "enabled", "created", "epoch", "id", "__proto__", "constructor"] {
        let mut body = json!({ "handle": "eve", "name": "Eve" });
        body[extra] = json!("admin");
        owner.post("/api/v1/users", body).expect_error(400, "bad_request");
    }
    before.is_still(&house.tree(), "a refused body");
    let body =
        json!({ "handle": "Eve!", "name": "Eve", "admin": true, "role": "admin", "__proto__": { "admin": true } });
    assert_eq!(owner.post("/api/users/create", body).expect(200).json(), json!({ "handle": "eve" }));
    let record = house.json_file("_system/accounts/eve.json");
    assert_eq!((&record["role"], &record["enabled"]), (&json!("user"), &json!(true)));
    assert!(record.get("admin").is_none() && record.get("__proto__").is_none());
    owner.post("/api/users/create", json!({ "handle": "eve", "name": "Eve" })).expect(409);
    owner.post("/api/v1/users", json!({ "handle": "eve", "name": "Eve" })).expect_error(409, "conflict");
}

#[rstest]
#[case(json!({ "handle": "x" }))]
#[case(json!({ "handle": "x", "name": 5 }))]
#[case(json!({ "handle": ["x"], "name": "X" }))]
#[case(json!({ "handle": { "not": "" }, "name": "X" }))]
#[case(json!({ "handle": "x", "name": "X", "password": null }))]
#[case(json!({ "handle": "X", "name": "X" }))]
#[case(json!({ "handle": "..", "name": "X" }))]
#[case(json!({ "handle": "a/b", "name": "X" }))]
#[case(json!({ "handle": "", "name": "X" }))]
#[case(json!({ "handle": "_system", "name": "X" }))]
#[case(json!({ "handle": "x", "name": "" }))]
#[case(json!({ "handle": "x", "name": " \t " }))]
#[case(json!({ "handle": "x", "name": "a\nb" }))]
#[case(json!({ "handle": "x", "name": "a\u{0}b" }))]
#[case(json!({ "handle": "x", "name": "n".repeat(101) }))]
#[case(json!({ "handle": "x", "name": "X", "password": "p".repeat(72) }))]
#[case(json!({ "handle": "x", "name": "X", "password": "é".repeat(36) }))]
fn bodies_that_make_no_account(#[case] body: Value) {
    let house = TestHouse::open();
    let owner = house.owner();
    let before = house.tree();
    owner.post("/api/v1/users", body).expect(400);
    before.is_still(&house.tree(), "a refused body");
}

#[test]
fn a_password_is_refused_rather_than_cut() {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let body = |new: &str| json!({ "oldPassword": password_of("ada"), "newPassword": new });
    ada.put("/api/v1/me/password", body(&"x".repeat(72))).expect_error(400, "password_too_long");
    house.anonymous().signs_in("ada", &"x".repeat(1_000_000 / 20)).expect(400);
    ada.put("/api/v1/me/password", body(&"x".repeat(71))).expect(204);
    house.anonymous().signs_in("ada", &"x".repeat(72)).expect(403);
    house.anonymous().signs_in("ada", &"x".repeat(71)).expect(200);
}

#[rstest]
#[case("Ada Lovelace", Some("Ada Lovelace"))]
#[case("  Zoë 🐈  ", Some("Zoë 🐈"))]
#[case("<script>alert(1)</script>", Some("<script>alert(1)</script>"))]
#[case("", None)]
#[case("\u{7}", None)]
fn display_names(#[case] typed: &str, #[case] kept: Option<&str>) {
    let house = TestHouse::open();
    let ada = house.moves_in("ada");
    let answer = ada.patch("/api/v1/me", json!({ "name": typed }));
    let now = kept.unwrap_or("Ada");
    assert_eq!(answer.status, if kept.is_some() { 200 } else { 400 }, "{answer}");
    assert_eq!(ada.get("/api/v1/me").json()["name"], now);
    assert_eq!(house.json_file("_system/accounts/ada.json")["name"], now);
}

#[rstest]
#[case("Böb%20the%202nd", "bob-the-2nd")]
#[case("%20%20Ada%20%20", "ada")]
#[case("..%2F..%2Fetc", "etc")]
#[case("%E6%97%A5%E6%9C%AC", "ri-ben")]
#[case("___", "")]
fn what_is_typed_becomes_a_handle(#[case] typed: &str, #[case] handle: &str) {
    let house = TestHouse::open();
    let answer = house.owner().get(&format!("/api/v1/handles/slug?text={typed}").replace('ö', "%C3%B6")).expect(200);
    assert_eq!(answer.json()["handle"], handle);
}

#[test]
fn a_sole_account_without_a_password_skips_the_login_screen() {
    let house = TestHouse::open();
    let guest = house.anonymous();
    guest.get("/login?noauto=true").expect(200);
    assert!(!guest.is_signed_in());
    assert_eq!(guest.get("/login").expect(302).header("location"), Some("/"));
    assert!(guest.is_signed_in());

    house.has("ada");
    let other = house.anonymous();
    other.get("/login").expect(200);
    assert!(!other.is_signed_in());
    let owner = house.owner();
    owner.delete("/api/v1/users/ada?data=keep").expect(204);
    owner.put("/api/v1/me/password", json!({ "oldPassword": "", "newPassword": "secret" })).expect(204);
    other.get("/login").expect(200);
    assert!(!other.is_signed_in());
}

#[test]
fn whoever_a_proxy_hands_on_enters_no_account_without_a_password() {
    let house = TestHouse::with(|config| config.whitelist_mode = false);
    for (name, value) in [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
    ] {
        let guest = house.anonymous();
        guest.send(Request::new("GET", "/login").header(name, value)).expect(200);
        let body = json!({ "handle": "default-user", "password": "" });
        guest.send(Request::new("POST", "/api/users/login").json(&body).header(name, value)).expect(403);
        assert!(!guest.is_signed_in(), "{name}: {value}");
    }
}

#[test]
fn without_accounts_everything_is_the_first_accounts() {
    let house = TestHouse::with(|config| config.enable_user_accounts = false);
    let guest = house.anonymous();
    assert_eq!(guest.get("/api/v1/me").expect(200).json()["handle"], OWNER);
    assert_eq!(guest.get("/login").expect(302).header("location"), Some("/"));
    guest.get("/").expect(200);
    guest.saves(&json!({ "words": "no login" })).expect(200);
    assert_eq!(house.settings_of(OWNER), json!({ "words": "no login" }));
    assert_eq!(guest.get("/api/v1/house").json()["login"], "none");
}

#[test]
fn pages_send_strangers_to_the_login_screen() {
    let house = TestHouse::open();
    house.has("ada");
    let guest = house.anonymous();
    for (page, to) in [("/", "/login"), ("/?noauto=true", "/login?noauto=true"), ("/account", "/login?then=/account")] {
        assert_eq!(guest.get(page).expect(302).header("location"), Some(to));
    }
    let ada = house.signed_in("ada");
    for page in ["/", "/account", "/users", "/login"] {
        assert!(ada.get(page).expect(200).header("content-security-policy").unwrap().contains("default-src 'none'"));
    }
}
