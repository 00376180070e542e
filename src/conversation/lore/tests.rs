use super::*;
use crate::conversation::ingredients::{Character, Note};
use crate::conversation::prompt::{Budget, HistoryMessage, Ingredients, Persona, PromptSettings, Purpose, build};
use crate::models::Role;
use rstest::rstest;
use serde_json::json;
use time::macros::datetime;

/// What becomes active, in the order of the prompt, with a chat of these texts.
struct Inn {
    settings: LoreSettings,
    metadata: Map<String, Value>,
    character: Character,
    purpose: Purpose,
    seed: u64,
}

impl Inn {
    fn new() -> Self {
        Self {
            settings: LoreSettings { budget_percent: 50, ..LoreSettings::default() },
            metadata: Map::new(),
            character: Character {
                name: "Ada".into(),
                id: "ada".into(),
                tags: vec!["inn".into()],
                ..Character::default()
            },
            purpose: Purpose::Reply,
            seed: 5,
        }
    }

    fn prompt(&self, books: &[Book], texts: &[&str]) -> crate::conversation::prompt::Prompt {
        let message = |(at, text): (usize, &&str)| HistoryMessage::new(at, Role::User, "Bob", *text);
        let history: Vec<HistoryMessage> = texts.iter().enumerate().map(message).collect();
        let settings = PromptSettings { lore: self.settings.clone(), ..PromptSettings::default() };
        build(&Ingredients {
            purpose: self.purpose,
            character: &self.character,
            persona: &Persona { name: "Bob".into(), ..Persona::default() },
            history: &history,
            chat_length: history.len(),
            books,
            note: None,
            settings: &settings,
            metadata: &self.metadata,
            globals: &Map::new(),
            budget: Budget { context: 400, reserve: 0, per_message: 0, per_image: 0 },
            count: &|text: &str| text.split_whitespace().count(),
            model: "",
            input: "",
            now: datetime!(2026-11-22 19:05 UTC),
            seed: self.seed,
            chat_seed: 0,
        })
        .unwrap()
    }

    fn active(&self, entries: Value, texts: &[&str]) -> Vec<String> {
        let books = [Book::parse("w", Source::Global, &json!({ "entries": entries }))];
        lore_of(&self.prompt(&books, texts))
    }
}

fn lore_of(prompt: &crate::conversation::prompt::Prompt) -> Vec<String> {
    prompt.parts.iter().filter(|part| part.name == "lore").map(|part| part.text.clone()).collect()
}

#[rstest]
#[case::and_any(0, &["x"], true)]
#[case::and_any_none(0, &["q"], false)]
#[case::not_all(1, &["x", "q"], true)]
#[case::not_all_but_all(1, &["x", "y"], false)]
#[case::not_any(2, &["q"], true)]
#[case::not_any_but_one(2, &["x", "q"], false)]
#[case::and_all(3, &["x", "y"], true)]
#[case::and_all_but_one(3, &["x", "q"], false)]
fn second_keys(#[case] logic: u8, #[case] secondary: &[&str], #[case] active: bool) {
    let entry = json!([{"key": ["ale"], "keysecondary": secondary, "selective": true, "selectiveLogic": logic, "content": "E"}]);
    assert_eq!(Inn::new().active(entry, &["ale x y"]).len(), usize::from(active));
}

