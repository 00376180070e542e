//! What a generation is to do, and what comes of it: values that a journal can hold, so that the next start of the server
//! knows as much as this one.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::models::Parameters;
use crate::random;
use crate::store::{FileName, Handle};

/// The name of a generation: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GenerationId(String);

impl GenerationId {
    /// A new one.
    pub fn new() -> Result<Self> {
        random::random_hex::<16>().map(Self)
    }

    /// Takes `text` if it can be one. What cannot be one is simply not there.
    pub fn parse(text: &str) -> Result<Self> {
        let fits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(not_there()) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No such generation, or somebody else's.
pub fn not_there() -> Error {
    Error::not_found("There is no such reply under way. It may have ended a while ago; the chat has it.")
}

impl TryFrom<String> for GenerationId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<GenerationId> for String {
    fn from(id: GenerationId) -> Self {
        id.0
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The next message.
    Reply,
    /// Another version of the last message.
    Swipe,
    /// More of the last message.
    Continue,
    /// The last reply anew: another version of it, or the first one if there is none yet.
    Regenerate,
    /// What the person could say. Nothing is written.
    Impersonate,
}

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who.
    pub handle: Handle,
    /// With which character.
    pub character: FileName,
    /// In which chat.
    pub chat: FileName,
    /// The version of the chat that they look at.
    pub version: Option<String>,
    /// What for.
    pub kind: Kind,
    /// What the person says first.
    pub text: Option<String>,
    /// Pictures that go with it, by the paths under which they were uploaded.
    pub images: Vec<String>,
    /// The client's name for the person's message, so that a retry changes nothing.
    pub id: Option<String>,
    /// As which persona.
    pub persona: Option<String>,
    /// By which connection, if not the chat's own choice or the default.
    pub connection: Option<String>,
    /// Which model, if not the chat's or the connection's.
    pub model: Option<String>,
    /// How, over what the connection says.
    pub parameters: Parameters,
    /// Words for the model at the end of the prompt, such as how to go on.
    pub instruction: Option<String>,
}

/// What is to be done with a reply, whatever happens to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Errand {
    /// The generation.
    pub id: GenerationId,
    /// Whose.
    pub handle: Handle,
    /// With which character.
    pub character: FileName,
    /// In which chat.
    pub chat: FileName,
    /// The word by which the chat is known even under another name, if it has one.
    pub integrity: Option<String>,
    /// What tells the message before the reply from others. A copy of an earlier state of the chat is known by the same word,
    /// and does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// What for; never [`Kind::Regenerate`], which is one of the others.
    pub kind: Kind,
    /// The message that gets a version or becomes longer.
    pub target: Option<Target>,
    /// Who speaks.
    pub name: String,
    /// The dialect of the model's server.
    pub api: String,
    /// The model.
    pub model: String,
    /// When it was begun, in milliseconds since 1970.
    pub started: i64,
    /// The client's name for the person's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What the chat is to remember once the reply is there: variables, and what lorebook entries count.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub remembers: Map<String, Value>,
}

/// A message that a generation is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Where it was.
    pub index: usize,
    /// What tells it from others, wherever it is: its date and name.
    pub mark: String,
    /// What it said.
    pub text: String,
    /// What was thought for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
}

/// What came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Said {
    /// The words.
    pub text: String,
    /// The thinking.
    pub reasoning: String,
    /// How long it thought, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub finished: i64,
    /// How many tokens the words are, if the model's server said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Whether there should have been more.
    pub unfinished: bool,
    /// Why there is no more, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Said {
    /// Whether there is anything to keep.
    pub fn is_nothing(&self) -> bool {
        self.text.trim().is_empty() && self.reasoning.trim().is_empty()
    }
}

/// Where a reply was put.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The chat in which it is, where it is not the one in which it was begun.
    pub chat: Option<FileName>,
    /// The message.
    pub index: usize,
    /// The chat's version with it.
    pub version: String,
    /// The message as chats show it.
    pub message: Value,
}
