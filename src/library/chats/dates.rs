//! Dates in chats. SillyTavern has written them in several ways over the years.

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::clock;

/// Milliseconds since 1970, of whatever a message says about when it was sent.
pub fn parse(value: &serde_json::Value) -> Option<i64> {
    match value {
        serde_json::Value::Number(number) => from_number(number.as_f64()?),
        serde_json::Value::String(text) => from_text(text.trim()),
        _ => None,
    }
}

/// The moment that a chat is named after, in milliseconds since 1970: `<character> - <moment>`, as new ones are called, or
/// a moment alone, as those of groups are. What stands behind it tells a branch or an import from the rest.
pub fn in_name(name: &str) -> Option<i64> {
    let at = name.rfind('@')?;
    let begin = name[..at].rfind(" - ").map_or(0, |gap| gap + 3);
    let time = name[at + 1..].find(|c: char| !(c.is_ascii_digit() || " hms".contains(c)));
    let end = time.map_or(name.len(), |length| at + 1 + length);
    let is_time = name[at..end].contains(|c: char| c.is_ascii_digit());
    is_time.then(|| humanised(&name[begin..end])).flatten()
}

/// Seconds or milliseconds: nobody chatted before 1973, or will after 5138.
#[expect(clippy::cast_possible_truncation, reason = "checked to be within bounds")]
fn from_number(number: f64) -> Option<i64> {
    const LEAST_MS: f64 = 1e11;
    let ms = if number.abs() < LEAST_MS { number * 1000.0 } else { number };
    (ms.is_finite() && (0.0..1e14).contains(&ms)).then_some(ms as i64)
}

fn from_text(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return from_number(text.parse().ok()?);
    }
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok();
    }
    humanised(text).or_else(|| spelled(text))
}

/// `2023-6-19 @16h 13m 30s 123ms`, `2023-06-19@16h13m30s123ms`, `2024-06-19 @16h13m30s`: the server's local time.
fn humanised(text: &str) -> Option<i64> {
    let (day, time) = text.split_once('@')?;
    let mut day = day.trim().splitn(3, '-').map(|part| part.trim().parse::<u32>().ok());
    let (year, month, day) = (day.next()??, day.next()??, day.next()??);
    let mut numbers = time.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut number = || numbers.next().map_or(Some(0), |part| part.parse::<u16>().ok());
    local(i32::try_from(year).ok()?, month, day, [number()?, number()?, number()?, number()?])
}

/// `June 19, 2023 4:13pm`: the server's local time.
fn spelled(text: &str) -> Option<i64> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let name = words.next()?;
    let month = (1..=12u8)
        .find(|month| Month::try_from(*month).is_ok_and(|month| month.to_string().eq_ignore_ascii_case(name)))?;
    let (day, year) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let clock = words.next()?.to_ascii_lowercase();
    let digits = clock.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (hours, minutes) = digits.split_once(':')?;
    let hours: u16 = hours.parse().ok()?;
    let hours = match &clock[digits.len()..] {
        "am" => hours % 12,
        "pm" => hours % 12 + 12,
        _ => hours,
    };
    local(year, u32::from(month), day, [hours, minutes.parse().ok()?, 0, 0])
}

fn local(year: i32, month: u32, day: u32, [hours, minutes, seconds, ms]: [u16; 4]) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let part = |number: u16| u8::try_from(number).ok();
    let time = Time::from_hms_milli(part(hours)?, part(minutes)?, part(seconds)?, ms).ok()?;
    Some(clock::to_ms(clock::from_local(PrimitiveDateTime::new(date, time))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("2026-11-22T03:42:56.980Z"), Some(1_795_318_976_980))]
    #[case(json!("2026-11-22T05:42:56.980+02:00"), Some(1_795_318_976_980))]
    #[case(json!(1_795_318_976_980_i64), Some(1_795_318_976_980))]
    #[case(json!("1795318976980"), Some(1_795_318_976_980))]
    #[case(json!(1_795_318_976.5), Some(1_795_318_976_500))]
    #[case(json!("yesterday"), None)]
    #[case(json!(""), None)]
    #[case(json!(-1e300), None)]
    #[case(json!(null), None)]
    #[case(json!("99999-99-99@99h99m99s"), None)]
    #[case(json!("June 99, 2023 4:13pm"), None)]
    fn known_instants(#[case] value: serde_json::Value, #[case] expected: Option<i64>) {
        assert_eq!(parse(&value), expected);
    }

    #[test]
    fn the_old_ways_are_read_as_local_time() {
        let wall = |text: &str| parse(&json!(text)).unwrap();
        let one = wall("2023-06-19@16h13m00s000ms");
        assert_eq!(wall("2023-6-19 @16h 13m 0s 0ms"), one);
        assert_eq!(wall("2023-6-19 @16h 13m"), one);
        assert_eq!(wall("June 19, 2023 4:13pm"), one);
        assert_eq!(wall("June 19, 2023 12:13am"), wall("2023-06-19@00h13m"));
    }

    #[test]
    fn a_chat_is_named_after_a_moment() {
        let one = Some(parse(&json!("2026-11-22@13h05m22s000ms")).unwrap());
        for name in [
            "2026-11-22@13h05m22s000ms",
            "Ada - 2026-11-22@13h05m22s",
            "Ada - the first - 2026-11-22 @13h 5m 22s",
            "Ada - 2026-11-22@13h05m22s000ms - Branch #7",
            "Ada - 2026-11-22@13h05m22s000ms imported",
        ] {
            assert_eq!(in_name(name), one, "{name}");
        }
        for name in ["", "@", "Ada", "ada@home", "Ada - 2026-13-22@13h05m22s", "Ada - 2026-11-22@tea"] {
            assert_eq!(in_name(name), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = parse(&json!(text));
            let _ = parse(&json!(format!("{text}@{text}")));
            let _ = in_name(&format!("{text} - {text}@{text}"));
        }
    }
}
