//! What all requests share.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::Person;
use super::cookies::Names;
use super::files::Files;
use super::gate::BasicCache;
use super::peer::FirstSight;
use super::routes;
use super::shares::Shares;
use super::table::Table;
use super::tickets::Tickets;
use crate::accounts::changing::Changes;
use crate::accounts::{Account, By};
use crate::app::App;
use crate::error::Result;
use crate::store::Handle;
use crate::turns::Turns;

/// Large bodies at once: each can take several times its size until it is saved.
const LARGE_BODIES: usize = 3;
/// Prompts that are being looked at at once.
const PROMPTS: usize = 256;
/// Chats that are being downloaded at once.
const EXPORTS: usize = 24;

/// What all requests share.
pub struct State {
    /// The house.
    pub app: Arc<App>,
    /// All routes.
    pub table: Table,
    /// The cookies' names.
    pub names: Names,
    /// What browsers load.
    pub files: Files,
    /// Backups that are about to be, or being, downloaded.
    pub tickets: Tickets,
    /// Basic credentials that were found good a moment ago.
    pub basic: BasicCache,
    /// Clients seen since the start.
    pub newcomers: FirstSight<IpAddr>,
    /// Clients that were turned away.
    pub strangers: FirstSight<IpAddr>,
    /// Names by which the server was called wrongly.
    pub wrong_names: FirstSight<String>,
    /// Bodies that are large enough to matter, held at once.
    pub large_bodies: Arc<Semaphore>,
    /// Of these, one for each person.
    pub large_bodies_of: Turns<Option<Handle>>,
    /// Who downloads how many chats: each keeps a thread waiting.
    pub exports: Shares<Handle>,
    /// Who looks at how many prompts at once.
    pub prompts: Shares<Handle>,
    /// Who is uploading an archive: one at a time for each person.
    pub uploads: Mutex<HashSet<Handle>>,
    /// Whether anyone on the network can reach the sign-in.
    pub exposed: bool,
    /// This machine's name, by which the server may be called.
    pub machine: Option<String>,
    /// What clients that hung up had begun: it ends before the server does.
    pub work: TaskTracker,
    /// Ends when the server is told to stop.
    pub stopping: CancellationToken,
}

impl State {
    /// The state of a server for `app`. `public` is a folder that is served before the built-in pages.
    pub fn new(app: Arc<App>, stopping: CancellationToken) -> Result<Arc<Self>> {
        let public: Option<PathBuf> = app.config.public_dir().map(ToOwned::to_owned);
        Ok(Arc::new(Self {
            table: Table::new(routes::all())?,
            names: Names::of(&app.store.install().id),
            files: Files::new(public),
            tickets: Tickets::default(),
            basic: BasicCache::default(),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
            large_bodies_of: Turns::default(),
            exports: Shares::new(EXPORTS),
            prompts: Shares::new(PROMPTS),
            uploads: Mutex::default(),
            newcomers: FirstSight::default(),
            strangers: FirstSight::default(),
            wrong_names: FirstSight::default(),
            exposed: app.is_exposed() && !app.config.security_override,
            machine: machine_name(),
            work: TaskTracker::new(),
            stopping,
            app,
        }))
    }
}

impl State {
    /// Deletes an account, and cuts the downloads that it has running.
    pub fn delete_user(&self, by: By<'_>, handle: &Handle, purge: bool) -> Result<()> {
        self.app.accounts.may_delete(by, handle)?;
        self.tickets.cancel(handle);
        self.app.delete_user(by, handle, purge)
    }

    /// Whether somebody's credentials are still what they were. A disk that cannot tell right now is no reason to break
    /// off what they were let in for.
    pub fn is_still(&self, handle: &Handle, epoch: &str) -> bool {
        let accounts = &self.app.accounts;
        !accounts.rules().accounts
            || accounts.listing().map_or(true, |listing| {
                listing.get(handle).is_some_and(|account| account.enabled && account.epoch == epoch)
            })
    }

    /// Whether somebody may still do what they were let in for: their account and the session are what they were.
    pub fn is_still_in(&self, person: &Person) -> bool {
        let (account, accounts) = (&person.account, &self.app.accounts);
        self.is_still(&account.handle, &account.epoch)
            && person
                .session
                .as_ref()
                .is_none_or(|session| accounts.sessions().of(account).iter().any(|living| living.id == session.id))
    }

    /// Changes an account, and cuts the downloads of one that may not come in any more.
    pub fn update_user(&self, by: By<'_>, handle: &Handle, changes: &Changes) -> Result<Arc<Account>> {
        let account = self.app.accounts.update(by, handle, changes)?;
        if !account.enabled {
            self.tickets.cancel(handle);
            self.app.talk.stop_all(handle);
        }
        Ok(account)
    }
}

#[cfg(unix)]
fn machine_name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_ascii_lowercase).filter(|name| !name.is_empty())
}

#[cfg(not(unix))]
fn machine_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok().map(|name| name.to_ascii_lowercase())
}
