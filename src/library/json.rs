//! JSON text as text: checked and indented without touching numbers, keys or their order.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};

/// Nested deeper, a document is an attack: indenting it would take space without end.
const DEEPEST: usize = 128;
/// So many times its size a text may have when it is indented. Two times is usual; a long list far down would be the
/// hundredfold.
const GROWTH: u64 = 8;
/// What any text may grow to, in bytes.
const ROOM: u64 = 1024 * 1024;

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

/// Checks `text` as [`check_object`] does, and indents it on the way, to at most `limit` bytes: what is saved has to be read
/// again.
pub fn check_and_indent(text: &[u8], limit: u64) -> Result<Indented> {
    let most = (ROOM + GROWTH * text.len() as u64).min(limit);
    std::str::from_utf8(text)
        .ok()
        .and_then(|_| indent(text, usize::try_from(most).unwrap_or(usize::MAX)))
        .ok_or_else(|| check_object(text).err().unwrap_or_else(too_wide))
}

/// An object's text, indented.
pub fn indented(fields: &Map<String, Value>) -> Result<Vec<u8>> {
    let text = serde_json::to_vec(fields).map_err(Error::internal)?;
    check_and_indent(&text, u64::MAX).map(|indented| indented.text)
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

fn too_wide() -> Error {
    Error::new(
        Kind::TooLarge,
        "too_large",
        "This is too large: indented, as it is saved, it could not be read again. Nothing was changed.",
    )
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

/// Indents a JSON object by four spaces, as SillyTavern writes its files. Numbers and strings are copied as they stand, so
/// that a file that passes through here says exactly what it said. `None` if it is no JSON, nested deeper than 128 levels, or
/// would grow beyond measure.
///
/// It checks what it passes, because a save spends a tenth of its time on being checked by a parser first. Which texts it
/// takes is tested against that parser, which also says what is wrong with the others.
fn indent(text: &[u8], most: usize) -> Option<Indented> {
    let out = Out::with_room(text.len() * 2);
    let mut pass = Pass { text, at: 0, copied: 0, out, most, depth: 0, objects: 0, keys: Keys::new() };
    if pass.skip_space()? != b'{' {
        return None;
    }
    pass.value()?;
    while pass.next()? {
        pass.value()?;
    }
    Some(Indented { text: pass.out.into_bytes(), keys: pass.keys })
}

/// One pass over a text. What stays as it is gets copied in stretches: each time that something is put in or left out.
///
/// The release is built for size, where a few calls for each of thousands of short pieces would cost more than all the rest:
/// hence the attributes, each of which was measured.
struct Pass<'a> {
    text: &'a [u8],
    at: usize,
    /// What comes before is copied, or left out.
    copied: usize,
    out: Out,
    /// How long it may become.
    most: usize,
    depth: usize,
    /// A bit for each level, the innermost lowest: whether it is an object.
    objects: u128,
    keys: Keys,
}

impl Pass<'_> {
    /// Passes a value; of one that has others in it, only the first of these.
    fn value(&mut self) -> Option<()> {
        loop {
            match self.skip_space()? {
                b'"' => return self.string().map(drop),
                first @ (b'{' | b'[') => {
                    if !self.open(first == b'{')? {
                        return Some(());
                    }
                }
                first => return self.scalar(first),
            }
        }
    }

    /// Goes on to the next value, out of all that ends here. `false` at the end of the text.
    fn next(&mut self) -> Option<bool> {
        loop {
            match self.skip_space() {
                Some(b',') if self.depth > 0 => {
                    self.at += 1;
                    self.new_line()?;
                    if self.in_object() {
                        self.key()?;
                    }
                    return Some(true);
                }
                Some(byte @ (b'}' | b']')) => {
                    self.check_end(byte)?;
                    self.new_line()?;
                    self.at += 1;
                }
                None if self.depth == 0 => {
                    self.copy();
                    return Some(false);
                }
                _ => return None,
            }
        }
    }

    /// Goes a level down, to the first value there. `false` if there is none.
    fn open(&mut self, is_object: bool) -> Option<bool> {
        if self.depth == DEEPEST {
            return None;
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        let first = self.skip_space()?;
        if matches!(first, b'}' | b']') {
            self.check_end(first)?;
            self.at += 1;
            return Some(false);
        }
        self.new_line()?;
        if is_object {
            self.key()?;
        }
        Some(true)
    }

    /// Goes a level up, if it is `byte` that leads there.
    fn check_end(&mut self, byte: u8) -> Option<()> {
        if self.depth == 0 || self.in_object() != (byte == b'}') {
            return None;
        }
        self.depth -= 1;
        self.objects >>= 1;
        Some(())
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Passes a key with its colon.
    #[inline(always)]
    fn key(&mut self) -> Option<()> {
        if self.skip_space()? != b'"' {
            return None;
        }
        let key = self.string()?;
        if self.depth == 1 {
            self.keys.insert(self.text[key].into());
        }
        if self.skip_space()? != b':' {
            return None;
        }
        self.at += 1;
        self.copy();
        self.out.put(&NEW_LINE[1..], 1);
        Some(())
    }

    /// Passes a string, and tells where it is in the text.
    #[inline(always)]
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += escape(&self.text[self.at..])?,
                _ => return None,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// Passes a number, `true`, `false` or `null`.
    fn scalar(&mut self, first: u8) -> Option<()> {
        let rest = &self.text[self.at..];
        self.at += match first {
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            _ => number(rest)?,
        };
        Some(())
    }

    /// What comes after space, which is left out.
    #[inline(always)]
    fn skip_space(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(byte) if is_space(*byte) => {}
            other => return other.copied(),
        }
        self.leave_space_out();
        self.text.get(self.at).copied()
    }

    #[cold]
    fn leave_space_out(&mut self) {
        self.copy();
        while self.text.get(self.at).copied().is_some_and(is_space) {
            self.at += 1;
        }
        self.copied = self.at;
    }

    #[inline(always)]
    fn new_line(&mut self) -> Option<()> {
        self.copy();
        self.out.put(&NEW_LINE, 1 + 4 * self.depth);
        (self.out.end <= self.most).then_some(())
    }

    /// Copies what is not copied yet.
    #[inline(always)]
    fn copy(&mut self) {
        self.out.put(&self.text[self.copied..], self.at - self.copied);
        self.copied = self.at;
    }
}

/// Text that is being put together from many short pieces.
struct Out {
    bytes: Vec<u8>,
    end: usize,
}

/// Pieces are copied by so many bytes at once: most of them are shorter, and a fixed number costs no call.
const BLOCK: usize = 32;

impl Out {
    fn with_room(size: usize) -> Self {
        Self { bytes: vec![0; size + BLOCK], end: 0 }
    }

    /// Adds the first `length` bytes of `from`.
    #[inline(always)]
    fn put(&mut self, from: &[u8], length: usize) {
        match (from.first_chunk::<BLOCK>(), self.bytes[self.end..].first_chunk_mut::<BLOCK>()) {
            (Some(block), Some(room)) if length <= BLOCK => *room = *block,
            _ => self.put_slowly(&from[..length]),
        }
        self.end += length;
    }

    #[inline(never)]
    fn put_slowly(&mut self, piece: &[u8]) {
        let end = self.end + piece.len();
        if end > self.bytes.len() {
            self.bytes.resize(2 * end, 0);
        }
        self.bytes[self.end..end].copy_from_slice(piece);
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// How many bytes at the beginning of `text` mean themselves in a string. Looks at eight at a time.
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut passed = 0;
    let (words, _) = text.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let special = control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if special != 0 {
            // The lowest mark is always true; those above it may be carried over.
            return passed + special.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    passed + text[passed..].iter().take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count()
}

/// The length of the escape at the beginning of `text`.
fn escape(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// The length of the number at the beginning of `text`.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match (text.get(at)?, digits(at)) {
        (b'0', _) => 1,
        (_, some) => Some(some).filter(|some| *some > 0)?,
    };
    if text.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|some| *some > 0)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|some| *some > 0)?;
    }
    Some(at)
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
        assert_eq!(String::from_utf8(indent(text.as_bytes(), usize::MAX).unwrap().text).unwrap(), indented);
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
        assert!(check_and_indent(deep.as_bytes(), u64::MAX).is_err());
    }

    #[test]
    fn what_would_grow_beyond_measure_is_refused() {
        let list = |levels: usize, length: usize| {
            let ones = vec!["1"; length].join(",");
            format!("{{\"a\":{}{ones}{}}}", "[".repeat(levels), "]".repeat(levels))
        };
        assert_eq!(check_and_indent(list(100, 100_000).as_bytes(), u64::MAX).err().unwrap().code(), "too_large");
        assert!(check_and_indent(list(100, 1000).as_bytes(), u64::MAX).is_ok(), "a little of it does no harm");
        assert_eq!(check_and_indent(list(2, 1000).as_bytes(), 1000).err().unwrap().code(), "too_large");
        assert!(check_and_indent(list(2, 100_000).as_bytes(), u64::MAX).is_ok());
    }

    #[rstest]
    #[case(DEEPEST, true)]
    #[case(DEEPEST + 1, false)]
    fn both_checks_agree_on_the_depth(#[case] levels: usize, #[case] good: bool) {
        let text = "{\"a\":".repeat(levels - 1) + "{}" + &"}".repeat(levels - 1);
        assert_eq!(check_object(text.as_bytes()).is_ok(), good);
        assert_eq!(check_and_indent(text.as_bytes(), u64::MAX).is_ok(), good);
    }

    #[test]
    fn top_level_keys_are_found_and_no_others() {
        let text = indent(
            br#"{"a":{"b":1,"c":["    \"no\": 1"]},"d\"e":"\n    \"x\": 1","f":[{"g":2}, "x", ["y"]], "h" : "i" }"#,
            usize::MAX,
        )
        .unwrap();
        let keys: Vec<&[u8]> = text.keys.iter().map(|key| &**key).collect();
        assert_eq!(keys, [b"\"a\"".as_slice(), b"\"d\\\"e\"", b"\"f\"", b"\"h\""]);
        assert!(indent(b"{}", usize::MAX).unwrap().keys.is_empty());
    }

    /// What the parser takes, is indented; and nothing else.
    fn agrees_with_the_parser(text: &[u8]) {
        let good = check_object(text).is_ok();
        let indented = check_and_indent(text, u64::MAX);
        assert_eq!(indented.is_ok(), good, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn whatever_the_parser_refuses_is_refused() {
        let scalars = "0 -0 1 01 -1 - 1. 1.0 .1 1e 1e5 1E+5 1e-5 1e+ 0e1 00 +1 0x1 NaN Infinity true True tru null nul false \
            falsee \"\" \"\\\" \"\\n\" \"\\x\" \"\\u12\" \"\\u12aF\" \"\\ud800\" \"a\u{1}b\" \"\u{7f}\" [] [1,] [,1] [1 {} {,} 1e999 \
            {\"a\"} {\"a\":} {\"a\":1,} {a:1} [[]] [{}] {\"a\":{}} ] } \"unclosed [}] [] [1]2 \u{c} \u{a0}";
        for scalar in scalars.split_whitespace() {
            for text in [
                format!("{{\"k\":{scalar}}}"),
                format!("{{\"k\": [ {scalar} , {scalar}\n]\t}}\r"),
                format!("{{\"k\":1}}{scalar}"),
                format!("{{\"12345678\":\"1234567{scalar}\"}}"),
                scalar.to_owned(),
            ] {
                agrees_with_the_parser(text.as_bytes());
                for cut in 0..text.len() {
                    agrees_with_the_parser(&text.as_bytes()[..cut]);
                }
            }
        }
        agrees_with_the_parser("{\"k\":\u{c}1}".as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn indents_as_a_printer_does(
            keys in proptest::collection::vec("\\PC*", 0..6), n in proptest::num::f64::NORMAL, levels in 0..120usize,
        ) {
            let mut map = serde_json::Map::new();
            for key in keys {
                map.insert(key.clone(), serde_json::json!({ "n": n, "list": [key, null, true, {}] }));
            }
            let deep = (0..levels).fold(serde_json::json!(1), |inside, _| serde_json::json!([inside]));
            map.insert("deep".to_owned(), deep);
            let value = serde_json::Value::Object(map);
            let printer = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut printed = serde_json::Serializer::with_formatter(Vec::new(), printer);
            serde::Serialize::serialize(&value, &mut printed).unwrap();
            let printed = printed.into_inner();
            proptest::prop_assert_eq!(&indent(&serde_json::to_vec(&value).unwrap(), usize::MAX).unwrap().text, &printed);
            proptest::prop_assert_eq!(&indent(&printed, usize::MAX).unwrap().text, &printed);
        }

        #[test]
        fn anything_is_judged_as_the_parser_judges_it(text in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            agrees_with_the_parser(&text);
        }

        #[test]
        fn what_looks_like_json_is_judged_as_the_parser_judges_it(text in "\\{\"a\":[\\[\\]{}:,\"\\\\ \\n0-9.eE+\\-truefalsn]{0,24}\\}?") {
            agrees_with_the_parser(text.as_bytes());
        }

        #[test]
        fn strings_are_passed_over_to_their_end(text in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let slow = text.iter().take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count();
            proptest::prop_assert_eq!(plain(&text), slow);
        }
    }
}
