//! A reply under way as markup, for whoever looks. Made beside the way of the words, so that no word waits for it; a dozen
//! times a second at most, and only while somebody looks.

/// A reply under way as markup.
#[derive(Debug)]
pub struct Shown {
    /// What the message had before.
    before: String,
}

impl Shown {
    /// A reply that goes on from `before`.
    pub fn after(before: String) -> Self {
        Self { before }
    }

    /// What the message had before.
    pub fn before(&self) -> &str {
        &self.before
    }
}
