//! Which entries become active.
//!
//! In steps: first the messages are looked through; then, where books do that, the texts of what became active, until
//! nothing new does. Within a step, entries are taken by rank (the chat's books, the persona's, then the character's and
//! those for all chats), within it from the highest order down, and get room until the first that does not fit.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::keys::{Finder, Haystack, How};
use super::{AlsoIn, ENTRIES_MAX, Entry, Filter, Logic, Position, Source, Strategy};
use crate::conversation::chance::Chance;
use crate::conversation::ingredients::{HistoryMessage, Ingredients};
use crate::conversation::macros::Macros;
use crate::hash::hash;
use crate::models::Role;

/// The member of `chat_metadata` that says what entries remember: how long they stay active, how long they rest.
pub const MEMORY: &str = "tavernkeep_lore";
/// The most steps, whatever the settings say.
const STEPS_MAX: u32 = 20;
/// How much of the messages is looked through, in bytes, from the newest back.
const LOOK_MAX: usize = 256 * 1024;

/// What is to be looked through, and for what.
pub struct Scan<'s, 'i, 'a> {
    /// The ingredients of the prompt.
    pub from: &'s Ingredients<'i>,
    /// For the texts and keys.
    pub macros: &'s Macros<'a>,
    /// The messages that can be sent, oldest first.
    pub history: &'s [&'s HistoryMessage],
    /// The lorebooks' share, in tokens.
    pub share: usize,
    /// The room there is at all, for entries that ignore their share.
    pub room: usize,
}

/// An active entry.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveEntry {
    /// Its book and title.
    pub title: String,
    /// Where it goes.
    pub position: Position,
    /// How many messages stand below it, at [`Position::AtDepth`].
    pub depth: u32,
    /// Who says it there.
    pub role: Role,
    /// The outlet's name, at [`Position::Outlet`].
    pub outlet: String,
    /// Its text.
    pub text: String,
    /// What it costs.
    pub tokens: usize,
}

/// What became active.
#[derive(Debug, Default)]
pub struct Active {
    /// In the order of the prompt: from the lowest order up.
    pub entries: Vec<ActiveEntry>,
    /// How many did not fit.
    pub left_out: usize,
    /// How many keys were not tried, because they are too long, too hard or too many.
    pub untried: usize,
    /// What is to be remembered under [`MEMORY`], if it has changed.
    pub remembered: Option<Map<String, Value>>,
}

/// Looks through everything.
pub fn activate(scan: &Scan<'_, '_, '_>) -> Active {
    if scan.from.books.iter().all(|book| book.entries.is_empty()) {
        return Active::default();
    }
    let mut run = Run::new(scan);
    run.all_steps();
    run.finish()
}

/// An entry in its place among all.
struct Candidate<'a> {
    entry: &'a Entry,
    book: &'a str,
    /// By which it is remembered.
    id: String,
    /// Active from an earlier message on.
    is_sticky: bool,
    /// At rest, or too early in the chat, or not for this character or purpose.
    is_out: bool,
}

struct Run<'s, 'i, 'a> {
    scan: &'s Scan<'s, 'i, 'a>,
    candidates: Vec<Candidate<'s>>,
    finder: Finder,
    chance: Chance,
    /// The messages, by how many of them.
    messages: HashMap<u32, Haystack>,
    also: Also,
    /// What active entries say, from which others become active.
    said: Haystack,
    has_said: bool,
    active: Vec<(usize, String, usize)>,
    done: HashSet<usize>,
    spent: usize,
    left_out: usize,
    /// Once one did not fit, no further ones are taken.
    is_full: bool,
    extra_depth: u32,
}

/// Texts that some entries look through beside the messages.
struct Also {
    persona: Haystack,
    description: Haystack,
    personality: Haystack,
    depth_prompt: Haystack,
    scenario: Haystack,
    creator_notes: Haystack,
}

