//! `/api/v1/connections`: the model servers that one can use, one's own and the house's.

use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::StatusCode;

use crate::access::{Permission, Role};
use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::{Call, Person, by};
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::changes::Change;
use crate::models::ask::Parameters;
use crate::models::connections::{self, Changes, Draft, Updated, given_key};
use crate::models::trial::{self, Tools};
use crate::models::{Connection, ConnectionId, Holder, Key, Kind, ModelInfo, presets};
use crate::store::Handle;

/// Whose a connection is to be.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One's own.
    #[default]
    Own,
    /// The house's.
    House,
}

impl Scope {
    fn holder(self, handle: &Handle) -> Holder {
        match self {
            Self::Own => Holder::User(handle.clone()),
            Self::House => Holder::House,
        }
    }
}

/// A connection as it is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    #[serde(default)]
    scope: Scope,
    name: String,
    kind: Kind,
    base_url: Option<String>,
    model: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    template: Option<String>,
    #[serde(default, deserialize_with = "given_key")]
    key: Option<Option<Key>>,
}

impl Create {
    fn parts(self, handle: &Handle) -> (Holder, Draft, Option<Key>) {
        let Self { scope, name, kind, base_url, model, parameters, template, key } = self;
        (scope.holder(handle), Draft { name, kind, base_url, model, parameters, template }, key.flatten())
    }
}

/// `GET /api/v1/connections`.
pub async fn list(call: Call) -> Result<Reply> {
    let (state, person) = (call.state.clone(), call.person()?.clone());
    blocking(move || {
        let (handle, role) = (&person.account.handle, person.account.role);
        let connections = &state.app.connections;
        let (mut list, mut damaged) = (Vec::new(), Vec::new());
        for holder in [Holder::User(handle.clone()), Holder::House] {
            let found = connections.of(&holder)?;
            for connection in &found.connections {
                let mut view = view(connection, role);
                view["hasKey"] = json!(found.has_key(connection));
                if found.lost_key(connection) {
                    view["keyLost"] = json!(true);
                }
                list.push(view);
            }
            if may_see(&holder, role) {
                damaged.extend(found.damaged);
            }
        }
        list.push(with_key(&state, &connections::echo(), role)?);
        let default = connections.default_of(handle)?.id;
        Ok(reply::json(&json!({ "connections": list, "default": default, "echo": true, "damaged": damaged })))
    })
    .await
}

/// `GET /api/v1/connections/kinds`.
pub async fn kinds(_: Call) -> Result<Reply> {
    Ok(reply::json(&presets::ALL))
}

/// `POST /api/v1/connections`.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body: Create = call.json().await?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        let (holder, draft, key) = body.parts(&person.account.handle);
        let made = state.app.connections.create(by(&person, &origin), &holder, draft, key.as_ref())?;
        tell(&state, &person.account.handle, &made.holder);
        Ok(reply::json_with(StatusCode::CREATED, &with_key(&state, &made, person.account.role)?))
    })
    .await
}

/// `PATCH /api/v1/connections/{id}`.
pub async fn update(mut call: Call) -> Result<Reply> {
    let id = ConnectionId::parse(call.param("id"))?;
    let changes: Changes = call.json().await?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        let Updated { connection, key_dropped } =
            state.app.connections.update(by(&person, &origin), &person.account.handle, &id, changes)?;
        tell(&state, &person.account.handle, &connection.holder);
        let mut view = with_key(&state, &connection, person.account.role)?;
        if key_dropped {
            view["keyDropped"] = json!(true);
        }
        Ok(reply::json(&view))
    })
    .await
}

/// `DELETE /api/v1/connections/{id}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let id = ConnectionId::parse(call.param("id"))?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        let holder = state.app.connections.delete(by(&person, &origin), &person.account.handle, &id)?;
        tell(&state, &person.account.handle, &holder);
        Ok(reply::nothing())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choose {
    id: Option<ConnectionId>,
}

/// `PUT /api/v1/connections/default`.
pub async fn choose(mut call: Call) -> Result<Reply> {
    let Choose { id } = call.json().await?;
    let (state, Person { account, .. }) = (call.state.clone(), call.person()?.clone());
    blocking(move || {
        state.app.connections.choose(&account.handle, id.as_ref())?;
        state.app.changes.publish(&account.handle, Change::Connections {});
        let default = state.app.connections.default_of(&account.handle)?.id;
        Ok(reply::json(&json!({ "default": default })))
    })
    .await
}

