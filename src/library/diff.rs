//! A readable difference between two JSON documents, by key.

use serde::Serialize;
use serde_json::Value;

/// More differences than this are not listed.
const MOST: usize = 500;
/// Longer values are shortened for showing, in characters.
const SHOWN: usize = 160;

/// How two documents differ.
#[derive(Debug, Default, Serialize)]
pub struct Diff {
    /// The differences, in the order of the keys.
    pub changes: Vec<Change>,
    /// Whether there are more than are listed.
    pub truncated: bool,
}

/// One difference.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The keys from the top to the value.
    pub path: Vec<String>,
    /// What happened to the value.
    pub kind: Kind,
    /// The value in the older document, shortened.
    pub then: Option<String>,
    /// The value in the newer document, shortened.
    pub now: Option<String>,
}

/// What happened to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is another one.
    Changed,
    /// It is only in the newer document.
    Added,
    /// It is only in the older document.
    Removed,
}

/// Compares two documents: objects by key, lists of equal length by position, other lists as a whole.
pub fn diff(then: &Value, now: &Value) -> Diff {
    let mut walk = Walk { path: Vec::new(), found: Diff::default() };
    walk.compare(Some(then), Some(now));
    walk.found
}

struct Walk {
    path: Vec<String>,
    found: Diff,
}

impl Walk {
    fn compare(&mut self, then: Option<&Value>, now: Option<&Value>) {
        if then == now || self.found.truncated {
            return;
        }
        match (then, now) {
            (Some(Value::Object(then)), Some(Value::Object(now))) => {
                for (key, old) in then {
                    self.below(key, Some(old), now.get(key));
                }
                for (key, new) in now.iter().filter(|(key, _)| !then.contains_key(*key)) {
                    self.below(key, None, Some(new));
                }
            }
            (Some(Value::Array(then)), Some(Value::Array(now))) if then.len() == now.len() => {
                for (index, (old, new)) in then.iter().zip(now).enumerate() {
                    self.below(&index.to_string(), Some(old), Some(new));
                }
            }
            _ => self.note(then, now),
        }
    }

    fn below(&mut self, key: &str, then: Option<&Value>, now: Option<&Value>) {
        self.path.push(key.to_owned());
        self.compare(then, now);
        self.path.pop();
    }

    fn note(&mut self, then: Option<&Value>, now: Option<&Value>) {
        if self.found.changes.len() == MOST {
            self.found.truncated = true;
            return;
        }
        let kind = match (then, now) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        };
        let change = Change { path: self.path.clone(), kind, then: then.map(show), now: now.map(show) };
        self.found.changes.push(change);
    }
}

fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.len() > 3 => format!("a list of {}", list.len()),
        Value::Object(map) if map.len() > 3 => format!("{} entries", map.len()),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_changed_and_where() {
        let then = json!({"theme": "dark", "list": [1, 2], "gone": 1, "deep": {"a": {"b": "x"}}});
        let now = json!({"theme": "light", "list": [1, 3], "deep": {"a": {"b": "x"}}, "new": true});
        let found = diff(&then, &now);
        let shown: Vec<_> =
            found.changes.iter().map(|c| (c.path.join("."), c.kind, c.then.as_deref(), c.now.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("theme".into(), Kind::Changed, Some("dark"), Some("light")),
                ("list.1".into(), Kind::Changed, Some("2"), Some("3")),
                ("gone".into(), Kind::Removed, Some("1"), None),
                ("new".into(), Kind::Added, None, Some("true")),
            ]
        );
    }

    #[test]
    fn equal_documents_do_not_differ_and_huge_differences_are_cut() {
        let value = json!({"a": [1, {"b": null}]});
        assert!(diff(&value, &value).changes.is_empty());
        let many: serde_json::Map<_, _> = (0..2_000).map(|n| (n.to_string(), json!(n))).collect();
        let found = diff(&json!({}), &Value::Object(many));
        assert_eq!((found.changes.len(), found.truncated), (MOST, true));
        let long = diff(&json!({"a": "é".repeat(5_000)}), &json!({}));
        assert_eq!(long.changes[0].then.as_ref().unwrap().chars().count(), SHOWN + 1);
    }
}
