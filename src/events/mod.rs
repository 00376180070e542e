//! The audit log: who did what to whom, when, from where.
//!
//! One JSON object a line in `_system/events/<YYYY-MM>.jsonl`. Each line carries the SHA-256 of the line before it (`prev`),
//! so that an edited, cut or swapped line shows; the newest hash (the *head*) is also noted outside the data folder, so
//! that a cut at the end shows too. Names follow AnythingLLM's event log where it has one for the act.

pub mod chain;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::store::{self, FileName, Folder, Handle, Owner, Place, Store, Writer};
use chain::{Head, Link};

/// How many events are kept in memory while the disk refuses them.
const BACKLOG: usize = 1_000;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Somebody signed in.
    SignedIn,
    /// A sign-in was refused: the password was wrong.
    WrongPassword,
    /// A sign-in was refused: there is no such account.
    UnknownUser,
    /// A sign-in was refused: the account is disabled.
    Suspended,
    /// Sign-ins are being refused because there were too many.
    Throttled,
    /// Somebody signed out.
    SignedOut,
    /// One or more sessions were ended by their owner.
    SessionsEnded,
    /// An account was made.
    UserCreated,
    /// An account was changed: name, role, state, picture.
    UserUpdated,
    /// An account was deleted.
    UserDeleted,
    /// A password was set, changed or removed.
    PasswordChanged,
    /// A recovery code was printed.
    RecoveryRequested,
    /// A recovery code was used, well or badly.
    RecoveryUsed,
    /// The host's script set a password.
    RecoveredByHost,
    /// A backup was taken.
    BackupTaken,
    /// A backup was brought back.
    Restored,
    /// An undo point was brought back or removed.
    Undone,
    /// A settings snapshot was brought back.
    SnapshotRestored,
    /// A settings snapshot was deleted.
    SnapshotDeleted,
    /// Settings were reset to the defaults.
    SettingsReset,
    /// A code for resetting a whole folder was printed.
    ResetRequested,
    /// A whole folder was reset.
    FolderReset,
    /// A SillyTavern folder was taken over.
    TakenOver,
    /// A connection of the house was made, changed or removed.
    HouseConnection,
    /// An API key was made.
    KeyCreated,
    /// An API key was revoked.
    KeyRevoked,
    /// The server started.
    Started,
}

impl What {
    /// The name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "login_event",
            Self::WrongPassword => "failed_login_invalid_password",
            Self::UnknownUser => "failed_login_invalid_username",
            Self::Suspended => "failed_login_account_suspended",
            Self::Throttled => "failed_login_too_many",
            Self::SignedOut => "logout_event",
            Self::SessionsEnded => "sessions_ended",
            Self::UserCreated => "user_created",
            Self::UserUpdated => "user_updated",
            Self::UserDeleted => "user_deleted",
            Self::PasswordChanged => "password_changed",
            Self::RecoveryRequested => "recovery_requested",
            Self::RecoveryUsed => "recovery_used",
            Self::RecoveredByHost => "recovered_by_host",
            Self::BackupTaken => "backup_taken",
            Self::Restored => "backup_restored",
            Self::Undone => "restore_undone",
            Self::SnapshotRestored => "settings_snapshot_restored",
            Self::SnapshotDeleted => "settings_snapshot_deleted",
            Self::SettingsReset => "settings_reset",
            Self::ResetRequested => "reset_requested",
            Self::FolderReset => "user_data_reset",
            Self::TakenOver => "sillytavern_taken_over",
            Self::HouseConnection => "house_connection_changed",
            Self::KeyCreated => "api_key_created",
            Self::KeyRevoked => "api_key_deleted",
            Self::Started => "server_started",
        }
    }
}

/// Who acts and from where, as far as the log is concerned.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The signed-in person, if any; the host's command line has none.
    pub actor: Option<Handle>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// One event, before it is written.
