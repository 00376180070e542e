//! Instruct templates: how a conversation is written down as one text for models that complete text.
//!
//! The fields are SillyTavern's, so that its templates can be used as they are; the built-in ones say the same in its
//! terms. A connection names a built-in one, or holds the JSON of any other.

use serde::Deserialize;

use super::{Message, Role};
use crate::error::{Error, Result};

/// The largest template, in bytes of JSON.
const MAX_BYTES: usize = 64 << 10;
/// The built-in one that is used where a connection names none: most of today's models know it.
const USUAL: &str = "ChatML";

/// When a name stands before what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// Never.
    None,
    /// Where the prompt gives one.
    #[default]
    Force,
    /// Always, be it the role's.
    Always,
}

/// A template, by SillyTavern's names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Template {
    /// What it is called.
    pub name: String,
    /// Before what the person says.
    pub input_sequence: String,
    /// After it.
    pub input_suffix: String,
    /// Before the first thing that the person says, if it differs.
    pub first_input_sequence: String,
    /// Before the last.
    pub last_input_sequence: String,
    /// Before what the model says.
    pub output_sequence: String,
    /// After it.
    pub output_suffix: String,
    /// Before the first thing that the model says, if it differs.
    pub first_output_sequence: String,
    /// Before what it is to say now.
    pub last_output_sequence: String,
    /// Before what sets the scene.
    pub system_sequence: String,
    /// After it.
    pub system_suffix: String,
    /// Before a last word of the scene, if it differs.
    pub last_system_sequence: String,
    /// Around the first of it, in newer templates.
    #[serde(alias = "system_sequence_prefix")]
    pub story_string_prefix: String,
    /// Its other side.
    #[serde(alias = "system_sequence_suffix")]
    pub story_string_suffix: String,
    /// What the model says when it is done.
    pub stop_sequence: String,
    /// Sequences stand on lines of their own.
    pub wrap: bool,
    /// `{{user}}`, `{{char}}` and `{{name}}` in sequences are filled in.
    #[serde(rename = "macro")]
    pub fill: bool,
    /// What sets the scene is written as if the person had said it.
    pub system_same_as_user: bool,
    /// The sequences stop an answer too.
    pub sequences_as_stop_strings: bool,
    /// When a name stands before what is said.
    pub names_behavior: Names,
    /// What the person says first if the model would be first.
    pub user_alignment_message: String,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            name: String::new(),
            input_sequence: String::new(),
            input_suffix: String::new(),
            first_input_sequence: String::new(),
            last_input_sequence: String::new(),
            output_sequence: String::new(),
            output_suffix: String::new(),
            first_output_sequence: String::new(),
            last_output_sequence: String::new(),
            system_sequence: String::new(),
            system_suffix: String::new(),
            last_system_sequence: String::new(),
            story_string_prefix: String::new(),
            story_string_suffix: String::new(),
            stop_sequence: String::new(),
            wrap: true,
            fill: true,
            system_same_as_user: false,
            sequences_as_stop_strings: true,
            names_behavior: Names::Force,
            user_alignment_message: String::new(),
        }
    }
}

/// A prompt as one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub prompt: String,
    /// Where the answer stops.
    pub stop: Vec<String>,
}

impl Template {
    /// Fields that had another name in older templates, with the name of today.
    pub const FORMER_NAMES: [(&'static str, &'static str); 2] =
        [("system_sequence_prefix", "story_string_prefix"), ("system_sequence_suffix", "story_string_suffix")];

    /// The names of the built-in templates.
    pub fn names() -> [&'static str; 7] {
        ["ChatML", "Llama 3", "Mistral", "Mistral V3", "Gemma", "Alpaca", "Vicuna"]
    }

    /// A built-in template by its name, however it is written.
    pub fn named(name: &str) -> Option<Self> {
        let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let known = Self::names().into_iter().find(|known| plain(known) == plain(name))?;
        let mut template = built_in(known);
        known.clone_into(&mut template.name);
        Some(template)
    }

    /// A template of SillyTavern's.
    pub fn parse(json: &str) -> Result<Self> {
        if json.len() > MAX_BYTES {
            return Err(Error::invalid("bad_template", "An instruct template has at most 64 KiB."));
        }
        serde_json::from_str(json).map_err(|error| {
            Error::invalid("bad_template", "This is no instruct template: it has to be SillyTavern's JSON of one.")
                .because(error)
        })
    }

    /// What a connection says: nothing, the name of a built-in one, or the JSON of another.
    pub fn find(text: Option<&str>) -> Result<Self> {
        let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(USUAL);
        if text.starts_with('{') {
            return Self::parse(text);
        }
        Self::named(text).ok_or_else(|| {
            let known = Self::names().join(", ");
            Error::invalid("bad_template", format!("There is no instruct template of this name. There are: {known}."))
        })
    }
}

