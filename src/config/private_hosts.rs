//! Hosts on this machine and on private networks that may be asked.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::origin::clip;

/// A list of hosts: names (`gpu.lan`), addresses (`192.168.1.7`, `::1`), networks (`192.168.1.0/24`), the first two with
/// or without a port (`gpu.lan:8080`, `[::1]:11434`), or `*` for every private network.
///
/// A name allows whatever private address it stands for; an address allows every name that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PrivateHosts {
    /// As written, for display.
    entries: Vec<String>,
    hosts: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Everything,
    Name(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    Net(IpNet),
}

/// An entry of the list that is none of the known forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a host (gpu.lan, 192.168.1.7), with or without a port (:8080), or a network (192.168.1.0/24)")]
pub struct PrivateHostError(String);

impl PrivateHosts {
    /// Reads a list of entries.
    ///
    /// # Errors
    /// Names the first entry that cannot be understood.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, PrivateHostError> {
        let entries: Vec<String> = entries.into_iter().map(|entry| entry.as_ref().trim().to_owned()).collect();
        let hosts = entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>()?;
        Ok(Self { entries, hosts })
    }

    /// Where the usual model servers listen on this machine, and nothing else: Ollama, llama.cpp, KoboldCpp, LM Studio,
    /// text-generation-webui and TabbyAPI.
    pub fn usual_servers() -> Self {
        let ports = [11434, 8080, 5001, 1234, 5000];
        let entries = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let hosts = ports.iter().map(|port| Entry::Address(IpAddr::from([127, 0, 0, 1]), Some(*port))).collect();
        Self { entries, hosts }
    }

    /// Whether `host`, which stands for `address`, may be asked at `port`. Neither `*` nor a network that is as large as
    /// the internet says so of addresses that are no ordinary private ones: `named` asks whether somebody meant this one.
    pub fn allow(&self, host: &str, address: IpAddr, port: u16) -> bool {
        self.hosts.iter().any(|entry| matches!(entry, Entry::Everything) || entry.names(host, address, port))
    }

    /// Whether an entry means this very host, address or a network that it is in.
    pub fn named(&self, host: &str, address: IpAddr, port: u16) -> bool {
        self.hosts.iter().any(|entry| match entry {
            Entry::Net(net) if net.prefix_len() < 8 => false,
            entry => entry.names(host, address, port),
        })
    }
}

impl Entry {
    fn names(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let at = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::Everything => false,
            Self::Name(name, wanted) => at(wanted) && host.trim_end_matches('.').eq_ignore_ascii_case(name),
            Self::Address(allowed, wanted) => at(wanted) && *allowed == address.to_canonical(),
            Self::Net(net) => net.contains(&address.to_canonical()),
        }
    }
}

impl FromStr for Entry {
    type Err = PrivateHostError;

    fn from_str(entry: &str) -> Result<Self, PrivateHostError> {
        let wrong = || PrivateHostError(clip(entry));
        if entry == "*" {
            return Ok(Self::Everything);
        }
        if entry.contains('/') {
            return entry.parse::<IpNet>().map(|net| Self::Net(net.trunc())).map_err(|_| wrong());
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical(), None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
            None => (entry, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical(), port));
        }
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
            && !host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_name { Ok(Self::Name(host.trim_end_matches('.').to_owned(), port)) } else { Err(wrong()) }
    }
}

impl TryFrom<Vec<String>> for PrivateHosts {
    type Error = PrivateHostError;

    fn try_from(entries: Vec<String>) -> Result<Self, PrivateHostError> {
        Self::parse(entries)
    }
}

impl From<PrivateHosts> for Vec<String> {
    fn from(hosts: PrivateHosts) -> Self {
        hosts.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:11434", "localhost", "127.0.0.1", 11434, true)]
    #[case("127.0.0.1:11434", "localhost", "127.0.0.1", 22, false)]
    #[case("127.0.0.1", "x", "127.0.0.1", 22, true)]
    #[case("127.0.0.1", "x", "::ffff:127.0.0.1", 22, true)]
    #[case("127.0.0.1", "x", "127.0.0.2", 22, false)]
    #[case("[::1]:80", "x", "::1", 80, true)]
    #[case("::1", "x", "::1", 81, true)]
    #[case("GPU.lan:80", "gpu.lan.", "10.0.0.1", 80, true)]
    #[case("gpu.lan", "gpu.lan.evil.example", "10.0.0.1", 80, false)]
    #[case("192.168.1.0/24", "x", "192.168.1.9", 80, true)]
    #[case("192.168.1.0/24", "x", "192.168.2.9", 80, false)]
    #[case("*", "x", "192.168.2.9", 80, true)]
    fn allow(#[case] entry: &str, #[case] host: &str, #[case] address: &str, #[case] port: u16, #[case] allowed: bool) {
        let hosts = PrivateHosts::parse([entry]).unwrap();
        assert_eq!(hosts.allow(host, address.parse().unwrap(), port), allowed);
    }

    #[rstest]
    #[case("*", false)]
    #[case("0.0.0.0/0", false)]
    #[case("169.254.0.0/16", true)]
    #[case("169.254.1.1", true)]
    #[case("x", true)]
    fn what_is_special_has_to_be_meant(#[case] entry: &str, #[case] named: bool) {
        let hosts = PrivateHosts::parse([entry]).unwrap();
        assert_eq!(hosts.named("x", "169.254.1.1".parse().unwrap(), 80), named);
    }

    #[rstest]
    #[case("")]
    #[case("gpu.lan:http")]
    #[case("http://gpu.lan")]
    #[case("10.0.0.256")]
    #[case("10.0.0.0/33")]
    #[case("[::1")]
    #[case("a b")]
    #[case("2130706433")]
    fn refuses_and_names_the_entry(#[case] entry: &str) {
        let error = PrivateHosts::parse([entry]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"{entry}\" is not a host")), "{error}");
    }

    #[test]
    fn the_usual_servers_read_as_they_are_written() {
        let usual = PrivateHosts::usual_servers();
        assert_eq!(PrivateHosts::parse(&usual.entries), Ok(usual));
    }
}
