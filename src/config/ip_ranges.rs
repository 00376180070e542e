//! Lists of addresses: who may connect, which proxies are trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::origin::clip;

/// A list of addresses and ranges, written as single addresses (`192.168.1.7`, `::1`), in CIDR notation
/// (`10.0.0.0/8`, `fd00::/8`), with SillyTavern's wildcards (`192.168.*.*`, `10.*.0.1`), or `*` for everybody.
///
/// IPv4 written or arriving in its IPv6 form (`::ffff:192.168.1.7`) is taken as the IPv4 address that it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct IpRanges {
    /// As written, for display.
    entries: Vec<String>,
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Everything,
    Net(IpNet),
    /// IPv4 whose bits under `mask` equal `bits`: wildcards may stand anywhere.
    Wildcard {
        bits: u32,
        mask: u32,
    },
}

/// An entry of the list that is none of the known forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an address (192.168.1.7), a range (192.168.1.0/24) or a pattern (192.168.*.*)")]
pub struct IpRangeError(String);

impl IpRanges {
    /// Reads a list of entries.
    ///
    /// # Errors
    /// Names the first entry that cannot be understood. None is skipped: a list that silently lacks an entry is
    /// as bad as one that has an entry too many.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, IpRangeError> {
        let entries: Vec<String> = entries.into_iter().map(|entry| entry.as_ref().trim().to_owned()).collect();
        let ranges = entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>()?;
        Ok(IpRanges { entries, ranges })
    }

    /// `::1` and `127.0.0.1`, SillyTavern's default for every such list.
    pub fn this_machine() -> Self {
        let addresses = [IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)];
        IpRanges {
            entries: addresses.iter().map(IpAddr::to_string).collect(),
            ranges: addresses.iter().map(|address| Range::Net((*address).into())).collect(),
        }
    }

    /// Whether an address is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| match (range, address) {
            (Range::Everything, _) => true,
            (Range::Net(net), address) => net.contains(&address),
            (Range::Wildcard { bits, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *bits,
            (Range::Wildcard { .. }, IpAddr::V6(_)) => false,
        })
    }

    /// Whether the list lets in all of IPv4 or all of IPv6, so that it protects nothing. Sees through the spelling
    /// in two halves (`0.0.0.0/1`, `128.0.0.0/1`).
    pub fn is_everything(&self) -> bool {
        let mut nets = Vec::new();
        for range in &self.ranges {
            match range {
                Range::Everything => return true,
                Range::Net(net) => nets.push(*net),
                Range::Wildcard { .. } => {}
            }
        }
        IpNet::aggregate(&nets).iter().any(|net| net.prefix_len() == 0)
    }

    /// Whether nobody is on the list.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The entries as they were written.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }
}

impl TryFrom<Vec<String>> for IpRanges {
    type Error = IpRangeError;

    fn try_from(entries: Vec<String>) -> Result<Self, IpRangeError> {
        IpRanges::parse(entries)
    }
}

impl From<IpRanges> for Vec<String> {
    fn from(ranges: IpRanges) -> Self {
        ranges.entries
    }
}

impl FromStr for Range {
    type Err = IpRangeError;

    fn from_str(entry: &str) -> Result<Self, IpRangeError> {
        let range = if entry == "*" {
            Some(Range::Everything)
        } else if entry.contains('*') {
            wildcard(entry)
        } else if entry.contains('/') {
            entry.parse().ok().map(|net: IpNet| Range::Net(canonical(net.trunc())))
        } else {
            entry.parse().ok().map(|address: IpAddr| Range::Net(address.to_canonical().into()))
        };
        range.ok_or_else(|| IpRangeError(clip(entry)))
    }
}

/// A range of IPv4 addresses in IPv6 form as the IPv4 range it is.
fn canonical(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let Some(address) = v6.network().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(address, prefix)
    {
        return IpNet::V4(v4);
    }
    net
}

/// `192.168.*.*`, `10.*.0.1`: four parts, each a number or a star. Stars at the end only are an ordinary range.
fn wildcard(entry: &str) -> Option<Range> {
    let mut bits = [0; 4];
    let mut mask = [0; 4];
    let mut parts = entry.split('.');
    for octet in 0..4 {
        match parts.next()? {
            "*" => {}
            number => {
                bits[octet] = number.parse::<u8>().ok()?;
                mask[octet] = u8::MAX;
            }
        }
    }
    if parts.next().is_some() {
        return None;
    }
    let mask = Ipv4Addr::from(mask);
    let bits = Ipv4Addr::from(bits);
    match Ipv4Net::with_netmask(bits, mask) {
        Ok(net) => Some(Range::Net(IpNet::V4(net))),
        Err(_) => Some(Range::Wildcard { bits: bits.to_bits(), mask: mask.to_bits() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1", "127.0.0.1", true)]
    #[case("127.0.0.1", "127.0.0.2", false)]
    #[case("127.0.0.1", "::ffff:127.0.0.1", true)]
    #[case("::ffff:127.0.0.1", "127.0.0.1", true)]
    #[case("::1", "::1", true)]
    #[case("::1", "127.0.0.1", false)]
    #[case("192.168.0.0/16", "192.168.7.9", true)]
    #[case("192.168.0.9/16", "192.168.7.9", true)]
    #[case("192.168.0.0/16", "192.169.0.1", false)]
    #[case("::ffff:10.0.0.0/104", "10.1.2.3", true)]
    #[case("fd00::/8", "fd12::5", true)]
    #[case("fd00::/8", "fe80::5", false)]
    #[case("192.168.*.*", "192.168.255.1", true)]
    #[case("192.168.*.*", "192.167.255.1", false)]
    #[case("10.*.0.1", "10.77.0.1", true)]
    #[case("10.*.0.1", "10.77.0.2", false)]
    #[case("10.*.0.1", "::ffff:10.77.0.1", true)]
    #[case("10.*.0.1", "fd00::1", false)]
    #[case("*", "fd00::1", true)]
    #[case(" 10.0.0.1 ", "10.0.0.1", true)]
    fn contains(#[case] entry: &str, #[case] address: &str, #[case] inside: bool) {
        assert_eq!(IpRanges::parse([entry]).unwrap().contains(address.parse().unwrap()), inside);
    }

    #[rstest]
    #[case("")]
    #[case("localhost")]
    #[case("10.0.0.256")]
    #[case("10.0.0.0/33")]
    #[case("10.0.0")]
    #[case("10.*")]
    #[case("10.*.*.*.*")]
    #[case("10.1*.0.0")]
    #[case("10.0.0.1-10.0.0.9")]
    #[case("2001::*")]
    fn refuses_and_names_the_entry(#[case] entry: &str) {
        let error = IpRanges::parse(["::1", entry]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"{entry}\" is not an address")), "{error}");
    }

    #[rstest]
    #[case(&["*"], true)]
    #[case(&["10.0.0.1", "0.0.0.0/0"], true)]
    #[case(&["::/0"], true)]
    #[case(&["*.*.*.*"], true)]
    #[case(&["0.0.0.0/1", "128.0.0.0/1"], true)]
    #[case(&["::ffff:0:0/96"], true)]
    #[case(&["0.0.0.0/1"], false)]
    #[case(&["*.0.0.1"], false)]
    #[case(&["::1", "127.0.0.1"], false)]
    #[case(&[], false)]
    fn is_everything(#[case] entries: &[&str], #[case] everything: bool) {
        assert_eq!(IpRanges::parse(entries).unwrap().is_everything(), everything);
    }
}
