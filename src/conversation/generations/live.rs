//! A generation while it is remembered: under way, and for some minutes after its end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::errand::{GenerationId, Kind};
use super::event::{Event, Start};
use super::running::Noted;
use super::shown::Shown;
use super::tape::{Numbered, Tape};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::library::chats::Message;
use crate::mutex::lock;
use crate::store::{FileName, Handle};

/// A generation that is remembered.
pub struct Generation {
    /// Its name.
    pub id: GenerationId,
    /// Whose it is.
    pub handle: Handle,
    /// With which character.
    pub character: FileName,
    /// In which chat.
    pub chat: FileName,
    /// What for.
    pub kind: Kind,
    /// When it was begun, in milliseconds since 1970.
    pub started: i64,
    /// The client's name for the person's message that it answers.
    pub client: Option<String>,
    /// What `POST` answered, for one that is sent again.
    pub answer: Started,
    /// What it looks like as markup, while somebody looks.
    pub shown: Shown,
    /// Told to stop by its owner.
    pub(super) stop: CancellationToken,
    /// Its owner is gone, and with them the place for the reply.
    pub(super) forgotten: AtomicBool,
    /// How far its journal is.
    pub(super) noted: tokio::sync::Mutex<Noted>,
    tape: Mutex<Tape>,
    moved: watch::Sender<u64>,
    ended: Mutex<Option<Instant>>,
}

/// What whoever starts a generation is told.
#[derive(Debug, Clone)]
pub struct Started {
    /// The generation.
    pub id: GenerationId,
    /// The chat's version, with the person's message in it.
    pub version: Option<String>,
    /// The person's message, where one was appended.
    pub user_message: Option<(usize, Message)>,
}

/// A generation in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its name.
    pub id: GenerationId,
    /// With which character.
    pub character: FileName,
    /// In which chat.
    pub chat: FileName,
    /// What for.
    pub kind: Kind,
    /// When it was begun, in milliseconds since 1970.
    pub started: i64,
    /// Whether it is still under way.
    pub running: bool,
    /// The id of the last event so far.
    pub position: u64,
    /// How many bytes of words there are.
    pub length: usize,
}

/// What is known of a generation when it begins.
pub(super) struct Begins {
    pub(super) id: GenerationId,
    pub(super) handle: Handle,
    pub(super) character: FileName,
    pub(super) chat: FileName,
    pub(super) kind: Kind,
    pub(super) started: i64,
    pub(super) client: Option<String>,
    pub(super) answer: Started,
    pub(super) start: Start,
}

impl Generation {
    pub(super) fn new(begins: Begins) -> Self {
        let Begins { id, handle, character, chat, kind, started, client, answer, start } = begins;
        let mut tape = Tape::default();
        let before = start.text.clone();
        tape.happen(Event::Start(Box::new(start)));
        let (moved, _) = watch::channel(tape.length());
        Self {
            id,
            handle,
            character,
            chat,
            kind,
            started,
            client,
            answer,
            shown: Shown::after(before),
            stop: CancellationToken::new(),
            forgotten: AtomicBool::new(false),
            noted: tokio::sync::Mutex::default(),
            tape: Mutex::new(tape),
            moved,
            ended: Mutex::new(None),
        }
    }

    /// Adds words. An error when the reply has become longer than any reply may be.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        self.put(|tape| tape.say(text))
    }

    /// Adds thinking.
    pub(super) fn think(&self, text: &str) -> Result<()> {
        self.put(|tape| tape.think(text))
    }

    fn put(&self, what: impl FnOnce(&mut Tape)) -> Result<()> {
        let (length, is_full) = {
            let mut tape = lock(&self.tape);
            what(&mut tape);
            (tape.length(), tape.is_full())
        };
        self.moved.send_replace(length);
        if is_full { Err(too_long()) } else { Ok(()) }
    }

    /// Adds something that happened.
    pub(super) fn happen(&self, event: Event) {
        if event.is_last() {
            *lock(&self.ended) = Some(Instant::now());
        }
        let length = {
            let mut tape = lock(&self.tape);
            tape.happen(event);
            tape.length()
        };
        self.moved.send_replace(length);
    }

    /// What was said so far, words and thinking, from these offsets on.
    pub(super) fn said_from(&self, text: usize, reasoning: usize) -> (String, String) {
        let tape = lock(&self.tape);
        let from = |all: &str, at: usize| all.get(at..).unwrap_or_default().to_owned();
        (from(tape.text(), text), from(tape.reasoning(), reasoning))
    }

    /// How long it has been over, if it is.
    pub(super) fn over_for(&self) -> Option<Duration> {
        lock(&self.ended).map(|at| at.elapsed())
    }

    /// How much memory it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        lock(&self.tape).weight()
    }

    /// Whether it is still under way.
    pub fn is_running(&self) -> bool {
        lock(&self.ended).is_none()
    }

    /// Ends it as if it had never been; for whoever is gone.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Release);
        self.stop.cancel();
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    /// As a list shows it.
    pub fn summary(&self) -> Summary {
        let (position, length) = {
            let tape = lock(&self.tape);
            (tape.length(), tape.text().len())
        };
        Summary {
            id: self.id.clone(),
            character: self.character.clone(),
            chat: self.chat.clone(),
            kind: self.kind,
            started: self.started,
            running: self.is_running(),
            position,
            length,
        }
    }

    /// All words so far, and the number of the place behind them.
    pub fn words(&self) -> (u64, String) {
        let tape = lock(&self.tape);
        (tape.length(), tape.text().to_owned())
    }

    /// What follows the place `at`.
    pub fn after(&self, at: u64) -> Option<Numbered> {
        lock(&self.tape).after(at)
    }

    /// Whether it is over and everything up to its end came before `at`.
    pub fn is_over_at(&self, at: u64) -> bool {
        let tape = lock(&self.tape);
        tape.is_closed() && at >= tape.length()
    }

    /// Says each time how far it has come.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::Upstream,
        "reply_too_long",
        "The model went on and on: this reply is longer than any this server takes. What came until then is kept.",
    )
}
