//! What has changed, told to whoever of that person's windows is listening, so that all of them show the same.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::chats::ChatVersion;
use crate::mutex::lock;
use crate::store::Handle;

/// So many changes are kept for a window that does not keep up. After more it is told to load everything again.
const BACKLOG: usize = 256;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// One chat.
    #[serde(rename_all = "camelCase")]
    Chat {
        /// Whose folder it is in.
        character: String,
        /// Its name.
        chat: String,
        /// Which version it is now; none if it is not there any more.
        version: Option<ChatVersion>,
        /// The reply that is being made for it, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        generation: Option<String>,
    },
    /// Which chats there are, or which are pinned.
    Chats {},
    /// Characters.
    Characters {},
    /// Personas.
    Personas {},
    /// Connections.
    Connections {},
    /// Lorebooks.
    Lorebooks {},
    /// What is in the trash.
    Trash {},
    /// Their whole folder: everything that is shown may be different now.
    Everything {},
}

impl Change {
    /// What kind it is, as the name of an event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Chat { .. } => "chat",
            Self::Chats {} => "chats",
            Self::Characters {} => "characters",
            Self::Personas {} => "personas",
            Self::Connections {} => "connections",
            Self::Lorebooks {} => "lorebooks",
            Self::Trash {} => "trash",
            // For whoever listens the same as having missed too much.
            Self::Everything {} => "missed",
        }
    }
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something changed.
    Change(Change),
    /// More changed than could be kept: load everything again.
    Missed,
    /// There will be nothing more.
    End,
}

/// Somebody who listens.
pub struct Listener(Receiver<Change>);

impl Listener {
    /// The next change. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(change) => Heard::Change(change),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            Err(RecvError::Closed) => Heard::End,
        }
    }
}

/// The changes of everybody, each told to their own windows only.
#[derive(Default)]
pub struct Changes {
    senders: Mutex<HashMap<Handle, Sender<Change>>>,
}

impl Changes {
    /// Tells `handle`'s windows.
    pub fn publish(&self, handle: &Handle, change: Change) {
        let mut senders = lock(&self.senders);
        // Without listeners there is nobody to tell, and no need to remember whom.
        if senders.get(handle).is_some_and(|sender| sender.send(change).is_err()) {
            senders.remove(handle);
        }
    }

    /// Tells everybody's windows of what all have in common.
    pub fn publish_to_all(&self, change: &Change) {
        lock(&self.senders).retain(|_, sender| sender.send(change.clone()).is_ok());
    }

    /// Listens from now on.
    pub fn subscribe(&self, handle: &Handle) -> Listener {
        let mut senders = lock(&self.senders);
        Listener(senders.entry(handle.clone()).or_insert_with(|| channel(BACKLOG).0).subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(text: &str) -> Handle {
        Handle::parse(text).unwrap()
    }

    #[tokio::test]
    async fn everybody_hears_their_own_changes() {
        let changes = Changes::default();
        changes.publish(&handle("ada"), Change::Chats {});
        let mut one = changes.subscribe(&handle("ada"));
        let mut two = changes.subscribe(&handle("ada"));
        let mut other = changes.subscribe(&handle("bob"));
        changes.publish(&handle("ada"), Change::Trash {});
        changes.publish(&handle("bob"), Change::Personas {});
        assert_eq!(one.next().await, Heard::Change(Change::Trash {}));
        assert_eq!(two.next().await, Heard::Change(Change::Trash {}));
        assert_eq!(other.next().await, Heard::Change(Change::Personas {}));
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_so() {
        let changes = Changes::default();
        let mut slow = changes.subscribe(&handle("ada"));
        (0..BACKLOG + 10).for_each(|_| changes.publish(&handle("ada"), Change::Chats {}));
        assert_eq!(slow.next().await, Heard::Missed);
        assert_eq!(slow.next().await, Heard::Change(Change::Chats {}));
    }

    #[tokio::test]
    async fn who_has_left_is_forgotten() {
        let changes = Changes::default();
        drop(changes.subscribe(&handle("ada")));
        changes.publish(&handle("ada"), Change::Chats {});
        assert!(lock(&changes.senders).is_empty());
    }

    #[test]
    fn as_programs_see_it() {
        let chat = Change::Chat { character: "Ada".into(), chat: "x".into(), version: None, generation: None };
        assert_eq!(serde_json::to_string(&chat).unwrap(), r#"{"character":"Ada","chat":"x","version":null}"#);
        assert_eq!(serde_json::to_string(&Change::Chats {}).unwrap(), "{}");
    }
}
