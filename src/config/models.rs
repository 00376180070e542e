//! Where model servers may be, and how long they are waited for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PrivateHosts;

/// `models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Models {
    /// Hosts on this machine and on private networks that people's own connections may reach. Default: the ports of the
    /// usual model servers on this machine.
    pub allow_private_hosts: PrivateHosts,
    /// Seconds until the first word of an answer; small machines read a long prompt for minutes. Default `600`.
    pub first_word_timeout: u32,
    /// Seconds of silence in the middle of an answer. Default `120`.
    pub silence_timeout: u32,
    /// Seconds that an answer may take in all; what has come by then is kept. Default `3600`.
    pub reply_timeout: u32,
    /// Replies that one connection writes at once; further ones wait, and people take turns. Default `4`.
    pub per_connection: u32,
    /// Replies that one person has under way or waiting. Default `4`.
    pub per_user: u32,
}

impl Default for Models {
    fn default() -> Self {
        Models {
            allow_private_hosts: PrivateHosts::usual_servers(),
            first_word_timeout: 600,
            silence_timeout: 120,
            reply_timeout: 3600,
            per_connection: 4,
            per_user: 4,
        }
    }
}

impl Models {
    /// How long the first word may take.
    pub fn first_word(&self) -> Duration {
        Duration::from_secs(self.first_word_timeout.into())
    }

    /// How long an answer may pause.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_timeout.into())
    }

    /// How long an answer may take in all.
    pub fn reply(&self) -> Duration {
        Duration::from_secs(self.reply_timeout.into())
    }
}
