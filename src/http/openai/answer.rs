//! What programs get, in OpenAI's shapes.

use serde_json::{Value, json};

use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::models::{Finish, Usage};
use crate::random;

/// An error.
pub fn error(error: &Error) -> Value {
    let kind = match error.kind() {
        Kind::NotSignedIn => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::TooMany(_) => "rate_limit_error",
        Kind::Busy | Kind::Upstream | Kind::Storage | Kind::Internal => "server_error",
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::TooLarge | Kind::Unsupported | Kind::Misdirected => {
            "invalid_request_error"
        }
    };
    let param = error.details().and_then(|details| details.get("param"));
    json!({ "error": { "message": error.message(), "type": kind, "param": param, "code": error.code() } })
}

/// What all parts of one answer have in common.
#[derive(Debug, Clone)]
pub struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    /// A new answer of `model`, which is called as the request called it.
    pub fn new(model: &str) -> Result<Self> {
        let id = format!("chatcmpl-{}", random::random_hex::<12>()?);
        Ok(Self { id, created: clock::now_ms() / 1000, model: model.to_owned() })
    }

    fn shape(&self, object: &str, choices: Value) -> Value {
        json!({ "id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices })
    }

    /// The whole answer.
    pub fn whole(&self, text: &str, reasoning: &str, finish: Finish, used: Usage) -> Value {
        let mut message = json!({ "role": "assistant", "content": text, "refusal": null });
        if !reasoning.is_empty() {
            message["reasoning_content"] = json!(reasoning);
        }
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": reason(finish) });
        let mut whole = self.shape("chat.completion", json!([choice]));
        whole["usage"] = usage(used);
        whole
    }

    /// A piece of an answer that comes piece by piece.
    pub fn piece(&self, delta: Value, finish: Option<Finish>) -> Value {
        let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish.map(reason) });
        self.shape("chat.completion.chunk", json!([choice]))
    }

    /// The piece after the last, with what was used up.
    pub fn usage(&self, used: Usage) -> Value {
        let mut piece = self.shape("chat.completion.chunk", json!([]));
        piece["usage"] = usage(used);
        piece
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

fn usage(used: Usage) -> Value {
    json!({
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt.saturating_add(used.completion),
    })
}
