//! Personas: who somebody is in their chats. SillyTavern keeps them in the settings, by the name of their picture in
//! `User Avatars/`; we change those members of the settings and leave every other byte.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bin::{Bin, Item, Often, Part, Sort};
use super::cards::picture;
use super::changes::{Change, Changes};
use super::thumbnails::{Of, Thumbnails};
use super::{Settings, splice};
use crate::clock;
use crate::error::{Error, Result};
use crate::store::{Expect, FileName, Folder, Handle, Owner, Place, RelPath, Store, Version, Writer};

/// Where the settings have personas.
const NAMES: [&str; 2] = ["power_user", "personas"];
const DESCRIPTIONS: [&str; 2] = ["power_user", "persona_descriptions"];
const DEFAULT: [&str; 2] = ["power_user", "default_persona"];
const CHOSEN: [&str; 1] = ["user_avatar"];
/// Depth of a description that does not say.
const DEPTH: u32 = 2;
/// The longest name, in characters.
const NAME_MAX: usize = 200;
/// What pictures end with.
const ENDING: &str = ".png";

/// Everyone's personas.
pub struct Personas {
    store: Arc<Store>,
    settings: Arc<Settings>,
    thumbnails: Arc<Thumbnails>,
    bin: Arc<Bin>,
    changes: Arc<Changes>,
}

/// Who somebody is in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    /// The name of its picture's file.
    pub id: FileName,
    /// What characters call them.
    pub name: String,
    /// Who they are.
    pub description: String,
    /// Where the description stands in the prompt, by SillyTavern's number: 0 in the prompt, 2 and 3 above and below the
    /// author's note, 4 between the messages, 9 nowhere.
    pub position: i64,
    /// How many messages stand below it, at position 4.
    pub depth: u32,
    /// Who says it there: 0 the system, 1 the person, 2 the character.
    pub role: u8,
    /// The name of the lorebook that goes with it; empty for none.
    pub lorebook: String,
    /// Words by which people tell their personas apart.
    pub title: String,
}

impl Persona {
    /// What a change names as what it replaces: all that one can change, and not the picture.
    pub fn version(&self) -> Version {
        let Self { id, name, description, position, depth, role, lorebook, title } = self;
        let all = json!([id, name, description, position, depth, role, lorebook, title]);
        Version::of(all.to_string().as_bytes())
    }
}

/// Fields to change; what is `None` stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    name: Option<String>,
    description: Option<String>,
    position: Option<i64>,
    depth: Option<u32>,
    role: Option<u8>,
    lorebook: Option<String>,
    title: Option<String>,
}

/// Somebody's personas.
pub struct Listed {
    /// The one that new chats begin with.
    pub default: Option<FileName>,
    /// All, by name.
    pub items: Vec<Persona>,
}

impl Personas {
    /// The personas in `store`.
    pub fn new(
        store: Arc<Store>,
        settings: Arc<Settings>,
        thumbnails: Arc<Thumbnails>,
        bin: Arc<Bin>,
        changes: Arc<Changes>,
    ) -> Self {
        Self { store, settings, thumbnails, bin, changes }
    }

    /// All personas: those that have a name, and pictures that were never given one.
    pub fn list(&self, handle: &Handle) -> Result<Listed> {
        let text = self.settings_text(handle)?;
        let names = object(&text, &NAMES);
        let mut ids: Vec<FileName> = names.keys().filter_map(|id| FileName::parse(id).ok()).collect();
        for entry in self.store.list(&Place::of(handle).folder(Folder::PERSONAS))? {
            if entry.name.as_str().ends_with(ENDING) && !names.contains_key(entry.name.as_str()) {
                ids.push(entry.name);
            }
        }
        let descriptions = object(&text, &DESCRIPTIONS);
        let mut items: Vec<Persona> = ids.into_iter().map(|id| Persona::read(id, &names, &descriptions)).collect();
        items.sort_by_cached_key(|persona| (persona.name.to_lowercase(), persona.id.clone()));
        Ok(Listed { default: id_at(&text, &DEFAULT), items })
    }

