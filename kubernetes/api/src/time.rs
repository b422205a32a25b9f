//! The time of day, as Kubernetes writes it.

use jiff::Timestamp;

/// Seconds since 1970.
pub(crate) fn seconds() -> i64 {
    Timestamp::now().as_second()
}

/// `2026-11-24T01:55:00Z`.
pub(crate) fn now() -> String {
    format(seconds())
}

/// `now`, so many seconds later.
pub(crate) fn later(delay: i64) -> String {
    format(seconds().saturating_add(delay))
}

pub(crate) fn format(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
