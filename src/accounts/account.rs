//! An account's record, `_system/accounts/<handle>.json`.

use serde::{Deserialize, Serialize};

use super::password::PasswordHash;
use crate::access::{Actor, Role};
use crate::error::{Error, Result};
use crate::random;
use crate::store::Handle;

/// The longest display name, in characters.
const NAME_MAX: usize = 100;

/// Somebody who lives here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account's name in paths and at sign-in; it never changes.
    pub handle: Handle,
    /// The name that others see.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// Whether it can sign in.
    pub enabled: bool,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// The password's hash, or none: then anyone may sign in who picks the name.
    pub password: Option<PasswordHash>,
    /// Names this state of the credentials. Sessions carry the one they were made under and end when it changes (R8).
    pub epoch: String,
}

impl Account {
    /// A new, enabled account.
    pub fn new(handle: Handle, name: &str, role: Role, password: Option<PasswordHash>) -> Result<Self> {
        Ok(Self {
            handle,
            name: check_name(name)?,
            role,
            enabled: true,
            created: crate::clock::now_ms(),
            password,
            epoch: new_epoch()?,
        })
    }

    /// The account as somebody who acts.
    pub fn actor(&self) -> Actor<'_> {
        Actor { handle: &self.handle, role: self.role }
    }

    /// Whether it is an admin who can sign in.
    pub fn is_active_admin(&self) -> bool {
        self.enabled && self.role == Role::Admin
    }
}

/// A new name for a state of the credentials.
pub(super) fn new_epoch() -> Result<String> {
    random::random_hex::<8>()
}

/// A display name: trimmed, not empty, no control characters; what nobody sees is left out of it.
pub(super) fn check_name(name: &str) -> Result<String> {
    let name = seen(name);
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::invalid("bad_name", "A name is needed."));
    }
    if name.chars().count() > NAME_MAX {
        return Err(Error::invalid("bad_name", "A name has at most 100 characters."));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid("bad_name", "A name cannot have control characters."));
    }
    Ok(name.to_owned())
}

/// A name without what turns the text around it, and without what cannot be seen: two people who look alike are called
/// alike. What joins emoji, or shapes letters of scripts that need it, stays there.
fn seen(name: &str) -> String {
    let mut seen = String::with_capacity(name.len());
    for c in name.chars() {
        let before = seen.chars().next_back();
        let stays = match c {
            '\u{200d}' => before.is_some_and(|c| is_joining(c) || is_pictorial(c)),
            '\u{200c}' => before.is_some_and(is_joining),
            '\u{fe0e}' | '\u{fe0f}' => before.is_some_and(is_pictorial),
            c => !is_unseen(c),
        };
        if stays {
            seen.push(c);
        }
    }
    seen
}

/// Marks of direction, widths of nothing, tags, fillers, variation selectors.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters from Arabic to Sinhala and Mongolian, whose shapes joiners change.
fn is_joining(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{dff}' | '\u{1800}'..='\u{18af}') && !is_unseen(c)
}

/// Symbols and emoji, and what makes an emoji of them.
fn is_pictorial(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}') && c != '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(" Ada ", "Ada")]
    #[case("A\u{200d}da", "Ada")]
    #[case("Ada\u{200b}\u{2060}\u{feff}\u{ad}", "Ada")]
    #[case("\u{202e}adA\u{202c}", "adA")]
    #[case("\u{2066}Ada\u{2069} \u{200b}", "Ada")]
    #[case("Ada\u{e0041}\u{e007f}\u{fe0f}\u{e0100}", "Ada")]
    #[case("Ada\u{3164}\u{2800}\u{115f}", "Ada")]
    #[case("עדה", "עדה")]
    #[case("می\u{200c}خواهم", "می\u{200c}خواهم")]
    #[case("क्\u{200d}ष", "क्\u{200d}ष")]
    #[case("👩\u{200d}🚀 Ada ❤\u{fe0f}\u{200d}🔥", "👩\u{200d}🚀 Ada ❤\u{fe0f}\u{200d}🔥")]
    #[case("Zoe\u{308}", "Zoe\u{308}")]
    fn what_nobody_sees_is_no_part_of_a_name(#[case] typed: &str, #[case] kept: &str) {
        assert_eq!(check_name(typed).unwrap(), kept);
        assert_eq!(check_name(kept).unwrap(), kept, "once is enough");
    }

    #[rstest]
    #[case("")]
    #[case("\u{200b}\u{202e} \u{3164}")]
    #[case("A\nda")]
    #[case("A\u{85}da")]
    fn some_are_no_names(#[case] typed: &str) {
        assert_eq!(check_name(typed).unwrap_err().code(), "bad_name");
    }
}
