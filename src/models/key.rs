//! The key of a connection, on its way from the vault to the request that needs it.

use std::fmt;

use crate::egress::HeaderValue;
use crate::error::{Error, Result};

/// The longest key that is taken, in bytes. Providers' keys have about a hundred; some are signed tokens.
const LONGEST: usize = 8 * 1024;

/// A provider's key. It has no serialiser, and nothing that prints it: whoever needs the text says [`Key::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes what somebody typed or pasted. It becomes a header's value, so it has to be able to be one.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::invalid("bad_key", "A key is needed. Leave the field out for a server without keys."));
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(
                "bad_key",
                "This is no key: a key has letters, digits and signs, no spaces and no line breaks. Copy it again.",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
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

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_and_is_not_printed() {
        let key = Key::parse(" sk-CANARY-1/2+3=\n").unwrap();
        assert_eq!(key.expose(), "sk-CANARY-1/2+3=");
        assert!(!format!("{key:?}").contains("CANARY"));
        assert!(key.header("Bearer ").unwrap().is_sensitive());
        assert_eq!(key.scrub("no sk-CANARY-1/2+3= here"), "no ••• here");
        for bad in ["", "  ", "two words", "a\r\nX-Evil: 1", "schlüssel", &"x".repeat(LONGEST + 1)] {
            assert_eq!(Key::parse(bad).unwrap_err().code(), "bad_key", "{bad:?}");
        }
    }
}