    /// The persona of that name; without one the default one, else the one that was used last, if there is one.
    pub fn chosen(&self, handle: &Handle, id: Option<&FileName>) -> Result<Option<Persona>> {
        let text = self.settings_text(handle)?;
        let names = object(&text, &NAMES);
        let is_there = |id: &FileName| {
            Ok::<_, Error>(names.contains_key(id.as_str()) || self.store.stat(&place(handle, id))?.is_some())
        };
        let candidates = match id {
            Some(id) => vec![id.clone()],
            None => [id_at(&text, &DEFAULT), id_at(&text, &CHOSEN)].into_iter().flatten().collect(),
        };
        for candidate in candidates {
            if is_there(&candidate)? {
                return Ok(Some(Persona::read(candidate, &names, &object(&text, &DESCRIPTIONS))));
            }
        }
        match id {
            Some(_) => Err(no_such_persona()),
            None => Ok(None),
        }
    }

    /// Makes a persona, with our own picture until it gets another.
    pub fn create(&self, handle: &Handle, edit: &Edit) -> Result<Persona> {
        check_name(edit.name.as_deref().unwrap_or_default())?;
        self.writing(handle, |writer| {
            let mut number = clock::now_ms();
            let mut id = FileName::parse(&format!("{number}{ENDING}"))?;
            let names = object(&self.settings_text(handle)?, &NAMES);
            while names.contains_key(id.as_str()) || self.store.stat(&place(handle, &id))?.is_some() {
                number += 1;
                id = FileName::parse(&format!("{number}{ENDING}"))?;
            }
            let before = self.settings_text(handle)?;
            // First the words: a picture that nothing belongs to would be shown as a persona without a name.
            let persona = self.change(writer, handle, &id, edit)?;
            if let Err(error) = writer.write(&place(handle, &id), super::characters::BLANK, Expect::Absent) {
                let back = self.settings.edit_in(writer, handle, |_| Ok(before));
                let back = back.and_then(|()| writer.remove(&place(handle, &id)));
                back.unwrap_or_else(
                    |error| tracing::warn!(?error, %handle, %id, "a persona without a picture is left"),
                );
                return Err(error);
            }
            Ok(persona)
        })
    }

    /// Changes what `edit` names, if the persona is still the version that whoever changes it has seen. What it was goes to
    /// the trash, once in a while.
    pub fn update(&self, handle: &Handle, id: &FileName, version: Version, edit: &Edit) -> Result<Persona> {
        self.writing(handle, |writer| {
            let persona = self.chosen(handle, Some(id))?.ok_or_else(no_such_persona)?;
            if persona.version() != version {
                return Err(stale(version, persona.version()));
            }
            let settings = Place::of(handle).file(&super::settings::FILE);
            self.keeping(writer, handle, (&persona, Often::OnceInAWhile), &settings, || {
                self.change(writer, handle, id, edit)
            })
        })
    }

