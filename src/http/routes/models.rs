//! Model servers: connections, their keys, usage; API keys.

use warp::http::Method;

use crate::access::Permission::{AccountOwn, ConnectionsOwn, KeysOwn, ModelsUse};
use crate::http::own::{connections, keys, usage};
use crate::http::table::{Route, Who};
use Who::May;

/// Its rows.
#[rustfmt::skip]
pub fn rows() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/api/v1/connections", May(ModelsUse), "the connections that one can use", connections::list),
        Route::new(Method::POST, "/api/v1/connections", May(ConnectionsOwn), "make a connection; one of the house needs connections.house", connections::create),
        Route::new(Method::PUT, "/api/v1/connections/default", May(ModelsUse), "choose the connection that is used unless one says otherwise", connections::choose),
        Route::new(Method::GET, "/api/v1/connections/kinds", May(ModelsUse), "providers and programs that there are", connections::kinds),
        Route::new(Method::PATCH, "/api/v1/connections/{id}", May(ConnectionsOwn), "change a connection", connections::update),
        Route::new(Method::DELETE, "/api/v1/connections/{id}", May(ConnectionsOwn), "remove a connection and its key", connections::delete),
        Route::new(Method::GET, "/api/v1/connections/{id}/models", May(ModelsUse), "the models of a connection", connections::models),
        Route::new(Method::POST, "/api/v1/connections/{id}/test", May(ModelsUse), "ask a connection for a few words", connections::test),
        Route::new(Method::POST, "/api/v1/connections/test", May(ConnectionsOwn), "try a connection that is not saved", connections::test_new),
        Route::new(Method::POST, "/api/v1/connections/discover", May(ConnectionsOwn), "look for model servers on this machine", connections::discover),
        Route::new(Method::GET, "/api/v1/me/usage", May(AccountOwn), "what one had models do, in tokens", usage::get),
        Route::new(Method::GET, "/api/v1/me/keys", May(KeysOwn), "one's API keys", keys::list),
        Route::new(Method::POST, "/api/v1/me/keys", May(KeysOwn), "make an API key; it is shown this once", keys::create),
        Route::new(Method::DELETE, "/api/v1/me/keys/{id}", May(KeysOwn), "revoke an API key", keys::revoke),
    ]
}
