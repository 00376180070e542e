//! Generations in this house: what they need, taken from the rooms below; and where in a chat a reply goes, also when the
//! chat is not as it was.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::gather::{Gathered, Sources};
use super::generations::{Begun, Errand, Future1, GenerationId, House, Kept, Kind, Order, Said, Target};
use crate::accounts::Accounts;
use crate::clock;
use crate::error::{Error, Result};
use crate::library::changes::{Change, Changes};
use crate::library::chats::{ChatRef, Chats, Expect, Line, Message, NewChat, Swipe};
use crate::models::connection::Kind as Dialect;
use crate::models::usage::{Entry, Source};
use crate::models::{Ask, Connection, Holder, Key, Ledger, Models, Pieces, Usage, tokens};
use crate::store::{FileName, Handle, Place};

/// The rooms that generations need.
pub struct Talking {
    /// Where prompts come from.
    pub sources: Sources,
    /// Who lives here.
    pub accounts: Arc<Accounts>,
    /// What windows are told.
    pub changes: Arc<Changes>,
    /// The models that are asked.
    pub models: Arc<Models>,
    /// What was used up.
    pub ledger: Arc<Ledger>,
}

/// How a model is asked.
pub struct Plan {
    connection: Connection,
    key: Option<Key>,
    ask: Ask,
    /// What the prompt comes to, counted here.
    tokens: usize,
}

impl House for Talking {
    type Plan = Plan;

    fn begin(&self, id: &GenerationId, order: &Order) -> Result<Begun<Plan>> {
        let mut order = order.clone();
        for image in &mut order.images {
            *image = self.chats().take_picture(&order.handle, &order.character, image)?;
        }
        let order = &order;
        let gathered = self.gather(order)?;
        let key = self.sources.connections.key_of(&gathered.connection)?;
        let chat = ChatRef::new(order.character.clone(), order.chat.clone())?;
        // Everything that can be refused has been by now: only then the person's message goes into the chat.
        let appended = match &order.text {
            Some(text) => {
                let expect =
                    if gathered.is_sent { Expect::Anything } else { Expect::Version(gathered.window.chat.version) };
                let message = user_message(order, &gathered, text);
                Some(self.chats().append(&order.handle, &chat, expect, message)?)
            }
            None => None,
        };
        let last = gathered.window.lines.last().and_then(|line| Some((line.index, line.message()?)));
        let follows =
            appended.as_ref().map(|appended| &appended.message).or(last.map(|(_, message)| message)).map(mark);
        let target = match gathered.kind {
            Kind::Swipe | Kind::Continue => last.map(|(index, message)| target(index, message)),
            _ => None,
        };
        let (version, index) = match (&appended, &target) {
            (Some(appended), _) => (appended.version, appended.index + 1),
            (None, Some(target)) => (gathered.window.chat.version, target.index),
            (None, None) => (gathered.window.chat.version, gathered.window.chat.count),
        };
        let header = gathered.window.chat.header.as_ref();
        let errand = Errand {
            id: id.clone(),
            handle: order.handle.clone(),
            character: order.character.clone(),
            chat: order.chat.clone(),
            integrity: header.and_then(|header| header.integrity()).map(str::to_owned),
            follows,
            kind: gathered.kind,
            target,
            name: gathered.character,
            api: api(gathered.connection.kind).to_owned(),
            model: gathered.ask.model.clone(),
            started: clock::now_ms(),
            client: order.id.clone(),
            remembers: gathered.prompt.metadata,
        };
        Ok(Begun {
            line: line(&gathered.connection),
            plan: Plan { connection: gathered.connection, key, ask: gathered.ask, tokens: gathered.prompt.tokens },
            version: version.to_string(),
            user_message: appended.map(|appended| (appended.index, appended.message)),
            index: (errand.kind != Kind::Impersonate).then_some(index),
            errand,
        })
    }

    fn ask(&self, plan: Arc<Plan>) -> Future1<Result<Pieces>> {
        let models = Arc::clone(&self.models);
        Box::pin(async move { models.ask(&plan.connection, plan.key.clone(), plan.ask.clone()).await })
    }

