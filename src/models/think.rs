//! Thinking that a model writes into its answer, between `<think>` and `</think>`, told apart from the answer.

use super::Piece;
use super::stops::overlap;

const PAIRS: [(&str, &str); 3] = [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")];

/// Tells thinking from answer, as the words come in. Only what an answer begins with is thinking; further down such a
/// mark is the answer's own. Nothing is held back but what may become a mark.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    state: State,
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space and perhaps the begin of a mark has come.
    #[default]
    Start,
    /// Inside, until this mark.
    Inside(&'static str),
    /// Just out of it: white space before the answer is passed over.
    After,
    /// The answer.
    Answer,
}

impl Thinking {
    /// For an answer that continues `begun`, which may have left off in the middle of a thought.
    pub(super) fn continuing(begun: &str) -> Self {
        let begun = begun.trim_start();
        let open = PAIRS.iter().find(|(open, _)| begun.starts_with(open));
        let state = match open {
            Some((_, close)) if !begun.contains(close) => State::Inside(close),
            _ if begun.is_empty() => State::Start,
            _ => State::Answer,
        };
        Self { state, held: String::new() }
    }

    /// Takes words and gives what can be said of them now.
    pub(super) fn push(&mut self, text: &str, out: &mut impl Extend<Piece>) {
        if self.state == State::Answer {
            emit(out, Piece::Text, text);
            return;
        }
        self.held.push_str(text);
        while self.step(out) {}
    }

    /// What is still held when the answer ends.
    pub(super) fn finish(&mut self, out: &mut impl Extend<Piece>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside(_) => emit(out, Piece::Reasoning, &held),
            State::After => {}
            State::Start | State::Answer => emit(out, Piece::Text, &held),
        }
    }

    /// Whether there is more to do with what is held.
    fn step(&mut self, out: &mut impl Extend<Piece>) -> bool {
        match self.state {
            State::Start => self.start(),
            State::Inside(close) => {
                if let Some(at) = self.held.find(close) {
                    emit(out, Piece::Reasoning, &self.held[..at]);
                    self.held.drain(..at + close.len());
                    self.state = State::After;
                    return true;
                }
                let keep = overlap(&self.held, close);
                let said: String = self.held.drain(..self.held.len() - keep).collect();
                emit(out, Piece::Reasoning, &said);
                false
            }
            State::After => {
                let answer = self.held.trim_start().to_owned();
                self.held.clear();
                if !answer.is_empty() {
                    emit(out, Piece::Text, &answer);
                    self.state = State::Answer;
                }
                false
            }
            State::Answer => {
                let held = std::mem::take(&mut self.held);
                emit(out, Piece::Text, &held);
                false
            }
        }
    }

    fn start(&mut self) -> bool {
        let begun = self.held.trim_start();
        if let Some((open, close)) = PAIRS.iter().find(|(open, _)| begun.starts_with(open)) {
            let inside = begun[open.len()..].trim_start_matches(['\n', '\r']).to_owned();
            (self.held, self.state) = (inside, State::Inside(close));
            return true;
        }
        if PAIRS.iter().any(|(open, _)| open.starts_with(begun)) {
            return false;
        }
        self.state = State::Answer;
        true
    }
}

fn emit(out: &mut impl Extend<Piece>, piece: fn(String) -> Piece, text: &str) {
    if !text.is_empty() {
        out.extend([piece(text.to_owned())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn told(mut thinking: Thinking, pieces: &[&str]) -> (String, String) {
        let mut out = Vec::new();
        for piece in pieces {
            thinking.push(piece, &mut out);
        }
        thinking.finish(&mut out);
        let (mut reasoning, mut text) = (String::new(), String::new());
        for piece in out {
            match piece {
                Piece::Reasoning(more) => reasoning.push_str(&more),
                Piece::Text(more) => text.push_str(&more),
                _ => unreachable!(),
            }
        }
        (reasoning, text)
    }

    #[rstest]
    #[case("plain", "", "plain")]
    #[case("<think>hm</think>\n\nyes", "hm", "yes")]
    #[case("\n<think>\nhm\n</think>yes", "hm\n", "yes")]
    #[case("[THINK]hm[/THINK]yes", "hm", "yes")]
    #[case("<thinking>a</think>b</thinking>c", "a</think>b", "c")]
    #[case("a <think>b</think>", "", "a <think>b</think>")]
    #[case("<thin ice", "", "<thin ice")]
    #[case("<thi", "", "<thi")]
    #[case("<think>cut off </thi", "cut off </thi", "")]
    #[case("<think>a</think>  ", "a", "")]
    #[case("  spaced", "", "  spaced")]
    fn told_apart_however_it_is_split(#[case] whole: &str, #[case] reasoning: &str, #[case] text: &str) {
        let expected = (reasoning.to_owned(), text.to_owned());
        assert_eq!(told(Thinking::default(), &[whole]), expected);
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        // The line break after the mark is passed over only if it comes with it.
        let (found, answer) = told(Thinking::default(), &letters);
        assert_eq!((found.trim_start(), answer), (reasoning, expected.1));
    }

    #[test]
    fn an_answer_that_is_continued() {
        let told_of = |begun: &str| told(Thinking::continuing(begun), &["<think>x</think>y"]);
        assert_eq!(told_of("Once"), (String::new(), "<think>x</think>y".into()));
        assert_eq!(told_of("<think>so far"), ("<think>x".into(), "y".into()));
        assert_eq!(told_of("<think>a</think>b"), (String::new(), "<think>x</think>y".into()));
        assert_eq!(told_of(" "), ("x".into(), "y".into()));
    }

    #[test]
    fn words_are_not_held_back() {
        let (mut thinking, mut out) = (Thinking::default(), Vec::new());
        thinking.push("H", &mut out);
        assert_eq!(out, [Piece::Text("H".into())]);
        let (mut thinking, mut out) = (Thinking::default(), Vec::new());
        thinking.push("<think>", &mut out);
        thinking.push("a <", &mut out);
        assert_eq!(out, [Piece::Reasoning("a ".into())]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_panics(pieces in prop::collection::vec("(<think>|</think>|<|/|think|>|ä|\n| ){0,4}", 0..8)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (reasoning, text) = told(Thinking::default(), &pieces);
            prop_assert!(reasoning.len() + text.len() <= pieces.concat().len());
        }
    }
}
