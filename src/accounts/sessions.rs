//! Sessions: who is signed in where. Records, not signed cookies: each can be listed and ended.
//!
//! The browser holds 256 random bits; the disk holds only their SHA-256, in `_system/sessions/<handle>.json`. Checking a
//! session touches memory only. The time of last use is written back about once a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account::Account;
use super::limits::Network;
use super::records::{Need, Records};
use crate::clock;
use crate::error::{Error, Result};
use crate::random;
use crate::store::{Folder, Handle, Store};

/// More sessions than this an account does not keep; the one used longest ago goes.
const MOST: usize = 100;
/// A session that the browser forgets when it closes is forgotten here after this much idle time.
const BROWSER_SESSION_MS: i64 = 30 * 24 * 3600 * 1000;
/// How much of a browser's name is kept, in bytes.
const DEVICE_MAX: usize = 300;
const FORMAT: u32 = 1;

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
    format: u32,
    /// When the account was last used, kept beyond its sessions.
    last_seen: Option<i64>,
    sessions: Vec<Record>,
}

/// All sessions of a data folder.
pub struct Sessions {
    records: Records<Live>,
    lifetime: Lifetime,
}

#[derive(Default)]
struct Live {
    by_token: HashMap<TokenHash, Arc<Session>>,
    last_seen: HashMap<Handle, i64>,
}

impl Sessions {
    /// Reads all sessions.
    pub fn open(store: Arc<Store>, lifetime: Lifetime) -> Result<Self> {
        let take = |live: &mut Live, handle: &Handle, file: File| {
            live.last_seen.extend(file.last_seen.map(|seen| (handle.clone(), seen)));
            let sessions = file.sessions.into_iter().filter_map(|record| record.into_session(handle));
            live.by_token.extend(sessions.map(|session| (session.token, Arc::new(session))));
        };
        Ok(Self { records: Records::open(store, Folder::SESSIONS, FORMAT, take)?, lifetime })
    }

    /// How long sessions live.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The live session that `token` opens, marked as used now.
    pub fn find(&self, token: &Token) -> Option<Arc<Session>> {
        let session = Arc::clone(self.records.read().by_token.get(&token.hash())?);
        let now = clock::now_ms();
        if self.lifetime.is_over(session.last_used(), now) {
            return None;
        }
        session.last_used.store(now, Ordering::Relaxed);
        self.records.used(&session.handle);
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
            let mut live = self.records.write();
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
            .records
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
        let live = self.records.read();
        let of_sessions = live.by_token.values().filter(|s| s.handle == *handle).map(|s| s.last_used()).max();
        of_sessions.max(live.last_seen.get(handle).copied())
    }

    /// Ends the sessions of `handle` for which `which` holds; says how many. They end even if the disk refuses to note it,
    /// but then the error says so, because they would live again after a restart.
    pub fn end(&self, handle: &Handle, which: impl Fn(&Session) -> bool) -> Result<usize> {
        let ended = {
            let mut live = self.records.write();
            let before = live.by_token.len();
            let seen = live.by_token.values().filter(|s| s.handle == *handle).map(|s| s.last_used()).max();
            live.by_token.retain(|_, session| session.handle != *handle || !which(session));
            if let Some(seen) = seen {
                live.last_seen.insert(handle.clone(), seen);
            }
            before - live.by_token.len()
        };
        if ended > 0 {
            // What could not be written is written later, as times of use are.
            self.save(handle, Need::Urgent).inspect_err(|_| self.records.used(handle))?;
        }
        Ok(ended)
    }

    /// Forgets an account that is gone.
    pub fn forget(&self, handle: &Handle) -> Result<()> {
        {
            let mut live = self.records.write();
            live.by_token.retain(|_, session| session.handle != *handle);
            live.last_seen.remove(handle);
        }
        self.records.remove(handle)
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
        match self.records.write().by_token.get_mut(&session.token) {
            Some(present) => *present = renewed,
            None => return,
        }
        self.save_or_warn(&account.handle);
    }

    /// Writes the times of last use that have changed.
    pub fn flush(&self) {
        self.records.flush(|handle| self.save(handle, Need::Usual));
    }

    fn save_or_warn(&self, handle: &Handle) {
        if let Err(error) = self.save(handle, Need::Usual) {
            tracing::warn!(?error, %handle, "sessions could not be written; they hold until the server stops");
        }
    }

    fn save(&self, handle: &Handle, need: Need) -> Result<()> {
        self.records.save(handle, need, |live| {
            let of = live.by_token.values().filter(|s| s.handle == *handle);
            let mut sessions: Vec<Record> = of.map(|session| Record::of(session)).collect();
            sessions.sort_by_key(|record| record.created);
            let last_used = sessions.iter().map(|record| record.last_used).max();
            let last_seen = last_used.max(live.last_seen.get(handle).copied());
            let file = File { format: FORMAT, last_seen, sessions };
            serde_json::to_vec_pretty(&file).map(Some).map_err(Error::internal)
        })
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
    let mut clean: String = device.chars().filter(|c| !c.is_control()).collect();
    clean.truncate(clean.floor_char_boundary(DEVICE_MAX));
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::store::testing;

    fn ada() -> Account {
        Account::new(testing::ada(), "Ada", Role::User, None).unwrap()
    }

    #[test]
    fn steady_use_is_still_known_after_a_restart() {
        let (_dir, store) = testing::house(&[]);
        let store = Arc::new(store);
        let sessions = Sessions::open(Arc::clone(&store), Lifetime::Idle(600)).unwrap();
        let (token, session) = sessions.start(&ada(), "a browser", None).unwrap();
        // Long ago, but for one request after the other since.
        session.last_used.store(clock::now_ms() - 30_000, Ordering::Relaxed);
        sessions.save(&session.handle, Need::Usual).unwrap();
        sessions.find(&token).unwrap();
        sessions.flush();
        let again = Sessions::open(store, Lifetime::Idle(20)).unwrap();
        assert_eq!(again.find(&token).map(|found| found.id.clone()), Some(session.id.clone()));
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_nobody_else_out() {
        let (dir, store) = testing::house(&[]);
        let store = Arc::new(store);
        let (token, _) =
            Sessions::open(Arc::clone(&store), Lifetime::Endless).unwrap().start(&ada(), "", None).unwrap();
        testing::put(&dir.path().join("_system/sessions/bob.json"), &vec![b' '; 2 * 1024 * 1024]);
        let sessions = Sessions::open(store, Lifetime::Endless).unwrap();
        assert!(sessions.find(&token).is_some());
        let bob = Account::new(Handle::parse("bob").unwrap(), "Bob", Role::User, None).unwrap();
        let (token, _) = sessions.start(&bob, "", None).unwrap();
        assert!(sessions.find(&token).is_some(), "it holds until the server stops");
    }
}
