//! Everybody's connections, and the house's: one small JSON file each, `<handle>/connections/<id>.json` and
//! `_system/connections/<id>.json`. Keys are in the [`vault`](super::vault), never in these files.
//!
//! A person can use their own and the house's. The built-in `echo` is always there.

mod draft;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::Parameters;
use super::vault::{Held, Vault};
use super::{Connection, ConnectionId, Holder, Key, Kind};
use crate::access::{Permission, What as On};
use crate::accounts::By;
use crate::clock;
use crate::error::{Error, Result};
use crate::events::{Event, Events, What};
use crate::random;
use crate::store::{self, Expect, FileName, Folder, Handle, Owner, Place, Store};

pub use draft::{Changes, Draft, given_key};
use draft::{check_address, check_model, check_name, check_template, origin};

/// The id of the built-in connection.
pub const ECHO: &str = "echo";
/// More than this nobody needs, and each is a file.
const MOST: usize = 100;
const FORMAT: u32 = 1;
/// No record of ours is near this size.
const RECORD_LIMIT: u64 = 256 * 1024;
/// Which of a person's connections is used unless they say otherwise. No id of a connection begins like this.
const DEFAULT: FileName = FileName::known("_default.json");

/// All connections of a data folder.
pub struct Connections {
    store: Arc<Store>,
    events: Arc<Events>,
    vault: Vault,
}

/// A connection as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    format: u32,
    id: ConnectionId,
    name: String,
    kind: Kind,
    base_url: String,
    model: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    template: Option<String>,
    /// When it was made, milliseconds since 1970.
    created: i64,
    /// What a later version has put there.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The connections of one holder.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The oldest first.
    pub connections: Vec<Connection>,
    /// Files that cannot be read; they are left as they are.
    pub damaged: Vec<String>,
    /// Which of them have keys.
    pub held: Held,
}

impl Found {
    /// Whether a connection of these has a key that can be read.
    pub fn has_key(&self, connection: &Connection) -> bool {
        self.held.names.contains(connection.id.as_str())
    }

    /// Whether it has one that cannot be read any more.
    pub fn lost_key(&self, connection: &Connection) -> bool {
        self.held.lost.contains(connection.id.as_str())
    }
}

/// A connection that was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// As it is now.
    pub connection: Connection,
    /// Whether its key was removed, because it leads to another server than the key was entered for.
    pub key_dropped: bool,
}

impl Connections {
    /// The connections of `store`, with their keys in `vault`.
    pub fn new(store: Arc<Store>, events: Arc<Events>, vault: Vault) -> Self {
        Self { store, events, vault }
    }

