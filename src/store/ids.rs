//! Names of restores, undo points and what is in the trash: made at random, and checked before they become part of a path.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FileName;
use crate::error::{Error, Result};

const DIGITS: usize = 32;

fn parse(text: &str) -> Result<FileName> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() == DIGITS && text.bytes().all(is_hex) {
        FileName::parse(text)
    } else {
        Err(Error::invalid("bad_id", "An id is 32 lowercase hexadecimal digits."))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(FileName);

        impl $name {
            /// Takes `text` only if it has the form of an id.
            pub fn parse(text: &str) -> Result<Self> {
                parse(text).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            pub(crate) fn new() -> Result<Self> {
                Self::parse(&crate::random::random_hex::<{ DIGITS / 2 }>()?)
            }

            pub(crate) fn as_name(&self) -> &FileName {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

id! {
    /// A restore that has been prepared.
    RestoreId
}
id! {
    /// An undo point.
    UndoId
}
id! {
    /// Something in a user's trash.
    TrashId
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("")]
    #[case("..")]
    #[case("0123456789abcdef0123456789abcde")]
    #[case("0123456789abcdef0123456789abcdeF")]
    #[case("0123456789abcdef/123456789abcdef")]
    #[case("../../../../../../../../../../..")]
    fn what_is_no_id(#[case] text: &str) {
        assert!(UndoId::parse(text).is_err(), "{text:?}");
    }

    #[test]
    fn a_new_id_is_an_id() {
        let id = RestoreId::new().unwrap();
        assert_eq!(RestoreId::parse(id.as_str()).unwrap(), id);
    }
}
