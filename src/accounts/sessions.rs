//! Sessions: who is signed in where. Records, not signed cookies: each can be listed and ended.
//!
//! The browser holds 256 random bits; the disk holds only their SHA-256, in `_system/sessions/<handle>.json`. Checking a
//! session touches memory only. The time of last use is written back about once a minute.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account::Account;
use super::limits::Network;
use crate::clock;
use crate::error::{Error, Result};
use crate::random;
use crate::store::{self, Expect, Folder, Handle, Owner, Place, Store};

/// More sessions than this an account does not keep; the one used longest ago goes.
const MOST: usize = 100;
/// A session that the browser forgets when it closes is forgotten here after this much idle time.
const BROWSER_SESSION_MS: i64 = 30 * 24 * 3600 * 1000;
/// How much of a browser's name is kept, in bytes.
const DEVICE_MAX: usize = 300;

/// How long sessions live, from SillyTavern's `sessionTimeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until they are ended.
    Endless,
    /// Until the browser closes.
    Browser,
    /// This many seconds after the last use.
    Idle(i64),
}

impl Lifetime {
    /// Reads the setting: below 0 endless, 0 until the browser closes, else seconds.
    pub fn from_setting(seconds: i64) -> Self {
        match seconds {
            ..0 => Self::Endless,
            0 => Self::Browser,
            _ => Self::Idle(seconds),
        }
    }

    fn is_over(self, last_used: i64, now: i64) -> bool {
        let idle = now - last_used;
        match self {
            Self::Endless => false,
            Self::Browser => idle > BROWSER_SESSION_MS,
            Self::Idle(seconds) => idle > seconds.saturating_mul(1000),
        }
    }
}

/// The secret that the browser holds: 256 random bits.
pub struct Token([u8; 32]);

type TokenHash = [u8; 32];

impl Token {
    fn new() -> Result<Self> {
        random::random::<32>().map(Self)
    }

    /// Reads the cookie's value.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then_some(Self(bytes))
    }

    /// The cookie's value.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn hash(&self) -> TokenHash {
        Sha256::digest(self.0).into()
    }
}

/// A device on which somebody is signed in.
#[derive(Debug)]
pub struct Session {
    /// Names the session in lists; not a secret.
    pub id: String,
    /// Whose it is.
    pub handle: Handle,
    /// The state of the credentials it was made under.
    pub epoch: String,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// What the browser says it is.
    pub device: String,
    /// From where it was made.
    pub address: Option<IpAddr>,
    token: TokenHash,
    last_used: AtomicI64,
}

impl Session {
    /// When it was last used, milliseconds since 1970.
    pub fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Ties a page's CSRF token to this session.
    pub fn binding(&self) -> &[u8] {
        &self.token
    }
}

/// A session's record on disk.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: String,
    token_hash: String,
    epoch: String,
    created: i64,
    last_used: i64,
    device: String,
    address: Option<IpAddr>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    /// When the account was last used, kept beyond its sessions.
    last_seen: Option<i64>,
    sessions: Vec<Record>,
}

/// All sessions of a data folder.
pub struct Sessions {
    store: Arc<Store>,
    lifetime: Lifetime,
    live: RwLock<Live>,
    /// Accounts whose times of last use have changed since they were written.
    dirty: Mutex<HashSet<Handle>>,
}

#[derive(Default)]
struct Live {
    by_token: HashMap<TokenHash, Arc<Session>>,
    last_seen: HashMap<Handle, i64>,
}

impl Sessions {
    /// Reads all sessions. A damaged file costs its account its sessions, nothing else.
    pub fn open(store: Arc<Store>, lifetime: Lifetime) -> Result<Self> {
        let mut live = Live::default();
        for entry in store.list(&folder())? {
            let Some(handle) = entry.name.as_str().strip_suffix(".json").and_then(|stem| Handle::parse(stem).ok())
            else {
                continue;
            };
            let file: File = match serde_json::from_slice(&store.read(&folder().file(&entry.name))?) {
                Ok(file) => file,
                Err(error) => {
                    tracing::warn!(%handle, %error, "the sessions of an account cannot be read; it has to sign in again");
                    continue;
                }
            };
            live.last_seen.extend(file.last_seen.map(|seen| (handle.clone(), seen)));
            for session in file.sessions.into_iter().filter_map(|record| record.into_session(&handle)) {
                live.by_token.insert(session.token, Arc::new(session));
            }
        }
        Ok(Self { store, lifetime, live: RwLock::new(live), dirty: Mutex::default() })
    }

    /// How long sessions live.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The live session that `token` opens, marked as used now.
    pub fn find(&self, token: &Token) -> Option<Arc<Session>> {
        let session = Arc::clone(self.read().by_token.get(&token.hash())?);
        let now = clock::now_ms();
        if self.lifetime.is_over(session.last_used(), now) {
            return None;
        }
        // A minute is fine enough for people, and spares the set most of its updates.
        if now - session.last_used.swap(now, Ordering::Relaxed) > 60_000 {
            store::lock(&self.dirty).insert(session.handle.clone());
        }
        Some(session)
    }

    /// Starts a session of `account`. It holds even if the disk refuses to note it; then it ends with the server.
    pub fn start(&self, account: &Account, device: &str, address: Option<IpAddr>) -> Result<(Token, Arc<Session>)> {
        let token = Token::new()?;
        let now = clock::now_ms();
        let session = Arc::new(Session {
            id: random::random_hex::<8>()?,
            handle: account.handle.clone(),
            epoch: account.epoch.clone(),
            created: now,
            device: shorten(device),
            address,
            token: token.hash(),
            last_used: AtomicI64::new(now),
        });
        {
            let mut live = self.write();
            live.by_token.insert(session.token, Arc::clone(&session));
            live.drop_oldest_beyond(&account.handle, MOST);
        }
        self.save_or_warn(&account.handle);
        Ok((token, session))
    }

