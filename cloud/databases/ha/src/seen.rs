//! What is known of one component at one moment. Pure data: no client, no clock.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::topology::Topology;

/// How far an engine's log has come: larger is newer, within one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Position(pub String);

impl Position {
    fn number(&self) -> Option<u128> {
        self.0.parse().ok()
    }

    /// How much `self` lacks of `other`, where positions are numbers.
    pub(crate) fn behind(&self, other: &Self) -> Option<u128> {
        Some(other.number()?.saturating_sub(self.number()?))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.cmp(&b),
            // Numbers of other bases and words of one length compare as text; a shorter text is smaller.
            _ => (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0)),
        }
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What an engine takes itself for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Primary,
    Secondary,
}

/// What `role.sh` said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub role: Role,
    pub position: Position,
    pub read_only: bool,
    pub lag_bytes: Option<u64>,
    pub lag_seconds: Option<f64>,
}

/// What became of asking an engine's present incarnation (one run of its container).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// It has not been asked, or the first answer is still out.
    Unknown,
    /// It answered, so long ago.
    Says { state: State, age: Duration },
    /// It did not answer the last times, for so long; `before` says whether this incarnation ever did.
    Silent { since: Duration, before: bool },
}

/// Where a pod is between its birth and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its engine has never run.
    Starting,
    /// Its engine's container runs.
    Running,
    /// Its engine's container ended; it will be started again.
    Ended,
    /// Its deletion was asked for; containers may still run.
    Ending { asked: Duration, grace: i64 },
    /// Its deletion was asked for, and no container of it runs or will run: its node says so, or none has it.
    Dead,
}

/// One pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodSeen {
    pub uid: String,
    pub ordinal: u32,
    pub life: Life,
    /// Whether it is held by our finalizer.
    pub held: bool,
    pub ready: bool,
    /// For how long the engine's container has been running.
    pub up: Duration,
    /// How long ago an earlier run of the engine's container ended, if one did.
    pub restarted: Option<Duration>,
    pub answer: Answer,
    /// The role it is labelled with.
    pub label: Option<String>,
}

impl PodSeen {
    /// What it last said, if nothing that came later puts that in doubt.
    pub(crate) fn says(&self) -> Option<(&State, Duration)> {
        match &self.answer {
            Answer::Says { state, age } => Some((state, *age)),
            Answer::Unknown | Answer::Silent { .. } => None,
        }
    }

    /// Whether it is a running engine that says so of itself.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.life == Life::Running && self.says().is_some_and(|(state, _)| state.role == role)
    }

    pub(crate) fn position(&self) -> Position {
        self.says().map(|(state, _)| state.position.clone()).unwrap_or_default()
    }
}

/// How commits are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When the primary has them.
    Async,
    /// When a replica has them too.
    Sync,
}

/// The rules a component is kept by.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub mode: Mode,
    /// Whether the primary can be told which replicas may acknowledge.
    pub names_synchronous: bool,
    /// The most that an automatic failover may lose in asynchronous mode, in bytes.
    pub lag_limit: u64,
    /// How long an engine that is not Ready may keep silent.
    pub silence: Duration,
    /// How long an engine may keep silent while it counts as Ready.
    pub long_silence: Duration,
    /// How old an answer may be for its pod to count as healthy.
    pub fresh: Duration,
    /// How long before an outage a replica must have come up to be preferred over a primary that restarts.
    pub settled: Duration,
    /// How long a primary may be down before any answering replica will do.
    pub patience: Duration,
    /// How long a pod that vanished without a word is given to be dead.
    pub vanished: Duration,
    /// How long a primary may take to end gracefully.
    pub stop: Duration,
    /// How long a switchover waits for its target.
    pub catch_up: Duration,
    /// How much a target may still lack when a switchover begins, in bytes.
    pub caught_up: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Async,
            names_synchronous: true,
            lag_limit: 16 << 20,
            silence: Duration::from_secs(3),
            long_silence: Duration::from_secs(10),
            fresh: Duration::from_secs(5),
            settled: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            vanished: Duration::from_secs(2),
            stop: Duration::from_secs(10),
            catch_up: Duration::from_secs(30),
            caught_up: 1 << 20,
        }
    }
}

/// What the present primary was told of its replicas, and where it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub replicas: BTreeSet<String>,
    pub synchronous: BTreeSet<String>,
    pub position: Position,
}

/// One component as it looks now.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// What pods are called: `<workload>-<ordinal>`.
    pub workload: String,
    pub topology: Option<Topology>,
    /// By name.
    pub pods: BTreeMap<String, PodSeen>,
    pub policy: Policy,
    /// How many pods the workload is to have; 0 while stopped.
    pub wanted: u32,
    /// How many pods the Cluster asks for; fewer than `wanted` while it is about to shrink.
    pub asked: u32,
    /// The pod that is asked to take over; empty for the best.
    pub switchover: Option<String>,
    /// For how long that has been asked for.
    pub switchover_for: Duration,
    /// What the primary's present incarnation was told by us.
    pub told: Option<Told>,
    /// The last position known of the primary.
    pub last: Option<Position>,
    /// For how long the primary has not answered.
    pub down: Duration,
    /// For how long a takeover's suspects are known to be dead.
    pub fenced: Duration,
    /// Whether the primary's volume is gone.
    pub data_gone: bool,
}

impl Observed {
    /// The names of all pods there are to be, without the one given.
    pub(crate) fn others(&self, primary: &str) -> BTreeSet<String> {
        let names = (0..self.wanted).map(|ordinal| format!("{}-{ordinal}", self.workload));
        names.filter(|name| name != primary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn positions_compare_by_value() {
        let of = |text: &str| Position(text.to_owned());
        assert!(of("9") < of("10"));
        assert!(of("0/9F") < of("0/A0"));
        assert!(Position::default() < of("0"));
        assert_eq!(of("100").behind(&of("164")), Some(64));
        assert_eq!(of("164").behind(&of("100")), Some(0));
        assert_eq!(of("a").behind(&of("100")), None);
    }
}
