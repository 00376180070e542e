//! The rest of the house: its name, its accounts, its log, and what the web client is told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ByteSize, lossy};

/// `house`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct House {
    /// What the pages call this server, 1 to 60 characters. Default `Tavernkeep`.
    pub name: String,
}

impl Default for House {
    fn default() -> Self {
        House { name: "Tavernkeep".into() }
    }
}

/// `passwords`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Passwords {
    /// Cost of bcrypt, 4 to 16: each step doubles the work of whoever guesses, and of each sign-in. Default `12`,
    /// about a quarter of a second.
    pub bcrypt_cost: u32,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords { bcrypt_cost: 12 }
    }
}

/// `recovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recovery {
    /// Digits of the code that the console prints for a forgotten password, 4 to 10. Default `4`.
    pub code_length: u8,
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery { code_length: 4 }
    }
}

/// `logging`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    /// Log each new visitor: time, address, browser. Default `true`.
    pub enable_access_log: bool,
    /// What is worth a line. Default `1` (SillyTavern: `0`).
    pub min_log_level: LogLevel,
    /// A file that the log is written to as well; empty for none, see [`Logging::file`]. Default empty.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// One JSON object a line instead of text. Default `false`.
    pub json: bool,
}

impl Logging {
    /// The log file, if there is to be one.
    pub fn file(&self) -> Option<&Path> {
        (!self.file.as_os_str().is_empty()).then_some(&*self.file)
    }
}

impl Default for Logging {
    fn default() -> Self {
        Logging { enable_access_log: true, min_log_level: LogLevel::Info, file: PathBuf::new(), json: false }
    }
}

/// The least serious message that is logged, numbered as in SillyTavern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum LogLevel {
    /// `0`
    Debug,
    /// `1`
    Info,
    /// `2`
    Warn,
    /// `3`
    Error,
}

impl TryFrom<i64> for LogLevel {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match number {
            0 => Ok(LogLevel::Debug),
            1 => Ok(LogLevel::Info),
            2 => Ok(LogLevel::Warn),
            3 => Ok(LogLevel::Error),
            other => Err(format!("expected 0 (debug), 1 (info), 2 (warnings) or 3 (errors), found the number {other}")),
        }
    }
}

impl From<LogLevel> for i64 {
    fn from(level: LogLevel) -> i64 {
        level as i64
    }
}

/// `extensions`: of SillyTavern's web client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extensions {
    /// Load extensions at all. Default `true`.
    pub enabled: bool,
    /// Bring them up to date when the client's version changes. Default `true`.
    pub auto_update: bool,
}

impl Default for Extensions {
    fn default() -> Self {
        Extensions { enabled: true, auto_update: true }
    }
}

/// `performance`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Performance {
    /// Send lists of characters without their long texts, which follow when one is opened. Default `false`.
    pub lazy_load_characters: bool,
    /// Compression of what SillyTavern's web client sends.
    pub request_compression: RequestCompression,
}

/// `performance.requestCompression`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestCompression {
    /// Ask the client to compress large uploads. Default `false`.
    pub enabled: bool,
    /// Smaller ones are sent as they are; `0` compresses all. Default `256kb`.
    pub min_payload_size: ByteSize,
    /// Larger ones are sent as they are; `0` for no such limit. Default `8mb`.
    pub max_payload_size: ByteSize,
    /// How long the client may spend on it, in milliseconds. Default `4000`.
    pub timeout: u64,
}

impl Default for RequestCompression {
    fn default() -> Self {
        RequestCompression {
            enabled: false,
            min_payload_size: ByteSize::kib(256),
            max_payload_size: ByteSize::mib(8),
            timeout: 4000,
        }
    }
}
