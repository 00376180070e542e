//! `config.yaml`, typed: defaults, environment, command line, and where each value came from.
//!
//! Pure code: callers read the files and the environment and pass texts in. Five layers, each of which may set any key:
//! command line > `TAVERNKEEP_*` environment > `_system/settings.json` > `config.yaml` > default.
//!
//! - [`Config`] and its parts (one file per topic) say what there is. Everything else follows from them by serde: the
//!   known keys, their kinds, the names of the variables, what `tavernkeep config` prints. A new key is a new field, a
//!   paragraph in `config.yaml` and a row in `docs/configuration.md`; tests ask for both.
//! - `node` reads YAML and JSON so that each key remembers its line; `layers` lays the sources on each other; `typed`
//!   turns the result into a `Config` with errors for people.

mod access;
mod backups;
mod byte_size;
mod explain;
mod house;
mod ip_ranges;
mod keys;
mod layers;
mod listening;
mod models;
mod node;
mod origin;
mod private_hosts;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod trash;
mod typed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serializer;

pub use access::{BasicAuthUser, ForwardedHeaders, HostWhitelist, RateLimiting, Sso};
pub use backups::{Backups, ChatBackups, CommonBackups};
pub use byte_size::{ByteSize, ByteSizeError};
pub use explain::{explain, explain_json};
pub use house::{Extensions, House, LogLevel, Logging, Passwords, Performance, Recovery, RequestCompression};
pub use ip_ranges::{IpRangeError, IpRanges};
pub use listening::{ListenAddress, Protocol, Ssl, Switch};
pub use models::Models;
pub use origin::{ConfigError, Origin, Warning};
pub use private_hosts::{PrivateHostError, PrivateHosts};
pub use secret::Secret;
pub use settings::Config;
pub use trash::Trash;

/// The most that `config.yaml` or `settings.json` may have, in bytes: 1 MiB.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// The commented `config.yaml` that comes with the program. It says the same as [`Config::default`].
pub fn embedded() -> &'static str {
    include_str!("../../config.yaml")
}

/// What a configuration is made of. Absent sources are simply not there.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What to call the configuration file in messages (usually its path), and its text.
    pub file: Option<(PathBuf, String)>,
    /// The text of `_system/settings.json`, JSON with the same keys. It cannot set `dataRoot`, below which it lies: to
    /// find it, load without it first.
    pub settings: Option<String>,
    /// The environment; variables without our prefix are passed over.
    pub env: Vec<(String, String)>,
    /// What the command line says.
    pub overrides: Overrides,
}

/// What the command line can set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-root DIR`
    pub data_root: Option<PathBuf>,
    /// `--port N`
    pub port: Option<u16>,
    /// `--listen [true|false]`
    pub listen: Option<bool>,
    /// `--public DIR`
    pub public: Option<PathBuf>,
}

/// A configuration that can be used, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// Where each came from, by the path of its key (`ssl.certPath`). Every key is there.
    pub origins: BTreeMap<String, Origin>,
    /// What was odd about the sources; worth showing at start.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    /// Where the value of a key came from. Keys that do not exist are at their default, so to speak.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }
}

/// Puts the sources together and checks the result.
///
/// # Errors
/// Unreadable or oversized sources, a key set twice in one file, and values that are of the wrong type, out of range or
/// at odds with each other. The text of the error names the place, the key, and what would be right.
pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
    let mut layers = layers::Layers::new();
    if let Some((label, text)) = &sources.file {
        layers.add_file(label, text)?;
    }
    if let Some(text) = &sources.settings {
        layers.add_settings(text)?;
    }
    layers.add_environment(&sources.env)?;
    let mut loaded = layers.finish()?;
    loaded.apply(sources.overrides);
    loaded.config.check().map_err(|error| match error {
        ConfigError::Invalid { key, problem, .. } => {
            ConfigError::Invalid { origin: loaded.origin(&key).clone(), key, problem }
        }
        other => other,
    })?;
    Ok(loaded)
}

impl Loaded {
    /// The topmost layer is typed already; a path need not even be Unicode.
    fn apply(&mut self, overrides: Overrides) {
        let Overrides { data_root, port, listen, public } = overrides;
        let Loaded { config, origins, .. } = self;
        let mut set = |key: &str| {
            origins.insert(key.to_owned(), Origin::CommandLine);
        };
        if let Some(data_root) = data_root {
            config.data_root = data_root;
            set("dataRoot");
        }
        if let Some(port) = port {
            config.port = port;
            set("port");
        }
        if let Some(listen) = listen {
            config.listen = listen;
            set("listen");
        }
        if let Some(public) = public {
            config.public = public;
            set("public");
        }
    }
}

/// Shows a path even if it is not Unicode.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
