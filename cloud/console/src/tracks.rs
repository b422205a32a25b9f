//! Numbers over time that are no pod's: what databases say of themselves, how large buckets are. In memory;
//! the newest samples only.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

/// How many samples a track has.
const KEPT: usize = 720;
/// A track that nobody looked at for this long is sampled seldom.
const WATCHED: Duration = Duration::from_secs(600);

/// The numbers of one moment, by name.
pub(crate) type Numbers = BTreeMap<&'static str, f64>;

/// Workspace and name.
pub(crate) type Key = (String, String);

/// Series on one axis of time.
#[derive(Debug, Default, Serialize, PartialEq)]
pub(crate) struct Lines {
    pub(crate) at: Vec<i64>,
    pub(crate) series: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// The tracks of all things of one kind.
#[derive(Default)]
pub(crate) struct Tracks {
    all: Mutex<HashMap<Key, Track>>,
}

#[derive(Default)]
struct Track {
    samples: VecDeque<(i64, Numbers)>,
    /// When somebody last looked at it.
    seen: Option<Instant>,
}

impl Tracks {
    /// Adds what was measured.
    pub(crate) fn record(&self, key: Key, at: i64, numbers: Numbers) {
        let mut all = self.all.lock();
        let samples = &mut all.entry(key).or_default().samples;
        samples.push_back((at, numbers));
        if samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// Forgets what no longer exists.
    pub(crate) fn keep(&self, exists: impl Fn(&Key) -> bool) {
        self.all.lock().retain(|key, track| exists(key) || track.seen.is_some_and(|s| s.elapsed() < WATCHED));
    }

    /// Whether somebody looks at it.
    pub(crate) fn is_watched(&self, key: &Key) -> bool {
        self.all.lock().get(key).and_then(|track| track.seen).is_some_and(|seen| seen.elapsed() < WATCHED)
    }

    /// All that is known, and notes that somebody looks.
    pub(crate) fn look(&self, workspace: &str, name: &str) -> Lines {
        let mut all = self.all.lock();
        let track = all.entry((workspace.to_owned(), name.to_owned())).or_default();
        track.seen = Some(Instant::now());
        let names: std::collections::BTreeSet<_> = track.samples.iter().flat_map(|(_, n)| n.keys()).collect();
        let line = |name: &&'static str| {
            let values = track.samples.iter().map(|(_, numbers)| numbers.get(*name).copied());
            (*name, values.collect())
        };
        Lines {
            at: track.samples.iter().map(|(at, _)| *at).collect(),
            series: names.into_iter().map(line).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Numbers, Tracks};

    fn key(name: &str) -> super::Key {
        ("default".to_owned(), name.to_owned())
    }

    #[test]
    fn a_number_that_was_not_measured_leaves_a_gap() {
        let tracks = Tracks::default();
        tracks.record(key("orders"), 1, Numbers::from([("connections", 3.0)]));
        tracks.record(key("orders"), 2, Numbers::from([("connections", 4.0), ("lag", 0.5)]));
        let lines = tracks.look("default", "orders");
        assert_eq!(lines.at, [1, 2]);
        assert_eq!(lines.series["connections"], [Some(3.0), Some(4.0)]);
        assert_eq!(lines.series["lag"], [None, Some(0.5)]);
    }

    #[test]
    fn keeps_the_newest_and_what_is_there() {
        let tracks = Tracks::default();
        for at in 0..=i64::try_from(KEPT).expect("small") {
            tracks.record(key("orders"), at, Numbers::new());
        }
        tracks.record(key("gone"), 1, Numbers::new());
        tracks.keep(|(_, name)| name == "orders");
        assert!(!tracks.is_watched(&key("orders")));
        let lines = tracks.look("default", "orders");
        assert_eq!((lines.at.len(), lines.at.first()), (KEPT, Some(&1)));
        assert!(tracks.is_watched(&key("orders")));
        assert!(tracks.look("default", "gone").at.is_empty());
    }
}
