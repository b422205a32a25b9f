//! Conditional requests: `If-Match` and its like, for reading and for writing.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::store::{Condition, Match, Object};
use crate::time::{stamp, system, whole_second};

/// The conditions a read came with.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// What the conditions come to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Go,
    Failed,
    NotModified,
}

impl Reading {
    /// For `GET` and `HEAD`.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        match self.outcome(&object.etag, object.modified) {
            Outcome::Go => Ok(()),
            Outcome::Failed => Err(failed()),
            Outcome::NotModified => Err(not_modified(object)),
        }
    }

    /// For the source of a copy, where "not modified" is a failure too.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        match self.outcome(&object.etag, object.modified) {
            Outcome::Go => Ok(()),
            Outcome::Failed | Outcome::NotModified => Err(failed()),
        }
    }

    /// RFC 9110, section 13.2.2: a matching ETag makes the date beside it irrelevant.
    fn outcome(&self, etag: &str, modified: SystemTime) -> Outcome {
        let modified = whole_second(modified);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !holds(condition, etag) => return Outcome::Failed,
            (None, Some(since)) if modified > system(since) => return Outcome::Failed,
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if holds(condition, etag) => Outcome::NotModified,
            (None, Some(since)) if modified <= system(since) => Outcome::NotModified,
            _ => Outcome::Go,
        }
    }
}

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", object.etag)) {
        headers.insert(header::ETAG, etag);
    }
    let mut date = Vec::new();
    if stamp(object.modified).format(TimestampFormat::HttpDate, &mut date).is_ok()
        && let Ok(date) = HeaderValue::from_bytes(&date)
    {
        headers.insert(header::LAST_MODIFIED, date);
    }
    error.set_status_code(StatusCode::NOT_MODIFIED);
    error.set_headers(headers);
    error
}

/// The conditions of a write, for the store to check at the moment of the change.
pub(super) fn writing(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> Condition {
    let read = |condition: ETagCondition| match condition {
        ETagCondition::Any => Match::Any,
        ETagCondition::ETag(etag) => Match::Etags(vec![etag.into_value()]),
    };
    Condition { if_match: if_match.map(read), if_none_match: if_none_match.map(read) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use s3s::dto::ETag;

    use super::*;

    fn at(second: u64) -> Option<Timestamp> {
        Some(stamp(UNIX_EPOCH + Duration::from_secs(second)))
    }

    fn etag(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(ETag::Strong(value.to_owned())))
    }

    fn check(reading: Reading, expected: Outcome) {
        let modified = UNIX_EPOCH + Duration::from_millis(1_000_500);
        assert_eq!(reading.outcome("e", modified), expected);
    }

    #[test]
    fn etags_beat_dates() {
        check(Reading { if_match: etag("e"), if_unmodified_since: at(1), ..Reading::default() }, Outcome::Go);
        check(
            Reading { if_none_match: etag("x"), if_modified_since: at(2000), ..Reading::default() },
            Outcome::Go,
        );
        check(Reading { if_match: etag("x"), ..Reading::default() }, Outcome::Failed);
        check(Reading { if_none_match: etag("e"), ..Reading::default() }, Outcome::NotModified);
    }

    #[test]
    fn dates_count_whole_seconds() {
        check(Reading { if_modified_since: at(1000), ..Reading::default() }, Outcome::NotModified);
        check(Reading { if_modified_since: at(999), ..Reading::default() }, Outcome::Go);
        check(Reading { if_unmodified_since: at(1000), ..Reading::default() }, Outcome::Go);
        check(Reading { if_unmodified_since: at(999), ..Reading::default() }, Outcome::Failed);
    }
}