#[rstest]
#[case::key(json!({"key": ["ale"]}), true)]
#[case::one_of_several(json!({"key": ["wine", "ale"]}), true)]
#[case::text_with_commas(json!({"key": "wine, ale"}), true)]
#[case::macro_in_key(json!({"key": ["{{user}} asks"]}), true)]
#[case::other(json!({"key": ["wine"]}), false)]
#[case::no_keys(json!({}), false)]
#[case::constant(json!({"constant": true}), true)]
#[case::disabled(json!({"constant": true, "disable": true}), false)]
#[case::never_by_chance(json!({"constant": true, "probability": 0}), false)]
#[case::chance_off(json!({"constant": true, "probability": 0, "useProbability": false}), true)]
#[case::too_deep(json!({"key": ["first"]}), false)]
#[case::deep_enough(json!({"key": ["first"], "scanDepth": 3}), true)]
#[case::no_depth(json!({"key": ["ale"], "scanDepth": 0}), false)]
#[case::case_counts(json!({"key": ["ALE"], "caseSensitive": true}), false)]
#[case::part_of_word(json!({"key": ["al"], "matchWholeWords": false}), true)]
#[case::whole_word(json!({"key": ["al"]}), false)]
#[case::pattern(json!({"key": ["/al[e]/"]}), true)]
#[case::name_of_speaker(json!({"key": ["Bob"]}), true)]
#[case::too_early(json!({"constant": true, "delay": 4}), false)]
#[case::late_enough(json!({"constant": true, "delay": 3}), true)]
#[case::other_purpose(json!({"constant": true, "triggers": ["continue"]}), false)]
#[case::this_purpose(json!({"constant": true, "triggers": ["normal"]}), true)]
#[case::for_this_character(json!({"constant": true, "characterFilter": {"isExclude": false, "names": ["ada"], "tags": []}}), true)]
#[case::for_another(json!({"constant": true, "characterFilter": {"isExclude": false, "names": ["eve"], "tags": []}}), false)]
#[case::shut_out_by_tag(json!({"constant": true, "characterFilter": {"isExclude": true, "names": [], "tags": ["inn"]}}), false)]
#[case::wrong_types(json!({"key": 5, "order": "x", "position": {}, "depth": -9, "probability": "no", "constant": 1}), true)]
fn activation(#[case] mut entry: Value, #[case] active: bool) {
    entry["content"] = json!("E");
    assert_eq!(Inn::new().active(json!([entry]), &["first", "second", "Bob asks for ale"]).len(), usize::from(active));
}

#[test]
fn decorators_command_and_are_not_sent() {
    let entries = json!([{"content": "@@activate\nA"}, {"constant": true, "content": "@@dont_activate\nB"}]);
    assert_eq!(Inn::new().active(entries, &["x"]), ["A"]);
}

#[test]
fn entries_stand_in_their_order() {
    let entries = json!([
        {"constant": true, "order": 30, "content": "C"}, {"constant": true, "order": 10, "content": "A"},
        {"constant": true, "order": 20, "content": "B"},
    ]);
    assert_eq!(Inn::new().active(entries, &["x"]), ["A", "B", "C"]);
}

#[test]
fn entries_make_others_active() {
    let entries = || {
        json!([
            {"key": ["ale"], "content": "The cellar.", "order": 1},
            {"key": ["cellar"], "content": "A dragon.", "order": 2},
            {"key": ["dragon"], "content": "Gold.", "order": 3},
            {"key": ["cellar"], "content": "Never by others.", "excludeRecursion": true},
            {"key": ["ale"], "content": "A princess.", "preventRecursion": true, "order": 4},
            {"key": ["princess"], "content": "Not reached."},
            {"key": ["ale"], "content": "Only by others.", "delayUntilRecursion": true, "order": 5},
        ])
    };
    let mut inn = Inn::new();
    assert_eq!(
        inn.active(entries(), &["ale"]),
        ["The cellar.", "A dragon.", "Gold.", "A princess.", "Only by others."]
    );
    inn.settings.max_steps = 2;
    assert_eq!(inn.active(entries(), &["ale"]), ["The cellar.", "A dragon.", "A princess.", "Only by others."]);
    inn.settings.recursive = false;
    assert_eq!(inn.active(entries(), &["ale"]), ["The cellar.", "A princess."]);
}

#[test]
fn a_circle_of_entries_ends() {
    let entries: Vec<Value> =
        (0..100).map(|at| json!({"key": [format!("k{at}")], "content": format!("k{} k{}", at + 1, at / 2)})).collect();
    assert_eq!(Inn::new().active(json!(entries), &["k0"]).len(), 20);
}

