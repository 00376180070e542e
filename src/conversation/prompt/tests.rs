use super::super::lore::{Book, Source};
use super::super::story::Story;
use super::*;
use crate::models::{Image, Part as MessagePart};
use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

/// A character, a person, a chat and the rest, to be changed by a test.
struct Table {
    purpose: Purpose,
    character: Character,
    persona: Persona,
    history: Vec<HistoryMessage>,
    books: Vec<Book>,
    note: Option<Note>,
    settings: PromptSettings,
    metadata: Map<String, Value>,
    budget: Budget,
    seed: u64,
}

impl Table {
    fn new() -> Self {
        let settings = PromptSettings {
            main: "Be {{char}}.".into(),
            example_header: "Example:".into(),
            personality_format: "{{char}} is {{personality}}.".into(),
            scenario_format: "Scene: {{scenario}}".into(),
            continue_nudge: "Go on.".into(),
            impersonate_nudge: "Write for {{user}}.".into(),
            opening: "Begin.".into(),
            squash: Squash::Nothing,
            ..PromptSettings::default()
        };
        Self {
            purpose: Purpose::Reply,
            character: Character {
                name: "Ada".into(),
                description: "{{char}} keeps an inn.".into(),
                ..Character::default()
            },
            persona: Persona { name: "Bob".into(), description: "{{user}} is a smith.".into(), ..Persona::default() },
            history: said(&["Hello", "Welcome, {{user}}", "An ale"]),
            books: Vec::new(),
            note: None,
            settings,
            metadata: Map::new(),
            budget: Budget { context: 1000, reserve: 100, per_message: 1, per_image: 50 },
            seed: 1,
        }
    }

    fn build(&self) -> Result<Prompt> {
        build(&Ingredients {
            purpose: self.purpose,
            character: &self.character,
            persona: &self.persona,
            history: &self.history,
            chat_length: self.history.len(),
            books: &self.books,
            note: self.note.as_ref(),
            settings: &self.settings,
            metadata: &self.metadata,
            globals: &Map::new(),
            budget: self.budget,
            count: &words,
            model: "m",
            input: "",
            now: datetime!(2026-11-22 19:05 UTC),
            seed: self.seed,
            chat_seed: 3,
        })
    }

    /// `role name: text`, a line for each part.
    fn lines(&self) -> Vec<String> {
        let prompt = self.build().unwrap();
        prompt.parts.iter().map(|part| format!("{} {}: {}", letter(part.role), part.name, part.text)).collect()
    }

    /// The texts of the messages that are sent.
    fn sent(&self) -> Vec<String> {
        let prompt = self.build().unwrap();
        prompt.messages.iter().map(|message| format!("{} {}", letter(message.role), message.words())).collect()
    }
}

/// Takes a word for a token.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn letter(role: Role) -> char {
    match role {
        Role::System => 'S',
        Role::User => 'U',
        Role::Assistant => 'A',
    }
}

/// A chat in which Bob begins.
fn said(texts: &[&str]) -> Vec<HistoryMessage> {
    let turns = [(Role::User, "Bob"), (Role::Assistant, "Ada")];
    let message = |(at, text): (usize, &&str)| HistoryMessage::new(at, turns[at % 2].0, turns[at % 2].1, *text);
    texts.iter().enumerate().map(message).collect()
}

fn note(text: &str, depth: u32) -> Note {
    Note { text: text.into(), depth, ..Note::default() }
}

#[test]
fn a_story_string_puts_the_texts_before_the_chat_together() {
    let mut table = Table::new();
    table.character.personality = "kind".into();
    table.character.scenario = "a storm".into();
    table.character.example_messages = "<START>\n{{char}}: Hm.".into();
    table.note = Some(Note { text: "A note.".into(), position: NotePosition::AfterScenario, ..Note::default() });
    let template = "{{#if system}}{{system}}\n{{/if}}{{#if personality}}Nature: {{personality}}\n{{/if}}{{#if wiBefore}}\
                    {{wiBefore}}\n{{/if}}{{#if anchorAfter}}{{anchorAfter}}\n{{/if}}About {{char}}: {{description}}{{trim}}";
    table.settings.story = Story::parse(template);
    table.settings.example_header = String::new();
    table.settings.chat_start = "*** {{char}}".into();
    assert_eq!(
        table.lines(),
        [
            "S story: Be Ada.\nNature: kind\nA note.\nAbout Ada: Ada keeps an inn.",
            "S example: Ada: Hm.",
            "S chat start: *** Ada",
            "U history: Hello",
            "A history: Welcome, Bob",
            "U history: An ale"
        ]
    );
    // What it costs is what it says, so that all of it fits.
    let prompt = table.build().unwrap();
    assert!(prompt.tokens <= table.budget.for_prompt());
}

