//! llama.cpp's own completion of plain text.

use serde_json::{Map, Value};

use super::asking::{Decoder, Out, Prepared};
use super::frames::{Frame, Framing};
use super::openai::set;
use super::words::Problem;
use super::{Ask, Connection, Finish, Key, ModelInfo, Usage, openai, room, text};
use crate::egress::Target;
use crate::error::Result;

/// A place of the interface, which lies at the root whatever is below it.
pub(super) fn place(base: &Target, parts: &[&str]) -> Target {
    let mut segments = base.segments();
    while matches!(segments.last(), Some(&("v1" | "completion" | "completions"))) {
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
    set(&mut body, "model", Some(&ask.model).filter(|model| !model.is_empty()));
    body.insert("prompt".into(), rendered.prompt.into());
    body.insert("stream".into(), true.into());
    // The begin of the prompt is the same from turn to turn; it is not read again.
    body.insert("cache_prompt".into(), true.into());
    set(&mut body, "temperature", asked.temperature);
    set(&mut body, "top_p", asked.top_p);
    set(&mut body, "top_k", asked.top_k);
    set(&mut body, "min_p", asked.min_p);
    set(&mut body, "presence_penalty", asked.presence_penalty);
    set(&mut body, "frequency_penalty", asked.frequency_penalty);
    set(&mut body, "repeat_penalty", asked.repetition_penalty);
    set(&mut body, "seed", asked.seed);
    set(&mut body, "n_predict", asked.max_tokens);
    set(&mut body, "stop", (!rendered.stop.is_empty()).then_some(&rendered.stop));
    body.extend(asked.extra.clone());
    Ok(Prepared {
        target: place(&base, &["completion"]),
        headers: openai::headers(&base, key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::new(Chunks),
        stop: rendered.stop,
        fallback: None,
    })
}

/// The decoder.
struct Chunks;

impl Decoder for Chunks {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        if frame.data.trim() == "[DONE]" {
            return Ok(out.is_finished());
        }
        let chunk: Value = serde_json::from_str(&frame.data)?;
        if let Some(error) = chunk.get("error") {
            return Err(Problem::Said(error.clone()));
        }
        if frame.event == "error" {
            return Err(Problem::Said(chunk));
        }
        out.text(chunk.get("content").and_then(Value::as_str).unwrap_or_default());
        if !chunk.get("stop").and_then(Value::as_bool).unwrap_or(false) {
            return Ok(false);
        }
        let is_limit = chunk.get("stop_type").and_then(Value::as_str) == Some("limit")
            || chunk.get("stopped_limit").and_then(Value::as_bool) == Some(true);
        out.finish(if is_limit { Finish::Length } else { Finish::Stop });
        let count = |name: &str| chunk.get(name).and_then(Value::as_u64);
        if let (Some(prompt), Some(completion)) = (count("tokens_evaluated"), count("tokens_predicted")) {
            out.usage(Usage { prompt, completion });
        }
        Ok(true)
    }
}

/// The models of a list, with the context that the server was started with, if it says so.
pub(super) fn models(list: &Value, props: Option<&Value>) -> Option<Vec<ModelInfo>> {
    let mut models = openai::models(list)?;
    if let Some(context) = props.and_then(context) {
        models.iter_mut().for_each(|model| model.context = Some(context));
    }
    Some(models)
}

/// The room that it was started with, of what it says about itself at `/props`.
pub(super) fn context(props: &Value) -> Option<u32> {
    props.pointer("/default_generation_settings/n_ctx").and_then(room::tokens)
}