impl Also {
    fn of(scan: &Scan<'_, '_, '_>) -> Self {
        let (character, persona) = (scan.from.character, scan.from.persona);
        let wanted = |picks: fn(&AlsoIn) -> bool, text: &str| {
            let wanted = scan.from.books.iter().flat_map(|book| &book.entries).any(|entry| picks(&entry.also_in));
            if wanted { Haystack::new(scan.macros.expand(newest(text))) } else { Haystack::default() }
        };
        let depth_prompt = character.depth_prompt.as_ref().map_or("", |note| &note.text);
        Self {
            persona: wanted(|also| also.persona, &persona.description),
            description: wanted(|also| also.description, &character.description),
            personality: wanted(|also| also.personality, &character.personality),
            depth_prompt: wanted(|also| also.depth_prompt, depth_prompt),
            scenario: wanted(|also| also.scenario, &character.scenario),
            creator_notes: wanted(|also| also.creator_notes, &character.creator_notes),
        }
    }

    fn for_entry(&self, also: AlsoIn) -> impl Iterator<Item = &Haystack> {
        [
            (also.persona, &self.persona),
            (also.description, &self.description),
            (also.personality, &self.personality),
            (also.depth_prompt, &self.depth_prompt),
            (also.scenario, &self.scenario),
            (also.creator_notes, &self.creator_notes),
        ]
        .into_iter()
        .filter_map(|(wanted, text)| wanted.then_some(text))
    }
}

/// The end of a text, as far as it is looked through.
fn newest(text: &str) -> &str {
    let from = text.len().saturating_sub(LOOK_MAX);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[from..]
}

impl<'s, 'i, 'a> Run<'s, 'i, 'a> {
    fn new(scan: &'s Scan<'s, 'i, 'a>) -> Self {
        let mut run = Self {
            scan,
            candidates: candidates(scan),
            finder: Finder::default(),
            chance: Chance::new(scan.from.seed ^ hash("lore")),
            messages: HashMap::new(),
            also: Also::of(scan),
            said: Haystack::default(),
            has_said: false,
            active: Vec::new(),
            done: HashSet::new(),
            spent: 0,
            left_out: 0,
            is_full: false,
            extra_depth: 0,
        };
        let depths: HashSet<u32> = run.candidates.iter().map(|candidate| run.depth_of(candidate.entry)).collect();
        depths.into_iter().for_each(|depth| run.gather(depth));
        run
    }

    fn depth_of(&self, entry: &Entry) -> u32 {
        entry.scan_depth.unwrap_or(self.scan.from.settings.lore.scan_depth.saturating_add(self.extra_depth)).min(1000)
    }

    /// Puts the newest messages together.
    fn gather(&mut self, depth: u32) {
        let names = self.scan.from.settings.lore.include_names;
        let mut text = String::new();
        for message in self.scan.history.iter().rev().take(depth as usize) {
            if text.len() > LOOK_MAX {
                break;
            }
            if names {
                text.push_str(&message.name);
                text.push_str(": ");
            }
            text.push_str(&self.scan.macros.names(newest(&message.text)));
            text.push('\n');
        }
        self.messages.insert(depth, Haystack::new(text));
    }

    fn all_steps(&mut self) {
        let settings = &self.scan.from.settings.lore;
        let most = if settings.max_steps == 0 { STEPS_MAX } else { settings.max_steps.min(STEPS_MAX) };
        let levels: u32 = self
            .candidates
            .iter()
            .map(|candidate| candidate.entry.delay_until_recursion)
            .max()
            .unwrap_or(0)
            .min(STEPS_MAX);
        let (mut step, mut level) = (0, 0);
        loop {
            let new = self.step(level);
            step += 1;
            if step >= most || self.is_full {
                break;
            }
            let spread = settings.recursive && new.iter().any(|at| !self.candidates[*at].entry.prevent_recursion);
            if spread {
                self.hear(&new);
                level = level.max(1);
            } else if settings.recursive && self.has_said && level < levels {
                level += 1;
            } else if !self.look_further() {
                break;
            }
        }
    }

    /// Looks through one message more, where too little is active.
    fn look_further(&mut self) -> bool {
        let settings = &self.scan.from.settings.lore;
        let depth = settings.scan_depth.saturating_add(self.extra_depth + 1);
        let is_enough = self.active.len() >= settings.min_activations as usize;
        let is_deep = settings.min_activations_depth > 0 && depth > settings.min_activations_depth;
        if is_enough || is_deep || depth as usize > self.scan.history.len() {
            return false;
        }
        self.extra_depth += 1;
        self.gather(depth.min(1000));
        true
    }

