//! What a generation has said so far, as a tape that only grows. Every place on it has a number, and that number is the id
//! of an event: so whoever comes back with the last id that arrived gets what follows, no more and no less, in as few pieces
//! as there are by then. Nobody's slowness makes a queue grow.

use super::event::Event;

/// The longest piece that is handed out at once, in bytes.
const PIECE: usize = 32 * 1024;
/// The most that a reply may have, in bytes: far beyond any model's window.
const LONGEST: usize = 4 * 1024 * 1024;
/// How often a reply may go from thinking to speaking and back.
const TURNS: usize = 50_000;

/// What has been said so far.
#[derive(Debug, Default)]
pub struct Tape {
    runs: Vec<Run>,
    length: u64,
    text: String,
    reasoning: String,
    events: Vec<Event>,
    closed: bool,
}

/// A stretch of one kind.
#[derive(Debug, Clone, Copy)]
struct Run {
    kind: Kind,
    /// Where it begins on the tape.
    start: u64,
    /// Where it begins among its kind.
    from: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One number a byte.
    Text,
    /// One number a byte.
    Reasoning,
    /// One number each.
    Event,
}

/// Something on its way to whoever listens, with the number of the place after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// The event's id.
    pub id: u64,
    /// What happened.
    pub event: Event,
}

impl Tape {
    /// The number of its end.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All words so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All thinking so far.
    pub fn reasoning(&self) -> &str {
        &self.reasoning
    }

    /// Whether nothing will follow.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether it takes no further words.
    pub fn is_full(&self) -> bool {
        self.text.len() + self.reasoning.len() >= LONGEST || self.runs.len() >= TURNS
    }

    /// How much memory it takes, roughly.
    pub fn weight(&self) -> usize {
        self.text.capacity() + self.reasoning.capacity() + self.runs.capacity() * size_of::<Run>() + 1024
    }

    /// Adds words.
    pub fn say(&mut self, text: &str) {
        self.enter(Kind::Text, self.text.len());
        self.text.push_str(text);
        self.length += text.len() as u64;
    }

    /// Adds thinking.
    pub fn think(&mut self, text: &str) {
        self.enter(Kind::Reasoning, self.reasoning.len());
        self.reasoning.push_str(text);
        self.length += text.len() as u64;
    }

    /// Adds something that happened.
    pub fn happen(&mut self, event: Event) {
        self.runs.push(Run { kind: Kind::Event, start: self.length, from: self.events.len() });
        self.closed |= event.is_last();
        self.events.push(event);
        self.length += 1;
    }

    fn enter(&mut self, kind: Kind, from: usize) {
        if self.runs.last().is_none_or(|run| run.kind != kind) {
            self.runs.push(Run { kind, start: self.length, from });
        }
    }

    /// What follows the place `at`; nothing at the end. A number that nobody was given counts as the next one that somebody
    /// may have been given.
    pub fn after(&self, at: u64) -> Option<Numbered> {
        if at >= self.length {
            return None;
        }
        let index = self.runs.partition_point(|run| run.start <= at).checked_sub(1)?;
        let run = *self.runs.get(index)?;
        let end = self.runs.get(index + 1).map_or(self.length, |next| next.start);
        let all = match run.kind {
            Kind::Event => {
                let event = self.events.get(run.from)?.clone();
                return Some(Numbered { id: end, event });
            }
            Kind::Text => &self.text,
            Kind::Reasoning => &self.reasoning,
        };
        let (skipped, whole) = (usize::try_from(at - run.start).ok()?, usize::try_from(end - run.start).ok()?);
        let said = all.get(run.from..run.from + whole)?;
        let from = said.ceil_char_boundary(skipped);
        let to = said.floor_char_boundary(whole.min(from + PIECE));
        let piece = said.get(from..to)?.to_owned();
        let id = run.start + to as u64;
        if piece.is_empty() {
            // Between the last letter's bytes: on to what comes after it.
            return if id > at { self.after(id) } else { None };
        }
        let event = if run.kind == Kind::Text { Event::Text(piece) } else { Event::Reasoning(piece) };
        Some(Numbered { id, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let mut tape = Tape::default();
        tape.happen(Event::Queued(2));
        tape.think("hm");
        tape.think("m");
        tape.say("Größe");
        tape.think("?");
        tape.say(" ja");
        tape.happen(Event::Done(Box::default()));
        tape
    }

    fn rest(tape: &Tape, mut at: u64) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(next) = tape.after(at) {
            assert!(next.id > at);
            at = next.id;
            all.push(next.event);
        }
        all
    }

    #[test]
    fn what_lies_together_is_one_piece() {
        let tape = tape();
        assert!(tape.is_closed());
        assert_eq!((tape.text(), tape.reasoning()), ("Größe ja", "hmm?"));
        let all = rest(&tape, 0);
        assert_eq!(all.len(), 6, "{all:?}");
        assert_eq!(all[1], Event::Reasoning("hmm".to_owned()));
        assert_eq!(all[2], Event::Text("Größe".to_owned()));
    }

    #[test]
    fn from_any_number_nothing_is_missing_or_double() {
        let tape = tape();
        for at in 0..=tape.length() + 3 {
            let said: String = rest(&tape, at)
                .iter()
                .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
                .collect();
            assert!(tape.text().ends_with(&said), "{at}: {said}");
        }
    }

    #[test]
    fn long_words_come_in_pieces() {
        let mut tape = Tape::default();
        tape.say(&"ü".repeat(PIECE));
        let all = rest(&tape, 0);
        assert!(all.len() >= 2);
        assert!(!tape.is_full());
        tape.say(&"x".repeat(LONGEST));
        assert!(tape.is_full());
    }

    proptest::proptest! {
        #[test]
        fn whoever_reads_in_between_reads_the_same(pieces in proptest::collection::vec((0..3u8, ".{0,5}"), 0..20), cut in 0..40u64) {
            let mut tape = Tape::default();
            let (mut at, mut text, mut reasoning) = (0, String::new(), String::new());
            let mut take = |tape: &Tape| {
                while let Some(next) = tape.after(at) {
                    at = next.id;
                    match next.event {
                        Event::Text(piece) => text.push_str(&piece),
                        Event::Reasoning(piece) => reasoning.push_str(&piece),
                        _ => {}
                    }
                }
            };
            for (n, (kind, piece)) in pieces.iter().enumerate() {
                match kind {
                    0 => tape.say(piece),
                    1 => tape.think(piece),
                    _ => tape.happen(Event::Queued(n)),
                }
                if cut % (n as u64 + 1) == 0 {
                    take(&tape);
                }
            }
            take(&tape);
            proptest::prop_assert_eq!(text, tape.text());
            proptest::prop_assert_eq!(reasoning, tape.reasoning());
        }
    }
}
