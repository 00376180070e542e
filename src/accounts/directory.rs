//! All accounts in memory, checked against the disk.
//!
//! Every request asks who its session belongs to, so the records are kept in memory. The host's command line may change
//! them at any time, and that has to hold at the very next request; so each look costs one `stat` of the accounts' folder,
//! whose time changes with every record that is replaced in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::account::Account;
use super::hashing::Kinds;
use super::password::PasswordHash;
use crate::error::{Error, Result};
use crate::store::{Expect, FileName, Folder, Handle, Owner, Place, Stat, Store, Writer};

/// A folder's time may be this coarse: a change within it is not visible in the time.
const CLOCK_GRAIN: Duration = Duration::from_millis(50);
/// No record of ours is near this size.
const RECORD_LIMIT: u64 = 1024 * 1024;

/// The accounts of a data folder.
pub struct Directory {
    store: Arc<Store>,
    now: ArcSwap<Listing>,
}

/// All accounts at one moment.
#[derive(Debug, Default)]
pub struct Listing {
    accounts: BTreeMap<Handle, Arc<Account>>,
    damaged: Vec<FileName>,
    /// The folder's state when this was read; `None` while it could still change unseen, or a record could not be read:
    /// whatever keeps it from being read may pass without a trace in the folder.
    as_of: Option<Stat>,
}

impl Listing {
    /// The account of that handle.
    pub fn get(&self, handle: &Handle) -> Option<&Arc<Account>> {
        self.accounts.get(handle)
    }

    /// All accounts, in the order in which they were made.
    pub fn by_age(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.accounts.values().cloned().collect();
        all.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.handle.cmp(&b.handle)));
        all
    }

    /// Those who can sign in, in the order in which they were made.
    pub fn active(&self) -> Vec<Arc<Account>> {
        self.by_age().into_iter().filter(|account| account.enabled).collect()
    }

    /// The one account that can sign in, if there is just one.
    pub fn sole_active(&self) -> Option<Arc<Account>> {
        let mut active = self.accounts.values().filter(|account| account.enabled);
        let sole = active.next()?;
        active.next().is_none().then(|| Arc::clone(sole))
    }

    /// How many admins can sign in.
    pub fn active_admins(&self) -> usize {
        self.accounts.values().filter(|account| account.is_active_admin()).count()
    }

    /// The kinds of hashes that there are.
    pub fn hashes(&self) -> Kinds {
        let hashes = || self.accounts.values().filter_map(|account| account.password.as_ref());
        Kinds {
            scrypt: hashes().any(PasswordHash::is_scrypt),
            highest_cost: hashes().filter_map(PasswordHash::cost).max().unwrap_or(0),
        }
    }

    /// Records that cannot be read. Their accounts cannot sign in; the files are left as they are.
    pub fn damaged(&self) -> &[FileName] {
        &self.damaged
    }
}

impl Directory {
    /// Reads all accounts of `store`.
    pub fn open(store: Arc<Store>) -> Result<Self> {
        let directory = Self { store, now: ArcSwap::default() };
        let listing = directory.current()?;
        for file in listing.damaged() {
            tracing::error!(%file, "an account's record cannot be read; the account cannot sign in until it is mended");
        }
        Ok(directory)
    }

