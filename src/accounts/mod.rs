//! Accounts: who lives here, how they get in, and how they get in again.
//!
//! - [`account`], [`directory`]: the records, and all of them in memory
//! - [`password`], [`hashing`]: passwords and where they are hashed
//! - [`sessions`]: who is signed in where
//! - [`keys`]: what programs show instead
//! - [`entering`]: signing in and recovery; [`codes`], [`console`] and [`limits`] serve it
//! - [`changing`]: what people and admins change, and the rules that keep the house open to its owner
//! - [`pictures`]: account pictures
//! - [`takeover`]: the accounts of a SillyTavern folder

pub mod account;
pub mod changing;
pub mod codes;
pub mod console;
pub mod directory;
pub mod entering;
pub mod hashing;
pub mod keys;
pub mod limits;
pub mod password;
pub mod pictures;
mod records;
pub mod sessions;
pub mod takeover;

use std::sync::Arc;

pub use account::Account;
pub use changing::By;
pub use directory::{Directory, Listing};
pub use entering::{SignedIn, Visitor};
pub use hashing::Hasher;
pub use keys::{ApiKey, Keys};
pub use password::{Attempt, Password, PasswordHash};
pub use pictures::Picture;
pub use sessions::{Lifetime, Session, Sessions, Token};

use crate::access::Role;
use crate::error::Result;
use crate::events::{Event, Events, Origin, What};
use crate::store::{Handle, Opened, Store};
use codes::Codes;
use console::Console;
use limits::{Act, Brake, Network, Windows};

/// The settings that this room follows.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether there are accounts; if not, everything belongs to `default-user`.
    pub accounts: bool,
    /// Whether nothing may tell if a handle exists.
    pub discreet: bool,
    /// How long sessions live.
    pub lifetime: Lifetime,
    /// bcrypt's cost.
    pub bcrypt_cost: u32,
    /// Digits of a console code.
    pub code_length: u8,
    /// Wrong sign-ins per minute and network; 0: any number.
    pub sign_in_tries: u32,
    /// Recovery tries per five minutes and network; 0: any number.
    pub recover_tries: u32,
    /// Reset tries per five minutes and network; 0: any number.
    pub reset_tries: u32,
}

/// All about accounts, over one data folder.
pub struct Accounts {
    store: Arc<Store>,
    events: Arc<Events>,
    directory: Directory,
    sessions: Sessions,
    keys: Keys,
    hasher: Hasher,
    codes: Codes,
    console: Console,
    networks: Windows<(Act, Network)>,
    /// Refusals that the audit log has already been told of.
    noted: Windows<(Act, Network)>,
    /// Codes asked for, per account as typed.
    code_requests: Windows<(Act, String)>,
    brake: Brake,
    rules: Rules,
}

impl Accounts {
    /// Opens the accounts of `store`; a folder that is new to us gets its first ones.
    pub fn open(store: Arc<Store>, events: Arc<Events>, rules: Rules, opened: Opened) -> Result<Self> {
        let directory = Directory::open(Arc::clone(&store))?;
        match opened {
            Opened::Ours => {}
            Opened::Fresh => found_house(&store, &directory)?,
            Opened::SillyTavern => take_over(&store, &directory, &events)?,
        }
        if !rules.accounts || directory.current()?.by_age().is_empty() {
            ensure_default_user(&directory)?;
        }
        if opened != Opened::Ours {
            store.finish_opening()?;
        }
        Ok(Self {
            sessions: Sessions::open(Arc::clone(&store), rules.lifetime)?,
            keys: Keys::open(Arc::clone(&store))?,
            hasher: Hasher::start(rules.bcrypt_cost)?,
            store,
            events,
            directory,
            codes: Codes::default(),
            console: Console::start()?,
            networks: Windows::default(),
            noted: Windows::default(),
            code_requests: Windows::default(),
            brake: Brake::default(),
            rules,
        })
    }

    /// All accounts as they are now.
    pub fn listing(&self) -> Result<Arc<Listing>> {
        self.directory.current()
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Writes when sessions and keys were last used.
    pub fn flush(&self) {
        self.sessions.flush();
        self.keys.flush();
    }

    /// The settings that are followed.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Who `token` belongs to, if the session and the account are still good.
    pub fn by_token(&self, token: &Token) -> Result<Option<(Arc<Account>, Arc<Session>)>> {
        let Some(session) = self.sessions.find(token) else { return Ok(None) };
        let listing = self.listing()?;
        Ok(listing
            .get(&session.handle)
            .filter(|account| account.enabled && account.epoch == session.epoch)
            .map(|account| (Arc::clone(account), session)))
    }

    /// The account that everything belongs to while accounts are off: always an admin, always enabled.
    pub fn fallback(&self) -> Result<Arc<Account>> {
        let handle = Handle::default_user();
        match self.listing()?.get(&handle) {
            Some(account) if account.is_active_admin() => Ok(Arc::clone(account)),
            Some(account) => Ok(Arc::new(Account { enabled: true, role: Role::Admin, ..Account::clone(account) })),
            None => Account::new(handle, "User", Role::Admin, None).map(Arc::new),
        }
    }

    /// The account that may enter without the login screen: the only active one, if it has no password.
    pub fn sole_open_account(&self) -> Result<Option<Arc<Account>>> {
        Ok(self.listing()?.sole_active().filter(|account| account.password.is_none()))
    }
}

/// The first start: one admin without a password, as SillyTavern has it; folders that are there get accounts too.
fn found_house(store: &Store, directory: &Directory) -> Result<()> {
    ensure_default_user(directory)?;
    for handle in store.user_folders()? {
        directory.change(|listing, records| {
            if listing.get(&handle).is_some() {
                return Ok(());
            }
            // Adopted: nobody knows whose it was, so an admin has to open it.
            let account = Account::new(handle.clone(), handle.as_str(), Role::User, None)?;
            records.save(&Account { enabled: false, ..account })
        })?;
    }
    Ok(())
}

fn ensure_default_user(directory: &Directory) -> Result<()> {
    directory.change(|listing, records| {
        // A record that cannot be read is left as it is: it may hold the password that keeps others out.
        if listing.get(&Handle::default_user()).is_some() || !listing.damaged().is_empty() {
            return Ok(());
        }
        records.save(&Account::new(Handle::default_user(), "User", Role::Admin, None)?)
    })
}

fn take_over(store: &Store, directory: &Directory, events: &Events) -> Result<()> {
    let found = takeover::read(store)?;
    for problem in &found.problems {
        tracing::warn!(%problem, "not taken over from SillyTavern");
    }
    for (account, picture) in &found.accounts {
        directory.change(|_, records| records.save(account))?;
        if let Some(picture) = picture {
            pictures::save(store, &account.handle, Some(picture))?;
        }
    }
    tracing::info!(accounts = found.accounts.len(), "SillyTavern's accounts were taken over; _storage stays as it was");
    events.record(
        Event::new(What::TakenOver, &Origin::default())
            .with("accounts", found.accounts.len())
            .with("problems", found.problems.clone()),
    );
    Ok(())
}
