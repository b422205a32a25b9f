//! One lifecycle rule: checked when it is set, and asked whether something's time has come. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::{ExpirationStatus, LifecycleRule, Tag};
use s3s::{S3Result, s3_error};

use crate::store::Candidate;
use crate::time::{seconds, system};

const DAY: u64 = 24 * 3600;

/// A rule that was understood in full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    prefix: String,
    tags: Vec<(String, String)>,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
    expire_after: Option<u64>,
    expire_at: Option<SystemTime>,
    lone_markers: bool,
    noncurrent_after: Option<u64>,
    noncurrent_kept: u64,
    abort_after: Option<u64>,
}

impl Rule {
    /// Reads a rule, or says what is wrong with it or not offered.
    pub(crate) fn check(raw: &LifecycleRule) -> S3Result<Self> {
        if !matches!(raw.status.as_str(), ExpirationStatus::ENABLED | ExpirationStatus::DISABLED) {
            return Err(s3_error!(MalformedXML, "Status is Enabled or Disabled"));
        }
        let transitions = raw.transitions.is_some() || raw.noncurrent_version_transitions.is_some();
        if transitions {
            return Err(s3_error!(NotImplemented, "there is one storage class: no transitions"));
        }
        let mut rule = Self::default();
        rule.filter(raw)?;
        rule.actions(raw)?;
        if rule.abort_after.is_some() && (!rule.tags.is_empty() || rule.has_sizes()) {
            return Err(s3_error!(InvalidRequest, "uploads have neither tags nor sizes to filter by"));
        }
        if rule.lone_markers && !rule.tags.is_empty() {
            return Err(s3_error!(InvalidRequest, "delete markers have no tags to filter by"));
        }
        Ok(rule)
    }

    fn filter(&mut self, raw: &LifecycleRule) -> S3Result<()> {
        self.prefix = raw.prefix.clone().unwrap_or_default();
        let Some(filter) = &raw.filter else { return Ok(()) };
        if raw.prefix.is_some() {
            return Err(s3_error!(MalformedXML, "give Filter or Prefix, not both"));
        }
        let mut given = 0;
        if let Some(and) = &filter.and {
            given += 1;
            self.prefix = and.prefix.clone().unwrap_or_default();
            self.tags = and.tags.iter().flatten().map(pair).collect();
            self.larger_than = and.object_size_greater_than.map(unsigned).transpose()?;
            self.smaller_than = and.object_size_less_than.map(unsigned).transpose()?;
        }
        if let Some(prefix) = &filter.prefix {
            given += 1;
            self.prefix = prefix.clone();
        }
        if let Some(tag) = &filter.tag {
            given += 1;
            self.tags = vec![pair(tag)];
        }
        if let Some(size) = filter.object_size_greater_than {
            given += 1;
            self.larger_than = Some(unsigned(size)?);
        }
        if let Some(size) = filter.object_size_less_than {
            given += 1;
            self.smaller_than = Some(unsigned(size)?);
        }
        if given > 1 {
            return Err(s3_error!(MalformedXML, "put several filters into And"));
        }
        Ok(())
    }

    fn actions(&mut self, raw: &LifecycleRule) -> S3Result<()> {
        if let Some(expiration) = &raw.expiration {
            self.lone_markers = expiration.expired_object_delete_marker.unwrap_or(false);
            self.expire_after = expiration.days.map(days).transpose()?;
            self.expire_at = expiration.date.as_ref().map(midnight_only).transpose()?;
            let ways = usize::from(self.lone_markers)
                + usize::from(self.expire_after.is_some())
                + usize::from(self.expire_at.is_some());
            if ways > 1 {
                return Err(s3_error!(
                    MalformedXML,
                    "give Days, Date or ExpiredObjectDeleteMarker, one of them"
                ));
            }
        }
        if let Some(noncurrent) = &raw.noncurrent_version_expiration {
            let after = noncurrent.noncurrent_days;
            self.noncurrent_after =
                Some(days(after.ok_or_else(|| s3_error!(MalformedXML, "give NoncurrentDays"))?)?);
            self.noncurrent_kept = noncurrent.newer_noncurrent_versions.map(days).transpose()?.unwrap_or(0);
        }
        if let Some(abort) = &raw.abort_incomplete_multipart_upload {
            let after = abort.days_after_initiation;
            self.abort_after =
                Some(days(after.ok_or_else(|| s3_error!(MalformedXML, "give DaysAfterInitiation"))?)?);
        }
        let none = raw.expiration.is_none() && self.noncurrent_after.is_none() && self.abort_after.is_none();
        if none {
            return Err(s3_error!(InvalidRequest, "At least one action needs to be specified in a rule"));
        }
        Ok(())
    }

    fn has_sizes(&self) -> bool {
        self.larger_than.is_some() || self.smaller_than.is_some()
    }

