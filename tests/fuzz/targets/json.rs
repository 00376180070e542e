//! Settings and lorebooks: what is taken, and that indenting it says the same, once and again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tavernkeep::library::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(indented) = json::check_and_indent(bytes, u64::MAX) else { return };
    json::check_object(bytes).expect("what is indented is an object");
    let value = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    assert_eq!(value(&indented.text), value(bytes));
    if let Ok(again) = json::check_and_indent(&indented.text, u64::MAX) {
        assert_eq!(again.text, indented.text);
    }
});
