//! A vocabulary of byte pairs, read from OpenAI's file of it, and how a text falls into its tokens.
//!
//! Ready-made crates keep tables of 32 MB for this vocabulary, for a speed that is not needed here: the text of a prompt
//! is counted in milliseconds either way. This one takes four.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input, PatternID};

use crate::hash::hash;

/// How `o200k_base` cuts a text into words before it looks for pairs, but for white space that has something after it:
/// that gives its last character to what follows, which takes a pattern of its own.
const WORDS: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"|\s*[\r\n]+",
    r"|\s+$",
);
/// White space before something; its last character is not part of it.
const SPACE_BEFORE: &str = r"\s+\s";
/// White space that is a single character.
const SPACE: &str = r"\s+";

/// A word that is longer than this is no word, and is looked through in parts, at the cost of a token where they meet.
const MAX_WORD: usize = 4096;

/// The tokens, in the order of their ranks.
pub(super) struct Vocabulary {
    /// All tokens' bytes, one after the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    /// A hash table with open addressing: rank + 1, or 0 where there is nothing.
    slots: Vec<u32>,
    /// The longest, in bytes.
    longest: usize,
    words: Regex,
}

impl Vocabulary {
    /// Reads the file: one token a line, in Base64, in the order of their ranks; all of it packed.
    pub(super) fn read(packed: &[u8]) -> Option<Self> {
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).ok()?;
        let (mut bytes, mut ends) = (Vec::with_capacity(text.len() / 2), Vec::new());
        for line in text.lines() {
            STANDARD.decode_vec(line.split(' ').next()?, &mut bytes).ok()?;
            ends.push(u32::try_from(bytes.len()).ok()?);
        }
        bytes.shrink_to_fit();
        ends.shrink_to_fit();
        let words = Regex::new_many(&[WORDS, SPACE_BEFORE, SPACE]).ok()?;
        let slots = vec![0; (ends.len() * 2).next_power_of_two()];
        let mut vocabulary = Self { bytes, ends, slots, longest: 0, words };
        vocabulary.longest = (0..vocabulary.ends.len()).map(|rank| vocabulary.token(rank).len()).max()?;
        vocabulary.index();
        Some(vocabulary)
    }

    fn index(&mut self) {
        for rank in 0..self.ends.len() {
            let mut at = self.home(self.token(rank));
            while self.slots[at] != 0 {
                at = (at + 1) % self.slots.len();
            }
            self.slots[at] = u32::try_from(rank + 1).unwrap_or(0);
        }
    }

    fn token(&self, rank: usize) -> &[u8] {
        let begin = if rank == 0 { 0 } else { self.ends[rank - 1] };
        &self.bytes[begin as usize..self.ends[rank] as usize]
    }

    /// Where a token would lie.
    fn home(&self, token: &[u8]) -> usize {
        let hash = hash(token);
        // As many slots as a power of two: the remainder is the hash's low bits.
        usize::try_from((hash ^ (hash >> 32)) % self.slots.len() as u64).unwrap_or(0)
    }

    fn rank(&self, token: &[u8]) -> Option<u32> {
        if token.len() > self.longest {
            return None;
        }
        let mut at = self.home(token);
        loop {
            let rank = self.slots[at].checked_sub(1)?;
            if self.token(rank as usize) == token {
                return Some(rank);
            }
            at = (at + 1) % self.slots.len();
        }
    }

    /// How many tokens a text is.
    pub(super) fn count(&self, text: &str) -> usize {
        let mut pairs = Pairs::default();
        let (mut count, mut at) = (0, 0);
        while at < text.len() {
            let end = self.word_end(text, at);
            let word = &text.as_bytes()[at..end];
            for word in word.chunks(MAX_WORD) {
                count += if self.rank(word).is_some() { 1 } else { pairs.count(self, word) };
            }
            at = end;
        }
        count
    }

    /// Where the word ends that begins at `at`.
    fn word_end(&self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        let found = self.words.find(Input::new(rest).anchored(Anchored::Yes)).filter(|found| !found.is_empty());
        let length = match found {
            Some(found) if found.pattern() == PatternID::must(1) => {
                let last = rest[..found.end()].chars().next_back().map_or(0, char::len_utf8);
                found.end() - last
            }
            Some(found) => found.end(),
            None => 0,
        };
        // Every text falls into words; whatever should not is its own.
        let least = rest.chars().next().map_or(1, char::len_utf8);
        at + length.max(least)
    }
}

