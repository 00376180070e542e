//! Macros: `{{char}}`, `{{random::a::b}}` and their like, as SillyTavern's people write them.
//!
//! Names are taken in any case, unknown macros stay as they stand, and the inner one of two goes first. Cards and
//! lorebooks are strangers' texts: what they can make of themselves is bounded, by a depth and by [`FUEL`], which all
//! texts of one prompt share. When it is used up, further macros stay as they stand.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use super::calendar;
use super::chance::Chance;
use super::ingredients::{Character, HistoryMessage, Ingredients, Persona};
use crate::hash::hash;
use crate::models::Role;

/// How many bytes macros may bring into one prompt, or look through while they do.
pub const FUEL: usize = 8 * 1024 * 1024;
/// How deep macros may stand in each other.
const DEPTH_MAX: usize = 12;
/// The longest text that a variable keeps, in bytes, and how many variables a chat has at most.
const VARIABLE_MAX: usize = 64 * 1024;
const VARIABLES_MAX: usize = 1000;
/// The most dice in one roll.
const DICE_MAX: u64 = 1000;

/// What macros stand for in one prompt.
pub struct Macros<'a> {
    character: &'a Character,
    persona: &'a Persona,
    history: &'a [HistoryMessage],
    chat_length: usize,
    main: &'a str,
    model: &'a str,
    input: &'a str,
    room: usize,
    now: OffsetDateTime,
    chance: Chance,
    chat_seed: u64,
    variables: RefCell<Map<String, Value>>,
    changed: Cell<bool>,
    globals: RefCell<Map<String, Value>>,
    outlets: RefCell<HashMap<String, String>>,
    fuel: Cell<usize>,
}

impl<'a> Macros<'a> {
    /// For texts outside a chat, such as a greeting.
    pub fn new(character: &'a Character, persona: &'a Persona, now: OffsetDateTime, seed: u64) -> Self {
        Self {
            character,
            persona,
            history: &[],
            chat_length: 0,
            main: "",
            model: "",
            input: "",
            room: 0,
            now,
            chance: Chance::new(seed),
            chat_seed: seed,
            variables: RefCell::default(),
            changed: Cell::new(false),
            globals: RefCell::default(),
            outlets: RefCell::default(),
            fuel: Cell::new(FUEL),
        }
    }

