//! Cron schedules: five fields, or a name such as `@hourly`. Pure.

use k8s_openapi::jiff::civil::{Date, DateTime};
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{Span, Timestamp, ToSpan};

/// A parsed schedule: one bit per value in each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// With both day fields restricted, either suffices.
    either_day: bool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unparseable schedule {0:?}: expected five fields `minute hour day month weekday`")]
pub(super) struct Unreadable(String);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// A schedule that finds no time within this many years finds none at all (29 February on a weekday comes every 28).
const YEARS: i16 = 30;

impl Schedule {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable(text.to_owned());
        let plain = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = plain.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return Err(unreadable()) };
        let field =
            |text: &str, range, names: &[&str], first| bits(text, range, names, first).ok_or_else(unreadable);
        let mut weekdays = field(weekday, (0, 7), &WEEKDAYS, 0)?;
        weekdays |= weekdays >> 7 & 1;
        let open = |f: &str| f.starts_with('*') || f.starts_with('?');
        Ok(Self {
            minutes: field(minute, (0, 59), &[], 0)?,
            hours: field(hour, (0, 23), &[], 0)?,
            days: field(day, (1, 31), &[], 0)?,
            months: field(month, (1, 12), &MONTHS, 1)?,
            weekdays,
            either_day: !open(day) && !open(weekday),
        })
    }

    /// The first time after `after`, in `zone`.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let mut date = local.date();
        let clock = |part: i8| u32::from(part.unsigned_abs());
        let mut from = clock(local.hour()) * 60 + clock(local.minute()) + 1;
        let last = date.year().saturating_add(YEARS);
        while date.year() <= last {
            if has(self.months, date.month().unsigned_abs().into()) && self.on_day(date) {
                for minute in (from..24 * 60).filter(|m| has(self.hours, m / 60) && has(self.minutes, m % 60))
                {
                    let found =
                        at(date, minute).and_then(|t| zone.to_ambiguous_timestamp(t).compatible().ok());
                    // A time skipped by the clock may resolve to one already past.
                    if let Some(found) = found.filter(|t| *t > after) {
                        return Some(found);
                    }
                }
            }
            date = date.checked_add(Span::new().days(1)).ok()?;
            from = 0;
        }
        None
    }

    fn on_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day().unsigned_abs().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        if self.either_day { day || weekday } else { day && weekday }
    }

    /// The latest time in `(after, until]`, and whether there were more than `few`.
    pub(super) fn latest(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
    ) -> (Option<Timestamp>, usize) {
        const ENOUGH: usize = 100;
        let (mut found, mut number, mut from) = (None, 0, after);
        while let Some(next) = self.next(from, zone).filter(|t| *t <= until) {
            (found, number, from) = (Some(next), number + 1, next);
            if number > ENOUGH {
                // Long missed: only the last days matter for the latest one.
                let near = until.checked_sub(48.hours()).unwrap_or(after);
                from = from.max(near);
            }
        }
        (found, number)
    }
}

fn at(date: Date, minute: u32) -> Option<DateTime> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(date.at(hour, minute, 0, 0))
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

fn bits(text: &str, range: (u32, u32), names: &[&str], first: u32) -> Option<u64> {
    let mut all = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<u32>().ok().filter(|s| *s > 0)?)),
            None => (part, None),
        };
        let value = |text: &str| {
            let named = names.iter().position(|n| text.eq_ignore_ascii_case(n));
            let number = named.and_then(|p| u32::try_from(p).ok()).map(|p| p + first);
            number.or_else(|| text.parse().ok()).filter(|v| (range.0..=range.1).contains(v))
        };
        let (low, high) = match span {
            "*" | "?" => range,
            _ => match span.split_once('-') {
                Some((low, high)) => (value(low)?, value(high)?),
                None => (value(span)?, if step.is_some() { range.1 } else { value(span)? }),
            },
        };
        if low > high {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        all |= (low..=high).step_by(step).fold(0_u64, |bits, v| bits | 1 << v);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let found = Schedule::parse(schedule).unwrap().next(after.parse().unwrap(), &zone);
        found.map_or("never".to_owned(), |t| t.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        let after = "2024-01-31T23:59:30Z";
        assert_eq!(next("* * * * *", after, "UTC"), "2024-02-01T00:00:00Z");
        assert_eq!(next("*/15 9-17 * * mon-fri", after, "UTC"), "2024-02-01T09:00:00Z");
        assert_eq!(next("0 0 29 2 *", after, "UTC"), "2024-02-29T00:00:00Z");
        assert_eq!(next("30 4 1,15 * 5", after, "UTC"), "2024-02-01T04:30:00Z");
        assert_eq!(next("0 12 * * 7", after, "UTC"), "2024-02-04T12:00:00Z");
        assert_eq!(next("@monthly", after, "UTC"), "2024-02-01T00:00:00Z");
        assert_eq!(next("0 0 31 2 *", after, "UTC"), "never");
    }

    #[test]
    fn zones_and_their_changes_count() {
        assert_eq!(next("0 8 * * *", "2024-06-01T00:00:00Z", "Europe/Berlin"), "2024-06-01T06:00:00Z");
        // 02:30 does not exist on this day; the clock shows 03:30 instead.
        assert_eq!(next("30 2 * * *", "2024-03-31T00:00:00Z", "Europe/Berlin"), "2024-03-31T01:30:00Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "*/0 * * * *", "5-1 * * * *"] {
            assert_eq!(Schedule::parse(text), Err(Unreadable(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn missed_times_are_counted() {
        let schedule = Schedule::parse("0 * * * *").unwrap();
        let (from, until) =
            ("2024-01-01T00:00:00Z".parse().unwrap(), "2024-01-01T03:30:00Z".parse().unwrap());
        let (latest, number) = schedule.latest(from, until, &TimeZone::UTC);
        assert_eq!((latest.unwrap().to_string().as_str(), number), ("2024-01-01T03:00:00Z", 3));
    }
}
