//! What programs send: OpenAI's chat completions, as far as models of all kinds understand them. Fields that change nothing
//! about the answer are passed over; what would be silently left out of it is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::models::{Image, Kind, Message, Parameters, Part, Role};
use crate::pictures::PictureKind;

/// The body of `POST /v1/chat/completions`.
#[derive(Debug, Clone, Deserialize)]
pub struct Completion {
    /// Which model.
    pub model: String,
    messages: Vec<Said>,
    /// Whether the answer is to come piece by piece.
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u32>,
    min_p: Option<f64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    #[serde(alias = "repeat_penalty")]
    repetition_penalty: Option<f64>,
    seed: Option<i64>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    stop: Option<Stop>,
    reasoning_effort: Option<String>,
    n: Option<u32>,
    tools: Option<Vec<Value>>,
    functions: Option<Vec<Value>>,
    logprobs: Option<bool>,
    modalities: Option<Vec<String>>,
    audio: Option<Value>,
    response_format: Option<Value>,
    logit_bias: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// A message as OpenAI has it.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    role: String,
    content: Option<Content>,
    name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Debug, Clone, Deserialize)]
struct ContentPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ImageUrl {
    Object { url: String },
    Text(String),
}

impl Completion {
    /// Whether the answer is to come piece by piece.
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether the last piece is to say what was used up.
    pub fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Refuses what cannot be done, rather than answer something else.
    pub fn check(&self) -> Result<()> {
        let has = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let asks_for_sound = |modes: &Vec<String>| modes.iter().any(|mode| mode != "text");
        if self.messages.is_empty() {
            return Err(wrong("messages", "There has to be at least one message."));
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(wrong("n", "Only one answer at a time is given (n: 1)."));
        }
        if has(&self.tools) || has(&self.functions) {
            return Err(wrong("tools", "Tools are not supported here. Leave the field out."));
        }
        if self.logprobs == Some(true) {
            return Err(wrong("logprobs", "Probabilities are not supported here. Leave the field out."));
        }
        if self.audio.is_some() || self.modalities.as_ref().is_some_and(asks_for_sound) {
            return Err(wrong("modalities", "Only text is answered."));
        }
        Ok(())
    }

    /// The messages, in no dialect.
    pub fn messages(&mut self) -> Result<Vec<Message>> {
        let said = std::mem::take(&mut self.messages);
        said.into_iter().enumerate().map(|(index, said)| said.into_message(index)).collect()
    }

    /// How to answer. What only servers of OpenAI's kind understand goes to those alone.
    pub fn parameters(&mut self, kind: Kind) -> Result<Parameters> {
        let mut extra = Map::new();
        let is_plain = |format: &Value| format.get("type").is_none_or(|kind| kind == "text");
        for (name, value) in [
            ("response_format", self.response_format.take().filter(|format| !is_plain(format))),
            ("logit_bias", self.logit_bias.take().filter(|bias| !bias.is_empty()).map(Value::Object)),
        ] {
            let Some(value) = value else { continue };
            if kind != Kind::OpenAi {
                return Err(wrong(name, &format!("The server of this model does not take {name}.")));
            }
            extra.insert(name.to_owned(), value);
        }
        Ok(Parameters {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            context: None,
            stop: match self.stop.take() {
                None => Vec::new(),
                Some(Stop::One(stop)) => vec![stop],
                Some(Stop::Many(stops)) => stops,
            },
            reasoning_effort: self.reasoning_effort.take(),
            extra,
        })
    }
}

impl Said {
    fn into_message(self, index: usize) -> Result<Message> {
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            role => {
                let role: String = role.chars().take(40).collect();
                let text = format!("Messages of the role “{role}” are not supported here: system, user or assistant.");
                return Err(wrong(&format!("messages[{index}].role"), &text));
            }
        };
        let parts = match self.content {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![Part::Text(text)],
            Some(Content::Parts(parts)) => {
                let part = |(at, part): (usize, ContentPart)| {
                    part.into_part().map_err(|text| wrong(&format!("messages[{index}].content[{at}]"), text))
                };
                parts.into_iter().enumerate().map(part).collect::<Result<_>>()?
            }
        };
        Ok(Message { role, name: self.name.filter(|name| !name.is_empty()), parts })
    }
}

impl ContentPart {
    fn into_part(self) -> Result<Part, &'static str> {
        let missing = "The part has no text.";
        match self.kind.as_str() {
            "text" => self.text.map(Part::Text).ok_or(missing),
            "refusal" => self.refusal.map(Part::Text).ok_or(missing),
            "image_url" => match self.image_url {
                Some(ImageUrl::Object { url } | ImageUrl::Text(url)) => picture(&url).map(Part::Image),
                None => Err("The part has no picture."),
            },
            _ => Err("Only parts with text or pictures are taken."),
        }
    }
}