    /// The sessions of an account that are good for `epoch`, the one used last first.
    pub fn of(&self, account: &Account) -> Vec<Arc<Session>> {
        let now = clock::now_ms();
        let mut sessions: Vec<_> = self
            .read()
            .by_token
            .values()
            .filter(|s| s.handle == account.handle && s.epoch == account.epoch)
            .filter(|s| !self.lifetime.is_over(s.last_used(), now))
            .cloned()
            .collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used()));
        sessions
    }

    /// Whether an account is signed in from this network: its owner's, presumably.
    pub fn knows_network(&self, account: &Account, network: Network) -> bool {
        self.of(account).iter().any(|s| s.address.is_some_and(|address| Network::of(address) == network))
    }

    /// When an account was last used.
    pub fn last_seen(&self, handle: &Handle) -> Option<i64> {
        let live = self.read();
        let of_sessions = live.by_token.values().filter(|s| s.handle == *handle).map(|s| s.last_used()).max();
        of_sessions.max(live.last_seen.get(handle).copied())
    }

    /// Ends the sessions of `handle` for which `which` holds; says how many. They end even if the disk refuses to note it,
    /// but then the error says so, because they would live again after a restart.
    pub fn end(&self, handle: &Handle, which: impl Fn(&Session) -> bool) -> Result<usize> {
        let ended = {
            let mut live = self.write();
            let before = live.by_token.len();
            let seen = live.by_token.values().filter(|s| s.handle == *handle).map(|s| s.last_used()).max();
            live.by_token.retain(|_, session| session.handle != *handle || !which(session));
            if let Some(seen) = seen {
                live.last_seen.insert(handle.clone(), seen);
            }
            before - live.by_token.len()
        };
        if ended > 0 {
            self.save(handle)?;
        }
        Ok(ended)
    }

    /// Forgets an account that is gone.
    pub fn forget(&self, handle: &Handle) -> Result<()> {
        {
            let mut live = self.write();
            live.by_token.retain(|_, session| session.handle != *handle);
            live.last_seen.remove(handle);
        }
        self.store.writing(&Owner::System, |writer| writer.remove(&file(handle)))
    }

    /// Moves a session to the credentials' new state, so that whoever changes a password stays signed in. One that was
    /// ended meanwhile stays ended.
    pub fn renew(&self, session: &Session, account: &Account) {
        let renewed = Arc::new(Session {
            id: session.id.clone(),
            handle: session.handle.clone(),
            epoch: account.epoch.clone(),
            created: session.created,
            device: session.device.clone(),
            address: session.address,
            token: session.token,
            last_used: AtomicI64::new(session.last_used()),
        });
        match self.write().by_token.get_mut(&session.token) {
            Some(present) => *present = renewed,
            None => return,
        }
        self.save_or_warn(&account.handle);
    }

    /// Writes the times of last use that have changed.
    pub fn flush(&self) {
        let dirty: Vec<Handle> = store::lock(&self.dirty).drain().collect();
        for handle in dirty {
            self.save_or_warn(&handle);
        }
    }

    fn save_or_warn(&self, handle: &Handle) {
        if let Err(error) = self.save(handle) {
            tracing::warn!(?error, %handle, "sessions could not be written; they hold until the server stops");
        }
    }

    fn save(&self, handle: &Handle) -> Result<()> {
        self.store.writing(&Owner::System, |writer| {
            // Read under the lock, so that the file ends as the newest state whoever writes last.
            let file_text = {
                let live = self.read();
                let of = live.by_token.values().filter(|s| s.handle == *handle);
                let mut sessions: Vec<Record> = of.map(|session| Record::of(session)).collect();
                sessions.sort_by_key(|record| record.created);
                let last_used = sessions.iter().map(|record| record.last_used).max();
                let last_seen = last_used.max(live.last_seen.get(handle).copied());
                serde_json::to_vec_pretty(&File { last_seen, sessions }).map_err(Error::internal)?
            };
            writer.write(&file(handle), &file_text, Expect::Anything)
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Live {
    fn drop_oldest_beyond(&mut self, handle: &Handle, most: usize) {
        let mut own: Vec<_> =
            self.by_token.values().filter(|s| s.handle == *handle).map(|s| (s.last_used(), s.token)).collect();
        own.sort_unstable_by_key(|(last_used, _)| std::cmp::Reverse(*last_used));
        for (_, token) in own.into_iter().skip(most) {
            self.by_token.remove(&token);
        }
    }
}

impl Record {
    fn of(session: &Session) -> Self {
        Self {
            id: session.id.clone(),
            token_hash: URL_SAFE_NO_PAD.encode(session.token),
            epoch: session.epoch.clone(),
            created: session.created,
            last_used: session.last_used(),
            device: session.device.clone(),
            address: session.address,
        }
    }

    fn into_session(self, handle: &Handle) -> Option<Session> {
        let Token(token) = Token::parse(&self.token_hash)?;
        Some(Session {
            id: self.id,
            handle: handle.clone(),
            epoch: self.epoch,
            created: self.created,
            device: self.device,
            address: self.address,
            token,
            last_used: AtomicI64::new(self.last_used),
        })
    }
}

fn shorten(device: &str) -> String {
    let clean: String = device.chars().filter(|c| !c.is_control()).collect();
    let mut end = clean.len().min(DEVICE_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean[..end].to_owned()
}

fn folder() -> Place {
    Place::system().folder(Folder::SESSIONS)
}

fn file(handle: &Handle) -> Place {
    folder().named(handle, ".json")
}
