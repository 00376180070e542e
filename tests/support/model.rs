//! A model server that does what a test tells it: it speaks every dialect over real sockets, word by word, with pauses or
//! only when it is told to go on, and it can break off, fall silent, send garbage or never end.
//!
//! ```ignore
//! let model = FakeModel::start(Speaks::OpenAi);
//! model.says(&["Good ", "evening."]);
//! model.plan(|plan| plan.stepwise = true);      // each word waits for model.lets_through(1)
//! model.plan(|plan| plan.ending = Ending::Cut); // the connection breaks after the last word
//! let asked = model.last();                     // what it was asked: method, path, headers, JSON
//! ```

#![allow(dead_code, reason = "each test crate uses a part of this")]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
    LlamaCpp,
    KoboldCpp,
    Text,
}

/// What happens after the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// An orderly end.
    Done,
    /// The end of the connection, in the middle of the answer.
    Cut,
    /// Nothing, over an open connection.
    Silence,
    /// The last word, again and again.
    Endless,
    /// Comments that say nothing (or empty lines), again and again.
    Pings,
    /// An error in the dialect's own form.
    Error,
}

/// What is sent in place of an answer.
#[derive(Debug, Clone)]
pub enum Instead {
    /// A status with a body; the type is JSON unless the body begins with `<`.
    Status(u16, String),
    /// The same with a further header line.
    StatusWith(u16, String, String),
    /// These bytes, HTTP or not, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, one every so often.
    Drip(Vec<u8>, Duration),
    /// A head at once, then these bytes, one every so often.
    Trickle(Vec<u8>, Vec<u8>, Duration),
    /// A head, then these bytes for ever.
    Flood(String, Vec<u8>),
}

/// What the server does with a question.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it thinks, before it speaks.
    pub thoughts: Vec<String>,
    /// What it says.
    pub words: Vec<String>,
    /// Before each word.
    pub pause: Duration,
    /// Each word waits for [`FakeModel::lets_through`].
    pub stepwise: bool,
    /// What comes after.
    pub ending: Ending,
    /// The answer is cut off for its length.
    pub too_long: bool,
    /// What was used up, in and out.
    pub usage: Option<(u64, u64)>,
    /// Bytes go out in pieces of this size.
    pub split: Option<usize>,
    /// This happens in place of an answer.
    pub instead: Option<Instead>,
    /// The models that it has.
    pub models: Vec<String>,
    /// What is at these paths, beside what its dialect has there.
    pub documents: Vec<(String, Value)>,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lowercase.
    pub headers: Vec<(String, String)>,
    /// `null` where there was none.
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A running server. It ends with the test.
pub struct FakeModel {
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    speaks: Speaks,
    plan: Mutex<Plan>,
    asked: Mutex<Vec<Asked>>,
    permits: Mutex<usize>,
    permitted: Condvar,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    connections: usize,
    answering: usize,
    left: usize,
}

impl FakeModel {
    /// Starts one that says "Hello there, friend." and has the models `small` and `large`.
    pub fn start(speaks: Speaks) -> Self {
        let plan = Plan {
            thoughts: Vec::new(),
            words: ["Hello", " there,", " friend."].map(str::to_owned).to_vec(),
            pause: Duration::ZERO,
            stepwise: false,
            ending: Ending::Done,
            too_long: false,
            usage: Some((7, 3)),
            split: None,
            instead: None,
            models: vec!["small".into(), "large".into()],
            documents: Vec::new(),
        };
        let inner = Arc::new(Inner {
            speaks,
            plan: Mutex::new(plan),
            asked: Mutex::default(),
            permits: Mutex::default(),
            permitted: Condvar::new(),
            counts: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&inner);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&serving);
                inner.counts.lock().unwrap().connections += 1;
                thread::spawn(move || serve(&inner, &stream));
            }
        });
        Self { address, inner }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As it is entered into a connection.
    pub fn base_url(&self) -> String {
        let path = if matches!(self.inner.speaks, Speaks::OpenAi | Speaks::Text) { "/v1" } else { "" };
        format!("http://{}{path}", self.address)
    }

    /// Changes what it does from the next question on (and the pause and the ending of the present one).
    pub fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.inner.plan.lock().unwrap());
        self.inner.permitted.notify_all();
    }

    pub fn says(&self, words: &[&str]) {
        self.plan(|plan| plan.words = words.iter().map(|word| (*word).to_owned()).collect());
    }

    pub fn thinks(&self, thoughts: &[&str]) {
        self.plan(|plan| plan.thoughts = thoughts.iter().map(|word| (*word).to_owned()).collect());
    }

    pub fn does_instead(&self, instead: Instead) {
        self.plan(|plan| plan.instead = Some(instead));
    }

    pub fn fails(&self, status: u16, body: &str) {
        self.does_instead(Instead::Status(status, body.to_owned()));
    }

    /// Lets so many more pieces of a stepwise answer go; the end is one too.
    pub fn lets_through(&self, pieces: usize) {
        *self.inner.permits.lock().unwrap() += pieces;
        self.inner.permitted.notify_all();
    }

    /// Everything it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// What it was asked for words, in a dialect's own way: neither lists nor what it is.
    pub fn questions(&self) -> Vec<Asked> {
        let is_question =
            |asked: &Asked| is_question(self.inner.speaks, asked.path.split('?').next().unwrap_or_default());
        self.asked().into_iter().filter(|asked| asked.method == "POST" && is_question(asked)).collect()
    }

    /// The last question, lists of models included.
    pub fn last(&self) -> Asked {
        self.asked().pop().expect("it was asked")
    }

    /// Answers on their way.
    pub fn answering(&self) -> usize {
        self.inner.counts.lock().unwrap().answering
    }

    /// Answers in the middle of which the asker left.
    pub fn left(&self) -> usize {
        self.inner.counts.lock().unwrap().left
    }

    /// Connections that were made.
    pub fn connections(&self) -> usize {
        self.inner.counts.lock().unwrap().connections
    }

    /// Waits until something is so, 10 seconds at most.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(10), "still waiting until {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Serves one connection, question after question.
