//! API keys: what a program shows instead of a person's session. Records like these, each can be listed and revoked.
//!
//! A key is `tk-` and 256 random bits; it is shown once, and the disk holds only its SHA-256, in
//! `_system/keys/<handle>.json`. It may do what its owner may at that moment. Like a session it names the epoch of the
//! credentials that it was made under, so that it ends with a changed password, with disabling, with deletion and with
//! loss of rights, from whichever process that comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::records::{Need, Records};
use super::{Account, Accounts};
use crate::access::Permission;
use crate::clock;
use crate::error::{Error, Result};
use crate::events::{Event, Origin, What};
use crate::random;
use crate::store::{Folder, Handle, Store};

const PREFIX: &str = "tk-";
/// More keys than this an account does not have.
const MOST: usize = 50;
const NAME_MAX: usize = 100;
const FORMAT: u32 = 1;

/// The text that a program shows: 256 random bits.
pub struct ApiSecret([u8; 32]);

type Hash = [u8; 32];

impl ApiSecret {
    /// Reads what a program shows.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        (length == bytes.len()).then_some(Self(bytes))
    }

    /// The text, for the one time that it is shown.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    fn hash(&self) -> Hash {
        Sha256::digest(self.0).into()
    }
}

/// A key, as far as it is known here.
#[derive(Debug)]
pub struct ApiKey {
    /// Names the key in lists; not a secret.
    pub id: String,
    /// Whose it is.
    pub handle: Handle,
    /// What its owner calls it.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// When it ends by itself.
    pub expires: Option<i64>,
    epoch: String,
    hash: Hash,
    last_used: AtomicI64,
}

impl ApiKey {
    /// When it was last used, milliseconds since 1970; none if never.
    pub fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Whether it opens something for `account` now.
    pub fn is_good_for(&self, account: &Account) -> bool {
        account.enabled
            && account.epoch == self.epoch
            && self.expires.is_none_or(|expires| clock::now_ms() < expires)
            && account.role.permissions().has(Permission::KeysOwn)
    }
}

/// A key's record on disk.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: String,
    name: String,
    hash: String,
    epoch: String,
    created: i64,
    expires: Option<i64>,
    last_used: i64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    format: u32,
    keys: Vec<Record>,
}

/// All API keys of a data folder.
pub struct Keys(Records<HashMap<Hash, Arc<ApiKey>>>);

impl Keys {
    /// Reads all keys.
    pub fn open(store: Arc<Store>) -> Result<Self> {
        let take = |live: &mut HashMap<_, _>, handle: &Handle, file: File| {
            let keys = file.keys.into_iter().filter_map(|record| record.into_key(handle));
            live.extend(keys.map(|key| (key.hash, Arc::new(key))));
        };
        Records::open(store, Folder::KEYS, FORMAT, take).map(Self)
    }

    /// The key that a program shows, whether it is still good or not.
    pub fn find(&self, secret: &ApiSecret) -> Option<Arc<ApiKey>> {
        self.0.read().get(&secret.hash()).cloned()
    }

    /// The keys of an account, the newest first.
    pub fn of(&self, handle: &Handle) -> Vec<Arc<ApiKey>> {
        let mut keys: Vec<_> = of(&self.0.read(), handle).cloned().collect();
        keys.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        keys
    }

    /// Marks a key as used now. Written about once a minute.
    fn used(&self, key: &ApiKey) {
        key.last_used.store(clock::now_ms(), Ordering::Relaxed);
        self.0.used(&key.handle);
    }

    fn create(&self, account: &Account, name: &str, expires: Option<i64>) -> Result<(ApiSecret, Arc<ApiKey>)> {
        let secret = ApiSecret(random::random()?);
        let key = Arc::new(ApiKey {
            id: random::random_hex::<8>()?,
            handle: account.handle.clone(),
            name: check_name(name)?,
            created: clock::now_ms(),
            expires: check_expiry(expires)?,
            epoch: account.epoch.clone(),
            hash: secret.hash(),
            last_used: AtomicI64::new(0),
        });
        {
            let mut live = self.0.write();
            if of(&live, &account.handle).count() >= MOST {
                return Err(Error::conflict("too_many", format!("There are {MOST} keys already. Revoke one first.")));
            }
            live.insert(key.hash, Arc::clone(&key));
        }
        // Unlike a session it has to outlive the server, so it is made only if the disk has it.
        if let Err(error) = self.save(&account.handle, Need::Usual) {
            self.0.write().remove(&key.hash);
            return Err(error);
        }
        Ok((secret, key))
    }

    /// Ends a key. It ends even if the disk refuses to note it, but then the error says so.
    fn revoke(&self, handle: &Handle, id: &str) -> Result<Arc<ApiKey>> {
        let found = self.of(handle).into_iter().find(|key| key.id == id);
        let key = found.ok_or_else(|| Error::not_found("There is no such key."))?;
        self.0.write().remove(&key.hash);
        // What could not be written is written later, as times of use are.
        self.save(handle, Need::Urgent).inspect_err(|_| self.0.used(handle))?;
        Ok(key)
    }

