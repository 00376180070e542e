//! `GET /api/v1/openapi.json`: the route table as an OpenAPI 3.1 document. It says which routes there are, who may call them
//! and what a failure looks like; bodies are described for people in `docs/api.md`.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::reply::{self, Dialect, Reply};
use super::table::{Route, Who};
use crate::error::Result;

/// `GET /api/v1/openapi.json`.
pub async fn get(call: Call) -> Result<Reply> {
    Ok(reply::json(&document(call.state.table.rows(), &call.state.names.session)))
}

/// The document for these rows: those of our own dialect.
pub fn document(rows: &[Route], cookie: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in rows.iter().filter(|route| route.dialect == Dialect::Own) {
        let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tavernkeep",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "session": { "type": "apiKey", "in": "cookie", "name": cookie } },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "code"],
                    "properties": {
                        "error": { "type": "string", "description": "A sentence for people" },
                        "code": { "type": "string", "description": "A stable word for programs" },
                        "details": { "description": "More facts, where there are any" },
                    },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let failure = json!({
        "description": "What went wrong",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters(route),
        "responses": { "2XX": { "description": "Done" }, "4XX": failure, "5XX": failure },
    });
    match route.who {
        Who::Public => operation["security"] = json!([]),
        Who::SignedIn => operation["security"] = json!([{ "session": [] }]),
        Who::May(permission) => {
            operation["security"] = json!([{ "session": [] }]);
            operation["x-permission"] = json!(permission.name());
        }
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let named = route.pattern.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        named.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let token = route
        .changes()
        .then(|| json!({ "name": "X-CSRF-Token", "in": "header", "required": true, "schema": { "type": "string" } }));
    in_path.chain(token).collect()
}
