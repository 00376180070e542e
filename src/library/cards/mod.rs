//! Character cards: what a card says, and the files that cards travel in.
//!
//! - [`Card`]: the JSON of a card of any version, with all fields that we do not know
//! - [`edit`]: what can be changed in one
//! - [`png`]: the text chunks of a PNG, which is how SillyTavern keeps cards
//! - [`charx`]: zip archives with a card and its assets
//! - [`picture`]: the pictures themselves: checked before they are decoded
//!
//! A card is hostile input: it comes from strangers. Nothing here runs, follows or trusts what it says, and every size is
//! bounded.

pub mod book;
pub mod charx;

pub mod edit;
pub mod picture;
pub mod png;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::error::{Error, Kind, Result};
use crate::library::json;

/// The most text that a card may have, in bytes: the JSON, or what it is packed into.
pub const TEXT_MAX: usize = 64 << 20;
/// Talkativeness of a card that says nothing of it, as SillyTavern has it.
const TALKATIVENESS: f64 = 0.5;
/// Depth of a depth prompt that does not say.
const DEPTH: u32 = 4;

/// Pairs of the name that a field has in `data`, and the one that version 1 had for it at the top.
const MIRRORED: &[(&str, &str)] = &[
    ("name", "name"),
    ("description", "description"),
    ("personality", "personality"),
    ("scenario", "scenario"),
    ("first_mes", "first_mes"),
    ("mes_example", "mes_example"),
    ("creator_notes", "creatorcomment"),
    ("tags", "tags"),
];

/// What a card says: its JSON, in the order in which it came, with typed views of what we know.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    fields: Map<String, Value>,
}

/// A prompt that is put at some depth of the history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthPrompt {
    /// Its text; empty for none.
    #[serde(default)]
    pub prompt: String,
    /// How many messages from the end.
    #[serde(default = "depth")]
    pub depth: u32,
    /// `system`, `user` or `assistant`.
    #[serde(default = "system")]
    pub role: String,
}

fn depth() -> u32 {
    DEPTH
}

fn system() -> String {
    "system".to_owned()
}

impl Default for DepthPrompt {
    fn default() -> Self {
        Self { prompt: String::new(), depth: DEPTH, role: system() }
    }
}

impl Card {
    /// A card with nothing but a name, in the form that SillyTavern 1.19 writes.
    pub fn new(name: &str) -> Self {
        let data = json!({
            "name": name, "description": "", "personality": "", "scenario": "", "first_mes": "", "mes_example": "",
            "creator_notes": "", "system_prompt": "", "post_history_instructions": "", "tags": [], "creator": "",
            "character_version": "", "alternate_greetings": [],
            "extensions": {
                "talkativeness": TALKATIVENESS, "fav": false, "world": "",
                "depth_prompt": { "prompt": "", "depth": DEPTH, "role": "system" },
            },
        });
        let mut fields = Map::new();
        for (_, old) in MIRRORED.iter().filter(|(_, old)| *old != "tags") {
            fields.insert((*old).to_owned(), json!(if *old == "name" { name } else { "" }));
        }
        fields.insert("avatar".to_owned(), json!("none"));
        fields.insert("talkativeness".to_owned(), json!(TALKATIVENESS));
        fields.insert("fav".to_owned(), json!(false));
        fields.insert("tags".to_owned(), json!([]));
        fields.insert("spec".to_owned(), json!("chara_card_v2"));
        fields.insert("spec_version".to_owned(), json!("2.0"));
        fields.insert("data".to_owned(), data);
        Self { fields }
    }

