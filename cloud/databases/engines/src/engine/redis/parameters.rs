//! What users may change of Redis.

use crate::parameters::Kind::{Choice, Integer, Size, Switch, Text};
use crate::parameters::{Kind, Parameter};

const fn live(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, restart: false, about }
}

const fn restart(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, restart: true, about }
}

const EVICTION: &[&str] = &[
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

pub(super) const ALL: &[Parameter] = &[
    restart("databases", Integer { min: 1, max: 1024 }, "numbered databases"),
    restart("io-threads", Integer { min: 1, max: 128 }, "threads for the network"),
    live("maxclients", Integer { min: 10, max: 100_000 }, "how many clients may be connected"),
    live("maxmemory", Size { min: 1 << 20, max: 1 << 45 }, "memory for data"),
    live("maxmemory-policy", Choice(EVICTION), "what is dropped when memory is full"),
    live("maxmemory-samples", Integer { min: 1, max: 64 }, "precision of eviction"),
    live("appendfsync", Choice(&["always", "everysec", "no"]), "how often the log is made durable"),
    live(
        "auto-aof-rewrite-percentage",
        Integer { min: 0, max: 10_000 },
        "growth that calls for a rewrite of the log",
    ),
    live("timeout", Integer { min: 0, max: 86_400 }, "seconds until idle clients are closed; 0 is never"),
    live("tcp-keepalive", Integer { min: 0, max: 86_400 }, "seconds between signs of life"),
    live(
        "slowlog-log-slower-than",
        Integer { min: -1, max: 60_000_000 },
        "microseconds from which commands are slow",
    ),
    live("slowlog-max-len", Integer { min: 0, max: 100_000 }, "slow commands that are kept"),
    live("notify-keyspace-events", Text, "which events clients may listen to"),
    live("hz", Integer { min: 1, max: 500 }, "rounds of background work in a second"),
    live("lazyfree-lazy-eviction", Switch, "free evicted values in the background"),
    live("lazyfree-lazy-expire", Switch, "free expired values in the background"),
    live("lazyfree-lazy-user-del", Switch, "let DEL free in the background"),
    live("activedefrag", Switch, "defragment memory"),
    live(
        "latency-monitor-threshold",
        Integer { min: 0, max: 1_000_000 },
        "milliseconds from which latency is noted",
    ),
    live("hash-max-listpack-entries", Integer { min: 0, max: 1_000_000 }, "entries of small hashes"),
    live("hash-max-listpack-value", Integer { min: 0, max: 1_000_000 }, "bytes of values in small hashes"),
    live("set-max-intset-entries", Integer { min: 0, max: 1_000_000 }, "entries of small sets of numbers"),
    live("zset-max-listpack-entries", Integer { min: 0, max: 1_000_000 }, "entries of small sorted sets"),
];
