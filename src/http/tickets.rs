//! Backups that are about to be downloaded, or are being: so that a page can show how far one is while the browser itself
//! does the downloading.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::accounts::Account;
use crate::error::{Error, Result};
use crate::mutex::lock;
use crate::random;
use crate::store::Handle;
use crate::store::archive::{BackupOptions, Progress, Written};

/// For so long a ticket can be used, and afterwards be asked about.
const GOOD: Duration = Duration::from_secs(600);
/// Backups that one person can have running.
const PER_PERSON: usize = 2;
/// Backups that can run in all.
const IN_ALL: usize = 8;

/// Tickets that one person can have.
const TICKETS: usize = 20;

/// All tickets, in memory only.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<String, Arc<Ticket>>>);

/// One backup.
pub struct Ticket {
    /// Names it in requests; as hard to guess as a password.
    pub id: String,
    /// Who asked for it.
    pub owner: Handle,
    /// Under which state of their credentials; when that is over, so is the download.
    pub epoch: String,
    /// Whose folder it is.
    pub of: Handle,
    /// What goes in.
    pub options: BackupOptions,
    /// The file's name.
    pub file_name: String,
    /// How far it is.
    pub progress: Progress,
    state: Mutex<(Stage, Instant)>,
    expected: Written,
}

/// How a backup stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Done,
    Failed(String),
}

/// How a backup stands, for a page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    state: &'static str,
    files: u64,
    bytes: u64,
    files_done: u64,
    bytes_done: u64,
    message: Option<String>,
}

impl Report {
    /// Files in all.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Tickets {
    /// Makes a ticket. `expected` is what the backup holds as things are now.
    pub fn make(
        &self,
        owner: &Account,
        of: &Handle,
        options: BackupOptions,
        expected: Written,
        file_name: String,
    ) -> Result<Arc<Ticket>> {
        let ticket = Arc::new(Ticket {
            id: random::random_hex::<16>()?,
            owner: owner.handle.clone(),
            epoch: owner.epoch.clone(),
            of: of.clone(),
            options,
            file_name,
            progress: Progress::default(),
            state: Mutex::new((Stage::Waiting, Instant::now())),
            expected,
        });
        let mut all = lock(&self.0);
        all.retain(|_, ticket| ticket.is_worth_keeping());
        if all.values().filter(|other| other.owner == owner.handle).count() >= TICKETS {
            return Err(busy("You have asked for very many backups. Wait ten minutes."));
        }
        all.insert(ticket.id.clone(), Arc::clone(&ticket));
        Ok(ticket)
    }

    /// The ticket of that id, for the one who asked for it.
    pub fn find(&self, id: &str, owner: &Handle) -> Result<Arc<Ticket>> {
        let all = lock(&self.0);
        let ticket = all.get(id).filter(|ticket| ticket.owner == *owner && ticket.is_worth_keeping());
        ticket
            .cloned()
            .ok_or_else(|| Error::not_found("There is no such backup, or it is too long ago. Start a new one."))
    }

    /// Takes a waiting ticket into use, if there are not too many in use already.
    pub fn start(&self, ticket: &Arc<Ticket>) -> Result<Running> {
        let all = lock(&self.0);
        let running: Vec<_> = all.values().filter(|other| lock(&other.state).0 == Stage::Running).collect();
        let own = running.iter().filter(|other| other.owner == ticket.owner).count();
        if own >= PER_PERSON || running.len() >= IN_ALL {
            return Err(busy("Other backups are running. Wait until they are done, and try again."));
        }
        let mut state = lock(&ticket.state);
        match state.0 {
            Stage::Waiting => {
                *state = (Stage::Running, Instant::now());
                Ok(Running(Arc::clone(ticket)))
            }
            _ => Err(Error::conflict("conflict", "This backup was downloaded already. Start a new one.")),
        }
    }

    /// Stops the backups of an account that is gone.
    pub fn cancel(&self, handle: &Handle) {
        for ticket in lock(&self.0).values().filter(|ticket| ticket.owner == *handle || ticket.of == *handle) {
            ticket.progress.cancel();
        }
    }
}

/// A ticket in use. Dropped in whatever way, it is in use no more.
pub struct Running(Arc<Ticket>);

impl Running {
    /// The ticket.
    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.0
    }

    /// Notes how it ended.
    pub fn end(self, result: &Result<()>) {
        self.0.set(match result {
            Ok(()) => Stage::Done,
            Err(error) => Stage::Failed(error.message().to_owned()),
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if lock(&self.0.state).0 == Stage::Running {
            self.0.set(Stage::Failed("The download was broken off.".to_owned()));
        }
    }
}

impl Ticket {
    fn set(&self, stage: Stage) {
        *lock(&self.state) = (stage, Instant::now());
    }

    /// How it stands.
    pub fn report(&self) -> Report {
        let (stage, _) = lock(&self.state).clone();
        let figure = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
        let (files, bytes) = match stage {
            Stage::Waiting => (self.expected.files, self.expected.bytes),
            _ => (figure(&self.progress.files), figure(&self.progress.bytes)),
        };
        Report {
            state: match stage {
                Stage::Waiting => "waiting",
                Stage::Running => "running",
                Stage::Done => "done",
                Stage::Failed(_) => "failed",
            },
            files,
            bytes,
            files_done: figure(&self.progress.files_done),
            bytes_done: figure(&self.progress.bytes_done),
            message: match stage {
                Stage::Failed(message) => Some(message),
                _ => None,
            },
        }
    }

    fn is_worth_keeping(&self) -> bool {
        let state = lock(&self.state);
        state.0 == Stage::Running || state.1.elapsed() < GOOD
    }
}

fn busy(message: &'static str) -> Error {
    Error::new(crate::error::Kind::Busy, "busy", message)
}
