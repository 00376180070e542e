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
use crate::models::ask::Parameters;
use crate::models::connections::{self, Changes, Draft, given_key};
use crate::models::{Connection, ConnectionId, Holder, Key, Kind, presets};
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
        let changed = state.app.connections.update(by(&person, &origin), &person.account.handle, &id, changes)?;
        Ok(reply::json(&with_key(&state, &changed, person.account.role)?))
    })
    .await
}

/// `DELETE /api/v1/connections/{id}`.
pub async fn delete(call: Call) -> Result<Reply> {
    let id = ConnectionId::parse(call.param("id"))?;
    let (state, person, origin) = (call.state.clone(), call.person()?.clone(), call.origin());
    blocking(move || {
        state.app.connections.delete(by(&person, &origin), &person.account.handle, &id)?;
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
        let default = state.app.connections.default_of(&account.handle)?.id;
        Ok(reply::json(&json!({ "default": default })))
    })
    .await
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