/// A picture from a data URL. Addresses are not fetched: whoever asks could make the server look anywhere.
fn picture(url: &str) -> Result<Image, &'static str> {
    let bad =
        "Pictures come as data URLs: data:image/png;base64,… (png, jpeg, webp or gif). Addresses are not fetched.";
    let (mime, data) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).ok_or(bad)?;
    PictureKind::by_mime(mime).ok_or(bad)?;
    let bytes = STANDARD.decode(data.trim()).map_err(|_| "The picture is damaged.")?;
    Ok(Image { mime: mime.to_owned(), bytes: bytes.into() })
}

fn wrong(param: &str, message: &str) -> Error {
    Error::invalid("invalid_value", message.to_owned()).with_details(json!({ "param": param }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: Value) -> Completion {
        let mut whole = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hello" }] });
        for (name, value) in body.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn parameters_are_passed_on() {
        let mut asked = parsed(json!({
            "temperature": 0.5, "top_p": 0.9, "max_tokens": 10, "max_completion_tokens": 20, "stop": "END", "seed": 7,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "reasoning_effort": "low", "user": "x", "stream": null,
            "response_format": { "type": "text" }, "tools": [], "n": 1, "metadata": {}, "store": false,
        }));
        asked.check().unwrap();
        let parameters = asked.parameters(Kind::Ollama).unwrap();
        assert_eq!((parameters.max_tokens, parameters.stop.as_slice()), (Some(20), ["END".to_owned()].as_slice()));
        assert_eq!((parameters.seed, parameters.reasoning_effort.as_deref()), (Some(7), Some("low")));
        assert!(parameters.extra.is_empty() && !asked.streams());
        let stops = parsed(json!({ "stop": ["a", "b"] })).parameters(Kind::OpenAi).unwrap().stop;
        assert_eq!(stops, ["a", "b"]);
    }

    #[test]
    fn what_some_servers_take_goes_to_those_alone() {
        let format = json!({ "response_format": { "type": "json_object" } });
        let parameters = parsed(format.clone()).parameters(Kind::OpenAi).unwrap();
        assert_eq!(parameters.extra["response_format"]["type"], "json_object");
        assert!(parsed(format).parameters(Kind::Anthropic).is_err());
    }

    #[test]
    fn messages_have_words_and_pictures() {
        let url = "data:image/png;base64,AAEC";
        let mut asked = parsed(json!({ "messages": [
            { "role": "developer", "content": "Be kind." },
            { "role": "user", "name": "Ada", "content": [
                { "type": "text", "text": "Look" }, { "type": "image_url", "image_url": { "url": url, "detail": "low" } },
            ] },
            { "role": "assistant", "content": null },
        ] }));
        let messages = asked.messages().unwrap();
        assert_eq!(messages[0], Message::text(Role::System, "Be kind."));
        assert_eq!(messages[1].name.as_deref(), Some("Ada"));
        assert_eq!(messages[1].parts[1], Part::Image(Image { mime: "image/png".into(), bytes: vec![0, 1, 2].into() }));
        assert!(messages[2].parts.is_empty());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (body, param) in [
            (json!({ "messages": [] }), "messages"),
            (json!({ "n": 2 }), "n"),
            (json!({ "tools": [{ "type": "function" }] }), "tools"),
            (json!({ "logprobs": true }), "logprobs"),
            (json!({ "modalities": ["text", "audio"] }), "modalities"),
        ] {
            let error = parsed(body).check().unwrap_err();
            assert_eq!(error.details().unwrap()["param"], param);
        }
        for (content, role) in [
            (json!("x"), "tool"),
            (json!([{ "type": "image_url", "image_url": { "url": "http://127.0.0.1/x.png" } }]), "user"),
            (json!([{ "type": "image_url", "image_url": { "url": "file:///etc/passwd" } }]), "user"),
            (json!([{ "type": "image_url", "image_url": { "url": "data:text/html;base64,AAEC" } }]), "user"),
            (json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,!" } }]), "user"),
            (json!([{ "type": "input_audio" }]), "user"),
            (json!([{ "type": "text" }]), "user"),
        ] {
            let mut asked = parsed(json!({ "messages": [{ "role": role, "content": content }] }));
            assert_eq!(asked.messages().unwrap_err().code(), "invalid_value");
        }
    }
}
