//! What whoever follows a generation is told.

use serde::Serialize;
use serde_json::Value;

use super::Kind;
use crate::error::Error;
use crate::models::Usage;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It was taken on.
    Start(Box<Start>),
    /// It waits; so many are before it. None: it has been given to the model.
    Queued(usize),
    /// Further words.
    Text(String),
    /// Further thinking.
    Reasoning(String),
    /// It has ended, and is where it belongs.
    Done(Box<Done>),
    /// It has ended before its time.
    Failed(Box<Failed>),
}

/// What a generation is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The character.
    pub character: String,
    /// The chat.
    pub chat: String,
    /// What for.
    pub kind: Kind,
    /// The message that will hold the reply, as far as one can tell; none where nothing is written.
    pub index: Option<usize>,
    /// What the message already has, where it is continued.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// How a generation ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// The message that holds the reply.
    pub index: Option<usize>,
    /// The chat in which it is, where that is not the one in which it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// The chat's version with it.
    pub version: Option<String>,
    /// Why it ended: `stop`, `length`, `filtered`, `stopped`.
    pub finish: &'static str,
    /// What was used up.
    pub usage: Option<Usage>,
    /// The message as the chat shows it.
    pub message: Option<Value>,
    /// The words, where nothing is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How a generation failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The stable word.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// Whether what came is in the chat.
    pub kept: bool,
    /// The message that holds it.
    pub index: Option<usize>,
    /// The chat in which it is, where that is not the one in which it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// The chat's version with it.
    pub version: Option<String>,
}

impl Failed {
    /// `error`, before anything was kept.
    pub fn of(error: &Error) -> Self {
        Self {
            code: error.code(),
            message: error.message().to_owned(),
            kept: false,
            index: None,
            chat: None,
            version: None,
        }
    }
}

impl Event {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Queued(_) => "queued",
            Self::Text(_) => "text",
            Self::Reasoning(_) => "reasoning",
            Self::Done(_) => "done",
            Self::Failed(_) => "error",
        }
    }

    /// Whether nothing follows it.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }
}
