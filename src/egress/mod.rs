//! The one way out: every request that this server makes to another goes through here.
//!
//! What may be reached is decided about *addresses*, after the name has been resolved and for each connection anew, and
//! the connection is made to the very address that was decided about. So neither an odd spelling (`0x7f000001`), nor a
//! name that stands for `127.0.0.1`, nor one that stands for something else a moment later gets past.
//!
//! - [`Target`]: an address of the web that has been checked as far as its text goes
//! - [`rules`]: which addresses may be reached
//! - [`Egress`]: the client. It follows no redirects, reads no proxy from the environment, and asks for no compression,
//!   so that nothing unpacks to more than was sent

mod client;
pub mod rules;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub use client::Egress;
pub use reqwest::Method;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use rules::{Reach, Rules};
pub use target::Target;

/// How long a connection may take to be made, the name's resolution included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to somebody.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// To whom.
    pub target: Target,
    /// With what.
    pub headers: HeaderMap,
    /// And what is said.
    pub body: Option<Bytes>,
    /// How long the head of the answer may take.
    pub patience: Duration,
}

/// Why a request failed, without a word of what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The host may not be reached.
    #[error("{host} is at {address}, which may not be reached")]
    Refused {
        /// The name that was asked for.
        host: String,
        /// What it stands for.
        address: std::net::IpAddr,
        /// Whether an admin could allow it.
        allowable: bool,
    },
    /// The name stands for nothing.
    #[error("the name {0} stands for no address")]
    UnknownName(String),
    /// Nobody listens there.
    #[error("the connection was refused")]
    NobodyThere,
    /// No connection for some other reason.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// It took too long to be reached.
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    SlowToReach,
    /// It was reached, and said nothing.
    #[error("silence")]
    Silence,
    /// The certificate is not one that this machine trusts.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// More than the limit.
    #[error("more than {0} bytes")]
    TooMuch(usize),
    /// What it speaks is not HTTP.
    #[error("not HTTP: {0}")]
    NotHttp(String),
    /// Our own side.
    #[error("{0}")]
    Internal(String),
}

/// An answer whose body is still to come. Dropping it closes the connection.
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    inner: reqwest::Response,
    left: usize,
    limit: usize,
}

impl Response {
    fn new(inner: reqwest::Response, limit: usize) -> Self {
        Self { status: inner.status().as_u16(), headers: inner.headers().clone(), inner, left: limit, limit }
    }

    /// Allows so many bytes of body.
    #[must_use]
    pub fn at_most(mut self, limit: usize) -> Self {
        (self.left, self.limit) = (limit, limit);
        self
    }

    /// The next bytes, as they come in; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(chunk) = self.inner.chunk().await.map_err(client::failure)? else { return Ok(None) };
        match self.left.checked_sub(chunk.len()) {
            Some(left) => self.left = left,
            None => return Err(Failure::TooMuch(self.limit)),
        }
        Ok(Some(chunk))
    }

    /// All of the body, within the limit and within `patience`.
    pub async fn whole(mut self, patience: Duration) -> Result<Vec<u8>, Failure> {
        let read = async {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk().await? {
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        tokio::time::timeout(patience, read).await.unwrap_or(Err(Failure::Silence))
    }

    /// What a header says, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
