//! The room as its callers see it: precedence, messages, the shipped file, hostile input.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::keys::{leaves, tree, variable};
use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(("config.yaml".into(), text.into())), ..Sources::default() }
}

fn env(name: &str, value: &str) -> Sources {
    Sources { env: vec![(name.into(), value.into())], ..Sources::default() }
}

fn loaded(sources: Sources) -> Loaded {
    load(sources).unwrap()
}

fn refused(sources: Sources) -> String {
    load(sources).unwrap_err().to_string()
}

fn warnings(sources: Sources) -> Vec<String> {
    loaded(sources).warnings.iter().map(Warning::to_string).collect()
}

#[test]
fn the_shipped_file_says_every_default_in_order() {
    let shipped = loaded(file(embedded()));
    assert_eq!(shipped.config, Config::default());
    assert_eq!(shipped.warnings, []);

    let mut lines = BTreeMap::new();
    for (key, origin) in &shipped.origins {
        let Origin::File { line, .. } = origin else { panic!("{key} is missing in config.yaml") };
        lines.insert(*line, key.clone());
    }
    let tree = tree(&shipped.config);
    let declared: Vec<String> = leaves(&tree).into_iter().map(|(key, _)| key).collect();
    assert_eq!(lines.into_values().collect::<Vec<_>>(), declared);
}

#[test]
fn the_manual_has_every_key_with_its_default() {
    let manual = include_str!("../../docs/configuration.md");
    for (key, default) in leaves(&tree(&Config::default())) {
        let default = match default {
            _ if key == "basicAuthUser.password" => "\"password\"".to_owned(),
            other => serde_json::to_string(other).unwrap(),
        };
        let row = format!("| `{key}` | `{default}` |");
        assert!(manual.contains(&row), "docs/configuration.md lacks: {row}");
    }
}

#[rstest]
#[case::empty("")]
#[case::only_a_comment("# nothing\n")]
#[case::null("~")]
#[case::null_values("port: ~\nssl:\nwhitelist: null\nbackups:\n  chat: ~\n")]
#[case::byte_order_mark("\u{feff}port: 8000\n")]
#[case::windows_lines("port: 8000\r\nlisten: false\r\n")]
fn is_all_defaults(#[case] text: &str) {
    let loaded = loaded(file(text));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, []);
}