fn serve(inner: &Inner, stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Ok(Some(asked)) = read(&mut reader) {
        inner.asked.lock().unwrap().push(asked.clone());
        if answer(inner, stream, &asked).is_err() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Asked { method, path, headers, body }))
}

fn answer(inner: &Inner, stream: &TcpStream, asked: &Asked) -> io::Result<()> {
    let plan = inner.plan.lock().unwrap().clone();
    if let Some(instead) = &plan.instead {
        return do_instead(stream, instead);
    }
    let path = asked.path.split('?').next().unwrap_or_default();
    if let Some((_, document)) = plan.documents.iter().find(|(known, _)| known == path) {
        return send(stream, 200, "", &document.to_string());
    }
    if asked.method == "GET" {
        return match list(inner.speaks, path, &plan.models) {
            Some(list) => send(stream, 200, "", &list.to_string()),
            None => send(stream, 404, "", r#"{"error":{"message":"no such path"}}"#),
        };
    }
    if !is_question(inner.speaks, path) {
        return send(stream, 404, "", r#"{"error":{"message":"no such path"}}"#);
    }
    inner.counts.lock().unwrap().answering += 1;
    let told = tell(inner, stream, &plan);
    let mut counts = inner.counts.lock().unwrap();
    counts.answering -= 1;
    if told.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Other) {
        counts.left += 1;
    }
    told
}

fn send(mut stream: &TcpStream, status: u16, header: &str, body: &str) -> io::Result<()> {
    let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{header}content-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())
}

fn do_instead(mut stream: &TcpStream, instead: &Instead) -> io::Result<()> {
    match instead {
        Instead::Status(status, body) => send(stream, *status, "", body),
        Instead::StatusWith(status, header, body) => send(stream, *status, header, body),
        Instead::Raw(bytes) => {
            stream.write_all(bytes)?;
            Err(io::Error::other("done"))
        }
        Instead::Drip(bytes, pause) => drip(stream, bytes, *pause),
        Instead::Trickle(head, bytes, pause) => {
            stream.write_all(head)?;
            drip(stream, bytes, *pause)
        }
        Instead::Flood(head, bytes) => {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(bytes)?;
            }
        }
    }
}

fn drip(mut stream: &TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        thread::sleep(pause);
    }
    Ok(())
}

