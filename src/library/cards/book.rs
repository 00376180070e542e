//! The lorebook inside a card, in the form of SillyTavern's own lorebooks (`worlds/<name>.json`).

use serde_json::{Map, Value, json};

/// What SillyTavern keeps of an entry under `extensions` of the book inside a card: the name in the lorebook, the name in
/// the card, and the value where the card has none.
fn extended() -> [(&'static str, &'static str, Value); 25] {
    [
        ("excludeRecursion", "exclude_recursion", json!(false)),
        ("preventRecursion", "prevent_recursion", json!(false)),
        ("delayUntilRecursion", "delay_until_recursion", json!(false)),
        ("probability", "probability", json!(100)),
        ("useProbability", "useProbability", json!(true)),
        ("depth", "depth", json!(4)),
        ("selectiveLogic", "selectiveLogic", json!(0)),
        ("outletName", "outlet_name", json!("")),
        ("group", "group", json!("")),
        ("groupOverride", "group_override", json!(false)),
        ("groupWeight", "group_weight", json!(100)),
        ("scanDepth", "scan_depth", Value::Null),
        ("caseSensitive", "case_sensitive", Value::Null),
        ("matchWholeWords", "match_whole_words", Value::Null),
        ("useGroupScoring", "use_group_scoring", Value::Null),
        ("automationId", "automation_id", json!("")),
        ("role", "role", json!(0)),
        ("vectorized", "vectorized", json!(false)),
        ("sticky", "sticky", Value::Null),
        ("cooldown", "cooldown", Value::Null),
        ("delay", "delay", Value::Null),
        ("ignoreBudget", "ignore_budget", json!(false)),
        ("matchCharacterDescription", "match_character_description", json!(false)),
        ("matchPersonaDescription", "match_persona_description", json!(false)),
        ("triggers", "triggers", json!([])),
    ]
}

/// The book as a lorebook of its own. The book itself stays in it, under the name by which SillyTavern finds it again
/// when the lorebook goes back into a card.
pub fn to_lorebook(book: &Map<String, Value>) -> Map<String, Value> {
    let mut entries = Map::new();
    let list: Vec<&Value> = match book.get("entries") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(Value::Object(map)) => map.values().collect(),
        _ => Vec::new(),
    };
    for (index, entry) in list.into_iter().enumerate() {
        let Some(entry) = entry.as_object() else { continue };
        let uid = entry.get("id").and_then(Value::as_u64).unwrap_or(index as u64);
        // Two entries with one number would hide each other.
        let uid = if entries.contains_key(&uid.to_string()) { free_number(&entries, index as u64) } else { uid };
        entries.insert(uid.to_string(), Value::Object(to_entry(entry, uid, index)));
    }
    let mut lorebook = Map::new();
    lorebook.insert("entries".to_owned(), Value::Object(entries));
    lorebook.insert("originalData".to_owned(), Value::Object(book.clone()));
    lorebook
}

fn free_number(entries: &Map<String, Value>, from: u64) -> u64 {
    (from..).find(|number| !entries.contains_key(&number.to_string())).unwrap_or(from)
}

fn to_entry(entry: &Map<String, Value>, uid: u64, index: usize) -> Map<String, Value> {
    let given = |name: &str, otherwise: Value| entry.get(name).filter(|v| !v.is_null()).cloned().unwrap_or(otherwise);
    let empty = Map::new();
    let extensions = entry.get("extensions").and_then(Value::as_object).unwrap_or(&empty);
    let before = entry.get("position").and_then(Value::as_str) == Some("before_char");
    let position = extensions.get("position").filter(|v| v.is_number()).cloned();
    let comment = given("comment", given("name", json!("")));
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("uid", json!(uid));
    put("key", given("keys", json!([])));
    put("keysecondary", given("secondary_keys", json!([])));
    put("addMemo", json!(comment.as_str().is_some_and(|text| !text.is_empty())));
    put("comment", comment);
    put("content", given("content", json!("")));
    put("constant", given("constant", json!(false)));
    put("selective", given("selective", json!(false)));
    put("order", given("insertion_order", json!(100)));
    put("position", position.unwrap_or_else(|| json!(if before { 0 } else { 1 })));
    put("disable", json!(!entry.get("enabled").and_then(Value::as_bool).unwrap_or(true)));
    put("displayIndex", extensions.get("display_index").cloned().unwrap_or_else(|| json!(index)));
    for (name, inside, otherwise) in extended() {
        put(name, extensions.get(inside).cloned().unwrap_or(otherwise));
    }
    put("extensions", Value::Object(extensions.clone()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_those_of_a_lorebook() {
        let book = json!({ "name": "B", "entries": [
            { "id": 3, "keys": ["tea"], "content": "hot", "enabled": true, "insertion_order": 7, "position": "before_char",
              "extensions": { "depth": 2, "foreign": 1 } },
            { "id": 3, "keys": ["ice"], "content": "cold", "enabled": false, "comment": "c" },
            "not an entry",
        ] });
        let lorebook = to_lorebook(book.as_object().unwrap());
        let entries = lorebook["entries"].as_object().unwrap();
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["3", "1"]);
        assert_eq!(entries["3"]["key"], json!(["tea"]));
        assert_eq!(entries["3"]["position"], json!(0));
        assert_eq!(entries["3"]["depth"], json!(2));
        assert_eq!(entries["3"]["extensions"]["foreign"], json!(1));
        assert_eq!(entries["1"]["disable"], json!(true));
        assert_eq!(entries["1"]["addMemo"], json!(true));
        assert_eq!(lorebook["originalData"], book);
    }
}
