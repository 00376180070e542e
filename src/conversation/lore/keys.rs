//! Whether a lorebook's keys are found in a text.
//!
//! Keys are strangers' texts and so may be regular expressions made to run for ever: how far one may go is bounded, and so
//! is what all of one prompt may look through, and for how long. Keys that were not tried are counted.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use fancy_regex::{Regex, RegexBuilder};

use crate::hash::hash;

/// The longest key, in bytes.
const KEY_MAX: usize = 4096;
/// The longest regular expression, in bytes, and how many are made for one prompt.
const PATTERN_MAX: usize = 2000;
const PATTERNS_MAX: usize = 2000;
/// How often a regular expression may turn back in one text.
const BACKTRACKS_MAX: usize = 50_000;
/// How large a compiled one may become, in bytes.
const COMPILED_MAX: usize = 512 * 1024;
/// How many bytes may be looked through for one prompt, all keys together.
const LOOKED_THROUGH_MAX: usize = 2 << 30;
/// What looking for a key costs at least, in the same measure.
const KEY_COST: usize = 256;
/// How long regular expressions may take for one prompt, all together: none takes much more than a quarter of a second.
const PATTERNS_TIME: Duration = Duration::from_secs(2);
/// A regular expression is so much slower than looking for a word.
const PATTERN_COST: usize = 32;
/// How much an expression that looks around itself sees, in bytes, from the newest back: it may go through all of it from
/// each place of it.
const AROUND_MAX: usize = 4096;

/// A text that is looked through, as it is and in lower case.
#[derive(Debug, Default)]
pub struct Haystack {
    text: String,
    lower: String,
}

impl Haystack {
    /// Of `text`.
    pub fn new(text: String) -> Self {
        Self { lower: text.to_lowercase(), text }
    }

    /// Adds a text, apart from what is there.
    pub fn add(&mut self, text: &str) {
        self.text.push('\n');
        self.text.push_str(text);
        self.lower.push('\n');
        self.lower.push_str(&text.to_lowercase());
    }
}

/// How a key is to be taken.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Whether case counts.
    pub case_sensitive: bool,
    /// Whether it has to be a whole word.
    pub whole_words: bool,
}

/// Finds keys, within what one prompt may cost.
pub struct Finder {
    patterns: RefCell<HashMap<String, Option<Rc<Regex>>>>,
    left: Cell<usize>,
    time: Cell<Duration>,
    untried: RefCell<HashSet<u64>>,
}

impl Default for Finder {
    fn default() -> Self {
        Self {
            patterns: RefCell::default(),
            left: Cell::new(LOOKED_THROUGH_MAX),
            time: Cell::new(PATTERNS_TIME),
            untried: RefCell::default(),
        }
    }
}

impl Finder {
    /// Whether `key`, which may have macros in it, is in one of the texts.
    pub fn finds(&self, key: &str, expand: impl Fn(&str) -> String, haystacks: &[&Haystack], how: How) -> bool {
        if key.len() > KEY_MAX || !self.may_look_through(KEY_COST) {
            return self.pass_over(key);
        }
        let expanded = expand(key);
        self.finds_expanded(&expanded, haystacks, how).unwrap_or_else(|| self.pass_over(key))
    }

    /// How many keys were not tried, or not to their end.
    pub fn untried(&self) -> usize {
        self.untried.borrow().len()
    }

    fn pass_over(&self, key: &str) -> bool {
        self.untried.borrow_mut().insert(hash(key));
        false
    }

    /// Whether it is there; nothing where that would take too much.
    fn finds_expanded(&self, key: &str, haystacks: &[&Haystack], how: How) -> Option<bool> {
        if let Some((pattern, flags)) = as_pattern(key) {
            let regex = self.timed(|| self.pattern(key, pattern, flags))??;
            return any(haystacks, |haystack| self.timed(|| self.matches(key, &regex, &haystack.text))?);
        }
        let needle = if how.case_sensitive { key.to_owned() } else { key.to_lowercase() };
        let needle = needle.trim();
        if needle.is_empty() {
            return Some(false);
        }
        any(haystacks, |haystack| {
            let text = if how.case_sensitive { &haystack.text } else { &haystack.lower };
            // Of several words, SillyTavern asks no more than that they are there.
            let is_word = how.whole_words && !needle.contains(char::is_whitespace);
            self.may_look_through(text.len())
                .then(|| if is_word { has_word(text, needle) } else { text.contains(needle) })
        })
    }

