//! From the first word to the last: waiting for one's turn, asking, passing on each piece at once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use super::errand::{Errand, Said};
use super::event::Event;
use super::live::Generation;
use super::{Busy, Generations, House};
use crate::blocking::blocking;
use crate::clock;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::models::{Finish, Piece, Pieces, Usage};

/// How the asking ended.
pub(super) struct Ended {
    /// `stop`, `length`, `filtered`, `stopped`; or why there is no more.
    pub(super) how: Result<&'static str>,
    /// What was used up, as far as the model's server said.
    pub(super) usage: Option<Usage>,
    /// How long it thought.
    pub(super) thought: Option<Duration>,
}

impl<H: House> Generations<H> {
    /// One generation, from its place in the line to its place in the chat.
    pub(super) async fn run(
        self: Arc<Self>,
        generation: Arc<Generation>,
        errand: Errand,
        line: String,
        plan: Arc<H::Plan>,
        busy: Busy<H>,
    ) {
        let talk = AssertUnwindSafe(self.converse(&generation, &line, Arc::clone(&plan))).catch_unwind();
        // What came is kept and whoever listens is told, whatever goes wrong here; the panic hook has written where it did.
        let ended = talk.await.unwrap_or_else(|_| Ended {
            how: Err(Error::internal("a generation panicked")),
            usage: None,
            thought: None,
        });
        // Whatever is being noted down is done; nothing follows into a journal that is about to go.
        generation.noted.lock().await.closed = true;
        let (text, reasoning) = generation.said_from(0, 0);
        let said = Said {
            text,
            reasoning,
            thought: ended.thought.map(|thought| u64::try_from(thought.as_millis()).unwrap_or(u64::MAX)),
            finished: clock::now_ms(),
            tokens: ended.usage.map(|usage| usage.completion),
            unfinished: ended.how.is_err(),
            error: ended.how.as_ref().err().filter(|error| error.code() != "closing").map(|e| e.message().to_owned()),
        };
        self.settle(&generation, errand, plan, said, ended).await;
        drop(busy);
        self.tell(&generation, None);
    }

    async fn converse(self: &Arc<Self>, generation: &Arc<Generation>, line: &str, plan: Arc<H::Plan>) -> Ended {
        let mut talk = Talk { usage: None, thinking_since: None, thought: None };
        let how = tokio::select! {
            biased;
            () = generation.stop.cancelled() => Ok("stopped"),
            () = self.cutting.cancelled() => Err(closing()),
            how = self.listen(generation, line, plan, &mut talk) => how,
        };
        Ended { how, usage: talk.usage, thought: talk.thought.or(talk.thinking_since.map(|since| since.elapsed())) }
    }

    /// Waits for the turn, asks, and passes on what comes. Dropping it stops the model and frees the turn.
    async fn listen(
        self: &Arc<Self>,
        generation: &Arc<Generation>,
        line: &str,
        plan: Arc<H::Plan>,
        talk: &mut Talk,
    ) -> Result<&'static str> {
        let mut turn = self.queues.join(line, &generation.handle);
        let mut waited = false;
        let permit = turn.come(|place| {
            waited = true;
            generation.happen(Event::Queued(place));
        });
        let _permit = permit.await.ok_or_else(|| Error::internal("a place in the line was lost"))?;
        drop(turn);
        if waited {
            generation.happen(Event::Queued(0));
        }
        let asked = tokio::time::timeout(self.rules.first_word, self.house.ask(plan));
        let pieces = asked.await.map_err(|_| silent(self.rules.first_word, "said nothing"))??;
        self.pass_on(generation, pieces, talk).await
    }

    async fn pass_on(
        self: &Arc<Self>,
        generation: &Arc<Generation>,
        mut pieces: Pieces,
        talk: &mut Talk,
    ) -> Result<&'static str> {
        let mut patience = self.rules.first_word;
        let waiting = sleep_until(tokio::time::Instant::now() + patience);
        tokio::pin!(waiting);
        let first = tokio::time::Instant::now() + self.rules.journal;
        let mut pen = interval_at(first, self.rules.journal);
        pen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let is_noted = generation.kind != super::Kind::Impersonate;
        loop {
            tokio::select! {
                biased;
                piece = pieces.next() => {
                    match piece {
                        Some(Ok(piece)) => if let Some(finish) = talk.hear(generation, piece)? {
                            return Ok(finish);
                        },
                        Some(Err(error)) => return Err(error),
                        None => return Err(cut_off()),
                    }
                    // A model that is never at a loss for words is not to keep a thread for itself.
                    tokio::task::consume_budget().await;
                    patience = self.rules.silence;
                    waiting.as_mut().reset(tokio::time::Instant::now() + patience);
                }
                () = &mut waiting => return Err(silent(patience, "fell silent")),
                // Beside the way of the words; one that still writes is not asked again.
                _ = pen.tick(), if is_noted => if generation.noted.try_lock().is_ok() {
                    self.tasks.spawn(Arc::clone(self).note(Arc::clone(generation)));
                },
            }
        }
    }
}

