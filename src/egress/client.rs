//! The client, and the resolver that decides.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::{CONNECT_TIMEOUT, Failure, Reach, Request, Response, Rules, Target};
use crate::error::chain;
use crate::mutex::lock;

/// So many servers' connections are kept for further requests.
const CLIENTS: usize = 16;
/// The largest body unless somebody says otherwise.
const BODY_LIMIT: usize = 16 << 20;

/// The client for all outward requests.
pub struct Egress {
    rules: Arc<Rules>,
    /// Read when the first `https` address is asked.
    tls: OnceCell<ClientConfig>,
    /// One client for each server and reach, the latest used last. A connection that an admin's word has opened is
    /// thereby never used on somebody else's.
    clients: Mutex<VecDeque<(Whom, Client)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Whom {
    reach: Reach,
    secure: bool,
    host: String,
    port: u16,
}

impl Egress {
    /// A client that keeps to `rules`.
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), tls: OnceCell::new(), clients: Mutex::default() }
    }

    /// Whether the text of a target alone shows that it may not be reached. A name is only judged when it is resolved.
    pub fn precheck(&self, reach: Reach, target: &Target) -> Result<(), Failure> {
        match target.host().parse::<IpAddr>() {
            Ok(address) => self.rules.check(reach, target.host(), address, target.port()),
            Err(_) => Ok(()),
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn send(&self, reach: Reach, request: Request) -> Result<Response, Failure> {
        // An address needs no resolver, so it is not asked.
        self.precheck(reach, &request.target)?;
        let client = self.client(reach, &request.target).await?;
        let mut sent = client.request(request.method, request.target.url().clone()).headers(request.headers);
        if let Some(body) = request.body {
            sent = sent.body(body);
        }
        match tokio::time::timeout(request.patience, sent.send()).await {
            Ok(answer) => Ok(Response::new(answer.map_err(failure)?, BODY_LIMIT)),
            Err(_) => Err(Failure::Silence),
        }
    }

    async fn client(&self, reach: Reach, target: &Target) -> Result<Client, Failure> {
        let (secure, host, port) = (target.is_secure(), target.host().to_owned(), target.port());
        let whom = Whom { reach, secure, host, port };
        if let Some(client) = self.kept(&whom) {
            return Ok(client);
        }
        let tls = if secure { self.tls.get_or_try_init(trusting).await?.clone() } else { trusting_nobody()? };
        let client = build(Resolver { rules: Arc::clone(&self.rules), whom: whom.clone() }, tls)?;
        let mut clients = lock(&self.clients);
        if clients.len() >= CLIENTS {
            clients.pop_front();
        }
        clients.push_back((whom, client.clone()));
        Ok(client)
    }

    fn kept(&self, whom: &Whom) -> Option<Client> {
        let mut clients = lock(&self.clients);
        let at = clients.iter().position(|(kept, _)| kept == whom)?;
        let found = clients.remove(at)?;
        let client = found.1.clone();
        clients.push_back(found);
        Some(client)
    }
}

fn build(resolver: Resolver, tls: ClientConfig) -> Result<Client, Failure> {
    Client::builder()
        .user_agent(concat!("Tavernkeep/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(resolver)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(4)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_max_header_list_size(64 << 10)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| Failure::Internal(chain(&error)))
}

/// Trusts whom this machine trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise, as for other programs.
async fn trusting() -> Result<ClientConfig, Failure> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = found.map_err(|error| Failure::Internal(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = "this machine has no list of trusted certificates; install one (the package ca-certificates) or name \
                   one in SSL_CERT_FILE";
        return Err(Failure::Tls(why.to_owned()));
    }
    tls(roots)
}

fn trusting_nobody() -> Result<ClientConfig, Failure> {
    tls(RootCertStore::empty())
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Internal(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Resolves the name of one server and lets through only what may be reached there.
struct Resolver {
    rules: Arc<Rules>,
    whom: Whom,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, whom) = (Arc::clone(&self.rules), self.whom.clone());
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), whom.port)).await;
            let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
            let allowed = allowed(&rules, &whom, &host, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses that may be reached; an error if there is none.
fn allowed(rules: &Rules, whom: &Whom, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
    let mut refused = Failure::UnknownName(host.to_owned());
    let mut allowed = Vec::new();
    for address in found {
        match rules.check(whom.reach, host, address.ip(), whom.port) {
            Ok(()) => allowed.push(address),
            Err(failure) => refused = failure,
        }
    }
    if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
}

/// What a failure of the client's comes down to.
pub(super) fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = next {
        if let Some(failure) = known(cause) {
            return failure;
        }
        next = cause.source();
    }
    match () {
        () if error.is_connect() && error.is_timeout() => Failure::SlowToReach,
        () if error.is_timeout() => Failure::Silence,
        () if error.is_connect() => Failure::Unreachable(chain(&error)),
        () if error.is_builder() => Failure::Internal(chain(&error)),
        () => Failure::Broken(chain(&error)),
    }
}

fn known(cause: &(dyn StdError + 'static)) -> Option<Failure> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.clone());
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(Failure::Tls(error.to_string()));
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>()
        && error.is_parse()
    {
        return Some(Failure::NotHttp(error.to_string()));
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // TLS reports its errors inside those of the connection.
    if let Some(inner) = error.get_ref()
        && let Some(failure) = known(inner)
    {
        return Some(failure);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Failure::NobodyThere),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Failure::Unreachable(error.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PrivateHosts;

    #[test]
    fn of_mixed_addresses_only_the_allowed_ones_are_connected_to() {
        let rules = Rules { private: PrivateHosts::default(), alone: false };
        let whom = Whom { reach: Reach::Own, secure: true, host: "mixed.example".into(), port: 443 };
        let found = ["127.0.0.1:443", "8.8.8.8:443", "[::1]:443"].map(|text| text.parse().unwrap());
        let left = allowed(&rules, &whom, "mixed.example", found.to_vec()).unwrap();
        assert_eq!(left, ["8.8.8.8:443".parse().unwrap()]);
        let none = allowed(&rules, &whom, "mixed.example", vec![found[0]]).unwrap_err();
        assert!(matches!(none, Failure::Refused { allowable: true, .. }), "{none}");
    }
}
