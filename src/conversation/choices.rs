//! What somebody chose in SillyTavern's settings that matters for a prompt: texts, lorebooks, who they are. The file is read,
//! never written here; what it has beside these is passed over.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::lore::LoreSettings;
use super::prompt::{Note, NotePosition, Persona, PersonaPosition, PromptSettings, RoleOf};

/// The settings, as far as they matter here. What is of another kind than expected counts as not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Choices {
    user_avatar: Value,
    power_user: PowerUser,
    world_info_settings: Value,
    extension_settings: Extensions,
    oai_settings: ChatCompletions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PowerUser {
    personas: Value,
    persona_descriptions: Value,
    default_persona: Value,
    sysprompt: Value,
    instruct: Value,
    context: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extensions {
    note: Value,
    variables: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChatCompletions {
    prompts: Value,
}

/// Who somebody is in a conversation, and which lorebook comes with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chosen {
    /// The picture's name, by which the persona is known; none for the account's own name.
    pub id: Option<String>,
    /// Who.
    pub persona: Persona,
    /// Their lorebook.
    pub book: Option<String>,
}

impl Choices {
    /// Reads them. Settings that cannot be read count as empty: a damaged file must not keep anybody from talking.
    pub fn parse(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// The persona called `id`, or else the usual one, or else nobody but `account`'s name.
    pub fn persona(&self, wanted: Option<&str>, account: &str) -> Chosen {
        let known = |id: &&str| self.power_user.personas.get(id).is_some_and(Value::is_string);
        let usual = [&self.power_user.default_persona, &self.user_avatar].into_iter().filter_map(Value::as_str);
        let Some(id) = wanted.into_iter().chain(usual).find(known) else {
            return Chosen { persona: Persona { name: account.to_owned(), ..Persona::default() }, ..Chosen::default() };
        };
        let name = self.power_user.personas.get(id).and_then(Value::as_str).unwrap_or(account);
        let about = self.power_user.persona_descriptions.get(id);
        let field = |name: &str| about.and_then(|about| about.get(name));
        Chosen {
            id: Some(id.to_owned()),
            persona: Persona {
                name: name.to_owned(),
                description: field("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
                position: PersonaPosition::from_number(field("position").and_then(Value::as_i64).unwrap_or(0)),
                depth: small(field("depth"), 2),
                role: RoleOf::from_json(field("role")),
            },
            book: field("lorebook").and_then(filled).map(str::to_owned),
        }
    }

    /// The texts around a chat, for a model that is sent messages.
    pub fn chat_settings(&self) -> PromptSettings {
        self.settings(self.chat_prompt("main"), self.chat_prompt("jailbreak"))
    }

    /// The texts around a chat, for a model that is sent one plain text; `system` is the system prompt that is chosen.
    pub fn text_settings(&self, system: &Map<String, Value>) -> PromptSettings {
        let is_on = system.get("enabled").and_then(Value::as_bool).unwrap_or(false);
        let text = |field: &str| system.get(field).and_then(filled).filter(|_| is_on);
        self.settings(text("content"), text("post_history"))
    }

    fn settings(&self, main: Option<&str>, last: Option<&str>) -> PromptSettings {
        let mut settings =
            PromptSettings { lore: LoreSettings::parse(&self.world_info_settings), ..Default::default() };
        if let Some(main) = main {
            main.clone_into(&mut settings.main);
        }
        if let Some(last) = last {
            last.clone_into(&mut settings.post_history);
        }
        settings
    }

    /// The system prompt for models that complete plain text, as far as the settings have it.
    pub fn system_prompt(&self) -> &Value {
        &self.power_user.sysprompt
    }

    /// The instruct template, as far as the settings have it.
    pub fn instruct(&self) -> &Value {
        &self.power_user.instruct
    }

    /// The context template, as far as the settings have it.
    pub fn context(&self) -> &Value {
        &self.power_user.context
    }

    fn chat_prompt(&self, identifier: &str) -> Option<&str> {
        let prompts = self.oai_settings.prompts.as_array()?;
        let prompt = prompts.iter().find(|prompt| prompt.get("identifier").and_then(Value::as_str) == Some(identifier));
        prompt?.get("content").and_then(filled)
    }

    /// The lorebooks for all chats.
    pub fn books(&self) -> Vec<&str> {
        let chosen = self.world_info_settings.pointer("/world_info/globalSelect").and_then(Value::as_array);
        chosen.into_iter().flatten().filter_map(filled).collect()
    }

    /// Further lorebooks of a character.
    pub fn books_of(&self, character: &str) -> Vec<&str> {
        let all = self.world_info_settings.pointer("/world_info/charLore").and_then(Value::as_array);
        let theirs =
            all.into_iter().flatten().find(|entry| entry.get("name").and_then(Value::as_str) == Some(character));
        let books = theirs.and_then(|entry| entry.get("extraBooks")).and_then(Value::as_array);
        books.into_iter().flatten().filter_map(filled).collect()
    }

    /// A chat's note; the usual one where it has none.
    pub fn note(&self, metadata: &Map<String, Value>) -> Option<Note> {
        let usual = &self.extension_settings.note;
        let field = |own: &str, other: &str| metadata.get(own).or_else(|| usual.get(other));
        let text = field("note_prompt", "default").and_then(Value::as_str).unwrap_or_default();
        if text.trim().is_empty() {
            return None;
        }
        let position = field("note_position", "defaultPosition").and_then(Value::as_i64).unwrap_or(1);
        Some(Note {
            text: text.to_owned(),
            position: NotePosition::from_number(position),
            depth: small(field("note_depth", "defaultDepth"), 4),
            role: RoleOf::from_json(field("note_role", "defaultRole")),
            interval: small(field("note_interval", "defaultInterval"), 1),
        })
    }

    /// Variables of all chats.
    pub fn variables(&self) -> Map<String, Value> {
        self.extension_settings.variables.get("global").and_then(Value::as_object).cloned().unwrap_or_default()
    }
}

fn filled(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

fn small(value: Option<&Value>, usual: u32) -> u32 {
    value.and_then(Value::as_u64).map_or(usual, |number| u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn choices(settings: &Value) -> Choices {
        Choices::parse(settings.to_string().as_bytes())
    }

    #[test]
    fn who_somebody_is() {
        let settings = json!({ "user_avatar": "b.png", "power_user": {
            "personas": { "a.png": "Captain", "b.png": "Cook" },
            "persona_descriptions": { "a.png": { "description": "brave", "position": 4, "depth": 3, "role": 1, "lorebook": "Sea" } },
        }});
        let choices = choices(&settings);
        let captain = choices.persona(Some("a.png"), "ada");
        assert_eq!((captain.persona.name.as_str(), captain.persona.description.as_str()), ("Captain", "brave"));
        assert_eq!((captain.persona.depth, captain.book.as_deref()), (3, Some("Sea")));
        assert_eq!(choices.persona(None, "ada").persona.name, "Cook");
        assert_eq!(choices.persona(Some("gone.png"), "ada").id.as_deref(), Some("b.png"));
        assert_eq!(Choices::default().persona(None, "Ada").persona.name, "Ada");
        assert_eq!(Choices::parse(b"[1").persona(None, "Ada").persona.name, "Ada");
    }

    #[test]
    fn texts_and_books() {
        let settings = json!({
            "power_user": { "sysprompt": { "enabled": true, "content": "Text main", "post_history": "Text last" } },
            "oai_settings": { "prompts": [{ "identifier": "main", "content": "Chat main" }, { "identifier": "jailbreak", "content": " " }] },
            "world_info_settings": { "world_info_depth": 7, "world_info": {
                "globalSelect": ["World", 3], "charLore": [{ "name": "Eva", "extraBooks": ["More"] }] } },
            "extension_settings": { "note": { "default": "A note", "defaultDepth": 2 }, "variables": { "global": { "x": "1" } } },
        });
        let choices = choices(&settings);
        let system = choices.system_prompt().as_object().unwrap();
        let (text, chat) = (choices.text_settings(system), choices.chat_settings());
        assert_eq!(
            (text.main.as_str(), text.post_history.as_str(), text.lore.scan_depth),
            ("Text main", "Text last", 7)
        );
        assert_eq!((chat.main.as_str(), chat.post_history.as_str()), ("Chat main", ""));
        assert_eq!((choices.books(), choices.books_of("Eva")), (vec!["World"], vec!["More"]));
        assert_eq!(choices.note(&Map::new()).unwrap().depth, 2);
        let own = json!({ "note_prompt": "Mine", "note_depth": 9, "note_interval": 0 });
        let note = choices.note(own.as_object().unwrap()).unwrap();
        assert_eq!((note.text.as_str(), note.depth, note.interval), ("Mine", 9, 0));
        assert_eq!(choices.variables()["x"], "1");
    }

    #[test]
    fn odd_settings_are_no_reason_not_to_talk() {
        for odd in [json!({ "power_user": 3 }), json!([]), json!({ "username": 7, "world_info_settings": "x" })] {
            let choices = choices(&odd);
            assert_eq!(choices.persona(None, "Ada").persona.name, "Ada");
            assert!(choices.books().is_empty() && choices.note(&Map::new()).is_none());
        }
    }
}
