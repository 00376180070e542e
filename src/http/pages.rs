//! The pages, and everything that is not a route: files, and the login wall before them.

use std::net::IpAddr;
use std::sync::Arc;

use warp::http::{HeaderMap, Method, StatusCode, header};

use super::call::{Call, Person};
use super::cookies;
use super::peer::Arrival;
use super::reply::{self, Dialect, Reply};
use super::shell::{MISSING_FILE, Page};
use super::state::State;
use crate::accounts::{Account, SignedIn};
use crate::error::{Error, Result};
use crate::store::Handle;

/// What has to be escaped of an address that becomes the value of one parameter of another.
const THEN: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `GET /`: the client's first page, for whoever is signed in.
pub async fn home(call: Call) -> Result<Reply> {
    if call.person.is_none() {
        return Ok(to_login(&call));
    }
    file(&call, "index.html").await
}

/// Any other page, for whoever is signed in. A stranger goes to the login screen, which leads back to the same address: a
/// link to one character or one message stays good.
pub async fn inside(call: Call, page: &Page) -> Result<Reply> {
    if call.person.is_none() {
        let path = call.uri.path().trim_end_matches('/');
        let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let then = percent_encoding::utf8_percent_encode(&format!("{path}{query}"), THEN).to_string();
        return Ok(reply::redirect(&format!("/login?then={then}")));
    }
    file(&call, &page.file()).await
}

/// `GET /login`: the login screen, or straight in, where that needs no screen.
pub async fn login(call: Call) -> Result<Reply> {
    if !call.state.app.accounts.rules().accounts {
        return Ok(reply::redirect("/"));
    }
    if call.person.is_none()
        && is_visit(&call)
        && call.query("noauto").is_none_or(|value| value.is_empty())
        && let Some((account, how)) = let_in(&call)?
    {
        let signed_in = call.state.app.accounts.admit(account, &call.visitor(), how).await?;
        let mut answer = reply::redirect("/");
        set_session(&call, &signed_in, &mut answer);
        return Ok(answer);
    }
    file(&call, "login.html").await
}

/// Whether somebody opens the page, as far as the browser says: a picture on another site, or a mere look at the headers,
/// must not start sessions.
fn is_visit(call: &Call) -> bool {
    let opened = call.header("sec-fetch-dest").is_none_or(|dest| dest == "document");
    call.method == Method::GET && opened && call.header("sec-fetch-site") != Some("cross-site")
}

/// Who gets in without the login screen: a sole account without a password; whoever a trusted proxy vouches for.
fn let_in(call: &Call) -> Result<Option<(Arc<Account>, &'static str)>> {
    let accounts = &call.state.app.accounts;
    if call.visitor().trusted
        && let Some(account) = accounts.sole_open_account()?
    {
        return Ok(Some((account, "sole account")));
    }
    let sso = &call.state.app.config.sso;
    let headers =
        [("remote-user", sso.authelia_auth, "authelia"), ("x-authentik-username", sso.authentik_auth, "authentik")];
    for (name, on, how) in headers {
        // Two of them: one may be the client's own, passed on.
        let once = call.headers.get_all(name).iter().count() == 1;
        let Some(user) = call.header(name).filter(|_| on && once && call.peer.by_proxy) else { continue };
        let Ok(handle) = Handle::parse(&user.trim().to_lowercase()) else { continue };
        if let Some(account) = accounts.listing()?.get(&handle).filter(|account| account.enabled) {
            return Ok(Some((Arc::clone(account), how)));
        }
    }
    Ok(None)
}

/// Puts a fresh session's cookie into an answer.
pub fn set_session(call: &Call, signed_in: &SignedIn, answer: &mut Reply) {
    let lifetime = call.state.app.accounts.sessions().lifetime();
    let value = signed_in.token.to_text();
    reply::add_cookie(answer, &cookies::session(&call.state.names.session, &value, lifetime, call.peer.secure));
}

/// Sends the session's cookie again, so that its time starts anew in the browser too.
pub fn renew(call: &Call, person: &Person, answer: &mut Reply) {
    let value = cookies::get(&call.headers, &call.state.names.session);
    if let (Some(value), Some(_)) = (value, &person.session) {
        let lifetime = call.state.app.accounts.sessions().lifetime();
        reply::add_cookie(answer, &cookies::session(&call.state.names.session, value, lifetime, call.peer.secure));
    }
}

/// Takes the session's cookie back.
pub fn end_session(call: &Call, answer: &mut Reply) {
    reply::add_cookie(answer, &cookies::gone(&call.state.names.session, call.peer.secure));
}

fn to_login(call: &Call) -> Reply {
    match call.uri.query() {
        Some(query) => reply::redirect(&format!("/login?{query}")),
        None => reply::redirect("/login"),
    }
}

/// The file of a page. Loading one renews the session's cookie: whoever comes every day stays signed in.
async fn file(call: &Call, name: &str) -> Result<Reply> {
    let found = call.state.files.get(name, &call.headers, call.peer.client).await?;
    let mut answer = found.ok_or_else(|| Error::internal(format!("{name} is not in the client")))?;
    if let Some(person) = &call.person {
        renew(call, person, &mut answer);
    }
    Ok(answer)
}

/// Everything that is not a route: a file of the client, or nothing.
pub async fn elsewhere(
    state: &State,
    arrival: &Arrival,
    headers: &HeaderMap,
    client: IpAddr,
    person: Option<&Person>,
    dialect: Dialect,
) -> Reply {
    let missing = Error::not_found("There is nothing here.");
    match dialect {
        Dialect::Own | Dialect::OpenAi => return reply::failed(&missing, dialect),
        Dialect::Tavern if person.is_none() => return reply::text(StatusCode::FORBIDDEN, "Forbidden"),
        Dialect::Tavern => return reply::failed(&missing, dialect),
        Dialect::Page => {}
    }
    if !matches!(arrival.method, Method::GET | Method::HEAD) {
        let mut answer = reply::text(StatusCode::METHOD_NOT_ALLOWED, "Not like this.");
        reply::set(&mut answer, header::ALLOW, "GET, HEAD");
        return answer;
    }
    let path = percent_encoding::percent_decode_str(arrival.uri.path().trim_start_matches('/')).decode_utf8();
    let found = match &path {
        Ok(path) => state.files.get(path, headers, client).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(answer)) => answer,
        Ok(None) => not_found(state, headers, client).await,
        Err(error) => {
            tracing::error!(?error, "a file of the client could not be read");
            reply::failed(&error, dialect)
        }
    }
}

async fn not_found(state: &State, headers: &HeaderMap, client: IpAddr) -> Reply {
    let mut plain = HeaderMap::new();
    plain.extend(headers.get(header::ACCEPT_ENCODING).map(|value| (header::ACCEPT_ENCODING, value.clone())));
    match state.files.get(MISSING_FILE, &plain, client).await {
        Ok(Some(mut answer)) => {
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
        _ => reply::failed(&Error::not_found("There is nothing here."), Dialect::Page),
    }
}

/// The secret that CSRF tokens of this browser are made of, and the cookie that has to be set when it is new.
pub fn csrf_secret(call: &Call) -> Result<(String, Option<String>)> {
    let signed_in = call.person.as_ref().is_some_and(|person| person.session.is_some());
    if let Some(secret) = super::csrf::secret(&call.headers, &call.state.names, signed_in) {
        return Ok((secret.to_owned(), None));
    }
    let secret = super::csrf::new_secret()?;
    let cookie = cookies::visitor(&call.state.names.visitor, &secret, call.peer.secure);
    Ok((secret, Some(cookie)))
}