    /// Does something that may take long, unless too long was taken already.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let left = self.time.get();
        if left.is_zero() {
            return None;
        }
        let begun = Instant::now();
        let done = work();
        self.time.set(left.saturating_sub(begun.elapsed()));
        Some(done)
    }

    fn matches(&self, key: &str, regex: &Regex, text: &str) -> Option<bool> {
        let looks_around = looks_around(key);
        let text = if looks_around { start_of(text, AROUND_MAX) } else { text };
        let cost = if looks_around { text.len() / 2 } else { PATTERN_COST };
        if !self.may_look_through(text.len().saturating_mul(cost.max(1))) {
            return None;
        }
        let found = regex.is_match(text);
        if found.is_err() {
            // One that goes on for ever is not tried again in this prompt.
            self.patterns.borrow_mut().insert(key.to_owned(), None);
        }
        found.ok()
    }

    fn may_look_through(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    fn pattern(&self, key: &str, pattern: &str, flags: &str) -> Option<Rc<Regex>> {
        if let Some(known) = self.patterns.borrow().get(key) {
            return known.clone();
        }
        if pattern.len() > PATTERN_MAX || self.patterns.borrow().len() >= PATTERNS_MAX {
            return None;
        }
        let flags: String = flags.chars().filter(|flag| matches!(flag, 'i' | 'm' | 's')).collect();
        // JavaScript writes slashes with a backslash.
        let pattern = pattern.replace("\\/", "/");
        let pattern = if flags.is_empty() { pattern } else { format!("(?{flags}){pattern}") };
        let regex = RegexBuilder::new(&pattern)
            .backtrack_limit(BACKTRACKS_MAX)
            .delegate_size_limit(COMPILED_MAX)
            .delegate_dfa_size_limit(COMPILED_MAX)
            .build()
            .ok()
            .map(Rc::new);
        self.patterns.borrow_mut().insert(key.to_owned(), regex.clone());
        regex
    }
}

/// Whether it is so of one of them; nothing where it is of none of those before one that cannot be told.
fn any(haystacks: &[&Haystack], mut is_so: impl FnMut(&Haystack) -> Option<bool>) -> Option<bool> {
    for haystack in haystacks {
        if is_so(haystack)? {
            return Some(true);
        }
    }
    Some(false)
}

/// The inside and the flags of `/…/flags`.
fn as_pattern(key: &str) -> Option<(&str, &str)> {
    let (pattern, flags) = key.trim().strip_prefix('/')?.rsplit_once('/')?;
    let has_flags_only = flags.bytes().all(|flag| b"dgimsuvy".contains(&flag));
    (!pattern.is_empty() && has_flags_only).then_some((pattern, flags))
}

/// Whether an expression may be of those that cannot be matched in one pass.
fn looks_around(pattern: &str) -> bool {
    const SIGNS: [&str; 14] =
        ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(", "\\k", "\\g", "\\G", "\\K", "++", "*+", "?+", "}+"];
    SIGNS.iter().any(|sign| pattern.contains(sign))
        || pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit())
}

/// The newest messages come first.
fn start_of(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Whether `word` stands in `text` between what is no letter or digit. Scripts without spaces have no such borders.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| (c.is_alphanumeric() || c == '_') && !is_unspaced(c));
    let (first, last) = (word.chars().next(), word.chars().next_back());
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !(joins(before) && joins(first) || joins(after) && joins(last))
    })
}

