//! Accounts of a SillyTavern folder: read once, at the first start; `_storage` is left as it was.
//!
//! `_storage` holds one JSON object `{"key", "value"}` a file. Keys are `user:<handle>` for records and `avatar:<handle>` for
//! pictures (a data URL, or empty). Facts: SillyTavern 1.19, `contracts/sillytavern/disk.md` §2.

use serde::Deserialize;

use super::account::{Account, check_name, new_epoch};
use super::password::PasswordHash;
use super::pictures::Picture;
use crate::access::Role;
use crate::error::Result;
use crate::store::{Handle, Place, Store};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The accounts, with their pictures.
    pub accounts: Vec<(Account, Option<Picture>)>,
    /// What could not be understood, in words.
    pub problems: Vec<String>,
}

#[derive(Deserialize)]
struct Item {
    key: String,
    value: serde_json::Value,
}

#[derive(Deserialize)]
struct User {
    handle: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    created: f64,
    #[serde(default)]
    password: String,
    #[serde(default)]
    salt: String,
    #[serde(default)]
    admin: bool,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// Reads SillyTavern's accounts. A damaged record is reported and does not keep the others out.
pub fn read(store: &Store) -> Result<Found> {
    let mut found = Found::default();
    let mut pictures = Vec::new();
    let place = Place::sillytavern_accounts();
    for entry in store.list(&place)? {
        if entry.name.as_str().starts_with('.') {
            continue;
        }
        let bytes = store.read(&place.file(&entry.name))?;
        let Ok(Item { key, value }) = serde_json::from_slice(&bytes) else {
            found.problems.push(format!("_storage/{} is damaged", entry.name));
            continue;
        };
        if let Some(handle) = key.strip_prefix("avatar:") {
            let url = value.as_str().unwrap_or_default();
            if !url.is_empty() {
                pictures.push((handle.to_owned(), url.to_owned()));
            }
        } else if key.starts_with("user:") {
            match serde_json::from_value::<User>(value).map_err(|e| e.to_string()).and_then(account_of) {
                Ok(account) => found.accounts.push((account, None)),
                Err(problem) => found.problems.push(format!("_storage/{}: {problem}", entry.name)),
            }
        }
    }
    for (handle, url) in pictures {
        let Some((_, slot)) = found.accounts.iter_mut().find(|(account, _)| account.handle.as_str() == handle) else {
            continue;
        };
        match Picture::from_data_url(&url) {
            Ok(picture) => *slot = Some(picture),
            Err(problem) => found.problems.push(format!("the picture of {handle}: {problem}")),
        }
    }
    found.accounts.sort_by_key(|(account, _)| account.created);
    Ok(found)
}

fn account_of(user: User) -> Result<Account, String> {
    let handle = Handle::parse(&user.handle).map_err(|error| error.to_string())?;
    let name = check_name(&user.name).unwrap_or_else(|_| handle.to_string());
    let password = (!user.password.is_empty()).then_some(PasswordHash::Scrypt { salt: user.salt, hash: user.password });
    #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds fits; a wild one saturates")]
    let created = user.created as i64;
    let role = if user.admin { Role::Admin } else { Role::User };
    let epoch = new_epoch().map_err(|error| error.to_string())?;
    Ok(Account { handle, name, role, enabled: user.enabled, created, password, epoch })
}
