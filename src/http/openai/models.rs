//! `/v1/models`: what can be asked, and what a name means.
//!
//! A model is `<connection id>/<model>`, a connection's id alone for its own model, a bare name for a model of the
//! connection that is used by default, or `character:<name>`.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::characters::Row;
use crate::models::connection::Kind as Dialect;
use crate::models::connections::{self, ECHO};
use crate::models::{Connection, ConnectionId, Holder, Key};
use crate::store::{self, FileName, Handle};

/// A server that does not say within this time which models it has is listed with the one that is set.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the name of a character begins with.
const CHARACTER: &str = "character:";
/// Whose models characters are, as far as programs are concerned.
const CHARACTERS: &str = "characters";
/// More nobody chooses from in a list; all can be asked.
const CHARACTERS_MAX: usize = 1000;

/// What a name means.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Through which connection.
    pub connection: Connection,
    /// Which model of it.
    pub model: String,
    /// As which character.
    pub character: Option<FileName>,
}

/// `GET /v1/models`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let mine = blocking(move || everything(&state, &handle)).await?;
    let asked = mine.into_iter().map(|(connection, key)| {
        let state = &call.state;
        async move {
            let models = models_of(state, &connection, key).await;
            models.into_iter().map(|model| view(&connection, &format!("{}/{model}", connection.id))).collect()
        }
    });
    let mut listed: Vec<Vec<Value>> = join_all(asked).await;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    listed.push(blocking(move || characters(&state, &handle)).await?);
    Ok(reply::json(&json!({ "object": "list", "data": listed.concat() })))
}

/// `GET /v1/models/{id}`.
pub async fn get(call: Call) -> Result<Reply> {
    let name = call.param("id").to_owned();
    let named = find(&call.state, &call.me()?.handle, &name).await?;
    if named.character.is_some() {
        return Ok(reply::json(&entry(&name, CHARACTERS)));
    }
    let (state, connection) = (call.state.clone(), named.connection.clone());
    let key = blocking(move || state.app.connections.key_of(&connection)).await?;
    if models_of(&call.state, &named.connection, key).await.contains(&named.model) {
        Ok(reply::json(&view(&named.connection, &name)))
    } else {
        Err(no_model(&name))
    }
}

/// What `name` means to `handle`.
pub async fn find(state: &std::sync::Arc<State>, handle: &Handle, name: &str) -> Result<Named> {
    let (state, handle, name) = (state.clone(), handle.clone(), name.trim().to_owned());
    blocking(move || {
        let connections = &state.app.connections;
        if let Some(called) = name.strip_prefix(CHARACTER) {
            let character = character(&state, &handle, called)?.ok_or_else(|| no_model(&name))?;
            let connection = connections.default_of(&handle)?;
            let model = model_of(&connection)?;
            return Ok(Named { connection, model, character: Some(character) });
        }
        let known = |id: &str| match ConnectionId::parse(id) {
            Ok(id) => store::if_there(connections.get(&handle, &id)),
            Err(_) => Ok(None),
        };
        if let Some((id, model)) = name.split_once('/')
            && !model.is_empty()
            && let Some(connection) = known(id)?
        {
            return Ok(Named { connection, model: model.to_owned(), character: None });
        }
        if let Some(connection) = known(&name)? {
            let model = model_of(&connection)?;
            return Ok(Named { connection, model, character: None });
        }
        let connection = connections.default_of(&handle)?;
        // The echo answers to its own name only: nobody is to take it for the model that they asked for.
        if name.is_empty() || connection.id.as_str() == ECHO {
            return Err(no_model(&name));
        }
        Ok(Named { connection, model: name, character: None })
    })
    .await
}

/// The model that a connection asks unless it is told otherwise. Servers with one model need no name for it.
fn model_of(connection: &Connection) -> Result<String> {
    match (&connection.model, connection.kind) {
        (Some(model), _) => Ok(model.clone()),
        (None, Dialect::LlamaCpp | Dialect::KoboldCpp | Dialect::Text | Dialect::Echo) => Ok(String::new()),
        (None, _) => {
            let text = format!("No model is set for “{}”: ask for {}/<model>.", connection.name, connection.id);
            Err(Error::invalid("model_not_found", text).with_details(json!({ "param": "model" })))
        }
    }
}

/// The character that is called so: by the name of its file, else by the name that people see, if only one has it.
fn character(state: &State, handle: &Handle, called: &str) -> Result<Option<FileName>> {
    let snapshot = state.app.characters.look(handle)?;
    let sound = || snapshot.rows.iter().filter(|row| row.damaged.is_none());
    if let Some(row) = sound().find(|row| row.id.as_str() == called) {
        return Ok(Some(row.id.clone()));
    }
    let wanted = called.to_lowercase();
    let mut named = sound().filter(|row| row.name.to_lowercase() == wanted);
    Ok(named.next().map(|row| row.id.clone()).filter(|_| named.next().is_none()))
}

/// Somebody's characters, each under a name that means it alone.
fn characters(state: &State, handle: &Handle) -> Result<Vec<Value>> {
    let snapshot = state.app.characters.look(handle)?;
    let mut taken: HashMap<String, usize> = HashMap::new();
    for row in &snapshot.rows {
        *taken.entry(row.name.to_lowercase()).or_default() += 1;
        if row.id.as_str().to_lowercase() != row.name.to_lowercase() {
            *taken.entry(row.id.as_str().to_lowercase()).or_default() += 1;
        }
    }
    let sound = snapshot.rows.iter().filter(|row| row.damaged.is_none()).take(CHARACTERS_MAX);
    let name = |row: &Row| match taken.get(&row.name.to_lowercase()) {
        Some(1) => row.name.to_string(),
        _ => row.id.to_string(),
    };
    Ok(sound.map(|row| entry(&format!("{CHARACTER}{}", name(row)), CHARACTERS)).collect())
}

/// The connections of somebody with their keys. One whose key cannot be read is asked without.
fn everything(state: &State, handle: &Handle) -> Result<Vec<(Connection, Option<Key>)>> {
    let connections = &state.app.connections;
    let mut all = connections.of(&Holder::User(handle.clone()))?.connections;
    all.extend(connections.of(&Holder::House)?.connections);
    all.push(connections::echo());
    let with_key = |connection: Connection| {
        let key = connections.key_of(&connection).ok().flatten();
        (connection, key)
    };
    Ok(all.into_iter().map(with_key).collect())
}

async fn models_of(state: &State, connection: &Connection, key: Option<Key>) -> Vec<String> {
    match tokio::time::timeout(PATIENCE, state.app.models.list(connection, key)).await {
        Ok(Ok(listed)) if !listed.is_empty() => listed.into_iter().map(|model| model.id).collect(),
        _ => connection.model.iter().cloned().collect(),
    }
}

fn view(connection: &Connection, id: &str) -> Value {
    entry(id, &connection.name)
}

fn entry(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

fn no_model(name: &str) -> Error {
    let name: String = name.chars().take(100).collect();
    let text = format!(
        "There is no model “{name}”. GET /v1/models lists what can be asked: <connection>/<model> or character:<name>."
    );
    Error::new(Kind::NotFound, "model_not_found", text).with_details(json!({ "param": "model" }))
}
