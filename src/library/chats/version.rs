//! The version of a chat: what a change names as the one it replaces. It costs one look at the file, whatever its size.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::Stat;

/// A short hash of what tells one state of a chat's file from another: inode, size, time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatVersion([u8; 8]);

impl ChatVersion {
    /// The version of the file that looks like this.
    pub fn of(stat: &Stat) -> Self {
        let nanos = |time: SystemTime| match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |nanos| -nanos),
        };
        let mut hasher = Sha256::new();
        hasher.update(stat.inode.to_le_bytes());
        hasher.update(stat.size.to_le_bytes());
        hasher.update(nanos(stat.modified).to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut short = [0; 8];
        short.copy_from_slice(&digest[..8]);
        Self(short)
    }

    /// Reads the text form, 16 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("bad_version", "The version of a chat is 16 hexadecimal digits.");
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| wrong())
    }
}

impl fmt::Display for ChatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ChatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for ChatVersion {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ChatVersion> for String {
    fn from(version: ChatVersion) -> Self {
        version.to_string()
    }
}

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there: for what adds to a chat and takes nothing away.
    Anything,
    /// Exactly this version.
    Version(ChatVersion),
}

impl Expect {
    pub(super) fn check(self, found: ChatVersion) -> Result<()> {
        match self {
            Self::Version(expected) if expected != found => Err(Error::conflict(
                "stale",
                "This chat was changed meanwhile, in another window perhaps. Nothing was changed; load it again.",
            )
            .with_details(serde_json::json!({ "expected": expected, "found": found }))),
            _ => Ok(()),
        }
    }
}

impl From<ChatVersion> for Expect {
    fn from(version: ChatVersion) -> Self {
        Self::Version(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let version = ChatVersion([0, 1, 2, 3, 4, 5, 6, 255]);
        assert_eq!(ChatVersion::parse(&version.to_string()).unwrap(), version);
        for wrong in ["", "xyz", "+123456789abcdef", "0123456789abcde", "0123456789abcdeé"] {
            assert!(ChatVersion::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
