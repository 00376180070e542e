//! Who is at the other end, and whether what a proxy says about that is believed.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use warp::http::{HeaderMap, Method, Uri};

use crate::config::Config;
use crate::mutex::lock;

/// How a request arrived. The accept loop puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The other end of the socket.
    pub socket: SocketAddr,
    /// Whether the socket is encrypted.
    pub tls: bool,
    /// The request's method.
    pub method: Method,
    /// The request's target.
    pub uri: Uri,
}

/// Where a request comes from, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket.
    pub socket: IpAddr,
    /// The client, as named by a trusted proxy, else the other end of the socket.
    pub client: IpAddr,
    /// Everyone whom a trusted proxy's headers name. Some of these headers may be the client's own, passed on.
    pub named: Vec<IpAddr>,
    /// Whether the client's connection is encrypted, here or at a trusted proxy.
    pub secure: bool,
    /// Whether the socket's other end is a trusted proxy.
    pub by_proxy: bool,
    /// Whether the request has been handed on by somebody, whoever that says it was.
    pub handed_on: bool,
}

impl Peer {
    /// Reads the headers of proxies, if the socket's other end is one that the configuration trusts. Anybody else can
    /// write any header.
    pub fn of(arrival: &Arrival, headers: &HeaderMap, config: &Config) -> Self {
        let socket = arrival.socket.ip().to_canonical();
        let by_proxy = config.sso.trusted_proxies.contains(socket);
        let named = if by_proxy { named(headers, config) } else { Vec::new() };
        // A name for this machine, or for the proxy, says nothing about where the client is.
        let outside = named.iter().find(|address| !config.sso.trusted_proxies.contains(**address));
        let client = outside.or(named.first()).copied().unwrap_or(socket);
        let secure = arrival.tls || (by_proxy && header(headers, "x-forwarded-proto") == Some("https"));
        let handed_on = FORWARDING.iter().any(|name| headers.contains_key(*name));
        Self { socket, client, named, secure, by_proxy, handed_on }
    }

    /// Whether someone there may enter an account that has no password: at this machine itself, or wherever the
    /// configuration keeps strangers out by their address. Behind a proxy everybody has the proxy's address.
    pub fn is_at_home(&self, config: &Config, exposed: bool) -> bool {
        if self.handed_on {
            let listed = |address: &IpAddr| !address.is_loopback() && config.whitelist.contains(*address);
            return config.whitelist_mode && !self.named.is_empty() && self.named.iter().all(listed);
        }
        !exposed || self.socket.is_loopback()
    }
}

/// Headers by which proxies say for whom they ask.
const FORWARDING: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "cf-connecting-ip"];

/// Tells what is seen for the first time since the start, so that the log says it once.
#[derive(Debug)]
pub struct FirstSight<T>(Mutex<HashSet<T>>);

/// More than this is not told apart.
const REMEMBERED: usize = 1_000;

impl<T> Default for FirstSight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Hash + Eq> FirstSight<T> {
    /// Whether this is new.
    pub fn of(&self, thing: T) -> bool {
        let mut seen = lock(&self.0);
        seen.len() < REMEMBERED && seen.insert(thing)
    }
}

/// Logs a client the first time it is seen, where others than this machine can come in.
pub fn greet(seen: &FirstSight<IpAddr>, config: &Config, peer: &Peer, headers: &HeaderMap) {
    if config.listen && config.logging.enable_access_log && seen.of(peer.client) {
        let device = header(headers, "user-agent").unwrap_or_default();
        tracing::info!(client = %peer.client, device, "a new client");
    }
}

fn named(headers: &HeaderMap, config: &Config) -> Vec<IpAddr> {
    let believed = &config.forwarded_headers;
    // Each proxy appends whom it heard from: the nearest that is not a proxy of ours is as far as we can believe.
    let chain: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter(|_| believed.x_forwarded_for)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(parse)
        .collect();
    let nearest = chain.iter().rev().find(|address| !config.sso.trusted_proxies.contains(**address));
    let single = |name, on: bool| header(headers, name).filter(|_| on).and_then(parse);
    let all = [
        single("cf-connecting-ip", believed.cf_connecting_ip),
        nearest.or(chain.first()).copied(),
        single("x-real-ip", believed.x_real_ip),
    ];
    all.into_iter().flatten().collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inner, _)| inner);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn peer(socket: &str, headers: &[(&'static str, &str)]) -> Peer {
        let arrival = Arrival {
            socket: SocketAddr::new(socket.parse().unwrap(), 1),
            tls: false,
            method: Method::GET,
            uri: Uri::from_static("/"),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Peer::of(&arrival, &map, &Config::default())
    }

    fn client(socket: &str, headers: &[(&'static str, &str)]) -> String {
        peer(socket, headers).client.to_string()
    }

    #[rstest]
    #[case("127.0.0.1", &[], false, true)]
    #[case("127.0.0.1", &[], true, true)]
    #[case("192.0.2.9", &[], true, false)]
    #[case("192.0.2.9", &[], false, true)]
    #[case("127.0.0.1", &[("x-forwarded-for", "203.0.113.9")], false, false)]
    #[case("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], false, false)]
    #[case("127.0.0.1", &[("x-real-ip", "127.0.0.1")], false, false)]
    #[case("127.0.0.1", &[("x-forwarded-proto", "https")], false, false)]
    fn nobody_is_at_home_by_a_header(
        #[case] socket: &str,
        #[case] headers: &[(&'static str, &str)],
        #[case] exposed: bool,
        #[case] at_home: bool,
    ) {
        assert_eq!(peer(socket, headers).is_at_home(&Config::default(), exposed), at_home);
    }

    #[rstest]
    #[case("192.0.2.9", &[("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.2")], "192.0.2.9")]
    #[case("127.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1")], "192.0.2.1")]
    #[case("127.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 127.0.0.1")], "192.0.2.1")]
    #[case("127.0.0.1", &[("x-real-ip", "192.0.2.7")], "192.0.2.7")]
    #[case("127.0.0.1", &[("cf-connecting-ip", "192.0.2.7")], "127.0.0.1")]
    #[case("127.0.0.1", &[("x-forwarded-for", "garbage, [2001:db8::1]:44")], "2001:db8::1")]
    #[case("::ffff:127.0.0.1", &[("x-real-ip", "::ffff:192.0.2.1")], "192.0.2.1")]
    #[case("127.0.0.1", &[("x-real-ip", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9")]
    #[case("127.0.0.1", &[("x-real-ip", "203.0.113.9"), ("x-forwarded-for", "127.0.0.1")], "203.0.113.9")]
    #[case("127.0.0.1", &[], "127.0.0.1")]
    fn only_a_trusted_proxy_is_believed(
        #[case] socket: &str,
        #[case] headers: &[(&'static str, &str)],
        #[case] expected: &str,
    ) {
        assert_eq!(client(socket, headers), expected);
    }
}