/// What has been heard beside the words.
struct Talk {
    usage: Option<Usage>,
    thinking_since: Option<Instant>,
    thought: Option<Duration>,
}

impl Talk {
    /// Passes a piece on. The end's reason, if it was the end.
    fn hear(&mut self, generation: &Generation, piece: Piece) -> Result<Option<&'static str>> {
        match piece {
            Piece::Text(text) => {
                if let (Some(since), None) = (self.thinking_since, self.thought) {
                    self.thought = Some(since.elapsed());
                }
                generation.say(&text)?;
            }
            Piece::Reasoning(text) => {
                self.thinking_since.get_or_insert_with(Instant::now);
                generation.think(&text)?;
            }
            Piece::Usage(usage) => self.usage = Some(usage),
            Piece::End(finish) => {
                return Ok(Some(match finish {
                    Finish::Stop => "stop",
                    Finish::Length => "length",
                    Finish::Filtered => "filtered",
                }));
            }
        }
        Ok(None)
    }
}

/// How far the journal of a generation is.
#[derive(Debug, Default)]
pub(super) struct Noted {
    text: usize,
    reasoning: usize,
    /// Nothing may be added any more: the journal is about to go.
    pub(super) closed: bool,
}

impl<H: House> Generations<H> {
    /// Writes down what came since the last time. A disk that refuses is asked again a second later.
    async fn note(self: Arc<Self>, generation: Arc<Generation>) {
        let Ok(_pen) = self.pens.acquire().await else { return };
        let mut noted = generation.noted.lock().await;
        let (text, reasoning) = generation.said_from(noted.text, noted.reasoning);
        if noted.closed || (text.is_empty() && reasoning.is_empty()) {
            return;
        }
        let (words, thoughts) = (text.len(), reasoning.len());
        let (this, id) = (Arc::clone(&self), generation.id.clone());
        match blocking(move || this.journals.add(&id, &text, &reasoning)).await {
            Ok(()) => {
                noted.text += words;
                noted.reasoning += thoughts;
            }
            Err(error) => tracing::warn!(?error, "a reply under way could not be noted down"),
        }
    }
}

fn closing() -> Error {
    Error::new(
        ErrorKind::Busy,
        "closing",
        "The server was stopped while this reply came in. What came is in the chat, marked unfinished; you can continue it.",
    )
}

fn cut_off() -> Error {
    Error::new(
        ErrorKind::Upstream,
        "model_cut_off",
        "The model's server ended in the middle of the reply. What came is kept; you can continue it.",
    )
}

fn silent(after: Duration, what: &str) -> Error {
    Error::new(
        ErrorKind::Upstream,
        "model_silent",
        format!(
            "The model {what} for {} seconds, and was given up. What came is kept; you can continue it.",
            after.as_secs()
        ),
    )
}
