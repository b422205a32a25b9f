//! How the service is opened: plain values with complete defaults.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::store;

/// Settings of the service. `Config::at(dir)` has the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept, and how.
    pub store: store::Config,
    /// The region the service says it is in. Clients may sign for any region.
    pub region: String,
    /// Base domains, such as `s3.localhost`. A bucket is then also `<bucket>.s3.localhost`, and its website
    /// `<bucket>.web.s3.localhost`. Without any, only path style works and there are no websites.
    pub domains: Vec<String>,
    /// A client that neither sends nor takes a byte for so long is cut off.
    pub stall: Duration,
    /// How often lifecycle rules are carried out.
    pub lifecycle_every: Duration,
    /// How often a notification is tried again before it is given up, with growing pauses between.
    pub event_tries: u32,
    /// Whether webhooks may be on this machine's own addresses. Off, so that nobody's notification can be
    /// aimed at what listens only for this machine.
    pub local_webhooks: bool,
    /// What time it is. Signatures are checked against the machine's clock all the same.
    pub clock: Clock,
}

impl Config {
    /// The defaults, with everything in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            store: store::Config::at(dir),
            region: "us-east-1".to_owned(),
            domains: Vec::new(),
            stall: Duration::from_secs(60),
            lifecycle_every: Duration::from_secs(600),
            event_tries: 12,
            local_webhooks: false,
            clock: Clock::system(),
        }
    }
}

/// A source of the time, so that a test can let a year pass.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(SystemTime::now))
    }

    /// A clock of one's own.
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