/// Scripts that are written without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cat", "A Cat sat", false, true, true)]
    #[case("cat", "A Cat sat", true, true, false)]
    #[case("Cat", "A Cat sat", true, true, true)]
    #[case("cat", "concatenate", false, true, false)]
    #[case("cat", "concatenate", false, false, true)]
    #[case("black cat", "my black cats", false, true, true)]
    #[case("猫", "黒猫がいる", false, true, true)]
    #[case("c++", "I write C++.", false, true, true)]
    #[case("über", "ÜBER alles", false, true, true)]
    #[case("", "anything", false, false, false)]
    #[case(" ", "any thing", false, false, false)]
    #[case("/c[ao]t/", "a cot", false, true, true)]
    #[case("/C[ao]t/", "a cot", false, true, false)]
    #[case("/C[ao]t/i", "a cot", false, true, true)]
    #[case("/^b/m", "a\nb", false, true, true)]
    #[case("/(?<!no )dragon/i", "A dragon", false, true, true)]
    #[case("/(?<!no )dragon/i", "no dragon", false, true, false)]
    #[case("/[/", "[", false, true, false)]
    #[case("/a\\/b/", "a/b", false, true, true)]
    #[case("a/b", "a/b", false, true, true)]
    #[case("//", "//", false, false, true)]
    fn keys(
        #[case] key: &str,
        #[case] text: &str,
        #[case] case_sensitive: bool,
        #[case] whole_words: bool,
        #[case] found: bool,
    ) {
        let haystack = Haystack::new(text.to_owned());
        let how = How { case_sensitive, whole_words };
        let finds = Finder::default().finds(key, str::to_owned, &[&haystack], how);
        assert_eq!(finds, found, "{key:?} in {text:?}");
    }

    #[test]
    fn an_expression_that_would_run_for_ever_is_given_up() {
        let haystack = Haystack::new("a".repeat(5000) + "!");
        let finder = Finder::default();
        let start = std::time::Instant::now();
        let how = How { case_sensitive: false, whole_words: false };
        for _ in 0..20 {
            assert!(!finder.finds("/(a|a)*(?=b)\\1c$/", str::to_owned, &[&haystack], how));
            assert!(!finder.finds("/(?=(a+)+b)x/", str::to_owned, &[&haystack], how));
        }
        assert!(start.elapsed().as_secs() < 5);
        assert!(finder.untried() >= 1, "{}", finder.untried());
    }

    /// As long as a slow machine needs for one of the hardest, and not for two thousand.
    #[test]
    fn thousands_of_hard_expressions_take_no_more_than_a_few() {
        let haystack = Haystack::new("ab".repeat(128 * 1024));
        let finder = Finder::default();
        let how = How { case_sensitive: false, whole_words: false };
        let begun = Instant::now();
        for n in 0..2000 {
            let hard = format!("/[ab]*a[ab]{{{}}}[^ab]*(?=e)|x{n}/", 800 + n % 50);
            assert!(!finder.finds(&hard, str::to_owned, &[&haystack], how));
        }
        assert!(begun.elapsed() < 10 * PATTERNS_TIME, "{:?}", begun.elapsed());
        assert!((1000..=2000).contains(&finder.untried()), "{}", finder.untried());
        // Words are looked for as before.
        assert!(finder.finds("bab", str::to_owned, &[&haystack], how));
    }

    #[test]
    fn keys_longer_than_any_are_passed_over_and_many_are_given_up() {
        let haystack = Haystack::new("a".repeat(LOOKED_THROUGH_MAX / 5000));
        let finder = Finder::default();
        let how = How { case_sensitive: true, whole_words: false };
        let expand = |_: &str| -> String { panic!("not even expanded") };
        assert!(!finder.finds(&"a".repeat(KEY_MAX + 1), expand, &[&haystack], how));
        assert_eq!(finder.untried(), 1);
        for n in 0..6000 {
            finder.finds(&format!("b{n}"), str::to_owned, &[&haystack], how);
        }
        assert!((500..2000).contains(&finder.untried()), "{}", finder.untried());
        assert!(!finder.finds("a", expand, &[&haystack], how), "nothing is left to look with");
    }
}