    /// Whether the time of this version or marker has come.
    pub(crate) fn is_due(&self, candidate: &Candidate, now: SystemTime) -> bool {
        let object = &candidate.object;
        if !object.key.starts_with(&self.prefix) {
            return false;
        }
        if object.latest && object.delete_marker {
            // A marker with nothing behind it: by its own rule, or like an object of its age.
            return candidate.only && (self.lone_markers || self.is_expired(object.modified, now));
        }
        let fits = self.tags.iter().all(|tag| object.attributes.tags.contains(tag))
            && (object.delete_marker || self.fits_size(object.size));
        if !fits {
            return false;
        }
        match candidate.noncurrent_since {
            None => self.is_expired(object.modified, now),
            Some(since) => {
                self.noncurrent_after.is_some_and(|after| passed(since, after, now))
                    && candidate.newer_noncurrent >= self.noncurrent_kept
            }
        }
    }

    fn fits_size(&self, size: u64) -> bool {
        self.larger_than.is_none_or(|limit| size > limit)
            && self.smaller_than.is_none_or(|limit| size < limit)
    }

    fn is_expired(&self, modified: SystemTime, now: SystemTime) -> bool {
        self.expire_after.is_some_and(|after| passed(modified, after, now))
            || self.expire_at.is_some_and(|at| now >= at)
    }

    pub(crate) fn aborts(&self) -> bool {
        self.abort_after.is_some()
    }

    /// Whether an upload that was never completed goes.
    pub(crate) fn aborts_upload(&self, key: &str, initiated: SystemTime, now: SystemTime) -> bool {
        key.starts_with(&self.prefix) && self.abort_after.is_some_and(|after| passed(initiated, after, now))
    }
}

/// S3 counts days to the midnight (UTC) after them.
fn passed(since: SystemTime, days: u64, now: SystemTime) -> bool {
    let due = (seconds(since) + days.saturating_mul(DAY)).div_ceil(DAY) * DAY;
    now >= UNIX_EPOCH + Duration::from_secs(due)
}

fn days(days: i32) -> S3Result<u64> {
    u64::try_from(days)
        .ok()
        .filter(|days| *days > 0)
        .ok_or_else(|| s3_error!(InvalidArgument, "days and counts must be positive"))
}

fn unsigned(size: i64) -> S3Result<u64> {
    u64::try_from(size).map_err(|_| s3_error!(InvalidArgument, "sizes must not be negative"))
}

fn midnight_only(date: &s3s::dto::Timestamp) -> S3Result<SystemTime> {
    let date = system(date);
    if seconds(date).is_multiple_of(DAY) {
        return Ok(date);
    }
    Err(s3_error!(InvalidArgument, "'Date' must be at midnight GMT"))
}

fn pair(tag: &Tag) -> (String, String) {
    (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Attributes, Object, VersionId};

    fn day(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(day * DAY)
    }

    fn candidate(key: &str, written: u64) -> Candidate {
        let object = Object {
            key: key.to_owned(),
            version: VersionId::Id(1),
            latest: true,
            delete_marker: false,
            size: 100,
            etag: "e".to_owned(),
            modified: day(written),
            attributes: Attributes { tags: vec![("t".into(), "1".into())], ..Attributes::default() },
            parts: 0,
        };
        Candidate { object, noncurrent_since: None, newer_noncurrent: 0, only: true }
    }

    #[test]
    fn expires_by_age_and_prefix() {
        let rule = Rule { prefix: "logs/".into(), expire_after: Some(3), ..Rule::default() };
        assert!(!rule.is_due(&candidate("logs/a", 10), day(12)));
        assert!(rule.is_due(&candidate("logs/a", 10), day(13)));
        assert!(!rule.is_due(&candidate("other", 10), day(100)));
    }

    #[test]
    fn counts_to_midnight() {
        let noon = day(10) + Duration::from_secs(DAY / 2);
        assert!(!passed(noon, 1, day(11) + Duration::from_secs(DAY / 2)));
        assert!(passed(noon, 1, day(12)));
    }

    #[test]
    fn filters_by_tag_and_size() {
        let tagged = |value: &str| Rule {
            tags: vec![("t".into(), value.into())],
            expire_after: Some(1),
            ..Rule::default()
        };
        assert!(tagged("1").is_due(&candidate("a", 0), day(9)));
        assert!(!tagged("2").is_due(&candidate("a", 0), day(9)));
        let large = Rule { larger_than: Some(100), expire_after: Some(1), ..Rule::default() };
        assert!(!large.is_due(&candidate("a", 0), day(9)));
    }

    #[test]
    fn keeps_the_newest_of_the_old() {
        let rule = Rule { noncurrent_after: Some(1), noncurrent_kept: 2, ..Rule::default() };
        let mut old = candidate("a", 0);
        old.object.latest = false;
        old.noncurrent_since = Some(day(1));
        old.newer_noncurrent = 1;
        assert!(!rule.is_due(&old, day(9)));
        old.newer_noncurrent = 2;
        assert!(rule.is_due(&old, day(9)));
    }

    #[test]
    fn removes_markers_that_are_alone() {
        let rule = Rule { lone_markers: true, ..Rule::default() };
        let mut marker = candidate("a", 0);
        marker.object.delete_marker = true;
        assert!(rule.is_due(&marker, day(1)));
        marker.only = false;
        assert!(!rule.is_due(&marker, day(1)));
    }
}
