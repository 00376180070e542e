//! Putting a prompt together: texts become pieces, pieces get places, what does not fit is left out.
//!
//! What must be in: everything but lorebooks, examples and older messages. Then lorebook entries get their share of what is
//! left, then messages from the newest back, then examples.

use serde_json::{Map, Value, json};

use super::examples;
use super::ingredients::{
    ContinueBy, HistoryMessage, Ingredients, Names, NotePosition, PersonaPosition, Purpose, Squash,
};
use super::lore::Position;
use super::lore::scan::{self, Active, Scan};
use super::macros::Macros;
use super::prompt::{LeftOut, Part, Prompt};
use super::story::Field;
use crate::error::{Error, Result};
use crate::models::{self, Image, Message, Role};

/// Where a piece stands, in the order of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    BeforePrompt,
    Main,
    LoreBefore,
    Persona,
    Description,
    Personality,
    Scenario,
    AfterScenario,
    LoreAfter,
    ExamplesTop,
    Examples,
    ExamplesBottom,
    ChatStart,
    /// Between the messages, the deepest first.
    InChat(std::cmp::Reverse<u32>),
    PostHistory,
    Nudge,
}

/// A piece of the prompt. Those of one slot and rank keep the order in which they were made.
#[derive(Debug, Clone)]
struct Piece {
    slot: Slot,
    /// Around the note: above it, below it.
    rank: i8,
    name: &'static str,
    detail: Option<String>,
    role: Role,
    text: String,
    tokens: usize,
}

/// Builds a prompt.
pub fn build(from: &Ingredients<'_>) -> Result<Prompt> {
    Assembly { from, macros: Macros::of(from), several: Several::among(from.history) }.build()
}

struct Assembly<'i, 'a> {
    from: &'i Ingredients<'a>,
    macros: Macros<'a>,
    /// Whether several people speak as the character, or as the person.
    several: Several,
}

#[derive(Clone, Copy)]
struct Several {
    characters: bool,
    people: bool,
}

impl Several {
    fn among(history: &[HistoryMessage]) -> Self {
        let several = |role: Role| {
            let mut names = history.iter().filter(|message| message.role == role && !message.hidden);
            let first = names.next();
            names.any(|message| Some(&message.name) != first.map(|first| &first.name))
        };
        Self { characters: several(Role::Assistant), people: several(Role::User) }
    }
}

impl Assembly<'_, '_> {
    fn build(&self) -> Result<Prompt> {
        let history: Vec<&HistoryMessage> = self.from.history.iter().filter(|message| self.is_sent(message)).collect();
        let newest = history.last().map_or(0, |message| self.cost_of(message, &self.words(message)));
        let mut pieces = self.fixed(&history);
        let room = self.room_beside(&pieces, newest)?;
        let mut active = self.lore(&history, room);
        if self.fill_outlets(&mut active) {
            let again = self.fixed(&history);
            // An outlet may stand in many texts: then it stays empty rather than push messages out.
            if cost(&again) <= cost(&pieces) + room.saturating_sub(cost_of_entries(&active)) {
                pieces = again;
            }
        }
        let mut left_out = LeftOut { lore: active.left_out, keys: active.untried, ..LeftOut::default() };
        pieces.extend(self.placed_lore(&mut active));
        self.tell_story(&mut pieces);
        let room = self.room_beside(&pieces, newest)?;
        let sent = self.chosen(&history, &mut pieces, room, &mut left_out);
        pieces.sort_by_key(|piece| (piece.slot, piece.rank));
        Ok(self.finish(pieces, &sent, left_out, active.remembered))
    }

    fn is_sent(&self, message: &HistoryMessage) -> bool {
        let has_images = self.from.settings.images && !message.images.is_empty();
        !message.hidden && (has_images || !message.text.trim().is_empty())
    }

