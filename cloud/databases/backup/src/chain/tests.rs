//! Gaps are found, windows are kept to, and only what nobody needs is removed.

use jiff::Timestamp;

use super::{Chain, Follows, Known, To, chains, follows, needed, prunable};
use crate::repo::{LogStart, Place};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn wal(timeline: u32, segment: u32) -> String {
    format!("{timeline:08X}{:08X}{:08X}", segment / 256, segment % 256)
}

/// A chain whose segment n was closed at second 10 n.
fn chain(numbers: &[u64]) -> Chain {
    let place = Place::new("default", "shop", "u");
    let listing: Vec<_> =
        numbers.iter().map(|n| (place.segment(1, *n, at(10 * *n as i64), &wal(1, *n as u32)), 1)).collect();
    chains(&place, &listing).remove(&1).unwrap_or_default()
}

fn plan(numbers: &[u64], known: Known, to: To) -> Result<Vec<u64>, String> {
    let found = needed(LogStart { chain: 1, after: 2 }, at(25), &chain(numbers), &known, to);
    found.map(|all| all.iter().map(|s| s.number).collect()).map_err(|e| e.to_string())
}

#[test]
fn segments_follow_one_another_also_over_a_failover() {
    let yes = [
        (None, wal(1, 9)),
        (Some(wal(1, 255)), wal(1, 256)),
        (Some(wal(1, 7)), wal(2, 7)),
        (Some(wal(1, 7)), wal(2, 8)),
        (None, "binlog.000001".into()),
        (Some("binlog.000009".into()), "binlog.000010".into()),
    ];
    for (last, next) in yes {
        assert_eq!(follows(last.as_deref(), &next), Follows::Yes, "{last:?} {next}");
    }
    let aside = [(wal(1, 7), "00000002.history".into()), (wal(2, 7), wal(1, 8)), (wal(1, 7), wal(1, 7))];
    for (last, next) in aside {
        assert_eq!(follows(Some(&last), &next), Follows::Aside, "{last} {next}");
    }
    let gaps = [
        (wal(1, 7), wal(1, 9)),
        (wal(1, 7), wal(2, 9)),
        ("binlog.000003".into(), "binlog.000005".into()),
        ("binlog.000003".into(), "binlog.000001".into()),
    ];
    for (last, next) in gaps {
        let judged = follows(Some(&last), &next);
        assert!(
            matches!(&judged, Follows::Gap(why) if why.contains(&last) && why.contains(&next)),
            "{judged:?}"
        );
    }
}

#[test]
fn a_restore_needs_the_segments_up_to_its_moment() {
    assert_eq!(plan(&[1, 2, 3, 4, 5], Known::default(), To::Moment(at(35))), Ok(vec![3, 4]));
    assert_eq!(plan(&[1, 2, 3, 4, 5], Known::default(), To::Moment(at(40))), Ok(vec![3, 4]));
    assert_eq!(plan(&[1, 2, 3, 4, 5], Known::default(), To::End), Ok(vec![3, 4, 5]));
    // Nothing was written since the last segment, but the archive was looked at later.
    let idle = Known { latest: Some(at(90)), last: 4 };
    assert_eq!(plan(&[3, 4], idle, To::Moment(at(80))), Ok(vec![3, 4]));
}

#[test]
fn what_cannot_be_reached_is_refused_with_the_reason() {
    let refused = |numbers: &[u64], known: Known, to: To, why: &str| {
        let error = plan(numbers, known, to).expect_err("it cannot be reached");
        assert!(error.contains(why), "{error}");
    };
    refused(&[3, 4], Known::default(), To::Moment(at(24)), "choose an older backup");
    refused(&[3, 4], Known::default(), To::Moment(at(41)), "only up to");
    refused(&[], Known::default(), To::Moment(at(41)), "nothing of its log");
    refused(&[3, 5], Known::default(), To::Moment(at(50)), "log segment 4");
    refused(&[4, 5], Known::default(), To::End, "log segment 3 of chain 1, which follows the backup");
    refused(&[3, 4], Known { latest: None, last: 5 }, To::End, "log segment 5");
}

#[test]
fn only_what_no_backup_needs_is_removed() {
    let place = Place::new("default", "shop", "u");
    let listing: Vec<_> = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
        .iter()
        .map(|(c, n)| (place.segment(*c, *n, at(0), &wal(1, *n as u32)), 1))
        .collect();
    let chains = chains(&place, &listing);
    let gone = |bases: &[LogStart]| prunable(&chains, bases).len();
    assert_eq!(gone(&[]), 5, "the current chain stays while it waits for a base");
    assert_eq!(gone(&[LogStart { chain: 2, after: 1 }, LogStart { chain: 2, after: 2 }]), 3);
    assert_eq!(gone(&[LogStart { chain: 1, after: 0 }, LogStart { chain: 3, after: 1 }]), 3);
}
