//! What went wrong with a model server, in sentences for people.
//!
//! Each says what happened and what to do. What the server itself says is quoted: one line, clipped, and without the key,
//! should the server have repeated it. Only JSON is quoted; a page is not, lest a connection be used to read pages.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::frames::TooLong;
use super::{Connection, Holder, Key};
use crate::egress::{Failure, HeaderMap};
use crate::error::{Error, Kind};

/// The longest quotation.
const QUOTE: usize = 300;
/// How long to wait where the server does not say.
const USUAL_WAIT: Duration = Duration::from_secs(20);
/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Speaks about one connection.
#[derive(Clone)]
pub(super) struct Words {
    name: String,
    /// Where the server is; not told of the house's connections, which people use without knowing where they lead.
    origin: Option<String>,
    key: Option<Key>,
}

/// What went wrong in an answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// It cannot be understood.
    Garbage(String),
    /// The server reports an error in the midst of it.
    Said(Value),
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbage(error.to_string())
    }
}

impl Words {
    pub(super) fn about(connection: &Connection, origin: String, key: Option<Key>) -> Self {
        let origin = (connection.holder != Holder::House).then_some(origin);
        let name = match (&origin, connection.name.as_str()) {
            (Some(origin), "") => origin.clone(),
            (None, "") => "the house's connection".to_owned(),
            (_, name) => name.to_owned(),
        };
        Self { name, origin, key }
    }

    /// The server's address, or what stands for it.
    fn place(&self) -> String {
        self.origin.clone().unwrap_or_else(|| format!("“{}”", self.name))
    }

    /// The request failed before there was an answer, or in its midst.
    pub(super) fn failure(&self, failure: &Failure) -> Error {
        let (name, place) = (&self.name, self.place());
        let error = match failure {
            Failure::Refused { host, address, allowable } => self.refused(host, &address.to_string(), *allowable),
            Failure::UnknownName(host) => {
                let host = self.origin.as_ref().map_or_else(|| "of that name".to_owned(), |_| format!("called {host}"));
                let what =
                    format!("There is no host {host}. Check the address of “{name}”, and the internet connection.");
                upstream("model_unreachable", what)
            }
            Failure::NobodyThere => upstream(
                "model_unreachable",
                format!("Nothing answers at {place}. Is the model server of “{name}” running?"),
            ),
            Failure::Unreachable(_) => upstream(
                "model_unreachable",
                format!("{place} cannot be reached from here. Check the address of “{name}” and the network."),
            ),
            Failure::SlowToReach => upstream(
                "model_unreachable",
                format!(
                    "{place} did not take the connection within 10 seconds. Is the machine on, and the address right?"
                ),
            ),
            Failure::Silence => self.silent(),
            Failure::Tls(why) => {
                // It may name the host.
                let why = self.origin.as_ref().map_or_else(String::new, |_| format!(": {}", one_line(why)));
                upstream("model_insecure", format!("No secure connection to {place}{why}. Nothing was sent."))
            }
            Failure::Broken(_) => self.cut(),
            Failure::TooMuch(_) => self.too_much(),
            Failure::NotHttp(_) => upstream(
                "model_garbage",
                format!("What answers at {place} is no model server. Check the port, and http:// or https://."),
            ),
            Failure::Internal(_) => Error::internal(failure.to_string()),
        };
        if matches!(failure, Failure::Internal(_)) { error } else { error.because(self.scrub(&failure.to_string())) }
    }

    fn refused(&self, host: &str, address: &str, allowable: bool) -> Error {
        let what = match &self.origin {
            None => format!("The address of “{}”", self.name),
            Some(_) if host == address => host.to_owned(),
            Some(_) => format!("{host} ({address})"),
        };
        let why = if address == "0.0.0.0" || address == "::" {
            "is where servers listen, not where they are; on this machine that is 127.0.0.1"
        } else if allowable && self.origin.is_none() {
            "is one where machines in a cloud keep their secrets. If it has to be, allow it in config.yaml \
             (models.allowPrivateHosts)"
        } else if allowable {
            "is on a private network, and this server may not connect there for you. An admin can allow it \
             (models.allowPrivateHosts), or make a connection for the house"
        } else {
            "is no address of a server"
        };
        Error::forbidden("address_refused", format!("{what} {why}."))
    }

