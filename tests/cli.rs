//! The commands, as whoever runs the host uses them, and the states in which a data folder may be found: taken into use,
//! taken over, or left alone with a reason.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::program::{Ran, command, run, run_with_input};
use support::zips::{unzip, zip_of};
use support::{Guest, OWNER, Program, TestHouse, Tree, files, password_of};

/// A data folder that has been lived in: ada has settings, a character and a password.
fn lived_in() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let house = TestHouse::open();
    house.moves_in("ada").saves(&json!({ "words": "ada's" })).expect(200);
    std::fs::write(house.path("ada/characters/Cat.png"), "cat").unwrap();
    files::copy_tree(house.data(), &folder.path().join("data"));
    folder
}

fn is_let_in(server: &Program, handle: &str, password: &str) -> bool {
    server.anonymous().signs_in(handle, password).status == 200
}

/// Tries to open a folder that must not be opened; it must still be as it was.
fn refuses_to_open(folder: &Path, arguments: &[&str]) -> Ran {
    let before = Tree::of(&folder.join("data"));
    let ran = run(folder, &[&["--port", "0"], arguments].concat()).expect(1);
    before.is_still(&Tree::of(&folder.join("data")), "a start that was refused");
    ran
}

#[test]
fn recover_lets_somebody_in_while_the_server_runs() {
    let folder = lived_in();
    let server = Program::start(folder.path());
    let ada = server.anonymous();
    ada.signs_in("ada", &password_of("ada")).expect(200);
    server.owner().patch("/api/v1/users/ada", json!({ "enabled": false })).expect(200);

    let ran = run(folder.path(), &["recover", "ada", "new words"]).expect(0);
    assert!(ran.out.contains("Ada (ada) can sign in again") && !ran.out.contains("new words"), "{ran:?}");
    assert!(!ada.is_signed_in(), "an old session goes on");
    assert!(is_let_in(&server, "ada", "new words") && !is_let_in(&server, "ada", &password_of("ada")));

    let again = server.anonymous();
    again.signs_in("ada", "new words").expect(200);
    run_with_input(folder.path(), &["recover", "ada", "-"], "from a pipe\r\n").expect(0);
    assert!(!again.is_signed_in(), "it takes effect at the next request, not later");
    assert!(is_let_in(&server, "ada", "from a pipe"));

    run(folder.path(), &["recover", "ada"]).expect(0).says(&["Warning", "NO password"]);
    assert!(is_let_in(&server, "ada", ""));
    run(folder.path(), &["events", "verify"]).expect(0);
}

#[rstest]
#[case::unknown(&["recover", "nobody", "x"], &["User \"nobody\" not found."])]
#[case::not_a_handle(&["recover", "../ada", "x"], &["User \"../ada\" not found."])]
#[case::backup_of_nobody(&["backup", "nobody"], &["User \"nobody\" not found."])]
#[case::a_missing_file(&["restore", "ada", "not-here.zip"], &["Could not read not-here.zip"])]
fn commands_about_what_is_not_there(#[case] arguments: &[&str], #[case] pieces: &[&str]) {
    let folder = lived_in();
    let before = Tree::of(&folder.path().join("data"));
    run(folder.path(), arguments).expect(1).says(pieces);
    before.is_still(&Tree::of(&folder.path().join("data")), "a refused command");
}

#[test]
fn a_password_that_is_too_long_is_refused_by_recover() {
    let folder = lived_in();
    run(folder.path(), &["recover", "ada", &"x".repeat(72)]).expect(1).says(&["at most 71 bytes"]);
    assert!(is_let_in(&Program::start(folder.path()), "ada", &password_of("ada")));
}

#[test]
fn the_log_shows_an_edited_line() {
    let folder = lived_in();
    run(folder.path(), &["recover", "ada", "x"]).expect(0);
    let ran = run(folder.path(), &["events", "verify"]).expect(0);
    assert!(ran.out.contains("The log is whole."), "{ran:?}");
    let events = folder.path().join("data/_system/events");
    let file = events.join(&files::names_in(&events)[0]);
    let text = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, text.replacen("user_created", "user_deleted", 1)).unwrap();
    run(folder.path(), &["events", "verify"]).expect(1).says(&["The log was changed", "line"]);
    let lines: Vec<&str> = text.lines().collect();
    let without_one: String =
        lines.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| format!("{l}\n")).collect();
    std::fs::write(&file, without_one).unwrap();
    run(folder.path(), &["events", "verify"]).expect(1).says(&["The log was changed"]);
    // Cut at the end: the head that is noted outside the data folder tells.
    std::fs::write(&file, format!("{}\n", lines[..lines.len() - 1].join("\n"))).unwrap();
    run(folder.path(), &["events", "verify"]).expect(1).says(&["The log was changed"]);
    std::fs::write(&file, &text).unwrap();
    run(folder.path(), &["events", "verify"]).expect(0);
}

