//! Endpoints and the choice among them. What is known about an endpoint outlives changes of routes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::Pool;
use crate::routes::{Balance, Upstream};

/// How long an endpoint is left alone after a connection to it failed.
const EJECTION: Duration = Duration::from_secs(2);

/// One address of an app, with its connections.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    active: AtomicU32,
    /// Milliseconds after `EPOCH` until which it is avoided.
    ejected_until: AtomicU64,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, upstream: Upstream) -> Self {
        let pool = Pool::new(address, upstream);
        Self { address, pool, active: AtomicU32::new(0), ejected_until: AtomicU64::new(0) }
    }

    /// Counts a request for as long as the guard lives.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.active.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Avoids the endpoint for a moment.
    pub(crate) fn eject(&self) {
        let until = millis() + u64::try_from(EJECTION.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until.store(until, Ordering::Relaxed);
    }

    /// It answered: whatever was wrong is over.
    pub(crate) fn recover(&self) {
        if self.ejected_until.load(Ordering::Relaxed) != 0 {
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    fn is_ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now
    }

    /// A name for the endpoint that tells a client nothing about its address.
    pub(crate) fn token(&self) -> String {
        let text = self.address.to_string();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

fn millis() -> u64 {
    static EPOCH: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    u64::try_from(EPOCH.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// One request at an endpoint.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Endpoint>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The endpoints of one route.
#[derive(Debug)]
pub(crate) struct Group {
    endpoints: Vec<Arc<Endpoint>>,
    turn: AtomicUsize,
}

impl Group {
    pub(crate) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { endpoints, turn: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The best endpoint that is not among `tried`. Ejected ones are the last resort.
    pub(crate) fn pick(&self, balance: Balance, tried: &[SocketAddr]) -> Option<Arc<Endpoint>> {
        let now = millis();
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.endpoints.len();
        let rotated = (0..count).filter_map(|step| self.endpoints.get((start + step) % count));
        let fresh = rotated.filter(|endpoint| !tried.contains(&endpoint.address));
        let best = match balance {
            Balance::RoundRobin => fresh.min_by_key(|endpoint| endpoint.is_ejected(now)),
            Balance::LeastConnections => fresh
                .min_by_key(|endpoint| (endpoint.is_ejected(now), endpoint.active.load(Ordering::Relaxed))),
        };
        best.cloned()
    }

    /// The endpoint a cookie names, unless it has just failed.
    pub(crate) fn by_token(&self, token: &str) -> Option<Arc<Endpoint>> {
        let now = millis();
        let named = self.endpoints.iter().find(|endpoint| endpoint.token() == token);
        named.filter(|endpoint| !endpoint.is_ejected(now)).cloned()
    }
}

/// All endpoints that some route uses, so that a new table finds the old ones with their connections.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    known: Mutex<HashMap<(SocketAddr, Upstream), Weak<Endpoint>>>,
}

impl Registry {
    pub(crate) fn get(&self, address: SocketAddr, upstream: Upstream) -> Arc<Endpoint> {
        let mut known = self.known.lock();
        if let Some(endpoint) = known.get(&(address, upstream)).and_then(Weak::upgrade) {
            return endpoint;
        }
        let endpoint = Arc::new(Endpoint::new(address, upstream));
        known.insert((address, upstream), Arc::downgrade(&endpoint));
        endpoint
    }

    /// Forgets endpoints that no route and no request uses any more.
    pub(crate) fn sweep(&self) {
        self.known.lock().retain(|_, endpoint| endpoint.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(count: u16) -> Group {
        let registry = Registry::default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Group::new((1..=count).map(|port| registry.get(address(port), Upstream::Http1)).collect())
    }

    #[test]
    fn the_least_busy_is_picked() {
        let group = group(3);
        let busy: Vec<_> = group.endpoints[..2].iter().map(Endpoint::begin).collect();
        for _ in 0..5 {
            assert_eq!(group.pick(Balance::LeastConnections, &[]).expect("one").address.port(), 3);
        }
        drop(busy);
    }

    #[test]
    fn idle_endpoints_take_turns() {
        let group = group(3);
        for balance in [Balance::LeastConnections, Balance::RoundRobin] {
            let ports: std::collections::BTreeSet<_> =
                (0..3).filter_map(|_| group.pick(balance, &[])).map(|e| e.address.port()).collect();
            assert_eq!(ports.len(), 3);
        }
    }

    #[test]
    fn a_failed_endpoint_is_the_last_resort() {
        let group = group(2);
        group.endpoints[0].eject();
        for _ in 0..4 {
            assert_eq!(group.pick(Balance::LeastConnections, &[]).expect("one").address.port(), 2);
        }
        let tried = [group.endpoints[1].address];
        assert_eq!(group.pick(Balance::LeastConnections, &tried).expect("one").address.port(), 1);
        assert!(group.by_token(&group.endpoints[0].token()).is_none());
        group.endpoints[0].recover();
        assert!(group.by_token(&group.endpoints[0].token()).is_some());
    }

    #[test]
    fn nothing_is_left_when_all_were_tried() {
        let group = group(1);
        assert!(group.pick(Balance::RoundRobin, &[group.endpoints[0].address]).is_none());
    }
}