#[test]
fn everything_has_its_place() {
    let mut table = Table::new();
    table.character = Character {
        personality: "calm".into(),
        scenario: "the inn".into(),
        example_messages: "<START>\n{{user}}: Hi\n<START>\n{{char}}: Hm".into(),
        post_history_instructions: "Stay calm. {{original}}".into(),
        depth_prompt: Some(note("Ada limps.", 1)),
        ..table.character
    };
    table.settings.post_history = "Be brief.".into();
    table.note = Some(note("It rains.", 2));
    table.books = vec![Book::parse(
        "w",
        Source::Global,
        &json!({"entries": {
            "0": {"uid": 0, "key": ["ale"], "content": "Ale is dear.", "position": 0},
            "1": {"uid": 1, "key": ["ale"], "content": "Wine is not.", "position": 1},
            "2": {"uid": 2, "key": ["ale"], "content": "Cellar.", "position": 4, "depth": 0, "role": 1},
            "3": {"uid": 3, "key": ["ale"], "content": "Above.", "position": 2},
            "4": {"uid": 4, "key": ["ale"], "content": "Below.", "position": 3},
            "5": {"uid": 5, "key": ["ale"], "content": "Learn:", "position": 5},
            "6": {"uid": 6, "key": ["ale"], "content": "Learned.", "position": 6},
            "7": {"uid": 7, "key": ["beer"], "content": "Not this."},
        }}),
    )];
    assert_eq!(
        table.lines(),
        [
            "S main: Be Ada.",
            "S lore: Ale is dear.",
            "S persona: Bob is a smith.",
            "S description: Ada keeps an inn.",
            "S personality: Ada is calm.",
            "S scenario: Scene: the inn",
            "S lore: Wine is not.",
            "S lore: Learn:",
            "S example: Example:\nBob: Hi",
            "S example: Example:\nAda: Hm",
            "S lore: Learned.",
            "U history: Hello",
            "S lore: Above.",
            "S note: It rains.",
            "S lore: Below.",
            "A history: Welcome, Bob",
            "S depth prompt: Ada limps.",
            "U history: An ale",
            "U lore: Cellar.",
            "S post-history: Stay calm. Be brief.",
        ]
    );
}

#[test]
fn a_card_may_replace_the_main_prompt_and_bring_it_back() {
    let mut table = Table::new();
    table.character.system_prompt = "First. {{original}} Last.".into();
    assert_eq!(table.lines()[0], "S main: First. Be Ada. Last.");
    table.settings.prefer_card_main = false;
    assert_eq!(table.lines()[0], "S main: Be Ada.");
}

#[test]
fn roles_in_a_row_are_put_together_where_wanted() {
    let mut table = Table::new();
    table.settings.squash = Squash::System;
    table.history.insert(1, HistoryMessage::new(9, Role::User, "Bob", "Anyone?"));
    let top = "S Be Ada.\n\nBob is a smith.\n\nAda keeps an inn.";
    assert_eq!(table.sent(), [top, "U Hello", "U Anyone?", "A Welcome, Bob", "U An ale"]);
    table.settings.squash = Squash::All;
    assert_eq!(table.sent(), [top, "U Hello\n\nAnyone?", "A Welcome, Bob", "U An ale"]);
    assert_eq!(table.build().unwrap().parts.len(), 7);
}

#[test]
fn purposes_end_the_prompt() {
    let mut table = Table::new();
    table.purpose = Purpose::Impersonate;
    assert_eq!(table.lines().last().unwrap(), "U impersonate: Write for Bob.");
    table.purpose = Purpose::Continue;
    table.history.push(HistoryMessage::new(3, Role::Assistant, "Ada", "Here it"));
    table.settings.post_history = "After.".into();
    table.note = Some(note("Note.", 0));
    assert_eq!(
        table.lines()[6..],
        ["A history: Here it", "S note: Note.", "S post-history: After.", "U continue: Go on."]
    );
    table.settings.continue_by = ContinueBy::Prefill;
    assert_eq!(table.lines()[6..], ["S note: Note.", "S post-history: After.", "A history: Here it"]);
    table.purpose = Purpose::Reply;
    table.history.clear();
    assert_eq!(table.lines().last().unwrap(), "U opening: Begin.");
}

