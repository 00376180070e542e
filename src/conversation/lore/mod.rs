//! Lorebooks: entries that go into the prompt when the conversation comes to them.
//!
//! - this file: what books and settings say, in SillyTavern's fields
//! - [`keys`]: whether a key is found
//! - [`scan`]: which entries become active

mod keys;
pub mod scan;

use serde_json::{Map, Value};

use super::ingredients::RoleOf;

/// The most entries that are looked at, over all books.
pub const ENTRIES_MAX: usize = 20_000;

/// Where a book comes from. Chats' and personas' books come before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Chosen for the chat.
    Chat,
    /// Chosen for the persona.
    Persona,
    /// In the card, or chosen by it.
    Character,
    /// Chosen for all chats.
    Global,
}

/// A lorebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// Its entries.
    pub entries: Vec<Entry>,
}

impl Book {
    /// From the JSON of a file in `worlds/` or of a card's `character_book`. What cannot be read is left out.
    pub fn parse(name: &str, source: Source, json: &Value) -> Self {
        let entries: Vec<&Value> = match json.get("entries") {
            Some(Value::Array(list)) => list.iter().collect(),
            Some(Value::Object(map)) => map.values().collect(),
            _ => Vec::new(),
        };
        let scan_depth = json.get("scan_depth").and_then(Value::as_u64);
        let entries = entries.into_iter().take(ENTRIES_MAX).enumerate().filter_map(|(at, entry)| {
            let mut entry = Entry::parse(at, entry.as_object()?);
            entry.scan_depth = entry.scan_depth.or(scan_depth.filter(|depth| *depth > 0).map(small));
            Some(entry)
        });
        Self { name: name.to_owned(), source, entries: entries.collect() }
    }
}

/// How the second keys decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logic {
    /// At least one is there.
    AndAny,
    /// At least one is missing.
    NotAll,
    /// None is there.
    NotAny,
    /// All are there.
    AndAll,
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Above the character's description.
    Before,
    /// Below the scenario.
    After,
    /// Above the author's note.
    NoteTop,
    /// Below the author's note.
    NoteBottom,
    /// Between the messages.
    AtDepth,
    /// Above the examples.
    ExamplesTop,
    /// Below the examples.
    ExamplesBottom,
    /// Where `{{outlet::name}}` stands.
    Outlet,
}

/// What can be looked through beside the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlsoIn {
    /// The persona's description.
    pub persona: bool,
    /// The character's description.
    pub description: bool,
    /// The character's personality.
    pub personality: bool,
    /// The character's depth prompt.
    pub depth_prompt: bool,
    /// The scenario.
    pub scenario: bool,
    /// The creator's notes.
    pub creator_notes: bool,
}

/// An entry, with SillyTavern's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number in the book.
    pub uid: i64,
    /// Its title.
    pub comment: String,
    /// Any of these has to be found.
    pub keys: Vec<String>,
    /// And these, as [`Entry::logic`] says.
    pub secondary: Vec<String>,
    /// Whether the second keys count.
    pub selective: bool,
    /// How the second keys decide.
    pub logic: Logic,
    /// What goes into the prompt.
    pub content: String,
    /// Active without keys.
    pub constant: bool,
    /// Never active.
    pub disabled: bool,
    /// The higher, the nearer to the end, and the earlier it gets room.
    pub order: i64,
    /// Where it goes.
    pub position: Position,
    /// How many messages stand below it, at [`Position::AtDepth`].
    pub depth: u32,
    /// Who says it, at [`Position::AtDepth`].
    pub role: RoleOf,
    /// The outlet's name, at [`Position::Outlet`].
    pub outlet: String,
    /// In how many of a hundred cases it becomes active.
    pub probability: f64,
    /// How many messages are looked through, if not as many as usual.
    pub scan_depth: Option<u32>,
    /// Whether case counts, if not as usual.
    pub case_sensitive: Option<bool>,
    /// Whether keys are whole words, if not as usual.
    pub whole_words: Option<bool>,
    /// Other entries do not make it active.
    pub exclude_recursion: bool,
    /// It makes no others active.
    pub prevent_recursion: bool,
    /// Only other entries make it active, from this step on; 0 is no such rule.
    pub delay_until_recursion: u32,
    /// Of each of these groups, one entry becomes active.
    pub groups: Vec<String>,
    /// Its chances in a group.
    pub group_weight: f64,
    /// Goes before others of its groups.
    pub group_override: bool,
    /// Whether the number of keys found decides in groups, if not as usual.
    pub group_scoring: Option<bool>,
    /// For how many messages it stays active.
    pub sticky: u32,
    /// For how many messages it then rests.
    pub cooldown: u32,
    /// From how many messages on it can be active.
    pub delay: u32,
    /// Does not count against the lorebooks' share.
    pub ignore_budget: bool,
    /// For which purposes; all when empty.
    pub triggers: Vec<String>,
    /// Card file names and tags, and whether they are shut out rather than let in.
    pub filter: Option<Filter>,
    /// Where else keys may be found.
    pub also_in: AlsoIn,
}

