//! Cards as PNG, CHARX and JSON: nothing panics, and what was read is read again as the same after it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tavernkeep::library::cards::{Card, charx, png};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(card) = Card::parse(bytes) {
        again(&card);
    }
    if let Ok(card) = png::read(bytes) {
        again(&card);
        if let Ok(written) = png::write(bytes, &card) {
            assert_eq!(png::read(&written).expect("what was written is read").name(), card.name());
        }
    }
    if let Ok(found) = charx::read(bytes) {
        again(&found.card);
    }
});

fn again(card: &Card) {
    if let Ok(text) = card.to_json() {
        assert_eq!(Card::parse(&text).expect("what was written is read").fields(), card.fields());
    }
}