    fn keep(&self, errand: &Errand, said: &Said, again: bool) -> Result<Kept> {
        let chat = ChatRef::new(errand.character.clone(), errand.chat.clone())?;
        let kept = match self.is_known_as(&chat, errand) {
            Ok(true) => self.keep_in(&chat, errand, said, again),
            Ok(false) => Err(Error::not_found("The chat of that name is another one.")),
            Err(error) => Err(error),
        };
        let kept = match kept {
            Err(error) if error.is_not_found() => self.keep_elsewhere(&chat, errand, said)?,
            other => other?,
        };
        Ok(self.remember(kept, errand))
    }

    fn spent(&self, errand: &Errand, plan: &Plan, said: &Said, reported: Option<Usage>) -> Usage {
        let count = |text: &str| tokens::count(&errand.model, text).tokens as u64;
        let counted = || Usage {
            prompt: plan.tokens as u64,
            completion: count(&said.text) + if said.reasoning.is_empty() { 0 } else { count(&said.reasoning) },
        };
        let entry = Entry::now(&plan.connection.id, &errand.model, reported, counted, Source::Chat);
        let usage = Usage { prompt: entry.prompt, completion: entry.completion };
        self.ledger.record(&errand.handle, entry);
        usage
    }

    fn tell(&self, handle: &Handle, character: &FileName, chat: &FileName, generation: Option<&GenerationId>) {
        let Ok(named) = ChatRef::new(character.clone(), chat.clone()) else { return };
        // A chat that cannot be looked at is told of by whatever makes it so.
        let Ok(opened) = self.chats().open(handle, &named) else { return };
        let change = Change::Chat {
            character: character.to_string(),
            chat: chat.to_string(),
            version: Some(opened.version),
            generation: generation.map(ToString::to_string),
        };
        self.changes.publish(handle, change);
    }

    fn knows(&self, handle: &Handle) -> bool {
        let has_account = self.accounts.listing().map(|listing| listing.get(handle).is_some());
        // Where the accounts cannot be read nobody is taken to be gone.
        has_account.unwrap_or(true) && !matches!(self.sources.store.stat(&Place::of(handle)), Ok(None))
    }
}

impl Talking {
    fn chats(&self) -> &Chats {
        &self.sources.chats
    }

    /// What `order` comes to. Writes nothing, and asks nobody but how much room there is.
    pub fn gather(&self, order: &Order) -> Result<Gathered> {
        let account = self.accounts.listing()?.get(&order.handle).map(|account| account.name.clone());
        self.sources.gather(order, account.as_deref().unwrap_or("User"))
    }

    /// Puts a reply into `chat`, where it belongs if that is still there, else at the end. `again`: it may be there already.
    fn keep_in(&self, chat: &ChatRef, errand: &Errand, said: &Said, again: bool) -> Result<Kept> {
        if again && let Some(kept) = self.found(chat, errand)? {
            return Ok(kept);
        }
        if let Some(target) = &errand.target
            && let Some(index) = self.find(chat, errand, target)?
            && let Some(kept) = self.put_on(chat, errand, said, target, index)?
        {
            return Ok(kept);
        }
        let message = reply(errand, said);
        let appended = self.chats().append(&errand.handle, chat, Expect::Anything, message)?;
        kept(appended.index, appended.version.to_string(), &appended.message)
    }

    /// The reply where it is already.
    fn found(&self, chat: &ChatRef, errand: &Errand) -> Result<Option<Kept>> {
        let mut found = None;
        let opened = self.chats().each(&errand.handle, chat, 0, |line| {
            if let Some(message) = line.message().filter(|message| has(message, &errand.id)) {
                found = Some((line.index, message.clone()));
            }
            Ok(())
        })?;
        found.map(|(index, message)| kept(index, opened.version.to_string(), &message)).transpose()
    }

