//! A request as a handler sees it: who calls, with what.

use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use flate2::read::{GzDecoder, ZlibDecoder};
use futures_util::{Stream, StreamExt};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use warp::http::{HeaderMap, Method, Uri, header};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

use super::peer::Peer;
use super::reply::Dialect;
use super::state::State;
use super::table::Params;
use crate::accounts::{Account, By, Session, Visitor};
use crate::blocking::blocking;
use crate::config::ByteSize;
use crate::error::{Error, Kind, Result};
use crate::events::Origin;
use crate::store::{FileName, Handle, Version};

/// A client that sends nothing for this long has gone away.
const STALLED: Duration = Duration::from_secs(60);

/// Bodies of up to so many bytes are not worth counting.
const SMALL: usize = 1024 * 1024;
/// Text is packed to a tenth; what unpacks to more than this many times its size is a bomb.
const LOOSEST: u64 = 64;
/// So long a large body waits until others are done.
const PATIENCE: Duration = Duration::from_secs(15);
/// A large body has to come at this many bytes a second, for it keeps others waiting.
const SLOWEST: u64 = 16 * 1024;
/// Before that is asked of it, it has so long.
const GRACE: Duration = Duration::from_secs(30);

/// A body, chunk by chunk.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// Who calls.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their account.
    pub account: Arc<Account>,
    /// Their session; none while accounts are off, or with basic authentication only.
    pub session: Option<Arc<Session>>,
}

/// The room that a large body takes: one for each person, so that nobody's slow line keeps others out, of a few in all.
pub struct Room {
    since: Instant,
    _turn: OwnedMutexGuard<()>,
    _permit: OwnedSemaphorePermit,
}

/// A request that the gate has let through.
pub struct Call {
    /// The house.
    pub state: Arc<State>,
    /// Who calls, if signed in.
    pub person: Option<Person>,
    /// From where.
    pub peer: Peer,
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) params: Params,
    pub(super) dialect: Dialect,
    pub(super) limit: u64,
    pub(super) body: Body,
    /// Held by a request with a large body.
    pub(super) room: Option<Room>,
}

impl Call {
    /// Whoever is signed in. Routes that are not public always have one.
    pub fn person(&self) -> Result<&Person> {
        self.person.as_ref().ok_or_else(not_signed_in)
    }

    /// The account of whoever is signed in.
    pub fn me(&self) -> Result<&Arc<Account>> {
        self.person().map(|person| &person.account)
    }

    /// Who and from where, for the audit log.
    pub fn origin(&self) -> Origin {
        let actor = self.person.as_ref().map(|person| person.account.handle.clone());
        Origin { actor, address: Some(self.peer.client) }
    }

    /// The caller as somebody at the door.
    pub fn visitor(&self) -> Visitor {
        let device = self.header(header::USER_AGENT.as_str()).unwrap_or_default().to_owned();
        let trusted = self.peer.is_at_home(&self.state.app.config, self.state.exposed);
        Visitor { address: self.peer.client, device, trusted }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A path parameter.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// What a path parameter names. What cannot be a name of such a thing is simply not there.
    pub fn named<T>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T>, missing: &'static str) -> Result<T> {
        parse(self.param(name)).map_err(|_| Error::not_found(missing))
    }

    /// The path parameter `handle`.
    pub fn handle(&self) -> Result<Handle> {
        self.named("handle", Handle::parse, "User not found")
    }

    /// The path parameter `character`.
    pub fn character(&self) -> Result<FileName> {
        self.named("character", FileName::parse, "There is no such character.")
    }

    /// A query parameter, decoded; the first of its name.
    pub fn query(&self, name: &str) -> Option<String> {
        query(self.uri.query().unwrap_or_default(), name)
    }