    /// What a holder has.
    pub fn of(&self, holder: &Holder) -> Result<Found> {
        let folder = folder(holder);
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        for entry in self.store.list(&folder)? {
            let Some(stem) = entry.name.as_str().strip_suffix(".json") else { continue };
            let Ok(id) = ConnectionId::parse(stem) else { continue };
            match self.read(holder, &id) {
                Ok(record) => records.push(record),
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::warn!(?error, file = %entry.name, "a connection cannot be read");
                    damaged.push(stem.to_owned());
                }
            }
        }
        records.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        let connections = records.into_iter().map(|record| record.into_connection(holder)).collect();
        let held = self.vault.held(holder).unwrap_or_else(|error| {
            // Whoever uses or enters a key hears of it; the list is there all the same.
            tracing::warn!(?error, "it cannot be told which connections have keys");
            Held::default()
        });
        Ok(Found { connections, damaged, held })
    }

    /// A connection that `handle` can use: an own one, the house's, or the built-in one.
    pub fn get(&self, handle: &Handle, id: &ConnectionId) -> Result<Connection> {
        if id.as_str() == ECHO {
            return Ok(echo());
        }
        for holder in [Holder::User(handle.clone()), Holder::House] {
            if let Some(record) = store::if_there(self.read(&holder, id))? {
                return Ok(record.into_connection(&holder));
            }
        }
        Err(not_there())
    }

    /// The key of a connection, if it has one.
    pub fn key_of(&self, connection: &Connection) -> Result<Option<Key>> {
        if connection.id.as_str() == ECHO {
            Ok(None)
        } else {
            self.vault.get(&connection.holder, connection.id.as_str())
        }
    }

    /// Whether a connection has a key that can be read.
    pub fn has_key(&self, connection: &Connection) -> Result<bool> {
        let name = connection.id.as_str();
        Ok(name != ECHO && self.vault.held(&connection.holder)?.names.contains(name))
    }

    /// The connection that `handle` uses unless they say otherwise: the one they chose, else their own first, else the
    /// house's first, else the built-in one.
    pub fn default_of(&self, handle: &Handle) -> Result<Connection> {
        if let Some(id) = self.chosen(handle)? {
            match self.get(handle, &id) {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_not_found() || error.code() == "damaged" => {}
                Err(error) => return Err(error),
            }
        }
        for holder in [Holder::User(handle.clone()), Holder::House] {
            if let Some(first) = self.of(&holder)?.connections.into_iter().next() {
                return Ok(first);
            }
        }
        Ok(echo())
    }

    /// Chooses the connection that `handle` uses unless they say otherwise; none takes the choice back.
    pub fn choose(&self, handle: &Handle, id: Option<&ConnectionId>) -> Result<()> {
        let place = folder(&Holder::User(handle.clone())).file(&DEFAULT);
        let text = match id {
            None => None,
            Some(id) => {
                self.get(handle, id)?;
                let chosen = Chosen { format: FORMAT, id: id.clone() };
                Some(serde_json::to_vec_pretty(&chosen).map_err(Error::internal)?)
            }
        };
        self.store.writing(&Owner::User(handle.clone()), |writer| match text {
            Some(text) => writer.write(&place, &text, Expect::Anything),
            None if self.store.stat(&place)?.is_none() => Ok(()),
            None => writer.remove(&place),
        })
    }

    /// Makes a connection.
    pub fn create(&self, by: By<'_>, holder: &Holder, draft: Draft, key: Option<&Key>) -> Result<Connection> {
        may_change(by, holder)?;
        let record = Record {
            format: FORMAT,
            id: ConnectionId::parse(&random::random_hex::<8>()?)?,
            name: check_name(&draft.name)?,
            kind: draft.kind,
            base_url: check_address(draft.kind, draft.base_url.as_deref())?,
            model: check_model(draft.model)?,
            parameters: draft.parameters,
            template: check_template(draft.template)?,
            created: clock::now_ms(),
            rest: Map::new(),
        };
        if let Some(key) = key {
            self.vault.put(holder, record.id.as_str(), key)?;
        }
        if let Err(error) = self.save(holder, &record) {
            // Nothing would ever ask for that key.
            if let Err(error) = self.vault.remove(holder, record.id.as_str()) {
                tracing::warn!(?error, "the key of a connection that was not saved stays in the vault");
            }
            return Err(error);
        }
        self.note(by, holder, &record, "created");
        Ok(record.into_connection(holder))
    }

    /// A connection that is tried out before it is made; nothing is saved.
    pub fn sketch(&self, by: By<'_>, holder: &Holder, draft: Draft) -> Result<Connection> {
        may_change(by, holder)?;
        Ok(Connection {
            // Ids of records are longer, and nobody is told of this one.
            id: ConnectionId::built_in("new"),
            holder: holder.clone(),
            name: check_name(&draft.name)?,
            kind: draft.kind,
            base_url: check_address(draft.kind, draft.base_url.as_deref())?,
            model: check_model(draft.model)?,
            parameters: draft.parameters,
            template: check_template(draft.template)?,
        })
    }

    /// Changes a connection. A key goes to the server that it was entered for: where the connection leads to another one now,
    /// the key is removed first, unless a new one comes with the change.
    pub fn update(&self, by: By<'_>, handle: &Handle, id: &ConnectionId, changes: Changes) -> Result<Updated> {
        let holder = self.changing(by, handle, id)?;
        let name = changes.name.as_deref().map(check_name).transpose()?;
        let model = changes.model.map(check_model).transpose()?;
        let template = changes.template.map(check_template).transpose()?;
        let before = self.read(&holder, id)?;
        let kind = changes.kind.unwrap_or(before.kind);
        let base_url = match &changes.base_url {
            Some(address) => check_address(kind, Some(address.as_str()))?,
            // Another kind of server is somewhere else.
            None if kind != before.kind => check_address(kind, None)?,
            None => before.base_url.clone(),
        };
        let had_key = origin(&base_url) != origin(&before.base_url) && self.drop_key(&holder, id)?;
        let record = self.store.writing(&owner(&holder), |writer| {
            let mut record = self.read(&holder, id)?;
            if record.base_url != before.base_url {
                return Err(changed_meanwhile());
            }
            (record.kind, record.base_url) = (kind, base_url);
            record.name = name.unwrap_or(record.name);
            record.model = model.unwrap_or(record.model);
            record.parameters = changes.parameters.unwrap_or(record.parameters);
            record.template = template.unwrap_or(record.template);
            let text = serde_json::to_vec_pretty(&record).map_err(Error::internal)?;
            writer.write(&file(&holder, id)?, &text, Expect::Anything)?;
            Ok(record)
        })?;
        let key_dropped = had_key && changes.key.is_none();
        match changes.key {
            None => {}
            Some(Some(key)) => self.vault.put(&holder, id.as_str(), &key)?,
            Some(None) => self.vault.remove(&holder, id.as_str())?,
        }
        self.note(by, &holder, &record, if key_dropped { "changed, and its key removed" } else { "changed" });
        Ok(Updated { connection: record.into_connection(&holder), key_dropped })
    }

    /// Removes a connection's key; whether there was one, be it readable or not.
    fn drop_key(&self, holder: &Holder, id: &ConnectionId) -> Result<bool> {
        let held = self.vault.held(holder)?;
        let is_there = held.names.contains(id.as_str()) || held.lost.contains(id.as_str());
        self.vault.remove(holder, id.as_str())?;
        Ok(is_there)
    }

    /// Removes a connection with its key, and says whose it was. The key goes first: it is never left behind.
    pub fn delete(&self, by: By<'_>, handle: &Handle, id: &ConnectionId) -> Result<Holder> {
        let holder = self.changing(by, handle, id)?;
        let record = self.read(&holder, id);
        self.vault.remove(&holder, id.as_str())?;
        let place = file(&holder, id)?;
        self.store.writing(&owner(&holder), |writer| writer.remove(&place))?;
        if let Ok(record) = record {
            self.note(by, &holder, &record, "deleted");
        }
        Ok(holder)
    }

    /// Removes the keys of an account that is gone. Its connections go or stay with its folder.
    pub fn forget(&self, handle: &Handle) -> Result<()> {
        self.vault.forget(handle)
    }

    /// Whose connection this is, if whoever asks may change it.
    fn changing(&self, by: By<'_>, handle: &Handle, id: &ConnectionId) -> Result<Holder> {
        if id.as_str() == ECHO {
            return Err(Error::conflict(
                "built_in",
                "The echo connection is built in: it cannot be changed or removed.",
            ));
        }
        for holder in [Holder::User(handle.clone()), Holder::House] {
            // One that is damaged is there, too: it can be removed.
            if self.store.stat(&file(&holder, id)?)?.is_some() {
                may_change(by, &holder)?;
                return Ok(holder);
            }
        }
        Err(not_there())
    }

    fn read(&self, holder: &Holder, id: &ConnectionId) -> Result<Record> {
        let text = match self.store.read_at_most(&file(holder, id)?, RECORD_LIMIT) {
            Err(error) if error.is_not_found() => return Err(not_there()),
            other => other?,
        };
        let damaged = || {
            Error::conflict(
                "damaged",
                "This connection's file is damaged, or of a newer version. It was left as it is.",
            )
        };
        let record: Record = serde_json::from_slice(&text).map_err(|error| damaged().because(error))?;
        // What a restore brought here is looked at as if it had been typed.
        let is_sound = record.format <= FORMAT
            && record.id == *id
            && check_name(&record.name).is_ok()
            && check_address(record.kind, Some(&record.base_url)).is_ok();
        if is_sound { Ok(record) } else { Err(damaged()) }
    }

    fn save(&self, holder: &Holder, record: &Record) -> Result<()> {
        let place = file(holder, &record.id)?;
        let text = serde_json::to_vec_pretty(record).map_err(Error::internal)?;
        self.store.writing(&owner(holder), |writer| {
            // Counted under the lock, so that two at once do not both find room for one.
            if self.of(holder)?.connections.len() >= MOST {
                let words = format!("There are {MOST} connections already. Delete one first.");
                return Err(Error::conflict("too_many", words));
            }
            writer.write(&place, &text, Expect::Absent)
        })
    }

    fn chosen(&self, handle: &Handle) -> Result<Option<ConnectionId>> {
        let place = folder(&Holder::User(handle.clone())).file(&DEFAULT);
        let text = store::if_there(self.store.read_at_most(&place, RECORD_LIMIT))?;
        // A choice that cannot be read is none.
        Ok(text.and_then(|text| serde_json::from_slice::<Chosen>(&text).ok()).map(|chosen| chosen.id))
    }

    /// What is changed about the house's connections is in the audit log: where people's words go.
    fn note(&self, by: By<'_>, holder: &Holder, record: &Record, how: &str) {
        if *holder == Holder::House {
            let event = Event::new(What::HouseConnection, by.origin())
                .with("connection", record.id.as_str())
                .with("name", record.name.as_str())
                .with("how", how);
            self.events.record(event.with("address", record.base_url.as_str()));
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Chosen {
    format: u32,
    id: ConnectionId,
}

impl Record {
    fn into_connection(self, holder: &Holder) -> Connection {
        Connection {
            id: self.id,
            holder: holder.clone(),
            name: self.name,
            kind: self.kind,
            base_url: self.base_url,
            model: self.model,
            parameters: self.parameters,
            template: self.template,
        }
    }
}

/// The built-in connection.
pub fn echo() -> Connection {
    Connection {
        id: ConnectionId::built_in(ECHO),
        holder: Holder::House,
        name: "Echo (built in, repeats what you say)".to_owned(),
        kind: Kind::Echo,
        base_url: String::new(),
        model: Some(ECHO.to_owned()),
        parameters: Parameters::default(),
        template: None,
    }
}

fn may_change(by: By<'_>, holder: &Holder) -> Result<()> {
    match holder {
        Holder::House => by.require(Permission::ConnectionsHouse, On::House),
        Holder::User(_) => by.require(Permission::ConnectionsOwn, On::House),
    }
}

fn changed_meanwhile() -> Error {
    Error::conflict("stale", "This connection was changed meanwhile, in another window perhaps. Load it again.")
}

fn not_there() -> Error {
    Error::not_found("There is no such connection.")
}

fn owner(holder: &Holder) -> Owner {
    match holder {
        Holder::House => Owner::System,
        Holder::User(handle) => Owner::User(handle.clone()),
    }
}

fn folder(holder: &Holder) -> Place {
    match holder {
        Holder::House => Place::system(),
        Holder::User(handle) => Place::of(handle),
    }
    .folder(Folder::CONNECTIONS)
}

fn file(holder: &Holder, id: &ConnectionId) -> Result<Place> {
    // What cannot be a file's name on some system is the name of none of ours.
    Ok(folder(holder).file(&FileName::parse(&format!("{id}.json")).map_err(|_| not_there())?))
}

#[cfg(test)]
mod tests;
