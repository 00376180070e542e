//! Several sources, one on top of the other: later layers replace single keys of earlier ones.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::keys::{self, join};
use super::node::{Entry, Node, Place};
use super::origin::{ConfigError, Origin, Warning};
use super::typed::Mismatch;
use super::{Config, Loaded, MAX_SOURCE_BYTES};

/// Beyond so many unknown names nobody reads the guesses, and each costs a comparison with every key.
const MOST_GUESSES: usize = 50;

/// What has been set so far.
pub(super) struct Layers {
    /// All known keys with their defaults.
    known: Value,
    /// Only what some source has set, as a tree like `known`.
    set: Vec<Entry>,
    warnings: Vec<Warning>,
    sillytavern: Vec<String>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Layers { known: keys::tree(&Config::default()), set: Vec::new(), warnings: Vec::new(), sillytavern: Vec::new() }
    }

    /// Lays `config.yaml` on top.
    pub(super) fn add_file(&mut self, label: &Path, text: &str) -> Result<(), ConfigError> {
        let file: Arc<Path> = label.into();
        // Some Windows editors begin a file with this mark; the parser would count it as three bytes of text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let name = label.display().to_string();
        let node = read(&name, text, &Place::file(&file), Node::from_yaml)?;
        let start = Origin::File { file: Arc::clone(&file), line: 1, column: 1 };
        self.add_tree(node, &start)
    }

    /// Lays `_system/settings.json` on top.
    pub(super) fn add_settings(&mut self, text: &str) -> Result<(), ConfigError> {
        let place = Place::Fixed(Origin::Settings);
        let mut node = read("_system/settings.json", text, &place, Node::from_json)?;
        if let Node::Map(entries) = &mut node
            && let Some(position) = entries.iter().position(|entry| entry.key == "dataRoot")
        {
            entries.remove(position);
            self.warnings.push(Warning::NotInSettings { key: "dataRoot".into() });
        }
        self.add_tree(node, &Origin::Settings)
    }

    /// Lays the environment on top.
    pub(super) fn add_environment(&mut self, variables: &[(String, String)]) -> Result<(), ConfigError> {
        let known = self.known.clone();
        let by_name: HashMap<String, (String, &Value)> =
            keys::leaves(&known).into_iter().map(|(path, value)| (keys::variable(&path), (path, value))).collect();
        for (name, text) in variables {
            if !name.starts_with(keys::PREFIX) || keys::OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let Some((path, default)) = by_name.get(name) else {
                let nearest = self.guess(name, || by_name.keys());
                self.warnings.push(Warning::UnknownVariable { name: name.clone(), nearest });
                continue;
            };
            let value = variable_value(name, text, default)?;
            if value != Node::Null {
                put(&mut self.set, path, value, Origin::Env(name.clone()));
            }
        }
        Ok(())
    }

    /// What results. Not yet checked beyond each key by itself.
    pub(super) fn finish(mut self) -> Result<Loaded, ConfigError> {
        let mut origins: BTreeMap<String, Origin> =
            keys::leaves(&self.known).into_iter().map(|(path, _)| (path, Origin::Default)).collect();
        note_origins(&self.set, "", &mut origins);
        let config = Config::deserialize(&Node::Map(self.set)).map_err(|mismatch| ConfigError::Invalid {
            key: mismatch.path,
            origin: mismatch.origin,
            problem: mismatch.problem,
        })?;
        if !self.sillytavern.is_empty() {
            self.warnings.push(Warning::SillyTavernKeys { keys: self.sillytavern });
        }
        Ok(Loaded { config, origins, warnings: self.warnings })
    }

    fn add_tree(&mut self, node: Node, start: &Origin) -> Result<(), ConfigError> {
        let layer = match node {
            Node::Null => return Ok(()),
            Node::Map(layer) => layer,
            other => {
                return Err(ConfigError::Invalid {
                    key: "top level".into(),
                    origin: start.clone(),
                    problem: Mismatch::text("keys, such as \"port: 8000\"", other.unexpected()),
                });
            }
        };
        refuse_duplicates(&layer, "")?;
        let known = self.known.clone();
        self.add_group(layer, &known, "")
    }

    fn add_group(&mut self, layer: Vec<Entry>, known: &Value, group: &str) -> Result<(), ConfigError> {
        for Entry { key, value, origin } in layer {
            let path = join(group, &key);
            match (known.get(&key), value) {
                (None, _) if keys::is_sillytavern_only(&path) => self.sillytavern.push(path),
                (None, _) => {
                    let nearest = self.guess(&path, || keys::all_paths(&self.known));
                    self.warnings.push(Warning::UnknownKey { key: path, origin, nearest });
                }
                (Some(_), Node::Null) => {}
                (Some(known @ Value::Object(_)), Node::Map(layer)) => self.add_group(layer, known, &path)?,
                (Some(Value::Object(_)), other) => {
                    let problem = Mismatch::text("a group of keys", other.unexpected());
                    return Err(ConfigError::Invalid { key: path, origin, problem });
                }
                (Some(_), value) => put(&mut self.set, &path, value, origin),
            }
        }
        Ok(())
    }

    fn guess<N>(&self, unknown: &str, known: impl FnOnce() -> N) -> Option<String>
    where
        N: IntoIterator<Item: AsRef<str>>,
    {
        if self.warnings.len() < MOST_GUESSES { keys::nearest(unknown, known()) } else { None }
    }
}

