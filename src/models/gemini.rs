//! Google's Gemini.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared};
use super::frames::{Frame, Framing};
use super::openai::{json_headers, set};
use super::words::Problem;
use super::{Ask, Connection, Finish, Key, Message, ModelInfo, Parameters, Part, Role, Usage, room};
use crate::egress::{HeaderMap, HeaderName, Target};
use crate::error::Result;

/// Stop words that it takes.
const MOST_STOPS: usize = 5;

/// A place of the interface below the connection's address; what somebody has copied too much of is taken off.
pub(super) fn place(base: &Target, part: &str, more: Option<String>) -> Target {
    let mut segments = base.segments();
    if segments.last() == Some(&"models") {
        segments.pop();
    }
    if segments.is_empty() {
        segments.push("v1beta");
    }
    segments.push(part);
    let more = more.unwrap_or_default();
    segments.push(&more);
    base.with_segments(segments)
}

/// The headers of every request. The key goes there too, and not into the address, where it would be logged.
pub(super) fn headers(key: Option<&Key>) -> Result<HeaderMap> {
    let mut headers = json_headers();
    if let Some(key) = key {
        headers.insert(HeaderName::from_static("x-goog-api-key"), key.header("")?);
    }
    Ok(headers)
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let mut body = Map::new();
    let scene = ask.messages.iter().take_while(|message| message.role == Role::System);
    let scene: Vec<Value> = scene.flat_map(|message| message.parts.iter().filter_map(part)).collect();
    set(&mut body, "systemInstruction", (!scene.is_empty()).then(|| json!({ "parts": scene })));
    body.insert("contents".into(), contents(&ask.messages));
    body.insert("generationConfig".into(), parameters(&ask.parameters));
    body.extend(ask.parameters.extra.clone());
    let model = ask.model.strip_prefix("models/").unwrap_or(&ask.model);
    Ok(Prepared {
        target: place(&base, "models", Some(format!("{model}:streamGenerateContent"))).with_query("alt", "sse"),
        headers: headers(key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::new(Answers),
        stop: Vec::new(),
        fallback: Some(meet_half_way),
    })
}

fn parameters(parameters: &Parameters) -> Value {
    let mut config = Map::new();
    set(&mut config, "temperature", parameters.temperature);
    set(&mut config, "topP", parameters.top_p);
    set(&mut config, "topK", parameters.top_k.filter(|top| *top > 0));
    set(&mut config, "presencePenalty", parameters.presence_penalty);
    set(&mut config, "frequencyPenalty", parameters.frequency_penalty);
    set(&mut config, "seed", parameters.seed);
    set(&mut config, "maxOutputTokens", parameters.max_tokens);
    let stop: Vec<&String> = parameters.stop.iter().filter(|stop| !stop.is_empty()).take(MOST_STOPS).collect();
    set(&mut config, "stopSequences", (!stop.is_empty()).then_some(stop));
    let budget = parameters.reasoning_effort.as_deref().and_then(|effort| match effort {
        "none" => Some(0),
        "minimal" | "low" => Some(1024),
        "medium" => Some(8192),
        "high" | "xhigh" | "max" => Some(24_576),
        _ => None,
    });
    let thinking = budget.map(|budget| json!({ "includeThoughts": budget > 0, "thinkingBudget": budget }));
    set(&mut config, "thinkingConfig", thinking);
    Value::Object(config)
}

/// Models differ in what they refuse; what is only a preference is then left out.
fn meet_half_way(body: &mut Value, refusal: &str) -> bool {
    let Some(config) = body.get_mut("generationConfig").and_then(Value::as_object_mut) else { return false };
    let lower = refusal.to_ascii_lowercase();
    let known = [("thinking", "thinkingConfig"), ("penalty", "presencePenalty"), ("penalty", "frequencyPenalty")];
    let before = config.len();
    for (_, name) in known.into_iter().filter(|(word, _)| lower.contains(word)) {
        config.remove(name);
    }
    config.len() < before
}

fn contents(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.iter().skip_while(|message| message.role == Role::System) {
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        let parts = message.parts.iter().filter_map(part);
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(parts),
            _ => turns.push((role, parts.collect())),
        }
    }
    turns.retain(|(_, said)| !said.is_empty());
    if turns.is_empty() {
        turns.push(("user", vec![json!({ "text": "(begin)" })]));
    }
    turns.into_iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()
}

