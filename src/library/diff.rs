//! A readable difference between two JSON documents, by key.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// More differences than this are not listed.
const MOST: usize = 500;
/// Longer values are shortened for showing, in characters.
const SHOWN: usize = 160;

/// Lists of more things are compared by place, not by name.
const NAMED_MAX: usize = 500;

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
    /// The keys from the top to the value; of an entry of a list its name or, as `no. 3`, its place.
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

/// Compares two documents, down to the single values: objects by key, lists of
/// things with names by these, other lists by what is the same at both of their ends.
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
        match (inside(then), inside(now)) {
            (Inside::Members(old), Inside::Members(new)) => self.members(old, new),
            (Inside::Entries(old), Inside::Entries(new)) => self.entries(old, new),
            (Inside::Members(old), Inside::Absent) if !old.is_empty() => self.members(old, &Map::new()),
            (Inside::Absent, Inside::Members(new)) if !new.is_empty() => self.members(&Map::new(), new),
            (Inside::Entries(old), Inside::Absent) if !old.is_empty() => self.entries(old, &[]),
            (Inside::Absent, Inside::Entries(new)) if !new.is_empty() => self.entries(&[], new),
            _ => self.note(then, now),
        }
    }

    fn members(&mut self, then: &Map<String, Value>, now: &Map<String, Value>) {
        for (key, old) in then {
            self.below(key.clone(), Some(old), now.get(key));
        }
        for (key, new) in now.iter().filter(|(key, _)| !then.contains_key(*key)) {
            self.below(key.clone(), None, Some(new));
        }
    }

    fn entries(&mut self, then: &[Value], now: &[Value]) {
        match (by_name(then), by_name(now)) {
            (Some(old), Some(new)) => self.named(&old, &new),
            _ => self.numbered(then, now),
        }
    }

    /// Lists of things with names: what has moved is still the same thing.
    fn named(&mut self, then: &[(&str, &Value)], now: &[(&str, &Value)]) {
        let find = |list: &[(&str, &Value)], name: &str| list.iter().position(|(own, _)| *own == name);
        let mut kept = Vec::new();
        for (name, old) in then {
            let at = find(now, name);
            kept.extend(at);
            self.below((*name).to_owned(), Some(old), at.map(|at| now[at].1));
        }
        for (name, new) in now.iter().filter(|(name, _)| find(then, name).is_none()) {
            self.below((*name).to_owned(), None, Some(new));
        }
        if !kept.is_sorted() {
            let order = |list: &[(&str, &Value)]| {
                Value::from(list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
            };
            self.path.push("order".to_owned());
            self.note(Some(&order(then)), Some(&order(now)));
            self.path.pop();
        }
    }

    fn numbered(&mut self, then: &[Value], now: &[Value]) {
        let same = |(old, new): &(&Value, &Value)| old == new;
        let start = then.iter().zip(now).take_while(same).count();
        let shorter = then.len().min(now.len());
        let end = then.iter().rev().zip(now.iter().rev()).take(shorter - start).take_while(same).count();
        let (old, new) = (&then[start..then.len() - end], &now[start..now.len() - end]);
        for at in 0..old.len().max(new.len()) {
            let (old, new) = (old.get(at), new.get(at));
            self.below(format!("no. {}", start + at + 1), old, new);
        }
    }

    fn below(&mut self, key: String, then: Option<&Value>, now: Option<&Value>) {
        self.path.push(key);
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

/// What there is to go down into.
enum Inside<'a> {
    Absent,
    Value,
    Members(&'a Map<String, Value>),
    Entries(&'a [Value]),
}

fn inside(value: Option<&Value>) -> Inside<'_> {
    match value {
        None => Inside::Absent,
        Some(Value::Object(members)) => Inside::Members(members),
        Some(Value::Array(entries)) => Inside::Entries(entries),
        Some(_) => Inside::Value,
    }
}

/// The entries of a list by their names, if each has one of its own.
fn by_name(entries: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let named: Vec<_> = entries.iter().map(|entry| Some((called(entry)?, entry))).collect::<Option<_>>()?;
    let names: HashSet<&str> = named.iter().map(|(name, _)| *name).collect();
    // Each is looked for among all: long lists are compared by place.
    (names.len() == named.len() && named.len() <= NAMED_MAX).then_some(named)
}

/// What an entry of a list calls itself.
fn called(entry: &Value) -> Option<&str> {
    let named = |key| entry.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    named("name").or_else(|| named("identifier")).or_else(|| named("label"))
}

fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
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
                ("list.no. 2".into(), Kind::Changed, Some("2"), Some("3")),
                ("gone".into(), Kind::Removed, Some("1"), None),
                ("new".into(), Kind::Added, None, Some("true")),
            ]
        );
    }

    #[test]
    fn lists_and_what_is_new_are_told_value_by_value() {
        let prompt = |name: &str, on: bool| json!({"name": name, "enabled": on});
        let pair = |first: &str, second: &str| json!([{"label": first}, {"label": second}]);
        let then = json!({"prompts": [prompt("Main", true), prompt("Jailbreak", false)], "tags": ["a", "b"], "old": {},
            "moved": pair("x", "y")});
        let now = json!({"prompts": [prompt("Main", true), prompt("Mood", true), prompt("Jailbreak", true)],
            "tags": ["b"], "old": [], "moved": pair("y", "x"), "theme": {"colours": {"page": "#fff"}, "empty": []}});
        let found = diff(&then, &now);
        let shown: Vec<_> = found
            .changes
            .iter()
            .map(|c| {
                format!(
                    "{} {} -> {}",
                    c.path.join(" > "),
                    c.then.as_deref().unwrap_or("-"),
                    c.now.as_deref().unwrap_or("-")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "prompts > Jailbreak > enabled false -> true",
                "prompts > Mood > name - -> Mood",
                "prompts > Mood > enabled - -> true",
                "tags > no. 1 a -> -",
                "old {} -> []",
                "moved > order x, y -> y, x",
                "theme > colours > page - -> #fff",
                "theme > empty - -> []",
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