/// `GET /api/v1/connections/{id}/models`.
pub async fn models(call: Call) -> Result<Reply> {
    let (connection, key) = usable(&call).await?;
    let listed = call.state.app.models.list(&connection, key).await?;
    Ok(reply::json(&json!({ "models": infos(&listed) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Try {
    model: Option<String>,
}

/// `POST /api/v1/connections/{id}/test`.
pub async fn test(mut call: Call) -> Result<Reply> {
    let Try { model } = call.json().await?;
    let id = ConnectionId::parse(call.param("id"))?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    let found = blocking(move || {
        let connection = state.app.connections.get(&handle, &id)?;
        // That a key cannot be read is what the test is to tell.
        Ok((state.app.connections.key_of(&connection), connection))
    });
    match found.await? {
        (Ok(key), connection) => try_out(&call, connection, key, model).await,
        (Err(error), _) => Ok(reply::json(&json!({ "ok": false, "ms": 0, "message": error.message() }))),
    }
}

/// `POST /api/v1/connections/test`.
pub async fn test_new(mut call: Call) -> Result<Reply> {
    let body: Create = call.json().await?;
    let (person, origin) = (call.person()?.clone(), call.origin());
    let (holder, draft, key) = body.parts(&person.account.handle);
    let connection = call.state.app.connections.sketch(by(&person, &origin), &holder, draft)?;
    try_out(&call, connection, key, None).await
}

/// `POST /api/v1/connections/discover`.
pub async fn discover(call: Call) -> Result<Reply> {
    let account = call.me()?;
    // Whoever may make connections for the house may look wherever those may lead.
    let house = account.role.permissions().has(Permission::ConnectionsHouse);
    let holder = if house { Holder::House } else { Holder::User(account.handle.clone()) };
    let app = &call.state.app;
    let found = app.models.discover(&holder, app.config.port).await;
    let views = found.iter().map(|found| {
        json!({ "kind": found.kind, "name": found.name, "baseUrl": found.base_url, "models": infos(&found.models) })
    });
    Ok(reply::json(&json!({ "found": views.collect::<Vec<_>>() })))
}

/// The connection that the path names, with its key.
async fn usable(call: &Call) -> Result<(Connection, Option<Key>)> {
    let id = ConnectionId::parse(call.param("id"))?;
    let (state, handle) = (call.state.clone(), call.me()?.handle.clone());
    blocking(move || {
        let connection = state.app.connections.get(&handle, &id)?;
        let key = state.app.connections.key_of(&connection)?;
        Ok((connection, key))
    })
    .await
}

/// Asks for the models and for a few words. What goes wrong is an answer like any other: it is what was asked for.
async fn try_out(call: &Call, connection: Connection, key: Option<Key>, model: Option<String>) -> Result<Reply> {
    let handle = call.me()?.handle.clone();
    let app = &call.state.app;
    let tools = Tools { models: &app.models, ledger: &app.ledger };
    let tried = trial::run(tools, &handle, &connection, key, model).await;
    let mut answer = json!({ "ok": tried.ok, "ms": tried.ms, "message": tried.message });
    if let Some(models) = &tried.models {
        answer["models"] = json!(infos(models));
    }
    if let Some(reply) = &tried.reply {
        answer["reply"] = json!(reply);
    }
    Ok(reply::json(&answer))
}

fn infos(models: &[ModelInfo]) -> Vec<Value> {
    let view = |info: &ModelInfo| json!({ "id": info.id, "name": info.name, "context": info.context });
    models.iter().map(view).collect()
}

/// Tells the windows that show connections.
fn tell(state: &State, handle: &Handle, holder: &Holder) {
    match holder {
        Holder::House => state.app.changes.publish_to_all(&Change::Connections {}),
        Holder::User(_) => state.app.changes.publish(handle, Change::Connections {}),
    }
}

/// Whether somebody in this role sees where a connection leads. The house's keeper does; others only use it.
fn may_see(holder: &Holder, role: Role) -> bool {
    *holder != Holder::House || role.permissions().has(Permission::ConnectionsHouse)
}

/// A connection as its users see it. The key is nowhere in it.
fn view(connection: &Connection, role: Role) -> Value {
    let mut parameters = connection.parameters.clone();
    if !may_see(&connection.holder, role) {
        // Fields of the provider's may be secret, too: an organisation, a user's mark.
        parameters.extra.clear();
    }
    let mut view = json!({
        "id": connection.id,
        "scope": if connection.holder == Holder::House { "house" } else { "own" },
        "name": connection.name,
        "kind": connection.kind,
        "model": connection.model,
        "parameters": parameters,
        "template": connection.template,
    });
    if may_see(&connection.holder, role) && connection.kind != Kind::Echo {
        view["baseUrl"] = json!(connection.base_url);
    }
    view
}

fn with_key(state: &State, connection: &Connection, role: Role) -> Result<Value> {
    let mut view = view(connection, role);
    view["hasKey"] = json!(state.app.connections.has_key(connection)?);
    Ok(view)
}
