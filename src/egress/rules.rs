//! Which addresses may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::LazyLock;

use super::Failure;
use crate::config::PrivateHosts;

/// On whose word a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// An admin's: private networks are open, since the admin named the host.
    House,
    /// Anybody's: private networks are closed but for what the configuration opens.
    Own,
}

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// On the internet.
    Public,
    /// On this machine, in the house, or on a private network of some other kind.
    Private,
    /// Of a special purpose, such as link-local, where clouds keep their secrets: to be named in the configuration.
    Special,
    /// None that anybody can be reached at.
    Never,
}

/// The rules of a house.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What the configuration opens.
    pub private: PrivateHosts,
    /// There is one person only, who is the admin.
    pub alone: bool,
}

impl Rules {
    /// Whether `host`, which stands for `address`, may be reached at `port`.
    pub fn check(&self, reach: Reach, host: &str, address: IpAddr, port: u16) -> Result<(), Failure> {
        let class = class_here(address);
        let allowed = match class {
            Class::Public => true,
            Class::Private => reach == Reach::House || self.alone || self.private.allow(host, address, port),
            Class::Special => self.private.named(host, address, port),
            Class::Never => false,
        };
        if allowed {
            return Ok(());
        }
        Err(Failure::Refused { host: host.to_owned(), address, allowable: class != Class::Never })
    }
}

/// What an address is, this machine's own public ones being private: what listens there often counts on a firewall.
fn class_here(address: IpAddr) -> Class {
    match class(address) {
        Class::Public if is_own(address.to_canonical()) => Class::Private,
        class => class,
    }
}

/// What an address is.
pub fn class(address: IpAddr) -> Class {
    match address.to_canonical() {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    // Azure's and Alibaba's secrets lie at addresses that look public or shared.
    const SECRETS: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
    match address.octets() {
        [0, ..] | [224..=255, ..] => Class::Never,
        _ if SECRETS.contains(&address) => Class::Special,
        [127, ..] | [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        // Link-local, protocol assignments, 6to4 relays, documentation, benchmarks.
        [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Class::Never,
        // Amazon's secrets.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => Class::Special,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // NAT64: what is behind it is an address of version 4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => match class_v4(embedded(high, low)) {
            Class::Public => Class::Public,
            _ => Class::Special,
        },
        // 6to4, Teredo, ORCHID, documentation: tunnels and what is nobody's.
        [0x2002, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Special,
        // What is given out on the internet.
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

/// Whether an address is this machine's own: only then can a socket be bound to it.
fn is_own(address: IpAddr) -> bool {
    // Machines can be told to allow binding to any address; then this tells nothing.
    static TELLS: LazyLock<bool> = LazyLock::new(|| UdpSocket::bind(("192.0.2.1", 0)).is_err());
    *TELLS && UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("8.8.8.8", Class::Public)]
    #[case("172.15.0.1", Class::Public)]
    #[case("172.32.0.1", Class::Public)]
    #[case("100.63.0.1", Class::Public)]
    #[case("100.128.0.1", Class::Public)]
    #[case("2606:4700::1", Class::Public)]
    #[case("2001:4860:4860::8888", Class::Public)]
    #[case("64:ff9b::808:808", Class::Public)]
    #[case("127.0.0.1", Class::Private)]
    #[case("127.9.9.9", Class::Private)]
    #[case("10.1.2.3", Class::Private)]
    #[case("172.16.0.1", Class::Private)]
    #[case("172.31.255.255", Class::Private)]
    #[case("192.168.1.1", Class::Private)]
    #[case("100.64.0.1", Class::Private)]
    #[case("::1", Class::Private)]
    #[case("fd12::1", Class::Private)]
    #[case("fc00::1", Class::Private)]
    #[case("::ffff:127.0.0.1", Class::Private)]
    #[case("::ffff:7f00:1", Class::Private)]
    #[case("169.254.169.254", Class::Special)]
    #[case("168.63.129.16", Class::Special)]
    #[case("100.100.100.200", Class::Special)]
    #[case("192.0.0.192", Class::Special)]
    #[case("198.18.0.1", Class::Special)]
    #[case("fe80::1", Class::Special)]
    #[case("fec0::1", Class::Special)]
    #[case("fd00:ec2::254", Class::Special)]
    #[case("64:ff9b::7f00:1", Class::Special)]
    #[case("64:ff9b::a9fe:a9fe", Class::Special)]
    #[case("64:ff9b:1::7f00:1", Class::Special)]
    #[case("2002:7f00:1::1", Class::Special)]
    #[case("2001::1", Class::Special)]
    #[case("2001:db8::1", Class::Special)]
    #[case("::127.0.0.1", Class::Special)]
    #[case("0.0.0.0", Class::Never)]
    #[case("0.1.2.3", Class::Never)]
    #[case("224.0.0.1", Class::Never)]
    #[case("240.0.0.1", Class::Never)]
    #[case("255.255.255.255", Class::Never)]
    #[case("::", Class::Never)]
    #[case("ff02::1", Class::Never)]
    fn classes(#[case] address: &str, #[case] expected: Class) {
        assert_eq!(class(address.parse().unwrap()), expected);
    }

    fn may(rules: &Rules, reach: Reach, address: &str) -> bool {
        rules.check(reach, "h", address.parse().unwrap(), 80).is_ok()
    }

    #[test]
    fn who_may_go_where() {
        let closed = Rules { private: PrivateHosts::default(), alone: false };
        let open = Rules { private: PrivateHosts::parse(["*"]).unwrap(), alone: false };
        let alone = Rules { alone: true, ..closed.clone() };
        let named = Rules { private: PrivateHosts::parse(["169.254.169.254", "0.0.0.0"]).unwrap(), alone: false };
        for (address, expected) in [
            ("8.8.8.8", [true; 5]),
            ("192.168.1.1", [false, true, true, true, false]),
            ("169.254.169.254", [false, false, false, false, true]),
            ("0.0.0.0", [false; 5]),
        ] {
            let found = [
                may(&closed, Reach::Own, address),
                may(&closed, Reach::House, address),
                may(&open, Reach::Own, address),
                may(&alone, Reach::Own, address),
                may(&named, Reach::Own, address),
            ];
            assert_eq!(found, expected, "{address}");
        }
    }

    #[test]
    fn this_machine_knows_its_own_addresses() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(!is_own("8.8.8.8".parse().unwrap()));
    }
}