fn read(
    name: &str,
    text: &str,
    place: &Place<'_>,
    parse: fn(&str, &Place<'_>) -> Result<Node, String>,
) -> Result<Node, ConfigError> {
    if text.len() > MAX_SOURCE_BYTES {
        return Err(ConfigError::TooLarge { source_name: name.into(), size: text.len() });
    }
    parse(text, place).map_err(|reason| ConfigError::Syntax { source_name: name.into(), reason })
}

/// The value of a variable, as the key's kind wants it. Text is taken as it is, so that a password may look like a
/// number or begin with a star; anything else is YAML, a list also `a, b`. An empty one leaves the key alone.
fn variable_value(name: &str, text: &str, default: &Value) -> Result<Node, ConfigError> {
    match default {
        Value::String(_) if text.is_empty() => Ok(Node::Null),
        Value::String(_) => Ok(Node::Text(text.to_owned())),
        Value::Array(_) if !text.trim_start().starts_with('[') && !text.trim().is_empty() => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Node::List(items.map(|item| Node::Text(item.to_owned())).collect()))
        }
        _ => read(name, text, &Place::Fixed(Origin::Env(name.to_owned())), Node::from_yaml),
    }
}

/// Sets one key, making the groups on the way.
fn put(set: &mut Vec<Entry>, path: &str, value: Node, origin: Origin) {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let position = set.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        set.push(Entry { key: key.to_owned(), value: Node::Null, origin: origin.clone() });
        set.len() - 1
    });
    let entry = &mut set[position];
    let Some(rest) = rest else {
        (entry.value, entry.origin) = (value, origin);
        return;
    };
    if !matches!(entry.value, Node::Map(_)) {
        entry.value = Node::Map(Vec::new());
    }
    if let Node::Map(inner) = &mut entry.value {
        put(inner, rest, value, origin);
    }
}

fn note_origins(set: &[Entry], group: &str, origins: &mut BTreeMap<String, Origin>) {
    for entry in set {
        let path = join(group, &entry.key);
        if let Some(origin) = origins.get_mut(&path) {
            *origin = entry.origin.clone();
        } else if let Node::Map(inner) = &entry.value {
            note_origins(inner, &path, origins);
        }
    }
}

/// A key that stands twice in one group would otherwise silently lose one of its values.
fn refuse_duplicates(entries: &[Entry], group: &str) -> Result<(), ConfigError> {
    let mut seen: HashMap<&str, &Origin> = HashMap::new();
    for entry in entries {
        let key = join(group, &entry.key);
        if let Some(first) = seen.insert(&entry.key, &entry.origin) {
            return Err(ConfigError::Duplicate { key, first: first.clone(), again: entry.origin.clone() });
        }
        if let Node::Map(inner) = &entry.value {
            refuse_duplicates(inner, &key)?;
        }
    }
    Ok(())
}
