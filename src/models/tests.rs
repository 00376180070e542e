//! What the tests of the dialects share.

use super::*;

/// A connection to nowhere.
pub(super) fn connection() -> Connection {
    Connection {
        id: ConnectionId::parse("test").unwrap(),
        holder: Holder::House,
        name: "Lamp".into(),
        kind: Kind::OpenAi,
        base_url: "http://lamp.example".into(),
        model: None,
        parameters: Parameters::default(),
        template: None,
    }
}