    /// Reads the JSON of a card: version 1, 2 or 3, or Pygmalion's shape, which becomes version 2.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.len() > TEXT_MAX {
            return Err(too_much_text());
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = whole_characters(&String::from_utf8_lossy(text)).into_owned();
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| bad_card(format!("its JSON is damaged: {error}")).because(error))?;
        let Value::Object(fields) = value else { return Err(bad_card("its JSON is not an object")) };
        Self::from_fields(fields)
    }

    /// Takes parsed JSON, if it is that of a card.
    pub fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        let fields = match fields.get("char_name") {
            Some(Value::String(_)) if !fields.contains_key("name") && !fields.contains_key("data") => pygmalion(fields),
            _ => fields,
        };
        let card = Self { fields };
        if card.has_name() { Ok(card) } else { Err(bad_card("it has no name")) }
    }

    /// The JSON, all of it.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The JSON as text, as a file of its own: indented by four spaces.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::indented(&self.fields)
    }

    fn has_name(&self) -> bool {
        let named = |map: &Map<String, Value>| map.get("name").is_some_and(Value::is_string);
        self.data().map_or_else(|| named(&self.fields), |data| named(data) || named(&self.fields))
    }

    fn data(&self) -> Option<&Map<String, Value>> {
        self.fields.get("data")?.as_object()
    }

    fn extensions(&self) -> Option<&Map<String, Value>> {
        self.data()?.get("extensions")?.as_object()
    }

    /// A field of `data`, or where there is none, the one at the top that stands for it.
    fn field(&self, name: &str) -> Option<&Value> {
        let old = MIRRORED.iter().find(|(new, _)| *new == name).map_or(name, |(_, old)| old);
        self.data().and_then(|data| data.get(name)).filter(|value| !value.is_null()).or_else(|| self.fields.get(old))
    }

    fn text(&self, name: &str) -> &str {
        self.field(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What the character is called.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// Who the character is.
    pub fn description(&self) -> &str {
        self.text("description")
    }

    /// The character's personality.
    pub fn personality(&self) -> &str {
        self.text("personality")
    }

    /// Where and when it plays.
    pub fn scenario(&self) -> &str {
        self.text("scenario")
    }

    /// What the character says first.
    pub fn first_message(&self) -> &str {
        self.text("first_mes")
    }

    /// Other first messages.
    pub fn alternate_greetings(&self) -> Vec<&str> {
        self.data()
            .and_then(|data| data.get("alternate_greetings")?.as_array())
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }

    /// Examples of how the character talks.
    pub fn example_messages(&self) -> &str {
        self.text("mes_example")
    }

    /// What replaces the usual system prompt; empty for nothing.
    pub fn system_prompt(&self) -> &str {
        self.data().and_then(|data| data.get("system_prompt")?.as_str()).unwrap_or_default()
    }

    /// What comes after the history; empty for nothing.
    pub fn post_history_instructions(&self) -> &str {
        self.data().and_then(|data| data.get("post_history_instructions")?.as_str()).unwrap_or_default()
    }

    /// Who made the card.
    pub fn creator(&self) -> &str {
        self.text("creator")
    }

    /// What the maker says to people; never part of a prompt.
    pub fn creator_notes(&self) -> &str {
        self.text("creator_notes")
    }

    /// The maker's number for this state of the card.
    pub fn character_version(&self) -> &str {
        self.text("character_version")
    }

    /// The card's own tags.
    pub fn tags(&self) -> Vec<&str> {
        let list = self.field("tags").and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }

    /// Whether it is a favourite.
    pub fn favorite(&self) -> bool {
        let own = self.extensions().and_then(|extensions| extensions.get("fav"));
        own.or_else(|| self.fields.get("fav")).is_some_and(is_true)
    }

    /// How often the character speaks up in a group, from 0 to 1.
    pub fn talkativeness(&self) -> f64 {
        let own = self.extensions().and_then(|extensions| extensions.get("talkativeness"));
        own.or_else(|| self.fields.get("talkativeness"))
            .and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()))
            .filter(|number: &f64| number.is_finite())
            .map_or(TALKATIVENESS, |number| number.clamp(0.0, 1.0))
    }

    /// The name of the lorebook that goes with the card; empty for none.
    pub fn world(&self) -> &str {
        self.extensions().and_then(|extensions| extensions.get("world")?.as_str()).unwrap_or_default()
    }

    /// The prompt at some depth of the history; its text is empty for none.
    pub fn depth_prompt(&self) -> DepthPrompt {
        let found = self.extensions().and_then(|extensions| extensions.get("depth_prompt")?.as_object());
        let Some(found) = found else { return DepthPrompt::default() };
        let depth = found.get("depth").and_then(|depth| depth.as_u64().or_else(|| depth.as_str()?.parse().ok()));
        DepthPrompt {
            prompt: found.get("prompt").and_then(Value::as_str).unwrap_or_default().to_owned(),
            depth: depth.and_then(|depth| u32::try_from(depth).ok()).unwrap_or(DEPTH),
            role: found.get("role").and_then(Value::as_str).unwrap_or("system").to_owned(),
        }
    }

    /// The lorebook inside the card, as it stands there.
    pub fn lorebook(&self) -> Option<&Value> {
        self.data()?.get("character_book").filter(|book| book.is_object())
    }

    /// The chat that SillyTavern opens with this character, by its name without `.jsonl`.
    pub fn chat(&self) -> Option<&str> {
        self.fields.get("chat").and_then(Value::as_str)
    }

    /// Which specification the card follows; version 1 has no word for it.
    pub fn spec(&self) -> &str {
        match self.fields.get("spec").and_then(Value::as_str) {
            Some(spec) => spec,
            None if self.data().is_some() => "chara_card_v2",
            None => "chara_card_v1",
        }
    }

    /// The two texts that a PNG carries: for readers of version 2, and for those of version 3.
    pub(crate) fn png_texts(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        // Whoever reads that it is version 2 looks for what version 1 does not have.
        let mut card = self.clone();
        card.upgrade();
        let older = serde_json::to_vec(&card.as_version("chara_card_v2", "2.0")).map_err(Error::internal)?;
        let newer = serde_json::to_vec(&card.as_version("chara_card_v3", "3.0")).map_err(Error::internal)?;
        Ok((older, newer))
    }

    fn as_version(&self, spec: &str, version: &str) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        if fields.get("spec").and_then(Value::as_str) != Some(spec) {
            fields.insert("spec".to_owned(), json!(spec));
            fields.insert("spec_version".to_owned(), json!(version));
        }
        fields
    }
}