    /// What these say is looked through from now on.
    fn hear(&mut self, new: &[usize]) {
        for (at, text, _) in &self.active {
            if new.contains(at) && !self.candidates[*at].entry.prevent_recursion {
                self.said.add(newest(text));
                self.has_said = true;
            }
        }
    }

    /// One step; which entries became active. `level` is 0 until others' texts are looked through.
    fn step(&mut self, level: u32) -> Vec<usize> {
        let found: Vec<usize> = (0..self.candidates.len()).filter(|at| self.is_found(*at, level)).collect();
        let found = self.one_of_each_group(found);
        let mut new = Vec::new();
        for at in found {
            if !self.done.insert(at) || !self.is_lucky(at) {
                continue;
            }
            if self.take(at) {
                new.push(at);
            }
        }
        new
    }

    fn is_found(&self, at: usize, level: u32) -> bool {
        let candidate = &self.candidates[at];
        let entry = candidate.entry;
        if candidate.is_out || self.done.contains(&at) {
            return false;
        }
        if candidate.is_sticky {
            return true;
        }
        let in_recursion = level > 0;
        if entry.delay_until_recursion > level || (in_recursion && entry.exclude_recursion) {
            return false;
        }
        match decorator(&entry.content) {
            Some(Decorator::Activate) => return true,
            Some(Decorator::DontActivate) => return false,
            None => {}
        }
        entry.constant || self.has_keys(entry, in_recursion)
    }

    fn has_keys(&self, entry: &Entry, in_recursion: bool) -> bool {
        let haystacks = self.haystacks(entry, in_recursion);
        let how = self.how(entry);
        let has = |key: &String| self.finder.finds(key, |key| self.scan.macros.expand(key), &haystacks, how);
        if !entry.keys.iter().any(has) {
            return false;
        }
        if !entry.selective || entry.secondary.is_empty() {
            return true;
        }
        match entry.logic {
            Logic::AndAny => entry.secondary.iter().any(has),
            Logic::NotAll => !entry.secondary.iter().all(has),
            Logic::NotAny => !entry.secondary.iter().any(has),
            Logic::AndAll => entry.secondary.iter().all(has),
        }
    }

    fn haystacks(&self, entry: &Entry, in_recursion: bool) -> Vec<&Haystack> {
        let mut haystacks: Vec<&Haystack> = self.messages.get(&self.depth_of(entry)).into_iter().collect();
        haystacks.extend(self.also.for_entry(entry.also_in));
        if in_recursion && self.has_said {
            haystacks.push(&self.said);
        }
        haystacks
    }

    fn how(&self, entry: &Entry) -> How {
        let settings = &self.scan.from.settings.lore;
        How {
            case_sensitive: entry.case_sensitive.unwrap_or(settings.case_sensitive),
            whole_words: entry.whole_words.unwrap_or(settings.whole_words),
        }
    }

    /// Of each group, one stays: one that is active already, else one that is sticky, else the highest that overrides, else
    /// chance decides by weight.
    fn one_of_each_group(&self, mut found: Vec<usize>) -> Vec<usize> {
        let mut groups: Vec<&str> = Vec::new();
        for at in &found {
            for group in &self.candidates[*at].entry.groups {
                if !groups.contains(&group.as_str()) {
                    groups.push(group);
                }
            }
        }
        for group in groups {
            let is_in = |at: &usize| self.candidates[*at].entry.groups.iter().any(|other| other == group);
            let rivals: Vec<usize> = found.iter().copied().filter(is_in).collect();
            let winner = if self.active.iter().any(|(at, ..)| is_in(at)) { None } else { self.winner(&rivals) };
            found.retain(|at| !is_in(at) || Some(*at) == winner);
        }
        found
    }

