//! What a route is. Routes are data: one row each, with who may call it; a row without a "who" does not compile.
//!
//! The table is walked by `tavernkeep routes`, by the OpenAPI description, and by the test that tries every route as every
//! role.

use std::future::Future;
use std::pin::Pin;

use warp::http::Method;

use super::call::Call;
use super::reply::{Dialect, Reply};
use crate::access::Permission;
use crate::error::Result;

/// What a row takes unless it says otherwise, in bytes.
const BODY: u64 = 64 * 1024;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anyone who can reach the server.
    Public,
    /// Anyone who is signed in.
    SignedIn,
    /// Whoever has this permission.
    May(Permission),
}

pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;
type Handler = Box<dyn Fn(Call) -> Answer + Send + Sync>;

/// One row of the table.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for a parameter.
    pub pattern: &'static str,
    /// Who may call it.
    pub who: Who,
    /// In which form it tells errors.
    pub dialect: Dialect,
    /// The most it takes as a body, in bytes.
    pub body: u64,
    /// What it does, in a few words.
    pub about: &'static str,
    pub(super) handler: Handler,
}

impl Route {
    /// A row. The dialect follows from the path.
    pub fn new<F, A>(method: Method, pattern: &'static str, who: Who, about: &'static str, handler: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Reply>> + Send + 'static,
    {
        let handler: Handler = Box::new(move |call| Box::pin(handler(call)));
        Self { method, pattern, who, dialect: dialect_of(pattern), body: BODY, about, handler }
    }

    /// Takes bodies of up to this many bytes.
    #[must_use]
    pub fn takes(mut self, bytes: u64) -> Self {
        self.body = bytes;
        self
    }

    /// Whether a request changes something, and so needs a CSRF token.
    pub fn changes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// The dialect of a path.
pub fn dialect_of(path: &str) -> Dialect {
    if path.starts_with("/api/v1/") {
        Dialect::Own
    } else if path.starts_with("/v1/") {
        Dialect::OpenAi
    } else if path.starts_with("/api/") || path == "/csrf-token" || path == "/version" {
        Dialect::Tavern
    } else {
        Dialect::Page
    }
}

/// All routes, ready to be looked up.
pub struct Table {
    routes: Vec<Route>,
    paths: matchit::Router<Vec<usize>>,
}

/// What a look-up found.
pub enum Match<'a> {
    /// A route, with its path parameters, percent-decoded.
    Found(&'a Route, Params),
    /// The path, but with these other methods.
    OtherMethod(&'a Route, String),
    /// Nothing.
    None,
}

/// A path's parameters.
pub type Params = Vec<(String, String)>;

impl Table {
    /// Puts the rows together. Two rows for one method and path are a defect, which the first test run shows.
    pub fn new(routes: Vec<Route>) -> Result<Self> {
        let mut by_pattern: Vec<(&'static str, Vec<usize>)> = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            match by_pattern.iter_mut().find(|(pattern, _)| *pattern == route.pattern) {
                Some((_, rows)) if rows.iter().any(|row| routes[*row].method == route.method) => {
                    let twice = format!("{} {} is in the table twice", route.method, route.pattern);
                    return Err(crate::error::Error::internal(twice));
                }
                Some((_, rows)) => rows.push(index),
                None => by_pattern.push((route.pattern, vec![index])),
            }
        }
        let mut paths = matchit::Router::new();
        for (pattern, rows) in by_pattern {
            paths.insert(pattern, rows).map_err(crate::error::Error::internal)?;
        }
        Ok(Self { routes, paths })
    }

    /// All rows, in the order in which they were written down.
    pub fn rows(&self) -> &[Route] {
        &self.routes
    }

    /// Finds the row for a request. SillyTavern's paths match in any case and with a slash at the end.
    pub fn find(&self, method: &Method, path: &str) -> Match<'_> {
        let exact = self.look(method, path);
        if !matches!(exact, Match::None) {
            return exact;
        }
        let trimmed = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let lower = trimmed.to_ascii_lowercase();
        let is_lenient = |route: &Route| matches!(route.dialect, Dialect::Tavern | Dialect::Page);
        match self.look(method, &lower) {
            Match::Found(route, params) if is_lenient(route) => Match::Found(route, params),
            Match::OtherMethod(route, allowed) if is_lenient(route) => Match::OtherMethod(route, allowed),
            _ => Match::None,
        }
    }

    fn look(&self, method: &Method, path: &str) -> Match<'_> {
        let Ok(found) = self.paths.at(path) else { return Match::None };
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        if let Some(row) = found.value.iter().map(|row| &self.routes[*row]).find(|row| row.method == *method) {
            let mut params = Params::new();
            for (name, value) in found.params.iter() {
                match percent_encoding::percent_decode_str(value).decode_utf8() {
                    Ok(value) => params.push((name.to_owned(), value.into_owned())),
                    Err(_) => return Match::None,
                }
            }
            return Match::Found(row, params);
        }
        let allowed: Vec<&str> = found.value.iter().map(|row| self.routes[*row].method.as_str()).collect();
        Match::OtherMethod(&self.routes[found.value[0]], allowed.join(", "))
    }
}