    /// What is left beside `pieces` and the newest message.
    fn room_beside(&self, pieces: &[Piece], newest: usize) -> Result<usize> {
        let budget = self.from.budget;
        let needed = cost(pieces).saturating_add(newest);
        budget.for_prompt().checked_sub(needed).ok_or_else(|| {
            Error::invalid(
                "context_too_small",
                format!(
                    "This prompt needs at least {needed} tokens ({newest} of them for the newest message), and there is \
                     room for {}: a context of {} less {} kept for the answer. Nothing was sent. Choose a larger context, \
                     a shorter answer, or shorten the character, the persona or the message.",
                    budget.for_prompt(),
                    budget.context,
                    budget.reserve
                ),
            )
            .with_details(json!({ "needed": needed, "context": budget.context, "reserve": budget.reserve }))
        })
    }

    fn piece(&self, slot: Slot, name: &'static str, role: Role, text: String) -> Piece {
        let tokens = (self.from.count)(&text).saturating_add(self.from.budget.per_message);
        Piece { slot, rank: 0, name, detail: None, role, text, tokens }
    }

    /// What must be in.
    fn fixed(&self, history: &[&HistoryMessage]) -> Vec<Piece> {
        let (settings, character) = (self.from.settings, self.from.character);
        let macros = &self.macros;
        let own = |prefer: bool, card: &str, usual: &str| {
            if prefer && !card.trim().is_empty() { macros.expand_over(card, usual) } else { macros.expand(usual) }
        };
        let is_plain = |format: &str| format.trim().is_empty() || settings.story.is_some();
        let around = |format: &str, text: &str, raw: &str| match (text.trim().is_empty(), is_plain(format)) {
            (true, _) => String::new(),
            (_, true) => macros.expand(raw),
            _ => macros.expand(format),
        };
        let main = own(settings.prefer_card_main, &character.system_prompt, &settings.main);
        let personality = around(&settings.personality_format, &character.personality, "{{personality}}");
        let scenario = around(&settings.scenario_format, &character.scenario, "{{scenario}}");
        let after =
            own(settings.prefer_card_post_history, &character.post_history_instructions, &settings.post_history);
        let system = |slot, name, text| self.piece(slot, name, Role::System, text);
        let mut pieces = vec![
            system(Slot::Main, "main", main),
            system(Slot::Description, "description", macros.expand(&character.description)),
            system(Slot::Personality, "personality", personality),
            system(Slot::Scenario, "scenario", scenario),
            system(Slot::ChatStart, "chat start", macros.expand(&settings.chat_start)),
            system(Slot::PostHistory, "post-history", after),
        ];
        pieces.extend(self.between());
        pieces.extend(self.note_and_persona());
        pieces.extend(self.nudge(history));
        pieces.retain(|piece| !piece.text.trim().is_empty());
        pieces
    }

    /// A slot between the messages. What ends in a message to be written on has nothing below that message.
    fn in_chat(&self, depth: u32) -> Slot {
        Slot::InChat(std::cmp::Reverse(if self.is_prefill() { depth.max(1) } else { depth }))
    }

    fn is_prefill(&self) -> bool {
        self.from.purpose == Purpose::Continue && self.from.settings.continue_by == ContinueBy::Prefill
    }

    /// The character's words between the messages.
    fn between(&self) -> Option<Piece> {
        let note = self.from.character.depth_prompt.as_ref()?;
        Some(self.piece(self.in_chat(note.depth), "depth prompt", note.role.0, self.macros.expand(&note.text)))
    }

    /// Where the author's note goes and who says it, if its turn has come.
    fn note_place(&self) -> Option<(Slot, Role)> {
        let usual = super::ingredients::Note::default();
        let note = self.from.note.unwrap_or(&usual);
        let spoken = self.from.history.iter().filter(|message| message.role == Role::User && !message.hidden).count();
        // What the model writes for the person is the person's next message.
        let spoken = spoken + usize::from(self.from.purpose == Purpose::Impersonate);
        let due = match note.interval {
            0 => false,
            1 => true,
            interval => spoken > 0 && spoken % interval as usize == 0,
        };
        let slot = match note.position {
            NotePosition::AfterScenario => Slot::AfterScenario,
            NotePosition::BeforePrompt => Slot::BeforePrompt,
            NotePosition::InChat => self.in_chat(note.depth),
        };
        due.then_some((slot, note.role.0))
    }