    /// All accounts as they are on the disk now.
    pub fn current(&self) -> Result<Arc<Listing>> {
        let looked = SystemTime::now();
        let stat = self.store.stat(&folder())?;
        let known = self.now.load();
        if known.as_of.is_some() && known.as_of == stat {
            return Ok(Arc::clone(&known));
        }
        let fresh = Arc::new(self.read(looked, stat)?);
        self.now.store(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Reads all records; `looked` is when `stat` was taken.
    fn read(&self, looked: SystemTime, stat: Option<Stat>) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut complete = true;
        for entry in self.store.list(&folder())? {
            let Some(stem) = entry.name.as_str().strip_suffix(".json") else { continue };
            let bytes = match self.store.read_at_most(&folder().file(&entry.name), RECORD_LIMIT) {
                Ok(bytes) => bytes,
                // Deleted a moment ago. Whoever asks about another account must not hear that there is no such thing.
                Err(error) if error.is_not_found() => continue,
                // One file that the server may not touch is no reason to keep everybody out.
                Err(_) => {
                    complete = false;
                    listing.damaged.push(entry.name);
                    continue;
                }
            };
            match serde_json::from_slice::<Account>(&bytes) {
                Ok(account) if account.handle.as_str() == stem => {
                    listing.accounts.insert(account.handle.clone(), Arc::new(account));
                }
                Ok(_) | Err(_) => listing.damaged.push(entry.name),
            }
        }
        // Not by the time it is now: reading may have taken longer than the grain, and a change may have come between.
        listing.as_of = stat.filter(|stat| complete && is_settled(looked, stat.modified));
        Ok(listing)
    }

    /// Runs `work` while nobody else changes accounts, on the accounts as they are now. Whom to let in, and whom not any
    /// more, can be said on a full disk as well.
    pub fn change<T>(&self, work: impl FnOnce(&Listing, &Records<'_>) -> Result<T>) -> Result<T> {
        self.store.writing(&Owner::System, |writer| {
            let listing = self.current()?;
            work(&listing, &Records(&writer.urgent()))
        })
    }
}

/// The right to write account records; [`Directory::change`] gives it.
pub struct Records<'a>(&'a Writer<'a>);

impl Records<'_> {
    /// Writes an account's record.
    pub fn save(&self, account: &Account) -> Result<()> {
        self.0.write(&record(&account.handle), &text(account)?, Expect::Anything)
    }

    /// Writes a new account's record; refuses when there is one.
    pub fn create(&self, account: &Account) -> Result<()> {
        self.0.create(&record(&account.handle), &text(account)?)
    }

    /// Removes an account's record.
    pub fn remove(&self, handle: &Handle) -> Result<()> {
        self.0.remove(&record(handle))
    }
}

/// Whether a change after `looked` would show in the folder's time. A time in the future is of a clock that was set back
/// since, or of a machine that has none: the next change brings the present one.
fn is_settled(looked: SystemTime, modified: SystemTime) -> bool {
    looked.duration_since(modified).unwrap_or_else(|ahead| ahead.duration()) > CLOCK_GRAIN
}

fn text(account: &Account) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(account).map_err(Error::internal)
}

fn folder() -> Place {
    Place::system().folder(Folder::ACCOUNTS)
}

fn record(handle: &Handle) -> Place {
    folder().named(handle, ".json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::store::testing;

    fn directory_with(handles: &[&str]) -> (tempfile::TempDir, Directory) {
        let (dir, store) = testing::house(&[]);
        let directory = Directory::open(Arc::new(store)).unwrap();
        for handle in handles {
            let account = Account::new(Handle::parse(handle).unwrap(), handle, Role::User, None).unwrap();
            directory.change(|_, records| records.save(&account)).unwrap();
        }
        (dir, directory)
    }

    #[test]
    fn a_folder_of_tomorrow_is_not_read_again_for_every_request() {
        let (dir, directory) = directory_with(&["ada"]);
        let folder = std::fs::File::open(dir.path().join("_system/accounts")).unwrap();
        folder.set_modified(SystemTime::now() + Duration::from_secs(24 * 3600)).unwrap();
        assert!(Arc::ptr_eq(&directory.current().unwrap(), &directory.current().unwrap()));
        // What is changed now shows all the same.
        let bob = Account::new(Handle::parse("bob").unwrap(), "Bob", Role::User, None).unwrap();
        directory.change(|_, records| records.save(&bob)).unwrap();
        assert!(directory.current().unwrap().get(&bob.handle).is_some());
    }

    #[test]
    fn a_record_that_cannot_be_read_keeps_nobody_else_out() {
        let (dir, directory) = directory_with(&["ada", "bob"]);
        let record = dir.path().join("_system/accounts/bob.json");
        let text = std::fs::read(&record).unwrap();
        std::fs::write(&record, vec![b' '; usize::try_from(RECORD_LIMIT).unwrap() + 1]).unwrap();
        let (ada, bob) = (Handle::parse("ada").unwrap(), Handle::parse("bob").unwrap());
        let listing = directory.current().unwrap();
        assert!(listing.get(&ada).is_some() && listing.get(&bob).is_none());
        assert_eq!(listing.damaged().len(), 1);
        std::fs::write(&record, text).unwrap();
        assert!(directory.current().unwrap().get(&bob).is_some());
    }
}
