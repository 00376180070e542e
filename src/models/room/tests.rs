//! What servers tell about room, over real sockets, and how long it is remembered.

use rstest::rstest;
use serde_json::json;

use super::super::fake::{FakeModel, Instead, Speaks};
use super::*;
use crate::config::{Config, PrivateHosts};

fn models() -> Arc<Models> {
    let mut config = Config::for_testing("unused");
    config.models.allow_private_hosts = PrivateHosts::parse(["127.0.0.1"]).unwrap();
    Arc::new(Models::new(&config))
}

fn rooms() -> Arc<Rooms> {
    Rooms::new(models())
}

fn connection(kind: Kind, base_url: &str) -> Connection {
    Connection { kind, base_url: base_url.into(), ..crate::models::tests::connection() }
}

/// Asks as replies do: where waiting is fine.
async fn room(rooms: &Arc<Rooms>, connection: &Connection, model: &'static str) -> Option<u32> {
    let (rooms, connection) = (Arc::clone(rooms), connection.clone());
    tokio::task::spawn_blocking(move || rooms.of(&connection, model, || None)).await.unwrap()
}

fn entry(field: &str, value: Value) -> Value {
    json!({ "data": [{ "id": "other", "context_length": 1 }, { "id": "small", field: value }] })
}

#[rstest]
#[case::openrouter(Kind::OpenAi, "/v1/models", entry("context_length", json!(16000)), Some(16000))]
#[case::vllm(Kind::Text, "/v1/models", entry("max_model_len", json!(12000)), Some(12000))]
#[case::groq(Kind::OpenAi, "/v1/models", entry("context_window", json!(131_072)), Some(131_072))]
#[case::llama_cpp_as_openai(Kind::OpenAi, "/v1/models", entry("meta", json!({ "n_ctx": 4096, "n_ctx_train": 131_072 })), Some(4096))]
#[case::as_trained_only(Kind::OpenAi, "/v1/models", entry("meta", json!({ "n_ctx_train": 131_072 })), None)]
#[case::anthropic(Kind::Anthropic, "/v1/models", entry("max_input_tokens", json!(200_000)), Some(200_000))]
#[case::gemini(Kind::Gemini, "/v1beta/models/small", json!({ "inputTokenLimit": 1_048_576 }), Some(1_048_576))]
#[case::llama_cpp(Kind::LlamaCpp, "/props", json!({ "default_generation_settings": { "n_ctx": 2048 } }), Some(2048))]
#[case::koboldcpp(Kind::KoboldCpp, "/api/extra/true_max_context_length", json!({ "value": 6144 }), Some(6144))]
#[case::ollama(Kind::Ollama, "/api/show", json!({ "model_info": { "llama.context_length": 4096 } }), Some(4096))]
#[case::ollama_large(Kind::Ollama, "/api/show", json!({ "model_info": { "llama.context_length": 131_072 } }), Some(USUAL))]
#[case::ollama_set(
    Kind::Ollama, "/api/show",
    json!({ "parameters": "stop \"x\"\nnum_ctx    16384", "model_info": { "llama.context_length": 131_072 } }), Some(16384)
)]
#[case::nothing(Kind::LlamaCpp, "/props", json!({}), None)]
#[case::nonsense(Kind::LlamaCpp, "/props", json!({ "default_generation_settings": { "n_ctx": "many" } }), None)]
#[case::none(Kind::KoboldCpp, "/api/extra/true_max_context_length", json!({ "value": 0 }), None)]
#[case::too_large(Kind::KoboldCpp, "/api/extra/true_max_context_length", json!({ "value": u64::MAX }), None)]
#[tokio::test(flavor = "multi_thread")]
async fn servers_tell_how_much_room_there_is(
    #[case] kind: Kind,
    #[case] path: &str,
    #[case] said: Value,
    #[case] expected: Option<u32>,
) {
    let model = FakeModel::start(Speaks::OpenAi);
    model.plan(|plan| plan.documents = vec![(path.to_owned(), said)]);
    let base = if kind == Kind::OpenAi || kind == Kind::Text {
        model.base_url()
    } else {
        format!("http://{}", model.address())
    };
    assert_eq!(room(&rooms(), &connection(kind, &base), "small").await, expected);
}