fn built_in(name: &str) -> Template {
    let text = str::to_owned;
    let exact = Template { wrap: false, ..Template::default() };
    match name {
        "Llama 3" => Template {
            input_sequence: text("<|start_header_id|>user<|end_header_id|>\n\n"),
            input_suffix: text("<|eot_id|>"),
            output_sequence: text("<|start_header_id|>assistant<|end_header_id|>\n\n"),
            output_suffix: text("<|eot_id|>"),
            system_sequence: text("<|start_header_id|>system<|end_header_id|>\n\n"),
            system_suffix: text("<|eot_id|>"),
            stop_sequence: text("<|eot_id|>"),
            ..exact
        },
        "Mistral" => Template {
            input_sequence: text("[INST]"),
            input_suffix: text("[/INST]"),
            output_suffix: text("</s>"),
            system_sequence: text("[SYSTEM_PROMPT]"),
            system_suffix: text("[/SYSTEM_PROMPT]"),
            stop_sequence: text("</s>"),
            ..exact
        },
        "Mistral V3" => Template {
            input_sequence: text("[INST] "),
            input_suffix: text(" [/INST]"),
            output_sequence: text(" "),
            output_suffix: text("</s>"),
            stop_sequence: text("</s>"),
            system_same_as_user: true,
            ..exact
        },
        "Gemma" => Template {
            input_sequence: text("<start_of_turn>user\n"),
            input_suffix: text("<end_of_turn>\n"),
            output_sequence: text("<start_of_turn>model\n"),
            output_suffix: text("<end_of_turn>\n"),
            stop_sequence: text("<end_of_turn>"),
            system_same_as_user: true,
            ..exact
        },
        "Alpaca" => Template {
            input_sequence: text("### Instruction:\n"),
            input_suffix: text("\n\n"),
            output_sequence: text("### Response:\n"),
            output_suffix: text("\n\n"),
            system_suffix: text("\n\n"),
            ..exact
        },
        "Vicuna" => Template {
            input_sequence: text("USER: "),
            input_suffix: text("\n"),
            output_sequence: text("ASSISTANT: "),
            last_output_sequence: text("ASSISTANT:"),
            output_suffix: text("</s>\n"),
            system_suffix: text("\n\n"),
            stop_sequence: text("</s>"),
            ..exact
        },
        _ => Template {
            input_sequence: text("<|im_start|>user\n"),
            input_suffix: text("<|im_end|>\n"),
            output_sequence: text("<|im_start|>assistant\n"),
            output_suffix: text("<|im_end|>\n"),
            system_sequence: text("<|im_start|>system\n"),
            system_suffix: text("<|im_end|>\n"),
            stop_sequence: text("<|im_end|>"),
            ..exact
        },
    }
}

/// Writes a conversation down. If the model spoke last, its words are left open, to be continued; else it is its turn.
pub fn render(template: &Template, messages: &[Message]) -> Rendered {
    let writer = Writer {
        template,
        user: name_of(messages, Role::User).unwrap_or("User"),
        model: name_of(messages, Role::Assistant).unwrap_or("Assistant"),
    };
    Rendered { prompt: writer.prompt(messages), stop: writer.stop() }
}

fn name_of(messages: &[Message], role: Role) -> Option<&str> {
    messages.iter().rev().filter(|message| message.role == role).find_map(|message| message.name.as_deref())
}

struct Writer<'a> {
    template: &'a Template,
    user: &'a str,
    model: &'a str,
}