#[derive(Debug, Clone)]
pub struct Event {
    what: What,
    at: i64,
    origin: Origin,
    target: Option<String>,
    details: Map<String, Value>,
}

impl Event {
    /// `what` happened now, by `origin`.
    pub fn new(what: What, origin: &Origin) -> Self {
        Self { what, at: clock::now_ms(), origin: origin.clone(), target: None, details: Map::new() }
    }

    /// To whom.
    #[must_use]
    pub fn to(mut self, target: &Handle) -> Self {
        self.target = Some(target.to_string());
        self
    }

    /// Some fact more. Never a password, a code, or words of a chat.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// One line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Counts from 1.
    pub seq: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// [`What::name`].
    pub event: String,
    /// Who did it; null for the host, and for somebody not signed in.
    pub actor: Option<String>,
    /// To whom.
    pub target: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// More facts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// SHA-256 of the line before.
    pub prev: String,
}

/// The audit log of a data folder.
pub struct Events {
    store: Arc<Store>,
    state: Mutex<State>,
    /// Where the head is noted outside the data folder, if anywhere.
    head_note: Option<PathBuf>,
    note_failed: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What was the end of the log when this process last wrote or read it.
    tail: Option<Tail>,
    /// Events that the disk refused; they are written before the next one.
    backlog: VecDeque<Event>,
}

struct Tail {
    file: FileName,
    size: u64,
    head: Head,
}

impl Events {
    /// The log of `store`; the head is also noted at `head_note`.
    pub fn new(store: Arc<Store>, head_note: Option<PathBuf>) -> Self {
        Self { store, state: Mutex::default(), head_note, note_failed: AtomicBool::new(false) }
    }

    /// Writes one event and syncs it. A disk that refuses does not stop what happened: the event is kept in memory, said
    /// in the server's log, and written with the next one.
    pub fn record(&self, event: Event) {
        tracing::info!(
            event = event.what.name(),
            actor = event.origin.actor.as_ref().map(Handle::as_str),
            target = event.target.as_deref(),
            "audit"
        );
        let mut state = lock(&self.state);
        if state.backlog.len() == BACKLOG {
            tracing::error!("the audit log has been failing for too long: its oldest unwritten event is dropped");
            state.backlog.pop_front();
        }
        state.backlog.push_back(event);
        let written = self.store.writing(&Owner::Events, |writer| self.write_backlog(writer, &mut state));
        if let Err(error) = written {
            state.tail = None;
            tracing::error!(?error, waiting = state.backlog.len(), "the audit log could not be written");
        }
    }

