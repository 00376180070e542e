//! What can be changed in a card. Everything else in it stays as it is.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Card, DEPTH, DepthPrompt, MIRRORED, TALKATIVENESS};
use crate::error::{Error, Result};

/// The longest name, in characters.
const NAME_MAX: usize = 200;

/// Fields to change; what is `None` stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Edit {
    /// What the character is called. The file keeps its name.
    pub name: Option<String>,
    /// Who the character is.
    pub description: Option<String>,
    /// The personality.
    pub personality: Option<String>,
    /// Where and when it plays.
    pub scenario: Option<String>,
    /// What the character says first.
    pub first_message: Option<String>,
    /// Other first messages.
    pub alternate_greetings: Option<Vec<String>>,
    /// Examples of how the character talks.
    pub example_messages: Option<String>,
    /// What replaces the usual system prompt.
    pub system_prompt: Option<String>,
    /// What comes after the history.
    pub post_history_instructions: Option<String>,
    /// Who made the card.
    pub creator: Option<String>,
    /// What the maker says to people.
    pub creator_notes: Option<String>,
    /// The maker's number for this state.
    pub character_version: Option<String>,
    /// Tags of the card itself.
    pub tags: Option<Vec<String>>,
    /// Whether it is a favourite.
    pub favorite: Option<bool>,
    /// From 0 to 1.
    pub talkativeness: Option<f64>,
    /// The prompt at some depth.
    pub depth_prompt: Option<DepthPrompt>,
    /// The name of the lorebook that goes with the card.
    pub world: Option<String>,
    /// The lorebook inside the card; `Some(None)` removes it.
    #[serde(deserialize_with = "present")]
    pub lorebook: Option<Option<Map<String, Value>>>,
}

/// Tells `null` from a field that is not there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Map<String, Value>>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Edit {
    /// Refuses what no card should say.
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if let Some(number) = self.talkativeness
            && !(0.0..=1.0).contains(&number)
        {
            return Err(Error::invalid("bad_request", "Talkativeness is a number from 0 to 1."));
        }
        if let Some(prompt) = &self.depth_prompt
            && !["system", "user", "assistant"].contains(&prompt.role.as_str())
        {
            return Err(Error::invalid("bad_request", "The role of a depth prompt is system, user or assistant."));
        }
        Ok(())
    }
}

/// Refuses names that could not be shown.
pub fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > NAME_MAX {
        return Err(Error::invalid("bad_name", "A character's name has 1 to 200 characters, not only spaces."));
    }
    Ok(())
}

impl Card {
    /// Changes what `edit` names. A field that already says so is not touched, so that a card in which nothing changed is
    /// the same as before.
    pub fn apply(&mut self, edit: &Edit) -> Result<()> {
        edit.check()?;
        let texts = [
            ("name", &edit.name),
            ("description", &edit.description),
            ("personality", &edit.personality),
            ("scenario", &edit.scenario),
            ("first_mes", &edit.first_message),
            ("mes_example", &edit.example_messages),
            ("system_prompt", &edit.system_prompt),
            ("post_history_instructions", &edit.post_history_instructions),
            ("creator", &edit.creator),
            ("creator_notes", &edit.creator_notes),
            ("character_version", &edit.character_version),
        ];
        for (name, text) in texts {
            if let Some(text) = text
                && self.text(name) != text
            {
                self.set_data(name, json!(text));
            }
        }
        if let Some(greetings) = &edit.alternate_greetings
            && self.alternate_greetings() != *greetings
        {
            self.set_data("alternate_greetings", json!(greetings));
        }
        if let Some(tags) = &edit.tags
            && self.tags() != *tags
        {
            self.set_data("tags", json!(tags));
        }
        match &edit.lorebook {
            Some(Some(book)) if self.lorebook().and_then(Value::as_object) != Some(book) => {
                self.set_data("character_book", Value::Object(book.clone()));
            }
            Some(None) if self.lorebook().is_some() => {
                self.upgraded().and_then(|data| data.shift_remove("character_book"));
            }
            _ => {}
        }
        self.apply_extensions(edit);
        Ok(())
    }

