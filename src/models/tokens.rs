//! How many tokens a text is.

/// A count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub tokens: usize,
    /// Counted with the model's own tokenizer, rather than estimated.
    pub exact: bool,
}

/// Counts the tokens of `text` for `model`.
pub fn count(_model: &str, text: &str) -> Count {
    Count { tokens: estimate(text), exact: false }
}

/// An estimate from the length alone: 3.35 bytes a token.
fn estimate(text: &str) -> usize {
    (text.len() * 20).div_ceil(67)
}
