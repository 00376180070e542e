//! Who may connect: addresses, names, basic authentication, single sign-on, rates.

use serde::{Deserialize, Serialize};

use super::{IpRanges, Secret};

/// `basicAuthUser`: the one name and password of basic authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BasicAuthUser {
    /// Name, without a colon. Default `user`.
    pub username: String,
    /// Password. The default, `password`, protects nothing.
    pub password: Secret,
}

impl Default for BasicAuthUser {
    fn default() -> Self {
        BasicAuthUser { username: "user".into(), password: Secret::new("password") }
    }
}

/// `hostWhitelist`: the names by which the server may be called (the `Host` header). This stops DNS rebinding, where
/// a foreign page makes a browser inside the house talk to the server. IP addresses, `localhost` and the machine's
/// own name are always accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostWhitelist {
    /// Refuse other names. Default `true` (SillyTavern: `false`).
    pub enabled: bool,
    /// Log the first request for each unknown name. Default `true`.
    pub scan: bool,
    /// Names; a leading dot stands for every subdomain (`.example.com`). Default none.
    pub hosts: Vec<String>,
}

impl Default for HostWhitelist {
    fn default() -> Self {
        HostWhitelist { enabled: true, scan: true, hosts: Vec::new() }
    }
}

/// `forwardedHeaders`: which headers of a reverse proxy tell the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardedHeaders {
    /// `X-Real-IP`. Default `true`.
    pub x_real_ip: bool,
    /// `X-Forwarded-For`, of which the last address that is not a trusted proxy counts. Default `true`.
    pub x_forwarded_for: bool,
    /// `CF-Connecting-IP`, sent by Cloudflare. Default `false`.
    pub cf_connecting_ip: bool,
}

impl Default for ForwardedHeaders {
    fn default() -> Self {
        ForwardedHeaders { x_real_ip: true, x_forwarded_for: true, cf_connecting_ip: false }
    }
}

/// `sso`: sign-in by a reverse proxy that has already checked who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sso {
    /// Believe Authelia's `Remote-User` header. Default `false`.
    pub authelia_auth: bool,
    /// Believe authentik's `X-Authentik-Username` header. Default `false`.
    pub authentik_auth: bool,
    /// The proxies that are believed; `*` is anybody. Default this machine.
    pub trusted_proxies: IpRanges,
}

impl Default for Sso {
    fn default() -> Self {
        Sso { authelia_auth: false, authentik_auth: false, trusted_proxies: IpRanges::this_machine() }
    }
}

/// `rateLimiting`: failed attempts of one address before it has to wait. `0` switches a limit off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimiting {
    /// Has no effect: the address that a trusted proxy names always counts, else the connection's. Default `false`.
    pub prefer_real_ip_header: bool,
    /// Basic authentication, attempts per minute. Default `5`.
    pub basic_auth_max_attempts: u32,
    /// Sign-in, attempts per minute. Default `5`.
    pub accounts_login_max_attempts: u32,
    /// Password recovery, attempts per five minutes. Default `5`.
    pub accounts_recover_max_attempts: u32,
    /// Resetting everything, attempts per five minutes. Default `5`.
    pub accounts_reset_max_attempts: u32,
}

impl Default for RateLimiting {
    fn default() -> Self {
        RateLimiting {
            prefer_real_ip_header: false,
            basic_auth_max_attempts: 5,
            accounts_login_max_attempts: 5,
            accounts_recover_max_attempts: 5,
            accounts_reset_max_attempts: 5,
        }
    }
}
