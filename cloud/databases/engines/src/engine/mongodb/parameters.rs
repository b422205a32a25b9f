//! What users may change of MongoDB: server parameters by their own names.

use crate::parameters::Kind::{Integer, Number};
use crate::parameters::{Kind, Parameter};

const fn live(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, restart: false, about }
}

pub(super) const ALL: &[Parameter] = &[
    Parameter {
        name: "wiredTigerCacheSizeGB",
        kind: Number { min: 0.25, max: 10_000.0 },
        restart: true,
        about: "memory for the cache of the server",
    },
    Parameter {
        name: "maxIncomingConnections",
        kind: Integer { min: 10, max: 100_000 },
        restart: true,
        about: "how many clients may be connected",
    },
    live("slowMS", Integer { min: 0, max: 3_600_000 }, "milliseconds from which operations are slow"),
    live("cursorTimeoutMillis", Integer { min: 1, max: 86_400_000 }, "when idle cursors are closed"),
    live("transactionLifetimeLimitSeconds", Integer { min: 1, max: 86_400 }, "longest transaction"),
    live(
        "maxTransactionLockRequestTimeoutMillis",
        Integer { min: -1, max: 3_600_000 },
        "longest wait for a lock",
    ),
    live(
        "ttlMonitorSleepSecs",
        Integer { min: 1, max: 86_400 },
        "seconds between removals of expired documents",
    ),
    live("notablescan", Integer { min: 0, max: 1 }, "refuse queries without an index"),
];
