//! The parts of a user's folder, as people think of them: what a restore offers to bring back.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::Folder;

/// One part of a user's folder. Every top-level name belongs to exactly one, except what
/// never comes into a backup: thumbnails, which are a cache, and the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the table below says what each one is")]
pub enum Part {
    Settings,
    Characters,
    Chats,
    Personas,
    Lorebooks,
    Presets,
    Backgrounds,
    Files,
    Extensions,
    Vectors,
    Snapshots,
    Secrets,
    Other,
}

struct Row {
    part: Part,
    id: &'static str,
    title: &'static str,
    tops: &'static [&'static str],
}

const fn row(part: Part, id: &'static str, title: &'static str, tops: &'static [&'static str]) -> Row {
    Row { part, id, title, tops }
}

/// In the order in which people are shown them.
const TABLE: [Row; 13] = [
    row(Part::Settings, "settings", "Settings", &["settings.json"]),
    row(Part::Characters, "characters", "Characters", &["characters"]),
    row(Part::Chats, "chats", "Chats and groups", &["chats", "group chats", "groups", "tavernkeep"]),
    row(Part::Personas, "personas", "Persona pictures", &["User Avatars"]),
    row(Part::Lorebooks, "lorebooks", "Lorebooks", &["worlds"]),
    row(
        Part::Presets,
        "presets",
        "Presets, prompts and themes",
        &[
            "NovelAI Settings",
            "KoboldAI Settings",
            "OpenAI Settings",
            "TextGen Settings",
            "instruct",
            "context",
            "sysprompt",
            "reasoning",
            "QuickReplies",
            "themes",
            "movingUI",
        ],
    ),
    row(Part::Backgrounds, "backgrounds", "Backgrounds", &["backgrounds", "image-metadata.json"]),
    row(Part::Files, "files", "Pictures and attachments", &["user", "assets"]),
    row(Part::Extensions, "extensions", "Extensions", &["extensions"]),
    row(Part::Vectors, "vectors", "Vector indexes", &["vectors"]),
    row(Part::Snapshots, "snapshots", "Settings snapshots and chat backups", &["backups"]),
    row(Part::Secrets, "secrets", "Keys of model providers", &["secrets.json"]),
    row(Part::Other, "other", "Everything else", &[]),
];

impl Part {
    /// All parts, in the order in which people are shown them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.part)
    }

    /// Takes the stable word for a part.
    pub fn parse(id: &str) -> Result<Self> {
        TABLE
            .iter()
            .find(|row| row.id == id)
            .map(|row| row.part)
            .ok_or_else(|| Error::invalid("bad_parts", "There is no part of that name."))
    }

    /// The stable word for programs.
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// The part that the top-level name `top` belongs to; none for thumbnails and the trash.
    pub(crate) fn of(top: &str) -> Option<Self> {
        if never_in_backups(top) {
            return None;
        }
        Some(TABLE.iter().find(|row| row.tops.contains(&top)).map_or(Self::Other, |row| row.part))
    }

    /// Whether thumbnails are made of this part's pictures, and are stale when they change.
    pub(crate) fn has_thumbnails(self) -> bool {
        matches!(self, Self::Characters | Self::Personas | Self::Backgrounds)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// Whether `top` is a name that backups leave out, and restores pass over.
pub(crate) fn never_in_backups(top: &str) -> bool {
    top == Folder::THUMBNAILS.as_str() || top == Folder::TRASH.as_str()
}

/// Whether `top` is a name that only a SillyTavern or Tavernkeep user folder is likely to have at its top.
pub(crate) fn is_known(top: &str) -> bool {
    Part::of(top) != Some(Part::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, part) in Part::all().enumerate() {
            assert_eq!(part as usize, index);
            assert_eq!(Part::parse(part.id()).unwrap(), part);
            assert_eq!(serde_json::to_value(part).unwrap(), part.id());
        }
    }

    #[test]
    fn every_folder_that_users_have_belongs_somewhere() {
        for folder in crate::store::USER_FOLDERS {
            let top = folder.as_str().split('/').next().unwrap();
            assert!(is_known(top), "{top}");
        }
        assert_eq!(Part::of("stats.json"), Some(Part::Other));
        assert_eq!(Part::of("thumbnails"), None);
        assert_eq!(Part::of("trash"), None);
    }
}