    /// The answer stopped coming.
    pub(super) fn silent(&self) -> Error {
        upstream("model_silent", format!("“{}” has fallen silent. It may be overloaded; try again.", self.name))
    }

    /// The answer took longer than any may.
    pub(super) fn too_slow(&self, most: Duration) -> Error {
        let most = match most.as_secs() {
            seconds if seconds >= 120 => format!("{} minutes", seconds / 60),
            seconds => format!("{seconds} seconds"),
        };
        upstream(
            "model_endless",
            format!(
                "“{}” was not done after {most}, the longest that an answer may take (models.replyTimeout). What came of \
                 it is kept; you can continue it.",
                self.name
            ),
        )
    }

    /// The answer ended without an end.
    pub(super) fn cut(&self) -> Error {
        upstream(
            "model_cut",
            format!(
                "The connection to “{}” broke before the answer was whole. What came of it is kept; try again.",
                self.name
            ),
        )
    }

    /// The answer was larger than any honest one.
    pub(super) fn too_much(&self) -> Error {
        upstream("model_too_much", format!("“{}” sent more than an answer can be; it was cut off.", self.name))
    }

    pub(super) fn too_long(&self, _: TooLong) -> Error {
        self.too_much()
    }

    /// Nothing was said between begin and end.
    pub(super) fn problem(&self, problem: Problem) -> Error {
        match problem {
            Problem::Garbage(why) => self.garbage(&why),
            Problem::Said(error) => self.said(&error),
        }
    }

    /// The answer cannot be understood.
    pub(super) fn garbage(&self, why: &str) -> Error {
        upstream(
            "model_garbage",
            format!("The answer of “{}” cannot be understood. Is the kind of the connection the right one?", self.name),
        )
        .because(self.scrub(why))
    }

    /// A page came instead of an answer.
    pub(super) fn page(&self) -> Error {
        upstream(
            "model_garbage",
            format!(
                "{} answered with a web page. The address of “{}” is probably not quite right: it often ends in /v1.",
                self.place(),
                self.name
            ),
        )
    }

    /// An error in the midst of an answer.
    fn said(&self, error: &Value) -> Error {
        let kind = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
        let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let status = match (status, kind("type")) {
            (Some(status), _) if (400..600).contains(&status) => status,
            (_, "overloaded_error") => 529,
            (_, "rate_limit_error") => 429,
            (_, "authentication_error") => 401,
            (_, "invalid_request_error") => 400,
            _ => 500,
        };
        self.by_status(status, &HeaderMap::new(), quotation(error), error)
    }

    /// An answer with a status that says no.
    pub(super) fn status(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        if (300..400).contains(&status) {
            return upstream(
                "model_moved",
                format!("{} sends requests elsewhere, which is not followed. Enter the new address.", self.place()),
            );
        }
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_page = body.trim_ascii_start().starts_with(b"<");
        if is_page && matches!(status, 404 | 405) {
            return self.page();
        }
        self.by_status(status, headers, quotation(&value), &value)
    }

    fn by_status(&self, status: u16, headers: &HeaderMap, quote: &str, body: &Value) -> Error {
        let name = &self.name;
        // The key goes before the clipping, which could leave half of it.
        let quote = one_line(&self.scrub(quote));
        let says = if quote.is_empty() { String::new() } else { format!(" It says: “{quote}”") };
        let lower = body.to_string().to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let no_credit =
            status == 402 || has(&["insufficient_quota", "insufficient balance", "credit balance is too low"]);
        let too_long = matches!(status, 400 | 413 | 422 | 500)
            && has(&[
                "context_length_exceeded",
                "context length",
                "context size",
                "context window",
                "prompt is too long",
                "exceed_context_size",
                "input token count",
            ]);
        match status {
            _ if no_credit => upstream("model_no_credit", format!("The credit of “{name}” is used up.{says}")),
            _ if too_long => upstream(
                "model_too_long",
                format!("The prompt is too long for this model. Set a smaller context in “{name}”.{says}"),
            ),
            401 if self.key.is_none() => upstream("model_key", format!("“{name}” asks for a key, and has none.{says}")),
            401 => upstream("model_key", format!("“{name}” refused the key. Enter it again.{says}")),
            403 => {
                upstream("model_key", format!("“{name}” does not allow this, perhaps with this key or model.{says}"))
            }
            400 if has(&["api key not valid", "api_key_invalid", "invalid api key"]) => {
                upstream("model_key", format!("“{name}” refused the key. Enter it again.{says}"))
            }
            404 => upstream(
                "model_unknown",
                format!("“{name}” does not know this model, or its address is not quite right.{says}"),
            ),
            429 => {
                let wait = wait(headers);
                let seconds = wait.as_secs().max(1);
                Error::too_many(wait, format!("“{name}” takes no more for now; try again in {seconds} s.{says}"))
            }
            408 | 504 | 524 => upstream("model_silent", format!("“{name}” took too long and gave up.{says}")),
            413 => upstream("model_too_long", format!("The prompt is too large for “{name}”.{says}")),
            502 | 503 | 529 => {
                upstream("model_busy", format!("“{name}” is overloaded or not ready yet; try again in a moment.{says}"))
            }
            500.. => upstream("model_failed", format!("“{name}” failed ({status}); try again in a moment.{says}")),
            _ => upstream("model_refused", format!("“{name}” did not take the request ({status}).{says}")),
        }
    }