#[test]
fn later_layers_win_key_by_key() {
    let mut sources = Sources::default();
    let port = |sources: &Sources| {
        let loaded = loaded(sources.clone());
        (loaded.config.port, loaded.origin("port").clone())
    };
    assert_eq!(port(&sources), (8000, Origin::Default));

    sources.file = Some(("config.yaml".into(), "# größe 🦦\nlisten: true\nport: 1\n".into()));
    let in_file = Origin::File { file: Path::new("config.yaml").into(), line: 3, column: 1 };
    assert_eq!(port(&sources), (1, in_file.clone()));

    sources.settings = Some(r#"{"port": null}"#.into());
    assert_eq!(port(&sources), (1, in_file));
    sources.settings = Some(r#"{"port": 2}"#.into());
    assert_eq!(port(&sources), (2, Origin::Settings));

    sources.env = vec![("TAVERNKEEP_PORT".into(), String::new())];
    assert_eq!(port(&sources), (2, Origin::Settings));
    sources.env = vec![("TAVERNKEEP_PORT".into(), "3".into())];
    assert_eq!(port(&sources), (3, Origin::Env("TAVERNKEEP_PORT".into())));

    sources.overrides.port = Some(4);
    assert_eq!(port(&sources), (4, Origin::CommandLine));
    assert!(loaded(sources).config.listen);
}

#[test]
fn the_command_line_sets_its_four() {
    let overrides = Overrides {
        data_root: Some("elsewhere".into()),
        port: Some(0),
        listen: Some(true),
        public: Some("st/public".into()),
    };
    let loaded = loaded(Sources { overrides, ..Sources::default() });
    assert_eq!(loaded.config.data_root, Path::new("elsewhere"));
    assert_eq!(loaded.config.public_dir(), Some(Path::new("st/public")));
    let set: Vec<&str> =
        loaded.origins.iter().filter(|(_, o)| **o == Origin::CommandLine).map(|(key, _)| &**key).collect();
    assert_eq!(set, ["dataRoot", "listen", "port", "public"]);
}

#[test]
fn a_group_is_merged_and_a_list_replaced() {
    let mut sources = file("ssl: {certPath: a, keyPath: b}\nwhitelist: [10.0.0.1, '::1']\n");
    sources.env =
        vec![("TAVERNKEEP_SSL_KEY_PATH".into(), "c".into()), ("TAVERNKEEP_WHITELIST".into(), "192.168.*.*".into())];
    let config = loaded(sources).config;
    assert_eq!(config.ssl.cert_path, Path::new("a"));
    assert_eq!(config.ssl.key_path, Path::new("c"));
    assert_eq!(config.whitelist.entries(), ["192.168.*.*"]);
}

#[rstest]
#[case("port: eight", r#"line 1, column 1: port: expected a whole number from 0 to 65535, found the text "eight""#)]
#[case("\nport: 70000", "line 2, column 1: port: expected a whole number from 0 to 65535, found the number 70000")]
#[case("port: -1", "line 1, column 1: port: expected a whole number from 0 to 65535, found the number -1")]
#[case("port: [1]", "line 1, column 1: port: expected a whole number from 0 to 65535, found a list")]
#[case("port: 8000.5", "line 1, column 1: port: expected a whole number from 0 to 65535, found the number 8000.5")]
#[case("listen: yes", r#"line 1, column 1: listen: expected true or false, found the text "yes""#)]
#[case("house:\n  name: 7", "line 2, column 3: house.name: expected text (put it in quotes), found the number 7")]
#[case("dataRoot: 7", "line 1, column 1: dataRoot: expected a path (put it in quotes), found the number 7")]
#[case("ssl: true", "line 1, column 1: ssl: expected a group of keys, found true")]
#[case("ssl: []", "line 1, column 1: ssl: expected a group of keys, found a list")]
#[case("# ö\nwhitelist: '::1'", r#"line 2, column 1: whitelist: expected a list, found the text "::1""#)]
#[case(
    "hostWhitelist: {hosts: [a, 5]}",
    "line 1, column 17: hostWhitelist.hosts[1]: expected text (put it in quotes), found the number 5"
)]
#[case(
    "whitelist: [10.0.0.300]",
    "line 1, column 1: whitelist: \"10.0.0.300\" is not an address (192.168.1.7), a range (192.168.1.0/24) or a \
     pattern (192.168.*.*)"
)]
#[case(
    "listenAddress:\n  ipv4: home",
    r#"line 2, column 3: listenAddress.ipv4: expected an IPv4 address, found the text "home""#
)]
#[case(
    "protocol: {ipv6: maybe}",
    r#"line 1, column 12: protocol.ipv6: expected true, false or "auto", found the text "maybe""#
)]
#[case(
    "backups:\n  maxRestoreBytes: much",
    "line 2, column 3: backups.maxRestoreBytes: expected a size such as 64GiB, 100MB or a number of bytes, found the \
     text \"much\""
)]
#[case(
    "logging:\n  minLogLevel: 9",
    "line 2, column 3: logging.minLogLevel: expected 0 (debug), 1 (info), 2 (warnings) or 3 (errors), found the \
     number 9"
)]
#[case("passwords:\n  bcryptCost: 20", "line 2, column 3: passwords.bcryptCost: must be from 4 to 16, found 20")]
#[case(
    "basicAuthUser: {password: 123456}",
    "line 1, column 17: basicAuthUser.password: expected text (put it in quotes), found something that is not text"
)]
#[case(
    "port: 1\nport: 2",
    "line 2, column 1: port: is set a second time, the first is at config.yaml, line 1, column 1"
)]
#[case(
    "cors: {a: {b: 1, b: 2}}",
    "line 1, column 18: cors.a.b: is set a second time, the first is at config.yaml, line 1, column 12"
)]
#[case(
    "just words",
    r#"line 1, column 1: top level: expected keys, such as "port: 8000", found the text "just words""#
)]
fn an_error_in_the_file_says_where_and_what(#[case] text: &str, #[case] message: &str) {
    assert_eq!(refused(file(text)), format!("config.yaml, {message}"));
}

#[rstest]
#[case(
    "port: 1\n  listen: true",
    "config.yaml: cannot be read: mapping values are not allowed in this context at line 2 column 9"
)]
#[case("port: [", "at line 2 column 1")]
#[case("port: 1\n---\nport: 2", "more than one document")]
#[case("port: !huge 1", "at line 1 column 7")]
fn what_is_not_yaml_is_refused_with_its_place(#[case] text: &str, #[case] part: &str) {
    let message = refused(file(text));
    assert!(message.starts_with("config.yaml: cannot be read: ") && message.contains(part), "{message}");
}

