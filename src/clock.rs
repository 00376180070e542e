//! The time, in the forms that files and answers need.

use std::time::{Duration, SystemTime};

use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// Milliseconds since 1970, UTC: the time in records and answers.
pub fn now_ms() -> i64 {
    to_ms(SystemTime::now())
}

/// Milliseconds since 1970, UTC.
pub fn to_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `YYYYMMDD-HHMMSS` in the server's local time, as SillyTavern stamps snapshots and zips.
pub fn file_stamp() -> String {
    OffsetDateTime::now_local()
        .unwrap_or_else(|_| OffsetDateTime::now_utc())
        .format(format_description!("[year][month][day]-[hour][minute][second]"))
        .unwrap_or_default()
}

/// `YYYY-MM-DD@HHhMMmSSsNNNms` in the server's local time, as SillyTavern names chats.
pub fn chat_stamp() -> String {
    OffsetDateTime::now_local()
        .unwrap_or_else(|_| OffsetDateTime::now_utc())
        .format(format_description!("[year]-[month]-[day]@[hour]h[minute]m[second]s[subsecond digits:3]ms"))
        .unwrap_or_default()
}

/// `time` as a clock on the server's wall shows it; 1970 where the calendar ends before it.
pub fn local(time: SystemTime) -> OffsetDateTime {
    let utc = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => {
            time::Duration::try_from(since).ok().and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since))
        }
        Err(_) => None,
    }
    .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    utc.checked_to_offset(local_offset(utc)).unwrap_or(utc)
}

/// The moment at which a clock on the server's wall showed `wall`.
pub fn from_local(wall: PrimitiveDateTime) -> SystemTime {
    wall.assume_offset(local_offset(wall.assume_utc())).into()
}

fn local_offset(at: OffsetDateTime) -> UtcOffset {
    UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC)
}

/// `YYYY-MM` in UTC: the audit log has one file a month.
pub fn month(ms: i64) -> String {
    at(ms).format(format_description!("[year]-[month]")).unwrap_or_default()
}

/// RFC 3339 in UTC, for people who read the audit log.
pub fn rfc3339(ms: i64) -> String {
    at(ms)
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
        .unwrap_or_default()
}

fn at(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