    fn scrub(&self, text: &str) -> String {
        match &self.key {
            Some(key) => key.scrub(text),
            None => text.to_owned(),
        }
    }
}

fn upstream(code: &'static str, message: String) -> Error {
    Error::new(Kind::Upstream, code, message)
}

/// The server's own sentence, wherever it has put it.
fn quotation(body: &Value) -> &str {
    let body = body.get(0).unwrap_or(body);
    let places = [
        "/error/metadata/raw",
        "/error/message",
        "/error/msg",
        "/error",
        "/message",
        "/detail/msg",
        "/detail/0/msg",
        "/detail",
        "/errors/0/message",
        "/msg",
    ];
    places.iter().find_map(|place| body.pointer(place).and_then(Value::as_str)).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn wait(headers: &HeaderMap) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = text("retry-after").and_then(|wait| wait.parse::<f64>().ok());
    let millis = text("retry-after-ms").and_then(|wait| wait.parse::<f64>().ok()).map(|wait| wait / 1000.0);
    let until = || {
        let at = httpdate::parse_http_date(text("retry-after")?).ok()?;
        at.duration_since(SystemTime::now()).ok().map(|wait| wait.as_secs_f64())
    };
    let wait = millis.or(seconds).or_else(until).filter(|wait| *wait >= 0.0);
    wait.and_then(|wait| Duration::try_from_secs_f64(wait).ok()).unwrap_or(USUAL_WAIT).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const HOST: &str = "secret.example";

    fn about(holder: Holder, name: &str) -> Words {
        let connection = Connection { holder, name: name.to_owned(), ..super::super::tests::connection() };
        Words::about(&connection, format!("https://{HOST}:444"), None)
    }

    fn refused(address: &str, allowable: bool) -> Failure {
        Failure::Refused { host: HOST.to_owned(), address: address.parse().unwrap(), allowable }
    }

    #[rstest]
    #[case(refused("169.254.1.1", true))]
    #[case(refused("0.0.0.0", false))]
    #[case(Failure::UnknownName(HOST.to_owned()))]
    #[case(Failure::NobodyThere)]
    #[case(Failure::Unreachable(HOST.to_owned()))]
    #[case(Failure::SlowToReach)]
    #[case(Failure::Silence)]
    #[case(Failure::Tls(format!("not valid for {HOST}")))]
    #[case(Failure::Broken(HOST.to_owned()))]
    #[case(Failure::TooMuch(1))]
    #[case(Failure::NotHttp(HOST.to_owned()))]
    fn nobody_is_told_where_a_connection_of_the_house_leads(#[case] failure: Failure) {
        for name in ["The hearth", ""] {
            let words = about(Holder::House, name);
            for error in [words.failure(&failure), words.page(), words.status(302, &HeaderMap::new(), b"")] {
                let said = error.message();
                assert!(!said.contains(HOST) && !said.contains("169.254") && !said.contains("444"), "{said}");
            }
        }
    }

    #[test]
    fn whoever_keeps_a_connection_is_told_where_it_leads() {
        let words = about(Holder::User(crate::store::Handle::parse("ada").unwrap()), "Mine");
        for failure in [Failure::NobodyThere, Failure::UnknownName(HOST.to_owned()), refused("192.168.1.1", true)] {
            assert!(words.failure(&failure).message().contains(HOST), "{failure}");
        }
    }
}