#[test]
fn bombs_are_refused() {
    let doubling = (1..30).fold("a0: &a0 x\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!("a{n}: &a{n} [*a{before}, *a{before}]\n")
    });
    assert!(refused(file(&doubling)).contains("repetition limit exceeded"));
    assert!(refused(file(&format!("port: {}", "[".repeat(1000)))).starts_with("config.yaml: cannot be read: "));
    let settings = format!("{{\"port\": {}", "[".repeat(100_000));
    assert!(refused(Sources { settings: Some(settings), ..Sources::default() }).contains("recursion limit exceeded"));
}

#[test]
fn a_mebibyte_is_enough() {
    let text = |size| "#".repeat(size);
    assert!(load(file(&text(MAX_SOURCE_BYTES))).is_ok());
    assert_eq!(
        refused(file(&text(MAX_SOURCE_BYTES + 1))),
        "config.yaml: 1048577 bytes are too many, a configuration may have 1 MiB (1048576 bytes)"
    );
}

#[test]
fn unknown_keys_are_warnings_that_name_the_nearest() {
    let text = "prot: 1\nssl:\n  certpath: x\nrabbitHole: {deep: true}\nnumberOfBackups: 5\n";
    assert_eq!(
        warnings(file(text)),
        [
            "config.yaml, line 1, column 1: prot: no such key, did you mean port?",
            "config.yaml, line 3, column 3: ssl.certpath: no such key, did you mean ssl.certPath?",
            "config.yaml, line 4, column 1: rabbitHole: no such key",
            "config.yaml, line 5, column 1: numberOfBackups: no such key, did you mean backups.common.numberOfBackups?",
        ]
    );
}

#[test]
fn sillytaverns_other_keys_are_one_quiet_note() {
    let text = "cors: {enabled: true}\nport: 1\nextensions: {enabled: false, models: {autoDownload: true}}\n";
    let loaded = loaded(file(text));
    assert!(!loaded.config.extensions.enabled);
    let [note] = &*loaded.warnings else { panic!("{:?}", loaded.warnings) };
    assert!(note.is_note());
    assert_eq!(note.to_string(), "keys of SillyTavern that have no effect here: cors, extensions.models");
}

#[rstest]
#[case("TAVERNKEEP_HOUSE_NAME", "42", |c: &Config| c.house.name == "42")]
#[case("TAVERNKEEP_BASIC_AUTH_USER_PASSWORD", "*1234: #", |c: &Config| c.basic_auth_user.password.expose() == "*1234: #")]
#[case("TAVERNKEEP_WHITELIST", "::1, 10.0.0.0/8,", |c: &Config| c.whitelist.entries() == ["::1", "10.0.0.0/8"])]
#[case("TAVERNKEEP_WHITELIST", "['::1', 10.*.*.*]", |c: &Config| c.whitelist.entries() == ["::1", "10.*.*.*"])]
#[case("TAVERNKEEP_HOST_WHITELIST_HOSTS", "[]", |c: &Config| c.host_whitelist.hosts.is_empty())]
#[case("TAVERNKEEP_PROTOCOL_IPV6", "auto", |c: &Config| c.protocol.ipv6 == Switch::Auto)]
#[case("TAVERNKEEP_SESSION_TIMEOUT", "-5", |c: &Config| c.session_timeout == -5)]
#[case("TAVERNKEEP_BACKUPS_MAX_RESTORE_BYTES", "1000", |c: &Config| c.backups.max_restore_bytes == ByteSize(1000))]
#[case("TAVERNKEEP_LOGGING_FILE", "", |c: &Config| c.logging.file().is_none())]
fn a_variable_sets_its_key(#[case] name: &str, #[case] value: &str, #[case] holds: fn(&Config) -> bool) {
    let loaded = loaded(env(name, value));
    assert!(holds(&loaded.config), "{:?}", loaded.config);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_key_has_a_working_variable() {
    for (key, _) in leaves(&tree(&Config::default())) {
        assert_eq!(warnings(env(&variable(&key), "")), [""; 0], "{key}");
    }
}

#[rstest]
#[case("TAVERNKEEP_LISTEN", "yes", r#"TAVERNKEEP_LISTEN: listen: expected true or false, found the text "yes""#)]
#[case(
    "TAVERNKEEP_RECOVERY_CODE_LENGTH",
    "99",
    "TAVERNKEEP_RECOVERY_CODE_LENGTH: recovery.codeLength: must be from 4 to 10, found 99"
)]
#[case("TAVERNKEEP_PORT", "[", "TAVERNKEEP_PORT: cannot be read: ")]
fn an_error_in_a_variable_names_it(#[case] name: &str, #[case] value: &str, #[case] message: &str) {
    let found = refused(env(name, value));
    assert!(found.starts_with(message), "{found}");
}

