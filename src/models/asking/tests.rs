//! The whole way of a question, over real sockets, against a model server that does what it is told.

use std::time::Duration;

use futures_util::StreamExt;
use rstest::rstest;

use super::super::fake::{Ending, FakeModel, Instead, Speaks};
use super::super::*;
use crate::config::PrivateHosts;
use crate::error::Error;

/// A key that must turn up nowhere but in the request.
const CANARY: &str = "sk-canary-4f1d9e7a";

fn models() -> Models {
    models_waiting(Duration::from_secs(20), Duration::from_secs(20))
}

fn models_waiting(first_word: Duration, silence: Duration) -> Models {
    let mut config = Config::for_testing("unused");
    config.enable_user_accounts = true;
    config.models.allow_private_hosts = PrivateHosts::parse(["127.0.0.1"]).unwrap();
    let mut models = Models::new(&config);
    models.waits = Waits { first_word, silence, ..models.waits };
    models
}

/// That answers may take so long in all.
fn models_ending(reply: Duration) -> Models {
    let mut models = models();
    models.waits.reply = reply;
    models
}

fn connection(speaks: Speaks, base_url: &str) -> Connection {
    let kind = match speaks {
        Speaks::OpenAi => Kind::OpenAi,
        Speaks::Anthropic => Kind::Anthropic,
        Speaks::Gemini => Kind::Gemini,
        Speaks::Ollama => Kind::Ollama,
        Speaks::LlamaCpp => Kind::LlamaCpp,
        Speaks::KoboldCpp => Kind::KoboldCpp,
        Speaks::Text => Kind::Text,
    };
    let holder = Holder::User(crate::store::Handle::parse("anna").unwrap());
    Connection { holder, kind, base_url: base_url.into(), ..crate::models::tests::connection() }
}

fn question() -> Ask {
    let messages = vec![Message::text(Role::System, "Be brief."), Message::text(Role::User, "Good evening.")];
    Ask { model: "small".into(), messages, parameters: Parameters::default() }
}

fn key() -> Option<Key> {
    Some(Key::parse(CANARY).unwrap())
}

async fn ask(models: &Models, model: &FakeModel, speaks: Speaks, ask: Ask) -> Result<Pieces> {
    models.ask(&connection(speaks, &model.base_url()), key(), ask).await
}

/// What came, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    text: String,
    reasoning: String,
    usage: Option<Usage>,
    finish: Option<Finish>,
    error: Option<&'static str>,
}

async fn told(pieces: Result<Pieces>) -> Told {
    let mut told = Told::default();
    let mut pieces = match pieces {
        Ok(pieces) => pieces,
        Err(error) => return Told { error: Some(safe(&error)), ..told },
    };
    while let Some(piece) = pieces.next().await {
        assert!(told.finish.is_none() && told.error.is_none(), "something came after the end");
        match piece {
            Ok(Piece::Text(text)) => told.text += &text,
            Ok(Piece::Reasoning(text)) => told.reasoning += &text,
            Ok(Piece::Usage(usage)) => told.usage = Some(usage),
            Ok(Piece::End(finish)) => told.finish = Some(finish),
            Err(error) => told.error = Some(safe(&error)),
        }
    }
    told
}

/// The code of an error that does not tell the key.
fn safe(error: &Error) -> &'static str {
    assert!(!format!("{error} {error:?} {:?}", error.cause_chain()).contains("canary"), "{error:?}");
    error.code()
}

const ALL: [Speaks; 7] = [
    Speaks::OpenAi,
    Speaks::Anthropic,
    Speaks::Gemini,
    Speaks::Ollama,
    Speaks::LlamaCpp,
    Speaks::KoboldCpp,
    Speaks::Text,
];

