//! The prompt: what is sent, part by part.

use serde_json::{Map, Value};

pub use super::ingredients::{
    Budget, Character, ContinueBy, HistoryMessage, Ingredients, Names, Note, NotePosition, Persona, PersonaPosition,
    PromptSettings, Purpose, RoleOf, Squash,
};
use crate::error::Result;
use crate::models::{Message, Role};

/// A part of a prompt, for "show the prompt".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is: `main`, `lore before`, `description`, `history`, …
    pub name: String,
    /// Which one of several: the speaker of a message, the title of a lorebook entry.
    pub detail: Option<String>,
    /// Who says it.
    pub role: Role,
    /// Its words, macros replaced.
    pub text: String,
    /// What it costs, its share of message and pictures included.
    pub tokens: usize,
    /// How many messages of the chat stand below it, where it stands among them.
    pub depth: Option<u32>,
    /// How many pictures it has.
    pub images: usize,
}

/// What did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Messages of the chat, the oldest. Only those that were handed in are known.
    pub messages: usize,
    /// Example conversations.
    pub examples: usize,
    /// Lorebook entries whose keys were found.
    pub lore: usize,
    /// Keys of lorebooks that were not tried, because they are too long, too hard or too many.
    pub keys: usize,
}

/// A prompt that is ready to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What it is made of, in order.
    pub parts: Vec<Part>,
    /// What is sent.
    pub messages: Vec<Message>,
    /// What it costs at most; never more than there is room for.
    pub tokens: usize,
    /// What did not fit.
    pub left_out: LeftOut,
    /// Members of `chat_metadata` to be set once the answer is there: variables, and what lorebook entries remember.
    pub metadata: Map<String, Value>,
}

/// Builds a prompt.
pub fn build(ingredients: &Ingredients<'_>) -> Result<Prompt> {
    super::assembly::build(ingredients)
}

#[cfg(test)]
mod tests;