    /// For a prompt.
    pub fn of(from: &Ingredients<'a>) -> Self {
        let variables = from.metadata.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            history: from.history,
            chat_length: from.chat_length.max(from.history.len()),
            main: &from.settings.main,
            model: from.model,
            input: from.input,
            room: from.budget.for_prompt(),
            chat_seed: from.chat_seed,
            variables: RefCell::new(variables),
            globals: RefCell::new(from.globals.clone()),
            ..Self::new(from.character, from.persona, from.now, from.seed)
        }
    }

    /// `text` with its macros replaced.
    pub fn expand(&self, text: &str) -> String {
        Run { macros: self, original: None, open: Vec::new() }.text(text)
    }

    /// The same, where `{{original}}` stands for the text whose place `text` takes.
    pub fn expand_over(&self, text: &str, original: &str) -> String {
        Run { macros: self, original: Some(original), open: Vec::new() }.text(text)
    }

    /// `text` with nothing replaced but `{{char}}` and `{{user}}`: what is done to messages of the chat.
    pub fn names(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '<']) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            match NAMES.iter().find(|(name, _)| starts_with(rest, name)) {
                Some((name, who)) => {
                    out.push_str(self.name_of(*who));
                    rest = &rest[name.len()..];
                }
                None => {
                    out.push_str(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// What `{{outlet::name}}` stands for from now on.
    pub fn set_outlet(&self, name: &str, text: String) {
        self.outlets.borrow_mut().insert(name.to_owned(), text);
    }

    /// The chat's variables, if a macro has changed them.
    pub fn changed_variables(&self) -> Option<Map<String, Value>> {
        self.changed.get().then(|| self.variables.borrow().clone())
    }

    fn name_of(&self, who: Who) -> &str {
        match who {
            Who::Character => &self.character.name,
            Who::Person => &self.persona.name,
        }
    }

    /// Whether there is fuel for `bytes` more.
    fn burn(&self, bytes: usize) -> bool {
        match self.fuel.get().checked_sub(bytes) {
            Some(left) => {
                self.fuel.set(left);
                true
            }
            None => false,
        }
    }

    fn last(&self, wanted: impl Fn(&HistoryMessage) -> bool) -> &str {
        let found = self.history.iter().rev().find(|message| !message.hidden && wanted(message));
        found.map_or("", |message| &message.text)
    }

    fn idle(&self) -> String {
        let spoken = self.history.iter().rev().filter(|message| !message.hidden).skip(1);
        let before = spoken.filter(|message| message.role == Role::User).find_map(|message| message.at);
        before.map_or_else(|| "just now".to_owned(), |at| calendar::span(self.now - at))
    }
}

#[derive(Clone, Copy)]
enum Who {
    Character,
    Person,
}

const NAMES: &[(&str, Who)] = &[
    ("{{char}}", Who::Character),
    ("{{user}}", Who::Person),
    ("<USER>", Who::Person),
    ("<BOT>", Who::Character),
    ("<CHAR>", Who::Character),
    ("<CHARIFNOTGROUP>", Who::Character),
    ("<GROUP>", Who::Character),
];

fn starts_with(text: &str, name: &str) -> bool {
    text.as_bytes().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

/// A text of the card or the like, which may have macros itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Persona,
    Description,
    Personality,
    Scenario,
    Examples,
    System,
    CharPrompt,
    CharInstruction,
    DepthPrompt,
    CreatorNotes,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "persona" => Self::Persona,
            "description" | "chardescription" => Self::Description,
            "personality" | "charpersonality" => Self::Personality,
            "scenario" | "charscenario" => Self::Scenario,
            "mesexamples" | "mesexamplesraw" => Self::Examples,
            "system" | "systemprompt" | "defaultsystemprompt" => Self::System,
            "charprompt" => Self::CharPrompt,
            "charinstruction" | "charjailbreak" => Self::CharInstruction,
            "chardepthprompt" => Self::DepthPrompt,
            "creatornotes" | "charcreatornotes" => Self::CreatorNotes,
            _ => return None,
        })
    }

    fn text<'m>(self, macros: &'m Macros<'_>) -> &'m str {
        let character = macros.character;
        match self {
            Self::Persona => &macros.persona.description,
            Self::Description => &character.description,
            Self::Personality => &character.personality,
            Self::Scenario => &character.scenario,
            Self::Examples => &character.example_messages,
            Self::System => macros.main,
            Self::CharPrompt => &character.system_prompt,
            Self::CharInstruction => &character.post_history_instructions,
            Self::DepthPrompt => character.depth_prompt.as_ref().map_or("", |note| &note.text),
            Self::CreatorNotes => &character.creator_notes,
        }
    }
}

/// One text being expanded.
struct Run<'m, 'a> {
    macros: &'m Macros<'a>,
    original: Option<&'m str>,
    /// The fields that we are in: none opens itself.
    open: Vec<Field>,
}

/// What has been written, and whether `{{trim}}` waits for line breaks to swallow.
#[derive(Default)]
struct Out {
    text: String,
    trimming: bool,
}

impl Out {
    fn push(&mut self, text: &str) {
        let text = if self.trimming { text.trim_start_matches(['\n', '\r']) } else { text };
        self.trimming &= text.is_empty();
        self.text.push_str(text);
    }

    fn trim(&mut self) {
        let kept = self.text.trim_end_matches(['\n', '\r']).len();
        self.text.truncate(kept);
        self.trimming = true;
    }
}

/// What a macro comes to.
enum Means {
    Text(String),
    Trim,
    Unknown,
}

impl Run<'_, '_> {
    fn text(&mut self, text: &str) -> String {
        if !text.contains(['{', '<']) {
            return text.to_owned();
        }
        let pairs = pairs(text);
        let mut out = Out::default();
        self.part(text, 0, text.len(), &pairs, 0, &mut out);
        out.text
    }

    /// Expands `text[from..to]`.
    fn part(&mut self, text: &str, from: usize, to: usize, pairs: &HashMap<usize, usize>, depth: usize, out: &mut Out) {
        let (mut at, mut plain) = (from, from);
        while let Some(found) = text[at..to].find(['{', '<']) {
            at += found;
            if let Some(close) = pairs.get(&at).copied() {
                out.push(&text[plain..at]);
                self.pair(text, at, close, pairs, depth, out);
                at = close + 2;
                plain = at;
            } else if let Some((name, who)) = NAMES[2..].iter().find(|(name, _)| starts_with(&text[at..to], name)) {
                out.push(&text[plain..at]);
                out.push(self.macros.name_of(*who));
                at += name.len();
                plain = at;
            } else {
                at += 1;
            }
        }
        out.push(&text[plain..to]);
    }