#[tokio::test]
async fn every_dialect_says_it_all() {
    for speaks in ALL {
        let model = FakeModel::start(speaks);
        let models = models();
        for split in [None, Some(1), Some(7)] {
            model.plan(|plan| plan.split = split);
            let told = told(ask(&models, &model, speaks, question()).await).await;
            let usage = Some(Usage { prompt: 7, completion: 3 }).filter(|_| speaks != Speaks::KoboldCpp);
            let text = "Hello there, friend.".into();
            assert_eq!(told, Told { text, usage, finish: Some(Finish::Stop), ..Told::default() }, "{speaks:?}");
        }
        model.plan(|plan| plan.too_long = true);
        let told = told(ask(&models, &model, speaks, question()).await).await;
        assert_eq!(told.finish, Some(Finish::Length), "{speaks:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_an_error_and_what_came_is_kept() {
    for speaks in ALL {
        let model = FakeModel::start(speaks);
        for (ending, code) in [(Ending::Cut, "model_cut"), (Ending::Error, "model_")] {
            model.plan(|plan| plan.ending = ending);
            let told = told(ask(&models(), &model, speaks, question()).await).await;
            assert_eq!(told.text, "Hello there, friend.", "{speaks:?}");
            assert_eq!(told.finish, None);
            let found = told.error.unwrap();
            assert!(found.starts_with(code), "{speaks:?} {ending:?}: {found}");
        }
    }
}

#[tokio::test]
async fn silence_ends_and_so_do_signs_of_life_without_a_word() {
    let model = FakeModel::start(Speaks::OpenAi);
    for ending in [Ending::Silence, Ending::Pings] {
        model.plan(|plan| plan.ending = ending);
        let models = models_waiting(Duration::from_millis(400), Duration::from_millis(100));
        let told = told(ask(&models, &model, Speaks::OpenAi, question()).await).await;
        assert_eq!((told.text.as_str(), told.error), ("Hello there, friend.", Some("model_silent")));
    }
    tokio::task::spawn_blocking(move || model.until("all have left", |model| model.left() == 2)).await.unwrap();
}

#[tokio::test]
async fn what_never_ends_is_ended_and_what_came_is_kept() {
    let model = FakeModel::start(Speaks::OpenAi);
    model.says(&["Hello", " there,", " friend.", " And"]);
    for (ending, pause) in [(Ending::Endless, 0), (Ending::Pings, 0), (Ending::Silence, 0), (Ending::Done, 900)] {
        model.plan(|plan| {
            plan.ending = ending;
            plan.pause = Duration::from_millis(pause);
        });
        let models = models_ending(Duration::from_secs(2));
        let told = told(ask(&models, &model, Speaks::OpenAi, question()).await).await;
        assert!(told.text.starts_with("Hello"), "{ending:?}: {}", told.text.len());
        // Which limit words without end meet first depends on the machine.
        match told.error {
            Some("model_endless") => {}
            Some("model_too_much") => assert!(told.text.len() > 1 << 20, "{ending:?}: {}", told.text.len()),
            other => panic!("{ending:?}: {other:?}"),
        }
    }
    // Before the first word it is silence, whatever the other limits are.
    model.does_instead(Instead::Drip(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Duration::from_millis(100)));
    let models = models_ending(Duration::from_millis(500));
    assert_eq!(told(ask(&models, &model, Speaks::OpenAi, question()).await).await.error, Some("model_silent"));
}

#[tokio::test]
async fn dropping_an_answer_closes_the_connection() {
    let model = FakeModel::start(Speaks::OpenAi);
    model.plan(|plan| plan.stepwise = true);
    model.lets_through(1);
    let models = models();
    let mut pieces = ask(&models, &model, Speaks::OpenAi, question()).await.unwrap();
    assert_eq!(pieces.next().await.unwrap().unwrap(), Piece::Text("Hello".into()));
    assert_eq!((model.answering(), model.left()), (1, 0));
    drop(pieces);
    tokio::task::spawn_blocking(move || model.until("the asker has left", |model| model.left() == 1)).await.unwrap();
}

#[tokio::test]
async fn each_piece_comes_when_it_is_said() {
    for speaks in ALL {
        let model = FakeModel::start(speaks);
        model.plan(|plan| plan.stepwise = true);
        let models = models();
        let mut pieces = ask(&models, &model, speaks, question()).await.unwrap();
        for word in ["Hello", " there,", " friend."] {
            model.lets_through(1);
            assert_eq!(pieces.next().await.unwrap().unwrap(), Piece::Text(word.into()), "{speaks:?}");
        }
    }
}

#[tokio::test]
async fn the_connection_serves_the_next_question() {
    let model = FakeModel::start(Speaks::OpenAi);
    let models = models();
    for _ in 0..3 {
        told(ask(&models, &model, Speaks::OpenAi, question()).await).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(model.connections(), 1);
}

#[rstest]
#[case(401, r#"{"error":{"message":"Incorrect API key provided: sk-canary-4f1d9e7a"}}"#, "model_key")]
#[case(402, r#"{"error":{"message":"pay"}}"#, "model_no_credit")]
#[case(403, r#"{"error":"no"}"#, "model_key")]
#[case(404, r#"{"error":{"message":"The model `x` does not exist"}}"#, "model_unknown")]
#[case(404, "<!doctype html><p>nginx", "model_garbage")]
#[case(400, r#"{"error":{"message":"bad temperature"}}"#, "model_refused")]
#[case(400, r#"{"error":{"code":"context_length_exceeded"}}"#, "model_too_long")]
#[case(413, "", "model_too_long")]
#[case(422, r#"{"detail":[{"msg":"extra fields"}]}"#, "model_refused")]
#[case(429, r#"{"error":{"message":"slow down"}}"#, "too_many")]
#[case(429, r#"{"error":{"code":"insufficient_quota"}}"#, "model_no_credit")]
#[case(500, "Internal Server Error", "model_failed")]
#[case(502, "<html>Bad Gateway", "model_busy")]
#[case(503, r#"{"error":{"message":"Loading model"}}"#, "model_busy")]
#[case(504, "", "model_silent")]
#[case(529, "", "model_busy")]
#[case(302, "", "model_moved")]
#[case(200, "<!doctype html><p>Welcome", "model_garbage")]
#[case(200, r#"{"hello":"world"}"#, "model_cut")]
#[case(200, r#""what""#, "model_garbage")]
#[case(200, r#"{"choices": "#, "model_garbage")]
#[case(200, r#"{"error":{"message":"sk-canary-4f1d9e7a is no good","code":401}}"#, "model_key")]
#[tokio::test]
async fn refusals_are_told_in_words(#[case] status: u16, #[case] body: &str, #[case] code: &str) {
    let model = FakeModel::start(Speaks::OpenAi);
    model.fails(status, body);
    let told = told(ask(&models(), &model, Speaks::OpenAi, question()).await).await;
    assert_eq!(told.error, Some(code));
    assert!(model.asked()[0].header("authorization").unwrap().ends_with(CANARY));
}

#[tokio::test]
async fn a_wait_is_told() {
    let model = FakeModel::start(Speaks::OpenAi);
    for (header, seconds) in [("retry-after: 7", 7), ("retry-after-ms: 1500", 1), ("x: y", 20), ("retry-after: -1", 20)]
    {
        model.does_instead(Instead::StatusWith(429, header.into(), "{}".into()));
        let error = ask(&models(), &model, Speaks::OpenAi, question()).await.err().unwrap();
        let crate::error::Kind::TooMany(wait) = error.kind() else { panic!("{error:?}") };
        assert_eq!(wait.as_secs(), seconds, "{header}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        models().ask(&connection(Speaks::OpenAi, &format!("http://{gone}")), None, question()).await.err().unwrap();
    assert_eq!(error.code(), "model_unreachable");
    assert!(error.message().ends_with("Is the model server of “Lamp” running?"), "{error}");
}

#[rstest]
#[case::not_http(Instead::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), "model_garbage")]
#[case::nothing(Instead::Raw(Vec::new()), "model_cut")]
#[case::huge_head(Instead::Flood("HTTP/1.1 200 OK\r\nx: ".into(), vec![b'a'; 65536]), "model_garbage")]
#[case::many_heads(Instead::Flood("HTTP/1.1 200 OK\r\n".into(), b"x: y\r\n".to_vec()), "model_garbage")]
#[case::half_a_head(Instead::Raw(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec()), "model_cut")]
#[case::short(Instead::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndata: {".to_vec()), "model_cut")]
#[case::garbage(Instead::Raw(b"HTTP/1.1 200 OK\r\n\r\ndata: \xff\xfe}{\n\n".to_vec()), "model_garbage")]
#[case::packed(
    Instead::Raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08\n\n".to_vec()),
    "model_garbage"
)]
#[case::endless_line(Instead::Flood("HTTP/1.1 200 OK\r\n\r\ndata: ".into(), vec![b'a'; 65536]), "model_too_much")]
#[case::endless_nothing(Instead::Flood("HTTP/1.1 200 OK\r\n\r\n".into(), vec![b'\n'; 65536]), "model_too_much")]
#[case::endless_page(
    Instead::Flood("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".into(), vec![b' '; 65536]),
    "model_too_much"
)]
#[case::endless_lists(
    Instead::Flood("HTTP/1.1 200 OK\r\n\r\n{\"a\":[0".into(), b",0".repeat(32768)),
    "model_too_much"
)]
#[case::endless_refusal(Instead::Flood("HTTP/1.1 500 No\r\n\r\n".into(), vec![b'a'; 65536]), "model_failed")]
#[case::endless_hints(
    Instead::Flood(String::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(2000)),
    "model_silent"
)]
#[case::drip(
    Instead::Drip(b"HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[]}\n\n".to_vec(), Duration::from_millis(20)),
    "model_silent"
)]
#[tokio::test]
async fn hostile_servers_are_cut_off(#[case] instead: Instead, #[case] code: &str) {
    let model = FakeModel::start(Speaks::OpenAi);
    let has_an_end =
        !matches!(&instead, Instead::Drip(..)) && !matches!(&instead, Instead::Flood(head, _) if head.is_empty());
    let first_word = if has_an_end { 60_000 } else { 600 };
    model.does_instead(instead);
    let models = models_waiting(Duration::from_millis(first_word), Duration::from_secs(60));
    let told = told(ask(&models, &model, Speaks::OpenAi, question()).await).await;
    assert_eq!(told.error, Some(code));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let model = FakeModel::start(Speaks::OpenAi);
    let word = "x".repeat(500_000);
    model.says(&[&word]);
    model.plan(|plan| plan.ending = Ending::Endless);
    let told = told(ask(&models(), &model, Speaks::OpenAi, question()).await).await;
    assert_eq!(told.error, Some("model_too_much"));
    assert!(told.text.len() < 10 << 20, "{}", told.text.len());
}