/// An answer in pieces. `Err(Other)` ends the connection on purpose; another error means that the asker has left.
fn tell(inner: &Inner, mut stream: &TcpStream, plan: &Plan) -> io::Result<()> {
    let kind = if inner.speaks == Speaks::Ollama { "application/x-ndjson" } else { "text/event-stream" };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let say = |text: &str| chunks(stream, text.as_bytes(), plan.split);
    say(&opening(inner.speaks, plan))?;
    for thought in &plan.thoughts {
        wait(inner, stream, plan)?;
        say(&piece(inner.speaks, "", thought))?;
    }
    for word in &plan.words {
        wait(inner, stream, plan)?;
        say(&piece(inner.speaks, word, ""))?;
    }
    wait(inner, stream, plan)?;
    let ending = inner.plan.lock().unwrap().ending;
    match ending {
        Ending::Done => {
            say(&closing(inner.speaks, plan))?;
            stream.write_all(b"0\r\n\r\n")
        }
        Ending::Error => {
            say(&error(inner.speaks))?;
            stream.write_all(b"0\r\n\r\n")
        }
        Ending::Cut => Err(io::Error::other("cut")),
        Ending::Silence => loop {
            present(stream)?;
            thread::sleep(Duration::from_millis(2));
        },
        Ending::Endless => loop {
            say(&piece(inner.speaks, plan.words.last().map_or("x", |word| word), ""))?;
        },
        Ending::Pings => loop {
            present(stream)?;
            say(if inner.speaks == Speaks::Ollama { "\n" } else { ": still here\n\n" })?;
            thread::sleep(Duration::from_millis(5));
        },
    }
}

fn chunks(mut stream: &TcpStream, bytes: &[u8], split: Option<usize>) -> io::Result<()> {
    for part in bytes.chunks(split.unwrap_or(usize::MAX).max(1)) {
        let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
        chunk.extend_from_slice(part);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk)?;
    }
    Ok(())
}

/// Waits for the pause, and for leave where it is asked for.
fn wait(inner: &Inner, stream: &TcpStream, plan: &Plan) -> io::Result<()> {
    let until = Instant::now() + plan.pause;
    while Instant::now() < until {
        present(stream)?;
        thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(5)));
    }
    let mut permits = inner.permits.lock().unwrap();
    while plan.stepwise && *permits == 0 {
        (permits, _) = inner.permitted.wait_timeout(permits, Duration::from_millis(5)).unwrap();
        present(stream)?;
    }
    if plan.stepwise {
        *permits -= 1;
    }
    Ok(())
}

/// An error if the asker has left.
fn present(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    let seen = stream.peek(&mut [0]);
    stream.set_read_timeout(None)?;
    match seen {
        Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(error),
        _ => Ok(()),
    }
}

fn is_question(speaks: Speaks, path: &str) -> bool {
    match speaks {
        Speaks::OpenAi => path.ends_with("/chat/completions"),
        Speaks::Anthropic => path == "/v1/messages",
        Speaks::Gemini => path.starts_with("/v1beta/models/") && path.ends_with(":streamGenerateContent"),
        Speaks::Ollama => path == "/api/chat",
        Speaks::LlamaCpp => path == "/completion",
        Speaks::KoboldCpp => path == "/api/extra/generate/stream",
        Speaks::Text => path.ends_with("/completions"),
    }
}

fn list(speaks: Speaks, path: &str, models: &[String]) -> Option<Value> {
    let of = |each: &dyn Fn(&String) -> Value| models.iter().map(each).collect::<Value>();
    match (speaks, path) {
        (Speaks::OpenAi | Speaks::Text | Speaks::LlamaCpp, "/v1/models") => {
            Some(json!({ "object": "list", "data": of(&|id| json!({ "id": id, "object": "model" })) }))
        }
        (Speaks::Anthropic, "/v1/models") => Some(json!({ "data": of(
            &|id| json!({ "type": "model", "id": id, "display_name": id.to_uppercase() }),
        ) })),
        (Speaks::Gemini, "/v1beta/models") => Some(json!({ "models": of(&|id| json!({
            "name": format!("models/{id}"),
            "displayName": id.to_uppercase(),
            "inputTokenLimit": 1000,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })) })),
        (Speaks::Ollama, "/api/tags") => Some(json!({ "models": of(&|id| json!({ "name": id, "model": id })) })),
        (Speaks::LlamaCpp, "/props") => Some(json!({ "default_generation_settings": { "n_ctx": 4096 } })),
        (Speaks::KoboldCpp, "/api/v1/model") => Some(json!({ "result": format!("koboldcpp/{}", models.first()?) })),
        (Speaks::KoboldCpp, "/api/extra/true_max_context_length") => Some(json!({ "value": 4096 })),
        _ => None,
    }
}

fn event(name: &str, data: &Value) -> String {
    if name.is_empty() { format!("data: {data}\n\n") } else { format!("event: {name}\ndata: {data}\n\n") }
}

fn opening(speaks: Speaks, plan: &Plan) -> String {
    match speaks {
        Speaks::OpenAi => event(
            "",
            &json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" }, "finish_reason": null }] }),
        ),
        Speaks::Anthropic => {
            let tokens = plan.usage.map_or(0, |(prompt, _)| prompt);
            let message =
                json!({ "role": "assistant", "content": [], "usage": { "input_tokens": tokens, "output_tokens": 1 } });
            event("message_start", &json!({ "type": "message_start", "message": message }))
                + &event("ping", &json!({ "type": "ping" }))
        }
        _ => String::new(),
    }
}

