//! What all commands take, and how the configuration comes about.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::given;
use crate::app::{App, Opens, notes_folder};
use crate::config::{self, Config, Loaded, Overrides, Sources};
use crate::store::{create_host_file, read_host_file};

const CONFIG_FILE: &str = "config.yaml";

/// Which house.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file [default: config.yaml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The data folder
    #[arg(long, value_name = "DIR", global = true)]
    data_root: Option<PathBuf>,
}

impl Common {
    /// The configuration file's path.
    pub fn config_path(&self) -> PathBuf {
        given(&self.config).unwrap_or_else(|| PathBuf::from(CONFIG_FILE))
    }

    /// The configuration from all its sources.
    pub fn load(&self, overrides: Overrides) -> Result<Loaded> {
        let path = self.config_path();
        let file = match read_host_file(&path, config::MAX_SOURCE_BYTES as u64) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
                Some((path, text))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.config.is_none() => None,
            Err(error) => return Err(error).with_context(|| format!("Could not read {}", path.display())),
        };
        let overrides = Overrides { data_root: given(&self.data_root).or(overrides.data_root), ..overrides };
        let env: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut sources = Sources { file, settings: None, env, overrides };
        // `_system/settings.json` lies in the data folder, so the folder has to be known first.
        let first = config::load(sources.clone())?;
        let settings = first.config.data_root.join("_system/settings.json");
        match read_host_file(&settings, config::MAX_SOURCE_BYTES as u64) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", settings.display()))?;
                sources.settings = Some(text);
                Ok(config::load(sources)?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(first),
            Err(error) => Err(error).with_context(|| format!("Could not read {}", settings.display())),
        }
    }

    /// Writes the commented configuration where there is none, so that there is something to edit.
    pub fn write_default_config(&self) {
        let path = self.config_path();
        if self.config.is_some() || path.exists() {
            return;
        }
        match create_host_file(&path, config::embedded().as_bytes()) {
            Ok(()) => tracing::info!(path = %path.display(), "wrote a configuration file to edit"),
            Err(error) => tracing::info!(%error, "no configuration file was written; the defaults hold"),
        }
    }

    /// Opens the house for a command beside the server.
    pub fn open_beside(&self) -> Result<App> {
        let config = self.load(Overrides::default())?.config;
        self.open(config, Opens::default())
    }

    /// Opens the house.
    pub fn open(&self, config: Config, opens: Opens) -> Result<App> {
        let notes = Some(notes_folder(&self.config_path()));
        Ok(App::open(config, Opens { notes, ..opens })?)
    }
}

/// A folder for people to read.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
