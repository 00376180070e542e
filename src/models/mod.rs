//! Language models: connections to their servers, the dialects of providers, streaming, tokens, usage. This room knows
//! nothing of characters and chats.
//!
//! - [`Models`] asks: what to say becomes a request in the connection's dialect, what comes back a stream of [`Piece`]s
//! - one file for each dialect, which prepares requests and decodes answers; `asking` is the way that they share,
//!   `frames` tells messages apart in what comes in, `think` tells thinking from answer, `words` says what went wrong
//!   `stops` keeps words at which an answer stops out of it
//! - [`instruct`] writes a conversation down as one text, for those that complete text
//! - [`tokens`] counts, [`room`] knows how many a model can hold

mod anthropic;
pub mod ask;
mod asking;
pub mod connection;
pub mod connections;
pub mod discovery;
mod echo;
#[cfg(test)]
#[path = "../../tests/support/model.rs"]
mod fake;
mod frames;
mod gemini;
pub mod instruct;
pub mod key;
mod koboldcpp;
mod llamacpp;
mod ollama;
mod openai;
pub mod presets;
pub mod room;
mod stops;
mod text;
mod think;
pub mod tokens;
pub mod trial;
pub mod usage;
pub mod vault;
mod words;

pub use ask::{Ask, Finish, Image, Message, Parameters, Part, Piece, Pieces, Role, Usage};
pub use connection::{Connection, ConnectionId, Holder, Kind};
pub use connections::Connections;
pub use key::Key;
pub use room::{Room, Rooms};
pub use usage::Ledger;
pub use vault::Vault;

use crate::config::Config;
use crate::egress::{Egress, Reach, Rules, Target};
use crate::error::Result;
use asking::Waits;
use words::Words;

/// A model that a server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// What it is called in requests.
    pub id: String,
    /// What people call it, if that is something else.
    pub name: Option<String>,
    /// How many tokens prompt and answer may have together, if the server says so.
    pub context: Option<u32>,
}

/// Asks language models.
pub struct Models {
    egress: Egress,
    waits: Waits,
}

impl Models {
    /// As the configuration has it.
    pub fn new(config: &Config) -> Self {
        let rules = Rules { private: config.models.allow_private_hosts.clone(), alone: !config.enable_user_accounts };
        let Config { models, .. } = config;
        let waits = Waits { first_word: models.first_word(), silence: models.silence(), reply: models.reply() };
        Self { egress: Egress::new(rules), waits }
    }

    /// Asks a model. The answer comes piece by piece; dropping it closes the connection, which stops the model.
    ///
    /// # Errors
    /// What went wrong before the first piece. What goes wrong later is the last item of the stream.
    pub async fn ask(&self, connection: &Connection, key: Option<Key>, ask: Ask) -> Result<Pieces> {
        let prepared = match connection.kind {
            Kind::Echo => return Ok(echo::ask(&ask)),
            Kind::OpenAi => openai::prepare(connection, key.as_ref(), &ask)?,
            Kind::Ollama => ollama::prepare(connection, key.as_ref(), &ask)?,
            Kind::Anthropic => anthropic::prepare(connection, key.as_ref(), &ask)?,
            Kind::Gemini => gemini::prepare(connection, key.as_ref(), &ask)?,
            Kind::LlamaCpp => llamacpp::prepare(connection, key.as_ref(), &ask)?,
            Kind::KoboldCpp => koboldcpp::prepare(connection, key.as_ref(), &ask)?,
            Kind::Text => text::prepare(connection, key.as_ref(), &ask)?,
        };
        let words = Words::about(connection, prepared.target.origin(), key);
        let begun = ask.messages.last().filter(|message| message.role == Role::Assistant).map(Message::words);
        asking::ask(&self.egress, reach(connection), prepared, words, self.waits, &begun.unwrap_or_default()).await
    }

    /// The models that a server has.
    pub async fn list(&self, connection: &Connection, key: Option<Key>) -> Result<Vec<ModelInfo>> {
        if connection.kind == Kind::Echo {
            return Ok(echo::models());
        }
        let base = Target::parse(&connection.base_url)?;
        let words = Words::about(connection, base.origin(), key.clone());
        let key = key.as_ref();
        let get = async |target, headers| {
            asking::document(&self.egress, reach(connection), target, headers, None, &words).await
        };
        let models = match connection.kind {
            Kind::Echo => Some(echo::models()),
            Kind::OpenAi | Kind::Text => {
                openai::models(&get(openai::place(&base, &["models"]), openai::headers(&base, key)?).await?)
            }
            Kind::Anthropic => {
                let all = anthropic::place(&base, "models").with_query("limit", "1000");
                anthropic::models(&get(all, anthropic::headers(key)?).await?)
            }
            Kind::Gemini => {
                let all = gemini::place(&base, "models", None).with_query("pageSize", "1000");
                gemini::models(&get(all, gemini::headers(key)?).await?)
            }
            Kind::Ollama => ollama::models(&get(ollama::place(&base, &["tags"]), ollama::headers(key)?).await?),
            Kind::LlamaCpp => {
                let headers = openai::headers(&base, key)?;
                let list = get(llamacpp::place(&base, &["v1", "models"]), headers.clone()).await?;
                let props = get(llamacpp::place(&base, &["props"]), headers).await.ok();
                llamacpp::models(&list, props.as_ref())
            }
            Kind::KoboldCpp => {
                let headers = openai::headers(&base, key)?;
                let model = get(koboldcpp::place(&base, &["api", "v1", "model"]), headers.clone()).await?;
                let context = koboldcpp::place(&base, &koboldcpp::CONTEXT);
                koboldcpp::models(&model, get(context, headers).await.ok().as_ref())
            }
        };
        models.ok_or_else(|| words.garbage("the list of models has another form"))
    }

    /// Whether a connection could be asked at all: its address is one, and not one that is closed to its holder. What a
    /// name stands for shows only when it is asked.
    pub fn check(&self, connection: &Connection) -> Result<()> {
        if connection.kind == Kind::Echo {
            return Ok(());
        }
        let base = Target::parse(&connection.base_url)?;
        let words = Words::about(connection, base.origin(), None);
        self.egress.precheck(reach(connection), &base).map_err(|failure| words.failure(&failure))
    }
}

/// An admin who makes a connection for the house has thereby named the host.
fn reach(connection: &Connection) -> Reach {
    match connection.holder {
        Holder::House => Reach::House,
        Holder::User(_) => Reach::Own,
    }
}

#[cfg(test)]
mod tests;