#[test]
fn a_backup_comes_back_from_the_command_line() {
    let folder = lived_in();
    let data = folder.path().join("data");
    let of_ada = || Tree::of(&data).only(|name| name.starts_with("ada/"));
    let then = of_ada();
    run(folder.path(), &["backup", "ada", "-o", "ada.zip"]).expect(0);
    run(folder.path(), &["backup", "ada", "-o", "ada.zip"]).expect(1);
    let piped = run(folder.path(), &["backup", "ada", "-o", "-"]).expect(0).out_bytes;
    assert_eq!(unzip(&piped)["settings.json"], std::fs::read(data.join("ada/settings.json")).unwrap());
    std::fs::create_dir(folder.path().join("all")).unwrap();
    run(folder.path(), &["backup", "--all", "-o", "all"]).expect(0);
    let names = files::names_in(&folder.path().join("all"));
    assert!(names.len() == 2 && names[0].starts_with("ada-") && names[1].starts_with("default-user-"), "{names:?}");

    // One that fails is told of at the end, and does not keep the others from being written.
    let aside = folder.path().join("ada-aside");
    std::fs::rename(data.join("ada"), &aside).unwrap();
    std::fs::create_dir(folder.path().join("most")).unwrap();
    run(folder.path(), &["backup", "--all", "-o", "most"]).expect(1).says(&["There is NO backup of: ada."]);
    let names = files::names_in(&folder.path().join("most"));
    assert!(names.len() == 1 && names[0].starts_with("default-user-"), "{names:?}");
    std::fs::rename(&aside, data.join("ada")).unwrap();

    std::fs::write(data.join("ada/settings.json"), "{\"words\":\"now\"}").unwrap();
    std::fs::write(data.join("ada/characters/Dog.png"), "dog").unwrap();
    let now = of_ada();
    let ran = run(folder.path(), &["restore", "ada", "ada.zip", "--dry-run"]).expect(0);
    assert!(ran.out.contains("every file matches its checksum") && ran.out.contains("Nothing was changed."), "{ran:?}");
    run(folder.path(), &["restore", "ada", "ada.zip"]).expect(1).says(&["--yes"]);
    assert!(files::names_in(&data.join("_system/restores")).is_empty(), "a restore that nobody agreed to is left");
    run(folder.path(), &["restore", "ada", "ada.zip", "--parts", "nonsense", "--yes"]).expect(1);
    now.is_still(&of_ada(), "a dry run");
    run(folder.path(), &["restore", "ada", "ada.zip", "--parts", "settings", "--yes"]).expect(0);
    assert_eq!(of_ada().0["ada/settings.json"], then.0["ada/settings.json"]);
    assert!(of_ada().0.contains_key("ada/characters/Dog.png"));
    let ran = run(folder.path(), &["restore", "ada", "ada.zip", "--yes"]).expect(0);
    assert!(ran.out.contains("undo point"), "{ran:?}");
    then.is_still(&of_ada(), "bringing everything back");

    std::fs::write(folder.path().join("evil.zip"), zip_of(&[("themes/A", b"1"), ("themes/A/b.json", b"2")])).unwrap();
    run(folder.path(), &["restore", "ada", "evil.zip", "--yes"]).expect(1).says(&["one would be a file and a folder"]);
    then.is_still(&of_ada(), "a refused archive");
}

