//! Which pod addresses are taken. Pure: what exists is told by the kernel at start.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::{Error, Ipv4Net};

/// The addresses of one range. The first is the gateway's; network and broadcast are never given out.
#[derive(Debug)]
pub(crate) struct Pool {
    range: Ipv4Net,
    taken: BTreeSet<u32>,
    /// Offset after the last address given: a freed address rests as long as possible, because
    /// connections and caches elsewhere still believe in its last owner.
    next: u32,
}

impl Pool {
    pub(crate) fn new(range: Ipv4Net) -> Result<Self, Error> {
        if range.size() < 8 {
            return Err(Error::TooSmall { cidr: range });
        }
        Ok(Self { range, taken: BTreeSet::new(), next: 2 })
    }

    /// Marks an address as taken that was found in use.
    pub(crate) fn claim(&mut self, address: Ipv4Addr) {
        let offset = address.to_bits().wrapping_sub(self.range.address().to_bits());
        self.taken.insert(offset);
        self.next = self.next.max(offset.saturating_add(1));
    }

    pub(crate) fn take(&mut self) -> Result<Ipv4Addr, Error> {
        // Offsets 2..size-1: 0 is the network, 1 the gateway, the last the broadcast address.
        let last = self.range.size() - 1;
        let start = if self.next < last { self.next } else { 2 };
        let free = (start..last).chain(2..start).find(|offset| !self.taken.contains(offset));
        let Some(offset) = free else {
            return Err(Error::Exhausted { cidr: self.range, count: self.taken.len() });
        };
        self.taken.insert(offset);
        self.next = offset + 1;
        Ok(self.range.nth(offset))
    }

    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.to_bits().wrapping_sub(self.range.address().to_bits()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new("10.9.0.0/29".parse().expect("valid")).expect("large enough")
    }

    #[test]
    fn gives_every_address_once_and_then_says_so() {
        let mut pool = pool();
        let given: Vec<_> = std::iter::from_fn(|| pool.take().ok()).map(|a| a.to_string()).collect();
        assert_eq!(given, ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]);
        assert!(pool.take().expect_err("full").to_string().starts_with("all 5 addresses of 10.9.0.0/29"));
    }

    #[test]
    fn reuses_a_freed_address_last() {
        let mut pool = pool();
        let first = pool.take().expect("free");
        pool.release(first);
        assert_eq!(pool.take().expect("free").to_string(), "10.9.0.3");
        pool.claim("10.9.0.5".parse().expect("valid"));
        assert_eq!(pool.take().expect("free").to_string(), "10.9.0.6");
        assert_eq!(pool.take().expect("free"), first);
    }

    #[test]
    fn refuses_a_range_without_room() {
        assert!(Pool::new("10.9.0.0/30".parse().expect("valid")).is_err());
    }
}