    /// Forgets an account that is gone.
    pub(super) fn forget(&self, handle: &Handle) -> Result<()> {
        self.0.write().retain(|_, key| key.handle != *handle);
        self.0.remove(handle)
    }

    /// Writes the times of last use that have changed.
    pub fn flush(&self) {
        self.0.flush(|handle| self.save(handle, Need::Usual));
    }

    fn save(&self, handle: &Handle, need: Need) -> Result<()> {
        self.0.save(handle, need, |live| {
            let mut keys: Vec<Record> = of(live, handle).map(|key| Record::of(key)).collect();
            if keys.is_empty() {
                return Ok(None);
            }
            keys.sort_by_key(|record| record.created);
            serde_json::to_vec_pretty(&File { format: FORMAT, keys }).map(Some).map_err(Error::internal)
        })
    }
}

fn of<'a>(live: &'a HashMap<Hash, Arc<ApiKey>>, handle: &'a Handle) -> impl Iterator<Item = &'a Arc<ApiKey>> {
    live.values().filter(move |key| key.handle == *handle)
}

impl Accounts {
    /// The API keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who a program that shows this key acts for, if both are still good.
    pub fn by_key(&self, text: &str) -> Result<Option<Arc<Account>>> {
        let Some(key) = ApiSecret::parse(text).and_then(|secret| self.keys.find(&secret)) else { return Ok(None) };
        let account = match self.rules.accounts {
            true => self.listing()?.get(&key.handle).cloned(),
            // While accounts are off there is one person only.
            false => Some(self.fallback()?).filter(|account| account.handle == key.handle),
        };
        let good = account.filter(|account| key.is_good_for(account));
        if good.is_some() {
            self.keys.used(&key);
        }
        Ok(good)
    }

    /// Makes a key that acts for `account`. Its text is shown this once.
    pub fn create_key(
        &self,
        account: &Account,
        name: &str,
        expires: Option<i64>,
        origin: &Origin,
    ) -> Result<(ApiSecret, Arc<ApiKey>)> {
        let (secret, key) = self.keys.create(account, name, expires)?;
        let event = Event::new(What::KeyCreated, origin).to(&account.handle);
        self.events.record(event.with("key", key.id.as_str()).with("name", key.name.as_str()));
        Ok((secret, key))
    }

    /// Ends a key of one's own.
    pub fn revoke_key(&self, handle: &Handle, id: &str, origin: &Origin) -> Result<()> {
        let key = self.keys.revoke(handle, id)?;
        let event = Event::new(What::KeyRevoked, origin).to(handle);
        self.events.record(event.with("key", key.id.as_str()).with("name", key.name.as_str()));
        Ok(())
    }
}

impl Record {
    fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            hash: URL_SAFE_NO_PAD.encode(key.hash),
            epoch: key.epoch.clone(),
            created: key.created,
            expires: key.expires,
            last_used: key.last_used.load(Ordering::Relaxed),
        }
    }

    fn into_key(self, handle: &Handle) -> Option<ApiKey> {
        let hash = URL_SAFE_NO_PAD.decode(&self.hash).ok()?.try_into().ok()?;
        Some(ApiKey {
            id: self.id,
            handle: handle.clone(),
            name: self.name,
            created: self.created,
            expires: self.expires,
            epoch: self.epoch,
            hash,
            last_used: AtomicI64::new(self.last_used),
        })
    }
}

fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Error::invalid("bad_name", format!("A key's name has 1 to {NAME_MAX} letters, on one line.")))
    }
}

