//! What `tavernkeep config` prints: each effective value and where it came from.

use serde_json::{Map, Value, json};

use super::keys;
use super::{Loaded, Origin};

/// One line for each key, `key = value   # origin`, in the order of `config.yaml`. Values are written as JSON, which is
/// YAML too; secrets are stars.
pub fn explain(loaded: &Loaded) -> String {
    let tree = keys::tree(&loaded.config);
    keys::leaves(&tree).iter().map(|(key, value)| format!("{key} = {value}   # {}\n", origin(loaded, key))).collect()
}

/// The same for programs: an object of `{"value": …, "origin": "…"}` by key.
pub fn explain_json(loaded: &Loaded) -> Value {
    let tree = keys::tree(&loaded.config);
    let entries = keys::leaves(&tree)
        .into_iter()
        .map(|(key, value)| {
            let entry = json!({ "value": value, "origin": origin(loaded, &key) });
            (key, entry)
        })
        .collect::<Map<_, _>>();
    Value::Object(entries)
}

fn origin(loaded: &Loaded, key: &str) -> String {
    match loaded.origin(key) {
        Origin::File { file, line, .. } => format!("{}, line {line}", file.display()),
        other => other.to_string(),
    }
}
