//! A connection: where a model server is, which dialect it speaks, and how it is asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ask::Parameters;
use crate::error::{Error, Result};
use crate::store::Handle;

/// The name of a connection in records and addresses: lowercase letters and digits, 1 to 32 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Checks an id.
    pub fn parse(text: &str) -> Result<Self> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::not_found("There is no such connection.")) }
    }

    /// An id that is written in our own source.
    pub(super) fn built_in(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ConnectionId> for String {
    fn from(id: ConnectionId) -> Self {
        id.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The dialect that a model server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI's chat completions, which most servers speak.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama's own.
    Ollama,
    /// llama.cpp's own completion of plain text.
    LlamaCpp,
    /// KoboldCpp's own completion of plain text.
    KoboldCpp,
    /// OpenAI's completion of plain text: text-generation-webui, vLLM, TabbyAPI.
    Text,
    /// The built-in one that repeats what it hears.
    Echo,
}

/// Whose a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Everybody can use it; an admin keeps it.
    House,
    /// One person's own.
    User(Handle),
}

/// A connection. Its key is not in here: it is kept encrypted, and only ever given to the request that needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its name in records and addresses.
    pub id: ConnectionId,
    /// Whose it is.
    pub holder: Holder,
    /// What people call it.
    pub name: String,
    /// The dialect.
    pub kind: Kind,
    /// Where the server is, such as `http://127.0.0.1:11434`.
    pub base_url: String,
    /// The model that is asked unless a request names another.
    pub model: Option<String>,
    /// How it is asked unless a request says otherwise.
    pub parameters: Parameters,
    /// The instruct template, for plain text completion.
    pub template: Option<String>,
}
