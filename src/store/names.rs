//! Names that have been checked. A path is built from these and from nothing else (promise R1).

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Result};

/// The longest handle we make: folder names, cookies and log lines stay short.
const HANDLE_MAX: usize = 64;
/// What the usual file systems take for one name, in bytes.
const NAME_MAX: usize = 255;
/// Folders deeper than this are nobody's chats.
const DEPTH_MAX: usize = 32;
/// Files that we are still writing start like this; readers and backups pass them over.
pub(crate) const TEMP_PREFIX: &str = ".tavernkeep-";

/// The name of an account and of its folder: `[a-z0-9]+(-[a-z0-9]+)*`, as SillyTavern makes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(Box<str>);

impl Handle {
    /// The account that everything belongs to while accounts are off.
    pub fn default_user() -> Self {
        Self("default-user".into())
    }

    /// Takes `text` only if it already is a handle.
    pub fn parse(text: &str) -> Result<Self> {
        let well_formed = !text.is_empty()
            && text.len() <= HANDLE_MAX
            && text
                .split('-')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(Error::invalid(
                "bad_handle",
                "A handle has lowercase letters, digits and single dashes between them, at most 64 in all.",
            ))
        }
    }

    /// Makes a handle of what a person typed: letters of any script in plain ones, all else turned into dashes. `None` when
    /// nothing is left.
    pub fn slug(text: &str) -> Option<Self> {
        let mut slug = String::new();
        let mut between_words = false;
        for c in text.nfc().filter(|c| !is_combining_mark(*c)) {
            let plain = if c.is_alphanumeric() { deunicode::deunicode_char(c).unwrap_or_default() } else { " " };
            for c in plain.chars() {
                if !c.is_ascii_alphanumeric() {
                    between_words = true;
                    continue;
                }
                if between_words && !slug.is_empty() {
                    slug.push('-');
                }
                between_words = false;
                slug.push(c.to_ascii_lowercase());
            }
        }
        slug.truncate(HANDLE_MAX);
        Self::parse(slug.trim_end_matches('-')).ok()
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the fallback account, which can be disabled but never deleted.
    pub fn is_default_user(&self) -> bool {
        &*self.0 == "default-user"
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Handle {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0.into()
    }
}

/// One component of a path: never empty, never `.` or `..`, no separators, no control characters.
///
/// It is as generous as SillyTavern's folders need (spaces, `@`, any script) and refuses what only attacks need.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(Cow<'static, str>);

impl FileName {
    /// Takes `text` only if it is safe as one component of a path.
    pub fn parse(text: &str) -> Result<Self> {
        match Self::fault(text) {
            None => Ok(Self(Cow::Owned(text.to_owned()))),
            Some(fault) => Err(Error::invalid("bad_name", format!("This file name cannot be used: {fault}."))),
        }
    }

    /// Makes a name of what a person typed, of at most so many bytes: without what some file system refuses, as SillyTavern
    /// makes them. `None` when nothing is left.
    pub fn made_of(text: &str, longest: usize) -> Option<Self> {
        let refused = |c: char| c.is_control() || matches!(c, '/' | '?' | '<' | '>' | '\\' | ':' | '*' | '|' | '"');
        let cut = |text: &str| {
            let short = &text[..text.floor_char_boundary(longest)];
            short.trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
        };
        let kept: String = text.chars().filter(|c| !refused(*c)).collect();
        let mut name = cut(kept.trim_start());
        let first = name.split('.').next().unwrap_or_default().trim_end();
        if is_device(first) {
            name.insert(first.len(), '_');
            name = cut(&name);
        }
        Self::parse(&name).ok()
    }

    /// A name written in our own source.
    pub const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fault(text: &str) -> Option<&'static str> {
        if text.is_empty() {
            return Some("it is empty");
        }
        if text.len() > NAME_MAX {
            return Some("it is longer than 255 bytes");
        }
        if text.bytes().all(|b| b == b'.') {
            return Some("it has nothing but dots");
        }
        if text.trim().is_empty() {
            return Some("it has nothing but spaces");
        }
        if text.contains(['/', '\\']) {
            return Some("it has a slash");
        }
        if text.chars().any(|c| c.is_control() || is_bidi_control(c)) {
            return Some("it has a control character");
        }
        if text.starts_with(TEMP_PREFIX) {
            return Some("it is one of the server's own temporary names");
        }
        None
    }
}

/// Names that Windows keeps for itself, with any ending.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let port = name.strip_prefix("com").or(name.strip_prefix("lpt"));
    let is_port = port.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']));
    is_port || matches!(name.as_str(), "con" | "prn" | "aux" | "nul")
}

/// Marks that turn the reading direction can make `gpj.exe` look like a picture.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FileName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0.into_owned()
    }
}

/// A path below a user's folder, component by component, as it stands in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