    fn apply_extensions(&mut self, edit: &Edit) {
        if let Some(favorite) = edit.favorite
            && self.favorite() != favorite
        {
            self.set_extension("fav", json!(favorite));
        }
        if let Some(number) = edit.talkativeness
            && self.talkativeness() != number
        {
            self.set_extension("talkativeness", json!(number));
        }
        if let Some(world) = &edit.world
            && self.world() != world
        {
            self.set_extension("world", json!(world));
        }
        if let Some(prompt) = &edit.depth_prompt
            && self.depth_prompt() != *prompt
        {
            let depth = json!({ "prompt": prompt.prompt, "depth": prompt.depth, "role": prompt.role });
            let mut merged = match self.extensions().and_then(|extensions| extensions.get("depth_prompt")) {
                Some(Value::Object(old)) => old.clone(),
                _ => Map::new(),
            };
            if let Value::Object(new) = depth {
                merged.extend(new);
            }
            self.set_extension("depth_prompt", Value::Object(merged));
        }
    }

    /// Takes out what is of no concern to others: that it is a favourite, and which chat was open.
    pub fn without_private(mut self) -> Self {
        if self.favorite() {
            self.set_extension("fav", json!(false));
        }
        self.fields.shift_remove("chat");
        self
    }

    /// Whether [`Card::without_private`] would change anything.
    pub fn has_private(&self) -> bool {
        self.favorite() || self.fields.contains_key("chat")
    }

    /// Notes which chat SillyTavern is to open with this character.
    pub fn set_chat(&mut self, chat: &str) {
        self.fields.insert("chat".to_owned(), json!(chat));
    }

    /// Sets a field of `data`, and where version 1 had a place for it that is in use, that too.
    pub(super) fn set_data(&mut self, name: &str, value: Value) {
        let old = MIRRORED.iter().find(|(new, _)| *new == name).map_or(name, |(_, old)| old);
        if let Some(data) = self.upgraded() {
            data.insert(name.to_owned(), value.clone());
        }
        if let Some(mirror) = self.fields.get_mut(old) {
            *mirror = value;
        }
    }

    fn set_extension(&mut self, name: &str, value: Value) {
        if let Some(data) = self.upgraded() {
            let extensions = data.entry("extensions").or_insert_with(|| json!({}));
            if !extensions.is_object() {
                *extensions = json!({});
            }
            if let Some(extensions) = extensions.as_object_mut() {
                extensions.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(mirror) = self.fields.get_mut(name) {
            *mirror = value;
        }
    }

    /// Gives a card of version 1 the fields of version 2; others stay as they are.
    pub(crate) fn upgrade(&mut self) {
        self.upgraded();
    }

    /// `data`, always there; a card of version 1 gets one, made from its fields, which stay as well.
    fn upgraded(&mut self) -> Option<&mut Map<String, Value>> {
        if self.data().is_none() {
            let data = self.data_of_version_1();
            self.fields.entry("spec").or_insert_with(|| json!("chara_card_v2"));
            self.fields.entry("spec_version").or_insert_with(|| json!("2.0"));
            self.fields.insert("data".to_owned(), Value::Object(data));
        }
        self.fields.get_mut("data")?.as_object_mut()
    }

    fn data_of_version_1(&self) -> Map<String, Value> {
        let Some(Value::Object(mut data)) = Card::new(self.name()).fields.shift_remove("data") else {
            return Map::new();
        };
        for (new, old) in MIRRORED {
            if let Some(value) = self.fields.get(*old) {
                data.insert((*new).to_owned(), value.clone());
            }
        }
        let extensions = json!({
            "talkativeness": self.fields.get("talkativeness").cloned().unwrap_or_else(|| json!(TALKATIVENESS)),
            "fav": self.favorite(),
            "world": "",
            "depth_prompt": { "prompt": "", "depth": DEPTH, "role": "system" },
        });
        data.insert("extensions".to_owned(), extensions);
        data
    }
}