fn part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) if text.is_empty() => None,
        Part::Text(text) => Some(json!({ "text": text })),
        Part::Image(image) => {
            Some(json!({ "inlineData": { "mimeType": image.mime, "data": STANDARD.encode(&image.bytes) } }))
        }
    }
}

/// The decoder.
struct Answers;

impl Decoder for Answers {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        let answer: Value = serde_json::from_str(&frame.data)?;
        if let Some(error) = answer.get("error") {
            return Err(Problem::Said(error.clone()));
        }
        let parts = answer.pointer("/candidates/0/content/parts").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
            let is_thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
            if is_thought { out.reasoning(text) } else { out.text(text) }
        }
        if let Some(used) = answer.get("usageMetadata") {
            let count = |name: &str| used.get(name).and_then(Value::as_u64).unwrap_or(0);
            let completion = count("candidatesTokenCount") + count("thoughtsTokenCount");
            out.usage(Usage { prompt: count("promptTokenCount"), completion });
        }
        if let Some(reason) = answer.pointer("/candidates/0/finishReason").and_then(Value::as_str) {
            out.finish(finish(reason));
        } else if answer.pointer("/promptFeedback/blockReason").is_some() {
            out.finish(Finish::Filtered);
        }
        // What was used up comes with the end or before it; the connection's end is the last word.
        Ok(false)
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "STOP" | "FINISH_REASON_UNSPECIFIED" | "OTHER" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        _ => Finish::Filtered,
    }
}

/// The models of a list that can answer.
pub(super) fn models(list: &Value) -> Option<Vec<ModelInfo>> {
    let models = list.get("models")?.as_array()?.iter().filter_map(|model| {
        let can = model.get("supportedGenerationMethods").and_then(Value::as_array);
        if can.is_some_and(|can| !can.iter().any(|can| can == "generateContent")) {
            return None;
        }
        let id = model.get("name")?.as_str()?;
        Some(ModelInfo {
            id: id.strip_prefix("models/").unwrap_or(id).to_owned(),
            name: model.get("displayName").and_then(Value::as_str).map(str::to_owned),
            context: context(model),
        })
    });
    Some(models.collect())
}

/// The room that a model has, of what is said about it.
pub(super) fn context(model: &Value) -> Option<u32> {
    model.get("inputTokenLimit").and_then(room::tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::tests::connection;

    fn prepared(model: &str, messages: Vec<Message>) -> Prepared {
        let parameters = Parameters { max_tokens: Some(9), top_k: Some(0), ..Parameters::default() };
        prepare(&connection(), None, &Ask { model: model.into(), messages, parameters }).unwrap()
    }

    #[test]
    fn scene_and_turns() {
        let said = vec![
            Message::text(Role::System, "one"),
            Message::text(Role::User, "a"),
            Message::text(Role::System, "b"),
            Message::text(Role::Assistant, "c"),
        ];
        let body = prepared("models/gemini-9", said).body;
        assert_eq!(body["systemInstruction"], json!({ "parts": [{ "text": "one" }] }));
        let turns = json!([
            { "role": "user", "parts": [{ "text": "a" }, { "text": "b" }] },
            { "role": "model", "parts": [{ "text": "c" }] },
        ]);
        assert_eq!(body["contents"], turns);
        assert_eq!(body["generationConfig"], json!({ "maxOutputTokens": 9 }));
    }

    #[test]
    fn a_model_cannot_name_another_place() {
        let target = prepared("../../x?y#z", Vec::new()).target;
        assert_eq!(target.segments().len(), 3);
        assert!(target.segments()[2].starts_with("..%2F..%2Fx%3Fy%23z"), "{target:?}");
    }
}
