//! From warp to a handler and back: one filter that rejects nothing, one way in, one way out.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;
use warp::Filter;
use warp::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use warp::http::{Method, StatusCode};

use super::call::{Body, Call, Person};
use super::peer::{Arrival, Peer};
use super::reply::{self, Dialect, Reply};
use super::state::State;
use super::table::{Match, Route, dialect_of};
use super::{call, gate, openai, pages, peer, table};
use crate::error::{Error, Kind, Result};

/// The server as one warp filter.
pub fn filter(state: Arc<State>) -> impl Filter<Extract = (Reply,), Error = warp::Rejection> + Clone {
    warp::ext::get::<Arrival>().and(warp::header::headers_cloned()).and(warp::body::stream()).then(
        move |arrival: Arrival, headers: HeaderMap, body| {
            let state = Arc::clone(&state);
            async move { answer(state, arrival, headers, call::body(body)).await }
        },
    )
}

/// Answers one request; whatever happens there is an answer.
async fn answer(state: Arc<State>, arrival: Arrival, headers: HeaderMap, body: Body) -> Reply {
    let started = Instant::now();
    let peer = Peer::of(&arrival, &headers, &state.app.config);
    peer::greet(&state.newcomers, &state.app.config, &peer, &headers);
    let (head, client) = (arrival.method == Method::HEAD, peer.client);
    let (method, path) = (arrival.method.clone(), arrival.uri.path().to_owned());
    let work = AssertUnwindSafe(route(Arc::clone(&state), arrival, headers, body, peer)).catch_unwind();
    let (mut answer, pattern) = match work.await {
        Ok(answered) => answered,
        Err(_) => {
            // The panic hook has written where and why.
            let error = Error::internal("a handler panicked");
            (reply::failed(&error, dialect_of(&path)), "panic")
        }
    };
    finish(&mut answer, &path);
    if head {
        answer = strip(answer);
    }
    tracing::debug!(
        %method, route = pattern, status = answer.status().as_u16(), %client,
        us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX), "request"
    );
    answer
}

/// Finds the route and takes the request through the gate. Also says which pattern it was, for the log.
async fn route(
    state: Arc<State>,
    arrival: Arrival,
    headers: HeaderMap,
    body: Body,
    peer: Peer,
) -> (Reply, &'static str) {
    let path = arrival.uri.path();
    let dialect = dialect_of(path);
    if let Err(error) =
        gate::check_address(&state, &peer).and_then(|()| gate::check_host(&state, &headers, &arrival.uri))
    {
        return (reply::failed(&error, dialect), "-");
    }
    let person = match who(&state, &headers, &peer, dialect).await {
        Ok(person) => person,
        Err(told) => return (told, "-"),
    };
    let (route, params) = match state.table.find(&arrival.method, path) {
        Match::Found(route, params) => (route, params),
        Match::OtherMethod(route, allowed) if route.dialect != Dialect::Tavern => {
            return (other_method(route, &allowed), route.pattern);
        }
        Match::OtherMethod(..) | Match::None => {
            return (pages::elsewhere(&state, &arrival, &headers, peer.client, person.as_ref(), dialect).await, "*");
        }
    };
    if let Err(error) = gate::check(&state, route, person.as_ref(), &headers, &arrival.uri) {
        return (refusal(&error, route.dialect), route.pattern);
    }
    let call = Call {
        state: Arc::clone(&state),
        person,
        peer,
        method: arrival.method,
        uri: arrival.uri,
        headers,
        params,
        dialect: route.dialect,
        limit: route.body,
        body,
        room: None,
    };
    match handle(&state, route, call).await {
        Ok(answer) => (answer, route.pattern),
        Err(error) => {
            log(&error, route.pattern);
            (reply::failed(&error, route.dialect), route.pattern)
        }
    }
}