#[rstest]
#[case::lm_studio("/api/v0/models", json!({ "data": [{ "id": "small", "max_context_length": 99_999, "loaded_context_length": 8000 }] }), Some(8000))]
#[case::lm_studio_not_loaded("/api/v0/models", json!({ "data": [{ "id": "small", "max_context_length": 99_999 }] }), None)]
#[case::llama_cpp("/props", json!({ "default_generation_settings": { "n_ctx": 2048 } }), Some(2048))]
#[case::koboldcpp("/api/extra/true_max_context_length", json!({ "value": 6144 }), Some(6144))]
#[tokio::test(flavor = "multi_thread")]
async fn programs_that_speak_openai_s_dialect_tell_in_their_own(
    #[case] path: &str,
    #[case] said: Value,
    #[case] expected: Option<u32>,
) {
    let model = FakeModel::start(Speaks::OpenAi);
    model.plan(|plan| plan.documents = vec![(path.to_owned(), said)]);
    assert_eq!(room(&rooms(), &connection(Kind::OpenAi, &model.base_url()), "small").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_remembered() {
    let model = FakeModel::start(Speaks::KoboldCpp);
    let (rooms, connection) = (rooms(), connection(Kind::KoboldCpp, &model.base_url()));
    for _ in 0..3 {
        assert_eq!(room(&rooms, &connection, "small").await, Some(4096));
    }
    assert_eq!(model.asked().len(), 1);
    // Another model, address or dialect is another question.
    assert_eq!(room(&rooms, &connection, "large").await, Some(4096));
    let elsewhere = Connection { base_url: format!("{}/api", model.base_url()), ..connection.clone() };
    assert_eq!(room(&rooms, &elsewhere, "small").await, Some(4096));
    assert_eq!(model.asked().len(), 3);

    // After a while it is asked again; meanwhile, and where the server fails, what it said before counts.
    model.fails(500, "{}");
    lock(&rooms.known).values_mut().for_each(|known| known.again = Some(Instant::now()));
    assert_eq!(room(&rooms, &connection, "small").await, Some(4096));
    model.until("it is asked again", |model| model.asked().len() == 4);
    assert_eq!(room(&rooms, &connection, "small").await, Some(4096));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_delays_nobody() {
    let model = FakeModel::start(Speaks::KoboldCpp);
    model.does_instead(Instead::Drip(vec![b'x'; 10_000], Duration::from_millis(100)));
    let connection = connection(Kind::KoboldCpp, &model.base_url());
    let mut rooms = Rooms::new(models());
    Arc::get_mut(&mut rooms).unwrap().wait = Duration::from_millis(100);
    let begun = Instant::now();
    let (one, other) = tokio::join!(room(&rooms, &connection, "small"), room(&rooms, &connection, "small"));
    assert_eq!((one, other), (None, None));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(model.asked().len(), 1, "one asks for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_left_alone_for_a_while() {
    let model = FakeModel::start(Speaks::KoboldCpp);
    model.fails(500, "{}");
    let (rooms, connection) = (rooms(), connection(Kind::KoboldCpp, &model.base_url()));
    for _ in 0..3 {
        assert_eq!(room(&rooms, &connection, "small").await, None);
    }
    assert_eq!(model.asked().len(), 1);
    let again = lock(&rooms.known).values().next().unwrap().again.unwrap();
    assert!(again <= Instant::now() + REST && again > Instant::now() + REST / 2);
}

#[test]
fn where_nobody_can_ask_nothing_is_known() {
    let rooms = rooms();
    let connection = connection(Kind::KoboldCpp, "http://127.0.0.1:9");
    assert_eq!(rooms.of(&connection, "small", || None), None);
    assert!(lock(&rooms.known).values().all(|known| !known.is_asked));
}

#[test]
fn what_is_set_counts_and_no_more_is_taken_than_anybody_asked_for() {
    let room = |set, told: Option<u32>| {
        let room = Room::choose(set, || told);
        (room.tokens, room.source)
    };
    assert_eq!(room(Some(500_000), Some(1)), (500_000, Source::Set));
    assert_eq!(room(None, Some(4096)), (4096, Source::Model));
    assert_eq!(room(None, Some(1_048_576)), (UNASKED, Source::Model));
    assert_eq!(room(None, None), (USUAL, Source::Usual));
}