/// Room to find pairs in, used again from word to word.
#[derive(Default)]
struct Pairs {
    /// Where the part ends that begins here; 0 where none does.
    end: Vec<usize>,
    /// Where the part before begins.
    before: Vec<usize>,
    /// Pairs to become one part, the lowest rank first, the leftmost of those.
    due: BinaryHeap<Reverse<(u32, usize, usize)>>,
}

impl Pairs {
    /// How many parts are left when no pair of neighbours is a token.
    fn count(&mut self, vocabulary: &Vocabulary, word: &[u8]) -> usize {
        self.end.clear();
        self.end.extend(1..=word.len());
        self.before.clear();
        self.before.extend((0..word.len()).map(|at| at.saturating_sub(1)));
        self.due.clear();
        for at in 0..word.len() {
            self.look(vocabulary, word, at);
        }
        let mut parts = word.len();
        while let Some(Reverse((_, at, end))) = self.due.pop() {
            let middle = self.end[at];
            // Either of the two may have become part of something else.
            if middle == 0 || middle >= word.len() || self.end[middle] != end {
                continue;
            }
            (self.end[at], self.end[middle]) = (end, 0);
            parts -= 1;
            if end < word.len() {
                self.before[end] = at;
            }
            self.look(vocabulary, word, at);
            if at > 0 {
                self.look(vocabulary, word, self.before[at]);
            }
        }
        parts
    }

    /// Notes the pair that begins here, if it is a token.
    fn look(&mut self, vocabulary: &Vocabulary, word: &[u8], at: usize) {
        let middle = self.end[at];
        if middle < word.len() {
            let end = self.end[middle];
            if let Some(rank) = vocabulary.rank(&word[at..end]) {
                self.due.push(Reverse((rank, at, end)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static OURS: LazyLock<Vocabulary> =
        LazyLock::new(|| Vocabulary::read(include_bytes!("o200k_base.tiktoken.gz")).unwrap());

    fn alike(text: &str) {
        assert_eq!(OURS.count(text), bpe_openai::o200k_base().count(text), "{text:?}");
    }

    #[test]
    fn counts_as_the_reference_does() {
        alike("");
        alike("Hello, world! It's 12345 o'clock.\n\n\tYou'll  see   \r\n  ");
        alike("Größe, Straße, 日本語のテキスト、ภาษาไทยไม่มีช่องว่าง, Привет мир, 🦦👩‍👩‍👧‍👦 x̂");
        alike("fn main() { println!(\"{}\", a[0] / b); } // https://example.org/a?b=c#d\n/**/\n");
        alike(&"a".repeat(3000));
        alike(&"ภาษาไทย".repeat(150));
        alike(&" ".repeat(500));
        alike(include_str!("../../../README.md"));
    }

    #[test]
    fn the_file_is_whole() {
        assert_eq!(OURS.ends.len(), 199_998);
        assert_eq!(OURS.rank(b"!"), Some(0));
        assert_eq!(OURS.rank(b" cocos"), Some(199_997));
        assert_eq!(OURS.rank(b""), None);
        assert!(Vocabulary::read(b"no").is_none());
    }

    proptest! {
        #[test]
        fn counts_any_text_as_the_reference_does(text in ".{0,80}", words in "([a-zA-ZäÖß'’]{1,9}|[0-9]|\\s|[.,!?/-]){0,60}") {
            prop_assert_eq!(OURS.count(&text), bpe_openai::o200k_base().count(text.as_str()));
            prop_assert_eq!(OURS.count(&words), bpe_openai::o200k_base().count(words.as_str()));
        }
    }
}
