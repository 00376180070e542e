//! What somebody looks for, and where a text has it.

use std::ops::Range;

use super::words::Words;

/// Of more words, no more count.
const WORDS_MAX: usize = 16;
/// Of a longer text, no more is looked at, in bytes.
const QUERY_MAX: usize = 400;
/// How long a snippet is, in bytes, before it ends at a letter.
const SNIPPET: usize = 220;
/// How much of it comes before what was found.
const BEFORE: usize = 60;
/// Of more places in one text, no more are looked at.
const PLACES_MAX: usize = 500;

/// A word that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is compared.
    pub text: String,
    /// Whether longer words that begin like it are meant as well.
    pub is_start: bool,
}

impl Word {
    fn fits(&self, word: &str) -> bool {
        if self.is_start { word.starts_with(&self.text) } else { word == self.text }
    }
}

/// What somebody looks for: all these words, some of them next to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All words.
    pub words: Vec<Word>,
    /// Those in quotes: which follow each other.
    pub phrases: Vec<Range<usize>>,
}

impl Wanted {
    /// From what was typed. The last word may not be finished; what is in quotes is.
    pub fn parse(typed: &str) -> Self {
        let typed = &typed[..typed.floor_char_boundary(QUERY_MAX)];
        let mut wanted = Self::default();
        for (nth, part) in typed.split(['"', '“', '”', '„']).enumerate() {
            let first = wanted.words.len();
            wanted.add(part);
            let last = wanted.words.len();
            let is_quoted = nth % 2 == 1;
            if is_quoted && last - first > 1 {
                wanted.phrases.push(first..last);
            }
        }
        let is_open = typed.chars().next_back().is_some_and(char::is_alphanumeric);
        if let Some(word) = wanted.words.last_mut().filter(|_| is_open) {
            word.is_start = true;
        }
        wanted
    }

    fn add(&mut self, text: &str) {
        let mut words = Words::of_query(text);
        while words.advance().is_some() && self.words.len() < WORDS_MAX {
            let text = words.word().to_owned();
            // A lone letter of a script without spaces is the start of a pair.
            let is_start = !text.is_ascii() && text.chars().count() == 1;
            self.words.push(Word { text, is_start });
        }
    }

    /// Where `text` has what is looked for; nothing unless it has all of it.
    pub fn places(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut found = vec![false; self.words.len()];
        let mut phrases: Vec<(Vec<usize>, bool)> = self.phrases.iter().map(|_| (Vec::new(), false)).collect();
        let mut words = Words::of_text(text);
        let mut nth = 0;
        while let Some(place) = words.advance() {
            let word = words.word();
            let mut is_meant = false;
            for (wanted, found) in self.words.iter().zip(&mut found) {
                if wanted.fits(word) {
                    *found = true;
                    is_meant = true;
                }
            }
            for (phrase, (begun, is_found)) in self.phrases.iter().zip(&mut phrases) {
                *is_found = *is_found || self.goes_on(phrase, begun, word);
            }
            if is_meant && places.len() < PLACES_MAX {
                places.push(place);
            }
            nth += 1;
        }
        let has_all = nth > 0 && found.iter().all(|found| *found) && phrases.iter().all(|(_, is_found)| *is_found);
        has_all.then_some(places)
    }

    /// Whether a phrase ends with `word`; `begun` is how many words of it came before, for each beginning.
    fn goes_on(&self, phrase: &Range<usize>, begun: &mut Vec<usize>, word: &str) -> bool {
        let words = &self.words[phrase.clone()];
        begun.push(0);
        begun.retain_mut(|at| {
            let fits = words[*at].fits(word);
            *at += 1;
            fits
        });
        let is_whole = begun.contains(&words.len());
        begun.retain(|at| *at < words.len());
        is_whole
    }

    /// The part of `text` that shows most of what is looked for, as HTML with no tags but `<mark>`.
    pub fn snippet(&self, text: &str, places: &[Range<usize>]) -> String {
        let places = joined(places);
        let best = best_start(&places);
        let from = boundary(text, best.saturating_sub(BEFORE), best);
        let to = boundary(text, from.saturating_add(SNIPPET), text.len());
        let mut out = String::new();
        if from > 0 {
            out.push('…');
        }
        let mut at = from;
        for place in places.iter().filter(|place| place.start >= from && place.end <= to) {
            escape(&text[at..place.start], &mut out);
            out.push_str("<mark>");
            escape(&text[place.clone()], &mut out);
            out.push_str("</mark>");
            at = place.end;
        }
        escape(&text[at..to], &mut out);
        if to < text.len() {
            out.push('…');
        }
        out
    }
}