/// For which characters an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Whether these are shut out.
    pub exclude: bool,
    /// Card file names without ending.
    pub names: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
}

impl Entry {
    /// From an entry of either form. A card keeps under `extensions` what its format has no field for.
    fn parse(at: usize, json: &Map<String, Value>) -> Self {
        let empty = Map::new();
        let extensions = json.get("extensions").and_then(Value::as_object).unwrap_or(&empty);
        let field = Fields { json, extensions };
        let is_card = json.contains_key("keys");
        let position = match field.number("position", "position") {
            Some(number) => position(number),
            None if json.get("position").and_then(Value::as_str) == Some("before_char") => Position::Before,
            None if is_card => Position::After,
            None => Position::Before,
        };
        let use_probability = field.flag("useProbability", "useProbability").unwrap_or(true);
        Self {
            uid: field.number("uid", "uid").or(field.number("id", "id")).unwrap_or(at as i64),
            comment: field.text("comment").or(field.text("name")).unwrap_or_default(),
            keys: texts(json.get("key").or(json.get("keys"))),
            secondary: texts(json.get("keysecondary").or(json.get("secondary_keys"))),
            selective: field.flag("selective", "selective").unwrap_or(!is_card),
            logic: match field.number("selectiveLogic", "selectiveLogic") {
                Some(1) => Logic::NotAll,
                Some(2) => Logic::NotAny,
                Some(3) => Logic::AndAll,
                _ => Logic::AndAny,
            },
            content: field.text("content").unwrap_or_default(),
            constant: field.flag("constant", "constant").unwrap_or(false),
            disabled: field.flag("disable", "disable").unwrap_or(false)
                || json.get("enabled").and_then(Value::as_bool) == Some(false),
            order: field.number("order", "order").or(field.number("insertion_order", "")).unwrap_or(100),
            position,
            depth: field.number("depth", "depth").map_or(4, clamp),
            role: RoleOf::from_json(extensions.get("role").or(json.get("role"))),
            outlet: field.value("outletName", "outlet_name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            probability: if use_probability {
                field.float("probability", "probability").unwrap_or(100.0)
            } else {
                100.0
            },
            scan_depth: field.number("scanDepth", "scan_depth").map(clamp),
            case_sensitive: field.flag("caseSensitive", "case_sensitive"),
            whole_words: field.flag("matchWholeWords", "match_whole_words"),
            exclude_recursion: field.flag("excludeRecursion", "exclude_recursion").unwrap_or(false),
            prevent_recursion: field.flag("preventRecursion", "prevent_recursion").unwrap_or(false),
            delay_until_recursion: match field.value("delayUntilRecursion", "delay_until_recursion") {
                Some(Value::Bool(true)) => 1,
                Some(value) => value.as_i64().map_or(0, clamp),
                None => 0,
            },
            groups: field
                .value("group", "group")
                .and_then(Value::as_str)
                .map(|groups| {
                    groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned).collect()
                })
                .unwrap_or_default(),
            group_weight: field.float("groupWeight", "group_weight").unwrap_or(100.0).clamp(0.0, 1e6),
            group_override: field.flag("groupOverride", "group_override").unwrap_or(false),
            group_scoring: field.flag("useGroupScoring", "use_group_scoring"),
            sticky: field.number("sticky", "sticky").map_or(0, clamp),
            cooldown: field.number("cooldown", "cooldown").map_or(0, clamp),
            delay: field.number("delay", "delay").map_or(0, clamp),
            ignore_budget: field.flag("ignoreBudget", "ignore_budget").unwrap_or(false),
            triggers: texts(field.value("triggers", "triggers")),
            filter: field.value("characterFilter", "character_filter").and_then(filter),
            also_in: AlsoIn {
                persona: field.flag("matchPersonaDescription", "match_persona_description").unwrap_or(false),
                description: field.flag("matchCharacterDescription", "match_character_description").unwrap_or(false),
                personality: field.flag("matchCharacterPersonality", "match_character_personality").unwrap_or(false),
                depth_prompt: field.flag("matchCharacterDepthPrompt", "match_character_depth_prompt").unwrap_or(false),
                scenario: field.flag("matchScenario", "match_scenario").unwrap_or(false),
                creator_notes: field.flag("matchCreatorNotes", "match_creator_notes").unwrap_or(false),
            },
        }
    }

    /// What people see it as.
    pub fn title(&self) -> String {
        let title = if self.comment.is_empty() { self.keys.first().map_or("", String::as_str) } else { &self.comment };
        title.chars().take(80).collect()
    }
}

