//! What a prompt is made of, gathered from where it lies: the card, who the person is, lorebooks, the note, the choices for
//! this chat, the connection, and as much of the chat as can matter.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::choices::{Choices, Chosen};
use super::generations::{Kind, Order};
use super::lore::{Book, Source};
use super::prompt::{self, Budget, Character, HistoryMessage, Ingredients, Note, Prompt, Purpose, RoleOf};
use super::templates::add_stops;
use crate::clock;
use crate::error::{Error, Result};
use crate::hash::hash;
use crate::library::cards::Card;
use crate::library::characters::Characters;
use crate::library::chats::{ChatRef, Chats, Line, Message, Window};
use crate::library::settings;
use crate::models::connection::Kind as Dialect;
use crate::models::{self, Ask, Connection, ConnectionId, Connections, Image, Parameters, Role, Room, Rooms, tokens};
use crate::pictures::PictureKind;
use crate::random;
use crate::store::{FileName, Folder, Handle, Place, Store};
use crate::values;

/// Of the room there is, kept free for an answer whose length nobody limited, in tokens.
pub(super) const RESERVE: usize = 1024;
/// Messages that are looked at, at most.
const MESSAGES: usize = 4000;
/// A message is hardly ever shorter than this, in tokens.
const SHORT: usize = 8;
/// Of the newest messages with pictures, so many are sent with them.
const PICTURES: usize = 8;
/// A larger picture is not sent, in bytes.
const PICTURE: u64 = 8 * 1024 * 1024;
/// All lorebooks of a prompt together, in bytes and in values.
const BOOKS: u64 = 64 * 1024 * 1024;
const BOOK_VALUES: usize = 3_000_000;

/// The rooms from which a prompt is gathered.
pub struct Sources {
    /// The data folder.
    pub store: Arc<Store>,
    /// Chats.
    pub chats: Arc<Chats>,
    /// Characters.
    pub characters: Arc<Characters>,
    /// Connections.
    pub connections: Arc<Connections>,
    /// How much room their models have.
    pub rooms: Arc<Rooms>,
}

/// A prompt with all that is needed to send it.
pub struct Gathered {
    /// The chat as it is.
    pub window: Window,
    /// What it is to be, once it is known what is there: never [`Kind::Regenerate`].
    pub kind: Kind,
    /// What people call the character.
    pub character: String,
    /// Who the person is.
    pub chosen: Chosen,
    /// By which connection.
    pub connection: Connection,
    /// What the model is asked.
    pub ask: Ask,
    /// What it is made of.
    pub prompt: Prompt,
    /// The room there is.
    pub room: Room,
    /// Kept free for the answer.
    pub reserve: usize,
    /// Whether tokens were counted as the model counts them.
    pub exact: bool,
    /// Whether the person's message has been in the chat already.
    pub is_sent: bool,
}

