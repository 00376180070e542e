//! Ollama's own interface: chat as lines of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared};
use super::frames::{Frame, Framing};
use super::openai::{json_headers, set};
use super::words::Problem;
use super::{Ask, Connection, Finish, Key, Message, ModelInfo, Parameters, Part, Role, Usage, room};
use crate::egress::{HeaderMap, HeaderName, Target};
use crate::error::Result;

/// A place of the interface below the connection's address; what somebody has copied too much of is taken off.
pub(super) fn place(base: &Target, parts: &[&str]) -> Target {
    let mut segments = base.segments();
    for known in [&["api", "chat"][..], &["api", "tags"], &["api"], &["v1"]] {
        if segments.ends_with(known) {
            segments.truncate(segments.len() - known.len());
            break;
        }
    }
    segments.push("api");
    segments.extend(parts);
    base.with_segments(segments)
}

/// The headers of every request. Ollama itself takes no key; a proxy before it may.
pub(super) fn headers(key: Option<&Key>) -> Result<HeaderMap> {
    let mut headers = json_headers();
    if let Some(key) = key {
        headers.insert(HeaderName::from_static("authorization"), key.header("Bearer ")?);
    }
    Ok(headers)
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let mut body = Map::new();
    body.insert("model".into(), ask.model.clone().into());
    body.insert("messages".into(), ask.messages.iter().map(message).collect());
    body.insert("stream".into(), true.into());
    // gpt-oss thinks more or less, all others think or do not.
    let effort = ask.parameters.reasoning_effort.as_deref();
    let think =
        effort.map(|effort| if ask.model.contains("gpt-oss") { effort.into() } else { Value::from(effort != "none") });
    set(&mut body, "think", think);
    body.insert("options".into(), options(&ask.parameters));
    body.extend(ask.parameters.extra.clone());
    Ok(Prepared {
        target: place(&base, &["chat"]),
        headers: headers(key)?,
        body: Value::Object(body),
        framing: Framing::lines(),
        decoder: Box::new(Lines),
        stop: Vec::new(),
        fallback: None,
    })
}

fn options(parameters: &Parameters) -> Value {
    let mut options = Map::new();
    set(&mut options, "temperature", parameters.temperature);
    set(&mut options, "top_p", parameters.top_p);
    set(&mut options, "top_k", parameters.top_k);
    set(&mut options, "min_p", parameters.min_p);
    set(&mut options, "presence_penalty", parameters.presence_penalty);
    set(&mut options, "frequency_penalty", parameters.frequency_penalty);
    set(&mut options, "repeat_penalty", parameters.repetition_penalty);
    set(&mut options, "seed", parameters.seed);
    set(&mut options, "num_predict", parameters.max_tokens);
    // Without it Ollama takes a small one and drops the begin of the prompt without a word.
    set(&mut options, "num_ctx", parameters.context);
    set(&mut options, "stop", (!parameters.stop.is_empty()).then_some(&parameters.stop));
    Value::Object(options)
}

fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut said = json!({ "role": role, "content": message.words() });
    let images = message.parts.iter().filter_map(|part| match part {
        Part::Image(image) => Some(Value::from(STANDARD.encode(&image.bytes))),
        Part::Text(_) => None,
    });
    let images: Vec<Value> = images.collect();
    if !images.is_empty() {
        said["images"] = images.into();
    }
    said
}

/// The decoder.
struct Lines;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
}

impl Decoder for Lines {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        let line: Line = serde_json::from_str(&frame.data)?;
        if let Some(error) = line.error {
            return Err(Problem::Said(json!({ "error": error })));
        }
        if let Some(said) = line.message {
            out.reasoning(&said.thinking.unwrap_or_default());
            out.text(&said.content.unwrap_or_default());
        }
        if !line.done {
            return Ok(false);
        }
        out.finish(if line.done_reason.as_deref() == Some("length") { Finish::Length } else { Finish::Stop });
        if line.prompt_eval_count.is_some() || line.eval_count.is_some() {
            let (prompt, completion) = (line.prompt_eval_count.unwrap_or(0), line.eval_count.unwrap_or(0));
            out.usage(Usage { prompt, completion });
        }
        Ok(true)
    }
}

/// The models of a list.
pub(super) fn models(list: &Value) -> Option<Vec<ModelInfo>> {
    let models = list.get("models")?.as_array()?.iter().filter_map(|model| {
        let id = model.get("name").or_else(|| model.get("model"))?.as_str()?.to_owned();
        Some(ModelInfo { id, name: None, context: None })
    });
    Some(models.collect())
}

/// The room that a model is to have, of what `/api/show` says. What its author has set counts; else it is at most `usual`:
/// Ollama sets memory aside for all of the room that it is asked for, and a model could often hold far more than there is.
pub(super) fn context(shown: &Value, usual: u32) -> Option<u32> {
    let parameters = shown.get("parameters").and_then(Value::as_str).unwrap_or_default();
    let set = parameters.lines().find_map(|line| line.trim().strip_prefix("num_ctx")?.trim().parse().ok());
    let info = shown.get("model_info").and_then(Value::as_object);
    let length = info.into_iter().flatten().find(|(name, _)| name.ends_with(".context_length"));
    let holds = length.and_then(|(_, value)| room::tokens(value));
    set.filter(|set| *set > 0).or(holds.map(|holds| holds.min(usual)))
}