    fn winner(&self, rivals: &[usize]) -> Option<usize> {
        let entry = |at: usize| self.candidates[at].entry;
        if let Some(sticky) = rivals.iter().find(|at| self.candidates[**at].is_sticky) {
            return Some(*sticky);
        }
        let mut rivals = rivals.to_vec();
        let usual = self.scan.from.settings.lore.group_scoring;
        if rivals.iter().any(|at| entry(*at).group_scoring.unwrap_or(usual)) {
            let scores: Vec<(usize, usize)> = rivals.iter().map(|at| (*at, self.score(entry(*at)))).collect();
            let best = scores.iter().map(|(_, score)| *score).max().unwrap_or(0);
            rivals = scores.into_iter().filter(|(_, score)| *score == best).map(|(at, _)| at).collect();
        }
        let overriding = rivals.iter().filter(|at| entry(**at).group_override);
        if let Some(first) = overriding.max_by_key(|at| (entry(**at).order, std::cmp::Reverse(**at))) {
            return Some(*first);
        }
        let total: f64 = rivals.iter().map(|at| entry(*at).group_weight).sum();
        let mut point = self.chance.below(1 << 32) as f64 / (1u64 << 32) as f64 * total;
        for at in &rivals {
            point -= entry(*at).group_weight;
            if point < 0.0 {
                return Some(*at);
            }
        }
        rivals.last().copied()
    }

    /// How many keys are found.
    fn score(&self, entry: &Entry) -> usize {
        let haystacks = self.haystacks(entry, self.has_said);
        let how = self.how(entry);
        let found = |keys: &[String]| {
            keys.iter()
                .filter(|key| self.finder.finds(key, |key| self.scan.macros.expand(key), &haystacks, how))
                .count()
        };
        let first = found(&entry.keys);
        if !entry.selective || entry.secondary.is_empty() {
            return first;
        }
        let second = found(&entry.secondary);
        match entry.logic {
            Logic::AndAny => first + second,
            Logic::AndAll if second == entry.secondary.len() => first + second,
            _ => first,
        }
    }

    /// Dice, once for each entry.
    fn is_lucky(&self, at: usize) -> bool {
        let candidate = &self.candidates[at];
        let percent = candidate.entry.probability;
        candidate.is_sticky || percent >= 100.0 || (self.chance.below(1_000_000) as f64) < percent * 10_000.0
    }

    /// Gives an entry room; whether there was some.
    fn take(&mut self, at: usize) -> bool {
        let entry = self.candidates[at].entry;
        let text = self.scan.macros.expand(without_decorators(&entry.content));
        if text.trim().is_empty() {
            // It says nothing, and may still win a group or stay active.
            self.active.push((at, String::new(), 0));
            return false;
        }
        let tokens = (self.scan.from.count)(&text).saturating_add(self.scan.from.budget.per_message);
        let after = self.spent.saturating_add(tokens);
        let limit = if entry.ignore_budget { self.scan.room } else { self.scan.share };
        if after > limit || (self.is_full && !entry.ignore_budget) {
            self.left_out += 1;
            self.is_full = true;
            return false;
        }
        self.spent = after;
        self.active.push((at, text, tokens));
        true
    }

    fn finish(self) -> Active {
        let remembered = self.remembered();
        let mut active: Vec<&(usize, String, usize)> =
            self.active.iter().filter(|(_, text, _)| !text.is_empty()).collect();
        active.sort_by_key(|(at, ..)| (self.candidates[*at].entry.order, std::cmp::Reverse(*at)));
        let entries = active.into_iter().map(|(at, text, tokens)| {
            let candidate = &self.candidates[*at];
            let entry = candidate.entry;
            ActiveEntry {
                title: format!("{}: {}", candidate.book, entry.title()),
                position: entry.position,
                depth: entry.depth,
                role: entry.role.0,
                outlet: entry.outlet.clone(),
                text: text.clone(),
                tokens: *tokens,
            }
        });
        Active { entries: entries.collect(), left_out: self.left_out, untried: self.finder.untried(), remembered }
    }