/// How a yes is written: SillyTavern has had both.
pub(crate) fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str() == Some("true"))
}

/// The shape of Pygmalion's first editor, as version 2. What it does not explain stays where it was.
fn pygmalion(mut old: Map<String, Value>) -> Map<String, Value> {
    let mut take = |name: &str| match old.shift_remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let mut card = Card::new(&take("char_name"));
    let texts = [
        ("description", take("char_persona")),
        ("scenario", take("world_scenario")),
        ("first_mes", take("char_greeting")),
        ("mes_example", take("example_dialogue")),
    ];
    for (name, text) in texts {
        card.set_data(name, Value::String(text));
    }
    for (name, value) in old {
        card.fields.entry(name).or_insert(value);
    }
    card.fields
}

/// Half characters, which JavaScript writes where it cut a text in two, become the sign for something unreadable; Rust's
/// strings cannot hold them.
fn whole_characters(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        at += found;
        match surrogate(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(surrogate(bytes, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            None => at = (at + 2).min(bytes.len()),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The number of an escape `\uXXXX` that stands at `at`.
fn surrogate(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The error of what is no card.
pub(crate) fn bad_card(why: impl std::fmt::Display) -> Error {
    Error::invalid("bad_card", format!("This is not a character card that can be read: {why}. Nothing was changed."))
}

/// The error of a card with more text than anybody would write.
pub(crate) fn too_much_text() -> Error {
    Error::new(Kind::TooLarge, "too_large", "This card has more than 64 MiB of text. Nothing was changed.")
}