impl Sources {
    /// Gathers what `order` needs. Writes nothing.
    pub fn gather(&self, order: &Order, account: &str) -> Result<Gathered> {
        let chat = ChatRef::new(order.character.clone(), order.chat.clone())?;
        let card = self.characters.get(&order.handle, &order.character)?;
        let opened = self.chats.open(&order.handle, &chat)?;
        let metadata = opened.header.as_ref().and_then(|header| header.metadata()).cloned().unwrap_or_default();
        let ours = |field: &str| metadata.get("tavernkeep").and_then(|ours| ours.get(field)).and_then(Value::as_str);
        let (mut connection, model) = self.connection(order, ours("connection"), ours("model"))?;
        let mut parameters = order.parameters.clone().over(&connection.parameters);
        let room = self.room(&connection, &model, &mut parameters);
        let context = room.tokens as usize;
        let reserve = parameters.max_tokens.map_or(RESERVE, |most| most as usize).min(context / 2);
        let window = self.chats.window(&order.handle, &chat, None, (context / SHORT).clamp(50, MESSAGES))?;

        let wanted = order.persona.as_deref().or(ours("persona")).or_else(|| metadata.get("persona")?.as_str());
        let choices = self.choices(&order.handle)?;
        let chosen = choices.persona(wanted, account);
        let (kind, is_sent) = self.resolve(order, &window)?;
        let settings = self.texts(&order.handle, &choices, &mut connection);

        let mut history = self.history(&order.handle, &window, settings.images);
        if kind == Kind::Swipe {
            history.pop();
        }
        if let Some(text) = order.text.as_deref().filter(|_| !is_sent) {
            let mut message = HistoryMessage::new(window.chat.count, Role::User, &chosen.persona.name, text);
            message.images = self.pictures(&order.handle, order.images.iter().map(String::as_str));
            history.push(message);
        }
        let books = self.books(&order.handle, &order.character, &card, &choices, &chosen, &metadata);
        let (character, note) = (character(&order.character, &card), choices.note(&metadata));
        let count = |text: &str| tokens::count(&model, text).tokens;
        let prompt = prompt::build(&Ingredients {
            purpose: match kind {
                Kind::Continue => Purpose::Continue,
                Kind::Impersonate => Purpose::Impersonate,
                Kind::Reply | Kind::Swipe | Kind::Regenerate => Purpose::Reply,
            },
            character: &character,
            persona: &chosen.persona,
            history: &history,
            chat_length: window.chat.count,
            books: &books,
            note: note.as_ref(),
            settings: &settings,
            metadata: &metadata,
            globals: &choices.variables(),
            budget: Budget::new(context, reserve),
            count: &count,
            model: &model,
            input: order.text.as_deref().unwrap_or_default(),
            now: now(),
            seed: u64::from_le_bytes(random::random()?),
            chat_seed: seed_of(&metadata, &order.chat),
        })?;
        let (writer, next) = match kind {
            Kind::Impersonate => (&chosen.persona.name, &character.name),
            _ => (&character.name, &chosen.persona.name),
        };
        add_stops(&mut parameters, &settings, writer, next);
        let exact = tokens::count(&model, "a").exact;
        let mut messages = prompt.messages.clone();
        if let Some(instruction) = order.instruction.as_deref().filter(|text| !text.trim().is_empty()) {
            messages.push(models::Message::text(Role::System, instruction));
        }
        let ask = Ask { model, messages, parameters };
        Ok(Gathered {
            character: character.name,
            window,
            kind,
            chosen,
            connection,
            ask,
            prompt,
            room,
            reserve,
            exact,
            is_sent,
        })
    }

    /// How much room there is. Servers that can be told are told as much: Ollama would take its own, and drop the begin of a
    /// longer prompt without a word.
    pub(super) fn room(&self, connection: &Connection, model: &str, parameters: &mut Parameters) -> Room {
        let key = || self.connections.key_of(connection).ok().flatten();
        let room = Room::choose(parameters.context, || self.rooms.of(connection, model, key));
        parameters.context = Some(room.tokens);
        room
    }

    /// The settings of this person, as far as they matter here.
    pub(super) fn choices(&self, handle: &Handle) -> Result<Choices> {
        let place = Place::of(handle).file(&settings::FILE);
        Ok(self.store.read_if_there(&place)?.map(|text| Choices::parse(&text)).unwrap_or_default())
    }

    /// By which connection, and which of its models: as the request says, else as the chat does, else as is usual.
    fn connection(
        &self,
        order: &Order,
        chats: Option<&str>,
        chats_model: Option<&str>,
    ) -> Result<(Connection, String)> {
        let handle = &order.handle;
        let connection = match (&order.connection, chats) {
            (Some(id), _) => self.connections.get(handle, &ConnectionId::parse(id)?)?,
            // A connection that is gone is no reason not to talk: the chat goes on with the usual one.
            (None, Some(id)) => match ConnectionId::parse(id).and_then(|id| self.connections.get(handle, &id)) {
                Err(error) if error.is_not_found() => self.connections.default_of(handle)?,
                other => other?,
            },
            (None, None) => self.connections.default_of(handle)?,
        };
        let is_chats = chats.is_none_or(|id| id == connection.id.as_str()) && order.connection.is_none();
        let chosen = order.model.as_deref().or(chats_model.filter(|_| is_chats)).or(connection.model.as_deref());
        let model = chosen.filter(|model| !model.trim().is_empty());
        let needs_one =
            matches!(connection.kind, Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini | Dialect::Ollama);
        match model {
            Some(model) => Ok((connection.clone(), model.to_owned())),
            None if needs_one => Err(Error::invalid(
                "no_model",
                format!(
                    "No model is chosen for the connection \"{}\". Nothing was sent; choose one on the connections page.",
                    connection.name
                ),
            )),
            None if connection.kind == Dialect::Echo => Ok((connection, "echo".to_owned())),
            None => Ok((connection, String::new())),
        }
    }