/// An entry's members, under a book's names or, in a card, under those of its extensions.
struct Fields<'a> {
    json: &'a Map<String, Value>,
    extensions: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn value(&self, own: &str, extension: &str) -> Option<&'a Value> {
        let found = self.extensions.get(extension).or_else(|| self.json.get(own)).or_else(|| self.json.get(extension));
        found.filter(|value| !value.is_null())
    }

    fn flag(&self, own: &str, extension: &str) -> Option<bool> {
        match self.value(own, extension)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            _ => None,
        }
    }

    fn float(&self, own: &str, extension: &str) -> Option<f64> {
        let value = self.value(own, extension)?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
    }

    fn number(&self, own: &str, extension: &str) -> Option<i64> {
        self.float(own, extension).map(|number| number as i64)
    }

    fn text(&self, own: &str) -> Option<String> {
        self.json.get(own).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

fn position(number: i64) -> Position {
    match number {
        1 => Position::After,
        2 => Position::NoteTop,
        3 => Position::NoteBottom,
        4 => Position::AtDepth,
        5 => Position::ExamplesTop,
        6 => Position::ExamplesBottom,
        7 => Position::Outlet,
        _ => Position::Before,
    }
}

fn clamp(number: i64) -> u32 {
    number.clamp(0, 1_000_000) as u32
}

fn small(number: u64) -> u32 {
    number.min(1_000_000) as u32
}

/// A list of texts, or one text with commas in it.
fn texts(value: Option<&Value>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split(',').collect(),
        _ => Vec::new(),
    };
    texts.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn filter(value: &Value) -> Option<Filter> {
    let filter = Filter {
        exclude: value.get("isExclude").and_then(Value::as_bool).unwrap_or(false),
        names: texts(value.get("names")),
        tags: texts(value.get("tags")),
    };
    (!filter.names.is_empty() || !filter.tags.is_empty()).then_some(filter)
}

/// Whose entries get room first, and stand nearer to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By order alone.
    Evenly,
    /// The character's.
    #[default]
    CharacterFirst,
    /// Those for all chats.
    GlobalFirst,
}

/// How lorebooks are searched, as SillyTavern's settings have it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoreSettings {
    /// How many of the newest messages are looked through.
    pub scan_depth: u32,
    /// The lorebooks' share of the context, in hundredths.
    pub budget_percent: u32,
    /// And at most so many tokens; 0 is no such limit.
    pub budget_cap: u32,
    /// Looks through more messages until so many entries are active.
    pub min_activations: u32,
    /// But not more than so many; 0 is no such limit.
    pub min_activations_depth: u32,
    /// Whether entries make others active.
    pub recursive: bool,
    /// After so many steps no more; 0 is the server's limit.
    pub max_steps: u32,
    /// Whether case counts.
    pub case_sensitive: bool,
    /// Whether keys are whole words.
    pub whole_words: bool,
    /// Whether the number of keys found decides in groups.
    pub group_scoring: bool,
    /// Whether speakers' names are looked through as well.
    pub include_names: bool,
    /// Whose entries go first.
    pub strategy: Strategy,
}

impl Default for LoreSettings {
    fn default() -> Self {
        Self {
            scan_depth: 2,
            budget_percent: 25,
            budget_cap: 0,
            min_activations: 0,
            min_activations_depth: 0,
            recursive: true,
            max_steps: 0,
            case_sensitive: false,
            whole_words: true,
            group_scoring: false,
            include_names: true,
            strategy: Strategy::default(),
        }
    }
}

impl LoreSettings {
    /// From `world_info_settings` of SillyTavern's settings; what is missing there is as usual.
    pub fn parse(json: &Value) -> Self {
        let usual = Self::default();
        let number = |name: &str, usual: u32| json.get(name).and_then(Value::as_f64).map_or(usual, |n| clamp(n as i64));
        let flag = |name: &str, usual: bool| json.get(name).and_then(Value::as_bool).unwrap_or(usual);
        Self {
            scan_depth: number("world_info_depth", usual.scan_depth),
            budget_percent: number("world_info_budget", usual.budget_percent).min(100),
            budget_cap: number("world_info_budget_cap", usual.budget_cap),
            min_activations: number("world_info_min_activations", usual.min_activations),
            min_activations_depth: number("world_info_min_activations_depth_max", usual.min_activations_depth),
            recursive: flag("world_info_recursive", usual.recursive),
            max_steps: number("world_info_max_recursion_steps", usual.max_steps),
            case_sensitive: flag("world_info_case_sensitive", usual.case_sensitive),
            whole_words: flag("world_info_match_whole_words", usual.whole_words),
            group_scoring: flag("world_info_use_group_scoring", usual.group_scoring),
            include_names: flag("world_info_include_names", usual.include_names),
            strategy: match json.get("world_info_character_strategy").and_then(Value::as_i64) {
                Some(0) => Strategy::Evenly,
                Some(2) => Strategy::GlobalFirst,
                _ => Strategy::CharacterFirst,
            },
        }
    }
}

#[cfg(test)]
mod tests;
