//! What somebody chose in SillyTavern for models that complete plain text: the instruct template, the context template and
//! the system prompt. Each is in `settings.json` as it was last edited (`power_user.instruct`, `.context`, `.sysprompt`) and,
//! under the name that it bears there, in a folder of presets; what the settings leave out is taken from the preset.

use serde_json::{Map, Value};

use super::choices::Choices;
use super::gather::Sources;
use super::prompt::{ContinueBy, PromptSettings};
use super::story::Story;
use crate::models::connection::Kind as Dialect;
use crate::models::instruct::Template;
use crate::models::{Connection, Parameters};
use crate::store::{FileName, Folder, Handle, Place};

/// The largest preset, in bytes.
const PRESET: u64 = 1024 * 1024;

impl Sources {
    /// The texts around a chat over this connection, which gets the instruct template that is to be used with it: its own,
    /// else the one chosen in SillyTavern where instruct mode is on, else the built-in one.
    pub(super) fn texts(&self, handle: &Handle, choices: &Choices, connection: &mut Connection) -> PromptSettings {
        let as_text = matches!(connection.kind, Dialect::LlamaCpp | Dialect::KoboldCpp | Dialect::Text);
        if !as_text {
            return PromptSettings { images: true, continue_by: ContinueBy::Asking, ..choices.chat_settings() };
        }
        let system = self.with_preset(handle, choices.system_prompt(), "name", Folder::SYSTEM_PROMPTS);
        let mut settings = choices.text_settings(&system);
        settings.images = false;
        settings.continue_by = ContinueBy::Prefill;
        let instruct = self.with_preset(handle, choices.instruct(), "preset", Folder::INSTRUCT);
        if connection.template.is_none() && is_on(&instruct) {
            let json = Value::Object(instruct).to_string();
            if Template::parse(&json).is_ok() {
                connection.template = Some(json);
                lay_out(&mut settings, &self.with_preset(handle, choices.context(), "preset", Folder::CONTEXT));
            }
        }
        settings
    }

    /// What is chosen, over the preset that it names.
    fn with_preset(&self, handle: &Handle, chosen: &Value, named: &str, folder: Folder) -> Map<String, Value> {
        let chosen = chosen.as_object().cloned().unwrap_or_default();
        let name = chosen.get(named).and_then(Value::as_str).unwrap_or_default();
        let mut all = self.preset(handle, name, folder).unwrap_or_default();
        // A field under its former name counts as the same one.
        for (former, today) in Template::FORMER_NAMES {
            if chosen.contains_key(former) {
                all.shift_remove(today);
            } else if chosen.contains_key(today) || all.contains_key(today) {
                all.shift_remove(former);
            }
        }
        all.extend(chosen);
        all
    }

    fn preset(&self, handle: &Handle, name: &str, folder: Folder) -> Option<Map<String, Value>> {
        let file = FileName::parse(&format!("{name}.json")).ok()?;
        let text = self.store.read_at_most(&Place::of(handle).folder(folder).file(&file), PRESET).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn is_on(chosen: &Map<String, Value>) -> bool {
    chosen.get("enabled").and_then(Value::as_bool).unwrap_or(false)
}

/// Orders the texts as a context template says.
fn lay_out(settings: &mut PromptSettings, context: &Map<String, Value>) {
    let text = |field: &str| context.get(field).and_then(Value::as_str).unwrap_or_default();
    let is = |field: &str| context.get(field).and_then(Value::as_bool).unwrap_or(false);
    let Some(story) = Story::parse(text("story_string")) else { return };
    settings.story = Some(story);
    text("example_separator").clone_into(&mut settings.example_header);
    text("chat_start").clone_into(&mut settings.chat_start);
    settings.stop_at_names = is("names_as_stop_strings");
    if is("use_stop_strings") {
        let marks = ["chat_start", "example_separator"].map(text).into_iter().filter(|mark| !mark.is_empty());
        settings.stop.extend(marks.map(|mark| format!("\n{mark}")));
    }
}

/// Adds the words at which the texts say that an answer stops: among them the name of whoever speaks next, after `writer`.
pub(super) fn add_stops(parameters: &mut Parameters, settings: &PromptSettings, writer: &str, next: &str) {
    let name = settings.stop_at_names.then(|| format!("\n{next}:"));
    let marks = settings.stop.iter().map(|stop| stop.replace("{{char}}", writer).replace("{{user}}", next));
    for stop in name.into_iter().chain(marks) {
        if !parameters.stop.contains(&stop) {
            parameters.stop.push(stop);
        }
    }
}