#[test]
fn old_messages_go_first_and_examples_before_them() {
    let mut table = Table::new();
    table.character.example_messages = "<START>one two three".into();
    // 2+1 main, 4+1 persona, 4+1 description; 2 for each word of the chat.
    let texts = ["a"; 20];
    table.history = said(&texts);
    table.budget = Budget { context: 13 + 40 + 5 + 7, reserve: 7, ..table.budget };
    let full = table.build().unwrap();
    assert_eq!((full.left_out.messages, full.left_out.examples, full.tokens), (0, 0, 58));
    table.budget.context -= 1;
    let less = table.build().unwrap();
    assert_eq!((less.left_out.messages, less.left_out.examples, less.tokens), (0, 1, 53));
    table.settings.pin_examples = true;
    let pinned = table.build().unwrap();
    assert_eq!((pinned.left_out.messages, pinned.left_out.examples, pinned.tokens), (1, 0, 56));
    table.settings.pin_examples = false;
    table.budget.context = 13 + 7 + 7;
    let short = table.build().unwrap();
    assert_eq!((short.left_out.messages, short.messages.len()), (17, 6));
}

#[test]
fn too_little_room_is_said_with_numbers() {
    let mut table = Table::new();
    table.budget = Budget { context: 20, reserve: 8, ..table.budget };
    let error = table.build().unwrap_err();
    assert_eq!(error.code(), "context_too_small");
    assert_eq!(error.details().unwrap(), &json!({"needed": 16, "context": 20, "reserve": 8}));
    assert!(error.message().contains("16 tokens") && error.message().contains("room for 12"), "{error}");
    table.budget.reserve = 4;
    assert_eq!(table.build().unwrap().tokens, 16);
    table.budget.reserve = 40;
    assert!(table.build().is_err());
}

#[test]
fn lore_gives_way_before_the_newest_message_does() {
    let mut table = Table::new();
    let entry =
        |uid: u32, order: u32| json!({"uid": uid, "constant": true, "content": "four words are here", "order": order});
    table.books =
        vec![Book::parse("w", Source::Global, &json!({"entries": [entry(1, 10), entry(2, 20), entry(3, 30)]}))];
    table.settings.lore.budget_percent = 100;
    table.budget = Budget { context: 16 + 11, reserve: 0, ..table.budget };
    let prompt = table.build().unwrap();
    let titles: Vec<_> = prompt.parts.iter().filter(|part| part.name == "lore").collect();
    assert_eq!((titles.len(), prompt.left_out.lore, prompt.tokens), (2, 1, 26));
}

#[test]
fn notes_come_at_their_interval_and_personas_where_they_belong() {
    let mut table = Table::new();
    table.note = Some(Note { interval: 2, position: NotePosition::AfterScenario, ..note("N", 0) });
    assert!(table.lines().contains(&"S note: N".to_owned()), "the second message of the person");
    table.note = Some(Note { interval: 3, ..note("N", 0) });
    assert!(!table.lines().iter().any(|line| line.contains("note")));
    table.note = Some(Note { role: RoleOf(Role::Assistant), ..note("N", 1) });
    table.persona.position = PersonaPosition::BottomOfNote;
    assert_eq!(table.lines()[4..6], ["A note: N", "A persona: Bob is a smith."]);
    table.persona.position = PersonaPosition::AtDepth;
    table.persona.depth = 99;
    assert_eq!(table.lines()[2], "S persona: Bob is a smith.");
    table.persona.position = PersonaPosition::Nowhere;
    assert!(!table.lines().iter().any(|line| line.contains("smith")));
}

#[test]
fn hidden_and_empty_messages_stay_away_and_pictures_come_along() {
    let mut table = Table::new();
    table.history[0].hidden = true;
    table.history[1].text = " ".into();
    table.history[2].images = vec![Image { mime: "image/png".into(), bytes: vec![1].into() }];
    let prompt = table.build().unwrap();
    assert_eq!(prompt.messages.last().unwrap().parts.len(), 2);
    assert!(matches!(prompt.messages.last().unwrap().parts[1], MessagePart::Image(_)));
    assert_eq!((prompt.parts.len(), prompt.parts[3].tokens, prompt.parts[3].images), (4, 53, 1));
    table.settings.images = false;
    assert_eq!(table.build().unwrap().parts[3].tokens, 3);
}