    /// What the order comes to with what is there, and whether the person's message is there already.
    fn resolve(&self, order: &Order, window: &Window) -> Result<(Kind, bool)> {
        if order.text.is_some() && order.kind != Kind::Reply {
            return Err(Error::invalid("bad_request", "Only a reply takes a text that is said first."));
        }
        let last = window.lines.last().and_then(Line::message);
        let sent = order.id.as_deref().filter(|_| order.text.is_some()).and_then(|id| {
            let same =
                |line: &&Line| line.message().is_some_and(|message| message.is_user() && message.id() == Some(id));
            window.lines.iter().rev().find(same).map(|line| line.index)
        });
        let is_sent = sent.is_some_and(|index| index + 1 == window.chat.count);
        if !is_sent && order.version.as_ref().is_some_and(|expected| *expected != window.chat.version.to_string()) {
            return Err(stale(order, window, sent));
        }
        let is_reply = last.is_some_and(|message| !message.is_user() && !message.is_system());
        let kind = match order.kind {
            Kind::Regenerate if is_reply => Kind::Swipe,
            Kind::Regenerate => Kind::Reply,
            other => other,
        };
        match kind {
            Kind::Swipe if !is_reply => Err(Error::conflict(
                "nothing_to_swipe",
                "The last message of this chat is no reply, so there is nothing to have another version of. Nothing was sent.",
            )),
            Kind::Continue if !is_reply => Err(Error::conflict(
                "nothing_to_continue",
                "The last message of this chat is no reply, so there is nothing to continue. Nothing was sent.",
            )),
            kind => Ok((kind, is_sent)),
        }
    }

    fn history(&self, handle: &Handle, window: &Window, images: bool) -> Vec<HistoryMessage> {
        let mut history: Vec<HistoryMessage> = window
            .lines
            .iter()
            .filter_map(|line| Some((line.index, line.message()?)))
            .map(|(index, message)| {
                let role = if message.is_user() { Role::User } else { Role::Assistant };
                let mut said = HistoryMessage::new(index, role, message.name(), message.text());
                said.hidden = message.is_system();
                said.at = message.sent_at().and_then(date);
                said
            })
            .collect();
        if images {
            let with_pictures = window.lines.iter().rev().filter_map(Line::message).map(Message::pictures);
            let mut left = PICTURES;
            for (said, pictures) in history.iter_mut().rev().zip(with_pictures) {
                if left == 0 {
                    break;
                }
                if !said.hidden && !pictures.is_empty() {
                    said.images = self.pictures(handle, pictures.iter().map(|picture| picture.url.as_str()).take(left));
                    left -= said.images.len().min(left);
                }
            }
        }
        history
    }

