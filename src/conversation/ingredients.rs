//! What a prompt is made of: plain values, so that building one needs neither disk nor clock.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::lore::{Book, LoreSettings};
use super::story::Story;
use crate::models::{Image, Role};

/// What a prompt is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// The character's next message; also another version of the last one, whose message is then left out of the history.
    #[default]
    Reply,
    /// More of the character's last message, which ends the history.
    Continue,
    /// The person's next message, written by the model.
    Impersonate,
}

impl Purpose {
    /// What SillyTavern's lorebooks call it in an entry's `triggers`.
    pub fn trigger(self) -> &'static str {
        match self {
            Self::Reply => "normal",
            Self::Continue => "continue",
            Self::Impersonate => "impersonate",
        }
    }
}

/// What a card says. Texts may have macros in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Character {
    /// What `{{char}}` stands for.
    pub name: String,
    /// The card's file name without its ending, by which lorebooks may choose characters.
    pub id: String,
    /// The card's tags, by which lorebooks may choose characters.
    pub tags: Vec<String>,
    /// Who it is.
    pub description: String,
    /// How it is.
    pub personality: String,
    /// Where the conversation takes place.
    pub scenario: String,
    /// Conversations to learn from, each beginning with `<START>`.
    pub example_messages: String,
    /// The card's own main prompt; takes the place of the usual one, which `{{original}}` brings back.
    pub system_prompt: String,
    /// The card's own words after the history.
    pub post_history_instructions: String,
    /// For `{{creatorNotes}}` and lorebooks that look there.
    pub creator_notes: String,
    /// For `{{charVersion}}`.
    pub version: String,
    /// The card's words between the messages.
    pub depth_prompt: Option<Note>,
}

/// Where a persona's description goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PersonaPosition {
    /// Before the character's description.
    #[default]
    InPrompt,
    /// Above the author's note.
    TopOfNote,
    /// Below the author's note.
    BottomOfNote,
    /// Between the messages.
    AtDepth,
    /// Nowhere; `{{persona}}` still has it.
    Nowhere,
}

impl PersonaPosition {
    /// By SillyTavern's number.
    pub fn from_number(number: i64) -> Self {
        match number {
            2 => Self::TopOfNote,
            3 => Self::BottomOfNote,
            4 => Self::AtDepth,
            9 => Self::Nowhere,
            _ => Self::InPrompt,
        }
    }
}

/// Who the person is in this conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persona {
    /// What `{{user}}` stands for.
    pub name: String,
    /// Who they are.
    pub description: String,
    /// Where that goes.
    pub position: PersonaPosition,
    /// How many messages stand below it, at [`PersonaPosition::AtDepth`].
    pub depth: u32,
    /// Who says it, at [`PersonaPosition::AtDepth`].
    pub role: RoleOf,
}

/// [`Role`] with SillyTavern's numbers; the system's unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleOf(pub Role);

impl Default for RoleOf {
    fn default() -> Self {
        Self(Role::System)
    }
}

impl RoleOf {
    /// From `0`, `1`, `2` or `"system"`, `"user"`, `"assistant"`, as cards, notes and lorebooks have it.
    pub fn from_json(value: Option<&Value>) -> Self {
        let role = match value {
            Some(Value::Number(number)) => match number.as_i64() {
                Some(1) => Role::User,
                Some(2) => Role::Assistant,
                _ => Role::System,
            },
            Some(Value::String(name)) if name.eq_ignore_ascii_case("user") || name == "1" => Role::User,
            Some(Value::String(name)) if name.eq_ignore_ascii_case("assistant") || name == "2" => Role::Assistant,
            _ => Role::System,
        };
        Self(role)
    }
}

/// Where a note goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NotePosition {
    /// Below the scenario.
    AfterScenario,
    /// Between the messages.
    #[default]
    InChat,
    /// Above everything.
    BeforePrompt,
}

impl NotePosition {
    /// By SillyTavern's number.
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::AfterScenario,
            2 => Self::BeforePrompt,
            _ => Self::InChat,
        }
    }
}

/// Words that go between the messages: an author's note, a character's depth prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The words.
    pub text: String,
    /// Where; only an author's note can be elsewhere than in the chat.
    pub position: NotePosition,
    /// How many messages stand below it.
    pub depth: u32,
    /// Who says it.
    pub role: RoleOf,
    /// At every how manieth message of the person it is there: 1 always, 0 never.
    pub interval: u32,
}

impl Default for Note {
    fn default() -> Self {
        Self { text: String::new(), position: NotePosition::default(), depth: 4, role: RoleOf::default(), interval: 1 }
    }
}

/// A message of the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Its place in the chat, counted as the chat counts.
    pub index: usize,
    /// Who speaks.
    pub role: Role,
    /// Under which name.
    pub name: String,
    /// What.
    pub text: String,
    /// Pictures, for models that take some.
    pub images: Vec<Image>,
    /// Whether the person hid it from the model.
    pub hidden: bool,
    /// When, for `{{idle_duration}}`.
    pub at: Option<OffsetDateTime>,
}

impl HistoryMessage {
    /// A message of words.
    pub fn new(index: usize, role: Role, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { index, role, name: name.into(), text: text.into(), images: Vec::new(), hidden: false, at: None }
    }
}

/// What follows each other under one role is put together in one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Squash {
    /// Never.
    Nothing,
    /// What the system says; some models take no more than one such message in a row.
    #[default]
    System,
    /// Everything, for models that insist on turns.
    All,
}

