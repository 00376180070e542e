//! The time, in the forms that files and answers need.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

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
