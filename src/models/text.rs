//! Plain text completion: the prompt is one text, made with an instruct template. OpenAI's form of it, which
//! text-generation-webui, vLLM and TabbyAPI speak.

use serde_json::{Map, Value, json};

use super::asking::{Decoder, Out, Prepared};
use super::frames::{Frame, Framing};
use super::instruct::{self, Rendered, Template};
use super::openai::{House, chunk, headers, meet_half_way, parameters, place, set};
use super::words::Problem;
use super::{Ask, Connection, Key};
use crate::egress::Target;
use crate::error::Result;

/// The prompt as one text, and where to stop: at what the template says and at what was asked for.
pub(super) fn render(connection: &Connection, ask: &Ask) -> Result<Rendered> {
    let template = Template::find(connection.template.as_deref())?;
    let mut rendered = instruct::render(&template, &ask.messages);
    for stop in ask.parameters.stop.iter().filter(|stop| !stop.is_empty()) {
        if !rendered.stop.contains(stop) {
            rendered.stop.push(stop.clone());
        }
    }
    Ok(rendered)
}

/// A question.
pub(super) fn prepare(connection: &Connection, key: Option<&Key>, ask: &Ask) -> Result<Prepared> {
    let base = Target::parse(&connection.base_url)?;
    let rendered = render(connection, ask)?;
    let mut body = Map::new();
    set(&mut body, "model", Some(&ask.model).filter(|model| !model.is_empty()));
    body.insert("prompt".into(), rendered.prompt.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({ "include_usage": true }));
    let mut asked = ask.parameters.clone();
    asked.stop.clone_from(&rendered.stop);
    parameters(&mut body, &asked, House::of(&base));
    Ok(Prepared {
        target: place(&base, &["completions"]),
        headers: headers(&base, key)?,
        body: Value::Object(body),
        framing: Framing::events(),
        decoder: Box::new(Chunks),
        stop: rendered.stop,
        fallback: Some(meet_half_way),
    })
}

/// The decoder.
struct Chunks;

impl Decoder for Chunks {
    fn frame(&mut self, frame: &Frame, out: &mut Out) -> Result<bool, Problem> {
        chunk(frame, out)
    }
}
