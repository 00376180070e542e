//! JSON text as text: checked and indented without touching numbers, keys or their order.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;

use crate::error::{Error, Result};

/// Nested deeper, a document is an attack: indenting it would take space without end.
const DEEPEST: usize = 128;

/// Checks that `text` is one JSON object, in UTF-8, nested no deeper than 128 levels.
pub fn check_object(text: &[u8]) -> Result<()> {
    let wrong = |why: String| Error::invalid("bad_json", format!("This is not a JSON object: {why}."));
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(wrong("it does not begin with {".to_owned()));
    }
    let text = std::str::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| wrong(error.to_string()))?;
    if depth(text.as_bytes()) > DEEPEST {
        return Err(wrong("it is nested too deeply".to_owned()));
    }
    Ok(())
}

/// The keys of a JSON object, without those inside of it; none when `text` is no JSON object.
pub fn keys(text: &[u8]) -> BTreeSet<String> {
    let object = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(text);
    object.map(|object| object.into_keys().collect()).unwrap_or_default()
}

/// How deep valid JSON is nested.
fn depth(text: &[u8]) -> usize {
    let (mut at, mut now, mut deepest) = (0, 0usize, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// Indents valid JSON by four spaces, as SillyTavern writes its files. Numbers and strings are copied as they stand, so
/// that a file that passes through here says exactly what it said.
pub fn indent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                let end = string_end(text, at);
                out.extend_from_slice(&text[at..end]);
                at = end;
                continue;
            }
            open @ (b'{' | b'[') => {
                out.push(open);
                let close = if open == b'{' { b'}' } else { b']' };
                let next = at + 1 + text[at + 1..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if text.get(next) == Some(&close) {
                    out.push(close);
                    at = next;
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            close @ (b'}' | b']') => {
                depth = usize::saturating_sub(depth, 1);
                new_line(&mut out, depth);
                out.push(close);
            }
            b',' => {
                out.push(b',');
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            space if space.is_ascii_whitespace() => {}
            other => out.push(other),
        }
        at += 1;
    }
    out
}

/// The index after the closing quote of the string that starts at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 4 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{}"#, "{}")]
    #[case(r#" { "a" : [ ] , "b":{ } } "#, "{\n    \"a\": [],\n    \"b\": {}\n}")]
    #[case(
        r#"{"a":[1,2.50,-1e9],"b":"x{,:}\"y\\"}"#,
        "{\n    \"a\": [\n        1,\n        2.50,\n        -1e9\n    ],\n    \"b\": \"x{,:}\\\"y\\\\\"\n}"
    )]
    fn indents_like_sillytavern(#[case] text: &str, #[case] indented: &str) {
        assert_eq!(String::from_utf8(indent(text.as_bytes())).unwrap(), indented);
    }

    #[rstest]
    #[case("")]
    #[case("[]")]
    #[case("null")]
    #[case("{\"a\":}")]
    #[case("{\"a\":1} x")]
    #[case("{\"a\":1")]
    #[case("\u{feff}{}")]
    fn refuses_what_is_not_an_object(#[case] text: &str) {
        assert_eq!(check_object(text.as_bytes()).unwrap_err().code(), "bad_json");
    }

    #[test]
    fn refuses_broken_bytes_and_endless_depth() {
        assert!(check_object(b"{\"a\":\"\xff\"}").is_err());
        let deep = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
        assert!(check_object(deep.as_bytes()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn indenting_changes_nothing_but_space(keys in proptest::collection::vec("\\PC*", 0..6), n in proptest::num::f64::NORMAL) {
            let mut map = serde_json::Map::new();
            for key in keys {
                map.insert(key.clone(), serde_json::json!({ "n": n, "list": [key, null, true, {}] }));
            }
            let value = serde_json::Value::Object(map);
            let text = serde_json::to_vec(&value).unwrap();
            let indented = indent(&text);
            proptest::prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&indented).unwrap(), value);
            proptest::prop_assert_eq!(indent(&indented), indented);
        }

        #[test]
        fn indenting_anything_that_is_short_ends(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = indent(&text);
        }
    }
}
