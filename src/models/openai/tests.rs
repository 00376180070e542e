use rstest::rstest;

use super::*;
use crate::models::tests::connection;

#[rstest]
#[case("https://api.example", "https://api.example/v1/models")]
#[case("https://api.example/", "https://api.example/v1/models")]
#[case("https://api.example/v1/", "https://api.example/v1/models")]
#[case("https://api.example/v1/chat/completions", "https://api.example/v1/models")]
#[case("https://api.example/openai/v1/models", "https://api.example/openai/v1/models")]
#[case("https://api.example/v1/completions/", "https://api.example/v1/models")]
#[case("https://api.example/v1?version=2", "https://api.example/v1/models?version=2")]
fn places(#[case] base: &str, #[case] expected: &str) {
    let found = place(&Target::parse(base).unwrap(), &["models"]);
    assert_eq!(found, Target::parse(expected).unwrap());
}

fn everything() -> Parameters {
    Parameters {
        temperature: Some(0.5),
        top_k: Some(40),
        min_p: Some(0.1),
        repetition_penalty: Some(1.1),
        seed: Some(7),
        max_tokens: Some(100),
        stop: ["", "a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        extra: serde_json::from_str(r#"{"temperature": 0.25, "mirostat": 2}"#).unwrap(),
        ..Parameters::default()
    }
}

fn body(base: &str, messages: Vec<Message>) -> Value {
    let connection = Connection { base_url: base.into(), ..connection() };
    prepare(&connection, None, &Ask { model: "m".into(), messages, parameters: everything() }).unwrap().body
}

#[test]
fn each_house_gets_what_it_takes() {
    let expected = [
        (
            "https://api.openai.com/v1",
            json!({ "temperature": 0.25, "seed": 7, "max_completion_tokens": 100, "stop": ["a", "b", "c", "d"], "mirostat": 2 }),
        ),
        (
            "https://api.mistral.ai/v1",
            json!({ "temperature": 0.25, "random_seed": 7, "max_tokens": 100, "stop": ["a", "b", "c", "d"], "mirostat": 2 }),
        ),
        (
            "http://127.0.0.1:1234/v1",
            json!({
                "temperature": 0.25, "seed": 7, "max_tokens": 100, "top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1,
                "repeat_penalty": 1.1, "stop": ["a", "b", "c", "d", "e"], "mirostat": 2,
            }),
        ),
    ];
    for (base, expected) in expected {
        let mut body = body(base, Vec::new());
        let body = body.as_object_mut().unwrap();
        assert_eq!(body.remove("stream_options").is_some(), !base.contains("mistral"));
        for common in ["model", "messages", "stream"] {
            assert!(body.remove(common).is_some());
        }
        assert_eq!(Value::Object(body.clone()), expected, "{base}");
    }
}

#[test]
fn messages_names_and_pictures() {
    let mut said = Message::text(Role::User, "look");
    said.name = Some("Äpfel & Birnen".into());
    said.parts.push(Part::Image(Image { mime: "image/png".into(), bytes: "x".into() }));
    let body = body("https://api.openai.com/v1", vec![said, Message::text(Role::Assistant, "I see")]);
    let expected = json!([
        { "role": "user", "name": "Apfel___Birnen", "content": [
            { "type": "text", "text": "look" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,eA==" } },
        ] },
        { "role": "assistant", "content": "I see" },
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(plain_name("🦦"), Some("otter".into()));
    assert_eq!(plain_name(" - "), None);
}

#[test]
fn what_is_to_be_continued_is_marked_for_mistral() {
    let body = body("https://api.mistral.ai/v1", vec![Message::text(Role::Assistant, "I")]);
    assert_eq!(body["messages"], json!([{ "role": "assistant", "content": "I", "prefix": true }]));
}

#[test]
fn half_way() {
    let mut body = json!({ "max_tokens": 5, "stream_options": {} });
    assert!(!meet_half_way(&mut body, "bad temperature"));
    assert!(meet_half_way(&mut body, "Unknown field stream_options"));
    assert!(!meet_half_way(&mut body, "Unknown field stream_options"));
    assert!(meet_half_way(&mut body, "Use 'max_completion_tokens' instead of 'max_tokens'"));
    assert_eq!(body, json!({ "max_completion_tokens": 5 }));
    let mut body = json!({ "temperature": 0.5, "model": "temperature" });
    assert!(!meet_half_way(&mut body, "temperature has to be between 0 and 2"));
    assert!(meet_half_way(&mut body, "Unsupported value: 'temperature' does not support 0.5 with this model."));
    assert_eq!(body, json!({ "model": "temperature" }));
}

#[test]
fn usage_with_the_thinking_in_the_total_only() {
    let counted = |value: Value| usage(&value).map(|usage| (usage.prompt, usage.completion));
    assert_eq!(counted(json!({ "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 })), Some((5, 3)));
    assert_eq!(counted(json!({ "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 20 })), Some((5, 15)));
    assert_eq!(counted(json!({ "prompt_tokens": 5 })), Some((5, 0)));
    assert_eq!(counted(json!({})), None);
}

#[test]
fn lists_in_their_forms() {
    let list = json!({ "data": [
        { "id": "a", "name": "A", "context_length": 8192 },
        { "id": "b", "max_model_len": 4096, "name": "b" },
        { "name": "without an id" },
    ] });
    let found = models(&list).unwrap();
    assert_eq!((found[0].name.as_deref(), found[0].context), (Some("A"), Some(8192)));
    assert_eq!((found[1].name.as_deref(), found[1].context, found.len()), (None, Some(4096), 2));
    assert_eq!(models(&json!([{ "id": "a" }])).unwrap().len(), 1);
    assert_eq!(models(&json!({ "data": "none" })), None);
}
