//! What counts as a word: runs of letters and digits, in lower case and without accents. Where a script puts no spaces
//! between words, every two neighbouring letters are one.

use std::ops::Range;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Of a longer word, no more letters count.
const LETTERS_MAX: usize = 40;

/// Goes through the words of a text.
pub struct Words<'a> {
    text: &'a str,
    at: usize,
    word: String,
    /// Whether the letter before was of a script without spaces.
    in_run: bool,
    /// Whether the last letter of such a run is a word of its own as well: in texts, so that it is found alone.
    lone_ends: bool,
}

impl<'a> Words<'a> {
    /// Of a text to be found.
    pub fn of_text(text: &'a str) -> Self {
        Self { text, at: 0, word: String::new(), in_run: false, lone_ends: true }
    }

    /// Of what somebody looks for.
    pub fn of_query(text: &'a str) -> Self {
        Self { lone_ends: false, ..Self::of_text(text) }
    }

    /// The present word, as it is compared.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Goes to the next word; where it is in the text.
    pub fn advance(&mut self) -> Option<Range<usize>> {
        self.word.clear();
        loop {
            let c = self.text[self.at..].chars().next()?;
            let start = self.at;
            if is_unspaced(c) {
                self.at += c.len_utf8();
                if let Some(range) = self.pair(c, start) {
                    return Some(range);
                }
            } else if c.is_alphanumeric() {
                self.in_run = false;
                let end = self.run(start);
                if !self.word.is_empty() {
                    return Some(start..end);
                }
            } else {
                self.in_run = false;
                self.at += c.len_utf8();
            }
        }
    }

    /// A letter and the next one.
    fn pair(&mut self, first: char, start: usize) -> Option<Range<usize>> {
        let was_in_run = std::mem::replace(&mut self.in_run, true);
        let second = self.text[self.at..].chars().next().filter(|c| is_unspaced(*c));
        if second.is_none() {
            self.in_run = false;
            if was_in_run && !self.lone_ends {
                return None;
            }
        }
        self.word.push(first);
        self.word.extend(second);
        Some(start..self.at + second.map_or(0, char::len_utf8))
    }

    /// Letters and digits up to something else.
    fn run(&mut self, start: usize) -> usize {
        let mut letters = 0;
        for c in self.text[start..].chars() {
            let is_mark = is_combining_mark(c);
            if !is_mark && (!c.is_alphanumeric() || is_unspaced(c)) {
                break;
            }
            self.at += c.len_utf8();
            letters += 1;
            if letters <= LETTERS_MAX && !is_mark {
                fold(c, &mut self.word);
            }
        }
        self.at
    }
}

/// Adds `c` as it is compared.
fn fold(c: char, to: &mut String) {
    if c.is_ascii() {
        return to.push(c.to_ascii_lowercase());
    }
    let plain = match c {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ı' => "i",
        _ => {
            let parts = std::iter::once(c).nfkd().filter(|part| !is_combining_mark(*part));
            return to.extend(parts.flat_map(char::to_lowercase).filter(|part| !is_combining_mark(*part)));
        }
    };
    to.push_str(plain);
}

/// Scripts that are written without spaces between words, and Korean, whose words change their ends.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// The same for the index.
#[derive(Clone, Default)]
pub struct IndexWords {
    token: Token,
}

/// The words of one text, for the index.
pub struct IndexStream<'a> {
    words: Words<'a>,
    token: &'a mut Token,
}

impl Tokenizer for IndexWords {
    type TokenStream<'a> = IndexStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> IndexStream<'a> {
        self.token.reset();
        IndexStream { words: Words::of_text(text), token: &mut self.token }
    }
}

impl TokenStream for IndexStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(range) = self.words.advance() else { return false };
        self.token.text.clear();
        self.token.text.push_str(self.words.word());
        self.token.offset_from = range.start;
        self.token.offset_to = range.end;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn all(mut words: Words<'_>) -> Vec<String> {
        let mut found = Vec::new();
        while words.advance().is_some() {
            found.push(words.word().to_owned());
        }
        found
    }

    #[rstest]
    #[case("Hello, World!", &["hello", "world"])]
    #[case("Ärger über Straßen", &["arger", "uber", "strassen"])]
    #[case("cafe\u{301} CAFÉ", &["cafe", "cafe"])]
    #[case("Łódź smørrebrød", &["lodz", "smorrebrod"])]
    #[case("ПРИВЕТ мир", &["привет", "мир"])]
    #[case("a1 2b", &["a1", "2b"])]
    #[case("黒猫がいる", &["黒猫", "猫が", "がい", "いる", "る"])]
    #[case("猫", &["猫"])]
    #[case("cat猫dog", &["cat", "猫", "dog"])]
    #[case("", &[])]
    #[case("!? \u{301}", &[])]
    fn words(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(all(Words::of_text(text)), expected);
    }

    #[test]
    fn a_query_asks_for_pairs_only() {
        assert_eq!(all(Words::of_query("黒猫が 猫")), ["黒猫", "猫が", "猫"]);
        assert_eq!(all(Words::of_text(&"x".repeat(100))), ["x".repeat(40)]);
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_text(text in "\\PC{0,30}") {
            let mut words = Words::of_text(&text);
            let mut last = 0;
            while let Some(range) = words.advance() {
                prop_assert!(range.start >= last && text.get(range.clone()).is_some() && !words.word().is_empty());
                last = range.start;
            }
        }
    }
}
