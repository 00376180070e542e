//! How a chat begins: the character's first message, with its other greetings as swipes.

use serde_json::Map;
use time::OffsetDateTime;

use super::macros::Macros;
use super::prompt::{Character, Persona};
use crate::error::{Error, Result};
use crate::library::cards::Card;
use crate::library::chats::{Message, Swipe};

/// The greeting of a card, macros replaced; the one at `which` is shown. None if the card says nothing.
pub fn greeting(
    card: &Card,
    persona: &Persona,
    which: usize,
    now: OffsetDateTime,
    seed: u64,
) -> Result<Option<Message>> {
    let all: Vec<&str> = std::iter::once(card.first_message()).chain(card.alternate_greetings()).collect();
    let said: Vec<&str> = all.iter().copied().filter(|text| !text.trim().is_empty()).collect();
    // Somebody who chooses one counts all of them.
    let Some(shown) = all.get(which).and_then(|chosen| said.iter().position(|text| std::ptr::eq(*text, *chosen)))
    else {
        return match which {
            0 => Ok(said.first().map(|_| begin(card, persona, &said, 0, now, seed)).transpose()?),
            _ => Err(Error::invalid("no_greeting", "This character has no greeting of that number.")),
        };
    };
    begin(card, persona, &said, shown, now, seed).map(Some)
}

fn begin(
    card: &Card,
    persona: &Persona,
    said: &[&str],
    shown: usize,
    now: OffsetDateTime,
    seed: u64,
) -> Result<Message> {
    let character = Character {
        name: card.name().to_owned(),
        description: card.description().to_owned(),
        personality: card.personality().to_owned(),
        scenario: card.scenario().to_owned(),
        creator_notes: card.creator_notes().to_owned(),
        version: card.character_version().to_owned(),
        ..Character::default()
    };
    let macros = Macros::new(&character, persona, now, seed);
    let mut texts = said.iter().map(|text| macros.expand(text));
    let mut message = Message::new(card.name(), false, &texts.next().unwrap_or_default());
    let date = message.send_date().map(str::to_owned);
    for text in texts {
        message.add_swipe(Swipe { text, send_date: date.clone(), extra: Map::new(), ..Swipe::default() });
    }
    message.select_swipe(shown)?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn card(first: &str, others: &[&str]) -> Card {
        let text = json!({
            "spec": "chara_card_v2",
            "spec_version": "2.0",
            "data": { "name": "Ada", "first_mes": first, "alternate_greetings": others },
        });
        Card::parse(text.to_string().as_bytes()).unwrap()
    }

    fn greet(first: &str, others: &[&str], which: usize) -> Result<Option<Message>> {
        let persona = Persona { name: "Bob".into(), ..Persona::default() };
        greeting(&card(first, others), &persona, which, OffsetDateTime::UNIX_EPOCH, 1)
    }

    #[test]
    fn other_greetings_are_swipes() {
        let message = greet("Hi {{user}}", &["Ho, I am {{char}}", " "], 1).unwrap().unwrap();
        assert_eq!((message.text(), message.swipes()), ("Ho, I am Ada", Some((1, 2))));
        assert_eq!(message.swipe_text(0), Some("Hi Bob"));
        assert_eq!((message.name(), message.is_user()), ("Ada", false));
        let infos = message.fields()["swipe_info"].as_array().unwrap();
        assert!(infos.iter().all(|info| info["send_date"].is_string() && info["extra"].is_object()), "{infos:?}");
    }

    #[test]
    fn who_has_little_to_say() {
        assert!(greet("", &[], 0).unwrap().is_none());
        let only = greet("Hi", &[], 0).unwrap().unwrap();
        assert!(only.swipes().is_none());
        assert_eq!(greet("", &["Ho"], 0).unwrap().unwrap().text(), "Ho");
        assert_eq!(greet("Hi", &[], 1).unwrap_err().code(), "no_greeting");
    }
}