/// Lets the handler work. What changes something is done to its end once it was begun, even if whoever asked hangs up:
/// nothing stays half done, and a client that asks again finds it done. Programs that hang up are not worked for any
/// more: their replies are kept nowhere.
async fn handle(state: &State, route: &Route, call: Call) -> Result<Reply> {
    let work = (route.handler)(call);
    if route.changes() && route.dialect != Dialect::OpenAi {
        Begun { work: Some(work), others: &state.work }.await
    } else {
        work.await
    }
}

/// Work that goes on among `others` if nobody waits for it any more.
struct Begun<'a> {
    work: Option<table::Answer>,
    others: &'a TaskTracker,
}

impl Future for Begun<'_> {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out meanwhile: if it panics, it is over.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.work.take(), tokio::runtime::Handle::try_current()) {
            self.others.spawn_on(work, &runtime);
        }
    }
}

/// Who calls. Programs show an API key, and nothing else counts for them: no cookie, and nobody by default. So no page
/// elsewhere can make a browser ask in somebody's name, and no token against that is needed.
async fn who(state: &State, headers: &HeaderMap, peer: &Peer, dialect: Dialect) -> Result<Option<Person>, Reply> {
    let told = |error: Error| refusal(&error, dialect);
    let for_programs = dialect == Dialect::OpenAi;
    if for_programs && let Some(person) = gate::by_key(state, headers).map_err(told)? {
        return Ok(Some(person));
    }
    let basic = gate::check_basic(state, headers, peer).await?;
    if for_programs { Ok(None) } else { gate::identify(state, headers, basic).map_err(told) }
}

/// What the gate says, in the words that SillyTavern's client knows from its login wall.
fn refusal(error: &Error, dialect: Dialect) -> Reply {
    log(error, "gate");
    match error.kind() {
        Kind::NotSignedIn if dialect == Dialect::Tavern => reply::text(StatusCode::FORBIDDEN, "Forbidden"),
        Kind::Forbidden if dialect == Dialect::Tavern && error.code() != "csrf" => {
            reply::text(StatusCode::FORBIDDEN, "Forbidden")
        }
        _ => reply::failed(error, dialect),
    }
}

fn other_method(route: &Route, allowed: &str) -> Reply {
    let mut answer = match route.dialect {
        Dialect::Page => reply::text(StatusCode::METHOD_NOT_ALLOWED, "Not like this."),
        Dialect::OpenAi => openai::failed(
            StatusCode::METHOD_NOT_ALLOWED,
            &Error::invalid("method", format!("This path takes {allowed}.")),
        ),
        Dialect::Own | Dialect::Tavern => reply::json_with(
            StatusCode::METHOD_NOT_ALLOWED,
            &serde_json::json!({ "error": format!("This path takes {allowed}."), "code": "method" }),
        ),
    };
    reply::set(&mut answer, header::ALLOW, allowed);
    answer
}

/// The cause of an error is written once, here, and only where somebody has to look at it.
fn log(error: &Error, route: &str) {
    match error.kind() {
        Kind::Storage | Kind::Internal => tracing::error!(route, error = ?error, "a request failed"),
        _ => tracing::debug!(route, error = ?error, "a request was refused"),
    }
}

/// The headers that every answer has, unless it set its own.
fn finish(answer: &mut Reply, path: &str) {
    let api = dialect_of(&path.to_ascii_lowercase()) != Dialect::Page;
    let headers = answer.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "SAMEORIGIN");
    default(header::REFERRER_POLICY, "same-origin");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if api {
        default(header::CACHE_CONTROL, "no-store");
        default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox");
    }
    // No Strict-Transport-Security: it would hold for every other service of a home server's name. That is for the
    // reverse proxy of a house with a name of its own to say.
}

fn strip(answer: Reply) -> Reply {
    let (parts, _) = answer.into_parts();
    Reply::from_parts(parts, Default::default())
}

/// Only a request that did not come through our accept loop can be rejected by the filter.
pub async fn last_resort(_: warp::Rejection) -> Result<Reply, Infallible> {
    Ok(reply::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}
