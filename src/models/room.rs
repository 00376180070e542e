//! How much room a model has for prompt and answer together, in tokens: asked of its server where the dialect tells it, and
//! remembered for a while. A reply waits a moment for the answer at most, and never fails for want of it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::words::Words;
use super::{Connection, Holder, Key, Kind, ModelInfo, Models, anthropic, asking, gemini, koboldcpp, llamacpp, ollama};
use super::{openai, reach};
use crate::egress::{HeaderMap, Target};
use crate::error::Result;
use crate::mutex::lock;

/// The room there is where neither the connection nor the model's server says how much, in tokens.
pub const USUAL: u32 = 8192;
/// More is not taken unless the connection says so, whatever the model could hold: each token of it is paid, or waited for,
/// with every single message.
pub const UNASKED: u32 = 32_768;
/// How long a reply waits for the answer.
const WAIT: Duration = Duration::from_secs(1);
/// How long a server may take for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(600);
/// How long a server that did not answer is left alone.
const REST: Duration = Duration::from_secs(60);
/// More models than anybody uses at a time.
const MOST: usize = 1000;

/// Who says how much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The connection, or the request.
    Set,
    /// The model's server.
    Model,
    /// Nobody.
    Usual,
}

/// The room for a prompt and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many tokens.
    pub tokens: u32,
    /// Who says so.
    pub source: Source,
}

impl Room {
    /// What is set counts; else what the model's server tells, up to [`UNASKED`]; else it is [`USUAL`].
    pub fn choose(set: Option<u32>, told: impl FnOnce() -> Option<u32>) -> Self {
        match set {
            Some(tokens) => Self { tokens, source: Source::Set },
            None => match told() {
                Some(tokens) => Self { tokens: tokens.min(UNASKED), source: Source::Model },
                None => Self { tokens: USUAL, source: Source::Usual },
            },
        }
    }
}

impl Models {
    /// How many tokens prompt and answer may have together with this model; none if its server does not tell.
    ///
    /// # Errors
    /// What went wrong while it was asked.
    pub async fn context(&self, connection: &Connection, key: Option<Key>, model: &str) -> Result<Option<u32>> {
        if connection.kind == Kind::Echo {
            return Ok(None);
        }
        let base = Target::parse(&connection.base_url)?;
        let words = Words::about(connection, base.origin(), key.clone());
        let (reach, key) = (reach(connection), key.as_ref());
        let ask = async |target: Target, headers: HeaderMap, body: Option<Value>| {
            asking::document(&self.egress, reach, target, headers, body, &words).await
        };
        Ok(match connection.kind {
            Kind::Echo => None,
            Kind::OpenAi | Kind::Text => {
                let headers = openai::headers(&base, key)?;
                let list = ask(openai::place(&base, &["models"]), headers.clone(), None).await?;
                if let Some(context) = of(openai::models(&list), model) {
                    return Ok(Some(context));
                }
                if openai::House::of(&base) != openai::House::Lenient {
                    return Ok(None);
                }
                // Programs on one's own machine speak this dialect too, and tell it in their own.
                let (studio, props, kobold) = tokio::join!(
                    ask(llamacpp::place(&base, &["api", "v0", "models"]), headers.clone(), None),
                    ask(llamacpp::place(&base, &["props"]), headers.clone(), None),
                    ask(koboldcpp::place(&base, &koboldcpp::CONTEXT), headers, None),
                );
                let studio = studio.ok().and_then(|list| openai::loaded_context(&list, model));
                studio
                    .or(props.ok().as_ref().and_then(llamacpp::context))
                    .or(kobold.ok().as_ref().and_then(koboldcpp::context))
            }
            Kind::Anthropic => {
                let all = anthropic::place(&base, "models").with_query("limit", "1000");
                of(anthropic::models(&ask(all, anthropic::headers(key)?, None).await?), model)
            }
            Kind::Gemini => {
                let name = model.strip_prefix("models/").unwrap_or(model).to_owned();
                gemini::context(&ask(gemini::place(&base, "models", Some(name)), gemini::headers(key)?, None).await?)
            }
            Kind::Ollama => {
                let body = json!({ "model": model });
                let shown = ask(ollama::place(&base, &["show"]), ollama::headers(key)?, Some(body)).await?;
                ollama::context(&shown, USUAL)
            }
            Kind::LlamaCpp => {
                llamacpp::context(&ask(llamacpp::place(&base, &["props"]), openai::headers(&base, key)?, None).await?)
            }
            Kind::KoboldCpp => koboldcpp::context(
                &ask(koboldcpp::place(&base, &koboldcpp::CONTEXT), openai::headers(&base, key)?, None).await?,
            ),
        })
    }
}