    fn pair(
        &mut self,
        text: &str,
        open: usize,
        close: usize,
        pairs: &HashMap<usize, usize>,
        depth: usize,
        out: &mut Out,
    ) {
        let raw = &text[open + 2..close];
        if raw.trim_start().starts_with("//") {
            return;
        }
        if depth >= DEPTH_MAX || !self.macros.burn(raw.len() + 4) {
            return out.push(&text[open..close + 2]);
        }
        let mut inner = Out::default();
        self.part(text, open + 2, close, pairs, depth + 1, &mut inner);
        match self.means(&inner.text, open) {
            Means::Text(value) if self.macros.burn(value.len()) => out.push(&value),
            Means::Text(_) | Means::Unknown => {
                out.push("{{");
                out.push(&inner.text);
                out.push("}}");
            }
            Means::Trim => out.trim(),
        }
    }

    fn means(&mut self, inner: &str, at: usize) -> Means {
        let inner = inner.trim();
        let split = inner.find(|c: char| c == ':' || c.is_whitespace()).unwrap_or(inner.len());
        let (name, rest) = inner.split_at(split);
        if name.len() > 64 {
            return Means::Unknown;
        }
        let name = name.to_ascii_lowercase();
        if rest.is_empty() {
            if name == "trim" {
                return Means::Trim;
            }
            if let Some(value) = self.plain(&name) {
                return Means::Text(value);
            }
        }
        self.with_arguments(&name, rest, inner, at).map_or(Means::Unknown, Means::Text)
    }

    /// A macro without arguments.
    fn plain(&mut self, name: &str) -> Option<String> {
        if let Some(field) = Field::named(name) {
            return self.field(field);
        }
        let macros = self.macros;
        let now = macros.now;
        Some(match name {
            "char" | "charifnotgroup" | "group" | "groupnotmuted" => macros.character.name.clone(),
            "user" => macros.persona.name.clone(),
            "charversion" | "char_version" => macros.character.version.clone(),
            "model" => macros.model.to_owned(),
            "input" => macros.input.to_owned(),
            "original" => {
                // Once; a second one would say everything twice.
                let original = self.original.replace("")?;
                self.text(original)
            }
            "noop" => String::new(),
            "newline" => "\n".to_owned(),
            "space" => " ".to_owned(),
            "maxprompt" | "maxprompttokens" => macros.room.to_string(),
            "time" => calendar::format(now, "LT"),
            "date" => calendar::format(now, "LL"),
            "weekday" => calendar::format(now, "dddd"),
            "isotime" => calendar::format(now, "HH:mm"),
            "isodate" => calendar::format(now, "YYYY-MM-DD"),
            "idle_duration" | "idleduration" => macros.idle(),
            "lastmessage" => macros.last(|_| true).to_owned(),
            "lastusermessage" => macros.last(|message| message.role == Role::User).to_owned(),
            "lastcharmessage" => macros.last(|message| message.role == Role::Assistant).to_owned(),
            "lastmessageid" => macros.chat_length.checked_sub(1).map(|id| id.to_string()).unwrap_or_default(),
            _ => return calendar::offset(name.strip_prefix("time_utc")?).map(|hours| calendar::time_at(now, hours)),
        })
    }

    /// A text that may have macros itself; not inside of itself.
    fn field(&mut self, field: Field) -> Option<String> {
        let macros = self.macros;
        let text = field.text(macros);
        if self.open.contains(&field) || !macros.burn(text.len()) {
            return None;
        }
        self.open.push(field);
        let original = self.original.take();
        let value = self.text(text);
        self.original = original;
        self.open.pop();
        Some(value)
    }

    /// A macro with arguments; `rest` begins with what ended its name.
    fn with_arguments(&mut self, name: &str, rest: &str, whole: &str, at: usize) -> Option<String> {
        let macros = self.macros;
        let list = rest.strip_prefix("::").or_else(|| rest.strip_prefix(':')).unwrap_or(rest).trim_start();
        let (first, second) = match list.split_once("::") {
            Some((first, second)) => (first.trim(), Some(second.trim())),
            None => (list.trim(), None),
        };
        match name {
            "random" if !rest.is_empty() => Some(choose(rest, macros.chance.next())),
            "pick" if !rest.is_empty() => {
                let seed = macros.chat_seed ^ hash(whole) ^ (at as u64).rotate_left(32);
                Some(choose(rest, Chance::new(seed).next()))
            }
            "roll" if !rest.is_empty() => Some(roll(first, &macros.chance)),
            "newline" | "space" => {
                let times = first.parse::<usize>().ok()?.min(100);
                Some(if name == "space" { " ".repeat(times) } else { "\n".repeat(times) })
            }
            "datetimeformat" => Some(calendar::format(macros.now, list)),
            "time" => calendar::offset(first.get(3..)?).map(|hours| calendar::time_at(macros.now, hours)),
            "reverse" => Some(list.chars().rev().collect()),
            "outlet" => Some(macros.outlets.borrow().get(first).cloned().unwrap_or_default()),
            _ => self.variable(name, first, second),
        }
    }

