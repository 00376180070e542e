//! Characters that get another name, and those that go to the trash.
//!
//! Another name means several files: the card, its chats, and what the settings and groups say of it. What is to be done
//! is written down first, so that an interrupted change of name is brought to its end by whoever looks next.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CARD_ENDING, Characters, Opened, card_place, file_of, file_stem, no_such_character, numbered};
use crate::error::{Error, Result};
use crate::library::bin::{Item, Part, Sort};
use crate::library::cards::edit::{Edit, check_name};
use crate::library::cards::png;
use crate::library::changes::Change;
use crate::library::splice;
use crate::library::thumbnails::Of;
use crate::store::{self, Expect, FileName, Folder, Handle, Place, RelPath, Version, Writer};

/// What is being renamed.
const JOURNAL: FileName = FileName::known("renaming.json");
/// So many names are tried before another of the same name is given up.
const NAMES_MAX: u32 = 10_000;

/// A change of name under way.
#[derive(Debug, Serialize, Deserialize)]
struct Renaming {
    from: FileName,
    to: FileName,
    name: String,
}

impl Characters {
    /// Gives a character another name, and its file, its chats and what refers to it with it. Returns the character, which
    /// may have a number behind its id if the name is taken.
    pub fn rename(&self, handle: &Handle, id: &FileName, name: &str) -> Result<Opened> {
        check_name(name)?;
        self.settle(handle);
        let to = self.writing(handle, |writer| {
            self.store.stat(&card_place(handle, id)?)?.filter(|stat| stat.is_file).ok_or_else(no_such_character)?;
            let to = self.free_name(handle, id, &file_stem(name))?;
            let renaming = Renaming { from: id.clone(), to: to.clone(), name: name.to_owned() };
            let text = serde_json::to_vec(&renaming).map_err(Error::internal)?;
            writer.write(&journal(handle), &text, Expect::Anything)?;
            self.carry_out(writer, handle, &renaming)?;
            Ok(to)
        })?;
        self.changes.publish(handle, Change::Chats {});
        self.open(handle, &to)
    }

    /// The first name like `wanted` under which there is neither a card nor a folder of chats; the present one fits too.
    fn free_name(&self, handle: &Handle, id: &FileName, wanted: &FileName) -> Result<FileName> {
        for number in 0..NAMES_MAX {
            let to = numbered(wanted, number)?;
            let is_free = || {
                let card = self.store.stat(&card_place(handle, &to)?)?;
                Ok::<_, Error>(card.is_none() && self.store.stat(&chats(handle, &to))?.is_none())
            };
            if to == *id || is_free()? {
                return Ok(to);
            }
        }
        Err(Error::conflict("conflict", "There are too many characters of that name. Nothing was changed."))
    }

    /// Brings a change of name to its end that was interrupted. That this fails is no reason not to look at what is there.
    pub(super) fn settle(&self, handle: &Handle) {
        match self.store.stat(&journal(handle)) {
            Ok(None) => return,
            Ok(Some(_)) => {}
            Err(error) => return tracing::warn!(?error, %handle, "whether a change of name is under way is unknown"),
        }
        let settled = self.writing(handle, |writer| {
            let Some(text) = self.store.read_if_there(&journal(handle))? else { return Ok(()) };
            match serde_json::from_slice::<Renaming>(&text) {
                Ok(renaming) => self.carry_out(writer, handle, &renaming),
                Err(_) => writer.remove(&journal(handle)),
            }
        });
        if let Err(error) = settled {
            tracing::warn!(?error, %handle, "a change of name could not be brought to its end");
        }
    }

    /// Does what is left to be done, any number of times.
    fn carry_out(&self, writer: &Writer<'_>, handle: &Handle, renaming: &Renaming) -> Result<()> {
        let Renaming { from, to, name } = renaming;
        if from != to {
            let moves =
                [(chats(handle, from), chats(handle, to)), (card_place(handle, from)?, card_place(handle, to)?)];
            for (old, new) in &moves {
                if self.store.stat(old)?.is_some() && self.store.stat(new)?.is_none() {
                    writer.rename(old, new)?;
                }
            }
            self.follow(writer, handle, from, to)?;
            self.thumbnails.forget(writer, handle, Of::Character, &file_of(from)?);
        }
        let place = card_place(handle, to)?;
        if let Some(bytes) = self.store.read_if_there(&place)?
            && let Ok(mut card) = png::read(&bytes)
            && card.name() != name
        {
            card.apply(&Edit { name: Some(name.clone()), ..Edit::default() })?;
            writer.write(&place, &png::write(&bytes, &card)?, Expect::Version(Version::of(&bytes)))?;
        }
        writer.remove(&journal(handle))
    }

    /// Lets follow what refers to a character by the name of its file: pins, tags and other settings, groups. Damaged files
    /// are left alone.
    fn follow(&self, writer: &Writer<'_>, handle: &Handle, from: &FileName, to: &FileName) -> Result<()> {
        self.chats.character_renamed(writer, handle, from, to)?;
        let changed = self.settings.edit_in(writer, handle, |text| settings_after(text, from, to));
        match changed {
            Err(error) if error.code() == "damaged" => {
                tracing::warn!(?error, %handle, "the settings still say the old name")
            }
            other => other?,
        }
        let groups = Place::of(handle).folder(Folder::GROUPS);
        for entry in self.store.list(&groups)?.into_iter().filter(|entry| entry.name.as_str().ends_with(".json")) {
            let place = groups.file(&entry.name);
            let Some(text) = store::if_there(self.store.read_at_most(&place, 16 << 20))? else { continue };
            let Ok(text) = String::from_utf8(text) else { continue };
            let after = group_after(&text, from, to)?;
            if after != text {
                writer.write(&place, after.as_bytes(), Expect::Anything)?;
            }
        }
        Ok(())
    }