    fn note_and_persona(&self) -> Vec<Piece> {
        let persona = self.from.persona;
        let describe = |slot, role| self.piece(slot, "persona", role, self.macros.expand(&persona.description));
        let note_place = self.note_place();
        let mut pieces = Vec::new();
        match (persona.position, note_place) {
            (PersonaPosition::InPrompt, _) => pieces.push(describe(Slot::Persona, Role::System)),
            (PersonaPosition::AtDepth, _) => pieces.push(describe(self.in_chat(persona.depth), persona.role.0)),
            (PersonaPosition::TopOfNote, Some((slot, role))) => pieces.push(Piece { rank: -1, ..describe(slot, role) }),
            (PersonaPosition::BottomOfNote, Some((slot, role))) => {
                pieces.push(Piece { rank: 1, ..describe(slot, role) })
            }
            _ => {}
        }
        if let (Some(note), Some((slot, role))) = (self.from.note, note_place) {
            pieces.push(self.piece(slot, "note", role, self.macros.expand(&note.text)));
        }
        pieces
    }

    /// What asks for something else than an answer.
    fn nudge(&self, history: &[&HistoryMessage]) -> Option<Piece> {
        let settings = self.from.settings;
        let (name, text) = match self.from.purpose {
            Purpose::Impersonate => ("impersonate", &settings.impersonate_nudge),
            Purpose::Continue if self.is_prefill() => return None,
            Purpose::Continue => ("continue", &settings.continue_nudge),
            Purpose::Reply if history.is_empty() => ("opening", &settings.opening),
            Purpose::Reply => return None,
        };
        Some(self.piece(Slot::Nudge, name, Role::User, self.macros.expand(text)))
    }

    fn lore(&self, history: &[&HistoryMessage], room: usize) -> Active {
        let settings = &self.from.settings.lore;
        let share = self.from.budget.for_prompt().saturating_mul(settings.budget_percent as usize) / 100;
        let cap = if settings.budget_cap == 0 { usize::MAX } else { settings.budget_cap as usize };
        scan::activate(&Scan { from: self.from, macros: &self.macros, history, share: share.min(cap).min(room), room })
    }

    /// Gives texts their outlets; whether there are any.
    fn fill_outlets(&self, active: &mut Active) -> bool {
        let mut outlets: Vec<(String, Vec<String>)> = Vec::new();
        for entry in active.entries.iter().filter(|entry| entry.position == Position::Outlet) {
            match outlets.iter_mut().find(|(name, _)| *name == entry.outlet) {
                Some((_, texts)) => texts.push(entry.text.clone()),
                None => outlets.push((entry.outlet.clone(), vec![entry.text.clone()])),
            }
        }
        for (name, texts) in &outlets {
            self.macros.set_outlet(name, texts.join("\n"));
        }
        active.entries.retain(|entry| entry.position != Position::Outlet);
        !outlets.is_empty()
    }

    /// Lorebook entries in their places.
    fn placed_lore(&self, active: &mut Active) -> Vec<Piece> {
        let note = self.note_place();
        let mut pieces = Vec::new();
        for entry in std::mem::take(&mut active.entries) {
            let (slot, role) = match entry.position {
                Position::Before => (Slot::LoreBefore, Role::System),
                Position::After => (Slot::LoreAfter, Role::System),
                Position::ExamplesTop => (Slot::ExamplesTop, Role::System),
                Position::ExamplesBottom => (Slot::ExamplesBottom, Role::System),
                Position::AtDepth => (self.in_chat(entry.depth), entry.role),
                Position::NoteTop | Position::NoteBottom => match note {
                    Some(place) => place,
                    None => continue,
                },
                Position::Outlet => continue,
            };
            let rank = match entry.position {
                Position::NoteTop => -2,
                Position::NoteBottom => 2,
                _ => -3,
            };
            let detail = Some(entry.title);
            pieces.push(Piece { slot, rank, name: "lore", detail, role, text: entry.text, tokens: entry.tokens });
        }
        pieces
    }

