//! Where a value came from, and what can be said about a configuration that is wrong or odd.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where the effective value of a key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it: the built-in default.
    Default,
    /// The configuration file, at the key's own place (both counted from 1, columns in characters).
    File {
        /// The label the caller gave the file, usually its path.
        file: Arc<Path>,
        /// Line of the key.
        line: usize,
        /// Column of the key.
        column: usize,
    },
    /// `_system/settings.json`, which the host may write.
    Settings,
    /// The environment variable of this name.
    Env(String),
    /// An option of the command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line, column } => {
                write!(f, "{}, line {line}, column {column}", file.display())
            }
            Origin::Settings => f.write_str("_system/settings.json"),
            Origin::Env(name) => f.write_str(name),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a configuration cannot be used. Each text is one line, says where to look and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More text than anybody writes by hand.
    #[error("{source_name}: {size} bytes are too many, a configuration may have 1 MiB (1048576 bytes)")]
    TooLarge {
        /// The file, as the caller labelled it.
        source_name: String,
        /// Its size in bytes.
        size: usize,
    },
    /// Not YAML (or, for `_system/settings.json`, not JSON). The reason carries line and column.
    #[error("{source_name}: cannot be read: {reason}")]
    Syntax {
        /// The file or variable.
        source_name: String,
        /// What the parser said.
        reason: String,
    },
    /// One key written twice in one place.
    #[error("{again}: {key}: is set a second time, the first is at {first}")]
    Duplicate {
        /// Full path of the key.
        key: String,
        /// The first mention.
        first: Origin,
        /// The second mention.
        again: Origin,
    },
    /// A value of the wrong type, out of its range, or at odds with another key.
    #[error("{origin}: {key}: {problem}")]
    Invalid {
        /// Full path of the key.
        key: String,
        /// Where the value was set.
        origin: Origin,
        /// What was expected and what was found.
        problem: String,
    },
}

impl ConfigError {
    /// An [`Invalid`](ConfigError::Invalid) whose origin the caller does not know (yet).
    pub(super) fn invalid(key: &str, problem: impl Into<String>) -> Self {
        ConfigError::Invalid { key: key.to_owned(), origin: Origin::Default, problem: problem.into() }
    }
}

/// Something odd that does not keep the server from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A key that nobody knows, most likely misspelt.
    UnknownKey {
        /// Full path of the key as written.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A `TAVERNKEEP_*` environment variable that belongs to no key.
    UnknownVariable {
        /// The variable's name.
        name: String,
        /// The known variable that looks most like it.
        nearest: Option<String>,
    },
    /// Keys of SillyTavern that have no meaning here (yet). A note more than a warning: see [`Warning::is_note`].
    SillyTavernKeys {
        /// Their full paths.
        keys: Vec<String>,
    },
    /// A key that `_system/settings.json` cannot set, because that is found through it.
    NotInSettings {
        /// Full path of the key.
        key: String,
    },
}

impl Warning {
    /// Whether this is information rather than a reason to look at the configuration.
    pub fn is_note(&self) -> bool {
        matches!(self, Warning::SillyTavernKeys { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownKey { key, origin, nearest } => {
                write!(f, "{origin}: {}: no such key", clip(key))?;
                did_you_mean(f, nearest)
            }
            Warning::UnknownVariable { name, nearest } => {
                write!(f, "{}: no such variable", clip(name))?;
                did_you_mean(f, nearest)
            }
            Warning::SillyTavernKeys { keys } => {
                write!(f, "keys of SillyTavern that have no effect here: {}", keys.join(", "))
            }
            Warning::NotInSettings { key } => {
                write!(f, "{}: {key}: has no effect there; set it in config.yaml", Origin::Settings)
            }
        }
    }
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, nearest: &Option<String>) -> fmt::Result {
    match nearest {
        Some(nearest) => write!(f, ", did you mean {nearest}?"),
        None => Ok(()),
    }
}

/// At most 80 characters of a text that somebody else wrote, without control characters, for a message.
pub(super) fn clip(text: &str) -> String {
    let mut short: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}
