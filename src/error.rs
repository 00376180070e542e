//! The one error type of the crate.
//!
//! An [`Error`] says what happened in words for the person at the other end, carries a stable code for programs, and
//! keeps the cause for the log. Domain rooms choose a [`Kind`]; only `http` knows which status that is.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

/// What went wrong, as far as the caller's next step is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request itself is wrong: a missing field, a bad name, a damaged archive.
    Invalid,
    /// Nobody is signed in.
    NotSignedIn,
    /// Signed in or not, this is not allowed.
    Forbidden,
    /// There is no such thing, or none that the caller may know of.
    NotFound,
    /// It cannot be done to what is there now.
    Conflict,
    /// Larger than the limit.
    TooLarge,
    /// A body of a kind that is not taken here.
    Unsupported,
    /// The request calls the server by a name that is not its own.
    Misdirected,
    /// Too often; try again after this time.
    TooMany(Duration),
    /// The server cannot take more of this right now.
    Busy,
    /// A server that was asked on the caller's behalf, such as a model's, did not do its part.
    Upstream,
    /// The disk refused or gave back something unreadable.
    Storage,
    /// A defect of ours.
    Internal,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with a sentence for people, a code for programs and a cause for the log.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    code: &'static str,
    message: Cow<'static, str>,
    details: Option<serde_json::Value>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, with its stable `code` and a `message` that says what happened and what to do.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, code, message: message.into(), details: None, cause: None }))
    }

    /// The request is wrong in a way that `message` names.
    pub fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, code, message)
    }

    /// The caller may not do this.
    pub fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, code, message)
    }

    /// Something that is not there, or not there for the caller.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, "not_found", message)
    }

    /// The present state does not allow it.
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    /// Too many tries; the caller may come back after `wait`.
    pub fn too_many(wait: Duration, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooMany(wait), "too_many", message)
    }

    /// A failing disk. `doing` completes the sentence "Could not …"; the cause goes to the log only.
    pub fn storage(doing: &str, cause: io::Error) -> Self {
        let what = match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full. What was saved before is safe; make room and try again"
            }
            io::ErrorKind::FileTooLarge => {
                "the file would be larger than the server may write here. What was saved before is safe; the host has to \
                 raise the limit"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "the disk is read-only. What was saved before is safe; the host has to look at it"
            }
            io::ErrorKind::PermissionDenied => "the server may not touch that file. Check who owns the data folder",
            _ => "the disk reported an error. What was saved before is safe; the server's log names the cause",
        };
        Self::new(Kind::Storage, "storage", format!("Could not {doing}: {what}.")).because(cause)
    }

    /// A defect of ours, told to the log and not to the caller.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Kind::Internal,
            "internal",
            "Something went wrong inside the server. Nothing was changed; the log has the details.",
        )
        .because(cause)
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds facts for programs, such as both versions of a conflict.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// What the caller's next step depends on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable word for programs.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts for programs, if any.
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.details.as_ref()
    }

    /// Whether this says that something is not there.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// The cause with its own causes, for one line of the log.
    pub fn cause_chain(&self) -> Option<String> {
        self.0.cause.as_deref().map(|cause| chain(cause))
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.0.kind, self.0.code, self.0.message)?;
        match self.cause_chain() {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}
