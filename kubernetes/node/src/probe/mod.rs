//! Startup, readiness and liveness: how results become verdicts. What a probe does is in [`check`].

pub(crate) mod check;
mod http;
pub(crate) mod run;

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;

/// Which question a probe answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Startup,
    Readiness,
    Liveness,
}

impl Purpose {
    /// The word that begins the messages of its events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// The rhythm of a probe, with the defaults of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub delay: Duration,
    pub period: Duration,
    pub timeout: Duration,
    pub successes: u32,
    pub failures: u32,
}

impl Timing {
    pub(crate) fn of(probe: &Probe) -> Self {
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(default))
        };
        let count = |value: Option<i32>, default: u32| {
            value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default)
        };
        let at_least = |value: Duration| value.max(Duration::from_secs(1));
        Self {
            delay: seconds(probe.initial_delay_seconds, 0),
            period: at_least(seconds(probe.period_seconds, 10)),
            timeout: at_least(seconds(probe.timeout_seconds, 1)),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}

/// Results in a row, and what they have been taken to mean.
#[derive(Debug)]
pub(crate) struct Tally {
    successes_needed: u32,
    failures_needed: u32,
    last: Option<bool>,
    run: u32,
    /// Whether enough results in a row said yes. Liveness begins as true, the others as false.
    pub holds: bool,
}

/// What a result changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Too few results in a row, or the same as before.
    Same,
    Passed,
    /// The threshold was reached; for startup and liveness that ends the container.
    Failed,
}

impl Tally {
    pub(crate) fn new(purpose: Purpose, timing: &Timing) -> Self {
        Self {
            successes_needed: timing.successes,
            failures_needed: timing.failures,
            last: None,
            run: 0,
            holds: purpose == Purpose::Liveness,
        }
    }

    pub(crate) fn count(&mut self, success: bool) -> Outcome {
        if self.last == Some(success) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let needed = if success { self.successes_needed } else { self.failures_needed };
        if self.run < needed {
            return Outcome::Same;
        }
        match (success, std::mem::replace(&mut self.holds, success)) {
            (true, false) => Outcome::Passed,
            (true, true) => Outcome::Same,
            (false, _) => Outcome::Failed,
        }
    }
}

/// Extra tries between two periods while a container comes up: at once, then ever slower, so that a
/// container counts as ready when it is, not when the next period begins. Their failures count nothing.
#[derive(Debug)]
pub(crate) struct Eager {
    next: Duration,
}

impl Eager {
    /// `expensive` probes start a process each time.
    pub(crate) fn new(expensive: bool) -> Self {
        Self { next: Duration::from_millis(if expensive { 50 } else { 10 }) }
    }

    /// The wait before the next extra try; `None` once they are no faster than the period.
    pub(crate) fn wait(&mut self, period: Duration) -> Option<Duration> {
        let wait = self.next;
        self.next = wait * 3 / 2;
        (wait < period / 2).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tally(purpose: Purpose, successes: u32, failures: u32) -> Tally {
        let timing = Timing {
            delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            successes,
            failures,
        };
        Tally::new(purpose, &timing)
    }

    #[track_caller]
    fn check(mut tally: Tally, results: &str, expected: &str) {
        let got: String = results
            .chars()
            .map(|c| match tally.count(c == '+') {
                Outcome::Same => '.',
                Outcome::Passed => 'P',
                Outcome::Failed => 'F',
            })
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        check(tally(Purpose::Readiness, 1, 3), "+--+---+", "P.....FP");
        check(tally(Purpose::Readiness, 2, 1), "+-++", ".F.P");
        check(tally(Purpose::Liveness, 1, 3), "+--+---", "......F");
        check(tally(Purpose::Startup, 1, 2), "-+", ".P");
        check(tally(Purpose::Startup, 1, 2), "--", ".F");
    }

    #[test]
    fn timing_has_defaults() {
        let timing = Timing::of(&Probe::default());
        assert_eq!((timing.period.as_secs(), timing.timeout.as_secs()), (10, 1));
        assert_eq!((timing.successes, timing.failures), (1, 3));
        let probe: Probe = serde_json::from_value(
            json!({"periodSeconds": 5, "failureThreshold": 30, "initialDelaySeconds": 2}),
        )
        .unwrap();
        let timing = Timing::of(&probe);
        assert_eq!((timing.delay.as_secs(), timing.period.as_secs(), timing.failures), (2, 5, 30));
    }

    #[test]
    fn eager_tries_slow_down_and_end() {
        let mut eager = Eager::new(false);
        let waits: Vec<_> = std::iter::from_fn(|| eager.wait(Duration::from_secs(10))).collect();
        assert_eq!(waits[0], Duration::from_millis(10));
        assert!(waits.len() < 20);
        assert!(waits.iter().take(5).sum::<Duration>() < Duration::from_millis(200));
    }
}
