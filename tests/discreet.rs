//! Discreet mode tells nothing: neither lists, nor pictures, nor the answers to sign-in and recovery, nor their time say
//! whether a handle exists.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Guest, OWNER, TestHouse, password_of};
use tavernkeep::config::Config;

/// A discreet house with ada and bea, who have passwords, and dora and dot, who are disabled.
fn discreet_house(change: impl FnOnce(&mut Config)) -> TestHouse {
    let house = TestHouse::with(|config| {
        config.enable_discreet_login = true;
        config.rate_limiting.accounts_login_max_attempts = 0;
        config.rate_limiting.accounts_recover_max_attempts = 0;
        // Tests come from many made-up addresses.
        config.enable_forwarded_whitelist = false;
        change(config);
    });
    for handle in ["ada", "bea", "dora", "dot"] {
        house.has(handle);
    }
    for handle in ["dora", "dot"] {
        house.owner().patch(&format!("/api/v1/users/{handle}"), json!({ "enabled": false })).expect(200);
    }
    // Nothing of it is due to the network being known from an earlier sign-in.
    house.owner().delete("/api/v1/session").expect(204);
    house
}

#[test]
fn nobody_is_listed() {
    let house = discreet_house(|_| {});
    let guest = house.anonymous();
    let list = guest.post("/api/users/list", json!({})).expect(204);
    assert!(list.body.is_empty());
    let answer = guest.get("/api/v1/house").expect(200);
    let body = answer.json();
    assert_eq!((&body["login"], &body["me"]), (&json!("discreet"), &Value::Null));
    assert!(body.get("people").is_none() && !answer.text().contains("ada"));
    let page = guest.get("/login").expect(200).text();
    assert!(!page.contains("ada") && !page.contains("Ada"));
}

#[test]
fn no_picture_is_there() {
    let house = discreet_house(|_| {});
    let ask = |handle: &str| house.anonymous().get(&format!("/api/v1/users/{handle}/avatar")).expect(404).fingerprint();
    let absent = ask("nobody");
    for handle in ["ada", "dora", OWNER] {
        assert_eq!(ask(handle), absent, "{handle}");
    }
}

/// Sends one request for each kind of name, from an address of its own, and compares all that can be told from outside.
fn all_alike(house: &TestHouse, ask: impl Fn(&Guest, &str) -> Answer) -> Answer {
    let mut answers = Vec::new();
    for (n, handle) in ["nobody", "ada", "dora", "..", "ADA", OWNER].into_iter().enumerate() {
        let guest = house.anonymous().from(&format!("192.0.2.{n}"));
        let answer = ask(&guest, handle);
        answers.push((handle, answer.fingerprint(), answer));
    }
    for (handle, print, _) in &answers {
        assert_eq!(*print, answers[0].1, "{handle} can be told from a name that does not exist");
    }
    answers.remove(0).2
}

#[rstest]
#[case::own_dialect("/api/v1/session")]
#[case::sillytaverns("/api/users/login")]
fn a_refused_sign_in_says_nothing(#[case] path: &str) {
    let house = discreet_house(|_| {});
    // The first account must have a password, or it would be let in.
    house.owner().put("/api/v1/me/password", json!({ "oldPassword": "", "newPassword": "secret" })).expect(204);
    let answer = all_alike(&house, |guest, handle| guest.post(path, json!({ "handle": handle, "password": "wrong" })));
    answer.expect(403);
    let right = house.anonymous().post(path, json!({ "handle": "dora", "password": password_of("dora") }));
    let wrong = house.anonymous().post(path, json!({ "handle": "dora", "password": "wrong" }));
    assert_eq!(right.fingerprint(), wrong.fingerprint(), "the right password of a disabled account shows");
}

#[rstest]
#[case::own_ask("/api/v1/recovery", json!({}), 204)]
#[case::own_use("/api/v1/recovery/redeem", json!({ "code": "none", "newPassword": "x" }), 403)]
#[case::tavern_ask("/api/users/recover-step1", json!({}), 204)]
#[case::tavern_use("/api/users/recover-step2", json!({ "code": "none", "newPassword": "x" }), 403)]
fn recovery_says_nothing(#[case] path: &str, #[case] more: Value, #[case] status: u16) {
    let house = discreet_house(|_| {});
    let ask = |guest: &Guest, handle: &str| {
        let mut body = more.clone();
        body["handle"] = json!(handle);
        guest.post(path, body)
    };
    all_alike(&house, ask).expect(status);
    // Asking often ends alike, too: the limit counts what was typed, not who is there.
    let often = |handle: &str| {
        let answers = (0..34).map(|n| ask(&house.anonymous().from(&format!("198.51.100.{n}")), handle).status);
        answers.collect::<Vec<_>>()
    };
    assert_eq!(often("bea"), often("nobody2"));
    assert_eq!(often("dot"), often("nobody3"));
}