    /// Makes one piece of those before the chat, as the story string says. What it does not name is not in the prompt.
    fn tell_story(&self, pieces: &mut Vec<Piece>) {
        let Some(story) = &self.from.settings.story else { return };
        pieces.sort_by_key(|piece| (piece.slot, piece.rank));
        let (parts, rest): (Vec<Piece>, Vec<Piece>) =
            std::mem::take(pieces).into_iter().partition(|piece| field(piece.slot).is_some());
        let says = |wanted| {
            let texts = parts.iter().filter(|piece| field(piece.slot) == Some(wanted)).map(|piece| piece.text.as_str());
            texts.collect::<Vec<_>>().join("\n")
        };
        let text = story.tell(says, |words| self.macros.expand(words));
        *pieces = rest;
        if !text.trim().is_empty() {
            pieces.push(self.piece(Slot::Main, "story", Role::System, text));
        }
    }

    /// Messages from the newest back, and examples, as far as there is room.
    fn chosen<'h>(
        &self,
        history: &[&'h HistoryMessage],
        pieces: &mut Vec<Piece>,
        mut room: usize,
        left_out: &mut LeftOut,
    ) -> Vec<Sent<'h>> {
        let blocks = examples::blocks(&self.from.character.example_messages);
        let examples: Vec<Piece> = blocks
            .iter()
            .map(|block| {
                let text = self.macros.expand(format!("{}\n{block}", self.from.settings.example_header).trim_start());
                self.piece(Slot::Examples, "example", Role::System, text.trim_start().to_owned())
            })
            .collect();
        if self.from.settings.pin_examples {
            left_out.examples = take_examples(&examples, &mut room, pieces);
        }
        let mut sent = Vec::new();
        for (age, message) in history.iter().rev().enumerate() {
            let text = self.words(message);
            let tokens = self.cost_of(message, &text);
            // There is room for the newest: that was made sure of.
            if age > 0 {
                let Some(left) = room.checked_sub(tokens) else { break };
                room = left;
            }
            sent.push(Sent { message, text, tokens });
        }
        left_out.messages = history.len() - sent.len();
        sent.reverse();
        if !self.from.settings.pin_examples {
            left_out.examples = take_examples(&examples, &mut room, pieces);
        }
        sent
    }

    /// A message's words as they are sent.
    fn words(&self, message: &HistoryMessage) -> String {
        let text = self.macros.names(&message.text);
        let (usual, several) = match message.role {
            Role::User => (&self.from.persona.name, self.several.people),
            _ => (&self.from.character.name, self.several.characters),
        };
        let says_name = match self.from.settings.names {
            Names::Never => false,
            Names::Always => true,
            Names::Others => several && message.name != *usual,
        };
        if says_name && !message.name.is_empty() && message.role != Role::System {
            format!("{}: {text}", message.name)
        } else {
            text
        }
    }

    fn images<'h>(&self, message: &'h HistoryMessage) -> &'h [Image] {
        if self.from.settings.images { &message.images } else { &[] }
    }

    fn cost_of(&self, message: &HistoryMessage, text: &str) -> usize {
        let budget = self.from.budget;
        let images = self.images(message).len().saturating_mul(budget.per_image);
        (self.from.count)(text).saturating_add(budget.per_message).saturating_add(images)
    }

    fn finish(
        &self,
        pieces: Vec<Piece>,
        sent: &[Sent<'_>],
        left_out: LeftOut,
        remembered: Option<Map<String, Value>>,
    ) -> Prompt {
        let mut prompt = Prompt { left_out, ..Prompt::default() };
        let squash = self.from.settings.squash;
        let held_back = if self.is_prefill() { sent.len().saturating_sub(1) } else { sent.len() };
        let mut said = 0;
        for piece in pieces {
            let until = match piece.slot {
                Slot::InChat(depth) => sent.len().saturating_sub(depth.0 as usize),
                Slot::PostHistory | Slot::Nudge => held_back,
                _ => 0,
            };
            while said < until {
                self.add_message(&mut prompt, &sent[said], sent.len() - said - 1);
                said += 1;
            }
            let depth = match piece.slot {
                Slot::InChat(depth) => Some(depth.0),
                _ => None,
            };
            let part = Part {
                name: piece.name.to_owned(),
                detail: piece.detail,
                role: piece.role,
                text: piece.text,
                tokens: piece.tokens,
                depth,
                images: 0,
            };
            add(&mut prompt, part, &[], squash);
        }
        while said < sent.len() {
            self.add_message(&mut prompt, &sent[said], sent.len() - said - 1);
            said += 1;
        }
        prompt.tokens = prompt.parts.iter().map(|part| part.tokens).sum();
        if let Some(variables) = self.macros.changed_variables() {
            prompt.metadata.insert("variables".to_owned(), Value::Object(variables));
        }
        if let Some(remembered) = remembered {
            prompt.metadata.insert(scan::MEMORY.to_owned(), Value::Object(remembered));
        }
        prompt
    }

    fn add_message(&self, prompt: &mut Prompt, sent: &Sent<'_>, below: usize) {
        let images = self.images(sent.message);
        let part = Part {
            name: "history".to_owned(),
            detail: Some(sent.message.name.clone()).filter(|name| !name.is_empty()),
            role: sent.message.role,
            text: sent.text.clone(),
            tokens: sent.tokens,
            depth: u32::try_from(below).ok(),
            images: images.len(),
        };
        add(prompt, part, images, self.from.settings.squash);
    }
}

