//! Chats: lines of SillyTavern's files, and everything that comes in from other programs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tavernkeep::library::chats::import::{self, Speakers};
use tavernkeep::library::chats::{Header, Message};

fuzz_target!(|bytes: &[u8]| {
    let _ = Header::parse(bytes);
    if let Some(message) = Message::parse(bytes) {
        let line = message.to_line().expect("a message has a line");
        assert_eq!(Message::parse(&line).expect("what was written is read").fields(), message.fields());
        let _ = (message.text(), message.sent_at(), message.reasoning(), message.is_unfinished());
    }
    if let Ok(chats) = import::read(bytes, Speakers { user: "Ada", character: "Bob" }) {
        for chat in chats {
            assert!(chat.text.split(|byte| *byte == b'\n').next().is_some_and(|head| Header::parse(head).is_some()));
        }
    }
});
