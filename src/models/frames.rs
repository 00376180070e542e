//! Bytes from a model server, cut into what they mean: server-sent events or lines of JSON.
//!
//! However the bytes are split on their way, the same frames come out, and each comes out with its last byte.

use crate::values;

/// The longest line that is taken.
pub(super) const MAX_LINE: usize = 1 << 20;
/// The most that the lines of one event may have together.
const MAX_EVENT: usize = 4 << 20;

/// The largest answer in one piece.
const MAX_WHOLE: usize = 8 << 20;
/// The most values that a JSON text may have.
const MAX_VALUES: usize = 200_000;

/// A line or an event that is longer than any honest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// One message of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// What kind of event it says that it is; empty if it does not.
    pub(super) event: String,
    /// What it says.
    pub(super) data: String,
}

/// How messages are told apart.
pub(super) enum Framing {
    /// Server-sent events.
    Events(Events),
    /// One JSON value a line.
    Lines(Lines),
    /// One JSON value, from a server that was asked for events and does not stream.
    Whole(Vec<u8>),
}

impl Framing {
    pub(super) fn events() -> Self {
        Self::Events(Events::default())
    }

    pub(super) fn lines() -> Self {
        Self::Lines(Lines::default())
    }

    /// Takes bytes as they come in, and whether they complete a line, be it one that says nothing.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Frame>) -> Result<bool, TooLong> {
        if matches!(self, Self::Events(events) if events.is_fresh()) && bytes.trim_ascii_start().starts_with(b"{") {
            *self = Self::Whole(Vec::new());
        }
        match self {
            Self::Whole(body) if body.len() + bytes.len() > MAX_WHOLE => Err(TooLong),
            Self::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(true)
            }
            Self::Events(events) => events.push(bytes, out),
            Self::Lines(lines) => lines.push(bytes, &mut |line| {
                let data = text(line);
                if !data.trim().is_empty() {
                    out.push(Frame { event: String::new(), data });
                }
                Ok(())
            }),
        }
    }

    /// What was left without an end when the bytes ended.
    pub(super) fn rest(&mut self) -> Option<Frame> {
        match self {
            Self::Whole(body) => Some(Frame { event: String::new(), data: text(std::mem::take(body).trim_ascii()) }),
            Self::Events(events) => events.rest(),
            Self::Lines(lines) => {
                let data = text(&std::mem::take(&mut lines.pending));
                (!data.trim().is_empty()).then(|| Frame { event: String::new(), data })
            }
        }
    }
}

/// Lines, ended by LF, CR or both.
#[derive(Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// The last byte was a CR: an LF now belongs to it.
    after_cr: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<(), TooLong>) -> Result<bool, TooLong> {
        let mut any = false;
        if self.after_cr && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
            self.after_cr = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            any = true;
            self.fits(line)?;
            if self.pending.is_empty() {
                each(line)?;
            } else {
                self.pending.extend_from_slice(line);
                let whole = std::mem::take(&mut self.pending);
                each(&whole)?;
            }
            let ends_in_cr = rest[0] == b'\r';
            bytes = &rest[1..];
            if ends_in_cr {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        if !bytes.is_empty() {
            self.after_cr = false;
            self.fits(bytes)?;
            self.pending.extend_from_slice(bytes);
        }
        Ok(any)
    }

    fn fits(&self, more: &[u8]) -> Result<(), TooLong> {
        if self.pending.len() + more.len() > MAX_LINE { Err(TooLong) } else { Ok(()) }
    }
}

/// Server-sent events, as the HTML standard has them; ids and times to retry mean nothing here.
#[derive(Default)]
pub(super) struct Events {
    lines: Lines,
    begun: bool,
    /// A line of more than white space has come.
    spoken: bool,
    current: Current,
}

#[derive(Default)]
struct Current {
    event: String,
    data: String,
    has_data: bool,
}

impl Events {
    /// Whether nothing but white space has come.
    fn is_fresh(&self) -> bool {
        !self.spoken && self.lines.pending.trim_ascii().is_empty()
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<Frame>) -> Result<bool, TooLong> {
        let Self { lines, begun, spoken, current } = self;
        lines.push(bytes, &mut |line| {
            *spoken |= !line.trim_ascii().is_empty();
            let line = if *begun { line } else { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) };
            *begun = true;
            current.line(line, out)
        })
    }

    fn rest(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.lines.pending);
        let mut out = Vec::new();
        let fits = self.current.line(&line, &mut out).and_then(|()| self.current.line(b"", &mut out));
        fits.ok().and_then(|()| out.pop())
    }
}

