//! Archived logs: whether a segment follows another, what a listing says, and what a restore needs. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Error;
use crate::repo::{LogStart, Mark, Place, Segment};

/// How one segment stands to the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follows {
    /// It goes on where the other ended.
    Yes,
    /// It stands beside the row: a history file, a segment of an older timeline.
    Aside,
    /// Something is missing between them; the text says what.
    Gap(String),
}

/// Judges the names of two segments, as PostgreSQL and MySQL make them.
pub(crate) fn follows(last: Option<&str>, next: &str) -> Follows {
    let gap =
        |last: &str| Follows::Gap(format!("after `{last}` came `{next}`; what was between them is lost"));
    if let Some((timeline, number)) = wal(next) {
        let Some((last, (was, before))) = last.and_then(|l| Some((l, wal(l)?))) else { return Follows::Yes };
        return match timeline.cmp(&was) {
            std::cmp::Ordering::Equal if number == before + 1 => Follows::Yes,
            std::cmp::Ordering::Equal if number <= before => Follows::Aside,
            std::cmp::Ordering::Greater if number <= before + 1 => Follows::Yes,
            std::cmp::Ordering::Less => Follows::Aside,
            _ => gap(last),
        };
    }
    if let Some(number) = binlog(next) {
        let Some((last, before)) = last.and_then(|l| Some((l, binlog(l)?))) else { return Follows::Yes };
        return if number == before + 1 { Follows::Yes } else { gap(last) };
    }
    Follows::Aside
}

/// Timeline and running number of a segment of PostgreSQL (16 MiB each).
fn wal(name: &str) -> Option<(u32, u64)> {
    let is_plain = name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let part = |range: std::ops::Range<usize>| u32::from_str_radix(name.get(range)?, 16).ok();
    if !is_plain {
        return None;
    }
    Some((part(0..8)?, u64::from(part(8..16)?) * 256 + u64::from(part(16..24)?)))
}

/// The number of a binary log of MySQL.
fn binlog(name: &str) -> Option<u64> {
    let (base, number) = name.rsplit_once('.')?;
    (!base.is_empty() && number.len() >= 6).then(|| number.parse().ok())?
}

/// One chain, as a listing shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its segments, in order.
    pub(crate) segments: Vec<Segment>,
    /// Whether it does not grow any more.
    pub(crate) is_ended: bool,
}

impl Chain {
    /// The last segment that counts for the order.
    pub(crate) fn last_name(&self) -> Option<&str> {
        let counts = |s: &&Segment| wal(&s.name).is_some() || binlog(&s.name).is_some();
        // Segments of older timelines may come late; the highest counts.
        self.segments
            .iter()
            .filter(counts)
            .max_by_key(|s| (wal(&s.name), binlog(&s.name)))
            .map(|s| s.name.as_str())
    }

    /// The number of its last segment; 0 without any.
    pub(crate) fn last(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.number)
    }

    /// Everything committed before this moment is archived.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.segments.iter().map(|s| s.closed).max()
    }
}

/// All chains of a place, from a listing.
pub(crate) fn chains(place: &Place, listing: &[(String, u64)]) -> BTreeMap<u32, Chain> {
    let mut chains: BTreeMap<u32, Chain> = BTreeMap::new();
    for (path, stored) in listing {
        let Some((number, mark)) = place.parse(path, *stored) else { continue };
        let chain = chains.entry(number).or_default();
        match mark {
            Mark::Segment(segment) => chain.segments.push(segment),
            Mark::Begun => {}
            Mark::Ended => chain.is_ended = true,
        }
    }
    for chain in chains.values_mut() {
        chain.segments.sort_by_key(|s| s.number);
    }
    chains
}

/// To which moment a log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// To the end of what is archived.
    End,
    /// To this moment.
    Moment(Timestamp),
}

/// What is known of the archive besides the listing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Everything before this moment is archived.
    pub(crate) latest: Option<Timestamp>,
    /// The number of the last segment.
    pub(crate) last: u64,
}

/// The segments that a restore needs after a base, in order. Refuses what cannot be reached.
pub(crate) fn needed(
    start: LogStart,
    whole_at: Timestamp,
    chain: &Chain,
    known: &Known,
    to: To,
) -> Result<Vec<Segment>, Error> {
    let latest = chain.latest().max(known.latest);
    if let To::Moment(moment) = to {
        if moment < whole_at {
            return Err(Error::Refused(format!(
                "{moment} is before this backup was whole ({whole_at}); choose an older backup"
            )));
        }
        if latest.is_none_or(|latest| moment > latest) {
            let until =
                latest.map_or("nothing of its log is".into(), |l| format!("its log is only up to {l}"));
            return Err(Error::Refused(format!("{moment} cannot be restored: {until} archived")));
        }
    }
    let mut segments = Vec::new();
    let mut expected = start.after + 1;
    let missing = |number: u64, before: Option<&Segment>| {
        let after = before.map_or_else(|| "the backup".to_owned(), |s| format!("`{}`", s.name));
        Error::Refused(format!(
            "log segment {number} of chain {}, which follows {after}, is missing in the repository",
            start.chain
        ))
    };
    for segment in chain.segments.iter().filter(|s| s.number > start.after) {
        if segment.number != expected {
            return Err(missing(expected, segments.last()));
        }
        expected += 1;
        segments.push(segment.clone());
        if matches!(to, To::Moment(moment) if segment.closed >= moment) {
            return Ok(segments);
        }
    }
    if expected <= known.last {
        return Err(missing(expected, segments.last()));
    }
    Ok(segments)
}

/// What of the archive no backup needs: paths to remove. `bases` are the logs' starts of all backups.
pub(crate) fn prunable(chains: &BTreeMap<u32, Chain>, bases: &[LogStart]) -> Vec<String> {
    let Some(current) = chains.keys().max().copied() else { return Vec::new() };
    let mut paths = Vec::new();
    for (number, chain) in chains {
        let oldest = bases.iter().filter(|b| b.chain == *number).map(|b| b.after).min();
        let unneeded = match oldest {
            Some(after) => after,
            // The current chain waits for its first base.
            None if *number == current => 0,
            None => u64::MAX,
        };
        // The last one of the current chain stays, since the next one's number comes from it.
        let last = if *number == current { chain.last() } else { 0 };
        let goes = |s: &&Segment| s.number <= unneeded && s.number != last;
        paths.extend(chain.segments.iter().filter(goes).map(|s| s.path.clone()));
    }
    paths
}

#[cfg(test)]
mod tests;
