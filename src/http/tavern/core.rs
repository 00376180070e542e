//! `/csrf-token`, `/version`, `/api/ping`.

use serde_json::json;

use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::{csrf, pages};

/// What the client is told it talks to: it splits this at the colons and compares the version.
const AGENT: &str = "SillyTavern:1.19.0:Tavernkeep";

/// `GET /csrf-token`.
pub async fn csrf_token(call: Call) -> Result<Reply> {
    if call.state.app.config.disable_csrf_protection {
        return Ok(reply::json(&json!({ "token": "disabled" })));
    }
    let (secret, cookie) = pages::csrf_secret(&call)?;
    let mut answer = reply::json(&json!({ "token": csrf::token(&secret) }));
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut answer, &cookie);
    }
    Ok(answer)
}

/// `GET /version`.
pub async fn version(_: Call) -> Result<Reply> {
    Ok(reply::json(&json!({
        "agent": AGENT,
        "pkgVersion": "1.19.0",
        "gitRevision": null,
        "gitBranch": null,
        "commitDate": null,
        "isLatest": true,
        "server": concat!("Tavernkeep ", env!("CARGO_PKG_VERSION")),
    })))
}

/// `POST /api/ping`: asked before every generation; with `extend` the session's time starts anew.
pub async fn ping(call: Call) -> Result<Reply> {
    let mut answer = reply::nothing();
    if call.query("extend").is_some() {
        pages::renew(&call, call.person()?, &mut answer);
    }
    Ok(answer)
}
