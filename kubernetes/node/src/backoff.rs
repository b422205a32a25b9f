//! How long to wait before trying a crashing container or a missing image again.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// A container that ran this long is not crashing: its next failure starts from the beginning.
const HEALTHY: Duration = Duration::from_secs(600);

/// Waiting times that double from 10 seconds to 5 minutes; the first repetition is free.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    next: Option<Duration>,
}

impl Backoff {
    /// The wait before the next try, given how long the last one lasted.
    pub(crate) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= HEALTHY {
            self.next = None;
        }
        match self.next {
            None => {
                self.next = Some(FIRST);
                Duration::ZERO
            }
            Some(wait) => {
                self.next = Some((wait * 2).min(LONGEST));
                wait
            }
        }
    }

    /// The wait before repeating something that should not be repeated at once.
    pub(crate) fn wait(&mut self) -> Duration {
        let wait = self.next.unwrap_or(FIRST);
        self.next = Some((wait * 2).min(LONGEST));
        wait
    }
}

/// Short waits for conditions nobody announces (a claim being bound, an address becoming free).
#[derive(Debug)]
pub(crate) struct Retry {
    wait: Duration,
    longest: Duration,
}

impl Retry {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { wait: first, longest }
    }

    /// When to try again.
    pub(crate) fn next(&mut self) -> Instant {
        let at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(self.longest);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_wait_longer_each_time() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.after(Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_long_run_forgives() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Duration::from_secs(1));
        }
        assert_eq!(backoff.after(HEALTHY).as_secs(), 0);
        assert_eq!(backoff.after(Duration::from_secs(1)).as_secs(), 10);
    }

    #[test]
    fn image_pulls_never_repeat_at_once() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait().as_secs(), 10);
        assert_eq!(backoff.wait().as_secs(), 20);
    }
}