#[test]
fn commands_that_only_look() {
    let folder = tempfile::tempdir().unwrap();
    let routes = run(folder.path(), &["routes"]).expect(0).out;
    assert_eq!(routes.lines().count(), tavernkeep::http::routes::all().len());
    assert!(routes.contains("/api/v1/users/{handle}") && routes.contains("users.manage"));
    let config = run(folder.path(), &["config"]).expect(0).out;
    assert!(config.contains("enableUserAccounts") && config.contains("TAVERNKEEP_ENABLE_USER_ACCOUNTS"), "{config}");
    let config: Value = serde_json::from_str(&run(folder.path(), &["config", "--json"]).expect(0).out).unwrap();
    assert!(config.is_object() || config.is_array());
    let text = run(folder.path(), &["config"]).expect(0).out;
    assert!(!text.contains("sk-"), "{text}");
    assert_eq!(files::names_in(folder.path()), Vec::<String>::new(), "looking made files");
}

#[rstest]
#[case::a_misspelt_key("enableUserAcounts: true\n", 0, &["enableUserAcounts", "enableUserAccounts"])]
#[case::a_wrong_type("port: many\n", 1, &["config.yaml", "port", "1"])]
#[case::out_of_range("listen: false\nrecovery:\n  codeLength: 3\n", 1, &["recovery.codeLength", "from 4 to 10"])]
#[case::not_yaml("listen: [\n", 1, &["config.yaml"])]
fn mistakes_in_the_configuration(#[case] text: &str, #[case] code: i32, #[case] pieces: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), text).unwrap();
    run(folder.path(), &["config"]).expect(code).says(pieces);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let folder = lived_in();
    let first = Program::start(folder.path());
    run(folder.path(), &["--port", "0"]).expect(1).says(&["Another server already uses this data folder"]);
    assert!(is_let_in(&first, "ada", &password_of("ada")));
    assert_eq!(first.stop().code(), Some(0));
    Program::start(folder.path());
}

#[test]
fn an_open_house_is_not_shown_to_the_network() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), "whitelistMode: false\n").unwrap();
    let says = ["open the house to everyone on the network", "enableUserAccounts", "whitelist", "basicAuthMode"];
    run(folder.path(), &["--port", "0", "--listen"]).expect(1).says(&says);
    run(folder.path(), &["recover", OWNER, "a password"]).expect(0);
    let server = Program::start_with(folder.path(), &["--listen"], &[]);
    assert!(server.console().contains("0.0.0.0"), "{}", server.console());
    // Accounts without a password are not for the network; this machine may.
    assert_eq!(server.stop().code(), Some(0));
    let mut off = command(folder.path(), &["--port", "0", "--listen"]);
    assert_eq!(off.env("TAVERNKEEP_ENABLE_USER_ACCOUNTS", "false").output().unwrap().status.code(), Some(1));
}

#[rstest]
#[case::newer(json!({ "format": 99, "id": "0123456789abcdef0123456789abcdef", "created": 1 }).to_string(), "newer Tavernkeep (format 99")]
#[case::damaged("{\"format\":".to_owned(), "install.json is damaged")]
#[case::empty(String::new(), "install.json is damaged")]
fn a_folder_with_a_strange_mark_is_left_alone(#[case] mark: String, #[case] says: &str) {
    let folder = lived_in();
    std::fs::write(folder.path().join("data/_system/install.json"), mark).unwrap();
    for arguments in [&[][..], &["--adopt"]] {
        refuses_to_open(folder.path(), arguments).says(&[says, "othing was changed"]);
    }
}

#[test]
fn a_folder_that_lost_its_mark_is_not_taken_for_a_new_one() {
    let folder = lived_in();
    std::fs::remove_file(folder.path().join("data/_system/install.json")).unwrap();
    refuses_to_open(folder.path(), &[]).says(&["without install.json", "--adopt"]);
}

#[test]
fn folders_without_accounts_are_adopted_only_when_asked() {
    let folder = lived_in();
    std::fs::remove_dir_all(folder.path().join("data/_system")).unwrap();
    refuses_to_open(folder.path(), &[]).says(&["folders of users", "ada", "--adopt"]);
    let before = Tree::of(&folder.path().join("data")).only(|name| name.starts_with("ada/"));
    let server = Program::start_with(folder.path(), &["--adopt"], &[]);
    let list = server.owner().get("/api/v1/users").expect(200).json();
    let ada = list.as_array().unwrap().iter().find(|row| row["handle"] == "ada").unwrap().clone();
    assert_eq!((&ada["enabled"], &ada["role"]), (&json!(false), &json!("user")), "nobody knows whose it was");
    server.stop();
    let after =
        Tree::of(&folder.path().join("data")).only(|name| name.starts_with("ada/") && !name.contains("backups/"));
    before.only(|name| !name.contains("backups/")).is_still(&after, "adopting");
    Program::start(folder.path());
}