impl Current {
    fn line(&mut self, line: &[u8], out: &mut Vec<Frame>) -> Result<(), TooLong> {
        if line.is_empty() {
            let Self { event, data, has_data } = std::mem::take(self);
            if has_data {
                out.push(Frame { event, data });
            }
            return Ok(());
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() > MAX_EVENT {
                    return Err(TooLong);
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(&text(value));
                self.has_data = true;
            }
            // llama.cpp reports errors in a field of this name.
            b"error" => {
                self.event = "error".to_owned();
                self.data = text(value);
                self.has_data = true;
            }
            b"event" => self.event = text(value),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a JSON text has more values than any honest one.
pub(super) fn is_crowded(json: &[u8]) -> bool {
    values::count(json) > MAX_VALUES
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn frames(mut framing: Framing, pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for piece in pieces {
            framing.push(piece, &mut out).unwrap();
        }
        out.extend(framing.rest());
        out.into_iter().map(|frame| (frame.event, frame.data)).collect()
    }

    fn events(text: &str) -> Vec<(String, String)> {
        frames(Framing::events(), &[text.as_bytes()])
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(event, data)| ((*event).to_owned(), (*data).to_owned())).collect()
    }

    #[rstest]
    #[case("data: a\n\ndata:b\n\n", &[("", "a"), ("", "b")])]
    #[case("data: a\r\n\r\ndata: b\r\rdata: c\n\n", &[("", "a"), ("", "b"), ("", "c")])]
    #[case(": hello\n\nevent: ping\n\ndata: x\n\n", &[("", "x")])]
    #[case("event: message_start\ndata: {}\n\n", &[("message_start", "{}")])]
    #[case("data: a\ndata: b\n\n", &[("", "a\nb")])]
    #[case("data\n\n", &[("", "")])]
    #[case("\u{feff}data: a\n\n", &[("", "a")])]
    #[case("id: 7\nretry: 9\ndata:  a\n\n", &[("", " a")])]
    #[case("error: {\"code\":400}\n\n", &[("error", "{\"code\":400}")])]
    #[case("data: a\n\ndata: without an end", &[("", "a"), ("", "without an end")])]
    #[case("", &[])]
    #[case("\n\n\n", &[])]
    fn events_are_told_apart(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
        assert_eq!(events(text), pairs(expected));
    }

    #[test]
    fn lines_are_told_apart() {
        let found = frames(Framing::lines(), &[b"{\"a\":1}\n\n{\"b\"", b":2}\r\n  \n{\"c\":3}"]);
        assert_eq!(found, pairs(&[("", "{\"a\":1}"), ("", "{\"b\":2}"), ("", "{\"c\":3}")]));
    }

    #[test]
    fn an_answer_in_one_piece_is_one_frame() {
        let found = frames(Framing::events(), &[b"\n", b" {\"a\":\n", b"1}\n"]);
        assert_eq!(found, pairs(&[("", "{\"a\":\n1}")]));
        assert_eq!(events(": hello\n{\n"), []);
    }

    #[test]
    fn an_event_comes_out_with_its_last_byte() {
        let mut framing = Framing::events();
        let mut out = Vec::new();
        assert_eq!(framing.push(b"data: a\n", &mut out), Ok(true));
        assert_eq!(out, []);
        assert_eq!(framing.push(b"\n", &mut out), Ok(true));
        assert_eq!(out.len(), 1);
        assert_eq!(framing.push(b": still the", &mut out), Ok(false));
        assert_eq!(framing.push(b"re\n", &mut out), Ok(true));
    }

    #[test]
    fn what_has_no_end_is_cut_off() {
        for mut framing in [Framing::events(), Framing::lines()] {
            let mut out = Vec::new();
            let block = vec![b'x'; 64 << 10];
            let pushed: Result<Vec<bool>, TooLong> = (0..17).map(|_| framing.push(&block, &mut out)).collect();
            assert_eq!(pushed, Err(TooLong));
        }
        let mut framing = Framing::events();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 19], b"\n"].concat();
        let pushed: Result<Vec<bool>, TooLong> = (0..9).map(|_| framing.push(&line, &mut Vec::new())).collect();
        assert_eq!(pushed, Err(TooLong));
    }

    fn cuts(text: &[u8], at: &[prop::sample::Index]) -> Vec<Vec<u8>> {
        let mut at: Vec<usize> = at.iter().map(|index| index.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        at.windows(2).map(|ends| text[ends[0]..ends[1]].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            text in "(data: ?|event: |: |error: |\\{\"a\":\"ä🦦\"\\}|\r\n|\n|\r|\u{feff}|x){0,40}",
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let pieces = cuts(text.as_bytes(), &at);
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(frames(Framing::events(), &pieces), frames(Framing::events(), &[text.as_bytes()]));
            prop_assert_eq!(frames(Framing::lines(), &pieces), frames(Framing::lines(), &[text.as_bytes()]));
        }

        #[test]
        fn no_bytes_are_too_odd(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let pieces = cuts(&bytes, &at);
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(frames(Framing::events(), &pieces), frames(Framing::events(), &[&bytes]));
            prop_assert_eq!(frames(Framing::lines(), &pieces), frames(Framing::lines(), &[&bytes]));
        }
    }
}
