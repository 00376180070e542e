//! JSON text in which one member is changed, and every other byte stays: for files that belong to another program.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The members of an object, in their order, with the text of their values.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Collect<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Collect<'a> {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'a RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Collect(std::marker::PhantomData))
    }
}

/// The text of the value at `path`; the last one where a key is repeated, as every reader takes it.
pub fn get<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    let mut text = text;
    for name in path {
        let Members(members) = serde_json::from_str(text).ok()?;
        text = members.iter().rev().find(|(key, _)| key == name)?.1.get();
    }
    Some(text)
}

/// The value at `path`, or null.
pub fn value(text: &str, path: &[&str]) -> Value {
    get(text, path).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// `text` with `value` at `path`; objects on the way there are made if need be.
pub fn set(text: &str, path: &[&str], value: &Value) -> Result<String> {
    set_at(text, path, value, 1)
}

fn set_at(text: &str, path: &[&str], value: &Value, depth: usize) -> Result<String> {
    let Some((name, rest)) = path.split_first() else { return pretty(value, depth.saturating_sub(1)) };
    let Ok(Members(members)) = serde_json::from_str(text) else {
        // What is there is no object, and cannot have members.
        return set_at("{}", path, value, depth);
    };
    if let Some((_, old)) = members.iter().rev().find(|(key, _)| key == name) {
        let new = set_at(old.get(), rest, value, depth + 1)?;
        let span = span(text, old.get());
        return Ok([&text[..span.start], &new, &text[span.end..]].concat());
    }
    let key = serde_json::to_string(name).map_err(Error::internal)?;
    let new = set_at("{}", rest, value, depth + 1)?;
    let indent = "    ".repeat(depth);
    match members.last() {
        Some((_, last)) => {
            let end = span(text, last.get()).end;
            Ok(format!("{},\n{indent}{key}: {new}{}", &text[..end], &text[end..]))
        }
        None => Ok(format!("{{\n{indent}{key}: {new}\n{}}}", "    ".repeat(depth - 1))),
    }
}

/// `text` without the value at `path`.
pub fn remove(text: &str, path: &[&str]) -> String {
    let mut text = text.to_owned();
    while let Some(without) = remove_once(&text, path) {
        text = without;
    }
    text
}

fn remove_once(text: &str, path: &[&str]) -> Option<String> {
    let (name, rest) = path.split_first()?;
    let Members(members) = serde_json::from_str(text).ok()?;
    let at = members.iter().rposition(|(key, _)| key == name)?;
    let own = span(text, members[at].1.get());
    if !rest.is_empty() {
        let inner = remove_once(members[at].1.get(), rest)?;
        return Some([&text[..own.start], &inner, &text[own.end..]].concat());
    }
    let cut = match (at.checked_sub(1).map(|before| &members[before]), members.get(at + 1)) {
        (Some((_, before)), _) => span(text, before.get()).end..own.end,
        // From behind the brace to behind the comma.
        (None, Some(_)) => text.find('{')? + 1..own.end + text[own.end..].find(',')? + 1,
        (None, None) => text.find('{')? + 1..text.rfind('}')?,
    };
    Some([&text[..cut.start], &text[cut.end..]].concat())
}

/// Where `part`, which was borrowed from `whole`, stands in it.
fn span(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

/// A value as SillyTavern would have written it, `depth` levels in.
fn pretty(value: &Value, depth: usize) -> Result<String> {
    let mut out = Vec::new();
    let mut writer =
        serde_json::Serializer::with_formatter(&mut out, serde_json::ser::PrettyFormatter::with_indent(b"    "));
    serde::Serialize::serialize(value, &mut writer).map_err(Error::internal)?;
    let text = String::from_utf8(out).map_err(Error::internal)?;
    // A line's end never stands in a string: there it is written as an escape.
    Ok(text.replace('\n', &format!("\n{}", "    ".repeat(depth))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "{\n    \"a\": 1.50,\n    \"b\": {\n        \"x\": [1,  2],\n        \"y\": null\n    },\n    \"c\": \"\\u00e9\"\n}";

    #[test]
    fn one_value_changes_and_every_other_byte_stays() {
        assert_eq!(set(TEXT, &["b", "y"], &json!(7)).unwrap(), TEXT.replace("null", "7"));
        assert_eq!(
            set(TEXT, &["b", "z"], &json!({ "q": 1 })).unwrap(),
            TEXT.replace("null", "null,\n        \"z\": {\n            \"q\": 1\n        }")
        );
        assert_eq!(
            set(TEXT, &["d", "e"], &json!("t")).unwrap(),
            TEXT.replace("e9\"", "e9\",\n    \"d\": {\n        \"e\": \"t\"\n    }")
        );
        assert_eq!(set("{}", &["a"], &json!(1)).unwrap(), "{\n    \"a\": 1\n}");
        assert_eq!(value(&set(TEXT, &["a", "n"], &json!(1)).unwrap(), &["a", "n"]), json!(1), "no object before");
    }

    #[test]
    fn one_value_goes_and_every_other_byte_stays() {
        assert_eq!(remove(TEXT, &["b", "y"]), TEXT.replace(",\n        \"y\": null", ""));
        assert_eq!(remove(TEXT, &["a"]), TEXT.replace("\n    \"a\": 1.50,", ""));
        assert_eq!(remove(TEXT, &["none"]), TEXT);
        assert_eq!(remove("{\"a\":1}", &["a"]), "{}");
        assert_eq!(remove("{\"a\":1,\"b\":2,\"a\":3}", &["a"]), "{\"b\":2}");
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        assert_eq!(set("{\"a\":1,\"a\":2}", &["a"], &json!(3)).unwrap(), "{\"a\":1,\"a\":3}");
        assert_eq!(get("{\"a\":1,\"a\":2}", &["a"]), Some("2"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_set_is_there_and_the_rest_is_equal(
            keys in proptest::collection::vec("\\PC{0,6}", 0..6), name in "\\PC{0,6}", n in 0u32..9,
        ) {
            let mut map = serde_json::Map::new();
            for key in keys {
                map.insert(key.clone(), json!({ "n": key, "list": [1, { "}": "{" }] }));
            }
            let text = serde_json::to_string(&map).unwrap();
            let done = set(&text, &[&name, "in"], &json!([n, { "k": "a\nb" }])).unwrap();
            let mut expected = map.clone();
            let inner = expected.entry(name.clone()).or_insert_with(|| json!({}));
            inner["in"] = json!([n, { "k": "a\nb" }]);
            proptest::prop_assert_eq!(&serde_json::from_str::<Value>(&done).unwrap(), &Value::Object(expected));
            let gone: Value = serde_json::from_str(&remove(&done, &[&name])).unwrap();
            map.shift_remove(&name);
            proptest::prop_assert_eq!(gone, Value::Object(map));
        }
    }
}