/// When a message says its speaker's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Never.
    Never,
    /// Where it is neither the character's nor the person's: other characters, an earlier persona.
    #[default]
    Others,
    /// Always.
    Always,
}

/// How a message is to be continued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContinueBy {
    /// By asking for it after the message; every model understands that.
    #[default]
    Asking,
    /// By ending the prompt with the message: for models that then write on.
    Prefill,
}

/// The texts and choices around a chat. The texts may have macros in them; an empty one is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSettings {
    /// The main prompt.
    pub main: String,
    /// The words after the history.
    pub post_history: String,
    /// Whether a card's own main prompt takes the usual one's place.
    pub prefer_card_main: bool,
    /// Whether a card's own words after the history take the usual ones' place.
    pub prefer_card_post_history: bool,
    /// Around the personality.
    pub personality_format: String,
    /// Around the scenario.
    pub scenario_format: String,
    /// How the texts before the chat are put together, where somebody chose so: as one text, with nothing around personality
    /// and scenario but what it says itself.
    pub story: Option<Story>,
    /// Before each example.
    pub example_header: String,
    /// Between examples and chat.
    pub chat_start: String,
    /// Where an answer stops; `{{char}}` and `{{user}}` stand for whoever writes it and whoever speaks next.
    pub stop: Vec<String>,
    /// Whether an answer stops where the next speaker's name begins a line.
    pub stop_at_names: bool,
    /// What asks for more of the last message.
    pub continue_nudge: String,
    /// What asks for the person's message.
    pub impersonate_nudge: String,
    /// What asks for a first message where the chat is empty.
    pub opening: String,
    /// How to continue.
    pub continue_by: ContinueBy,
    /// Whether examples stay when the history needs their room.
    pub pin_examples: bool,
    /// Whether messages of one role are put together.
    pub squash: Squash,
    /// When names are said.
    pub names: Names,
    /// Whether pictures are sent.
    pub images: bool,
    /// How lorebooks are searched.
    pub lore: LoreSettings,
}

impl Default for PromptSettings {
    fn default() -> Self {
        Self {
            main:
                "You are {{char}}, in conversation with {{user}}. Answer as {{char}} would, in {{char}}'s own voice, \
                   and leave what {{user}} says and does to {{user}}."
                    .to_owned(),
            post_history: String::new(),
            prefer_card_main: true,
            prefer_card_post_history: true,
            personality_format: "{{char}}'s personality: {{personality}}".to_owned(),
            scenario_format: "The scene: {{scenario}}".to_owned(),
            story: None,
            chat_start: String::new(),
            stop: Vec::new(),
            stop_at_names: false,
            example_header: "An example of how {{char}} talks:".to_owned(),
            continue_nudge:
                "Your last message was cut short. Write what comes next, starting at the very word where it \
                             stops, and repeat nothing of it."
                    .to_owned(),
            impersonate_nudge:
                "Now write the next message for {{user}} instead: in {{user}}'s voice and style as seen \
                                above, and without words or deeds of {{char}}."
                    .to_owned(),
            opening: "The conversation begins here. Write {{char}}'s first message.".to_owned(),
            continue_by: ContinueBy::default(),
            pin_examples: false,
            squash: Squash::default(),
            names: Names::default(),
            images: true,
            lore: LoreSettings::default(),
        }
    }
}

/// How much room there is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Prompt and answer together.
    pub context: usize,
    /// Kept free for the answer.
    pub reserve: usize,
    /// What each message costs beside its words.
    pub per_message: usize,
    /// What a picture is taken to cost.
    pub per_image: usize,
}

impl Budget {
    /// Room for prompt and answer, and the answer's share; the rest as providers usually count.
    pub fn new(context: usize, reserve: usize) -> Self {
        Self { context, reserve, per_message: 4, per_image: 800 }
    }

    /// What is left for the prompt.
    pub fn for_prompt(&self) -> usize {
        self.context.saturating_sub(self.reserve)
    }
}

/// Everything that goes into a prompt.
pub struct Ingredients<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// Who answers.
    pub character: &'a Character,
    /// Who asks.
    pub persona: &'a Persona,
    /// The chat, oldest first. For another version of a message, up to the one before it. Not all of a long chat is
    /// needed: more than fits into the context is enough.
    pub history: &'a [HistoryMessage],
    /// How many messages the chat has, where `history` is only its end.
    pub chat_length: usize,
    /// Lorebooks: the card's own, the chat's, the persona's, those for all chats.
    pub books: &'a [Book],
    /// The chat's note.
    pub note: Option<&'a Note>,
    /// Texts and choices.
    pub settings: &'a PromptSettings,
    /// The chat's `chat_metadata`: variables, and what lorebook entries remember.
    pub metadata: &'a Map<String, Value>,
    /// Global variables, to be read.
    pub globals: &'a Map<String, Value>,
    /// The room there is.
    pub budget: Budget,
    /// Counts tokens as the model does.
    pub count: &'a dyn Fn(&str) -> usize,
    /// For `{{model}}`.
    pub model: &'a str,
    /// What the person is about to say, for `{{input}}`.
    pub input: &'a str,
    /// The time on the server's wall.
    pub now: OffsetDateTime,
    /// What chance depends on; the same one gives the same prompt.
    pub seed: u64,
    /// What `{{pick}}` depends on: the same for all prompts of a chat.
    pub chat_seed: u64,
}