    /// Pictures of this person's own folder; others, and those that are gone or too large, are left out.
    fn pictures<'a>(&self, handle: &Handle, urls: impl Iterator<Item = &'a str>) -> Vec<Image> {
        urls.filter_map(|url| self.picture(handle, url)).collect()
    }

    fn picture(&self, handle: &Handle, url: &str) -> Option<Image> {
        let path = url.trim_start_matches('/').strip_prefix("user/images/")?;
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let path = crate::store::RelPath::parse(&path).ok()?;
        let kind = PictureKind::by_name(path.as_str())?;
        let place = Place::of(handle).folder(Folder::IMAGES).below(&path);
        let bytes = self.store.read_at_most(&place, PICTURE).ok()?;
        Some(Image { mime: kind.mime().to_owned(), bytes: Bytes::from(bytes) })
    }

    /// All lorebooks that have to do with this chat. One that is gone, damaged or too large is left out.
    pub(super) fn books(
        &self,
        handle: &Handle,
        id: &FileName,
        card: &Card,
        choices: &Choices,
        chosen: &Chosen,
        metadata: &Map<String, Value>,
    ) -> Vec<Book> {
        let mut named: Vec<(&str, Source)> = Vec::new();
        named.extend(metadata.get("world_info").and_then(Value::as_str).map(|name| (name, Source::Chat)));
        named.extend(chosen.book.as_deref().map(|name| (name, Source::Persona)));
        named.extend(Some((card.world(), Source::Character)).filter(|(name, _)| !name.is_empty()));
        named.extend(choices.books_of(id.as_str()).into_iter().map(|name| (name, Source::Character)));
        named.extend(choices.books().into_iter().map(|name| (name, Source::Global)));
        let mut seen = Vec::new();
        let (mut books, mut room) = (Vec::new(), (BOOKS, BOOK_VALUES));
        for (name, source) in named {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            books.extend(self.book(handle, name, &mut room).map(|json| Book::parse(name, source, &json)));
        }
        // A book that the card names takes the place of the one inside it, which is where it came from.
        let has_its_own = books.iter().any(|book| book.source == Source::Character && book.name == card.world());
        if let Some(inside) = card.lorebook().filter(|_| !has_its_own) {
            books.push(Book::parse(card.name(), Source::Character, inside));
        }
        books
    }

    /// A book, if it fits into the room that is left, which becomes less.
    fn book(&self, handle: &Handle, name: &str, room: &mut (u64, usize)) -> Option<Value> {
        let file = FileName::parse(&format!("{name}.json")).ok()?;
        let place = Place::of(handle).folder(Folder::WORLDS).file(&file);
        let text = self.store.read_at_most(&place, room.0).ok()?;
        *room = (room.0 - text.len() as u64, room.1.checked_sub(values::count(&text))?);
        serde_json::from_slice(&text).ok()
    }
}

fn stale(order: &Order, window: &Window, sent: Option<usize>) -> Error {
    let words = match sent {
        None => "This chat was changed meanwhile, in another window perhaps. Nothing was sent; load it again.",
        Some(_) => {
            "Your message is in the chat already, and there is more behind it now. It was not sent again; load it."
        }
    };
    let details = serde_json::json!({ "expected": order.version, "found": window.chat.version, "index": sent });
    Error::conflict("stale", words).with_details(details)
}

pub(super) fn character(id: &FileName, card: &Card) -> Character {
    let depth = card.depth_prompt();
    Character {
        name: card.name().to_owned(),
        id: id.to_string(),
        tags: card.tags().into_iter().map(str::to_owned).collect(),
        description: card.description().to_owned(),
        personality: card.personality().to_owned(),
        scenario: card.scenario().to_owned(),
        example_messages: card.example_messages().to_owned(),
        system_prompt: card.system_prompt().to_owned(),
        post_history_instructions: card.post_history_instructions().to_owned(),
        creator_notes: card.creator_notes().to_owned(),
        version: card.character_version().to_owned(),
        depth_prompt: (!depth.prompt.trim().is_empty()).then(|| Note {
            role: RoleOf::from_json(Some(&Value::from(depth.role.as_str()))),
            text: depth.prompt,
            depth: depth.depth,
            ..Note::default()
        }),
    }
}

pub(super) fn now() -> OffsetDateTime {
    clock::local(std::time::SystemTime::now())
}

fn date(ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}

/// The same for all prompts of a chat, whatever it is called by then.
fn seed_of(metadata: &Map<String, Value>, chat: &FileName) -> u64 {
    hash(metadata.get("integrity").and_then(Value::as_str).unwrap_or(chat.as_str()))
}
