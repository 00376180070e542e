//! Passwords and their hashes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// What bcrypt can take, in bytes: one less than its block, because the terminating zero counts.
pub const LONGEST: usize = 71;
/// Longer input is not even looked at.
const LONGEST_ATTEMPT: usize = 1024;

/// A password that may be set: not empty, and short enough that no part of it is ignored.
pub struct Password(String);

impl Password {
    /// Takes `text` as a new password; empty means none.
    pub fn optional(text: &str) -> Result<Option<Self>> {
        let normal: String = text.nfc().collect();
        if normal.is_empty() {
            return Ok(None);
        }
        if normal.len() > LONGEST {
            return Err(Error::invalid(
                "password_too_long",
                format!(
                    "A password can have at most {LONGEST} bytes (letters with accents count more than one); \
                     this one has {}. It was not cut: choose a shorter one.",
                    normal.len()
                ),
            ));
        }
        if normal.contains('\0') {
            return Err(Error::invalid("bad_password", "A password cannot contain a NUL character."));
        }
        Ok(Some(Self(normal)))
    }

    /// Hashes it by bcrypt; takes a quarter of a second at the usual cost of 12.
    pub fn hash(&self, cost: u32) -> Result<PasswordHash> {
        bcrypt::hash(&self.0, cost).map(PasswordHash::Bcrypt).map_err(Error::internal)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// What somebody typed to get in. Imported passwords may be longer than a new one can be.
pub struct Attempt(String);

impl Attempt {
    /// Takes what was typed; absurdly long input is refused.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST_ATTEMPT {
            return Err(Error::invalid("password_too_long", "That is longer than any password here."));
        }
        Ok(Self(text.nfc().collect()))
    }

    /// The same as a password that could be set, if it could.
    pub fn as_password(&self) -> Option<Password> {
        Password::optional(&self.0).ok().flatten()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(***)")
    }
}

/// A stored hash: `$2b$…` by us, or `$scrypt-st$<salt>$<hash>` taken over from SillyTavern until the next sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PasswordHash {
    /// bcrypt's own text form.
    Bcrypt(String),
    /// SillyTavern's `password` and `salt` fields, both base64; the salt is used as that text.
    Scrypt {
        /// The salt's text.
        salt: String,
        /// base64 of 64 bytes.
        hash: String,
    },
}

const SCRYPT_PREFIX: &str = "$scrypt-st$";

impl PasswordHash {
    /// Whether `attempt` is the password. Takes as long whether it is or not.
    pub fn verify(&self, attempt: &Attempt) -> bool {
        match self {
            Self::Bcrypt(hash) => attempt.0.len() <= LONGEST && bcrypt::verify(&attempt.0, hash).unwrap_or(false),
            Self::Scrypt { salt, hash } => {
                let Ok(stored) = STANDARD.decode(hash) else { return false };
                scrypt(&attempt.0, salt).is_some_and(|made| bool::from(made.as_slice().ct_eq(&stored)))
            }
        }
    }

    /// Whether it should be replaced by a bcrypt hash of `cost` at the next sign-in.
    pub fn is_outdated(&self, cost: u32) -> bool {
        match self {
            Self::Bcrypt(hash) => !hash.starts_with(&format!("$2b${cost:02}$")),
            Self::Scrypt { .. } => true,
        }
    }

    /// bcrypt's cost, if it is a bcrypt hash that can be checked at all.
    pub fn cost(&self) -> Option<u32> {
        match self {
            Self::Bcrypt(hash) => hash.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost()),
            Self::Scrypt { .. } => None,
        }
    }

    /// Whether it was taken over from SillyTavern.
    pub fn is_scrypt(&self) -> bool {
        matches!(self, Self::Scrypt { .. })
    }
}

/// SillyTavern 1.19's derivation: N = 16384, r = 8, p = 1, 64 bytes.
pub(super) fn scrypt(password: &str, salt: &str) -> Option<[u8; 64]> {
    let params = scrypt::Params::new(14, 8, 1).ok()?;
    let mut out = [0; 64];
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut out).ok()?;
    Some(out)
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = &'static str;
    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        match text.strip_prefix(SCRYPT_PREFIX).map(|rest| rest.split_once('$')) {
            Some(Some((salt, hash))) => Ok(Self::Scrypt { salt: salt.to_owned(), hash: hash.to_owned() }),
            Some(None) => Err("a scrypt hash without its salt"),
            None if text.starts_with("$2") && text.is_ascii() => Ok(Self::Bcrypt(text)),
            None => Err("a password hash of an unknown kind"),
        }
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        match hash {
            PasswordHash::Bcrypt(text) => text,
            PasswordHash::Scrypt { salt, hash } => format!("{SCRYPT_PREFIX}{salt}${hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> PasswordHash {
        Password::optional(text).unwrap().unwrap().hash(4).unwrap()
    }

    fn verify(hash: &PasswordHash, text: &str) -> bool {
        hash.verify(&Attempt::parse(text).unwrap())
    }

    #[test]
    fn a_long_password_is_refused_and_never_cut() {
        let longest = "x".repeat(LONGEST);
        assert!(verify(&hash(&longest), &longest));
        assert!(!verify(&hash(&longest), &format!("{longest}y")));
        assert_eq!(Password::optional(&"x".repeat(72)).unwrap_err().code(), "password_too_long");
        assert_eq!(Password::optional(&"é".repeat(36)).unwrap_err().code(), "password_too_long");
    }

    #[test]
    fn the_same_letters_from_another_keyboard_are_the_same_password() {
        assert!(verify(&hash("caf\u{e9}"), "cafe\u{301}"));
    }

    /// Made by Node: crypto.scryptSync('hunter2', 'c2FsdHNhbHRzYWx0c2FsdA==', 64).toString('base64').
    #[test]
    fn sillytaverns_hash_is_understood() {
        let text = "$scrypt-st$c2FsdHNhbHRzYWx0c2FsdA==$yfpsoDmUdXb8SvAz8zj1gADFHs2shkis7aNog3i0VdzEjJydIb4Ku8ab4WoEOjb01ExhKWh4JlEpunYJ3aPiyw==".to_owned();
        let hash = PasswordHash::try_from(text.clone()).unwrap();
        assert!(verify(&hash, "hunter2"));
        assert!(!verify(&hash, "hunter3"));
        assert!(hash.is_outdated(12));
        assert_eq!(String::from(hash), text);
    }

    #[test]
    fn strange_hashes_do_not_parse() {
        for text in ["", "plain", "$scrypt-st$only", "$2b$é"] {
            assert!(PasswordHash::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(!verify(&PasswordHash::Bcrypt("$2b$garbage".into()), "x"));
    }

    #[test]
    fn nothing_prints_a_password() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Password::optional("s3cret").unwrap(),
            Attempt::parse("s3cret").unwrap(),
            hash("s3cret")
        );
        assert!(!shown.contains("s3cret") && !shown.contains("$2b"));
    }
}
