//! The whole configuration as one typed value.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Backups, BasicAuthUser, ConfigError, Extensions, ForwardedHeaders, HostWhitelist, House, IpRanges, ListenAddress,
    Logging, Models, Passwords, Performance, Protocol, RateLimiting, Recovery, Ssl, Sso, Switch, Trash, lossy,
};

/// Everything that can be set. `Default` is what the shipped `config.yaml` says, key by key and in its order.
///
/// Names are SillyTavern's where it has them. The environment variable of a key is its path in upper snake case:
/// `rateLimiting.preferRealIpHeader` is `TAVERNKEEP_RATE_LIMITING_PREFER_REAL_IP_HEADER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// What this server calls itself.
    pub house: House,
    /// The folder with everybody's data; relative to the folder the server was started in. Default `./data`.
    #[serde(serialize_with = "lossy")]
    pub data_root: PathBuf,
    /// A folder served instead of the built-in web client; empty for the latter, see [`Config::public_dir`].
    #[serde(serialize_with = "lossy")]
    pub public: PathBuf,
    /// Accept connections from other machines, on `listen_address`. Default `false`: from this machine only.
    pub listen: bool,
    /// Where to listen when `listen` is true.
    pub listen_address: ListenAddress,
    /// IPv4, IPv6 or both.
    pub protocol: Protocol,
    /// TCP port; `0` lets the system choose. Default `8000`.
    pub port: u16,
    /// TLS by the server itself.
    pub ssl: Ssl,
    /// A login screen and an account for each person. Default `false`: everything belongs to `default-user`.
    pub enable_user_accounts: bool,
    /// The login screen does not list who lives here. Default `false`.
    pub enable_discreet_login: bool,
    /// Seconds without use after which somebody has to sign in again; `0`: when the browser closes; negative: never.
    /// Default `-1`.
    pub session_timeout: i64,
    /// How passwords are kept.
    pub passwords: Passwords,
    /// How forgotten passwords are replaced.
    pub recovery: Recovery,
    /// Accept only the addresses in `whitelist`. Default `true`.
    pub whitelist_mode: bool,
    /// The address in the `forwarded_headers` must be in `whitelist`, too. Default `true`.
    pub enable_forwarded_whitelist: bool,
    /// Addresses that may connect. Default this machine.
    pub whitelist: IpRanges,
    /// Ask for a name and password before anything else (HTTP Basic). Default `false`.
    pub basic_auth_mode: bool,
    /// The name and password to ask for.
    pub basic_auth_user: BasicAuthUser,
    /// Ask for those of the person's own account instead, if there are accounts. Default `false`.
    pub per_user_basic_auth: bool,
    /// By which names the server may be called.
    pub host_whitelist: HostWhitelist,
    /// Where a reverse proxy puts the client's address.
    pub forwarded_headers: ForwardedHeaders,
    /// Sign-in by a reverse proxy.
    pub sso: Sso,
    /// How often somebody may guess.
    pub rate_limiting: RateLimiting,
    /// Leave out the CSRF check. Default `false`; there is hardly a good reason.
    pub disable_csrf_protection: bool,
    /// Start even though other machines can connect and nothing protects the data. Default `false`.
    pub security_override: bool,
    /// Let a user's own pages read their provider keys back. Default `false`.
    pub allow_keys_exposure: bool,
    /// Where language models may be.
    pub models: Models,
    /// What is kept of the past.
    pub backups: Backups,
    /// How long what was deleted or replaced is kept.
    pub trash: Trash,
    /// What is written down about the running server.
    pub logging: Logging,
    /// Extensions of SillyTavern's web client.
    pub extensions: Extensions,
    /// Fine tuning for SillyTavern's web client.
    pub performance: Performance,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            house: House::default(),
            data_root: "./data".into(),
            public: PathBuf::new(),
            listen: false,
            listen_address: ListenAddress::default(),
            protocol: Protocol::default(),
            port: 8000,
            ssl: Ssl::default(),
            enable_user_accounts: false,
            enable_discreet_login: false,
            session_timeout: -1,
            passwords: Passwords::default(),
            recovery: Recovery::default(),
            whitelist_mode: true,
            enable_forwarded_whitelist: true,
            whitelist: IpRanges::this_machine(),
            basic_auth_mode: false,
            basic_auth_user: BasicAuthUser::default(),
            per_user_basic_auth: false,
            host_whitelist: HostWhitelist::default(),
            forwarded_headers: ForwardedHeaders::default(),
            sso: Sso::default(),
            rate_limiting: RateLimiting::default(),
            disable_csrf_protection: false,
            security_override: false,
            allow_keys_exposure: false,
            models: Models::default(),
            backups: Backups::default(),
            trash: Trash::default(),
            logging: Logging::default(),
            extensions: Extensions::default(),
            performance: Performance::default(),
        }
    }
}

