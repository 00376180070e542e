//! Cards as strangers make them: every version, bent on purpose, written and read again.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::edit::Edit;
use super::{Card, DepthPrompt, picture, png, whole_characters};
use crate::error::Kind;
use crate::library::characters::BLANK;

/// The picture with these text chunks before its end.
fn with_texts(texts: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let end = BLANK.len() - 12;
    let mut out = BLANK[..end].to_vec();
    for (kind, data) in texts {
        png::push_chunk(&mut out, **kind, data);
    }
    out.extend_from_slice(&BLANK[end..]);
    out
}

fn text(keyword: &str, json: &str) -> Vec<u8> {
    [keyword.as_bytes(), b"\0", STANDARD.encode(json).as_bytes()].concat()
}

fn packed(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn ada() -> Card {
    let mut card = Card::new("Ada");
    let edit = Edit { description: Some("d\u{e9}\u{1f600}".into()), tags: Some(vec!["a".into()]), ..Edit::default() };
    card.apply(&edit).unwrap();
    card
}

#[test]
fn what_is_written_is_read_and_every_other_chunk_stays() {
    let foreign = with_texts(&[(b"tEXt", b"Comment\0kept"), (b"vpAg", b"unknown"), (b"tEXt", &text("Chara", "{}"))]);
    let written = png::write(&foreign, &ada()).unwrap();
    let read = png::read(&written).unwrap();
    assert_eq!(read.name(), "Ada");
    assert_eq!(read.description(), "d\u{e9}\u{1f600}");
    assert_eq!(read.spec(), "chara_card_v3");
    let at = |needle: &[u8]| memchr::memmem::find(&written, needle).unwrap();
    assert!(at(b"Comment\0kept") < at(b"unknown"));
    assert!(at(b"unknown") < at(b"tEXtchara\0") && at(b"tEXtchara\0") < at(b"tEXtccv3\0"));
    assert_eq!(memchr::memmem::find_iter(&written, b"tEXtchara\0").count(), 1);
    assert!(memchr::memmem::find(&written, b"Chara").is_none(), "the old one is gone");
    assert_eq!(&written[..BLANK.len() - 12], &BLANK[..BLANK.len() - 12], "no pixel was touched");
    assert_eq!(png::write(&written, &read).unwrap().len(), written.len());
    assert!(picture::to_png(&written, None).is_ok());
}

#[test]
fn the_later_version_is_preferred_and_packed_texts_are_read() {
    let one = r#"{"name":"one"}"#;
    let two = r#"{"name":"two"}"#;
    let cases: Vec<(Vec<u8>, &str, bool)> = vec![
        (with_texts(&[(b"tEXt", &text("ccv3", two)), (b"tEXt", &text("chara", one))]), "two", true),
        (with_texts(&[(b"tEXt", &text("CHARA", one))]), "one", true),
        (with_texts(&[(b"tEXt", &text("chara", one)), (b"tEXt", &text("chara", two))]), "one", true),
        (with_texts(&[(b"tEXt", &[b"chara\0".as_slice(), one.as_bytes()].concat())]), "one", true),
        (
            with_texts(&[(b"zTXt", &[b"chara\0\0".as_slice(), &packed(STANDARD.encode(one).as_bytes())].concat())]),
            "one",
            false,
        ),
        (
            with_texts(&[(b"iTXt", &[b"ccv3\0\0\0en\0k\0".as_slice(), STANDARD.encode(two).as_bytes()].concat())]),
            "two",
            false,
        ),
        (
            with_texts(&[(
                b"iTXt",
                &[b"ccv3\0\x01\0\0\0".as_slice(), &packed(STANDARD.encode(two).as_bytes())].concat(),
            )]),
            "two",
            false,
        ),
    ];
    for (bytes, name, plain) in cases {
        let found = png::find(Cursor::new(&bytes)).unwrap();
        assert_eq!(Card::parse(&found.json).unwrap().name(), name);
        assert_eq!(found.plain, plain);
    }
}

#[rstest]
#[case(r#"{"name":"A","first_mes":"hi","creatorcomment":"n","fav":"true","talkativeness":"0.7"}"#, "chara_card_v1")]
#[case(r#"{"spec":"chara_card_v2","data":{"name":"A","first_mes":"hi","creator_notes":"n","extensions":{"fav":true,"talkativeness":"0.7"}}}"#, "chara_card_v2")]
#[case(r#"{"spec":"chara_card_v3","name":"old","data":{"name":"A","first_mes":"hi","creator_notes":"n","extensions":{"fav":true,"talkativeness":0.7}}}"#, "chara_card_v3")]
fn every_version_says_the_same(#[case] json: &str, #[case] spec: &str) {
    let card = Card::parse(json.as_bytes()).unwrap();
    assert_eq!((card.name(), card.first_message(), card.creator_notes()), ("A", "hi", "n"));
    assert!(card.favorite());
    assert_eq!(card.talkativeness(), 0.7);
    assert_eq!(card.spec(), spec);
    assert_eq!(card.depth_prompt(), DepthPrompt::default());
}

#[test]
fn pygmalions_shape_becomes_a_card_and_keeps_the_rest() {
    let json = r#"{"char_name":"A","char_persona":"p","world_scenario":"s","char_greeting":"hi","example_dialogue":"e","metadata":{"tool":1}}"#;
    let card = Card::parse(json.as_bytes()).unwrap();
    assert_eq!(
        [card.name(), card.description(), card.scenario(), card.first_message(), card.example_messages()],
        ["A", "p", "s", "hi", "e"]
    );
    assert_eq!(card.fields()["metadata"], json!({ "tool": 1 }));
}

#[rstest]
#[case("")]
#[case("[]")]
#[case("{}")]
#[case("null")]
#[case(r#"{"name":7}"#)]
#[case(r#"{"name":"A"#)]
#[case(r#"{"data":{"description":"x"}}"#)]
fn what_is_no_card(#[case] json: &str) {
    assert_eq!(Card::parse(json.as_bytes()).unwrap_err().code(), "bad_card");
}

#[test]
fn wrong_types_in_every_field_say_nothing() {
    for wrong in [json!(1), json!([1, {}]), json!({ "a": 1 }), json!(null), json!(true)] {
        let mut data = Map::new();
        for name in [
            "description",
            "personality",
            "scenario",
            "first_mes",
            "mes_example",
            "creator_notes",
            "system_prompt",
            "post_history_instructions",
            "tags",
            "creator",
            "character_version",
            "alternate_greetings",
            "extensions",
            "character_book",
        ] {
            data.insert(name.to_owned(), wrong.clone());
        }
        data.insert("name".to_owned(), json!("A"));
        let card = Card::parse(json!({ "data": data }).to_string().as_bytes()).unwrap();
        assert_eq!(card.description(), "");
        assert!(card.tags().iter().all(|tag| tag.is_empty()));
        assert_eq!(card.talkativeness(), 0.5);
        let mut edited = card.clone();
        let edit = Edit { favorite: Some(true), world: Some("w".into()), ..Edit::default() };
        edited.apply(&edit).unwrap();
        assert!(edited.favorite());
        assert_eq!(edited.world(), "w");
    }
}

#[test]
fn half_characters_of_javascript_are_read() {
    let card =
        Card::parse(br#"{"name":"A","description":"x\ud83d","scenario":"\udc00 \ud83d\ude00 \\ud83d"}"#).unwrap();
    assert_eq!(card.description(), "x\u{fffd}");
    assert_eq!(card.scenario(), "\u{fffd} \u{1f600} \\ud83d");
}

#[test]
fn an_edit_changes_what_it_names_and_its_mirror_only() {
    let json = r#"{"zebra":1.5,"name":"A","description":"old","tags":["x"],"spec":"chara_card_v2","spec_version":"2.0",
        "data":{"name":"A","description":"old","tags":["x"],"extensions":{"foreign":{"deep":[1]},"depth_prompt":{"prompt":"p","more":1}},"unknown":null}}"#;
    let before = Card::parse(json.as_bytes()).unwrap();
    let mut card = before.clone();
    card.apply(&Edit { description: Some("old".into()), tags: Some(vec!["x".into()]), ..Edit::default() }).unwrap();
    assert_eq!(card, before, "nothing changed");
    let depth_prompt = Some(DepthPrompt { prompt: "q".into(), depth: 2, role: "user".into() });
    card.apply(&Edit { description: Some("new".into()), depth_prompt, ..Edit::default() }).unwrap();
    let mut expected: Value = serde_json::from_str(json).unwrap();
    expected["description"] = json!("new");
    expected["data"]["description"] = json!("new");
    expected["data"]["extensions"]["depth_prompt"] = json!({ "prompt": "q", "more": 1, "depth": 2, "role": "user" });
    assert_eq!(Value::Object(card.fields().clone()), expected);
    assert_eq!(card.fields().keys().next().unwrap(), "zebra");
}

#[test]
fn a_card_of_version_1_grows_when_it_is_edited() {
    let mut card = Card::parse(br#"{"name":"A","description":"d","foreign":1,"fav":true}"#).unwrap();
    card.apply(&Edit { system_prompt: Some("s".into()), ..Edit::default() }).unwrap();
    assert_eq!((card.system_prompt(), card.description(), card.favorite()), ("s", "d", true));
    assert_eq!(card.fields()["foreign"], json!(1));
    assert_eq!(card.spec(), "chara_card_v2");
}

#[test]
fn a_card_of_version_1_is_written_with_what_later_versions_look_for() {
    let card = Card::parse(br#"{"name":"A","description":"d","foreign":1}"#).unwrap();
    let read = png::read(&png::write(BLANK, &card).unwrap()).unwrap();
    assert_eq!(read.fields()["data"]["description"], json!("d"));
    assert_eq!((read.fields()["description"].clone(), read.fields()["foreign"].clone()), (json!("d"), json!(1)));
}

#[test]
fn a_lorebook_is_set_as_it_is_and_removed() {
    let mut card = ada();
    let book: Map<String, Value> = serde_json::from_str(r#"{"entries":[],"strange":1.25}"#).unwrap();
    card.apply(&Edit { lorebook: Some(Some(book.clone())), ..Edit::default() }).unwrap();
    assert_eq!(card.lorebook(), Some(&Value::Object(book)));
    card.apply(&Edit::default()).unwrap();
    assert!(card.lorebook().is_some());
    card.apply(&serde_json::from_str(r#"{"lorebook":null}"#).unwrap()).unwrap();
    assert!(card.lorebook().is_none());
}

#[test]
fn hostile_chunks_are_refused_without_reading_them() {
    // A text chunk that claims half a gigabyte and has no more than its head.
    let mut bytes = BLANK[..33].to_vec();
    bytes.extend_from_slice(&(500u32 << 20).to_be_bytes());
    bytes.extend_from_slice(b"tEXtchara\0");
    bytes.extend_from_slice(&[b'A'; 200]);
    assert_eq!(png::read(&bytes).unwrap_err().kind(), Kind::TooLarge);
    // One that unpacks to more than we take.
    let bomb = packed(&vec![b' '; super::TEXT_MAX + 2]);
    let bytes = with_texts(&[(b"zTXt", &[b"chara\0\0".as_slice(), &bomb].concat())]);
    assert_eq!(png::read(&bytes).unwrap_err().kind(), Kind::TooLarge);
    let wrong_sum = {
        let mut bytes = with_texts(&[(b"tEXt", &text("chara", r#"{"name":"A"}"#))]);
        let at = bytes.len() - 14;
        bytes[at] ^= 1;
        bytes
    };
    assert!(png::read(&wrong_sum).unwrap_err().message().contains("checksum"));
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(Card::parse(deep.as_bytes()).unwrap_err().code(), "bad_card");
}

#[test]
fn a_picture_of_60000_by_60000_is_refused_by_its_head() {
    let mut bytes = BLANK.to_vec();
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    assert_eq!(picture::check(&bytes).unwrap_err().kind(), Kind::TooLarge);
    assert!(picture::to_png(&bytes, None).is_err());
    assert!(picture::thumbnail(&bytes, 96, 144, 90).is_err());
    for not_a_picture in [b"<svg onload=alert(1)>".as_slice(), b"%PDF-1.7", b"<html>", b"", b"RIFF....WAVE"] {
        assert_eq!(picture::check(not_a_picture).unwrap_err().code(), "not_an_image");
    }
}

#[test]
fn pictures_are_cut_and_made_small() {
    let part = picture::to_png(BLANK, Some(picture::Crop::parse("10,20,100,5000").unwrap())).unwrap();
    assert_eq!(u32::from_be_bytes(part[16..20].try_into().unwrap()), 100);
    assert_eq!(u32::from_be_bytes(part[20..24].try_into().unwrap()), 580);
    let small = picture::thumbnail(&part, 96, 144, 90).unwrap();
    assert!(small.starts_with(b"\xff\xd8\xff"));
    assert!(picture::Crop::parse("1,2,3").is_err() && picture::Crop::parse("1,2,0,4").is_err());
    assert!(picture::to_png(BLANK, Some(picture::Crop { x: 400, y: 0, width: 1, height: 1 })).is_err());
}

/// JSON of any shape, with numbers that survive.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("\\PC{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_fields_survive_an_edit(root in any_json(), inside in any_json(), words in "\\PC{0,40}") {
        let before = json!({ "name": "A", "unknown": root, "data": { "name": "A", "unknown": inside } });
        let mut card = Card::parse(before.to_string().as_bytes()).unwrap();
        card.apply(&Edit { description: Some(words.clone()), ..Edit::default() }).unwrap();
        let written = png::write(BLANK, &card).unwrap();
        let read = png::read(&written).unwrap();
        prop_assert_eq!(read.description(), words);
        prop_assert_eq!(&read.fields()["unknown"], &before["unknown"]);
        prop_assert_eq!(&read.fields()["data"]["unknown"], &before["data"]["unknown"]);
        prop_assert_eq!(png::write(&written, &read).unwrap(), png::write(BLANK, &read).unwrap());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Card::parse(&bytes);
        let _ = png::read(&bytes);
        let framed = [png::SIGNATURE.as_slice(), &bytes].concat();
        let _ = png::read(&framed);
        let _ = png::write(&framed, &ada());
        let _ = picture::check(&bytes);
        let _ = picture::check(&framed);
        let _ = whole_characters(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_bent_card_is_read_or_refused(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = png::write(BLANK, &ada()).unwrap();
        for (at, value) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = png::read(&bytes);
        let _ = png::write(&bytes, &ada());
        bytes.truncate(end.index(bytes.len()));
        let _ = png::read(&bytes);
        let _ = png::write(&bytes, &ada());
        let _ = picture::check(&bytes);
    }

    #[test]
    fn escapes_of_any_kind_are_mended(parts in proptest::collection::vec("\\\\u[dD][89abcdefAF][0-9a-f]{2}|\\\\\\\\|\\\\n|x|é", 0..12)) {
        let text = format!("{{\"name\":\"{}\"}}", parts.concat());
        prop_assert!(Card::parse(text.as_bytes()).is_ok(), "{text}");
    }
}