/// A word or a thought.
fn piece(speaks: Speaks, word: &str, thought: &str) -> String {
    let is_thought = !thought.is_empty();
    match speaks {
        Speaks::OpenAi => {
            let delta = if is_thought { json!({ "reasoning_content": thought }) } else { json!({ "content": word }) };
            event("", &json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }))
        }
        Speaks::Anthropic => {
            let delta = if is_thought {
                json!({ "type": "thinking_delta", "thinking": thought })
            } else {
                json!({ "type": "text_delta", "text": word })
            };
            event("content_block_delta", &json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
        }
        Speaks::Gemini => {
            let part = if is_thought { json!({ "text": thought, "thought": true }) } else { json!({ "text": word }) };
            event("", &json!({ "candidates": [{ "content": { "role": "model", "parts": [part] }, "index": 0 }] }))
        }
        Speaks::Ollama => {
            let message = if is_thought {
                json!({ "role": "assistant", "content": "", "thinking": thought })
            } else {
                json!({ "role": "assistant", "content": word })
            };
            json!({ "model": "small", "message": message, "done": false }).to_string() + "\n"
        }
        Speaks::LlamaCpp => event("", &json!({ "index": 0, "content": format!("{thought}{word}"), "stop": false })),
        Speaks::KoboldCpp => event("message", &json!({ "token": format!("{thought}{word}"), "finish_reason": null })),
        Speaks::Text => {
            let text = format!("{thought}{word}");
            event("", &json!({ "choices": [{ "index": 0, "text": text, "finish_reason": null }] }))
        }
    }
}

fn closing(speaks: Speaks, plan: &Plan) -> String {
    let (prompt, completion) = plan.usage.unwrap_or_default();
    let long = plan.too_long;
    match speaks {
        Speaks::OpenAi | Speaks::Text => {
            let reason = if long { "length" } else { "stop" };
            let mut said = event("", &json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }));
            if plan.usage.is_some() {
                let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion });
                said += &event("", &json!({ "choices": [], "usage": usage }));
            }
            said + "data: [DONE]\n\n"
        }
        Speaks::Anthropic => {
            let reason = if long { "max_tokens" } else { "end_turn" };
            let delta = json!({ "stop_reason": reason });
            event("content_block_stop", &json!({ "type": "content_block_stop", "index": 0 }))
                + &event(
                    "message_delta",
                    &json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": completion } }),
                )
                + &event("message_stop", &json!({ "type": "message_stop" }))
        }
        Speaks::Gemini => {
            let reason = if long { "MAX_TOKENS" } else { "STOP" };
            let mut last =
                json!({ "candidates": [{ "content": { "role": "model", "parts": [] }, "finishReason": reason }] });
            if plan.usage.is_some() {
                last["usageMetadata"] = json!({ "promptTokenCount": prompt, "candidatesTokenCount": completion });
            }
            event("", &last)
        }
        Speaks::Ollama => {
            let reason = if long { "length" } else { "stop" };
            let mut last =
                json!({ "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": reason });
            if plan.usage.is_some() {
                last["prompt_eval_count"] = prompt.into();
                last["eval_count"] = completion.into();
            }
            last.to_string() + "\n"
        }
        Speaks::LlamaCpp => {
            let mut last = json!({ "content": "", "stop": true, "stop_type": if long { "limit" } else { "eos" } });
            if plan.usage.is_some() {
                last["tokens_evaluated"] = prompt.into();
                last["tokens_predicted"] = completion.into();
            }
            event("", &last)
        }
        Speaks::KoboldCpp => {
            event("message", &json!({ "token": "", "finish_reason": if long { "length" } else { "stop" } }))
        }
    }
}

fn error(speaks: Speaks) -> String {
    let message = "the lamp went out";
    match speaks {
        Speaks::OpenAi | Speaks::Text | Speaks::KoboldCpp => {
            event("", &json!({ "error": { "message": message, "code": 502 } }))
        }
        Speaks::Anthropic => {
            event("error", &json!({ "type": "error", "error": { "type": "overloaded_error", "message": message } }))
        }
        Speaks::Gemini => event("", &json!({ "error": { "code": 503, "message": message, "status": "UNAVAILABLE" } })),
        Speaks::Ollama => json!({ "error": message }).to_string() + "\n",
        Speaks::LlamaCpp => {
            format!("error: {}\n\n", json!({ "code": 500, "message": message, "type": "server_error" }))
        }
    }
}