    fn change(&self, writer: &Writer<'_>, handle: &Handle, id: &FileName, edit: &Edit) -> Result<Persona> {
        if let Some(name) = &edit.name {
            check_name(name)?;
        }
        if edit.position.is_some_and(|position| !matches!(position, 0 | 2 | 3 | 4 | 9)) || edit.role > Some(2) {
            return Err(Error::invalid(
                "bad_request",
                "A persona's position is 0, 2, 3, 4 or 9, and its role 0, 1 or 2.",
            ));
        }
        self.settings.edit_in(writer, handle, |text| {
            let mut text = text.to_owned();
            let names = object(&text, &NAMES);
            let before = names.get(id.as_str()).and_then(Value::as_str);
            if let Some(name) = &edit.name
                && before != Some(name)
            {
                text = splice::set(&text, &[NAMES[0], NAMES[1], id.as_str()], &json!(name))?;
            }
            let old = object(&text, &DESCRIPTIONS).get(id.as_str()).and_then(Value::as_object).cloned();
            let is_new = old.is_none();
            let mut described = old.clone().unwrap_or_else(new_description);
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    described.insert(name.to_owned(), value);
                }
            };
            put("description", edit.description.as_ref().map(|text| json!(text)));
            put("position", edit.position.map(|number| json!(number)));
            put("depth", edit.depth.map(|number| json!(number)));
            put("role", edit.role.map(|number| json!(number)));
            put("lorebook", edit.lorebook.as_ref().map(|name| json!(name)));
            put("title", edit.title.as_ref().map(|title| json!(title)));
            if is_new || old.as_ref() != Some(&described) {
                let path = [DESCRIPTIONS[0], DESCRIPTIONS[1], id.as_str()];
                text = splice::set(&text, &path, &Value::Object(described))?;
            }
            Ok(text)
        })?;
        let text = self.settings_text(handle)?;
        Ok(Persona::read(id.clone(), &object(&text, &NAMES), &object(&text, &DESCRIPTIONS)))
    }

    /// Makes a persona the one that new chats begin with.
    pub fn set_default(&self, handle: &Handle, id: &FileName) -> Result<()> {
        self.chosen(handle, Some(id))?;
        self.writing(handle, |writer| {
            self.settings.edit_in(writer, handle, |text| splice::set(text, &DEFAULT, &json!(id.as_str())))
        })
    }

    /// Replaces the picture: PNG, JPEG, WebP or GIF, possibly a part of it.
    pub fn set_picture(
        &self,
        handle: &Handle,
        id: &FileName,
        bytes: &[u8],
        crop: Option<picture::Crop>,
    ) -> Result<Persona> {
        let persona = self.chosen(handle, Some(id))?.ok_or_else(no_such_persona)?;
        let png = picture::to_png(bytes, crop)?;
        self.writing(handle, |writer| {
            let picture = place(handle, id);
            self.keeping(writer, handle, (&persona, Often::Always), &picture, || {
                writer.write(&picture, &png, Expect::Anything)
            })?;
            self.thumbnails.forget(writer, handle, Of::Persona, id);
            Ok(())
        })?;
        Ok(persona)
    }

    /// Moves a persona to the trash: its picture, and what the settings say of it.
    pub fn delete(&self, handle: &Handle, id: &FileName) -> Result<()> {
        let persona = self.chosen(handle, Some(id))?.ok_or_else(no_such_persona)?;
        self.writing(handle, |writer| {
            let item = self.item(handle, &persona, Sort::Persona)?;
            // First to the trash: what fails afterwards leaves a persona whose picture can be brought back.
            self.bin.discard(writer, handle, item)?;
            self.settings.edit_in(&writer.urgent(), handle, |text| {
                let mut text = splice::remove(text, &[NAMES[0], NAMES[1], id.as_str()]);
                text = splice::remove(&text, &[DESCRIPTIONS[0], DESCRIPTIONS[1], id.as_str()]);
                if id_at(&text, &DEFAULT).as_ref() == Some(id) {
                    text = splice::set(&text, &DEFAULT, &Value::Null)?;
                }
                Ok(text)
            })?;
            self.thumbnails.forget(writer, handle, Of::Persona, id);
            Ok(())
        })
    }

    /// Keeps a persona as it is while `work` replaces `replaced`. One without a picture has no file of its own to keep.
    fn keeping<T>(
        &self,
        writer: &Writer<'_>,
        handle: &Handle,
        (persona, often): (&Persona, Often),
        replaced: &Place,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let item = self.item(handle, persona, Sort::Version)?;
        if item.parts.is_empty() {
            return work();
        }
        self.bin.replacing(writer, handle, (item, often), replaced, work)
    }

    /// A persona as the trash knows it: its picture, and what the settings say of it. They are read under the lock: what
    /// somebody else says of it a moment before goes to the trash as well.
    fn item(&self, handle: &Handle, persona: &Persona, sort: Sort) -> Result<Item> {
        let (id, text) = (&persona.id, self.settings_text(handle)?);
        let said = |path: &[&str]| splice::value(&text, &[path, &[id.as_str()]].concat());
        let note = json!({ "name": said(&NAMES), "description": said(&DESCRIPTIONS) });
        let (stem, ending) = match id.as_str().rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => (FileName::parse(stem)?, &id.as_str()[stem.len()..]),
            _ => (id.clone(), ""),
        };
        let parts = match self.store.stat(&place(handle, id))? {
            Some(_) => vec![Part::new(RelPath::parse(Folder::PERSONAS.as_str())?, ending)],
            None => Vec::new(),
        };
        Ok(Item { sort, stem, name: persona.name.clone(), of: None, parts, note })
    }

    /// Says in the settings what they said of a persona, whose picture comes back from the trash under this name.
    pub fn restored(&self, writer: &Writer<'_>, handle: &Handle, id: &FileName, note: &Value) -> Result<()> {
        self.settings.edit_in(writer, handle, |text| {
            let mut text = text.to_owned();
            for (path, value) in [(NAMES, &note["name"]), (DESCRIPTIONS, &note["description"])] {
                if !value.is_null() {
                    text = splice::set(&text, &[path[0], path[1], id.as_str()], value)?;
                }
            }
            Ok(text)
        })
    }

    fn writing<T>(&self, handle: &Handle, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        let done = self.store.writing(&Owner::User(handle.clone()), work)?;
        self.changes.publish(handle, Change::Personas {});
        Ok(done)
    }

    fn settings_text(&self, handle: &Handle) -> Result<String> {
        self.settings.peek(handle)
    }
}

