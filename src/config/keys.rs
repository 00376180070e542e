//! The names of things: all keys, their environment variables, SillyTavern's other keys, and likely misspellings.

use serde_json::Value;

use super::Config;

/// The defaults as a tree of plain values: which keys there are, in order, and what kind of value each has.
pub(super) fn tree(config: &Config) -> Value {
    serde_json::to_value(config).expect("a configuration consists of plain values")
}

/// Every key of a tree that holds a value rather than further keys, with its path, in order.
pub(super) fn leaves(tree: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect(tree, "", &mut found);
    found
}

fn collect<'a>(tree: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match tree {
        Value::Object(keys) => {
            for (key, value) in keys {
                collect(value, &join(path, key), found);
            }
        }
        leaf => found.push((path.to_owned(), leaf)),
    }
}

/// The path of a key inside a group.
pub(super) fn join(group: &str, key: &str) -> String {
    if group.is_empty() { key.to_owned() } else { format!("{group}.{key}") }
}

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "TAVERNKEEP_";

/// Variables with our prefix that mean something elsewhere: the program to run (scripts), and the log filter.
pub(super) const OTHER_VARIABLES: [&str; 2] = ["TAVERNKEEP_BIN", "TAVERNKEEP_LOG"];

/// The environment variable of a key: `ssl.certPath` is `TAVERNKEEP_SSL_CERT_PATH`.
pub(super) fn variable(path: &str) -> String {
    let mut name = String::from(PREFIX);
    for character in path.chars() {
        match character {
            '.' => name.push('_'),
            upper if upper.is_ascii_uppercase() => name.extend(['_', upper]),
            other => name.push(other.to_ascii_uppercase()),
        }
    }
    name
}

/// Keys and groups of SillyTavern 1.19's `config.yaml` that have no meaning here, and older ones that it drops or
/// renames into one of those.
const SILLYTAVERN_ONLY: &[&str] = &[
    "autorun",
    "autorunHostname",
    "autorunPortOverride",
    "avatarThumbnailsPng",
    "avoidLocalhost",
    "browserLaunch",
    "cacheBuster",
    "cardsCacheCapacity",
    "claude",
    "cookieSecret",
    "cors",
    "deepl",
    "disableThumbnails",
    "dnsPreferIPv6",
    "enableCorsProxy",
    "enableDownloadableTokenizers",
    "enableKeepAlive",
    "enableServerPlugins",
    "enableServerPluginsAutoUpdate",
    "extensions.models",
    "extras",
    "gemini",
    "git",
    "heartbeatInterval",
    "mistral",
    "ollama",
    "openai",
    "performance.memoryCacheCapacity",
    "performance.useDiskCache",
    "privateAddressWhitelist",
    "promptPlaceholder",
    "requestOverrides",
    "requestProxy",
    "skipContentCheck",
    "thumbnails",
    "thumbnailsQuality",
    "whitelistDockerHosts",
    "whitelistImportDomains",
];

/// Whether a key is one of SillyTavern's that has no meaning here.
pub(super) fn is_sillytavern_only(path: &str) -> bool {
    SILLYTAVERN_ONLY.contains(&path)
}

/// The known name that looks most like an unknown one, if any does: by the whole path, or by its last part, so that
/// a key in the wrong group is found too.
pub(super) fn nearest<S: AsRef<str>>(unknown: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    const LONGEST: usize = 100;
    const LIKE_ENOUGH: f64 = 0.6;
    if unknown.len() > LONGEST {
        return None;
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let alike = |one: &str, other: &str| strsim::normalized_damerau_levenshtein(one, other);
    let (whole_unknown, last_unknown) = (unknown.to_lowercase(), last(unknown));
    known
        .into_iter()
        .map(|name| {
            let name = name.as_ref();
            let whole = alike(&whole_unknown, &name.to_lowercase());
            let end = alike(&last_unknown, &last(name)) * 0.95;
            (whole.max(end), name.to_owned())
        })
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Every key and every group of keys of a tree.
pub(super) fn all_paths(tree: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for (path, _) in leaves(tree) {
        for (dot, _) in path.match_indices('.') {
            let group = &path[..dot];
            if !paths.iter().any(|known| known == group) {
                paths.push(group.to_owned());
            }
        }
        paths.push(path);
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::collections::HashSet;

    #[rstest]
    #[case("port", "TAVERNKEEP_PORT")]
    #[case("ssl.certPath", "TAVERNKEEP_SSL_CERT_PATH")]
    #[case("listenAddress.ipv4", "TAVERNKEEP_LISTEN_ADDRESS_IPV4")]
    #[case("forwardedHeaders.xRealIp", "TAVERNKEEP_FORWARDED_HEADERS_X_REAL_IP")]
    #[case("rateLimiting.accountsLoginMaxAttempts", "TAVERNKEEP_RATE_LIMITING_ACCOUNTS_LOGIN_MAX_ATTEMPTS")]
    fn a_variable_is_the_path_in_upper_snake_case(#[case] path: &str, #[case] name: &str) {
        assert_eq!(variable(path), name);
    }

    #[test]
    fn no_two_keys_share_a_variable_and_none_is_taken() {
        let tree = tree(&Config::default());
        let mut names = HashSet::from(OTHER_VARIABLES.map(str::to_owned));
        for (path, _) in leaves(&tree) {
            assert!(names.insert(variable(&path)), "{path}");
        }
    }

    #[test]
    fn none_of_our_keys_is_called_sillytaverns() {
        for path in all_paths(&tree(&Config::default())) {
            assert!(!is_sillytavern_only(&path), "{path}");
        }
    }

    #[rstest]
    #[case("prot", Some("port"))]
    #[case("enableUserAcounts", Some("enableUserAccounts"))]
    #[case("rateLimit", Some("rateLimiting"))]
    #[case("ssl.certpath", Some("ssl.certPath"))]
    #[case("certPath", Some("ssl.certPath"))]
    #[case("minLogLevel", Some("logging.minLogLevel"))]
    #[case("numberOfBackups", Some("backups.common.numberOfBackups"))]
    #[case("rabbitHole", None)]
    #[case(&"p".repeat(5000), None)]
    fn the_nearest_key(#[case] unknown: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(unknown, all_paths(&tree(&Config::default()))).as_deref(), expected);
    }
}
