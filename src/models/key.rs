//! A provider's key on its way to the provider.

use crate::egress::HeaderValue;
use crate::error::{Error, Result};

/// A key. It can neither be printed nor written by accident.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// The longest key that is taken.
    pub const MAX_LENGTH: usize = 4096;

    /// Takes a key as somebody pasted it.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(
                "bad_key",
                "That is no key: keys are one word of plain letters, digits and signs. Copy it again.",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key itself, for whoever encrypts it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of a header, `before` standing before the key. Programs that print headers leave it out.
    pub(super) fn header(&self, before: &str) -> Result<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{before}{}", self.0))
            .map_err(|_| Error::invalid("bad_key", "The key of this connection cannot be sent. Enter it again."))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// `text` without the key, should somebody have repeated it.
    pub(super) fn scrub(&self, text: &str) -> String {
        // A short one is no secret, and would be found in ordinary words.
        if self.0.len() < 6 { text.to_owned() } else { text.replace(&self.0, "•••") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_checked() {
        assert_eq!(Key::new("  sk-1 \n").unwrap().reveal(), "sk-1");
        for bad in ["", " ", "a b", "a\r\nX-Other: 1", "ключ", &"k".repeat(5000)] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
        assert!(Key::new("sk-1").unwrap().header("Bearer ").unwrap().is_sensitive());
    }
}
