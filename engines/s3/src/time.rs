//! Between the times of the store, of S3's XML and of signatures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::Timestamp;

/// For XML and headers.
pub(crate) fn stamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}

/// From XML and headers.
pub(crate) fn system(stamp: &Timestamp) -> SystemTime {
    let time: ::time::OffsetDateTime = stamp.clone().into();
    time.into()
}

/// Seconds since 1970; what HTTP dates can tell apart.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time cut to the second.
pub(crate) fn whole_second(time: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds(time))
}

/// `20261124T160000Z`, as signatures write it.
pub(crate) fn amz_date(time: SystemTime) -> String {
    let t = ::time::OffsetDateTime::from(time);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// `2026-11-24T16:00:00.000Z`, as XML and JSON write it.
pub(crate) fn iso(time: SystemTime) -> String {
    let t = ::time::OffsetDateTime::from(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}
