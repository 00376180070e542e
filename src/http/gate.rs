//! The gate: what has to hold before a request reaches a handler.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use warp::http::header::{self, HeaderMap};
use warp::http::{StatusCode, Uri};

use super::call::{Person, not_signed_in};
use super::cookies;
use super::csrf;
use super::peer::Peer;
use super::reply::{self, Dialect, Reply};
use super::state::State;
use super::table::{Route, Who};
use crate::access::{self, What};
use crate::accounts::{Account, Token, Visitor};
use crate::error::{Error, Kind, Result};
use crate::mutex::lock;
use crate::store::Version;
use crate::turns::Turns;

/// For so long basic credentials that were good are taken without hashing again.
const BASIC_FRESH: Duration = Duration::from_secs(300);

/// No name in the domain name system is longer; a port may follow.
const LONGEST_HOST: usize = 253 + 6;

/// Basic credentials, by their hash.
#[derive(Default)]
pub struct BasicCache {
    /// Those that were found good.
    good: Mutex<HashMap<Version, (Arc<Account>, Instant)>>,
    /// Those that are being looked at. A browser sends the same with many requests at once: that is one try, not many.
    turns: Turns<Version>,
}

impl BasicCache {
    fn known(&self, key: &Version) -> Option<Arc<Account>> {
        let good = lock(&self.good);
        good.get(key).filter(|(_, at)| at.elapsed() < BASIC_FRESH).map(|(account, _)| Arc::clone(account))
    }

    fn remember(&self, key: Version, account: &Arc<Account>) {
        let mut good = lock(&self.good);
        good.retain(|_, (_, at)| at.elapsed() < BASIC_FRESH);
        good.insert(key, (Arc::clone(account), Instant::now()));
    }
}

/// Whether the server may be called by the name in the request. Foreign names are how a page elsewhere, having pointed its
/// own name at this address, would talk to us as if it were ours (DNS rebinding).
pub fn check_host(state: &State, headers: &HeaderMap, uri: &Uri) -> Result<()> {
    let rule = &state.app.config.host_whitelist;
    let mut named = headers.get_all(header::HOST).iter();
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| named.next()?.to_str().ok());
    if named.next().is_some() && uri.authority().is_none() {
        return Err(Error::new(Kind::Misdirected, "unknown_host", "The request has more than one Host header."));
    }
    let Some(host) = host.filter(|host| host.len() <= LONGEST_HOST) else {
        return Err(Error::new(Kind::Misdirected, "unknown_host", "The request does not say which server it is for."));
    };
    if !rule.enabled || is_known_host(host, state.machine.as_deref(), &rule.hosts) {
        return Ok(());
    }
    if rule.scan && state.wrong_names.of(host.to_owned()) {
        tracing::warn!(host, "a request for a name that is not in hostWhitelist.hosts was refused");
    }
    Err(Error::new(
        Kind::Misdirected,
        "unknown_host",
        "This server does not go by that name. If it should, add the name to hostWhitelist.hosts in config.yaml.",
    ))
}

fn is_known_host(authority: &str, machine: Option<&str>, hosts: &[String]) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(inside, _)| inside),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let own = machine.is_some_and(|machine| {
        name == machine || [".local", ".lan", ".home.arpa"].iter().any(|end| name.strip_suffix(end) == Some(machine))
    });
    own || hosts.iter().any(|host| {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('.') {
            Some(domain) => name == domain || name.ends_with(&host),
            None => name == host,
        }
    })
}

/// Whether the address is on the whitelist, if there is one.
pub fn check_address(state: &State, peer: &Peer) -> Result<()> {
    let config = &state.app.config;
    if !config.whitelist_mode {
        return Ok(());
    }
    let known = |address| config.whitelist.contains(address);
    // Whoever is named by a header can only be kept out by it, never let in.
    if known(peer.socket) && (!config.enable_forwarded_whitelist || peer.named.iter().all(|named| known(*named))) {
        return Ok(());
    }
    if state.strangers.of(peer.client) {
        tracing::warn!(socket = %peer.socket, client = %peer.client, "an address that is not on the whitelist was refused");
    }
    Err(Error::forbidden(
        "not_whitelisted",
        "This address is not on the server's whitelist (whitelist in config.yaml).",
    ))
}