    fn variable(&self, name: &str, key: &str, value: Option<&str>) -> Option<String> {
        let macros = self.macros;
        let (verb, global) = match name.split_once("global") {
            Some((verb, "var")) => (verb, true),
            _ => (name.strip_suffix("var")?, false),
        };
        if key.is_empty() || !matches!(verb, "get" | "set" | "add" | "inc" | "dec" | "has" | "delete") {
            return None;
        }
        let mut variables = if global { macros.globals.borrow_mut() } else { macros.variables.borrow_mut() };
        let present = variables.get(key);
        let (next, answer) = match verb {
            "get" => return Some(present.map(words).unwrap_or_default()),
            "has" => return Some(present.is_some().to_string()),
            "delete" => {
                macros.changed.set(macros.changed.get() || (!global && present.is_some()));
                variables.shift_remove(key);
                return Some(String::new());
            }
            "set" => (Value::from(value?), String::new()),
            "add" => (sum(present, value?), String::new()),
            _ => {
                let next = sum(present, if verb == "inc" { "1" } else { "-1" });
                let answer = words(&next);
                (next, answer)
            }
        };
        let fits = words(&next).len() <= VARIABLE_MAX
            && key.len() <= 200
            && (variables.len() < VARIABLES_MAX || variables.contains_key(key));
        if fits {
            variables.insert(key.to_owned(), next);
            macros.changed.set(macros.changed.get() || !global);
        }
        Some(answer)
    }
}

/// Which `{{` belongs to which `}}`. One pass; what has no partner is plain text.
fn pairs(text: &str) -> HashMap<usize, usize> {
    let bytes = text.as_bytes();
    let (mut open, mut found) = (Vec::new(), HashMap::new());
    let mut at = 0;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            // Of three braces in a row, the first is text.
            (b'{', b'{') if bytes.get(at + 2) == Some(&b'{') && bytes.get(at + 3) != Some(&b'{') => at += 1,
            (b'{', b'{') => {
                open.push(at);
                at += 2;
            }
            (b'}', b'}') => {
                if let Some(start) = open.pop() {
                    found.insert(start, at);
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    found
}

/// One of `a::b`, or where there is no `::`, of `a,b`; `number` chooses.
fn choose(list: &str, number: u64) -> String {
    let list = list.trim_start_matches(':');
    let options: Vec<String> = if list.contains("::") {
        list.split("::").map(|option| option.trim().to_owned()).collect()
    } else {
        // A comma with a backslash before it belongs to the option.
        let list = list.replace("\\,", "\u{0}");
        list.split(',').map(|option| option.trim().replace('\u{0}', ",")).collect()
    };
    let index = Chance::new(number).below(options.len() as u64) as usize;
    options.get(index).cloned().unwrap_or_default()
}

/// The sum of `2d6+3`, `d20` or `20`; nothing where it is none of these.
fn roll(formula: &str, chance: &Chance) -> String {
    let formula: String = formula.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    rolled(&formula, chance).map(|sum| sum.to_string()).unwrap_or_default()
}

fn rolled(formula: &str, chance: &Chance) -> Option<i64> {
    let (dice, more) = match formula.rfind(['+', '-']) {
        Some(at) => (&formula[..at], formula[at..].parse::<i32>().ok()?),
        None => (formula, 0),
    };
    let (count, sides) = dice.split_once('d').unwrap_or(("1", dice));
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let sides: u64 = u64::from(sides.parse::<u32>().ok()?);
    if count == 0 || count > DICE_MAX || sides == 0 {
        return None;
    }
    let sum: u64 = (0..count).map(|_| chance.below(sides) + 1).sum();
    i64::try_from(sum).ok()?.checked_add(i64::from(more))
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Numbers are added, texts joined.
fn sum(present: Option<&Value>, value: &str) -> Value {
    let present = present.map(words).unwrap_or_default();
    let number = |text: &str| if text.is_empty() { Some(0.0) } else { text.trim().parse::<f64>().ok() };
    let as_number = |sum: f64| {
        let whole = sum.fract() == 0.0 && sum.abs() < 9e15;
        if whole { Some(Number::from(sum as i64)) } else { Number::from_f64(sum) }
    };
    match (number(&present), number(value)) {
        (Some(a), Some(b)) => as_number(a + b).map_or_else(|| Value::from(""), Value::Number),
        _ => Value::from(present + value),
    }
}

#[cfg(test)]
mod tests;