#[tokio::test]
async fn an_answer_in_one_piece_is_one_too() {
    let model = FakeModel::start(Speaks::OpenAi);
    model.fails(200, r#"{"choices":[{"message":{"content":"All at once."},"finish_reason":"stop"}]}"#);
    let told = told(ask(&models(), &model, Speaks::OpenAi, question()).await).await;
    assert_eq!((told.text.as_str(), told.finish), ("All at once.", Some(Finish::Stop)));
}

#[tokio::test]
async fn lists() {
    for speaks in ALL {
        let model = FakeModel::start(speaks);
        let listed = models().list(&connection(speaks, &model.base_url()), key()).await.unwrap();
        let ids: Vec<&str> = listed.iter().map(|model| model.id.as_str()).collect();
        let expected: &[&str] = if speaks == Speaks::KoboldCpp { &["small"] } else { &["small", "large"] };
        assert_eq!(ids, expected, "{speaks:?}");
        model.fails(200, "<html>");
        let error = models().list(&connection(speaks, &model.base_url()), key()).await.unwrap_err();
        assert_eq!(safe(&error), "model_garbage");
    }
}

#[tokio::test]
async fn thoughts_are_kept_apart() {
    for speaks in [Speaks::OpenAi, Speaks::Anthropic, Speaks::Gemini, Speaks::Ollama] {
        let model = FakeModel::start(speaks);
        model.thinks(&["Hm, ", "well."]);
        let told = told(ask(&models(), &model, speaks, question()).await).await;
        assert_eq!((told.reasoning.as_str(), told.text.as_str()), ("Hm, well.", "Hello there, friend."), "{speaks:?}");
    }
    let model = FakeModel::start(Speaks::Text);
    model.says(&["<thi", "nk>Hm, ", "well.</think>\n\nHel", "lo"]);
    let told = told(ask(&models(), &model, Speaks::Text, question()).await).await;
    assert_eq!((told.reasoning.as_str(), told.text.as_str()), ("Hm, well.", "Hello"));
}

#[tokio::test]
async fn plain_text_stops_where_the_template_says() {
    for speaks in [Speaks::Text, Speaks::LlamaCpp, Speaks::KoboldCpp] {
        let model = FakeModel::start(speaks);
        model.says(&["Hello<|im_", "end|>\n<|im_start|>user\nAnd I say"]);
        model.plan(|plan| plan.ending = Ending::Endless);
        let told = told(ask(&models(), &model, speaks, question()).await).await;
        assert_eq!((told.text.as_str(), told.finish), ("Hello", Some(Finish::Stop)), "{speaks:?}");
        let prompt = model.last().body["prompt"].as_str().unwrap().to_owned();
        assert!(prompt.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n"), "{prompt}");
    }
}

#[tokio::test]
async fn servers_that_refuse_what_others_need_are_met_half_way() {
    let model = FakeModel::start(Speaks::OpenAi);
    model.fails(422, r#"{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#);
    let told = told(ask(&models(), &model, Speaks::OpenAi, question()).await).await;
    assert_eq!(told.error, Some("model_refused"));
    let asked = model.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].body.get("stream_options").is_some() && asked[1].body.get("stream_options").is_none());
}

#[tokio::test]
async fn two_hundred_answers_at_once() {
    let model = FakeModel::start(Speaks::OpenAi);
    model.plan(|plan| plan.pause = Duration::from_millis(20));
    let models = std::sync::Arc::new(models());
    let asked = (0..200).map(|_| {
        let connection = connection(Speaks::OpenAi, &model.base_url());
        let models = std::sync::Arc::clone(&models);
        tokio::spawn(async move { told(models.ask(&connection, None, question()).await).await.text })
    });
    for told in futures_util::future::join_all(asked).await {
        assert_eq!(told.unwrap(), "Hello there, friend.");
    }
}

/// What programs log, however talkative they are told to be.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_has_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    for speaks in ALL {
        let model = FakeModel::start(speaks);
        let models = models();
        told(ask(&models, &model, speaks, question()).await).await;
        model.fails(401, r#"{"error":{"message":"no sk-canary-4f1d9e7a"}}"#);
        let error = ask(&models, &model, speaks, question()).await.err().unwrap();
        tracing::error!(?error, cause = error.cause_chain(), "asked");
        let last = model.last();
        assert!(last.headers.iter().any(|(_, value)| value.ends_with(CANARY)) && !last.path.contains(CANARY));
    }
    let said = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(said.contains("asked") && !said.contains("canary"), "{said}");
}
