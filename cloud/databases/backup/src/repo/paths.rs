//! Where the objects of a cluster lie. Names carry order and time, so that a listing tells the whole state:
//!
//! ```text
//! <workspace>/<cluster>/<uid>/backups/<backup>/{data,manifest}
//! <workspace>/<cluster>/<uid>/logs/<chain>/<number>_<closed, ms>_<name>
//! <workspace>/<cluster>/<uid>/logs/<chain>/{begun,ended}
//! ```

use jiff::Timestamp;

/// The place of a cluster in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(String);

/// An archived log segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its object.
    pub(crate) path: String,
    /// Its number in the chain, from 1.
    pub(crate) number: u64,
    /// Everything committed before this moment is in this segment or an earlier one.
    pub(crate) closed: Timestamp,
    /// Its name, as the engine calls it.
    pub(crate) name: String,
    /// Bytes in the bucket.
    pub(crate) stored: u64,
}

/// What an object of a chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Who began it.
    Begun,
    /// Why it ended.
    Ended,
    /// A segment.
    Segment(Segment),
}

impl Place {
    /// The place of that cluster.
    pub(crate) fn new(namespace: &str, cluster: &str, uid: &str) -> Self {
        Self(format!("{namespace}/{cluster}/{uid}"))
    }

    /// The place in which a backup's data lies.
    pub(crate) fn of_data(data: &str) -> Option<Self> {
        data.split_once("/backups/").map(|(place, _)| Self(place.to_owned()))
    }

    /// The prefix of a backup.
    pub(crate) fn backup(&self, backup: &str) -> String {
        format!("{}/backups/{backup}", self.0)
    }

    /// The prefix of all logs.
    pub(crate) fn logs(&self) -> String {
        format!("{}/logs", self.0)
    }

    /// The prefix of a chain.
    pub(crate) fn chain(&self, chain: u32) -> String {
        format!("{}/logs/{chain:06}", self.0)
    }

    /// The object that says why a chain ended.
    pub(crate) fn ended(&self, chain: u32) -> String {
        format!("{}/ended", self.chain(chain))
    }

    /// The object that says who began a chain.
    pub(crate) fn begun(&self, chain: u32) -> String {
        format!("{}/begun", self.chain(chain))
    }

    /// The object of a segment.
    pub(crate) fn segment(&self, chain: u32, number: u64, closed: Timestamp, name: &str) -> String {
        format!("{}/{number:012}_{:015}_{name}", self.chain(chain), closed.as_millisecond())
    }

    /// The chain and segment of a path below [`Self::logs`].
    pub(crate) fn parse(&self, path: &str, stored: u64) -> Option<(u32, Mark)> {
        let (chain, object) = path.strip_prefix(&self.logs())?.trim_start_matches('/').split_once('/')?;
        let chain = chain.parse().ok()?;
        match object {
            "ended" => return Some((chain, Mark::Ended)),
            "begun" => return Some((chain, Mark::Begun)),
            _ => {}
        }
        let mut parts = object.splitn(3, '_');
        let number = parts.next()?.parse().ok()?;
        let closed = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
        let name = parts.next()?.to_owned();
        Some((chain, Mark::Segment(Segment { path: path.to_owned(), number, closed, name, stored })))
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Place};

    #[test]
    fn a_segment_is_read_back_from_its_path() {
        let place = Place::new("default", "shop", "u1");
        let closed = "2026-11-24T16:00:01.25Z".parse().expect("a time");
        let path = place.segment(3, 42, closed, "000000010000000000000002.partial");
        let (chain, segment) = place.parse(&path, 9).expect("it is one of ours");
        let Mark::Segment(segment) = segment else { unreachable!("it is a segment") };
        assert_eq!((chain, segment.number, segment.closed, segment.stored), (3, 42, closed, 9));
        assert_eq!(segment.name, "000000010000000000000002.partial");
        assert_eq!(place.parse(&place.ended(3), 0), Some((3, Mark::Ended)));
        assert_eq!(place.parse("default/shop/u1/logs/x/y", 0), None);
        assert_eq!(Place::of_data(&format!("{}/data", place.backup("b"))), Some(place));
    }
}