impl Persona {
    fn read(id: FileName, names: &Map<String, Value>, descriptions: &Map<String, Value>) -> Self {
        let empty = Map::new();
        let said = descriptions.get(id.as_str()).and_then(Value::as_object).unwrap_or(&empty);
        let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| {
            let value = said.get(name)?;
            value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        Self {
            name: names.get(id.as_str()).and_then(Value::as_str).unwrap_or("Unnamed").to_owned(),
            description: text("description"),
            position: number("position").unwrap_or(0),
            depth: number("depth").and_then(|depth| u32::try_from(depth).ok()).unwrap_or(DEPTH),
            role: number("role").and_then(|role| u8::try_from(role).ok()).filter(|role| *role <= 2).unwrap_or(0),
            lorebook: text("lorebook"),
            title: text("title"),
            id,
        }
    }
}

/// A description that says nothing yet, with the fields that SillyTavern looks for.
fn new_description() -> Map<String, Value> {
    let fields = json!({
        "description": "", "position": 0, "depth": DEPTH, "role": 0, "lorebook": "", "title": "", "connections": [],
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Where a persona's picture is.
pub fn place(handle: &Handle, id: &FileName) -> Place {
    Place::of(handle).folder(Folder::PERSONAS).file(id)
}

fn object(text: &str, path: &[&str]) -> Map<String, Value> {
    match splice::value(text, path) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn id_at(text: &str, path: &[&str]) -> Option<FileName> {
    FileName::parse(splice::value(text, path).as_str()?).ok()
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > NAME_MAX {
        return Err(Error::invalid("bad_name", "A persona's name has 1 to 200 characters, not only spaces."));
    }
    Ok(())
}

fn stale(expected: Version, found: Version) -> Error {
    Error::conflict(
        "stale",
        "This persona was changed meanwhile, in another window perhaps. Nothing was changed; load it again.",
    )
    .with_details(json!({ "expected": expected, "found": found }))
}

fn no_such_persona() -> Error {
    Error::not_found("There is no such persona.")
}
