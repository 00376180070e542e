//! Places in the data folder: built downwards from checked names only.

use std::path::{Path, PathBuf};

use super::names::{FileName, Handle, RelPath};

/// A folder of a user, by SillyTavern's name for it, or one of the server's own under `_system`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Folder(pub(crate) &'static str);

/// The folders every user has, as SillyTavern 1.19 makes them at start.
pub const USER_FOLDERS: &[Folder] = &[
    Folder("thumbnails/bg"),
    Folder("thumbnails/avatar"),
    Folder("thumbnails/persona"),
    Folder("worlds"),
    Folder("User Avatars"),
    Folder("user/images"),
    Folder("user/workflows"),
    Folder("user/files"),
    Folder("groups"),
    Folder("group chats"),
    Folder("chats"),
    Folder("characters"),
    Folder("backgrounds"),
    Folder("NovelAI Settings"),
    Folder("KoboldAI Settings"),
    Folder("OpenAI Settings"),
    Folder("TextGen Settings"),
    Folder("themes"),
    Folder("movingUI"),
    Folder("extensions"),
    Folder("instruct"),
    Folder("context"),
    Folder("QuickReplies"),
    Folder("assets"),
    Folder("vectors"),
    Folder("backups"),
    Folder("sysprompt"),
    Folder("reasoning"),
];

impl Folder {
    /// Settings snapshots and chat backups.
    pub const BACKUPS: Self = Self("backups");
    /// Persona pictures.
    pub const PERSONAS: Self = Self("User Avatars");
    /// Character cards.
    pub const CHARACTERS: Self = Self("characters");
    /// Chats, one folder a character.
    pub const CHATS: Self = Self("chats");
    /// Chats of groups of characters.
    pub const GROUP_CHATS: Self = Self("group chats");
    /// Groups of characters.
    pub const GROUPS: Self = Self("groups");
    /// Lorebooks.
    pub const WORLDS: Self = Self("worlds");
    /// SillyTavern's instruct templates.
    pub const INSTRUCT: Self = Self("instruct");
    /// SillyTavern's context templates.
    pub const CONTEXT: Self = Self("context");
    /// SillyTavern's system prompts.
    pub const SYSTEM_PROMPTS: Self = Self("sysprompt");
    /// What was found in people's cards: derived, may be deleted at any time.
    pub const CARD_INDEX: Self = Self("index/characters");
    /// Small pictures of characters, in the size of SillyTavern's client.
    pub const CHARACTER_THUMBNAILS: Self = Self("thumbnails/avatar");
    /// The same in the size of our own pages.
    pub const OWN_CHARACTER_THUMBNAILS: Self = Self("thumbnails/tavernkeep/avatar");
    /// Small pictures of personas, in the size of SillyTavern's client.
    pub const PERSONA_THUMBNAILS: Self = Self("thumbnails/persona");
    /// The same in the size of our own pages.
    pub const OWN_PERSONA_THUMBNAILS: Self = Self("thumbnails/tavernkeep/persona");
    /// One record per account.
    pub const ACCOUNTS: Self = Self("accounts");
    /// Account pictures, one file per account.
    pub const AVATARS: Self = Self("avatars");
    /// The audit log, one file per month.
    pub const EVENTS: Self = Self("events");
    /// One file per account with its sessions.
    pub const SESSIONS: Self = Self("sessions");
    /// What restores and resets replaced: `undo/<handle>/<id>`.
    pub const UNDO: Self = Self("undo");
    /// Restores being prepared: `restores/<id>`.
    pub const RESTORES: Self = Self("restores");
    /// Journals of exchanges under way, one per account: `swaps/<handle>.json`.
    pub const SWAPS: Self = Self("swaps");
    /// The files of a restore, an undo point or a deleted account, below its record.
    pub const TREE: Self = Self("tree");
    /// Derived pictures; never in a backup.
    pub const THUMBNAILS: Self = Self("thumbnails");
    /// Folders of deleted accounts: `trash/<handle>-<time>`. In a user's folder, what was deleted or replaced there:
    /// `trash/<id>`; never in a backup.
    pub const TRASH: Self = Self("trash");
    /// Journals of replies under way: `generations/<id>.jsonl`.
    pub const GENERATIONS: Self = Self("generations");
    /// Pictures in chats, one folder a character.
    pub const IMAGES: Self = Self("user/images");
    /// What SillyTavern has no place for, such as which chats are pinned.
    pub const OURS: Self = Self("tavernkeep");
    /// Connections to model servers, one file each: a user's, or under `_system` the house's.
    pub const CONNECTIONS: Self = Self("connections");
    /// Keys of connections, encrypted: one file per account, and the house's.
    pub const SECRETS: Self = Self("secrets");
    /// What models were asked for: `usage/<handle>/<month>.jsonl`.
    pub const USAGE: Self = Self("usage");
    /// API keys, as hashes: one file per account.
    pub const KEYS: Self = Self("keys");
    /// Indexes of chats, derived from them: `search/<handle>`.
    pub const SEARCH: Self = Self("search");
    /// Lock files that keep the server and the command line apart.
    pub const LOCKS: Self = Self("locks");

    /// The folder's name, possibly with a `/` in it.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// A place in the data folder, relative to its root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place(PathBuf);

impl Place {
    /// The folder of a user.
    pub fn of(handle: &Handle) -> Self {
        Self(PathBuf::from(handle.as_str()))
    }

    /// The server's own folder.
    pub fn system() -> Self {
        Self(PathBuf::from("_system"))
    }

    /// SillyTavern's account records.
    pub fn sillytavern_accounts() -> Self {
        Self(PathBuf::from("_storage"))
    }

    /// A known folder below.
    #[must_use]
    pub fn folder(&self, folder: Folder) -> Self {
        Self(self.0.join(folder.0))
    }

    /// A file or folder with a checked name.
    #[must_use]
    pub fn file(&self, name: &FileName) -> Self {
        Self(self.0.join(name.as_str()))
    }

    /// A file or folder named after a handle, with an ending such as `.json`.
    #[must_use]
    pub fn named(&self, handle: &Handle, ending: &'static str) -> Self {
        Self(self.0.join(format!("{handle}{ending}")))
    }

    /// Several components below.
    #[must_use]
    pub fn below(&self, path: &RelPath) -> Self {
        Self(self.0.join(path.as_str()))
    }

    /// The path relative to the data root.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}