#[test]
fn of_a_group_one_is_taken() {
    let entry = |content: &str, more: Value| {
        let mut entry = json!({"key": ["ale"], "content": content, "group": "g, h"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let plain =
        json!([entry("A", json!({})), entry("B", json!({"groupWeight": 300})), entry("C", json!({"groupWeight": 0}))]);
    let mut won = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..200 {
        let active = Inn { seed, ..Inn::new() }.active(plain.clone(), &["ale"]);
        assert_eq!(active.len(), 1);
        *won.entry(active[0].clone()).or_default() += 1;
    }
    assert!(won["B"] > won["A"] && !won.contains_key("C"), "{won:?}");
    let over = json!([
        entry("A", json!({})),
        entry("B", json!({"groupOverride": true, "order": 1})),
        entry("C", json!({"groupOverride": true, "order": 2}))
    ]);
    assert_eq!(Inn::new().active(over, &["ale"]), ["C"]);
    let scored = json!([entry("A", json!({"useGroupScoring": true})), entry("B", json!({"key": ["ale", "x"]}))]);
    assert_eq!(Inn::new().active(scored, &["ale x"]), ["B"]);
}

#[test]
fn the_share_is_kept_and_the_first_that_does_not_fit_ends_it() {
    let entries = json!([
        {"constant": true, "order": 3, "content": "one two three"}, {"constant": true, "order": 2, "content": "one two three"},
        {"constant": true, "order": 1, "content": "one"}, {"constant": true, "order": 0, "content": "free", "ignoreBudget": true},
    ]);
    let mut inn = Inn::new();
    inn.settings.budget_cap = 5;
    let books = [Book::parse("w", Source::Global, &json!({ "entries": entries }))];
    let prompt = inn.prompt(&books, &["x"]);
    assert_eq!(lore_of(&prompt), ["free", "one two three"]);
    assert_eq!(prompt.left_out.lore, 2);
}

#[test]
fn books_have_ranks() {
    let book =
        |source, content: &str| Book::parse("b", source, &json!({"entries": [{"constant": true, "content": content}]}));
    let books = [
        book(Source::Global, "one two"),
        book(Source::Character, "three four"),
        book(Source::Persona, "five six"),
        book(Source::Chat, "seven eight"),
    ];
    let mut inn = Inn::new();
    let first = |inn: &Inn, cap| {
        let inn = Inn { settings: LoreSettings { budget_cap: cap, ..inn.settings.clone() }, ..Inn::new() };
        lore_of(&inn.prompt(&books, &["x"]))[0].clone()
    };
    assert_eq!([first(&inn, 2), first(&inn, 4), first(&inn, 6)], ["seven eight", "five six", "three four"]);
    inn.settings.strategy = Strategy::GlobalFirst;
    assert_eq!(first(&inn, 6), "one two");
}

#[test]
fn sticky_entries_stay_then_rest() {
    let entries = json!([{"uid": 7, "key": ["ale"], "content": "E", "sticky": 2, "cooldown": 2}]);
    let books = [Book::parse("w", Source::Global, &json!({ "entries": entries }))];
    let mut inn = Inn::new();
    inn.settings.scan_depth = 1;
    let mut texts = vec!["ale"];
    let mut seen = Vec::new();
    for next in ["ale", "x", "ale", "ale", "ale"] {
        let prompt = inn.prompt(&books, &texts);
        seen.push(lore_of(&prompt).len());
        // Another version of the same answer finds the same.
        inn.metadata.extend(prompt.metadata);
        assert_eq!(lore_of(&inn.prompt(&books, &texts)).len(), *seen.last().unwrap(), "{texts:?}");
        texts.push(next);
    }
    assert_eq!(seen, [1, 1, 1, 0, 0]);
    assert_eq!(lore_of(&inn.prompt(&books, &texts)).len(), 1);
}

#[test]
fn more_messages_are_looked_through_until_enough_is_active() {
    let entries = json!([{"key": ["first"], "content": "E"}]);
    let mut inn = Inn::new();
    let texts = ["first", "x", "x", "x"];
    assert!(inn.active(entries.clone(), &texts).is_empty());
    inn.settings.min_activations = 1;
    assert_eq!(inn.active(entries.clone(), &texts), ["E"]);
    inn.settings.min_activations_depth = 3;
    assert!(inn.active(entries, &texts).is_empty());
}

#[test]
fn other_texts_can_be_looked_through() {
    let mut inn = Inn::new();
    inn.character.description = "{{char}} fears wolves".into();
    inn.character.depth_prompt = Some(Note { text: "snow".into(), ..Note::default() });
    let entries = json!([
        {"key": ["Ada fears"], "content": "A", "matchCharacterDescription": true}, {"key": ["wolves"], "content": "B"},
        {"key": ["snow"], "content": "C", "matchCharacterDepthPrompt": true},
    ]);
    // Of two of the same order, the book's first is nearer to the end.
    assert_eq!(inn.active(entries, &["x"]), ["C", "A"]);
}

#[test]
fn a_cards_own_book_is_read() {
    let book = json!({"name": "b", "scan_depth": 1, "entries": [
        {"id": 3, "keys": ["ale"], "secondary_keys": ["x"], "content": "E", "enabled": true, "insertion_order": 7, "case_sensitive": null,
         "selective": true, "constant": false, "position": "before_char", "name": "Ale",
         "extensions": {"position": 4, "depth": 2, "role": 2, "selectiveLogic": 2, "probability": 50, "useProbability": true, "exclude_recursion": true,
                        "prevent_recursion": true, "delay_until_recursion": 2, "group": "g", "group_weight": 5, "group_override": true,
                        "scan_depth": null, "match_whole_words": false, "sticky": 1, "cooldown": 2, "delay": 3, "match_scenario": true}},
        {"keys": ["k"], "content": "F", "enabled": false, "insertion_order": 1, "position": "before_char", "extensions": {}},
        {"keys": ["k"], "content": "G", "enabled": true, "insertion_order": 1},
        "no entry",
    ]});
    let book = Book::parse("b", Source::Character, &book);
    let entry = &book.entries[0];
    assert_eq!(
        (entry.uid, entry.order, entry.position, entry.depth, entry.role.0),
        (3, 7, Position::AtDepth, 2, Role::Assistant)
    );
    assert_eq!((entry.logic, entry.probability, entry.delay_until_recursion), (Logic::NotAny, 50.0, 2));
    assert!(
        entry.selective
            && entry.exclude_recursion
            && entry.prevent_recursion
            && entry.group_override
            && entry.also_in.scenario
    );
    assert_eq!((entry.scan_depth, entry.whole_words, entry.case_sensitive), (Some(1), Some(false), None));
    assert_eq!((entry.sticky, entry.cooldown, entry.delay, entry.title()), (1, 2, 3, "Ale".to_owned()));
    assert_eq!((book.entries[1].position, book.entries[1].disabled), (Position::Before, true));
    assert_eq!((book.entries[2].position, book.entries.len()), (Position::After, 3));
}

#[test]
fn settings_are_sillytaverns() {
    let settings =
        LoreSettings::parse(&json!({"world_info_depth": 5, "world_info_budget": 40, "world_info_budget_cap": 900,
        "world_info_recursive": false, "world_info_character_strategy": 2, "world_info_match_whole_words": false}));
    assert_eq!((settings.scan_depth, settings.budget_percent, settings.budget_cap), (5, 40, 900));
    assert_eq!((settings.recursive, settings.whole_words, settings.strategy), (false, false, Strategy::GlobalFirst));
    assert_eq!(LoreSettings::parse(&json!(null)), LoreSettings::default());
}

#[test]
fn a_large_hostile_book_takes_bounded_time() {
    let entries: Vec<Value> = (0..1500)
        .map(|at| json!({"uid": at, "key": [format!("/(?=(a+)+{at})b/"), format!("word{at}"), "/((a*)*)*x{at}$/"], "content": "{{description}}"}))
        .collect();
    let mut inn = Inn::new();
    inn.character.description = "d".repeat(100_000);
    let start = std::time::Instant::now();
    inn.active(json!(entries), &["a".repeat(50_000).as_str(), "word7 word8"]);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
