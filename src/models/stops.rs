//! Words at which an answer stops, watched for on our side: not every server for plain text keeps them out of its answer.

/// Watches for stop words. Nothing is held back but what may become one.
#[derive(Debug, Default)]
pub(super) struct Stops {
    words: Vec<String>,
    held: String,
}

impl Stops {
    pub(super) fn at(words: Vec<String>) -> Self {
        Self { words: words.into_iter().filter(|word| !word.is_empty()).collect(), held: String::new() }
    }

    /// Takes text; gives what can be said of it now, and whether a stop word has come.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.words.iter().filter_map(|word| self.held.find(word)).min() {
            self.held.truncate(at);
            return (self.rest(), true);
        }
        let keep = self.words.iter().map(|word| overlap(&self.held, word)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What is still held.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// How many bytes at the end of `text` may be the begin of `mark`, without being all of it.
pub(super) fn overlap(text: &str, mark: &str) -> usize {
    let ends = |length: &usize| mark.is_char_boundary(*length) && text.ends_with(&mark[..*length]);
    (1..mark.len()).rev().find(ends).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn told(words: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stops = Stops::at(words.iter().map(|word| (*word).to_owned()).collect());
        let mut all = String::new();
        for piece in pieces {
            let (text, stopped) = stops.push(piece);
            all += &text;
            if stopped {
                return (all, true);
            }
        }
        (all + &stops.rest(), false)
    }

    #[rstest]
    #[case("Hello", "Hello", false)]
    #[case("Hello\n### Anna: hi", "Hello\n", true)]
    #[case("Hello ##", "Hello ##", false)]
    #[case("a</s>b###", "a", true)]
    #[case("schön ende", "schön ", true)]
    fn stops_however_it_is_split(#[case] text: &str, #[case] said: &str, #[case] stopped: bool) {
        let words = ["###", "</s>", "ende", ""];
        assert_eq!(told(&words, &[text]), (said.into(), stopped));
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(told(&words, &letters), (said.into(), stopped));
    }

    #[test]
    fn words_are_not_held_back() {
        let mut stops = Stops::at(vec!["\n\n".into(), "<end>".into()]);
        assert_eq!(stops.push("a <"), ("a ".into(), false));
        assert_eq!(stops.push("b\n"), ("<b".into(), false));
        assert_eq!(stops.push("c"), ("\nc".into(), false));
    }

    proptest! {
        #[test]
        fn any_split_says_the_same(pieces in prop::collection::vec("[ab#ä]{0,4}", 0..8)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let words = ["ab#", "#ä", "bb"];
            prop_assert_eq!(told(&words, &pieces), told(&words, &[&pieces.concat()]));
        }
    }
}
