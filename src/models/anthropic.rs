//! Anthropic's messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared, leave_out};
use super::frames::{Frame, Framing};
use super::openai::{json_headers, set};
use super::words::Problem;
use super::{Ask, Connection, Finish, Key, Message, ModelInfo, Parameters, Part, Role, Usage};
use crate::egress::{HeaderMap, HeaderName, HeaderValue, Target};
use crate::error::Result;

/// The longest answer unless somebody says otherwise; this provider wants to be told.
const USUAL_LONGEST: u32 = 4096;
/// The provider wants the person to speak first.
const BEGIN: &str = "(begin)";

/// A place of the interface below the connection's address; what somebody has copied too much of is taken off.
pub(super) fn place(base: &Target, part: &str) -> Target {
    let mut segments = base.segments();
    for known in [&["v1", "messages"][..], &["v1", "models"], &["v1"]] {
        if segments.ends_with(known) {
            segments.truncate(segments.len() - known.len());
            break;
        }
    }
    segments.extend(["v1", part]);
    base.with_segments(segments)
}

/// The headers of every request.
pub(super) fn headers(key: Option<&Key>) -> Result<HeaderMap> {
    let mut headers = json_headers();
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    if let Some(key) = key {
        headers.insert(HeaderName::from_static("x-api-key"), key.header("")?);
    }
    Ok(headers)
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let mut body = Map::new();
    body.insert("model".into(), ask.model.clone().into());
    body.insert("stream".into(), true.into());
    let scene = ask.messages.iter().take_while(|message| message.role == Role::System).map(Message::words);
    let scene: Vec<String> = scene.filter(|words| !words.trim().is_empty()).collect();
    set(&mut body, "system", (!scene.is_empty()).then(|| scene.join("\n\n")));
    body.insert("messages".into(), messages(&ask.messages));
    parameters(&mut body, &ask.parameters);
    Ok(Prepared {
        target: place(&base, "messages"),
        headers: headers(key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::<Events>::default(),
        stop: Vec::new(),
        fallback: Some(meet_half_way),
    })
}

fn parameters(body: &mut Map<String, Value>, parameters: &Parameters) {
    let longest = parameters.max_tokens.unwrap_or(USUAL_LONGEST);
    // The thinking comes on top of the answer, and is done as it likes.
    let thinking = match parameters.reasoning_effort.as_deref() {
        Some("minimal" | "low") => Some(1024),
        Some("medium") => Some(4096),
        Some("high" | "xhigh" | "max") => Some(16_384),
        _ => None,
    };
    body.insert("max_tokens".into(), longest.saturating_add(thinking.unwrap_or(0)).into());
    if let Some(budget) = thinking {
        body.insert("thinking".into(), json!({ "type": "enabled", "budget_tokens": budget }));
    } else {
        // Further on than 1 it is refused, and so are both at once.
        set(body, "temperature", parameters.temperature.map(|temperature| temperature.min(1.0)));
        set(body, "top_p", parameters.top_p.filter(|_| parameters.temperature.is_none()));
        set(body, "top_k", parameters.top_k.filter(|top| *top > 0));
    }
    let stop: Vec<&String> = parameters.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    set(body, "stop_sequences", (!stop.is_empty()).then_some(stop));
    body.extend(parameters.extra.clone());
}

/// Models differ in what they refuse; what is only a preference is then left out.
fn meet_half_way(body: &mut Value, refusal: &str) -> bool {
    let Some(body) = body.as_object_mut() else { return false };
    leave_out(body, refusal, &["temperature", "top_p", "top_k"])
}

/// The conversation after the scene: person and model take turns, the person first.
fn messages(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.iter().skip_while(|message| message.role == Role::System) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        if turns.is_empty() && role == "assistant" {
            turns.push(("user", vec![json!({ "type": "text", "text": BEGIN })]));
        }
        let parts = message.parts.iter().filter_map(part);
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(parts),
            _ => turns.push((role, parts.collect())),
        }
    }
    // What is to be continued must not end in white space.
    if let Some(("assistant", said)) = turns.last_mut()
        && let Some(Value::String(text)) = said.last_mut().and_then(|part| part.get_mut("text"))
    {
        text.truncate(text.trim_end().len());
    }
    turns.retain(|(_, said)| !said.is_empty());
    if turns.is_empty() {
        turns.push(("user", vec![json!({ "type": "text", "text": BEGIN })]));
    }
    turns.into_iter().map(|(role, said)| json!({ "role": role, "content": said })).collect()
}

fn part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(json!({ "type": "text", "text": text })),
        Part::Image(image) => Some(json!({
            "type": "image",
            "source": { "type": "base64", "media_type": image.mime, "data": STANDARD.encode(&image.bytes) },
        })),
    }
}

