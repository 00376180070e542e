//! The picture that stands for a person: their own, else that of their default persona, else of the persona used last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::accounts::pictures::{self, Picture};
use crate::error::Result;
use crate::mutex::lock;
use crate::store::{self, FileName, Folder, Handle, Place, Stat, Store, Version};

/// For so long a portrait is taken as it is, without looking whether its files have changed.
const FRESH: Duration = Duration::from_secs(2);
/// Settings above this size are not searched for a persona.
const SETTINGS_LIMIT: u64 = 64 * 1024 * 1024;

/// Everyone's portraits, kept while their files do not change.
pub struct Portraits {
    store: Arc<Store>,
    known: Mutex<HashMap<Handle, Known>>,
}

/// Which picture stands for a person.
#[derive(Debug, Clone, Default)]
pub struct Portrait {
    /// Where it is; none means the house's default picture.
    place: Option<Place>,
    /// Whether it is the account's own, not a persona's.
    pub own: bool,
    /// Changes with the picture, for addresses that may be cached; empty for the default picture.
    pub mark: String,
}

#[derive(Clone)]
struct Known {
    looked: Instant,
    of: Sources,
    portrait: Portrait,
}

/// What a portrait is made from.
#[derive(Clone, PartialEq, Eq)]
struct Sources {
    own: Option<Stat>,
    settings: Option<Stat>,
    persona: Option<(FileName, Option<Stat>)>,
}

/// What the settings say about personas.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Personas {
    power_user: PowerUser,
    user_avatar: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PowerUser {
    default_persona: Option<serde_json::Value>,
}

impl Portraits {
    /// Portraits of the people in `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// The portrait if it is known and fresh: costs no look at the disk.
    pub fn at_hand(&self, handle: &Handle) -> Option<Portrait> {
        let known = lock(&self.known);
        known.get(handle).filter(|known| known.looked.elapsed() < FRESH).map(|known| known.portrait.clone())
    }

    /// The portrait as it is now. Reads files only when they have changed.
    pub fn look(&self, handle: &Handle) -> Result<Portrait> {
        let before = lock(&self.known).get(handle).cloned();
        let own = self.store.stat(&pictures::place(handle))?;
        let settings = self.store.stat(&super::settings::place(handle))?;
        if let Some(before) = before
            && before.of.own == own
            && before.of.settings == settings
            && before.of.persona == self.stat_persona(handle, before.of.persona.as_ref().map(|(name, _)| name))?
        {
            let portrait = before.portrait.clone();
            lock(&self.known).insert(handle.clone(), Known { looked: Instant::now(), ..before });
            return Ok(portrait);
        }
        let persona = self.persona(handle)?;
        let portrait = Portrait::of(handle, own, persona.as_ref());
        let of = Sources { own, settings, persona };
        lock(&self.known).insert(handle.clone(), Known { looked: Instant::now(), of, portrait: portrait.clone() });
        Ok(portrait)
    }

    /// The picture's bytes, if there is one and it is one.
    pub fn picture(&self, portrait: &Portrait) -> Result<Option<Picture>> {
        let Some(place) = &portrait.place else { return Ok(None) };
        let bytes = store::if_there(self.store.read_at_most(place, pictures::LARGEST as u64))?;
        Ok(bytes.and_then(|bytes| Picture::parse(bytes).ok()))
    }

    /// Forgets a portrait, after something it is made from was changed here.
    pub fn forget(&self, handle: &Handle) {
        lock(&self.known).remove(handle);
    }

    /// The file of the persona that stands for the person, as the settings name it.
    fn persona(&self, handle: &Handle) -> Result<Option<(FileName, Option<Stat>)>> {
        let text = store::if_there(self.store.read_at_most(&super::settings::place(handle), SETTINGS_LIMIT));
        let personas: Personas =
            text.ok().flatten().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let named = |value: Option<serde_json::Value>| FileName::parse(value?.as_str()?).ok();
        let candidates = [named(personas.power_user.default_persona), named(personas.user_avatar)];
        for name in candidates.into_iter().flatten() {
            let stat = self.store.stat(&persona_place(handle, &name))?;
            if stat.is_some_and(|stat| stat.is_file && stat.size <= pictures::LARGEST as u64) {
                return Ok(Some((name, stat)));
            }
        }
        Ok(None)
    }

    fn stat_persona(&self, handle: &Handle, name: Option<&FileName>) -> Result<Option<(FileName, Option<Stat>)>> {
        name.map(|name| Ok((name.clone(), self.store.stat(&persona_place(handle, name))?))).transpose()
    }
}

impl Portrait {
    fn of(handle: &Handle, own: Option<Stat>, persona: Option<&(FileName, Option<Stat>)>) -> Self {
        let (place, stat) = match (own, persona) {
            (Some(own), _) => (pictures::place(handle), own),
            (None, Some((name, Some(stat)))) => (persona_place(handle, name), *stat),
            _ => return Self::default(),
        };
        let mut mark = Version::of(format!("{place:?} {stat:?}").as_bytes()).to_string();
        mark.truncate(12);
        Self { place: Some(place), own: own.is_some(), mark }
    }
}

fn persona_place(handle: &Handle, name: &FileName) -> Place {
    Place::of(handle).folder(Folder::PERSONAS).file(name)
}
