//! JSON text as text: checked and indented without touching numbers, keys or their order.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;

use crate::error::{Error, Result};

/// Nested deeper, a document is an attack: indenting it would take space without end.
const DEEPEST: usize = 128;

/// Checks that `text` is one JSON object, in UTF-8, nested no deeper than 128 levels.
pub fn check_object(text: &[u8]) -> Result<()> {
    check_syntax(text)?;
    if depth(text) > DEEPEST { Err(too_deep()) } else { Ok(()) }
}

/// An object's text as SillyTavern writes its files, and its keys.
pub struct Indented {
    /// The text.
    pub text: Vec<u8>,
    /// The top-level keys, as they are written.
    pub keys: Keys,
}

/// Top-level keys of an object, as they are written, quotes included.
pub type Keys = BTreeSet<Box<[u8]>>;

/// Checks `text` as [`check_object`] does, and indents it on the way.
pub fn check_and_indent(text: &[u8]) -> Result<Indented> {
    check_syntax(text)?;
    indent(text).ok_or_else(too_deep)
}

fn check_syntax(text: &[u8]) -> Result<()> {
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(wrong("it does not begin with {"));
    }
    let text = std::str::from_utf8(text).map_err(|error| wrong(&error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| wrong(&error.to_string()))
}

fn too_deep() -> Error {
    wrong("it is nested too deeply")
}

fn wrong(why: &str) -> Error {
    Error::invalid("bad_json", format!("This is not a JSON object: {why}."))
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
/// that a file that passes through here says exactly what it said. `None` if it is nested deeper than 128 levels.
fn indent(text: &[u8]) -> Option<Indented> {
    let mut out = Vec::with_capacity(text.len() * 2);
    let mut keys = Keys::new();
    let mut depth = 0;
    let mut at = 0;
    // Whether the next string is a key, if we are at the top.
    let mut key_comes = false;
    while at < text.len() {
        match text[at] {
            b'"' => {
                let end = string_end(text, at);
                out.extend_from_slice(&text[at..end]);
                if key_comes && depth == 1 {
                    keys.insert(text[at..end].into());
                }
                key_comes = false;
                at = end;
                continue;
            }
            b'{' | b'[' if depth == DEEPEST => return None,
            open @ (b'{' | b'[') => {
                out.push(open);
                let close = if open == b'{' { b'}' } else { b']' };
                let next = at + 1 + text[at + 1..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if text.get(next) == Some(&close) {
                    out.push(close);
                    at = next;
                } else {
                    depth += 1;
                    key_comes = open == b'{';
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
                key_comes = true;
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            space if space.is_ascii_whitespace() => {}
            _ => {
                let end = at + text[at..].iter().take_while(|byte| is_scalar(**byte)).count().max(1);
                out.extend_from_slice(&text[at..end]);
                at = end;
                continue;
            }
        }
        at += 1;
    }
    Some(Indented { text: out, keys })
}

/// What numbers, `true`, `false` and `null` are made of.
fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// The index after the closing quote of the string that starts at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// A line's end with as much space as the deepest line begins with.
const NEW_LINE: [u8; 1 + 4 * DEEPEST] = {
    let mut line = [b' '; 1 + 4 * DEEPEST];
    line[0] = b'\n';
    line
};

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.extend_from_slice(&NEW_LINE[..1 + 4 * depth]);
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
        assert_eq!(String::from_utf8(indent(text.as_bytes()).unwrap().text).unwrap(), indented);
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
        assert!(check_and_indent(deep.as_bytes()).is_err());
    }

    #[rstest]
    #[case(DEEPEST, true)]
    #[case(DEEPEST + 1, false)]
    fn both_checks_agree_on_the_depth(#[case] levels: usize, #[case] good: bool) {
        let text = "{\"a\":".repeat(levels - 1) + "{}" + &"}".repeat(levels - 1);
        assert_eq!(check_object(text.as_bytes()).is_ok(), good);
        assert_eq!(check_and_indent(text.as_bytes()).is_ok(), good);
    }

    #[test]
    fn top_level_keys_are_found_and_no_others() {
        let text = indent(
            br#"{"a":{"b":1,"c":["    \"no\": 1"]},"d\"e":"\n    \"x\": 1","f":[{"g":2}, "x", ["y"]], "h" : "i" }"#,
        )
        .unwrap();
        let keys: Vec<&[u8]> = text.keys.iter().map(|key| &**key).collect();
        assert_eq!(keys, [b"\"a\"".as_slice(), b"\"d\\\"e\"", b"\"f\"", b"\"h\""]);
        assert!(indent(b"{}").unwrap().keys.is_empty());
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
            let indented = indent(&text).unwrap().text;
            proptest::prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&indented).unwrap(), value);
            proptest::prop_assert_eq!(indent(&indented).unwrap().text, indented);
        }

        #[test]
        fn indenting_anything_that_is_short_ends(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = indent(&text);
        }
    }
}
