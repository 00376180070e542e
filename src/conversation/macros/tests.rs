use super::*;
use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

fn with<T>(work: impl FnOnce(Macros<'_>) -> T) -> T {
    let character = Character {
        name: "Ada".into(),
        description: "{{char}} of {{scenario}}".into(),
        scenario: "the inn".into(),
        personality: "calm, {{personality}}".into(),
        version: "1.2".into(),
        ..Character::default()
    };
    let persona = Persona { name: "Bob".into(), description: "{{user}} is a smith.".into(), ..Persona::default() };
    let mut said = HistoryMessage::new(0, Role::User, "Bob", "Hello {{char}}");
    said.at = Some(datetime!(2026-11-22 18:55 UTC));
    let history = [
        said,
        HistoryMessage::new(1, Role::Assistant, "Ada", "Welcome"),
        HistoryMessage::new(2, Role::User, "Bob", "Ale!"),
    ];
    let macros = Macros {
        history: &history,
        chat_length: 3,
        model: "m-1",
        input: "typed",
        ..Macros::new(&character, &persona, datetime!(2026-11-22 19:05 UTC), 1)
    };
    work(macros)
}

#[rstest]
#[case("{{char}} and {{USER}} and <user>, <Bot>, <CHAR>", "Ada and Bob and Bob, Ada, Ada")]
#[case("{{persona}}", "Bob is a smith.")]
#[case("{{description}}", "Ada of the inn")]
#[case("{{personality}}", "calm, {{personality}}")]
#[case("{{time}} {{date}} {{weekday}}", "7:05 PM November 22, 2026 Sunday")]
#[case("{{isotime}} {{isodate}}", "19:05 2026-11-22")]
#[case("{{datetimeformat DD.MM.YYYY HH:mm}}", "22.11.2026 19:05")]
#[case("{{time_UTC+2}} {{time_UTC-5}} {{time::UTC+1}}", "9:05 PM 2:05 PM 8:05 PM")]
#[case("{{idle_duration}}", "10 minutes")]
#[case("{{lastMessage}}|{{lastUserMessage}}|{{lastCharMessage}}|{{lastMessageId}}", "Ale!|Ale!|Welcome|2")]
#[case("{{model}} {{input}} {{charVersion}}", "m-1 typed 1.2")]
#[case("a{{newline}}b{{noop}}c{{newline::2}}d", "a\nbc\n\nd")]
#[case("a\n\n{{trim}}\n\nb", "ab")]
#[case("a{{// a {{char}} remark }}b", "ab")]
#[case("{{unknown}} {{ }} {{}} {{unknown::{{char}}}}", "{{unknown}} {{ }} {{}} {{unknown::Ada}}")]
#[case("{{ char }}", "Ada")]
#[case("{{{char}}} {{char", "{Ada} {{char")]
#[case("}} {{char}} }}", "}} Ada }}")]
#[case(
    "{{setvar::mood::good}}{{getvar::mood}}{{addvar::n::2}}{{addvar::n::3}} {{getvar::n}} {{incvar::n}} {{decvar::n}}",
    "good 5 6 5"
)]
#[case("{{setvar::a::x{{char}}}}{{getvar::a}}{{hasvar::a}}{{deletevar::a}}{{hasvar::a}}", "xAdatruefalse")]
#[case("{{getvar::none}}{{getvar}}", "{{getvar}}")]
#[case("{{roll:d1}} {{roll 3d1+2}} {{roll:1}} {{roll:999999999d6}}{{roll:x}}", "1 5 1 ")]
#[case("{{random::{{char}}::{{char}}}} {{random:a}} {{random:a\\,b}}", "Ada a a,b")]
#[case("{{reverse:abc}}{{outlet::none}}", "cba")]
#[case("no macros { here } <b>", "no macros { here } <b>")]
fn macros(#[case] text: &str, #[case] expected: &str) {
    with(|macros| assert_eq!(macros.expand(text), expected));
}

#[test]
fn the_original_comes_back_once_with_its_own_macros() {
    with(|macros| {
        assert_eq!(macros.expand_over("<{{original}}|{{original}}>", "Be {{char}}."), "<Be Ada.|>");
        assert_eq!(macros.expand("{{original}}"), "{{original}}");
    });
}

#[test]
fn picks_stay_while_random_goes_on() {
    with(|macros| {
        let text = "{{pick::a::b::c::d::e::f::g::h}}";
        let picked = macros.expand(text);
        assert!((0..20).all(|_| macros.expand(text) == picked));
        let random: std::collections::HashSet<_> = (0..60).map(|_| macros.expand("{{random:a,b,c}}")).collect();
        assert_eq!(random.len(), 3);
    });
}

#[test]
fn messages_get_names_and_nothing_else() {
    with(|macros| assert_eq!(macros.names("{{char}} {{Char}} <USER> {{time}} {x"), "Ada Ada Bob {{time}} {x"));
}

#[test]
fn variables_are_kept_only_where_they_changed() {
    with(|macros| {
        macros.expand("{{getvar::a}}{{setglobalvar::g::1}}{{getglobalvar::g}}");
        assert_eq!(macros.changed_variables(), None);
        macros.expand("{{setvar::a::1}}");
        assert_eq!(macros.changed_variables().unwrap()["a"], "1");
    });
}

#[rstest]
#[case("{{description}}".repeat(50_000), "{{personality}}{{personality}}".repeat(2000), "{{scenario}}".repeat(2000), "x".repeat(10_000))]
#[case("{{description}}".repeat(50_000), format!("{{{{// {}}}}}", "c".repeat(1_000_000)), String::new(), String::new())]
#[case(format!("{{{{setvar::x::ab}}}}{}{{{{getvar::x}}}}", "{{setvar::x::{{getvar::x}}{{getvar::x}}}}".repeat(64)), String::new(), String::new(), String::new())]
#[case("{{".repeat(200_000), String::new(), String::new(), String::new())]
#[case(format!("{}char{}", "{{".repeat(100_000), "}}".repeat(100_000)), String::new(), String::new(), String::new())]
fn hostile_texts_stay_bounded(
    #[case] text: String,
    #[case] description: String,
    #[case] personality: String,
    #[case] scenario: String,
) {
    let character = Character { description, personality, scenario, ..Character::default() };
    let persona = Persona::default();
    let macros = Macros::new(&character, &persona, datetime!(2026-11-22 19:05 UTC), 1);
    let start = std::time::Instant::now();
    assert!(macros.expand(&text).len() <= text.len() + FUEL);
    assert!(start.elapsed().as_secs() < 10);
}

proptest! {
    #[test]
    fn any_text_expands(text in "(\\{\\{|\\}\\}|::|:|char|random|roll|setvar|getvar|trim|x|<USER>|,|é|\n| |//|2d6|time_utc|\\{|\\})*") {
        with(|macros| { macros.expand(&text); macros.names(&text); });
    }
}
