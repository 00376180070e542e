//! A prompt for a program that asks a character: what was said comes with the request, there is no chat, and nothing is
//! kept. Otherwise it is built as in a chat: card, persona, lorebooks, the usual note.

use serde_json::Map;

use super::gather::{RESERVE, Sources, character, now};
use super::prompt::{self, Budget, HistoryMessage, Ingredients, Purpose};
use super::templates::add_stops;
use crate::error::Result;
use crate::library::cards::Card;
use crate::models::{Ask, Connection, Message, Parameters, Part, Role, tokens};
use crate::random;
use crate::store::{FileName, Handle};

/// What a program asks a character.
pub struct Question<'a> {
    /// Whose program.
    pub handle: &'a Handle,
    /// What they are called where they have chosen no persona.
    pub account: &'a str,
    /// Which character.
    pub character: &'a FileName,
    /// What was said so far, the oldest first.
    pub said: Vec<Message>,
    /// By which connection; it gets the template that is to be used.
    pub connection: &'a mut Connection,
    /// Which model.
    pub model: &'a str,
    /// How.
    pub parameters: Parameters,
}

impl Sources {
    /// What the model is to be asked.
    pub fn gather_question(&self, question: Question<'_>) -> Result<Ask> {
        let Question { handle, account, character: id, said, connection, model, mut parameters } = question;
        let card: Card = self.characters.get(handle, id)?;
        let choices = self.choices(handle)?;
        let chosen = choices.persona(None, account);
        let metadata = Map::new();
        let settings = self.texts(handle, &choices, connection);
        let context = self.room(connection, model, &mut parameters).tokens as usize;
        let reserve = parameters.max_tokens.map_or(RESERVE, |most| most as usize).min(context / 2);
        let history: Vec<HistoryMessage> = said
            .into_iter()
            .enumerate()
            .map(|(index, message)| {
                let usual = if message.role == Role::Assistant { card.name() } else { &chosen.persona.name };
                let name = message.name.as_deref().unwrap_or(usual);
                let mut of_chat = HistoryMessage::new(index, message.role, name, message.words());
                let pictures = message.parts.into_iter().filter_map(|part| match part {
                    Part::Image(image) => Some(image),
                    Part::Text(_) => None,
                });
                of_chat.images = pictures.collect();
                of_chat
            })
            .collect();
        let books = self.books(handle, id, &card, &choices, &chosen, &metadata);
        let note = choices.note(&metadata);
        let count = |text: &str| tokens::count(model, text).tokens;
        let prompt = prompt::build(&Ingredients {
            purpose: Purpose::Reply,
            character: &character(id, &card),
            persona: &chosen.persona,
            history: &history,
            chat_length: history.len(),
            books: &books,
            note: note.as_ref(),
            settings: &settings,
            metadata: &metadata,
            globals: &choices.variables(),
            budget: Budget::new(context, reserve),
            count: &count,
            model,
            input: "",
            now: now(),
            seed: u64::from_le_bytes(random::random()?),
            chat_seed: 0,
        })?;
        add_stops(&mut parameters, &settings, card.name(), &chosen.persona.name);
        Ok(Ask { model: model.to_owned(), messages: prompt.messages, parameters })
    }
}