#[test]
fn names_are_said_where_several_share_a_role() {
    let mut table = Table::new();
    table.history[0].name = "Eve".into();
    assert_eq!(table.sent()[3..], ["U Eve: Hello", "A Welcome, Bob", "U An ale"]);
    table.settings.names = Names::Never;
    assert_eq!(table.sent()[3], "U Hello");
    table.settings.names = Names::Always;
    assert_eq!(table.sent()[5], "U Bob: An ale");
}

#[test]
fn variables_and_memories_are_handed_back() {
    let mut table = Table::new();
    table.metadata = json!({"variables": {"n": "4"}}).as_object().unwrap().clone();
    table.settings.main = "{{incvar::n}}".into();
    let prompt = table.build().unwrap();
    assert_eq!(prompt.parts[0].text, "5");
    assert_eq!(Value::Object(prompt.metadata), json!({"variables": {"n": 5}}));
}

#[test]
fn outlets_are_filled_where_they_stand() {
    let mut table = Table::new();
    table.settings.main = "Look: {{outlet::shelf}}!".into();
    let entry = json!({"constant": true, "content": "books", "position": 7, "outletName": "shelf"});
    table.books = vec![Book::parse("w", Source::Chat, &json!({"entries": [entry]}))];
    assert_eq!(table.lines()[0], "S main: Look: books!");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn never_over_budget_never_without_the_newest(
        texts in prop::collection::vec("([a-c{}<>:é] ?){0,12}|\\{\\{(char|outlet::o|random::a b c::d)\\}\\}", 0..12),
        lore in prop::collection::vec(("[a-c]", "([a-d] ?){0,9}", 0i64..9, 0i64..200, any::<bool>(), 0u32..6), 0..12),
        example in "(<START>|[ab] |\n){0,12}",
        context in 0usize..90, reserve in 0usize..20, seed: u64, purpose in 0usize..3, prefill: bool, pinned: bool, squash in 0usize..3,
        depth in 0u32..6, outlet: bool,
    ) {
        let mut table = Table::new();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        table.history = said(&texts);
        table.character.example_messages = example;
        table.note = Some(note("The note.", depth));
        table.purpose = [Purpose::Reply, Purpose::Continue, Purpose::Impersonate][purpose];
        table.settings.continue_by = if prefill { ContinueBy::Prefill } else { ContinueBy::Asking };
        table.settings.pin_examples = pinned;
        table.settings.squash = [Squash::Nothing, Squash::System, Squash::All][squash];
        if outlet { table.settings.main.push_str("{{outlet::o}}"); }
        table.settings.lore.budget_percent = 60;
        table.budget = Budget { context, reserve, ..table.budget };
        table.seed = seed;
        let entries: Vec<Value> = lore.iter().enumerate().map(|(uid, (key, content, position, order, flag, depth))| json!({
            "uid": uid, "key": [key], "content": content, "position": position, "order": order, "depth": depth,
            "constant": flag, "ignoreBudget": !flag, "outletName": "o", "group": if *flag { "g" } else { "" }, "probability": 70, "sticky": 2,
        })).collect();
        table.books = vec![Book::parse("w", Source::Global, &json!({"entries": entries}))];
        match table.build() {
            Ok(prompt) => {
                prop_assert!(prompt.tokens <= table.budget.for_prompt());
                prop_assert_eq!(prompt.tokens, prompt.parts.iter().map(|part| part.tokens).sum::<usize>());
                // Counting what is really sent comes to no more.
                let sent: usize = prompt.messages.iter().map(|message| words(&message.words()) + 1).sum();
                prop_assert!(sent <= prompt.tokens);
                let newest = table.history.iter().rev().find(|message| !message.text.trim().is_empty());
                let last = prompt.parts.iter().rev().find(|part| part.name == "history");
                prop_assert_eq!(newest.is_some(), last.is_some());
                prop_assert_eq!(table.build().unwrap(), prompt);
            }
            Err(error) => prop_assert_eq!(error.code(), "context_too_small"),
        }
    }
}
