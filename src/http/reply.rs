//! Answers. One place makes them, one place turns errors into them.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;
use warp::http::header::{self, HeaderValue};
use warp::http::{Response, StatusCode};

use crate::error::{Error, Kind};
use crate::store::Version;

/// An answer.
pub type Reply = warp::reply::Response;

/// In which form errors are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error", "code"}`, 401 for whoever is not signed in.
    Own,
    /// As SillyTavern's client expects: `{"error"}`, or a bare `Forbidden` at the login wall.
    Tavern,
    /// As OpenAI's libraries expect: `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// A page for people.
    Page,
}

/// `value` as JSON.
pub fn json<T: Serialize>(value: &T) -> Reply {
    json_with(StatusCode::OK, value)
}

/// `value` as JSON, with a status.
pub fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    match serde_json::to_vec(value) {
        Ok(text) => with_type(status, "application/json; charset=utf-8", text),
        Err(error) => failed(&Error::internal(error), Dialect::Own),
    }
}

/// Bytes that are JSON already.
pub fn json_text(text: impl Into<Bytes>) -> Reply {
    with_type(StatusCode::OK, "application/json; charset=utf-8", text)
}

/// 204.
pub fn nothing() -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// Plain text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    with_type(status, "text/plain; charset=utf-8", text)
}

/// Text that SillyTavern sends with Express's default type for strings.
pub fn express_string(text: impl Into<Bytes>) -> Reply {
    with_type(StatusCode::OK, "text/html; charset=utf-8", text)
}

/// Bytes of a media type.
pub fn with_type(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into().into());
    *reply.status_mut() = status;
    set(&mut reply, header::CONTENT_TYPE, media_type);
    reply
}

/// A redirection that keeps nothing.
pub fn redirect(to: &str) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::FOUND;
    set(&mut reply, header::LOCATION, to);
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    reply
}

/// Sets a header; a value that cannot be one is left out.
pub fn set(reply: &mut Reply, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// Names the version of a file that an answer holds.
pub fn set_version(reply: &mut Reply, version: Version) {
    set(reply, header::ETAG, &format!("\"{version}\""));
}

/// Tells browsers to save an answer under this name, whatever it is.
pub fn set_file_name(reply: &mut Reply, name: &str) {
    const SIGNS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');
    let name = utf8_percent_encode(name, SIGNS);
    set(reply, header::CONTENT_DISPOSITION, &format!("attachment; filename*=UTF-8''{name}"));
}

/// A component of an address.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Adds a cookie.
pub fn add_cookie(reply: &mut Reply, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        reply.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The status of each kind of error. The one place that knows.
pub fn status_of(kind: Kind, dialect: Dialect) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        // SillyTavern never answers 401: browsers would ask for basic credentials.
        Kind::NotSignedIn if dialect == Dialect::Tavern => StatusCode::FORBIDDEN,
        Kind::NotSignedIn => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Kind::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Upstream => StatusCode::BAD_GATEWAY,
        Kind::Storage | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as an answer. The cause is for the log, which has it from the dispatcher.
pub fn failed(error: &Error, dialect: Dialect) -> Reply {
    let status = status_of(error.kind(), dialect);
    let mut reply = match dialect {
        Dialect::Own => {
            let mut body = json!({ "error": error.message(), "code": error.code() });
            if let (Some(details), Some(body)) = (error.details(), body.as_object_mut()) {
                body.insert("details".to_owned(), details.clone());
            }
            json_with(status, &body)
        }
        Dialect::Tavern => json_with(status, &json!({ "error": error.message() })),
        Dialect::OpenAi => super::openai::failed(status, error),
        Dialect::Page => text(status, error.message().to_owned()),
    };
    let wait = match error.kind() {
        Kind::TooMany(wait) => Some(wait),
        Kind::Busy => Some(Duration::from_secs(2)),
        _ => None,
    };
    if let Some(wait) = wait {
        set(&mut reply, header::RETRY_AFTER, &wait.as_secs_f64().ceil().max(1.0).to_string());
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        for (kind, own, tavern) in [
            (Kind::Invalid, 400, 400),
            (Kind::NotSignedIn, 401, 403),
            (Kind::Forbidden, 403, 403),
            (Kind::NotFound, 404, 404),
            (Kind::Conflict, 409, 409),
            (Kind::TooLarge, 413, 413),
            (Kind::Unsupported, 415, 415),
            (Kind::Misdirected, 421, 421),
            (Kind::TooMany(Duration::ZERO), 429, 429),
            (Kind::Busy, 503, 503),
            (Kind::Upstream, 502, 502),
            (Kind::Storage, 500, 500),
            (Kind::Internal, 500, 500),
        ] {
            assert_eq!(status_of(kind, Dialect::Own).as_u16(), own, "{kind:?}");
            assert_eq!(status_of(kind, Dialect::Tavern).as_u16(), tavern, "{kind:?}");
        }
    }

    #[test]
    fn the_cause_stays_here() {
        let error = Error::storage("save", std::io::Error::other("/secret/path"));
        let reply = failed(&error, Dialect::Own);
        assert_eq!(reply.status(), 500);
        assert!(!format!("{:?}", error.message()).contains("/secret/path"));
    }
}
