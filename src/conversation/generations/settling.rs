//! Into the chat, whatever happens: a reply that came is put where it belongs now, later when the disk takes it, or by the
//! next start of the server; and in each case once.

use std::sync::Arc;
use std::time::Duration;

use super::errand::{Errand, GenerationId, Kept, Kind, Said};
use super::event::{Done, Event, Failed};
use super::journal::Found;
use super::live::Generation;
use super::running::Ended;
use super::{Generations, House};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::mutex::lock;

/// Before each try to put a reply into its chat.
const TRIES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_millis(1500)];

impl<H: House> Generations<H> {
    /// Puts what came where it belongs, and tells whoever listens.
    pub(super) async fn settle(
        self: &Arc<Self>,
        generation: &Arc<Generation>,
        errand: Errand,
        plan: Arc<H::Plan>,
        said: Said,
        ended: Ended,
    ) {
        let (this, about, words) = (Arc::clone(self), errand.clone(), said.clone());
        let spent = blocking(move || Ok(this.house.spent(&about, &plan, &words, ended.usage))).await.ok();
        let usage = spent.or(ended.usage);
        if errand.kind == Kind::Impersonate || generation.is_forgotten() {
            if errand.kind != Kind::Impersonate {
                self.drop_journal(&errand.id).await;
            }
            generation.happen(match ended.how {
                Ok(finish) => {
                    let text = Some(said.text.trim().to_owned());
                    Event::Done(Box::new(Done { finish, usage, text, ..Done::default() }))
                }
                Err(error) => Event::Failed(Box::new(Failed::of(&error))),
            });
            return;
        }
        if said.is_nothing() {
            self.drop_journal(&errand.id).await;
            generation.happen(match ended.how {
                Ok("stopped") => Event::Done(Box::new(Done { finish: "stopped", usage, ..Done::default() })),
                Ok(_) => Event::Failed(Box::new(Failed::of(&said_nothing()))),
                Err(error) => Event::Failed(Box::new(Failed::of(&error))),
            });
            return;
        }
        let kept = self.keep_soon(&errand, &said).await;
        generation.happen(outcome(ended.how, kept, usage));
    }

    /// Tries to put a reply into its chat; where the disk refuses, it is remembered and tried again later.
    async fn keep_soon(self: &Arc<Self>, errand: &Errand, said: &Said) -> Result<Kept> {
        let mut last = None;
        for wait in TRIES {
            let again = last.is_some();
            tokio::time::sleep(wait).await;
            let (this, about, words) = (Arc::clone(self), errand.clone(), said.clone());
            match blocking(move || this.keep(&about, &words, again)).await {
                Ok(kept) => return Ok(kept),
                Err(error) => last = Some(error),
            }
        }
        let (this, about, words) = (Arc::clone(self), errand.clone(), said.clone());
        let noted = blocking(move || this.journals.end(&about.id, &words)).await;
        if let Err(error) = noted {
            tracing::warn!(?error, "a reply that could not be put into its chat could not be noted down either");
        }
        lock(&self.unsettled).push((errand.clone(), said.clone()));
        let error = last.unwrap_or_else(|| Error::internal("a reply was not tried to be kept"));
        tracing::error!(?error, generation = %errand.id, "a reply could not be put into its chat yet");
        Err(error)
    }

    /// Puts a reply into its chat, and drops its journal. Waits for the disk.
    fn keep(&self, errand: &Errand, said: &Said, again: bool) -> Result<Kept> {
        let kept = self.house.keep(errand, said, again)?;
        if let Err(error) = self.journals.remove(&errand.id) {
            // Found again later, together with the reply in the chat, and so known to be done.
            tracing::warn!(?error, generation = %errand.id, "the journal of a reply that is in its chat could not be removed");
        }
        Ok(kept)
    }

    async fn drop_journal(self: &Arc<Self>, id: &GenerationId) {
        let (this, named) = (Arc::clone(self), id.clone());
        if let Err(error) = blocking(move || this.journals.remove(&named)).await {
            tracing::warn!(?error, generation = %id, "the journal of a reply without words could not be removed");
        }
    }

    /// Tries once more what the disk refused before. Waits for the disk.
    pub fn settle_left(&self) {
        let left = std::mem::take(&mut *lock(&self.unsettled));
        for (errand, said) in left {
            match self.keep(&errand, &said, true) {
                Ok(_) => {
                    tracing::info!(generation = %errand.id, "a reply that waited for the disk is in its chat");
                    self.house.tell(&errand.handle, &errand.character, &errand.chat, None);
                }
                Err(error) => {
                    tracing::warn!(?error, generation = %errand.id, "a reply still cannot be put into its chat");
                    lock(&self.unsettled).push((errand, said));
                }
            }
        }
    }

    /// Puts into their chats what an earlier run of the server left under way. To be called before anything is begun; can
    /// be interrupted and done again. Says how many there were. Waits for the disk.
    pub fn recover(&self) -> Result<usize> {
        let mut recovered = 0;
        for id in self.journals.list()? {
            match self.recover_one(&id) {
                Ok(kept) => recovered += usize::from(kept),
                // The others are not to wait for it, and neither is the house.
                Err(error) => tracing::error!(?error, generation = %id, "a reply under way could not be recovered yet"),
            }
        }
        Ok(recovered)
    }

    fn recover_one(&self, id: &GenerationId) -> Result<bool> {
        let (errand, said) = match self.journals.read(id)? {
            Found::Whole(errand, said) => (*errand, *said),
            Found::Damaged => {
                tracing::warn!(generation = %id, "the journal of a reply cannot be read, and is set aside");
                return self.journals.set_aside(id).map(|()| false);
            }
        };
        if said.is_nothing() || !self.house.knows(&errand.handle) {
            return self.journals.remove(id).map(|()| false);
        }
        match self.keep(&errand, &said, true) {
            Ok(_) => Ok(true),
            Err(error) => {
                lock(&self.unsettled).push((errand, said));
                Err(error)
            }
        }
    }
}

fn outcome(how: Result<&'static str>, kept: Result<Kept>, usage: Option<crate::models::Usage>) -> Event {
    let chat = |kept: &Kept| kept.chat.as_ref().map(ToString::to_string);
    match (how, kept) {
        (Ok(finish), Ok(kept)) => Event::Done(Box::new(Done {
            index: Some(kept.index),
            chat: chat(&kept),
            version: Some(kept.version),
            finish,
            usage,
            message: Some(kept.message),
            text: None,
        })),
        (Err(error), Ok(kept)) => Event::Failed(Box::new(Failed {
            kept: true,
            index: Some(kept.index),
            chat: chat(&kept),
            version: Some(kept.version),
            ..Failed::of(&error)
        })),
        (how, Err(error)) => {
            let why = how.err().map(|error| format!("{} ", error.message())).unwrap_or_default();
            let message = format!(
                "{why}What came could not be put into the chat yet: {} The server goes on trying; do not stop it now.",
                error.message()
            );
            Event::Failed(Box::new(Failed { message, ..Failed::of(&error) }))
        }
    }
}

fn said_nothing() -> Error {
    Error::new(
        crate::error::Kind::Upstream,
        "empty_reply",
        "The model answered without a word. Nothing was added to the chat; try again, or look at the prompt.",
    )
}