/// Places that touch, as pairs of letters do, as one.
fn joined(places: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for place in places {
        match joined.last_mut().filter(|last| place.start < last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => joined.push(place.clone()),
        }
    }
    joined
}

/// Where the part begins that has most places.
fn best_start(places: &[Range<usize>]) -> usize {
    let (mut best, mut most, mut last) = (0, 0, 0);
    for (first, place) in places.iter().enumerate() {
        while places.get(last).is_some_and(|next| next.end <= place.start + SNIPPET - BEFORE) {
            last += 1;
        }
        if last.saturating_sub(first) > most {
            (best, most) = (place.start, last - first);
        }
    }
    if most == 0 { places.first().map_or(0, |place| place.start) } else { best }
}

/// The first place from `at` on where a letter begins, better a word; at most `most`.
fn boundary(text: &str, at: usize, most: usize) -> usize {
    if at == 0 || at >= most {
        return at.min(most);
    }
    let start = (at..=most).find(|at| text.is_char_boundary(*at)).unwrap_or(most);
    let word = text[start..most].char_indices().take(24).find(|(_, c)| c.is_whitespace());
    word.map_or(start, |(offset, c)| start + offset + c.len_utf8()).min(most)
}

/// Text as HTML, line breaks as spaces.
fn escape(text: &str, out: &mut String) {
    let mut was_space = false;
    for c in text.chars() {
        let is_space = c.is_whitespace() || c.is_control();
        match c {
            _ if is_space => {
                if !was_space {
                    out.push(' ');
                }
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        was_space = is_space;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn shown(typed: &str, text: &str) -> Option<String> {
        let wanted = Wanted::parse(typed);
        wanted.places(text).map(|places| wanted.snippet(text, &places))
    }

    #[rstest]
    #[case("drag", "The Dragon sleeps", Some("The <mark>Dragon</mark> sleeps"))]
    #[case("drag ", "The Dragon sleeps", None)]
    #[case("dragon the", "The Dragon sleeps", Some("<mark>The</mark> <mark>Dragon</mark> sleeps"))]
    #[case("dragon cat", "The Dragon sleeps", None)]
    #[case("uber", "Über allem", Some("<mark>Über</mark> allem"))]
    #[case(
        "\"the dragon\"",
        "the old dragon and the dragon",
        Some("<mark>the</mark> old <mark>dragon</mark> and <mark>the</mark> <mark>dragon</mark>")
    )]
    #[case("\"old the\"", "the old dragon", None)]
    #[case("\"a a b\"", "a a a b", Some("<mark>a</mark> <mark>a</mark> <mark>a</mark> <mark>b</mark>"))]
    #[case("猫", "黒猫がいる", Some("黒<mark>猫が</mark>いる"))]
    #[case("黒猫が", "黒猫がいる", Some("<mark>黒猫が</mark>いる"))]
    #[case("b", "<b>&\"'\n b", Some("&lt;<mark>b</mark>&gt;&amp;&quot;&#39; <mark>b</mark>"))]
    #[case("mark", "<mark>", Some("&lt;<mark>mark</mark>&gt;"))]
    #[case("", "anything", Some("anything"))]
    fn finds_and_marks(#[case] typed: &str, #[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(shown(typed, text).as_deref(), expected);
    }

    #[test]
    fn a_long_text_is_cut_around_what_was_found() {
        let text = format!("{} dragon {} dragon egg {}", "wide ".repeat(100), "far ".repeat(100), "off ".repeat(100));
        let shown = shown("dragon egg", &text).unwrap();
        assert!(shown.contains("<mark>dragon</mark> <mark>egg</mark>"), "{shown}");
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.len() < 350, "{shown}");
    }

    proptest! {
        #[test]
        fn snippets_hold_no_other_tags(typed in "\\PC{0,12}", text in "(\\PC|<script>|<mark>|é|猫|\n| a){0,60}") {
            if let Some(shown) = shown(&typed, &text) {
                let rest = shown.replace("<mark>", "").replace("</mark>", "");
                prop_assert!(!rest.contains(['<', '>']));
                prop_assert_eq!(shown.matches("<mark>").count(), shown.matches("</mark>").count());
            }
        }
    }
}