    /// Who stays active, and who rests, until the chat has how many messages.
    fn remembered(&self) -> Option<Map<String, Value>> {
        let before = self.scan.from.metadata.get(MEMORY).and_then(Value::as_object).cloned().unwrap_or_default();
        let length = length_of(self.scan.from);
        let mut after = before.clone();
        after.retain(|_, memory| Memory::read(memory).is_some_and(|memory| memory.counts(length)));
        for (at, ..) in &self.active {
            let candidate = &self.candidates[*at];
            let (sticky, cooldown) = (candidate.entry.sticky as usize, candidate.entry.cooldown as usize);
            if (sticky > 0 || cooldown > 0) && !candidate.is_sticky {
                let memory = json!({ "from": length, "sticky": length + sticky, "rest": length + sticky + cooldown });
                after.insert(candidate.id.clone(), memory);
            }
        }
        (after != before).then_some(after)
    }
}

/// What is remembered of an entry: when it became active, and until when it stays so and rests.
#[derive(Clone, Copy)]
struct Memory {
    from: usize,
    sticky: usize,
    rest: usize,
}

impl Memory {
    fn read(json: &Value) -> Option<Self> {
        let number = |name| json.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        Some(Self { from: number("from")?, sticky: number("sticky")?, rest: number("rest")? })
    }

    /// Not where the chat was taken back to before it, and not for another version of the same message.
    fn counts(self, length: usize) -> bool {
        length > self.from && length <= self.rest
    }
}

fn length_of(from: &Ingredients<'_>) -> usize {
    from.chat_length.max(from.history.len())
}

/// All entries, those first that get room first.
fn candidates<'s>(scan: &'s Scan<'_, '_, '_>) -> Vec<Candidate<'s>> {
    let length = length_of(scan.from);
    let memories = scan.from.metadata.get(MEMORY).and_then(Value::as_object);
    let strategy = scan.from.settings.lore.strategy;
    let mut all = Vec::new();
    for book in scan.from.books {
        for entry in &book.entries {
            if all.len() >= ENTRIES_MAX || entry.disabled {
                continue;
            }
            let id = format!("{}.{}", book.name, entry.uid);
            let memory = memories.and_then(|memories| memories.get(&id)).and_then(Memory::read);
            let memory = memory.filter(|memory| memory.counts(length));
            let is_sticky = memory.is_some_and(|memory| length <= memory.sticky);
            let is_resting = memory.is_some() && !is_sticky;
            let is_out = is_resting || length < entry.delay as usize || !is_meant(entry, scan.from);
            all.push((rank(book.source, strategy), Candidate { entry, book: &book.name, id, is_sticky, is_out }));
        }
    }
    all.sort_by_key(|(rank, candidate)| (*rank, std::cmp::Reverse(candidate.entry.order)));
    all.into_iter().map(|(_, candidate)| candidate).collect()
}

fn rank(source: Source, strategy: Strategy) -> u8 {
    match (source, strategy) {
        (Source::Chat, _) => 0,
        (Source::Persona, _) => 1,
        (Source::Character, Strategy::CharacterFirst) | (Source::Global, Strategy::GlobalFirst) => 2,
        (_, Strategy::Evenly) => 2,
        _ => 3,
    }
}

/// Whether an entry is for this character and purpose.
fn is_meant(entry: &Entry, from: &Ingredients<'_>) -> bool {
    let purpose = from.purpose.trigger();
    let for_purpose = entry.triggers.is_empty() || entry.triggers.iter().any(|trigger| trigger == purpose);
    let for_character =
        entry.filter.as_ref().is_none_or(|filter| filter.lets_in(&from.character.id, &from.character.tags));
    for_purpose && for_character
}

impl Filter {
    fn lets_in(&self, id: &str, tags: &[String]) -> bool {
        let named = self.names.iter().any(|name| name == id) || self.tags.iter().any(|tag| tags.contains(tag));
        named != self.exclude
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decorator {
    Activate,
    DontActivate,
}

/// What the first lines of an entry may command.
fn decorator(content: &str) -> Option<Decorator> {
    content.lines().take_while(|line| line.starts_with("@@")).find_map(|line| match line.trim() {
        "@@activate" => Some(Decorator::Activate),
        "@@dont_activate" => Some(Decorator::DontActivate),
        _ => None,
    })
}

fn without_decorators(content: &str) -> &str {
    let mut rest = content;
    while rest.starts_with("@@") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}