fn check_expiry(expires: Option<i64>) -> Result<Option<i64>> {
    if expires.is_some_and(|expires| expires <= clock::now_ms()) {
        return Err(Error::invalid("bad_expiry", "A key has to end in the future: in milliseconds since 1970."));
    }
    Ok(expires)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::store::testing;

    fn account(handle: &str) -> Account {
        Account::new(Handle::parse(handle).unwrap(), handle, Role::User, None).unwrap()
    }

    #[test]
    fn a_key_is_found_again_after_a_restart_and_is_not_on_the_disk() {
        let (dir, store) = testing::house(&[]);
        let store = Arc::new(store);
        let keys = Keys::open(Arc::clone(&store)).unwrap();
        let ada = account("ada");
        let (secret, key) = keys.create(&ada, " phone ", None).unwrap();
        let text = secret.to_text();
        assert!(text.starts_with("tk-") && text.len() == 3 + 43);
        assert_eq!((key.name.as_str(), key.last_used()), ("phone", None));
        keys.used(&key);
        keys.flush();

        let again = Keys::open(Arc::clone(&store)).unwrap();
        let found = again.find(&ApiSecret::parse(&text).unwrap()).unwrap();
        assert_eq!((&found.id, found.last_used()), (&key.id, key.last_used()));
        assert!(found.is_good_for(&ada) && found.last_used().is_some());
        for (path, content) in testing::texts(&testing::tree(dir.path())) {
            assert!(!content.contains(&text[3..]), "{path}");
        }

        again.revoke(&ada.handle, &key.id).unwrap();
        assert!(again.find(&secret).is_none());
        assert!(again.revoke(&ada.handle, &key.id).unwrap_err().is_not_found());
        assert!(Keys::open(store).unwrap().of(&ada.handle).is_empty());
    }

    #[test]
    fn a_key_ends_with_time_state_and_rights() {
        let (_dir, store) = testing::house(&[]);
        let keys = Keys::open(Arc::new(store)).unwrap();
        let ada = account("ada");
        let (_, key) = keys.create(&ada, "one", Some(clock::now_ms() + 40)).unwrap();
        assert!(key.is_good_for(&ada));
        assert!(!key.is_good_for(&Account { enabled: false, ..ada.clone() }));
        assert!(!key.is_good_for(&Account { epoch: "other".into(), ..ada.clone() }));
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert!(!key.is_good_for(&ada));
        assert_eq!(keys.create(&ada, "late", Some(1)).err().unwrap().code(), "bad_expiry");
        assert_eq!(keys.create(&ada, " ", None).err().unwrap().code(), "bad_name");
        keys.forget(&ada.handle).unwrap();
        assert!(keys.of(&ada.handle).is_empty());
    }

    #[test]
    fn nobody_sees_or_ends_another_s() {
        let (_dir, store) = testing::house(&[]);
        let keys = Keys::open(Arc::new(store)).unwrap();
        let (secret, key) = keys.create(&account("ada"), "one", None).unwrap();
        let bob = Handle::parse("bob").unwrap();
        assert!(keys.of(&bob).is_empty());
        assert!(keys.revoke(&bob, &key.id).unwrap_err().is_not_found());
        assert!(keys.find(&secret).is_some());
    }

    #[test]
    fn a_damaged_file_costs_one_account_its_keys() {
        let (dir, store) = testing::house(&[]);
        let store = Arc::new(store);
        let keys = Keys::open(Arc::clone(&store)).unwrap();
        let (secret, _) = keys.create(&account("ada"), "one", None).unwrap();
        testing::put(&dir.path().join("_system/keys/bob.json"), b"{\"keys\":[{");
        testing::put(&dir.path().join("_system/keys/eve.json"), b"{\"format\":1,\"keys\":[]}");
        assert!(Keys::open(store).unwrap().find(&secret).is_some());
    }

    #[test]
    fn a_newer_file_is_left_as_it_is_and_one_that_cannot_be_read_keeps_nobody_out() {
        let (dir, store) = testing::house(&[]);
        let store = Arc::new(store);
        let (secret, _) = Keys::open(Arc::clone(&store)).unwrap().create(&account("ada"), "one", None).unwrap();
        let newer = b"{\"format\":99,\"keys\":{\"of\":\"another kind\"}}";
        testing::put(&dir.path().join("_system/keys/bob.json"), newer);
        testing::put(&dir.path().join("_system/keys/eve.json"), &vec![b' '; 2 * 1024 * 1024]);
        let keys = Keys::open(store).unwrap();
        assert!(keys.find(&secret).is_some());
        for handle in ["bob", "eve"] {
            assert_eq!(keys.create(&account(handle), "new", None).err().unwrap().code(), "storage");
            assert!(keys.of(&Handle::parse(handle).unwrap()).is_empty());
        }
        assert_eq!(std::fs::read(dir.path().join("_system/keys/bob.json")).unwrap(), newer);
    }

    #[test]
    fn many_at_once_do_not_get_beyond_the_limit() {
        let (_dir, store) = testing::house(&[]);
        let keys = Keys::open(Arc::new(store)).unwrap();
        let ada = account("ada");
        for _ in 1..MOST {
            keys.create(&ada, "one", None).unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keys.create(&ada, "more", None).is_ok());
            }
        });
        assert_eq!(keys.of(&ada.handle).len(), MOST);
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let (dir, store) = testing::house(&[]);
        drop(store);
        let faults = crate::store::Faults::at(0, std::io::ErrorKind::StorageFull, true);
        let store = Arc::new(testing::open(dir.path(), Some(Arc::clone(&faults))));
        let keys = Keys::open(Arc::clone(&store)).unwrap();
        let (_, key) = keys.create(&account("ada"), "one", None).unwrap();
        keys.used(&key);
        faults.rearm(1);
        keys.flush();
        faults.rearm(0);
        let on_disk = || Keys::open(Arc::clone(&store)).unwrap().of(&key.handle)[0].last_used();
        assert_eq!(on_disk(), None);
        keys.flush();
        assert_eq!(on_disk(), key.last_used());
    }

    #[test]
    fn what_is_no_key() {
        let text = ApiSecret([7; 32]).to_text();
        assert!(ApiSecret::parse(&text).is_some());
        for bad in ["", "tk-", &text[3..], &text[..45], &format!("{text}A"), "tk-!!!!", "sk-x"] {
            assert!(ApiSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