    /// A whole number in the query.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let wrong = |_| Error::invalid("bad_request", format!("{name} has to be a whole number."));
        self.query(name).map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// A yes or no in the query.
    pub fn truth(&self, name: &str) -> Result<Option<bool>> {
        match self.query(name).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Error::invalid("bad_request", format!("{name} has to be true or false."))),
        }
    }

    /// The version of a file that `If-Match` names.
    pub fn if_match(&self) -> Result<Option<Version>> {
        let named = self.header(header::IF_MATCH.as_str());
        named.map(|text| Version::parse(text.trim().trim_matches('"'))).transpose()
    }

    /// The name that the client has for the file that it sends.
    pub fn file_name(&self) -> Option<String> {
        let name = percent_decode_str(self.header("x-file-name")?).decode_utf8().ok()?;
        (!name.trim().is_empty()).then(|| name.into_owned())
    }

    /// The body as JSON. In our own dialect it has to say that it is JSON, and to be what is asked for; in SillyTavern's
    /// a missing or other body counts as `{}`.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut bytes = self.json_bytes().await?;
        // serde would read a list as a structure, field by field in order.
        match (bytes.iter().find(|byte| !byte.is_ascii_whitespace()), self.dialect) {
            (Some(b'{'), _) => {}
            (Some(b'['), Dialect::Tavern) => bytes = Bytes::from_static(b"{}"),
            _ => return Err(Error::invalid("bad_request", "The request's body has to be a JSON object.")),
        }
        serde_json::from_slice(&bytes).map_err(|error| not_as_expected(&error))
    }

    /// The body as a change to what has a version: the version that it replaces beside the fields of `T`, which refuses
    /// fields that it does not know.
    pub async fn change<T: DeserializeOwned>(&mut self) -> Result<(Version, T)> {
        let Change { version, rest } = self.json().await?;
        let version = Version::parse(&version)?;
        let change = serde_json::from_value(Value::Object(rest)).map_err(|error| not_as_expected(&error))?;
        Ok((version, change))
    }

    /// The body's bytes, if it is JSON.
    pub async fn json_bytes(&mut self) -> Result<Bytes> {
        let is_json = self.header(header::CONTENT_TYPE.as_str()).is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            if self.dialect != Dialect::Tavern {
                return Err(Error::new(Kind::Unsupported, "unsupported", "The body has to be application/json."));
            }
            return Ok(Bytes::from_static(b"{}"));
        }
        let bytes = self.bytes().await?;
        if bytes.is_empty() && self.dialect == Dialect::Tavern {
            return Ok(Bytes::from_static(b"{}"));
        }
        Ok(bytes)
    }

    /// The whole body, unpacked if the client packed it, up to the route's limit.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        let packed = self.whole_body().await?;
        let coding = self.header(header::CONTENT_ENCODING.as_str()).map(str::to_ascii_lowercase);
        let limit = self.limit.min(loosest(packed.len()));
        match coding.as_deref() {
            None | Some("identity") => Ok(packed),
            Some("gzip") => {
                self.wait_for_room_for(limit).await?;
                blocking(move || unpack(GzDecoder::new(packed.as_ref()), limit)).await
            }
            Some("deflate") => {
                self.wait_for_room_for(limit).await?;
                blocking(move || unpack(ZlibDecoder::new(packed.as_ref()), limit)).await
            }
            Some(_) => Err(Error::new(Kind::Unsupported, "unsupported", "This content encoding is not understood.")),
        }
    }

    /// The body as it was sent. One that comes in a single piece is not copied.
    async fn whole_body(&mut self) -> Result<Bytes> {
        let Some(first) = self.chunk_within(0).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk_within(first.len()).await? else { return Ok(first) };
        let announced = self.announced().unwrap_or(0).min(SMALL);
        let mut whole = BytesMut::with_capacity(announced.max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk_within(whole.len()).await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The next piece of a body of which `before` bytes are there, within the route's limit.
    async fn chunk_within(&mut self, before: usize) -> Result<Option<Bytes>> {
        let Some(chunk) = self.next_chunk().await? else { return Ok(None) };
        let length = before + chunk.len();
        if length as u64 > self.limit {
            return Err(too_large(self.limit));
        }
        self.wait_for_room_for(length as u64).await?;
        if self.room.as_ref().is_some_and(|room| is_too_slow(length as u64, room.since.elapsed())) {
            return Err(stalled());
        }
        Ok(Some(chunk))
    }

    /// If so many bytes are worth counting, waits until this person holds no other large body and all together hold few
    /// enough, and counts as one until the request is answered.
    async fn wait_for_room_for(&mut self, length: u64) -> Result<()> {
        if length <= SMALL as u64 || self.room.is_some() {
            return Ok(());
        }
        let of = self.person.as_ref().map(|person| person.account.handle.clone());
        let room = async {
            let turn = self.state.large_bodies_of.take(of).await;
            let permit = Arc::clone(&self.state.large_bodies).acquire_owned().await.map_err(Error::internal)?;
            Ok(Room { since: Instant::now(), _turn: turn, _permit: permit })
        };
        self.room = Some(tokio::time::timeout(PATIENCE, room).await.map_err(|_| no_room())??);
        Ok(())
    }

    /// The next piece of the body, for bodies that are too large to hold. The caller counts.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        match tokio::time::timeout(STALLED, self.body.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(error))) => {
                Err(Error::invalid("cut_off", "The request ended before its body was complete. Nothing was changed.")
                    .because(error))
            }
            Err(_) => Err(stalled()),
        }
    }

    /// The length that the client announced, if it did.
    pub fn announced(&self) -> Option<usize> {
        self.header(header::CONTENT_LENGTH.as_str())?.parse().ok()
    }
}