impl Config {
    /// For tests: the defaults with a port of the system's choice and quick passwords.
    pub fn for_testing(data_root: impl Into<PathBuf>) -> Config {
        Config { data_root: data_root.into(), port: 0, passwords: Passwords { bcrypt_cost: 4 }, ..Config::default() }
    }

    /// The folder served instead of the built-in web client, if any.
    pub fn public_dir(&self) -> Option<&Path> {
        (!self.public.as_os_str().is_empty()).then_some(&*self.public)
    }

    /// Whether other machines can connect: `listen` with an address that is not loopback.
    pub fn binds_beyond_loopback(&self) -> bool {
        let addresses = [
            (self.protocol.ipv4, IpAddr::V4(self.listen_address.ipv4)),
            (self.protocol.ipv6, IpAddr::V6(self.listen_address.ipv6)),
        ];
        self.listen
            && addresses.iter().any(|(switch, address)| *switch != Switch::Off && !address.to_canonical().is_loopback())
    }

    /// Whether something stands between the network and the login screen: a whitelist that is not everybody, or
    /// basic authentication with a password other than the default one.
    ///
    /// Per-user basic authentication does not count here: whether it protects depends on the accounts.
    pub fn has_network_protection(&self) -> bool {
        let whitelist = self.whitelist_mode && !self.whitelist.is_everything();
        let known_password = BasicAuthUser::default().password;
        let password = &self.basic_auth_user.password;
        whitelist || (self.shared_basic_auth() && !password.is_empty() && *password != known_password)
    }

    /// Whether basic authentication asks for `basic_auth_user` rather than for each person's own password.
    fn shared_basic_auth(&self) -> bool {
        self.basic_auth_mode && !(self.per_user_basic_auth && self.enable_user_accounts)
    }

    /// Checks what a type cannot say: ranges, and keys that must fit each other. What depends on the accounts (may
    /// the server listen to other machines?) is not known here.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for the first thing wrong, naming the key and what it may be. Its origin is
    /// [`Origin::Default`](super::Origin::Default); [`load`](super::load) puts the true one in.
    pub fn check(&self) -> Result<(), ConfigError> {
        within("passwords.bcryptCost", self.passwords.bcrypt_cost, 4, 16)?;
        within("recovery.codeLength", self.recovery.code_length, 4, 10)?;
        within("models.firstWordTimeout", self.models.first_word_timeout, 1, 86_400)?;
        within("models.silenceTimeout", self.models.silence_timeout, 1, 86_400)?;
        within("models.replyTimeout", self.models.reply_timeout, 1, 604_800)?;
        within("models.perConnection", self.models.per_connection, 1, 1000)?;
        within("models.perUser", self.models.per_user, 1, 1000)?;
        within("backups.undoDays", self.backups.undo_days, 0, 3650)?;
        within("trash.days", self.trash.days, 0, 3650)?;
        within("backups.chat.maxTotalBackups", self.backups.chat.max_total_backups, -1, i64::from(u32::MAX))?;

        let name = &self.house.name;
        let good_name = (1..=60).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        require(good_name && !name.trim().is_empty(), "house.name", "must be one line of 1 to 60 characters")?;

        require(!self.data_root.as_os_str().is_empty(), "dataRoot", "must not be empty")?;

        let any_protocol = self.protocol.ipv4 != Switch::Off || self.protocol.ipv6 != Switch::Off;
        require(any_protocol, "protocol.ipv4", "must not be false while protocol.ipv6 is false too")?;

        let has_path = |path: &Path| !self.ssl.enabled || !path.as_os_str().is_empty();
        require(has_path(&self.ssl.cert_path), "ssl.certPath", "must be set while ssl.enabled is true")?;
        require(has_path(&self.ssl.key_path), "ssl.keyPath", "must be set while ssl.enabled is true")?;

        let lets_somebody_in = !self.whitelist_mode || !self.whitelist.is_empty();
        require(lets_somebody_in, "whitelist", "is empty, which lets nobody in while whitelistMode is true")?;

        let user = &self.basic_auth_user;
        let shared = self.shared_basic_auth();
        let good_username = !user.username.is_empty() && !user.username.contains(':');
        require(!shared || good_username, "basicAuthUser.username", "must be a name without a colon")?;
        require(!shared || !user.password.is_empty(), "basicAuthUser.password", "must not be empty")
    }
}