/// The decoder.
#[derive(Default)]
struct Events {
    usage: Usage,
}

impl Decoder for Events {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        let event: Value = serde_json::from_str(&frame.data)?;
        let text = |place: &str| event.pointer(place).and_then(Value::as_str).unwrap_or_default();
        match text("/type") {
            "error" => return Err(Problem::Said(event.get("error").cloned().unwrap_or_default())),
            "message_start" => self.count(event.pointer("/message/usage")),
            "content_block_start" => {
                out.text(text("/content_block/text"));
                out.reasoning(text("/content_block/thinking"));
            }
            "content_block_delta" => {
                out.text(text("/delta/text"));
                out.reasoning(text("/delta/thinking"));
            }
            "message_delta" => {
                self.count(event.get("usage"));
                let reason = text("/delta/stop_reason");
                if !reason.is_empty() {
                    out.usage(self.usage);
                    out.finish(finish(reason));
                }
            }
            "message_stop" if out.is_finished() => return Ok(true),
            // An answer in one piece, from a server that does not stream.
            "message" => self.whole(&event, out),
            "" => return Err(Problem::Garbage("an event without a type".to_owned())),
            _ => {}
        }
        Ok(false)
    }
}

impl Events {
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage else { return };
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        if let Some(prompt) = count("input_tokens") {
            let kept = ["cache_creation_input_tokens", "cache_read_input_tokens"].map(|name| count(name).unwrap_or(0));
            self.usage.prompt = prompt + kept.iter().sum::<u64>();
        }
        if let Some(completion) = count("output_tokens") {
            self.usage.completion = completion;
        }
    }

    fn whole(&mut self, message: &Value, out: &mut Out) {
        for block in message.get("content").and_then(Value::as_array).into_iter().flatten() {
            out.reasoning(block.get("thinking").and_then(Value::as_str).unwrap_or_default());
            out.text(block.get("text").and_then(Value::as_str).unwrap_or_default());
        }
        self.count(message.get("usage"));
        out.usage(self.usage);
        out.finish(finish(message.get("stop_reason").and_then(Value::as_str).unwrap_or_default()));
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => Finish::Filtered,
        _ => Finish::Stop,
    }
}

/// The models of a list.
pub(super) fn models(list: &Value) -> Option<Vec<ModelInfo>> {
    super::openai::models(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Image, Parameters};

    fn body(messages: Vec<Message>, parameters: Parameters) -> Value {
        let ask = Ask { model: "m".into(), messages, parameters };
        prepare(&super::super::tests::connection(), None, &ask).unwrap().body
    }

    #[test]
    fn scene_and_turns() {
        let image = Part::Image(Image { mime: "image/png".into(), bytes: "x".into() });
        let mut with_image = Message::text(Role::User, "b");
        with_image.parts.push(image);
        let said = vec![
            Message::text(Role::System, "one"),
            Message::text(Role::System, "two"),
            Message::text(Role::Assistant, "hello"),
            Message::text(Role::System, "a"),
            with_image,
            Message::text(Role::Assistant, "and then \n"),
        ];
        let body = body(said, Parameters::default());
        assert_eq!(body["system"], "one\n\ntwo");
        assert_eq!(body["max_tokens"], 4096);
        let text = |text: &str| json!({ "type": "text", "text": text });
        let image =
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "eA==" } });
        assert_eq!(
            body["messages"],
            json!([
                { "role": "user", "content": [text("(begin)")] },
                { "role": "assistant", "content": [text("hello")] },
                { "role": "user", "content": [text("a"), text("b"), image] },
                { "role": "assistant", "content": [text("and then")] },
            ])
        );
    }

    #[test]
    fn a_scene_alone_is_begun() {
        let body = body(vec![Message::text(Role::System, "one")], Parameters::default());
        assert_eq!(body["messages"], json!([{ "role": "user", "content": [{ "type": "text", "text": "(begin)" }] }]));
    }

    #[test]
    fn parameters_as_it_takes_them() {
        let parameters = Parameters {
            temperature: Some(1.4),
            top_p: Some(0.9),
            top_k: Some(40),
            max_tokens: Some(100),
            stop: vec!["\n".into(), "END".into()],
            ..Parameters::default()
        };
        let plain = body(Vec::new(), parameters.clone());
        assert_eq!((&plain["temperature"], &plain["top_p"]), (&json!(1.0), &Value::Null));
        assert_eq!(plain["stop_sequences"], json!(["END"]));
        let thinking = body(Vec::new(), Parameters { reasoning_effort: Some("low".into()), ..parameters });
        assert_eq!(thinking["thinking"], json!({ "type": "enabled", "budget_tokens": 1024 }));
        assert_eq!((&thinking["max_tokens"], &thinking["temperature"]), (&json!(1124), &Value::Null));
    }
}
