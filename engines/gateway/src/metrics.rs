//! Counters per host. They survive changes of routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

/// Upper bounds of the latency buckets, in milliseconds; one more bucket holds the rest.
pub const LATENCY_BUCKETS: [u64; 10] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000];

/// Numbers of one host.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    active: AtomicU64,
    classes: [AtomicU64; 5],
    latency: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    latency_micros: AtomicU64,
    retries: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counters {
    /// Counts an answer when its head is known.
    pub(crate) fn answer(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        if let Some(counter) = self.classes.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BUCKETS.iter().take_while(|bound| **bound < millis).count();
        if let Some(counter) = self.latency.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn receive(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A request being answered, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Active(Arc<Counters>);

impl Active {
    pub(crate) fn begin(counters: Arc<Counters>) -> Self {
        counters.active.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Numbers of one host at one moment. All but `active` only grow.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HostMetrics {
    pub host: String,
    /// Requests being answered.
    pub active: u64,
    pub requests: u64,
    /// Answers by class: 1xx to 5xx.
    pub classes: [u64; 5],
    /// Answers by time to the head, in the buckets of [`LATENCY_BUCKETS`].
    pub latency: [u64; LATENCY_BUCKETS.len() + 1],
    /// All times to the head added up, in microseconds.
    pub latency_micros: u64,
    /// Attempts at another endpoint.
    pub retries: u64,
    /// Bytes of request bodies.
    pub received: u64,
    /// Bytes of answers' bodies.
    pub sent: u64,
}

/// The counters of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    hosts: Mutex<HashMap<String, Arc<Counters>>>,
}

impl Metrics {
    pub(crate) fn of(&self, host: &str) -> Arc<Counters> {
        Arc::clone(self.hosts.lock().entry(host.to_owned()).or_default())
    }

    pub(crate) fn snapshot(&self) -> Vec<HostMetrics> {
        let hosts = self.hosts.lock();
        let mut all: Vec<_> = hosts.iter().map(|(host, counters)| read(host, counters)).collect();
        all.sort_by(|a, b| a.host.cmp(&b.host));
        all
    }
}

fn read(host: &str, counters: &Counters) -> HostMetrics {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let classes = counters.classes.each_ref().map(load);
    HostMetrics {
        host: host.to_owned(),
        active: load(&counters.active),
        requests: classes.iter().sum(),
        classes,
        latency: counters.latency.each_ref().map(load),
        latency_micros: load(&counters.latency_micros),
        retries: load(&counters.retries),
        received: load(&counters.received),
        sent: load(&counters.sent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_class_and_time() {
        let metrics = Metrics::default();
        metrics.of("a").answer(StatusCode::OK, Duration::from_millis(3));
        metrics.of("a").answer(StatusCode::BAD_GATEWAY, Duration::from_secs(60));
        let all = metrics.snapshot();
        assert_eq!((all[0].requests, all[0].classes), (2, [0, 1, 0, 0, 1]));
        assert_eq!((all[0].latency[1], all[0].latency[10]), (1, 1));
    }
}