    fn write_backlog(&self, writer: &Writer<'_>, state: &mut State) -> Result<()> {
        let mut tail = match state.tail.take() {
            Some(tail) if self.is_current(&tail)? => tail,
            _ => self.find_tail(writer)?,
        };
        while let Some(event) = state.backlog.front() {
            let file = month_file(event.at.max(tail.head.at))?;
            if file != tail.file {
                tail = Tail { file, size: 0, head: tail.head };
            }
            let text = line_of(event, &tail.head)?;
            writer.append(&folder().file(&tail.file), text.as_bytes())?;
            tail.size += text.len() as u64;
            tail.head = tail.head.next(text.trim_end().as_bytes(), event.at);
            state.backlog.pop_front();
        }
        if let Some(note) = &self.head_note
            && let Err(error) = store::note_on_host(note, tail.head.to_text().as_bytes())
        {
            // Said once: a folder that cannot be written to stays so.
            if !self.note_failed.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, path = %note.display(), "the audit log's head could not be noted outside the data");
            }
        }
        state.tail = Some(tail);
        Ok(())
    }

    /// Whether nobody else (the host's command line) has written since.
    fn is_current(&self, tail: &Tail) -> Result<bool> {
        let size = self.store.stat(&folder().file(&tail.file))?.map_or(0, |stat| stat.size);
        Ok(size == tail.size && self.months()?.last().is_none_or(|last| *last <= tail.file))
    }

    /// Reads the end of the log. A torn last line, left by a power cut, is set aside first.
    fn find_tail(&self, writer: &Writer<'_>) -> Result<Tail> {
        let mut months = self.months()?;
        let Some(file) = months.pop() else {
            let head = Head::first(&self.store.install().id);
            return Ok(Tail { file: month_file(clock::now_ms())?, size: 0, head });
        };
        let place = folder().file(&file);
        let mut bytes = self.store.read(&place)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            let torn = FileName::parse(&format!("{file}.torn-{}", clock::now_ms()))?;
            tracing::warn!(%file, bytes = bytes.len() - whole, "the audit log ended in an incomplete line; it is set aside");
            writer.create(&folder().file(&torn), &bytes[whole..])?;
            writer.cut(&place, whole as u64)?;
            bytes.truncate(whole);
        }
        // A disk that was full at the turn of the month has left a file with nothing in it.
        while last_line(&bytes).is_none()
            && let Some(before) = months.pop()
        {
            bytes = self.store.read(&folder().file(&before))?;
        }
        let head = match last_line(&bytes) {
            None => Head::first(&self.store.install().id),
            // One that was damaged by someone: go on behind it, and let `verify` point at it.
            Some(last) => {
                let seq = serde_json::from_slice::<Line>(last).map_or(0, |line| line.seq);
                Head::of(seq, last, clock::now_ms())
            }
        };
        Ok(Tail { file, size: whole as u64, head })
    }

    /// The log's files, the oldest first.
    fn months(&self) -> Result<Vec<FileName>> {
        let mut files: Vec<FileName> = self
            .store
            .list(&folder())?
            .into_iter()
            .map(|entry| entry.name)
            .filter(|name| name.as_str().ends_with(".jsonl"))
            .collect();
        files.sort_unstable();
        Ok(files)
    }

    /// Up to `limit` events before number `before`, newest first, and whether there are more.
    pub fn page(&self, before: Option<u64>, limit: usize) -> Result<(Vec<Line>, bool)> {
        let mut found = Vec::new();
        for file in self.months()?.iter().rev() {
            let bytes = self.store.read(&folder().file(file))?;
            for line in bytes.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
                let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
                if before.is_some_and(|before| line.seq >= before) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(line);
            }
        }
        Ok((found, false))
    }

    /// Checks the whole chain, and against the head noted outside where there is one.
    pub fn verify(&self) -> Result<chain::Report> {
        let noted = self.head_note.as_ref().and_then(|note| {
            let text = store::read_host_file(note, 4096).ok()?;
            Head::parse(std::str::from_utf8(&text).ok()?)
        });
        let mut checker = chain::Checker::new(Head::first(&self.store.install().id), noted);
        for file in self.months()? {
            let bytes = self.store.read(&folder().file(&file))?;
            for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.is_empty()) {
                let link = serde_json::from_slice::<Link>(text).ok();
                checker.line(file.as_str(), index + 1, text, link);
            }
        }
        Ok(checker.finish())
    }
}

fn folder() -> Place {
    Place::system().folder(Folder::EVENTS)
}

fn month_file(at: i64) -> Result<FileName> {
    FileName::parse(&format!("{}.jsonl", clock::month(at)))
}

fn line_of(event: &Event, head: &Head) -> Result<String> {
    let line = Line {
        seq: head.seq + 1,
        time: clock::rfc3339(event.at),
        event: event.what.name().to_owned(),
        actor: event.origin.actor.as_ref().map(Handle::to_string),
        target: event.target.clone(),
        address: event.origin.address.map(|address| address.to_string()),
        details: event.details.clone(),
        prev: head.hash.clone(),
    };
    let mut text = serde_json::to_string(&line).map_err(Error::internal)?;
    text.push('\n');
    Ok(text)
}

/// A log's last line with something in it.
fn last_line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
