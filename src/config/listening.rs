//! Where the server listens, and its own TLS.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Secret, lossy};

/// `listenAddress`: the addresses to bind when `listen` is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenAddress {
    /// IPv4 address; `0.0.0.0` is every network card. Default `0.0.0.0`.
    #[serde(deserialize_with = "ipv4")]
    pub ipv4: Ipv4Addr,
    /// IPv6 address, brackets allowed; `[::]` is every network card. Default `[::]`.
    #[serde(deserialize_with = "ipv6")]
    pub ipv6: Ipv6Addr,
}

impl Default for ListenAddress {
    fn default() -> Self {
        ListenAddress { ipv4: Ipv4Addr::UNSPECIFIED, ipv6: Ipv6Addr::UNSPECIFIED }
    }
}

/// `protocol`: which versions of IP to use. At least one must not be `false`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Protocol {
    /// IPv4. Default `true`.
    pub ipv4: Switch,
    /// IPv6. Default `false`.
    pub ipv6: Switch,
}

impl Default for Protocol {
    fn default() -> Self {
        Protocol { ipv4: Switch::On, ipv6: Switch::Off }
    }
}

/// `true`, `false`, or `"auto"`: if the machine can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `true`: failing is an error.
    On,
    /// `false`.
    Off,
    /// `"auto"`: failing is no error.
    Auto,
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Switch::On => serializer.serialize_bool(true),
            Switch::Off => serializer.serialize_bool(false),
            Switch::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchVisitor;

        impl de::Visitor<'_> for SwitchVisitor {
            type Value = Switch;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or \"auto\"")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Switch, E> {
                match text {
                    "auto" => Ok(Switch::Auto),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(SwitchVisitor)
    }
}

/// `ssl`: TLS by the server itself, from PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ssl {
    /// Speak HTTPS instead of HTTP. Default `false`.
    pub enabled: bool,
    /// The certificate chain, PEM; relative to the folder the server was started in. Default `./certs/cert.pem`.
    #[serde(serialize_with = "lossy")]
    pub cert_path: PathBuf,
    /// The private key, PEM; relative likewise. Default `./certs/privkey.pem`.
    #[serde(serialize_with = "lossy")]
    pub key_path: PathBuf,
    /// Passphrase of the private key. Refused unless empty: such keys are not supported. Default empty.
    pub key_passphrase: Secret,
}

impl Default for Ssl {
    fn default() -> Self {
        Ssl {
            enabled: false,
            cert_path: "./certs/cert.pem".into(),
            key_path: "./certs/privkey.pem".into(),
            key_passphrase: Secret::default(),
        }
    }
}

fn ipv4<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ipv4Addr, D::Error> {
    address(String::deserialize(deserializer)?, "an IPv4 address")
}

fn ipv6<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ipv6Addr, D::Error> {
    address(String::deserialize(deserializer)?, "an IPv6 address")
}

/// Reads an address, with or without the brackets that SillyTavern's file puts around IPv6.
fn address<A: FromStr, E: de::Error>(text: String, expected: &str) -> Result<A, E> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&text);
    bare.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(&text), &expected))
}
