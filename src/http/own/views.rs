//! People as our pages see them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::error::Result;
use crate::http::call::Person;
use crate::http::state::State;
use crate::store::Handle;

/// One object with the members of both.
pub fn merged(mut head: Value, rest: Value) -> Value {
    if let (Some(head), Value::Object(rest)) = (head.as_object_mut(), rest) {
        head.extend(rest);
    }
    head
}

/// The address of somebody's picture. It changes with the picture, so that browsers may keep it. Reads the disk.
pub fn avatar(state: &State, handle: &Handle) -> Result<String> {
    let portrait = state.app.portraits.look(handle)?;
    Ok(format!("/api/v1/users/{handle}/avatar?v={}", if portrait.mark.is_empty() { "0" } else { &portrait.mark }))
}

/// Somebody at the login screen.
#[derive(Serialize)]
pub struct Face {
    handle: Handle,
    name: String,
    avatar: String,
    locked: bool,
}

impl Face {
    /// How `account` looks from outside.
    pub fn of(state: &State, account: &Account) -> Result<Self> {
        Ok(Self {
            handle: account.handle.clone(),
            name: account.name.clone(),
            avatar: avatar(state, &account.handle)?,
            locked: account.password.is_some(),
        })
    }
}

/// Whoever is signed in, to themselves.
pub fn me(state: &State, person: &Person) -> Result<Value> {
    let account = &person.account;
    let permissions: Vec<_> = account.role.permissions().iter().map(|permission| permission.name()).collect();
    let portrait = state.app.portraits.look(&account.handle)?;
    let listing = state.app.accounts.listing()?;
    Ok(json!({
        "handle": account.handle,
        "name": account.name,
        "role": account.role,
        "permissions": permissions,
        "avatar": avatar(state, &account.handle)?,
        "ownAvatar": portrait.own,
        "hasPassword": account.password.is_some(),
        "created": account.created,
        "soleAccount": listing.by_age().len() == 1,
    }))
}

/// Somebody in the list of people.
pub fn row(state: &State, account: &Account, me: &Handle) -> Result<Value> {
    let listing = state.app.accounts.listing()?;
    Ok(json!({
        "handle": account.handle,
        "name": account.name,
        "role": account.role,
        "enabled": account.enabled,
        "hasPassword": account.password.is_some(),
        "avatar": avatar(state, &account.handle)?,
        "ownAvatar": state.app.portraits.look(&account.handle)?.own,
        "created": account.created,
        "lastSeen": state.app.accounts.sessions().last_seen(&account.handle),
        "isMe": account.handle == *me,
        "isDefault": account.handle.is_default_user(),
        "lastAdmin": account.is_active_admin() && listing.active_admins() == 1,
    }))
}
