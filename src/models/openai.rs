//! OpenAI's chat completions, which most servers speak, each with a few words of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared, leave_out};
use super::frames::{Frame, Framing};
use super::words::Problem;
use super::{Ask, Connection, Finish, Image, Key, Message, ModelInfo, Parameters, Part, Role, Usage, room};
use crate::egress::{HeaderMap, HeaderName, Target};
use crate::error::Result;

/// Where the parts of the interface are, below what the connection's address says: `/v1` is added where there is no path,
/// and what somebody has copied too much of is taken off.
pub(super) fn place(base: &Target, parts: &[&str]) -> Target {
    let mut segments = base.segments();
    for known in [&["chat", "completions"][..], &["completions"], &["models"]] {
        if segments.ends_with(known) {
            segments.truncate(segments.len() - known.len());
            break;
        }
    }
    if segments.is_empty() {
        segments.push("v1");
    }
    segments.extend(parts);
    base.with_segments(segments)
}

/// The headers of every request.
pub(super) fn headers(base: &Target, key: Option<&Key>) -> Result<HeaderMap> {
    let mut headers = json_headers();
    if let Some(key) = key {
        headers.insert(HeaderName::from_static("authorization"), key.header("Bearer ")?);
        if base.host().ends_with(".azure.com") {
            headers.insert(HeaderName::from_static("api-key"), key.header("")?);
        }
    }
    if base.host() == "openrouter.ai" {
        headers
            .insert(HeaderName::from_static("x-title"), "Tavernkeep".parse().map_err(crate::error::Error::internal)?);
    }
    Ok(headers)
}

/// The headers of a request that brings JSON.
pub(super) fn json_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers
        .insert(HeaderName::from_static("content-type"), crate::egress::HeaderValue::from_static("application/json"));
    headers
}

/// A provider's departures from the common interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum House {
    /// Refuses fields that it does not know, and calls some by names of its own.
    OpenAi,
    /// So does this one.
    Mistral,
    /// Refuse fields that they do not know.
    Strict,
    /// Take what they know and pass over the rest.
    Lenient,
}

impl House {
    pub(super) fn of(base: &Target) -> Self {
        match base.host() {
            "api.openai.com" => Self::OpenAi,
            "api.mistral.ai" | "codestral.mistral.ai" => Self::Mistral,
            "api.groq.com"
            | "api.x.ai"
            | "api.deepseek.com"
            | "api.cerebras.ai"
            | "api.perplexity.ai"
            | "generativelanguage.googleapis.com" => Self::Strict,
            host if host.ends_with(".openai.azure.com") => Self::OpenAi,
            _ => Self::Lenient,
        }
    }
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let house = House::of(&base);
    let mut body = Map::new();
    if !ask.model.is_empty() {
        body.insert("model".into(), ask.model.clone().into());
    }
    body.insert("messages".into(), messages(&ask.messages, house));
    body.insert("stream".into(), true.into());
    if house != House::Mistral {
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    parameters(&mut body, &ask.parameters, house);
    Ok(Prepared {
        target: place(&base, &["chat", "completions"]),
        headers: headers(&base, key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::new(Chunks),
        stop: Vec::new(),
        fallback: Some(meet_half_way),
    })
}

/// How to answer, in the words of this house.
pub(super) fn parameters(body: &mut Map<String, Value>, parameters: &Parameters, house: House) {
    let longest =
        if house == House::OpenAi && body.contains_key("messages") { "max_completion_tokens" } else { "max_tokens" };
    let seed = if house == House::Mistral { "random_seed" } else { "seed" };
    set(body, "temperature", parameters.temperature);
    set(body, "top_p", parameters.top_p);
    set(body, "presence_penalty", parameters.presence_penalty);
    set(body, "frequency_penalty", parameters.frequency_penalty);
    set(body, seed, parameters.seed);
    set(body, longest, parameters.max_tokens);
    set(body, "reasoning_effort", parameters.reasoning_effort.as_deref());
    if house == House::Lenient {
        set(body, "top_k", parameters.top_k);
        set(body, "min_p", parameters.min_p);
        set(body, "repetition_penalty", parameters.repetition_penalty);
        // llama.cpp's and LM Studio's name for it.
        set(body, "repeat_penalty", parameters.repetition_penalty);
    }
    // More than four are refused by the strict ones.
    let most = if house == House::Lenient { usize::MAX } else { 4 };
    let stop: Vec<&String> = parameters.stop.iter().filter(|stop| !stop.is_empty()).take(most).collect();
    set(body, "stop", (!stop.is_empty()).then_some(stop));
    body.extend(parameters.extra.clone());
}

/// Sets a field that has a value.
pub(super) fn set(body: &mut Map<String, Value>, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value
        && let Ok(value) = serde_json::to_value(value)
    {
        body.insert(name.to_owned(), value);
    }
}

/// What an answer can do without. Thinking models refuse most of it.
const PREFERENCES: [&str; 9] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "repeat_penalty",
    "reasoning_effort",
];

/// Some servers refuse what others need: the report of what was used up, one of two names for the longest answer. And some
/// refuse what is only a preference.
pub(super) fn meet_half_way(body: &mut Value, refusal: &str) -> bool {
    let Some(body) = body.as_object_mut() else { return false };
    if refusal.contains("stream_options") && body.remove("stream_options").is_some() {
        return true;
    }
    if refusal.contains("max_completion_tokens")
        && !body.contains_key("max_completion_tokens")
        && let Some(longest) = body.remove("max_tokens")
    {
        body.insert("max_completion_tokens".into(), longest);
        return true;
    }
    leave_out(body, refusal, &PREFERENCES)
}

fn messages(messages: &[Message], house: House) -> Value {
    let last = messages.len().saturating_sub(1);
    let said = messages.iter().enumerate().map(|(at, message)| {
        let mut said = Map::new();
        said.insert("role".into(), role(message.role).into());
        if let Some(name) = message.name.as_deref().and_then(plain_name)
            && matches!(house, House::OpenAi | House::Lenient)
        {
            said.insert("name".into(), name.into());
        }
        said.insert("content".into(), content(message));
        if house == House::Mistral && at == last && message.role == Role::Assistant {
            said.insert("prefix".into(), true.into());
        }
        Value::Object(said)
    });
    said.collect()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn content(message: &Message) -> Value {
    let has_images = message.parts.iter().any(|part| matches!(part, Part::Image(_)));
    if !has_images {
        return message.words().into();
    }
    let parts = message.parts.iter().map(|part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(image) => json!({ "type": "image_url", "image_url": { "url": data_url(image) } }),
    });
    parts.collect()
}

fn data_url(image: &Image) -> String {
    format!("data:{};base64,{}", image.mime, STANDARD.encode(&image.bytes))
}

/// A name as providers take them: letters, digits, `_` and `-`, up to 64.
fn plain_name(name: &str) -> Option<String> {
    let plain = deunicode::deunicode(name);
    let plain = plain.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' });
    let plain: String = plain.take(64).collect();
    plain.contains(|c: char| c.is_ascii_alphanumeric()).then_some(plain)
}

/// The decoder.
struct Chunks;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: Option<u32>,
    /// A piece, or the whole where the server does not stream.
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    /// Plain text completion.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

impl Decoder for Chunks {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        chunk(frame, out)
    }
}

