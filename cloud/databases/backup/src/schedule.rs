//! When a backup is due, and when it may go. Pure: the clock is an argument.

use std::str::FromStr as _;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A schedule with its time zone.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// Reads five fields (or `@daily` and the like) and the name of a time zone.
    pub(crate) fn parse(expression: &str, zone: Option<&str>) -> Result<Self, String> {
        let fields = expression.split_whitespace().count();
        if fields != 5 && !expression.trim().starts_with('@') {
            return Err(format!(
                "the schedule `{expression}` has {fields} fields; write five: minute hour day month weekday, as in `30 2 * * *`"
            ));
        }
        let cron = Cron::from_str(expression.trim())
            .map_err(|error| format!("the schedule `{expression}` cannot be read: {error}"))?;
        let zone = zone.unwrap_or("UTC");
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("`{zone}` is no known time zone; write one such as `Europe/Berlin`"))?;
        Ok(Self { cron, zone })
    }

    /// The first time after that moment.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&after, false).ok().map(|time| time.timestamp())
    }

    /// The newest time in `(since, now]`. Missed ones before it are not made up for.
    pub(crate) fn due(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let later = now.checked_add(SignedDuration::from_secs(1)).ok()?.to_zoned(self.zone.clone());
        let latest = self.cron.find_previous_occurrence(&later, false).ok()?.timestamp();
        (latest > since && latest <= now).then_some(latest)
    }
}

/// A retention period: `7d`, `1mo`, `2w`, `12h`, `1y`, or several (`1d12h`).
pub(crate) fn retention(text: &str) -> Result<SignedDuration, String> {
    let refuse = || format!("`{text}` is no retention period; write for example `7d`, `12h` or `1mo`");
    let (mut hours, mut rest) = (0_i64, text.trim());
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: i64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "h" => 1,
            "d" => 24,
            "w" => 7 * 24,
            "mo" => 30 * 24,
            "y" => 365 * 24,
            _ => return Err(refuse()),
        };
        hours = number.checked_mul(unit).and_then(|h| hours.checked_add(h)).ok_or_else(refuse)?;
        rest = &rest[end..];
    }
    if hours == 0 || hours > 24 * 366 * 100 {
        return Err(refuse());
    }
    Ok(SignedDuration::from_hours(hours))
}

/// A backup as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept<'a> {
    pub(crate) name: &'a str,
    pub(crate) completed: Timestamp,
    pub(crate) expiration: Option<Timestamp>,
}

/// Which of one cluster's whole backups may go. The newest stays while the cluster lives: a schedule that
/// fails must not lead to no backup at all.
pub(crate) fn expired<'a>(backups: &[Kept<'a>], lives: bool, now: Timestamp) -> Vec<&'a str> {
    let newest = backups.iter().max_by_key(|b| b.completed).map(|b| b.name);
    let stays = |b: &Kept<'_>| lives && newest == Some(b.name);
    backups.iter().filter(|b| b.expiration.is_some_and(|e| e <= now) && !stays(b)).map(|b| b.name).collect()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Kept, Times, expired, retention};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn due(cron: &str, zone: &str, since: &str, now: &str) -> Option<String> {
        Times::parse(cron, Some(zone)).expect("a schedule").due(at(since), at(now)).map(|t| t.to_string())
    }

    #[test]
    fn a_schedule_fires_in_its_time_zone() {
        let due = |now| due("30 2 * * *", "Asia/Shanghai", "2026-11-23T00:00:00Z", now);
        assert_eq!(due("2026-11-23T18:29:59Z"), None);
        assert_eq!(due("2026-11-23T18:30:00Z").as_deref(), Some("2026-11-23T18:30:00Z"));
    }

    #[test]
    fn what_was_missed_is_caught_up_once() {
        let due = |since| due("0 * * * *", "UTC", since, "2026-11-23T09:59:00Z");
        assert_eq!(due("2026-11-23T03:10:00Z").as_deref(), Some("2026-11-23T09:00:00Z"));
        assert_eq!(due("2026-11-23T09:00:00Z"), None, "it was made");
    }

    #[test]
    fn a_skipped_hour_of_summer_time_does_not_lose_the_day() {
        let times = Times::parse("30 2 * * *", Some("Europe/Berlin")).expect("a schedule");
        let next = times.next(at("2026-03-28T12:00:00Z")).expect("there is one");
        assert!(next < at("2026-03-29T02:00:00Z"), "{next}");
    }

    #[test]
    fn bad_schedules_say_what_to_write() {
        for (cron, zone, why) in [
            ("* * *", None, "five"),
            ("99 * * * *", None, "cannot be read"),
            ("@daily", Some("Mars"), "Mars"),
        ] {
            let error = Times::parse(cron, zone).expect_err("it is bad");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn retention_periods_are_read() {
        for (text, hours) in [("7d", 168), ("12h", 12), ("1d12h", 36), ("2w", 336), ("1mo", 720)] {
            assert_eq!(retention(text), Ok(SignedDuration::from_hours(hours)), "{text}");
        }
        for bad in ["", "7", "d", "-1d", "0d", "7x", "99999999999999999999d", "9999999y"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_backup_of_a_living_cluster_stays() {
        let one = |name, completed, expiration| Kept {
            name,
            completed: at(completed),
            expiration: Some(at(expiration)),
        };
        let all = [
            one("old", "2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z"),
            one("new", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"),
        ];
        let now = at("2026-11-20T00:00:00Z");
        assert_eq!(expired(&all, true, now), ["old"]);
        assert_eq!(expired(&all, false, now), ["old", "new"]);
        assert!(expired(&all, false, at("2026-11-03T00:00:00Z")).is_empty());
    }
}