    /// Moves a character to the trash, with its chats or without. Chats that stay are there again for the next character of
    /// that name, as with SillyTavern.
    pub fn delete(&self, handle: &Handle, id: &FileName, with_chats: bool) -> Result<()> {
        self.settle(handle);
        let name = self.row(handle, id)?.ok_or_else(no_such_character)?.name.to_string();
        let mut parts = vec![Part::new(RelPath::parse(Folder::CHARACTERS.as_str())?, CARD_ENDING)];
        if with_chats {
            parts.push(Part::new(RelPath::parse(Folder::CHATS.as_str())?, ""));
        }
        let item = Item { sort: Sort::Character, stem: id.clone(), name, of: None, parts, note: Value::Null };
        self.writing(handle, |writer| {
            self.store.stat(&card_place(handle, id)?)?.ok_or_else(no_such_character)?;
            self.bin.discard(writer, handle, item)?;
            self.thumbnails.forget(writer, handle, Of::Character, &file_of(id)?);
            Ok(())
        })?;
        self.chats.forget(handle);
        if with_chats {
            self.changes.publish(handle, Change::Chats {});
        }
        // What the card said is not to stay in the derived file.
        self.index.save_at_next_look(handle);
        Ok(())
    }

    /// A card as it is, for the trash.
    pub(super) fn version_of(&self, handle: &Handle, id: &FileName) -> Result<Item> {
        let name = self.row(handle, id)?.map_or_else(|| id.to_string(), |row| row.name.to_string());
        let parts = vec![Part::new(RelPath::parse(Folder::CHARACTERS.as_str())?, CARD_ENDING)];
        Ok(Item { sort: Sort::Version, stem: id.clone(), name, of: None, parts, note: Value::Null })
    }
}

/// The settings' text when a card's file has another name.
fn settings_after(text: &str, from: &FileName, to: &FileName) -> Result<String> {
    let (from_file, to_file) = (format!("{from}{CARD_ENDING}"), format!("{to}{CARD_ENDING}"));
    let mut text = text.to_owned();
    if let Some(tags) = splice::get(&text, &["tag_map", &from_file]) {
        let tags: Value = serde_json::from_str(tags).map_err(Error::internal)?;
        text = splice::remove(&splice::set(&text, &["tag_map", &to_file], &tags)?, &["tag_map", &from_file]);
    }
    if splice::value(&text, &["active_character"]) == json!(from_file) {
        text = splice::set(&text, &["active_character"], &json!(to_file))?;
    }
    let lore = ["world_info_settings", "world_info", "charLore"];
    text = changed_at(text, &lore, |lore| {
        for one in lore.as_array_mut().into_iter().flatten() {
            replace_member(one, "name", from.as_str(), to.as_str());
        }
    })?;
    changed_at(text, &["power_user", "persona_descriptions"], |personas| {
        for (_, persona) in personas.as_object_mut().into_iter().flatten() {
            let connections = persona.get_mut("connections").and_then(Value::as_array_mut);
            for connection in connections.into_iter().flatten() {
                replace_member(connection, "id", &from_file, &to_file);
            }
        }
    })
}

fn replace_member(value: &mut Value, name: &str, from: &str, to: &str) {
    if let Some(member) = value.get_mut(name)
        && member.as_str() == Some(from)
    {
        *member = json!(to);
    }
}

/// `text` with what is at `path` changed; the same text where nothing changes.
fn changed_at(text: String, path: &[&str], change: impl FnOnce(&mut Value)) -> Result<String> {
    let before = splice::value(&text, path);
    let mut after = before.clone();
    change(&mut after);
    if after == before { Ok(text) } else { splice::set(&text, path, &after) }
}

/// A group's text when a card's file has another name.
fn group_after(text: &str, from: &FileName, to: &FileName) -> Result<String> {
    let (from, to) = (format!("{from}{CARD_ENDING}"), format!("{to}{CARD_ENDING}"));
    let mut text = text.to_owned();
    for list in ["members", "disabled_members"] {
        text = changed_at(text, &[list], |list| {
            for member in list.as_array_mut().into_iter().flatten() {
                if member.as_str() == Some(&from) {
                    *member = json!(to);
                }
            }
        })?;
    }
    Ok(text)
}

fn journal(handle: &Handle) -> Place {
    Place::of(handle).folder(Folder::OURS).file(&JOURNAL)
}

fn chats(handle: &Handle, id: &FileName) -> Place {
    Place::of(handle).folder(Folder::CHATS).file(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_a_card_follows_it() {
        let (from, to) = (FileName::known("Ada"), FileName::known("Bea"));
        let text = r#"{"zebra":1.50,"active_character":"Ada.png","tag_map":{"x.png":[],"Ada.png":["1"]},
            "world_info_settings":{"world_info":{"charLore":[{"name":"Ada","extraBooks":["b"]}]}},
            "power_user":{"persona_descriptions":{"p.png":{"connections":[{"type":"character","id":"Ada.png"}]}}}}"#;
        let after = settings_after(text, &from, &to).unwrap();
        let value: Value = serde_json::from_str(&after).unwrap();
        let expected: Value = serde_json::from_str(&text.replace("Ada", "Bea")).unwrap();
        assert_eq!(value, expected);
        assert!(after.contains("\"zebra\":1.50,"));
        assert_eq!(settings_after("{\"a\":1}", &from, &to).unwrap(), "{\"a\":1}");
        let group = "{\n    \"members\": [\n        \"Ada.png\",\n        \"c.png\"\n    ],\n    \"n\": 1.0\n}";
        assert_eq!(group_after(group, &from, &to).unwrap(), group.replace("Ada", "Bea"));
    }
}