/// A folder as SillyTavern 1.19 leaves it: bob has a password, eve is disabled, the first account none.
fn sillytaverns(folder: &Path) {
    let storage = folder.join("data/_storage");
    std::fs::create_dir_all(&storage).unwrap();
    let salt = "Y7Qd6gyT+d/CJYUuErVT1w==";
    let mut hash = [0; 64];
    let params = scrypt::Params::new(14, 8, 1).unwrap();
    scrypt::scrypt("hunter2 ünd".as_bytes(), salt.as_bytes(), &params, &mut hash).unwrap();
    let record = |handle: &str, password: &str, admin: bool, enabled: bool| {
        json!({ "handle": handle, "name": support::title(handle), "created": 1_795_319_196_772_i64, "password": password,
            "salt": salt, "admin": admin, "enabled": enabled })
    };
    let items = [
        ("user:default-user", record(OWNER, "", true, true)),
        ("user:bob", record("bob", &STANDARD.encode(hash), false, true)),
        ("user:eve", record("eve", "", false, false)),
        ("avatar:bob", json!("")),
    ];
    for (key, value) in items {
        let name: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(storage.join(name), json!({ "key": key, "value": value }).to_string()).unwrap();
    }
    for handle in ["bob", OWNER] {
        std::fs::create_dir_all(folder.join("data").join(handle)).unwrap();
        std::fs::write(folder.join("data").join(handle).join("settings.json"), "{\"words\": \"from before\"}").unwrap();
    }
    std::fs::write(folder.join("data/cookie-secret.txt"), "secret").unwrap();
}

#[test]
fn a_sillytavern_folder_is_taken_over_with_its_passwords() {
    let folder = tempfile::tempdir().unwrap();
    sillytaverns(folder.path());
    let data = folder.path().join("data");
    let theirs = || {
        let settings = [format!("{OWNER}/settings.json"), "bob/settings.json".to_owned()];
        let is_theirs = |name: &str| name.starts_with("_storage/") || name.starts_with("cookie");
        Tree::of(&data).only(|name| is_theirs(name) || settings.iter().any(|file| file == name))
    };
    let before = theirs();
    let hash_of = |handle: &str| -> Value {
        serde_json::from_slice::<Value>(&std::fs::read(data.join(format!("_system/accounts/{handle}.json"))).unwrap())
            .unwrap()["password"]
            .clone()
    };
    let server = Program::start(folder.path());
    assert!(hash_of("bob").as_str().unwrap().starts_with("$scrypt-st$"));
    let list = server.owner().get("/api/v1/users").expect(200).json();
    let states: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["handle"].as_str().unwrap(), row["role"].as_str().unwrap(), row["enabled"].as_bool().unwrap()))
        .collect();
    for expected in [(OWNER, "admin", true), ("bob", "user", true), ("eve", "user", false)] {
        assert!(states.contains(&expected), "{states:?}");
    }
    let bob: Guest = server.anonymous();
    bob.signs_in("bob", "wrong").expect(403);
    bob.signs_in("bob", "hunter2 u\u{308}nd").expect(200);
    assert_eq!(bob.get("/api/v1/me/settings").expect(200).json(), json!({ "words": "from before" }));
    assert!(hash_of("bob").as_str().unwrap().starts_with("$2b$"), "{}", hash_of("bob"));
    assert!(bob.is_signed_in(), "the new hash ended the session");
    assert!(is_let_in(&server, "bob", "hunter2 ünd"));
    server.stop();
    before.is_still(&theirs(), "taking over");
    // The second start takes nothing over again.
    let server = Program::start(folder.path());
    assert!(is_let_in(&server, "bob", "hunter2 ünd"));
}

#[test]
fn the_first_start_makes_a_house_with_one_open_door() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    assert!(folder.path().join("config.yaml").exists());
    assert_eq!(server.owner().get("/api/v1/me").json()["role"], "admin");
    let health = server.anonymous().get("/api/v1/house").expect(200).json();
    assert_eq!(health["people"].as_array().unwrap().len(), 1);
}
