//! A text that grows while it is looked at.

use super::{LIMIT, chunks, plain, write};

/// Renders a text that comes in piece by piece. However it was cut, [`Incremental::finish`] gives what
/// [`markdown`](super::markdown) gives for the whole.
#[derive(Debug, Default)]
pub struct Incremental {
    text: String,
    /// Up to where the text will not look different again, in bytes.
    settled: usize,
    /// That part as HTML.
    html: String,
}

impl Incremental {
    /// Appends a piece.
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// The text so far as safe HTML. Only what can still change is rendered; a long piece of code gets its colours when it
    /// is complete.
    pub fn html(&mut self) -> String {
        self.with_tail(true)
    }

    /// The whole text as safe HTML. It is rendered once more from its beginning, so that it cannot matter how it was cut.
    pub fn finish(self) -> String {
        Self { text: self.text, ..Self::default() }.with_tail(false)
    }

    fn with_tail(&mut self, growing: bool) -> String {
        if self.text.len() > LIMIT {
            return plain(&self.text);
        }
        self.settle();
        let tail = write::chunk(&self.text[self.settled..], growing);
        let mut html = String::with_capacity(self.html.len() + tail.len());
        html.push_str(&self.html);
        html.push_str(&tail);
        html
    }

    fn settle(&mut self) {
        let open = &self.text[self.settled..];
        let mut from = 0;
        for end in chunks::settled(open) {
            self.html.push_str(&write::chunk(&open[from..end], false));
            from = end;
        }
        self.settled += from;
    }
}
