//! An account's record, `_system/accounts/<handle>.json`.

use serde::{Deserialize, Serialize};

use super::password::PasswordHash;
use crate::access::{Actor, Role};
use crate::error::{Error, Result};
use crate::random;
use crate::store::Handle;

/// The longest display name, in characters.
const NAME_MAX: usize = 100;

/// Somebody who lives here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account's name in paths and at sign-in; it never changes.
    pub handle: Handle,
    /// The name that others see.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// Whether it can sign in.
    pub enabled: bool,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// The password's hash, or none: then anyone may sign in who picks the name.
    pub password: Option<PasswordHash>,
    /// Names this state of the credentials. Sessions carry the one they were made under and end when it changes (R8).
    pub epoch: String,
}

impl Account {
    /// A new, enabled account.
    pub fn new(handle: Handle, name: &str, role: Role, password: Option<PasswordHash>) -> Result<Self> {
        Ok(Self {
            handle,
            name: check_name(name)?,
            role,
            enabled: true,
            created: crate::clock::now_ms(),
            password,
            epoch: new_epoch()?,
        })
    }

    /// The account as somebody who acts.
    pub fn actor(&self) -> Actor<'_> {
        Actor { handle: &self.handle, role: self.role }
    }

    /// Whether it is an admin who can sign in.
    pub fn is_active_admin(&self) -> bool {
        self.enabled && self.role == Role::Admin
    }
}

/// A new name for a state of the credentials.
pub(super) fn new_epoch() -> Result<String> {
    random::random_hex::<8>()
}

/// A display name: trimmed, not empty, no control characters.
pub(super) fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::invalid("bad_name", "A name is needed."));
    }
    if name.chars().count() > NAME_MAX {
        return Err(Error::invalid("bad_name", "A name has at most 100 characters."));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid("bad_name", "A name cannot have control characters."));
    }
    Ok(name.to_owned())
}
