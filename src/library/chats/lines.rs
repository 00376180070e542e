//! Where the lines of a chat's file are. Found by one look over the file, and extended by what is appended, so that a long
//! chat is opened by reading its end alone.

use std::ops::Range;

/// The lines of a file that hold something. Lines of nothing but white space are passed over, as every reader does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    ranges: Vec<Range<u64>>,
    size: u64,
    /// Whether the last byte ends a line, so that what is appended needs no `\n` before it.
    is_ended: bool,
}

impl Lines {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Where the `n`-th is, without the `\n` at its end.
    pub fn range(&self, n: usize) -> Option<Range<u64>> {
        self.ranges.get(n).cloned()
    }

    /// Where those from `lines.start` to before `lines.end` are, with all between them.
    pub fn span(&self, lines: &Range<usize>) -> Option<Range<u64>> {
        let last = lines.end.checked_sub(1).filter(|last| *last >= lines.start)?;
        Some(self.ranges.get(lines.start)?.start..self.ranges.get(last)?.end)
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether an appended line needs a `\n` before it.
    pub fn needs_break(&self) -> bool {
        self.size > 0 && !self.is_ended
    }

    /// Takes note of `bytes` that were appended and hold whole lines only.
    pub fn appended(&mut self, bytes: &[u8]) {
        let mut scan = Scan::after(std::mem::take(self));
        scan.look(bytes);
        *self = scan.finish();
    }
}

/// Looks over a file, piece by piece.
#[derive(Debug, Default)]
pub struct Scan {
    lines: Lines,
    start: u64,
    is_blank: bool,
}

impl Scan {
    /// At the beginning of a file.
    pub fn new() -> Self {
        Self { lines: Lines::default(), start: 0, is_blank: true }
    }

    /// Goes on behind `lines`, whose last line is over with the next byte, which is a `\n` unless it was already.
    fn after(lines: Lines) -> Self {
        let start = lines.size;
        Self { lines, start, is_blank: true }
    }

    /// The next bytes of the file.
    pub fn look(&mut self, piece: &[u8]) {
        let offset = self.lines.size;
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', piece) {
            self.part(&piece[from..at]);
            self.end_line(offset + at as u64);
            from = at + 1;
            self.start = offset + from as u64;
        }
        self.part(&piece[from..]);
        self.lines.size = offset + piece.len() as u64;
        if let Some(last) = piece.last() {
            self.lines.is_ended = *last == b'\n';
        }
    }

    fn part(&mut self, part: &[u8]) {
        self.is_blank = self.is_blank && part.iter().all(u8::is_ascii_whitespace);
    }

    fn end_line(&mut self, end: u64) {
        if !self.is_blank {
            self.lines.ranges.push(self.start..end);
        }
        self.is_blank = true;
    }

    /// The lines, when all has been looked at.
    pub fn finish(mut self) -> Lines {
        let size = self.lines.size;
        self.end_line(size);
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same without any cleverness.
    fn naive(bytes: &[u8]) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        let mut start = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                found.push(start as u64..(start + line.len()) as u64);
            }
            start += line.len() + 1;
        }
        found
    }

    fn scanned(bytes: &[u8], piece: usize) -> Lines {
        let mut scan = Scan::new();
        bytes.chunks(piece.max(1)).for_each(|chunk| scan.look(chunk));
        scan.finish()
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), Just(b'\r'), Just(b'{'), Just(b'}'), any::<u8>()],
            0..200,
        )
    }

    proptest! {
        #[test]
        fn finds_what_a_naive_reader_finds(bytes in bytes(), piece in 1usize..50) {
            let lines = scanned(&bytes, piece);
            prop_assert_eq!(&lines.ranges, &naive(&bytes));
            prop_assert_eq!(lines.size(), bytes.len() as u64);
            prop_assert_eq!(lines.needs_break(), bytes.last().is_some_and(|last| *last != b'\n'));
        }

        #[test]
        fn knows_after_appends_what_a_new_look_would_find(bytes in bytes(), added in prop::collection::vec("[a-z{}\"]{1,9}", 1..5)) {
            let mut whole = bytes.clone();
            let mut lines = scanned(&bytes, 7);
            for line in added {
                let mut addition = if lines.needs_break() { b"\n".to_vec() } else { Vec::new() };
                addition.extend_from_slice(line.as_bytes());
                lines.appended(&addition);
                whole.extend_from_slice(&addition);
                prop_assert_eq!(&lines, &scanned(&whole, 1000));
            }
        }
    }

    #[test]
    fn spans_and_ranges() {
        let lines = scanned(b"a\n\nbc\n d \n", 100);
        assert_eq!(lines.count(), 3);
        assert_eq!(lines.range(1), Some(3..5));
        assert_eq!(lines.span(&(0..2)), Some(0..5));
        assert_eq!(lines.span(&(1..1)), None);
        assert_eq!(lines.span(&(2..4)), None);
        assert!(!lines.needs_break() && Lines::default().count() == 0 && !Lines::default().needs_break());
    }
}