/// The caller's authority, for domain calls.
pub fn by<'a>(person: &'a Person, origin: &'a Origin) -> By<'a> {
    By::Person(person.account.actor(), origin)
}

/// Boxes warp's body stream.
pub fn body<B: Buf>(stream: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static) -> Body {
    Box::pin(stream.map(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))))
}

/// The error of whoever is not signed in.
pub fn not_signed_in() -> Error {
    Error::new(Kind::NotSignedIn, "not_signed_in", "You are not signed in, or your session has ended.")
}

/// The first parameter of that name in a query string.
pub fn query(text: &str, name: &str) -> Option<String> {
    text.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != name {
            return None;
        }
        let spaced = value.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
    })
}

#[derive(Deserialize)]
struct Change {
    version: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn not_as_expected(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what).trim_end_matches('.');
    Error::invalid("bad_request", format!("The request's body is not what is expected: {what}."))
}

fn unpack(packed: impl std::io::Read, limit: u64) -> Result<Bytes> {
    use std::io::Read;
    let mut bytes = Vec::new();
    packed
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::invalid("bad_request", "The packed body is damaged.").because(error))?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes.into()) }
}

/// What a packed body may unpack to.
fn loosest(packed: usize) -> u64 {
    (packed as u64).saturating_mul(LOOSEST).max(SMALL as u64)
}

/// Whether a large body, of which so many bytes are there after that time, keeps others waiting for too long.
fn is_too_slow(bytes: u64, elapsed: Duration) -> bool {
    bytes < elapsed.saturating_sub(GRACE).as_secs().saturating_mul(SLOWEST)
}

fn stalled() -> Error {
    Error::invalid("stalled", "The request stopped sending, or sent too slowly. Nothing was changed.")
}

fn no_room() -> Error {
    Error::new(Kind::Busy, "busy", "Too many large requests at once. Nothing was changed; try again in a moment.")
}

fn too_large(limit: u64) -> Error {
    Error::new(
        Kind::TooLarge,
        "too_large",
        format!("That is too large: at most {} is taken here.", ByteSize(limit).in_words()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_unpacked_is_counted_beyond_32_bits() {
        assert_eq!(loosest(10), SMALL as u64);
        assert_eq!(loosest(1 << 20), 64 << 20);
        assert_eq!(loosest(1 << 26), 1 << 32);
    }

    #[test]
    fn a_large_body_has_to_keep_coming() {
        let after = |bytes, seconds| is_too_slow(bytes, Duration::from_secs(seconds));
        assert!(!after(1024 * 1024, 30) && !after(1024 * 1024, 94));
        assert!(after(1024 * 1024, 95));
        assert!(!after(250 * 1024 * 1024, 3_600));
    }
}