fn within<N: PartialOrd + std::fmt::Display>(key: &str, value: N, least: N, most: N) -> Result<(), ConfigError> {
    if value < least || value > most {
        return Err(ConfigError::invalid(key, format!("must be from {least} to {most}, found {value}")));
    }
    Ok(())
}

fn require(holds: bool, key: &str, problem: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::invalid(key, problem)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use rstest::rstest;

    fn with(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(Config::for_testing("x").check(), Ok(()));
    }

    #[rstest]
    #[case(with(|c| c.passwords.bcrypt_cost = 3), "passwords.bcryptCost: must be from 4 to 16, found 3")]
    #[case(with(|c| c.passwords.bcrypt_cost = 17), "passwords.bcryptCost: must be from 4 to 16, found 17")]
    #[case(with(|c| c.recovery.code_length = 3), "recovery.codeLength: must be from 4 to 10, found 3")]
    #[case(with(|c| c.recovery.code_length = 11), "recovery.codeLength: must be from 4 to 10, found 11")]
    #[case(with(|c| c.backups.undo_days = 4000), "backups.undoDays: must be from 0 to 3650, found 4000")]
    #[case(
        with(|c| c.backups.chat.max_total_backups = -2),
        "backups.chat.maxTotalBackups: must be from -1 to 4294967295, found -2"
    )]
    #[case(with(|c| c.house.name = " ".into()), "house.name: must be one line of 1 to 60 characters")]
    #[case(with(|c| c.house.name = "a\nb".into()), "house.name: must be one line of 1 to 60 characters")]
    #[case(with(|c| c.house.name = "a".repeat(61)), "house.name: must be one line of 1 to 60 characters")]
    #[case(with(|c| c.data_root = "".into()), "dataRoot: must not be empty")]
    #[case(
        with(|c| c.protocol.ipv4 = Switch::Off),
        "protocol.ipv4: must not be false while protocol.ipv6 is false too"
    )]
    #[case(
        with(|c| (c.ssl.enabled, c.ssl.cert_path) = (true, "".into())),
        "ssl.certPath: must be set while ssl.enabled is true"
    )]
    #[case(
        with(|c| (c.ssl.enabled, c.ssl.key_path) = (true, "".into())),
        "ssl.keyPath: must be set while ssl.enabled is true"
    )]
    #[case(
        with(|c| c.whitelist = IpRanges::default()),
        "whitelist: is empty, which lets nobody in while whitelistMode is true"
    )]
    #[case(
        with(|c| (c.basic_auth_mode, c.basic_auth_user.username) = (true, "a:b".into())),
        "basicAuthUser.username: must be a name without a colon"
    )]
    #[case(
        with(|c| (c.basic_auth_mode, c.basic_auth_user.password) = (true, Secret::default())),
        "basicAuthUser.password: must not be empty"
    )]
    fn check_names_key_and_range(#[case] config: Config, #[case] text: &str) {
        assert_eq!(config.check().unwrap_err().to_string(), format!("default: {text}"));
    }

    #[rstest]
    #[case(with(|_| ()), false)]
    #[case(with(|c| c.listen = true), true)]
    #[case(with(|c| (c.listen, c.listen_address.ipv4) = (true, [127, 0, 0, 1].into())), false)]
    #[case(
        with(|c| {
            c.listen = true;
            c.listen_address.ipv4 = [127, 0, 0, 1].into();
            c.protocol.ipv6 = Switch::Auto;
        }),
        true
    )]
    fn binds_beyond_loopback(#[case] config: Config, #[case] beyond: bool) {
        assert_eq!(config.binds_beyond_loopback(), beyond);
    }

    fn open() -> Config {
        with(|c| c.whitelist_mode = false)
    }

    fn basic(password: &str) -> Config {
        let mut config = open();
        config.basic_auth_mode = true;
        config.basic_auth_user.password = Secret::new(password);
        config
    }

    #[rstest]
    #[case(with(|_| ()), true)]
    #[case(open(), false)]
    #[case(with(|c| c.whitelist = IpRanges::parse(["0.0.0.0/0"]).unwrap()), false)]
    #[case(basic("password"), false)]
    #[case(basic(""), false)]
    #[case(basic("otter"), true)]
    #[case(Config { per_user_basic_auth: true, ..basic("otter") }, true)]
    #[case(Config { per_user_basic_auth: true, enable_user_accounts: true, ..basic("otter") }, false)]
    fn has_network_protection(#[case] config: Config, #[case] protected: bool) {
        assert_eq!(config.has_network_protection(), protected);
    }
}
