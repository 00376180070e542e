//! `/v1/models`: what can be asked, and what a name means.
//!
//! A model is `<connection id>/<model>`, a connection's id alone for its own model, a bare name for a model of the
//! connection that is used by default, or `character:<name>`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::{Error, Kind, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::models::connections::{self, ECHO};
use crate::models::{Connection, ConnectionId, Holder, Key};
use crate::store::{self, Handle};

/// A server that does not say within this time which models it has is listed with the one that is set.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a name means.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Through which connection.
    pub connection: Connection,
    /// Which model of it.
    pub model: String,
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
    let listed: Vec<Vec<Value>> = join_all(asked).await;
    Ok(reply::json(&json!({ "object": "list", "data": listed.concat() })))
}

/// `GET /v1/models/{id}`.
pub async fn get(call: Call) -> Result<Reply> {
    let name = call.param("id").to_owned();
    let named = find(&call.state, &call.me()?.handle, &name).await?;
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
        let known = |id: &str| match ConnectionId::parse(id) {
            Ok(id) => store::if_there(connections.get(&handle, &id)),
            Err(_) => Ok(None),
        };
        if let Some((id, model)) = name.split_once('/')
            && !model.is_empty()
            && let Some(connection) = known(id)?
        {
            return Ok(Named { connection, model: model.to_owned() });
        }
        if let Some(connection) = known(&name)? {
            let model = connection.model.clone().ok_or_else(|| {
                Error::invalid("model_not_found", format!("This connection has no model set: ask for {name}/<model>."))
            })?;
            return Ok(Named { connection, model });
        }
        let connection = connections.default_of(&handle)?;
        // The echo answers to its own name only: nobody is to take it for the model that they asked for.
        if name.is_empty() || connection.id.as_str() == ECHO {
            return Err(no_model(&name));
        }
        Ok(Named { connection, model: name })
    })
    .await
}

/// The connections of somebody with their keys. One whose key cannot be read is asked without.
fn everything(state: &State, handle: &Handle) -> Result<Vec<(Connection, Option<Key>)>> {
    let connections = &state.app.connections;
    let mut all = connections.of(&Holder::User(handle.clone()))?.connections;
    all.extend(connections.of(&Holder::House)?.connections);
    all.push(connections::echo());
    Ok(all
        .into_iter()
        .map(|connection| (connections.key_of(&connection).ok().flatten(), connection))
        .map(|(k, c)| (c, k))
        .collect())
}

async fn models_of(state: &State, connection: &Connection, key: Option<Key>) -> Vec<String> {
    match tokio::time::timeout(PATIENCE, state.app.models.list(connection, key)).await {
        Ok(Ok(listed)) if !listed.is_empty() => listed.into_iter().map(|model| model.id).collect(),
        _ => connection.model.iter().cloned().collect(),
    }
}

fn view(connection: &Connection, id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": connection.name })
}

fn no_model(name: &str) -> Error {
    let name: String = name.chars().take(100).collect();
    let text = format!(
        "There is no model “{name}”. GET /v1/models lists what can be asked: <connection>/<model> or character:<name>."
    );
    Error::new(Kind::NotFound, "model_not_found", text).with_details(json!({ "param": "model" }))
}