impl RelPath {
    /// Takes `a/b/c` if each component is a [`FileName`]; a trailing slash (a folder in an archive) is not accepted.
    pub fn parse(text: &str) -> Result<Self> {
        for part in text.split('/') {
            FileName::parse(part)?;
        }
        if text.split('/').count() > DEPTH_MAX {
            return Err(Error::invalid("bad_name", "This path has more than 32 folders in it."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The path with `/` between its components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first component.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The path of the folder that this is in, unless it is at the top.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// This path and those of all folders that it is in.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let above = self.0.match_indices('/').map(|(end, _)| &self.0[..end]);
        above.chain(std::iter::once(self.as_str()))
    }
}

impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RelPath {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ada", true)]
    #[case("default-user", true)]
    #[case("bob-the-2nd", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("a--b", false)]
    #[case("Ada", false)]
    #[case("_system", false)]
    #[case("../x", false)]
    #[case("a/b", false)]
    #[case("a\0b", false)]
    #[case("böb", false)]
    fn handles(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Handle::parse(text).is_ok(), good, "{text:?}");
    }

    #[rstest]
    #[case("Böb The 2nd", Some("bob-the-2nd"))]
    #[case("  Ada  ", Some("ada"))]
    #[case("Ærøskøbing", Some("aeroskobing"))]
    #[case("../../etc/passwd", Some("etc-passwd"))]
    #[case("Bob \u{1f642}", Some("bob"))]
    #[case("\u{1f642}", None)]
    #[case("cafe\u{301}", Some("cafe"))]
    #[case("O'Neil", Some("o-neil"))]
    #[case("---", None)]
    #[case("", None)]
    fn slugs(#[case] text: &str, #[case] slug: Option<&str>) {
        assert_eq!(Handle::slug(text).as_ref().map(Handle::as_str), slug);
    }

    #[rstest]
    #[case("settings.json")]
    #[case("Ada Test - 2026-11-22@03h53m47s652ms.jsonl")]
    #[case("日本語.png")]
    #[case(".hidden")]
    fn good_names(#[case] text: &str) {
        assert!(FileName::parse(text).is_ok());
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("..")]
    #[case("...")]
    #[case(" ")]
    #[case("a/b")]
    #[case("a\\b")]
    #[case("\0")]
    #[case("a\nb")]
    #[case("x\u{202e}gpj.exe")]
    #[case(".tavernkeep-x")]
    fn bad_names(#[case] text: &str) {
        assert!(FileName::parse(text).is_err(), "{text:?}");
        assert!(RelPath::parse(text).is_err() || text == "a/b", "{text:?}");
    }

    #[rstest]
    #[case("/abs")]
    #[case("a//b")]
    #[case("a/../b")]
    #[case("a/./b")]
    #[case("a/")]
    fn bad_paths(#[case] text: &str) {
        assert!(RelPath::parse(text).is_err());
    }

    #[rstest]
    #[case("My chat", Some("My chat"))]
    #[case("../../etc/passwd", Some("....etcpasswd"))]
    #[case("a/b:c*?", Some("abc"))]
    #[case(" x. ", Some("x"))]
    #[case("日本", Some("日本"))]
    #[case("con", Some("con_"))]
    #[case("COM1 .txt", Some("COM1_ .txt"))]
    #[case("lpt10", Some("lpt10"))]
    #[case("console", Some("console"))]
    #[case("..", None)]
    #[case(" ", None)]
    #[case("", None)]
    #[case("\u{202e}x", None)]
    #[case(".tavernkeep-x", None)]
    fn made_names(#[case] text: &str, #[case] name: Option<&str>) {
        assert_eq!(FileName::made_of(text, 100).as_ref().map(FileName::as_str), name);
    }

    proptest::proptest! {
        #[test]
        fn a_made_name_is_short_plain_and_its_own_name(text in "\\PC{0,40}|[a-z./\\\\:* \0]{0,40}|(con|COM1|nul)[. a-z]{0,3}", longest in 5..30usize) {
            if let Some(name) = FileName::made_of(&text, longest) {
                proptest::prop_assert!(name.as_str().len() <= longest);
                proptest::prop_assert!(!name.as_str().contains(['/', '?', '<', '>', '\\', ':', '*', '|', '"']));
                proptest::prop_assert!(!is_device(name.as_str().split('.').next().unwrap().trim_end()));
                proptest::prop_assert_eq!(FileName::made_of(name.as_str(), longest).unwrap(), name);
            }
        }

        #[test]
        fn a_slug_is_a_handle_and_its_own_slug(text in ".*") {
            if let Some(slug) = Handle::slug(&text) {
                proptest::prop_assert_eq!(Handle::parse(slug.as_str()).unwrap(), slug.clone());
                proptest::prop_assert_eq!(Handle::slug(slug.as_str()).unwrap(), slug);
            }
        }

        #[test]
        fn a_checked_path_never_climbs(text in ".*") {
            if let Ok(path) = RelPath::parse(&text) {
                let joined = std::path::Path::new("/root").join(path.as_str());
                proptest::prop_assert!(joined.starts_with("/root"));
                proptest::prop_assert!(joined.components().all(|c| !matches!(c, std::path::Component::ParentDir)));
            }
        }
    }
}