/// A message that goes in.
struct Sent<'h> {
    message: &'h HistoryMessage,
    text: String,
    tokens: usize,
}

/// By which name a story string knows what stands there.
fn field(slot: Slot) -> Option<Field> {
    Some(match slot {
        Slot::BeforePrompt => Field::Top,
        Slot::Main => Field::Main,
        Slot::LoreBefore => Field::LoreBefore,
        Slot::Persona => Field::Persona,
        Slot::Description => Field::Description,
        Slot::Personality => Field::Personality,
        Slot::Scenario => Field::Scenario,
        Slot::AfterScenario => Field::Bottom,
        Slot::LoreAfter => Field::LoreAfter,
        _ => return None,
    })
}

fn cost(pieces: &[Piece]) -> usize {
    pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.tokens))
}

fn cost_of_entries(active: &Active) -> usize {
    active.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.tokens))
}

/// Adds whole examples while there is room; how many were left out.
fn take_examples(examples: &[Piece], room: &mut usize, pieces: &mut Vec<Piece>) -> usize {
    for (at, example) in examples.iter().enumerate() {
        match room.checked_sub(example.tokens) {
            Some(left) => *room = left,
            None => return examples.len() - at,
        }
        pieces.push(example.clone());
    }
    0
}

/// Adds a part, to the last message where that is wanted.
fn add(prompt: &mut Prompt, part: Part, images: &[Image], squash: Squash) {
    let joins = match squash {
        Squash::Nothing => false,
        Squash::System => part.role == Role::System,
        Squash::All => true,
    };
    let images = images.iter().cloned().map(models::Part::Image);
    let has_words = !part.text.trim().is_empty();
    match prompt.messages.last_mut().filter(|last| joins && last.role == part.role) {
        Some(last) => {
            match last.parts.last_mut() {
                Some(models::Part::Text(text)) if has_words => {
                    text.push_str("\n\n");
                    text.push_str(&part.text);
                }
                _ if has_words => last.parts.push(models::Part::Text(part.text.clone())),
                _ => {}
            }
            last.parts.extend(images);
        }
        None => {
            let words = has_words.then(|| models::Part::Text(part.text.clone()));
            prompt.messages.push(Message {
                role: part.role,
                name: None,
                parts: words.into_iter().chain(images).collect(),
            });
        }
    }
    prompt.parts.push(part);
}