/// Basic authentication, where it is on. The account that the credentials belong to, with `perUserBasicAuth`; or the answer
/// that asks for them.
pub async fn check_basic(state: &State, headers: &HeaderMap, peer: &Peer) -> Result<Option<Arc<Account>>, Reply> {
    let config = &state.app.config;
    if !(config.listen && config.basic_auth_mode) {
        return Ok(None);
    }
    let accounts = &state.app.accounts;
    let told = |error: Error| reply::failed(&error, reply::Dialect::Page);
    let Some((text, name, password)) = credentials(headers) else { return Err(ask()) };
    let visitor = Visitor { address: peer.client, device: String::new(), trusted: false };
    let key = Version::of(text.as_bytes());
    let _turn = state.basic.turns.take(key).await;
    // Taken before anything is compared: of many guesses at once only as many are looked at as are allowed.
    accounts.take_basic_try(config.rate_limiting.basic_auth_max_attempts, &visitor).await.map_err(told)?;
    if config.per_user_basic_auth && config.enable_user_accounts {
        let account = by_credentials(state, key, &name, &password, &visitor).await.map_err(told)?;
        return account.map(Some).ok_or_else(ask);
    }
    let user = &config.basic_auth_user;
    let right_name = user.username.as_bytes().ct_eq(name.as_bytes());
    if bool::from(right_name & user.password.expose().as_bytes().ct_eq(password.as_bytes())) {
        accounts.give_basic_try_back(&visitor);
        return Ok(None);
    }
    accounts.note_wrong_basic(right_name.into(), &visitor).await.map_err(told)?;
    Err(ask())
}

async fn by_credentials(
    state: &State,
    key: Version,
    name: &str,
    password: &str,
    visitor: &Visitor,
) -> Result<Option<Arc<Account>>> {
    let accounts = &state.app.accounts;
    if let Some(known) = state.basic.known(&key)
        && let Some(now) = accounts.listing()?.get(&known.handle)
        && now.enabled
        && now.epoch == known.epoch
    {
        accounts.give_basic_try_back(visitor);
        return Ok(Some(Arc::clone(now)));
    }
    let found = accounts.by_credentials(name, password, visitor).await?;
    if let Some(account) = &found {
        state.basic.remember(key, account);
    }
    Ok(found)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    let (name, password) = (name.to_owned(), password.to_owned());
    Some((text, name, password))
}

fn ask() -> Reply {
    let mut answer = reply::text(StatusCode::UNAUTHORIZED, "This server asks for a name and a password.");
    reply::set(&mut answer, header::WWW_AUTHENTICATE, "Basic realm=\"Tavernkeep\", charset=\"UTF-8\"");
    answer
}

/// Who calls, by session cookie, or by basic credentials; everybody is the fallback account while accounts are off.
pub fn identify(state: &State, headers: &HeaderMap, basic: Option<Arc<Account>>) -> Result<Option<Person>> {
    let accounts = &state.app.accounts;
    if !accounts.rules().accounts {
        return Ok(Some(Person { account: accounts.fallback()?, session: None }));
    }
    if let Some(token) = cookies::get(headers, &state.names.session).and_then(Token::parse)
        && let Some((account, session)) = accounts.by_token(&token)?
    {
        return Ok(Some(Person { account, session: Some(session) }));
    }
    Ok(basic.map(|account| Person { account, session: None }))
}

/// Who a program acts for that shows an API key.
pub fn by_key(state: &State, headers: &HeaderMap) -> Result<Option<Person>> {
    let Some(key) = bearer(headers) else { return Ok(None) };
    Ok(state.app.accounts.by_key(key)?.map(|account| Person { account, session: None }))
}

/// The key that a program shows.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Whether this person may call this route.
pub fn check(state: &State, route: &Route, person: Option<&Person>, headers: &HeaderMap, uri: &Uri) -> Result<()> {
    let for_programs = route.dialect == Dialect::OpenAi;
    let nobody = || if for_programs { no_key() } else { not_signed_in() };
    match route.who {
        Who::Public => {}
        Who::SignedIn => person.map(drop).ok_or_else(nobody)?,
        Who::May(permission) => {
            let person = person.ok_or_else(nobody)?;
            access::require(person.account.actor(), permission, What::House)?;
        }
    }
    if route.changes() && !for_programs && !state.app.config.disable_csrf_protection {
        csrf::check_origin(headers, uri)?;
        csrf::check_token(headers, &state.names, person.is_some_and(|person| person.session.is_some()))?;
    }
    Ok(())
}

fn no_key() -> Error {
    Error::new(
        Kind::NotSignedIn,
        "invalid_api_key",
        "This needs an API key (Authorization: Bearer tk-…), and there is none, or one that is wrong or has ended. Keys \
         are made on the account page; they end with a changed password.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("localhost:8000", true)]
    #[case("LOCALHOST", true)]
    #[case("app.localhost:8000", true)]
    #[case("127.0.0.1:8000", true)]
    #[case("192.168.1.7", true)]
    #[case("[::1]:8000", true)]
    #[case("pi", true)]
    #[case("pi.local:8000", true)]
    #[case("chat.example.org", true)]
    #[case("a.tunnel.example", true)]
    #[case("tunnel.example", true)]
    #[case("evil.example", false)]
    #[case("evilchat.example.org", false)]
    #[case("pi.local.evil.example", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("localhost.evil.example", false)]
    #[case("", false)]
    fn hosts(#[case] host: &str, #[case] known: bool) {
        let hosts = ["chat.example.org".to_owned(), ".tunnel.example".to_owned()];
        assert_eq!(is_known_host(host, Some("pi"), &hosts), known);
    }
}
