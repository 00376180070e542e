//! Trying a connection out: which models it has, and whether one says a few words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::usage::{Ledger, Meter, Source};
use super::{Ask, Connection, Key, Message, ModelInfo, Models, Parameters, Piece, Role};
use crate::error::{Error, Result};
use crate::store::Handle;

/// A server may have to load the model first.
const PATIENCE: Duration = Duration::from_secs(90);
/// A list of models is there, or it is not.
const LIST_PATIENCE: Duration = Duration::from_secs(10);
/// Models that think before they speak need some.
const LONGEST: u32 = 200;
/// Of what it says.
const SHOWN: usize = 200;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Whether the model said something.
    pub ok: bool,
    /// How long until it began to speak, in milliseconds.
    pub ms: u64,
    /// The models that there are, if the server tells.
    pub models: Option<Vec<ModelInfo>>,
    /// What the model said.
    pub reply: Option<String>,
    /// A sentence for people.
    pub message: String,
}

/// Who asks models, and where it is written down.
pub struct Tools<'a> {
    /// Asks.
    pub models: &'a Models,
    /// Notes.
    pub ledger: &'a Arc<Ledger>,
}

/// Tries `connection` out: with `model`, else its own, else the first that there is.
pub async fn run(
    tools: Tools<'_>,
    handle: &Handle,
    connection: &Connection,
    key: Option<Key>,
    model: Option<String>,
) -> Trial {
    let listing = tools.models.list(connection, key.clone());
    let listed = match tokio::time::timeout(LIST_PATIENCE, listing).await {
        Ok(listed) => listed,
        Err(_) => Err(Error::conflict("model_silent", "The server does not say which models it has.")),
    };
    let first = listed.as_ref().ok().and_then(|models| models.first()).map(|model| model.id.clone());
    let chosen = model.filter(|model| !model.trim().is_empty()).or_else(|| connection.model.clone()).or(first);
    let mut trial = Trial::default();
    let began = Instant::now();
    let said = match (chosen, &listed) {
        (Some(model), _) => say(&tools, handle, connection, key, &model, &mut trial, began).await,
        (None, Ok(_)) => {
            Err(Error::not_found("The server has no models yet. Load or pull one there, or name one here."))
        }
        (None, Err(error)) => Err(Error::conflict("model", error.message().to_owned())),
    };
    trial.models = listed.ok();
    match said {
        Ok(reply) => {
            trial.ok = true;
            trial.message = format!("It answers. The first word came after {} ms.", trial.ms);
            trial.reply = Some(reply);
        }
        Err(error) => trial.message = error.message().to_owned(),
    }
    trial
}

async fn say(
    tools: &Tools<'_>,
    handle: &Handle,
    connection: &Connection,
    key: Option<Key>,
    model: &str,
    trial: &mut Trial,
    began: Instant,
) -> Result<String> {
    let parameters = Parameters { max_tokens: Some(LONGEST), ..Parameters::default() };
    let messages = vec![Message::text(Role::User, "Say hello in five words or fewer.")];
    let ask = Ask { model: model.to_owned(), messages, parameters: parameters.over(&connection.parameters) };
    let mut meter = Meter::new(tools.ledger, handle, connection, &ask, Source::Test);
    let ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let talking = async {
        let mut pieces = tools.models.ask(connection, key, ask).await?;
        meter.begin();
        let mut reply = String::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            meter.see(&piece);
            match piece {
                Piece::Text(text) | Piece::Reasoning(text) if trial.ms == 0 && !text.is_empty() => {
                    trial.ms = ms().max(1);
                    reply.push_str(&text);
                }
                Piece::Text(text) => reply.push_str(&text),
                _ => {}
            }
            if reply.len() > SHOWN {
                break;
            }
        }
        Ok(reply.trim().chars().take(SHOWN).collect())
    };
    let said = tokio::time::timeout(PATIENCE, talking).await;
    said.unwrap_or_else(|_| {
        Err(Error::conflict("model_silent", "It did not answer within 90 seconds. A large model may still be loading."))
    })
}