/// Takes one chunk of chat or plain text completion.
pub(super) fn chunk(frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
    let data = frame.data.trim();
    if data == "[DONE]" {
        if !out.is_finished() {
            out.finish(Finish::Stop);
        }
        return Ok(true);
    }
    if data.is_empty() {
        return Ok(false);
    }
    let chunk: Chunk = serde_json::from_str(data)?;
    if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
        return Err(Problem::Said(error));
    }
    if frame.event == "error" {
        return Err(Problem::Said(serde_json::from_str(data)?));
    }
    for choice in chunk.choices.unwrap_or_default() {
        if choice.index.unwrap_or(0) == 0 {
            take(choice, out);
        }
    }
    if let Some(usage) = chunk.usage.as_ref().and_then(usage) {
        out.usage(usage);
    }
    Ok(false)
}

fn take(choice: Choice, out: &mut Out) {
    if let Some(delta) = choice.delta {
        out.reasoning(&delta.reasoning_content.or(delta.reasoning).unwrap_or_default());
        match delta.content {
            Some(Value::String(text)) => out.text(&text),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| part_of(part, out)),
            _ => {}
        }
        out.text(&delta.refusal.unwrap_or_default());
    }
    out.text(&choice.text.unwrap_or_default());
    if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
        out.finish(finish(&reason));
    }
}

/// A part of an answer in parts, as Mistral's thinking models give it.
fn part_of(part: &Value, out: &mut Out) {
    match part.get("type").and_then(Value::as_str) {
        Some("thinking") => {
            let thoughts = part.get("thinking").and_then(Value::as_array).into_iter().flatten();
            thoughts.filter_map(|thought| thought.get("text")?.as_str()).for_each(|text| out.reasoning(text));
        }
        _ => out.text(part.get("text").and_then(Value::as_str).unwrap_or_default()),
    }
}

fn finish(reason: &str) -> Finish {
    match reason.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" => Finish::Length,
        "content_filter" | "safety" => Finish::Filtered,
        _ => Finish::Stop,
    }
}

fn usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    let prompt = count("prompt_tokens")?;
    let completion = count("completion_tokens").unwrap_or(0);
    // Some leave the thinking out of the one and in the other.
    let total = count("total_tokens").unwrap_or(0);
    Some(Usage { prompt, completion: completion.max(total.saturating_sub(prompt)) })
}

/// The models of a list.
pub(super) fn models(list: &Value) -> Option<Vec<ModelInfo>> {
    // Together and a few others give the bare list.
    let list = list.get("data").unwrap_or(list).as_array()?;
    let models = list.iter().filter_map(|model| {
        let id = model.get("id")?.as_str()?.to_owned();
        let text = |name: &str| model.get(name).and_then(Value::as_str).map(str::to_owned);
        // OpenRouter and Together, Groq, vLLM, Mistral, Anthropic, llama.cpp. What a model was trained with is not what a
        // server has room for, and is not looked at.
        let places = [
            "/context_length",
            "/context_window",
            "/max_model_len",
            "/max_context_length",
            "/max_input_tokens",
            "/meta/n_ctx",
        ];
        let context = places.iter().find_map(|place| room::tokens(model.pointer(place)?));
        Some(ModelInfo { name: text("display_name").or_else(|| text("name")).filter(|name| *name != id), context, id })
    });
    Some(models.collect())
}

/// The room with which LM Studio has loaded a model, of its own list of models. One that is not loaded gets its usual.
pub(super) fn loaded_context(list: &Value, model: &str) -> Option<u32> {
    let models = list.get("data")?.as_array()?;
    let loaded = models.iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(model))?;
    room::tokens(loaded.get("loaded_context_length")?)
}

#[cfg(test)]
mod tests;