    /// Where the message is that this is about, if it still is anywhere.
    fn find(&self, chat: &ChatRef, errand: &Errand, target: &Target) -> Result<Option<usize>> {
        let is_it = |line: &Line| line.message().is_some_and(|message| mark(message) == target.mark);
        match self.chats().message(&errand.handle, chat, target.index) {
            Ok((_, line)) if is_it(&line) => return Ok(Some(target.index)),
            Ok(_) => {}
            Err(error) if error.code() == "not_found" => {
                self.chats().open(&errand.handle, chat)?;
            }
            Err(error) => return Err(error),
        }
        let mut found = None;
        self.chats().each(&errand.handle, chat, 0, |line| {
            if is_it(&line) {
                found = Some(line.index);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Makes the reply a version of the message at `index`, or its continuation; nothing if that is not the message after
    /// all.
    fn put_on(
        &self,
        chat: &ChatRef,
        errand: &Errand,
        said: &Said,
        target: &Target,
        index: usize,
    ) -> Result<Option<Kept>> {
        let is_last = self.chats().open(&errand.handle, chat)?.count == index + 1;
        let mut is_it = true;
        let changed = self.chats().change(&errand.handle, chat, Expect::Anything, index, |message| {
            if mark(message) != target.mark {
                is_it = false;
                return Ok(());
            }
            if !has(message, &errand.id) {
                put(message, errand, said, target, is_last)?;
            }
            Ok(())
        })?;
        match changed.line.as_ref().and_then(Line::message) {
            Some(message) if is_it => kept(index, changed.version.to_string(), message).map(Some),
            _ => Ok(None),
        }
    }

    /// Where the chat has gone, and if nowhere, a chat of its own for the reply.
    fn keep_elsewhere(&self, chat: &ChatRef, errand: &Errand, said: &Said) -> Result<Kept> {
        let named = |kept: Kept, chat: &ChatRef| Kept { chat: Some(chat.chat.clone()), ..kept };
        if let Some(renamed) = self.renamed(errand)? {
            return self.keep_in(&renamed, errand, said, true).map(|kept| named(kept, &renamed));
        }
        let name = format!("{} (kept reply {})", shortened(chat.chat.as_str()), &errand.id.as_str()[..8]);
        let copy = ChatRef::new(errand.character.clone(), FileName::parse(&name)?)?;
        match self.keep_in(&copy, errand, said, true) {
            Err(error) if error.is_not_found() => {}
            other => return other.map(|kept| named(kept, &copy)),
        }
        let message = reply(errand, said);
        let new = NewChat {
            name: Some(name),
            character_name: errand.name.clone(),
            messages: vec![message.clone()],
            metadata: Map::new(),
        };
        let (made, version) = self.chats().create(&errand.handle, &errand.character, new)?;
        kept(0, version.to_string(), &message).map(|kept| named(kept, &made))
    }

    /// The chat under its new name: renaming keeps the word by which SillyTavern knows a chat.
    fn renamed(&self, errand: &Errand) -> Result<Option<ChatRef>> {
        if errand.integrity.is_none() {
            return Ok(None);
        }
        let all = self.chats().all(&errand.handle)?;
        for (chat, _) in all.into_iter().filter(|(chat, _)| !chat.is_group()) {
            // Chats that cannot be read are not the one: that one could be.
            if self.is_known_as(&chat, errand).unwrap_or(false) && self.has_question(&chat, errand)? {
                return Ok(Some(chat));
            }
        }
        Ok(None)
    }

    /// Whether a chat is known by the word by which the errand's was, if that had one: another can have taken its name.
    fn is_known_as(&self, chat: &ChatRef, errand: &Errand) -> Result<bool> {
        let Some(integrity) = &errand.integrity else { return Ok(true) };
        let header = self.chats().open(&errand.handle, chat)?.header;
        Ok(header.as_ref().and_then(|header| header.integrity()) == Some(integrity))
    }

    /// Whether the message before the reply is in a chat.
    fn has_question(&self, chat: &ChatRef, errand: &Errand) -> Result<bool> {
        let Some(follows) = &errand.follows else { return Ok(true) };
        let mut found = false;
        self.chats().each(&errand.handle, chat, 0, |line| {
            found = found || line.message().is_some_and(|message| mark(message) == *follows);
            Ok(())
        })?;
        Ok(found)
    }

    /// Writes into the chat's head what lorebooks and variables are to remember. The reply is safe already; what cannot be
    /// remembered is forgotten.
    fn remember(&self, kept: Kept, errand: &Errand) -> Kept {
        if errand.remembers.is_empty() {
            return kept;
        }
        let name = kept.chat.clone().unwrap_or_else(|| errand.chat.clone());
        let changed = ChatRef::new(errand.character.clone(), name).and_then(|chat| {
            self.chats().change_header(&errand.handle, &chat, Expect::Anything, |header| {
                let metadata = header.metadata_mut();
                errand.remembers.iter().for_each(|(name, value)| drop(metadata.insert(name.clone(), value.clone())));
                Ok(())
            })
        });
        match changed {
            Ok(changed) => Kept { version: changed.version.to_string(), ..kept },
            Err(error) => {
                tracing::warn!(?error, "what a chat is to remember could not be written");
                kept
            }
        }
    }
}

/// The line before a connection is everybody's who uses it.
pub fn line(connection: &Connection) -> String {
    match &connection.holder {
        Holder::House => format!("house/{}", connection.id),
        Holder::User(handle) => format!("{handle}/{}", connection.id),
    }
}

fn user_message(order: &Order, gathered: &Gathered, text: &str) -> Message {
    let mut message = Message::new(&gathered.chosen.persona.name, true, text);
    order.images.iter().for_each(|url| message.add_picture(url));
    match &order.id {
        Some(id) => message.with_id(id),
        None => message,
    }
}

fn target(index: usize, message: &Message) -> Target {
    Target {
        index,
        mark: mark(message),
        text: message.text().to_owned(),
        reasoning: message.reasoning().unwrap_or_default().to_owned(),
    }
}

/// What tells a message from others whatever happens to it: its first version's date does not change with its text, nor with
/// the version that is shown.
fn mark(message: &Message) -> String {
    let first = message.fields().get("swipe_info").and_then(|infos| infos.get(0)?.get("send_date"));
    let date = first.or_else(|| message.fields().get("send_date")).cloned().unwrap_or_default();
    format!("{} {} {date}", if message.is_user() { "user" } else { "model" }, message.name())
}

/// Whether a generation's reply is in this message, as itself or as one of its versions.
fn has(message: &Message, id: &GenerationId) -> bool {
    let of = |extra: Option<&Value>| {
        extra.and_then(|extra| extra.pointer("/tavernkeep/id")).and_then(Value::as_str) == Some(id.as_str())
    };
    let infos = message.fields().get("swipe_info").and_then(Value::as_array);
    of(message.fields().get("extra")) || infos.into_iter().flatten().any(|info| of(info.get("extra")))
}

/// The reply as a message.
fn reply(errand: &Errand, said: &Said) -> Message {
    let is_more = errand.kind == Kind::Continue;
    let (text, reasoning) =
        if is_more { continued(errand, said) } else { (said.text.trim_start().to_owned(), said.reasoning.clone()) };
    let mut message = Message::new(&errand.name, false, "");
    let date = iso(said.finished);
    let extra = extra(errand, said, &text, &reasoning);
    let fields = message.fields_mut();
    fields.insert("send_date".to_owned(), date.clone().into());
    fields.insert("mes".to_owned(), text.clone().into());
    fields.insert("gen_started".to_owned(), iso(errand.started).into());
    fields.insert("gen_finished".to_owned(), date.clone().into());
    let info = serde_json::json!({
        "send_date": date, "gen_started": iso(errand.started), "gen_finished": date, "extra": extra.clone(),
    });
    fields.insert("swipe_id".to_owned(), 0.into());
    fields.insert("swipes".to_owned(), vec![text].into());
    fields.insert("swipe_info".to_owned(), vec![info].into());
    fields.insert("extra".to_owned(), extra.into());
    message
}

/// The words and the thinking with what was there before.
fn continued(errand: &Errand, said: &Said) -> (String, String) {
    let before = errand.target.as_ref();
    let text = format!("{}{}", before.map_or("", |target| &target.text), said.text);
    let thought = before.map_or("", |target| &target.reasoning);
    let gap = if thought.is_empty() || said.reasoning.is_empty() { "" } else { "\n\n" };
    (text, format!("{thought}{gap}{}", said.reasoning))
}

fn extra(errand: &Errand, said: &Said, text: &str, reasoning: &str) -> Map<String, Value> {
    let mut ours = Map::new();
    ours.insert("id".to_owned(), errand.id.as_str().into());
    if said.unfinished {
        ours.insert("unfinished".to_owned(), true.into());
    }
    if let Some(error) = &said.error {
        ours.insert("error".to_owned(), error.as_str().into());
    }
    let mut extra = Map::new();
    extra.insert("api".to_owned(), errand.api.as_str().into());
    extra.insert("model".to_owned(), errand.model.as_str().into());
    extra.insert("reasoning".to_owned(), reasoning.into());
    extra.insert("reasoning_duration".to_owned(), said.thought.map_or(Value::Null, Value::from));
    extra.insert("token_count".to_owned(), tokens::count(&errand.model, text).tokens.into());
    extra.insert("tavernkeep".to_owned(), ours.into());
    extra
}

/// Puts a reply on the message that it is about.
fn put(message: &mut Message, errand: &Errand, said: &Said, target: &Target, is_last: bool) -> Result<()> {
    let is_as_it_was = message.text() == target.text;
    if errand.kind == Kind::Continue && is_as_it_was {
        let (text, reasoning) = continued(errand, said);
        let more = extra(errand, said, &text, &reasoning);
        // The version on show is written last, so that the list of versions has all of it.
        let fields = message.extra_mut();
        fields.shift_remove("tavernkeep");
        fields.extend(more);
        message.fields_mut().insert("gen_finished".to_owned(), iso(said.finished).into());
        message.set_text(&text);
        message.extra_mut().insert("token_count".to_owned(), tokens::count(&errand.model, &text).tokens.into());
        message.set_unfinished(said.unfinished);
        return Ok(());
    }
    // A message that was edited while its continuation came keeps the edit; the continuation becomes a version beside it.
    let (text, reasoning) = match errand.kind {
        Kind::Continue => continued(errand, said),
        _ => (said.text.trim_start().to_owned(), said.reasoning.clone()),
    };
    let shown = message.swipes().map_or(0, |(at, _)| at);
    let extra = extra(errand, said, &text, &reasoning);
    let date = iso(said.finished);
    message.add_swipe(Swipe {
        text,
        send_date: Some(date.clone()),
        gen_started: Some(iso(errand.started)),
        gen_finished: Some(date),
        extra,
    });
    // Where the conversation has gone on, or the person has another idea, what they see does not change.
    if !is_last || (errand.kind == Kind::Continue) {
        message.select_swipe(shown)?;
    }
    Ok(())
}

fn kept(index: usize, version: String, message: &Message) -> Result<Kept> {
    let message = serde_json::to_value(message).map_err(Error::internal)?;
    Ok(Kept { chat: None, index, version, message })
}

fn iso(ms: i64) -> String {
    clock::rfc3339(ms)
}

/// What SillyTavern calls the dialects, where it has them.
fn api(kind: Dialect) -> &'static str {
    match kind {
        Dialect::OpenAi => "custom",
        Dialect::Anthropic => "claude",
        Dialect::Gemini => "makersuite",
        Dialect::Ollama => "ollama",
        Dialect::LlamaCpp => "llamacpp",
        Dialect::KoboldCpp => "koboldcpp",
        Dialect::Text => "textgenerationwebui",
        Dialect::Echo => "echo",
    }
}

/// Short enough that something can follow in a file's name.
fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(180)).unwrap_or(name)
}
