//! What chats are called.

use super::ENDING;
use crate::clock;
use crate::error::{Error, Result};
use crate::store::FileName;

/// What a file system takes for one name, less our ending.
const LONGEST: usize = 255 - ENDING.len();

/// The name of a chat, of what a person typed.
pub fn typed_name(text: &str) -> Result<FileName> {
    let empty = || Error::invalid("bad_name", "A chat needs a name with at least one letter or digit.");
    FileName::made_of(text, LONGEST).ok_or_else(empty)
}

/// The name of a chat that is begun now: `<character> - <time>`.
pub fn new_name(character: &str) -> Result<FileName> {
    timed_name(character, &clock::chat_stamp())
}

/// The name of a chat that comes from elsewhere without one.
pub(super) fn imported_name(character: &str) -> Result<FileName> {
    timed_name(character, &format!("{} imported", clock::chat_stamp()))
}

fn timed_name(character: &str, stamp: &str) -> Result<FileName> {
    let named = typed_name(character).unwrap_or(FileName::known("Chat"));
    let room = LONGEST.saturating_sub(stamp.len() + 3);
    FileName::parse(&format!("{} - {stamp}", cut(named.as_str(), room).trim_end()))
}

/// The `n`-th branch of a chat, as SillyTavern calls it: branches of a branch are branches of the same chat.
pub fn branch_name(chat: &str, n: usize) -> Result<FileName> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let clean = match chat.rsplit_once(" - Branch #") {
        Some((before, number)) if is_number(number) && !before.is_empty() => before,
        _ => chat,
    };
    let clean = match clean.strip_prefix("Branch #").and_then(|rest| rest.split_once(" - ")) {
        Some((number, after)) if is_number(number) && !after.is_empty() => after,
        _ => clean,
    };
    let ending = format!(" - Branch #{n}");
    FileName::parse(&format!("{}{ending}", cut(clean, LONGEST - ending.len())))
}

/// `name`, or for `n` above 0 the `n`-th like it.
pub(super) fn numbered(name: &FileName, n: usize) -> Result<FileName> {
    if n == 0 {
        return Ok(name.clone());
    }
    let ending = format!(" {}", n + 1);
    FileName::parse(&format!("{}{ending}", cut(name.as_str(), LONGEST - ending.len())))
}

/// The beginning of `text`, of at most so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("A", "A - Branch #3")]
    #[case("A - Branch #1", "A - Branch #3")]
    #[case("A - Branch #x", "A - Branch #x - Branch #3")]
    #[case("Branch #7 - A", "A - Branch #3")]
    fn branches(#[case] chat: &str, #[case] name: &str) {
        assert_eq!(branch_name(chat, 3).unwrap().as_str(), name);
    }

    proptest::proptest! {
        #[test]
        fn every_name_has_room_for_its_ending(text in "\\PC{0,300}") {
            for name in [typed_name(&text), new_name(&text), branch_name(&text, 12)].into_iter().flatten() {
                proptest::prop_assert!(name.as_str().len() + ENDING.len() <= 255);
            }
        }
    }
}