/// A number of tokens as servers write it, if it can be one.
pub(super) fn tokens(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok().filter(|tokens| *tokens > 0)
}

/// What a list says about one of its models; a server with one model needs no name for it.
fn of(list: Option<Vec<ModelInfo>>, model: &str) -> Option<u32> {
    let list = list?;
    let named = list.iter().find(|info| info.id == model);
    named.or(list.first().filter(|_| list.len() == 1 && model.is_empty())).and_then(|info| info.context)
}

/// What is remembered of many models, for all who ask.
pub struct Rooms {
    models: Arc<Models>,
    known: Mutex<HashMap<Which, Known>>,
    /// Told whenever a server has answered, or has not.
    news: Condvar,
    wait: Duration,
}

/// A model at a place. Another address or dialect is another model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Which {
    holder: Holder,
    connection: String,
    kind: Kind,
    base_url: String,
    model: String,
}

/// What is known about one.
#[derive(Debug, Default)]
struct Known {
    /// What its server said last.
    context: Option<u32>,
    /// When it is asked again; none if it has not been asked to an end yet.
    again: Option<Instant>,
    is_asked: bool,
}

impl Rooms {
    /// Nothing is known yet.
    pub fn new(models: Arc<Models>) -> Arc<Self> {
        Arc::new(Self { models, known: Mutex::default(), news: Condvar::new(), wait: WAIT })
    }

    /// How much room `model` has, as far as its server has said or says within a moment. `key` is called if the server has to
    /// be asked. Waits; never to be called where that is not fine.
    pub fn of(
        self: &Arc<Self>,
        connection: &Connection,
        model: &str,
        key: impl FnOnce() -> Option<Key>,
    ) -> Option<u32> {
        if connection.kind == Kind::Echo {
            return None;
        }
        let which = Which {
            holder: connection.holder.clone(),
            connection: connection.id.to_string(),
            kind: connection.kind,
            base_url: connection.base_url.clone(),
            model: model.to_owned(),
        };
        if let Some(asking) = self.begin(&which) {
            self.ask(asking, connection.clone(), key());
        }
        let known = lock(&self.known);
        // What was said before is good enough until it is said anew.
        let is_awaited =
            |known: &mut HashMap<Which, Known>| known.get(&which).is_some_and(|known| known.again.is_none());
        let waited = self.news.wait_timeout_while(known, self.wait, is_awaited);
        waited.unwrap_or_else(PoisonError::into_inner).0.get(&which).and_then(|known| known.context)
    }

    /// Notes that a server is asked, if it is time to.
    fn begin(self: &Arc<Self>, which: &Which) -> Option<Asking> {
        let now = Instant::now();
        let mut known = lock(&self.known);
        if known.len() >= MOST && !known.contains_key(which) {
            known.retain(|_, known| known.is_asked);
        }
        let entry = known.entry(which.clone()).or_default();
        let is_due = !entry.is_asked && entry.again.is_none_or(|again| again <= now);
        entry.is_asked |= is_due;
        is_due.then(|| Asking { rooms: Arc::clone(self), which: which.clone(), said: None })
    }

    /// Asks beside everything else.
    fn ask(&self, asking: Asking, connection: Connection, key: Option<Key>) {
        // Without a runtime there is nobody to ask; dropping the question says so.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(asking.run(Arc::clone(&self.models), connection, key));
        }
    }
}

/// A question on its way; dropping it notes what came of it.
struct Asking {
    rooms: Arc<Rooms>,
    which: Which,
    /// What the server said; none if it did not.
    said: Option<Option<u32>>,
}

impl Asking {
    async fn run(mut self, models: Arc<Models>, connection: Connection, key: Option<Key>) {
        let asked = models.context(&connection, key, &self.which.model);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(context)) => self.said = Some(context),
            Ok(Err(error)) => tracing::debug!(?error, "a model's server does not tell how much room there is"),
            Err(_) => tracing::debug!("a model's server takes too long to tell how much room there is"),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut known = lock(&self.rooms.known);
        let entry = known.entry(self.which.clone()).or_default();
        entry.is_asked = false;
        entry.again = Some(Instant::now() + if self.said.is_some() { HOLDS } else { REST });
        // A server that is down now has the room that it had.
        entry.context = self.said.unwrap_or(entry.context);
        drop(known);
        self.rooms.news.notify_all();
    }
}

#[cfg(test)]
mod tests;
