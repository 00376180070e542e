//! KoboldCpp's own completion of plain text.

use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared};
use super::frames::{Frame, Framing};
use super::openai::set;
use super::words::Problem;
use super::{Ask, Connection, Finish, Key, ModelInfo, openai, room, text};
use crate::egress::Target;
use crate::error::Result;

/// Where it tells with how much room it was started.
pub(super) const CONTEXT: [&str; 3] = ["api", "extra", "true_max_context_length"];

/// A place of the interface, which lies at the root whatever is below it.
pub(super) fn place(base: &Target, parts: &[&str]) -> Target {
    let mut segments = base.segments();
    while matches!(segments.last(), Some(&("v1" | "api" | "extra" | "generate" | "stream"))) {
        segments.pop();
    }
    segments.extend(parts);
    base.with_segments(segments)
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let rendered = text::render(connection, ask)?;
    let asked = &ask.parameters;
    let mut body = Map::new();
    body.insert("prompt".into(), rendered.prompt.into());
    set(&mut body, "temperature", asked.temperature);
    set(&mut body, "top_p", asked.top_p);
    set(&mut body, "top_k", asked.top_k);
    set(&mut body, "min_p", asked.min_p);
    set(&mut body, "presence_penalty", asked.presence_penalty);
    set(&mut body, "rep_pen", asked.repetition_penalty);
    set(&mut body, "sampler_seed", asked.seed);
    set(&mut body, "max_length", asked.max_tokens);
    set(&mut body, "max_context_length", asked.context);
    set(&mut body, "stop_sequence", (!rendered.stop.is_empty()).then_some(&rendered.stop));
    // The words at which it stopped are not part of the answer.
    body.insert("trim_stop".into(), true.into());
    body.extend(asked.extra.clone());
    Ok(Prepared {
        target: place(&base, &["api", "extra", "generate", "stream"]),
        headers: openai::headers(&base, key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::new(Tokens),
        stop: rendered.stop,
        fallback: None,
    })
}

/// The decoder.
struct Tokens;

impl Decoder for Tokens {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        let token: Value = serde_json::from_str(&frame.data)?;
        if let Some(error) = token.get("error").or_else(|| token.get("detail")) {
            return Err(Problem::Said(json!({ "error": error })));
        }
        out.text(token.get("token").and_then(Value::as_str).unwrap_or_default());
        match token.get("finish_reason").and_then(Value::as_str) {
            None | Some("" | "null") => Ok(false),
            Some(reason) => {
                out.finish(if reason == "length" { Finish::Length } else { Finish::Stop });
                Ok(true)
            }
        }
    }

    /// Older ones do not say why they end.
    fn ends_with_the_connection(&self) -> bool {
        true
    }
}

/// The one model that it has loaded, and the context that it was started with, if it says so.
pub(super) fn models(model: &Value, context: Option<&Value>) -> Option<Vec<ModelInfo>> {
    let id = model.get("result")?.as_str()?;
    Some(vec![ModelInfo {
        id: id.strip_prefix("koboldcpp/").unwrap_or(id).to_owned(),
        name: None,
        context: context.and_then(self::context),
    }])
}

/// The room that it was started with.
pub(super) fn context(said: &Value) -> Option<u32> {
    said.get("value").and_then(room::tokens)
}
