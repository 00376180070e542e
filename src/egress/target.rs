//! Addresses of the web, checked as far as their text goes.

use reqwest::Url;

use crate::error::{Error, Result};

/// The longest address that is taken.
const MAX_LENGTH: usize = 2048;

/// An `http` or `https` address without credentials. Whether it may be reached is decided when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Reads an address. Nothing in it is expanded or replaced: `${KEY}` is six letters.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        // The parser would pass over line breaks and tabs, and over backslashes in place of slashes.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(bad("It must not contain spaces, line breaks or backslashes."));
        }
        if text.len() > MAX_LENGTH {
            return Err(bad("It is longer than 2048 characters."));
        }
        if text.is_empty() {
            return Err(bad("It is empty."));
        }
        let url =
            Url::parse(text).map_err(|_| bad("Write it like http://127.0.0.1:11434 or https://api.example.com/v1."))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("It has to begin with http:// or https://."));
        }
        if !url.username().is_empty() || url.password().is_some() || has_userinfo(text) {
            return Err(bad("A name or password does not belong in it; the key has a field of its own."));
        }
        if url.fragment().is_some() {
            return Err(bad("Leave out the # and what follows."));
        }
        let host = url.host_str().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '[' | ']' | ':');
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(bad("Its host is not a name or an address."));
        }
        Ok(Self(url))
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, said or not.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether it is encrypted on its way.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Scheme, host and port, for messages. Path and query are nobody's business.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The parts of its path.
    pub fn segments(&self) -> Vec<&str> {
        self.0.path().split('/').filter(|part| !part.is_empty()).collect()
    }

    /// The same with another path, made of `parts`, each of which is encoded as one; a query stays.
    #[must_use]
    pub fn with_segments<S: AsRef<str>>(&self, parts: impl IntoIterator<Item = S>) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // "." and ".." would be taken as what they mean in a path.
            let parts = parts.into_iter();
            segments.clear();
            for part in parts {
                if !matches!(part.as_ref(), "." | ".." | "") {
                    segments.push(part.as_ref());
                }
            }
        }
        Self(url)
    }

    /// The same with one more field in the query.
    #[must_use]
    pub fn with_query(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        Self(url)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

/// Whether there is an `@` before the path; the parser drops an empty name.
fn has_userinfo(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

fn bad(why: &str) -> Error {
    Error::invalid("bad_address", format!("The address of the server cannot be used. {why}"))
}