#[test]
fn asking_for_a_code_leaves_no_trace_that_differs_on_the_disk() {
    let house = discreet_house(|_| {});
    let size = |handle: &str| {
        let before = house.tree();
        house.anonymous().post("/api/v1/recovery", json!({ "handle": handle })).expect(204);
        let changes = before.changes_to(&house.tree());
        changes.into_iter().map(|name| name.split('/').nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(size("ada"), size("nobody"));
    assert_eq!(size("dora"), size("nobody"));
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// Times sign-ins with unknown names, wrong passwords and disabled accounts, in turns, so that whatever else the machine
/// does hits all alike; each name only a few times, so that the brake on guesses is not what is measured. Gives the largest
/// difference of a median from that of unknown names.
fn difference_in_time(house: &TestHouse, round: usize) -> f64 {
    const TRIES: usize = 210;
    const OF_ONE_NAME: usize = 10;
    let names = |kind: &str, n: usize| format!("{kind}-{round}-{}", n / OF_ONE_NAME);
    for n in (0..TRIES).step_by(OF_ONE_NAME) {
        house.has(&names("real", n));
        house.has(&names("off", n));
        house.owner().patch(&format!("/api/v1/users/{}", names("off", n)), json!({ "enabled": false })).expect(200);
    }
    let guests: Vec<Guest> = (0..8).map(|n| house.anonymous().from(&format!("203.0.113.{n}"))).collect();
    let mut times = [const { Vec::new() }; 3];
    for n in 0..TRIES {
        for turn in 0..3 {
            // Each kind is as often the first of its round.
            let kind = (n + turn) % 3;
            let guest = &guests[n % guests.len()];
            guest.token();
            let started = Instant::now();
            guest.signs_in(&names(["none", "real", "off"][kind], n), "wrong").expect(403);
            times[kind].push(started.elapsed());
        }
    }
    let [unknown, wrong, disabled] = times.map(median);
    let worst = [wrong, disabled].into_iter().map(|time| (time / unknown - 1.0).abs()).fold(0.0, f64::max);
    println!(
        "medians of {TRIES}: unknown {unknown:.2} ms, wrong password {wrong:.2} ms, disabled {disabled:.2} ms; \
         they differ by {:.1} %",
        worst * 100.0
    );
    worst
}

/// A machine that is busy with other things is measured again: what tells who is there tells it every time.
#[test]
fn the_time_says_nothing() {
    let house = discreet_house(|config| config.passwords.bcrypt_cost = 8);
    let quietest = (0..3).map(|round| difference_in_time(&house, round)).find(|worst| *worst < 0.10);
    assert!(quietest.is_some(), "the time tells who is there");
}

#[rstest]
#[case::authelia("Remote-User")]
#[case::authentik("X-Authentik-Username")]
fn a_proxys_word_counts_only_from_a_trusted_proxy(#[case] header: &str) {
    let sso = |config: &mut Config| {
        config.enable_discreet_login = true;
        config.sso.authelia_auth = header == "Remote-User";
        config.sso.authentik_auth = header != "Remote-User";
    };
    let house = TestHouse::with(sso);
    house.has("ada");
    let guest = house.anonymous().always(header, "Ada");
    guest.get("/login").expect(302);
    assert_eq!(guest.get("/api/v1/me").json()["handle"], "ada");
    for name in ["nobody", "", "..", "ada,default-user"] {
        house.anonymous().always(header, name).get("/login").expect(200);
    }

    let house = TestHouse::with(|config| {
        sso(config);
        config.sso.trusted_proxies = tavernkeep::config::IpRanges::parse(["192.0.2.1"]).unwrap();
    });
    house.has("ada");
    let guest = house.anonymous().always(header, "ada").from("192.0.2.1");
    guest.get("/login").expect(200);
    assert!(!guest.is_signed_in(), "anybody can claim to be ada");

    let house = TestHouse::open();
    house.has("ada");
    house.anonymous().always(header, "ada").get("/login").expect(200);
}
