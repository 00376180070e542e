//! Times in the forms that macros ask for.

use time::{Duration, OffsetDateTime, UtcOffset};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What a format may be made of, in the order in which it is tried.
const TOKENS: &[&str] = &[
    "YYYY", "MMMM", "dddd", "LLLL", "SSS", "MMM", "ddd", "LLL", "LTS", "DDDD", "YY", "MM", "DD", "Do", "dd", "HH",
    "hh", "mm", "ss", "ZZ", "LT", "LL", "M", "D", "d", "H", "h", "m", "s", "A", "a", "Z", "X", "x", "L",
];

/// `at` as `format` has it: `DD.MM.YYYY HH:mm`, `[at] h A` and their like. What is no token stays.
pub fn format(at: OffsetDateTime, format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if let Some((literal, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            out.push_str(literal);
            rest = after;
        } else if let Some(token) = TOKENS.iter().find(|token| rest.starts_with(**token)) {
            out.push_str(&token_of(at, token));
            rest = &rest[token.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn token_of(at: OffsetDateTime, token: &str) -> String {
    let month = u8::from(at.month());
    let month_name = MONTHS[usize::from(month - 1) % 12];
    let weekday = at.weekday().number_days_from_sunday();
    let day_name = DAYS[usize::from(weekday) % 7];
    let twelve = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let half = if at.hour() < 12 { "AM" } else { "PM" };
    match token {
        "YYYY" => format!("{:04}", at.year()),
        "YY" => format!("{:02}", at.year().rem_euclid(100)),
        "MMMM" => month_name.to_owned(),
        "MMM" => month_name[..3].to_owned(),
        "MM" => format!("{month:02}"),
        "M" => month.to_string(),
        "DDDD" => format!("{:03}", at.ordinal()),
        "DD" => format!("{:02}", at.day()),
        "Do" => ordinal(at.day()),
        "D" => at.day().to_string(),
        "dddd" => day_name.to_owned(),
        "ddd" => day_name[..3].to_owned(),
        "dd" => day_name[..2].to_owned(),
        "d" => weekday.to_string(),
        "HH" => format!("{:02}", at.hour()),
        "H" => at.hour().to_string(),
        "hh" => format!("{twelve:02}"),
        "h" => twelve.to_string(),
        "mm" => format!("{:02}", at.minute()),
        "m" => at.minute().to_string(),
        "ss" => format!("{:02}", at.second()),
        "s" => at.second().to_string(),
        "SSS" => format!("{:03}", at.millisecond()),
        "A" => half.to_owned(),
        "a" => half.to_lowercase(),
        "Z" => zone(at.offset(), ":"),
        "ZZ" => zone(at.offset(), ""),
        "X" => at.unix_timestamp().to_string(),
        "x" => (at.unix_timestamp_nanos() / 1_000_000).to_string(),
        "LT" => format!("{twelve}:{:02} {half}", at.minute()),
        "LTS" => format!("{twelve}:{:02}:{:02} {half}", at.minute(), at.second()),
        "L" => format!("{month:02}/{:02}/{:04}", at.day(), at.year()),
        "LL" => format!("{month_name} {}, {}", at.day(), at.year()),
        "LLL" => format!("{} {}", token_of(at, "LL"), token_of(at, "LT")),
        "LLLL" => format!("{day_name}, {}", token_of(at, "LLL")),
        _ => token.to_owned(),
    }
}

fn ordinal(day: u8) -> String {
    let ending = match (day % 10, day / 10) {
        (_, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}

fn zone(offset: UtcOffset, between: &str) -> String {
    let sign = if offset.is_negative() { '-' } else { '+' };
    format!("{sign}{:02}{between}{:02}", offset.whole_hours().abs(), offset.minutes_past_hour().abs())
}

/// The offset in seconds of `+2`, `-3`, `+5:30`.
pub fn offset(text: &str) -> Option<UtcOffset> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = text.split_once(':').unwrap_or((text, "0"));
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

/// The time of day at `offset`.
pub fn time_at(now: OffsetDateTime, offset: UtcOffset) -> String {
    now.checked_to_offset(offset).map(|at| format(at, "LT")).unwrap_or_default()
}

/// How long that is, roughly, in words.
pub fn span(length: Duration) -> String {
    let seconds = length.whole_seconds().max(0);
    let some = |count: i64, unit: &str| match count {
        ..=1 => format!("{} {unit}", if unit == "hour" { "an" } else { "a" }),
        _ => format!("{count} {unit}s"),
    };
    let rounded = |unit: i64| (seconds + unit / 2) / unit;
    match seconds {
        ..45 => "a few seconds".to_owned(),
        45..2700 => some(rounded(60), "minute"),
        2700..79_200 => some(rounded(3600), "hour"),
        79_200..2_246_400 => some(rounded(86_400), "day"),
        2_246_400..27_648_000 => some(rounded(2_629_800), "month"),
        _ => some(rounded(31_557_600), "year"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use time::macros::datetime;

    #[rstest]
    #[case("LT", "7:05 PM")]
    #[case("LL", "November 22, 2026")]
    #[case("dddd", "Sunday")]
    #[case("HH:mm", "19:05")]
    #[case("YYYY-MM-DD", "2026-11-22")]
    #[case("DD.MM.YYYY HH:mm:ss", "22.11.2026 19:05:09")]
    #[case("ddd, MMM Do YY [at] h a", "Sun, Nov 22nd 26 at 7 pm")]
    #[case("[open", "[open")]
    #[case("Z ZZ", "+02:00 +0200")]
    #[case("", "")]
    #[case("ü–é", "ü–é")]
    fn formats(#[case] pattern: &str, #[case] expected: &str) {
        assert_eq!(format(datetime!(2026-11-22 19:05:09 +2), pattern), expected);
    }

    #[rstest]
    #[case("+2", Some(7200))]
    #[case("-3", Some(-10800))]
    #[case("5:30", Some(19800))]
    #[case("+99", None)]
    #[case("--1", None)]
    #[case("", None)]
    fn offsets(#[case] text: &str, #[case] seconds: Option<i32>) {
        assert_eq!(offset(text).map(UtcOffset::whole_seconds), seconds);
    }

    #[rstest]
    #[case(0, "a few seconds")]
    #[case(-5, "a few seconds")]
    #[case(60, "a minute")]
    #[case(600, "10 minutes")]
    #[case(3600, "an hour")]
    #[case(7200, "2 hours")]
    #[case(86_400, "a day")]
    #[case(5 * 86_400, "5 days")]
    #[case(40_000_000, "a year")]
    fn spans(#[case] seconds: i64, #[case] expected: &str) {
        assert_eq!(span(Duration::seconds(seconds)), expected);
    }
}