impl Writer<'_> {
    fn prompt(&self, messages: &[Message]) -> String {
        let first = |role| messages.iter().position(|message| message.role == role);
        let last = |role| messages.iter().rposition(|message| message.role == role);
        let (first_input, last_input) = (first(Role::User), last(Role::User));
        let (first_output, last_system) = (first(Role::Assistant), last(Role::System));
        let open = messages.last().is_some_and(|message| message.role == Role::Assistant);
        let template = self.template;
        let mut prompt = String::new();
        for (at, message) in messages.iter().enumerate() {
            let is = |place: Option<usize>| place == Some(at);
            let before = match message.role {
                Role::User if is(first_input) => either(&template.first_input_sequence, &template.input_sequence),
                Role::User if is(last_input) => either(&template.last_input_sequence, &template.input_sequence),
                Role::User => &template.input_sequence,
                Role::Assistant if is(first_output) => {
                    either(&template.first_output_sequence, &template.output_sequence)
                }
                Role::Assistant => &template.output_sequence,
                Role::System if template.system_same_as_user => &template.input_sequence,
                Role::System if at == 0 => either(&template.story_string_prefix, &template.system_sequence),
                Role::System if is(last_system) && at + 1 == messages.len() => {
                    either(&template.last_system_sequence, &template.system_sequence)
                }
                Role::System => &template.system_sequence,
            };
            let after = match message.role {
                Role::User => &template.input_suffix,
                Role::Assistant => &template.output_suffix,
                Role::System if template.system_same_as_user => &template.input_suffix,
                Role::System if at == 0 => either(&template.story_string_suffix, &template.system_suffix),
                Role::System => &template.system_suffix,
            };
            self.align(message.role, is(first_output) && first_input.is_none_or(|input| input > at), &mut prompt);
            self.write(message, before, after, open && at + 1 == messages.len(), &mut prompt);
        }
        if !open {
            self.invite(messages, &mut prompt);
        }
        prompt
    }

    /// The person's turn before the model's first, where the template asks for one.
    fn align(&self, role: Role, is_due: bool, prompt: &mut String) {
        if role == Role::Assistant && is_due && !self.template.user_alignment_message.is_empty() {
            let message = Message::text(Role::User, self.filled(&self.template.user_alignment_message, self.user));
            self.write(&message, &self.template.input_sequence, &self.template.input_suffix, false, prompt);
        }
    }

    fn write(&self, message: &Message, before: &str, after: &str, open: bool, prompt: &mut String) {
        let wrap = if self.template.wrap { "\n" } else { "" };
        let name = self.name(message);
        let role_name = message.name.as_deref().unwrap_or(match message.role {
            Role::User => self.user,
            Role::Assistant => self.model,
            Role::System => "System",
        });
        let before = self.filled(before, role_name);
        if !before.is_empty() {
            prompt.push_str(&before);
            prompt.push_str(wrap);
        }
        if let Some(name) = name {
            prompt.push_str(name);
            prompt.push_str(": ");
        }
        prompt.push_str(&message.words());
        if !open {
            let after = self.filled(after, role_name);
            prompt.push_str(if after.is_empty() { wrap } else { &after });
        }
    }

    fn invite(&self, messages: &[Message], prompt: &mut String) {
        let template = self.template;
        let spoke = messages.iter().any(|message| message.role == Role::Assistant);
        let usual = either(&template.last_output_sequence, &template.output_sequence);
        let first = !spoke && template.last_output_sequence.is_empty() && !template.first_output_sequence.is_empty();
        let sequence = if first { &template.first_output_sequence } else { usual };
        let sequence = self.filled(sequence, self.model);
        prompt.push_str(&sequence);
        let named = match template.names_behavior {
            Names::None => None,
            Names::Force => name_of(messages, Role::Assistant),
            Names::Always => Some(self.model),
        };
        if template.wrap && !sequence.is_empty() {
            prompt.push('\n');
        }
        if let Some(name) = named {
            prompt.push_str(name);
            prompt.push(':');
        }
    }

    fn name<'m>(&'m self, message: &'m Message) -> Option<&'m str> {
        match (self.template.names_behavior, message.role) {
            (Names::None, _) | (_, Role::System) => None,
            (Names::Force, _) => message.name.as_deref(),
            (Names::Always, Role::User) => Some(message.name.as_deref().unwrap_or(self.user)),
            (Names::Always, Role::Assistant) => Some(message.name.as_deref().unwrap_or(self.model)),
        }
    }

    fn filled(&self, sequence: &str, name: &str) -> String {
        if !self.template.fill || !sequence.contains("{{") {
            return sequence.to_owned();
        }
        sequence.replace("{{name}}", name).replace("{{user}}", self.user).replace("{{char}}", self.model)
    }

    /// What the model says when it is done, and what would begin somebody else's turn.
    fn stop(&self) -> Vec<String> {
        let template = self.template;
        let mut stop: Vec<String> = Vec::new();
        let mut add = |word: String| {
            if !word.trim().is_empty() && !stop.contains(&word) {
                stop.push(word);
            }
        };
        for line in template.stop_sequence.lines() {
            add(self.filled(line, self.model));
        }
        if template.sequences_as_stop_strings {
            let system = if template.system_same_as_user { "" } else { &template.system_sequence };
            let sequences = [
                &template.input_sequence,
                &template.output_sequence,
                &template.first_input_sequence,
                &template.last_input_sequence,
                &template.first_output_sequence,
                &template.last_output_sequence,
                system,
            ];
            for sequence in sequences {
                for name in [self.user, self.model] {
                    let filled = self.filled(sequence, name);
                    let word = filled.trim();
                    // On a line of its own it begins with the line's end.
                    add(if template.wrap && !word.is_empty() { format!("\n{word}") } else { word.to_owned() });
                }
            }
        }
        stop
    }
}

fn either<'a>(special: &'a str, usual: &'a str) -> &'a str {
    if special.is_empty() { usual } else { special }
}

#[cfg(test)]
mod tests;