#[test]
fn unknown_variables_are_warnings_and_foreign_ones_are_not() {
    let names = ["TAVERNKEEP_PROT", "TAVERNKEEP_BIN", "TAVERNKEEP_LOG", "PATH", "TAVERNKEEP_ZZZZZZZZZZZZZZZZZZ"];
    let sources = Sources { env: names.map(|name| (name.into(), "1".into())).into(), ..Sources::default() };
    assert_eq!(
        warnings(sources),
        [
            "TAVERNKEEP_PROT: no such variable, did you mean TAVERNKEEP_PORT?",
            "TAVERNKEEP_ZZZZZZZZZZZZZZZZZZ: no such variable"
        ]
    );
}

#[test]
fn the_settings_in_the_data_folder_are_checked_like_the_file() {
    let settings = |text: &str| Sources { settings: Some(text.into()), ..Sources::default() };
    assert_eq!(
        refused(settings(r#"{"ssl": {"enabled": 1}}"#)),
        "_system/settings.json: ssl.enabled: expected true or false, found the number 1"
    );
    assert!(refused(settings("{,}")).starts_with("_system/settings.json: cannot be read: "));
    assert!(refused(settings(r#"{"port": 1} {}"#)).contains("trailing characters"));
    let loaded = loaded(settings(r#"{"dataRoot": "/", "port": 1}"#));
    assert_eq!(loaded.config, Config { port: 1, ..Config::default() });
    assert_eq!(loaded.warnings, [Warning::NotInSettings { key: "dataRoot".into() }]);
}

#[test]
fn explain_shows_values_origins_and_no_secret() {
    let mut sources = file("port: 81\nbasicAuthUser:\n  password: hunter2\n");
    sources.env = vec![("TAVERNKEEP_LISTEN".into(), "true".into())];
    let loaded = loaded(sources);
    let text = explain(&loaded);
    for line in [
        "port = 81   # config.yaml, line 1",
        "listen = true   # TAVERNKEEP_LISTEN",
        "basicAuthUser.password = \"********\"   # config.yaml, line 3",
        "whitelist = [\"::1\",\"127.0.0.1\"]   # default",
        "backups.maxRestoreBytes = \"64GiB\"   # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.starts_with("house.name = "), "{text}");
    assert_eq!(text.lines().count(), loaded.origins.len());
    assert_eq!(explain_json(&loaded)["port"], serde_json::json!({"value": 81, "origin": "config.yaml, line 1"}));
    assert!(!format!("{loaded:?}{text}{}", explain_json(&loaded)).contains("hunter2"));
}

/// SillyTavern's own file is not ours to keep here; name one to run this.
#[test]
fn sillytaverns_default_file_loads_with_one_note() {
    let Ok(path) = std::env::var("SILLYTAVERN_CONFIG") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let loaded = loaded(file(&text));
    assert!(matches!(&*loaded.warnings, [Warning::SillyTavernKeys { .. }]), "{:#?}", loaded.warnings);
    let mut expected = Config::default();
    expected.host_whitelist.enabled = false;
    expected.logging.min_log_level = LogLevel::Debug;
    assert_eq!(loaded.config, expected);
}

/// Texts near enough to YAML to get past the first character.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("port".to_owned()),
        Just("ssl".to_owned()),
        Just("whitelist".to_owned()),
        Just("\n".to_owned()),
        Just("\n  ".to_owned()),
        Just("\r\n- ".to_owned()),
        Just(": ".to_owned()),
        "[\\[\\]{}&*!|>'\"%@`,#?~<-]",
        "\\PC{0,3}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![any::<String>(), yaml_like()]) {
        if let Ok(loaded) = load(file(&text)) {
            for warning in &loaded.warnings {
                prop_assert!(!warning.to_string().is_empty());
            }
            explain(&loaded);
        }
        let _ = load(Sources { settings: Some(text.clone()), ..Sources::default() });
        let _ = load(env("TAVERNKEEP_WHITELIST", &text));
        let _ = load(env("TAVERNKEEP_PORT", &text));
    }

    #[test]
    fn a_key_is_found_where_it_stands(before in "(# [\\p{L}\\p{N}\\p{So} ]{0,20}\n){0,5}") {
        let text = format!("{before}port: x");
        let place = format!("config.yaml, line {}, column 1: port:", before.lines().count() + 1);
        prop_assert!(refused(file(&text)).starts_with(&place));
    }
}
