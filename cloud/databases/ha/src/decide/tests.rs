//! Situations, and what is done in each.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Fence, Step, decide};
use crate::seen::{Answer, Life, Mode, Observed, PodSeen, Policy, Position, Role, State, Told};
use crate::topology::{Suspect, Takeover, Topology, Why};

const MINUTE: Duration = Duration::from_secs(60);

fn pod(ordinal: u32, role: Role, position: u64) -> PodSeen {
    let position = Position(position.to_string());
    let state = State { role, position, read_only: false, lag_bytes: Some(0), lag_seconds: None };
    PodSeen {
        uid: format!("u{ordinal}"),
        ordinal,
        life: Life::Running,
        held: false,
        ready: true,
        up: MINUTE,
        restarted: None,
        answer: Answer::Says { state, age: Duration::ZERO },
        label: None,
    }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Three pods in good health; `pg-0` leads, `pg-2` is a little ahead of `pg-1`.
fn healthy(mode: Mode) -> Observed {
    let primary = pod(0, Role::Primary, 1000);
    let pods =
        [("pg-0", primary), ("pg-1", pod(1, Role::Secondary, 980)), ("pg-2", pod(2, Role::Secondary, 990))];
    let synchronous = if mode == Mode::Sync { names(&["pg-1", "pg-2"]) } else { BTreeSet::new() };
    Observed {
        workload: "pg".into(),
        topology: Some(Topology {
            primary: "pg-0".into(),
            synchronous: None,
            takeover: None,
            version: "1".into(),
        }),
        pods: pods.into_iter().map(|(name, pod)| (name.to_owned(), pod)).collect(),
        policy: Policy { mode, ..Policy::default() },
        wanted: 3,
        asked: 3,
        switchover: None,
        switchover_for: Duration::ZERO,
        told: Some(Told {
            replicas: names(&["pg-1", "pg-2"]),
            synchronous,
            position: Position("900".into()),
        }),
        last: Some(Position("1000".into())),
        down: Duration::ZERO,
        fenced: MINUTE,
        data_gone: false,
    }
}

#[track_caller]
fn check(mode: Mode, change: impl Fn(&mut Observed), expected: &Step) {
    let mut seen = healthy(mode);
    change(&mut seen);
    assert_eq!(decide(&seen), *expected, "{mode:?}: {seen:#?}");
}

#[track_caller]
fn both(change: impl Fn(&mut Observed), expected: &Step) {
    check(Mode::Sync, &change, expected);
    check(Mode::Async, &change, expected);
}

fn of<'a>(seen: &'a mut Observed, name: &str) -> &'a mut PodSeen {
    seen.pods.get_mut(name).unwrap()
}

fn begin(to: &str, why: Why) -> Step {
    Step::Begin { to: to.into(), why }
}

fn fence(name: &str, how: Fence) -> Step {
    Step::Fence { pod: name.into(), uid: name.replace("pg-", "u"), how }
}

fn promote(name: &str) -> Step {
    Step::Promote { pod: name.into() }
}

fn silent(secs: u64, before: bool) -> Answer {
    Answer::Silent { since: Duration::from_secs(secs), before }
}

#[test]
fn good_health_is_left_alone() {
    both(|_| {}, &Step::Wait);
    both(|seen| seen.topology = None, &Step::Wait);
}

#[test]
fn a_primary_that_ended_is_followed_by_the_most_advanced() {
    both(|seen| of(seen, "pg-0").life = Life::Ended, &begin("pg-2", Why::Killed));
    let restarting = |seen: &mut Observed| {
        of(seen, "pg-0").answer = Answer::Unknown;
        of(seen, "pg-0").restarted = Some(Duration::from_secs(1));
    };
    both(restarting, &begin("pg-2", Why::Killed));
    both(|seen| drop(seen.pods.remove("pg-0")), &begin("pg-2", Why::Gone));
    let deleted = Life::Ending { asked: Duration::ZERO, grace: 30 };
    both(|seen| of(seen, "pg-0").life = deleted, &begin("pg-2", Why::Deleted));
}

#[test]
fn a_primary_that_came_back_by_itself_stays() {
    both(|seen| of(seen, "pg-0").restarted = Some(Duration::from_secs(1)), &Step::Wait);
}

#[test]
fn a_daemon_that_just_began_asks_before_it_judges() {
    let unknown = |seen: &mut Observed| of(seen, "pg-0").answer = Answer::Unknown;
    both(unknown, &Step::Wait);
    let long_ago = |seen: &mut Observed| {
        of(seen, "pg-0").answer = Answer::Unknown;
        of(seen, "pg-0").restarted = Some(MINUTE);
    };
    both(long_ago, &Step::Wait);
}

#[test]
fn silence_counts_once_it_is_long() {
    let quiet = |secs, ready| {
        move |seen: &mut Observed| {
            of(seen, "pg-0").answer = silent(secs, true);
            of(seen, "pg-0").ready = ready;
        }
    };
    both(quiet(2, false), &Step::Wait);
    both(quiet(3, false), &begin("pg-2", Why::Silent));
    both(quiet(9, true), &Step::Wait);
    both(quiet(10, true), &begin("pg-2", Why::Silent));
    // A machine on which nobody answers is overloaded; that is no failure of one.
    let all = |seen: &mut Observed| seen.pods.values_mut().for_each(|pod| pod.answer = silent(60, true));
    both(all, &Step::Wait);
}

#[test]
fn without_a_healthy_replica_the_primary_restarts_in_place() {
    let alone = |seen: &mut Observed| {
        of(seen, "pg-0").life = Life::Ended;
        for name in ["pg-1", "pg-2"] {
            of(seen, name).life = Life::Starting;
            of(seen, name).answer = Answer::Unknown;
        }
    };
    both(alone, &Step::Wait);
    let young = |seen: &mut Observed| {
        of(seen, "pg-0").life = Life::Ended;
        for name in ["pg-1", "pg-2"] {
            of(seen, name).up = Duration::from_secs(1);
        }
    };
    both(young, &Step::Wait);
    let patient = |seen: &mut Observed| {
        young(seen);
        seen.down = Duration::from_secs(10);
    };
    both(patient, &begin("pg-2", Why::Killed));
}

#[test]
fn sync_mode_needs_everybody_whose_word_counted() {
    let one_quiet = |seen: &mut Observed| {
        of(seen, "pg-0").life = Life::Ended;
        of(seen, "pg-2").answer = silent(1, true);
    };
    check(Mode::Sync, one_quiet, &Step::Wait);
    check(Mode::Async, one_quiet, &begin("pg-1", Why::Killed));
    let recorded = |seen: &mut Observed| {
        one_quiet(seen);
        seen.topology.as_mut().unwrap().synchronous = Some(names(&["pg-1"]));
    };
    check(Mode::Sync, recorded, &begin("pg-1", Why::Killed));
}

#[test]
fn async_mode_bounds_what_is_lost() {
    let far = |seen: &mut Observed| {
        of(seen, "pg-0").life = Life::Ended;
        seen.last = Some(Position((1000 + (17 << 20)).to_string()));
    };
    check(Mode::Async, far, &Step::Wait);
    let gone = |seen: &mut Observed| {
        far(seen);
        seen.data_gone = true;
    };
    check(Mode::Async, gone, &begin("pg-2", Why::Killed));
    // A person may decide otherwise.
    let by_hand = |seen: &mut Observed| {
        far(seen);
        seen.switchover = Some("pg-1".into());
    };
    check(Mode::Async, by_hand, &begin("pg-1", Why::Killed));
}

/// `pg-2` is to take over; `pg-0` is as `change` makes it.
fn taking_over(why: Why, change: impl Fn(&mut Observed)) -> impl Fn(&mut Observed) {
    move |seen| {
        let topology = seen.topology.as_mut().unwrap();
        topology.primary = "pg-2".into();
        topology.takeover = Some(Takeover {
            from: "pg-0".into(),
            why,
            suspects: vec![Suspect { pod: "pg-0".into(), uid: "u0".into() }],
            voters: Some(names(&["pg-1", "pg-2"])),
            began: 0,
        });
        change(seen);
    }
}

#[test]
fn nobody_is_promoted_before_the_old_primary_is_dead() {
    let with = |why, life, held| {
        taking_over(why, move |seen| {
            of(seen, "pg-0").life = life;
            of(seen, "pg-0").held = held;
        })
    };
    let ending = |asked, grace| Life::Ending { asked: Duration::from_secs(asked), grace };
    for life in [Life::Starting, Life::Running, Life::Ended] {
        both(with(Why::Killed, life, false), &fence("pg-0", Fence::Kill));
    }
    // Held, but the daemon ended before it was deleted.
    both(with(Why::Killed, Life::Running, true), &fence("pg-0", Fence::Kill));
    both(with(Why::Killed, ending(0, 0), true), &Step::Wait);
    both(with(Why::Killed, ending(0, 30), false), &fence("pg-0", Fence::Shorten));
    both(with(Why::Killed, ending(0, 1), false), &Step::Wait);
    both(with(Why::Killed, Life::Dead, true), &promote("pg-2"));
    // In peace, for a while.
    let stop = Step::Stop { pod: "pg-0".into(), uid: "u0".into() };
    both(with(Why::Switchover, Life::Running, false), &stop);
    both(with(Why::Switchover, ending(9, 30), false), &Step::Wait);
    both(with(Why::Switchover, ending(10, 30), false), &fence("pg-0", Fence::Shorten));
}

#[test]
fn a_takeover_goes_on_wherever_it_was() {
    let gone = |change: fn(&mut Observed)| {
        taking_over(Why::Killed, move |seen| {
            seen.pods.remove("pg-0");
            change(seen);
        })
    };
    both(gone(|_| {}), &promote("pg-2"));
    let old = Duration::from_secs(2);
    let stale = |seen: &mut Observed| {
        seen.fenced = Duration::from_secs(1);
        for name in ["pg-1", "pg-2"] {
            if let Answer::Says { age, .. } = &mut of(seen, name).answer {
                *age = old;
            }
        }
    };
    both(
        taking_over(Why::Killed, move |seen| {
            seen.pods.remove("pg-0");
            stale(seen);
        }),
        &Step::Ask { pods: vec!["pg-1".into(), "pg-2".into()] },
    );
    both(gone(|seen| of(seen, "pg-2").answer = pod(2, Role::Primary, 990).answer), &Step::Finish);
    let other_knows_more =
        |seen: &mut Observed| of(seen, "pg-1").answer = pod(1, Role::Secondary, 995).answer;
    both(gone(other_knows_more), &Step::Retarget { to: "pg-1".into(), also: None });
    // A successor of the old pod that is not a primary need not be fenced.
    let successor = |seen: &mut Observed| {
        *of(seen, "pg-0") = pod(0, Role::Secondary, 900);
        of(seen, "pg-0").uid = "another".into();
    };
    both(taking_over(Why::Killed, successor), &promote("pg-2"));
}

#[test]
fn a_pod_that_vanished_is_given_time_to_die() {
    let vanished = |secs| {
        taking_over(Why::Gone, move |seen| {
            seen.pods.remove("pg-0");
            seen.fenced = Duration::from_secs(secs);
        })
    };
    both(vanished(1), &Step::Wait);
    both(vanished(2), &promote("pg-2"));
}

#[test]
fn a_target_that_dies_is_left_for_another() {
    let dies = |seen: &mut Observed| {
        seen.pods.remove("pg-0");
        of(seen, "pg-2").life = Life::Ended;
    };
    let retarget = Step::Retarget { to: "pg-1".into(), also: Some("pg-2".into()) };
    check(Mode::Async, taking_over(Why::Killed, dies), &retarget);
    // What only it may have is not given up.
    check(Mode::Sync, taking_over(Why::Killed, dies), &Step::Wait);
}

#[test]
fn a_second_primary_is_ended() {
    let rival = |seen: &mut Observed| of(seen, "pg-1").answer = pod(1, Role::Primary, 2000).answer;
    both(rival, &fence("pg-1", Fence::Kill));
    let during = |seen: &mut Observed| {
        seen.pods.remove("pg-0");
        rival(seen);
    };
    both(taking_over(Why::Killed, during), &fence("pg-1", Fence::Kill));
}

#[test]
fn switchovers_wait_or_say_why_not() {
    let ask = |name: &'static str| move |seen: &mut Observed| seen.switchover = Some(name.into());
    both(ask("pg-1"), &begin("pg-1", Why::Switchover));
    both(ask(""), &begin("pg-2", Why::Switchover));
    both(ask("pg-0"), &Step::Switched);
    let refuse = |why: &str| Step::Refuse { why: why.into() };
    both(ask("pg-7"), &refuse("there is no replica `pg-7`; choose one of pg-1, pg-2"));
    let alone = |seen: &mut Observed| {
        seen.switchover = Some(String::new());
        seen.wanted = 1;
    };
    both(alone, &refuse("there is no replica to switch to; scale the database up first"));
    let behind = |secs| {
        move |seen: &mut Observed| {
            seen.switchover = Some("pg-1".into());
            seen.switchover_for = Duration::from_secs(secs);
            of(seen, "pg-0").answer = pod(0, Role::Primary, 1000 + (2 << 20)).answer;
            seen.last = Some(Position((980 + (2 << 20)).to_string()));
        }
    };
    both(behind(1), &Step::Wait);
    both(behind(30), &refuse("pg-1 has not caught up within 30s: it lacks 2097152 bytes"));
    let done = taking_over(Why::Switchover, |seen| {
        seen.pods.remove("pg-0");
        seen.switchover = Some("pg-2".into());
        of(seen, "pg-2").answer = pod(2, Role::Primary, 990).answer;
    });
    both(done, &Step::Switched);
}

#[test]
fn scaling_down_moves_the_primary_first() {
    let last = |seen: &mut Observed| {
        seen.topology.as_mut().unwrap().primary = "pg-2".into();
        of(seen, "pg-2").answer = pod(2, Role::Primary, 1000).answer;
        of(seen, "pg-0").answer = pod(0, Role::Secondary, 1000).answer;
        seen.asked = 2;
    };
    both(last, &begin("pg-0", Why::ScaleDown));
}

#[test]
fn the_primary_knows_its_replicas() {
    let members = |synchronous: &[&str]| Step::Members {
        pod: "pg-0".into(),
        replicas: vec!["pg-1".into(), "pg-2".into()],
        synchronous: synchronous.iter().map(|name| (*name).to_owned()).collect(),
    };
    check(Mode::Async, |seen| seen.told = None, &members(&[]));
    check(Mode::Sync, |seen| seen.told = None, &members(&["pg-1", "pg-2"]));
    // Who keeps silent for long is left out, first at the primary, then in the record.
    let quiet = |seen: &mut Observed| of(seen, "pg-2").answer = silent(10, true);
    check(Mode::Sync, quiet, &members(&["pg-1"]));
    let told = |seen: &mut Observed| {
        quiet(seen);
        seen.told.as_mut().unwrap().synchronous = names(&["pg-1"]);
    };
    check(Mode::Sync, told, &Step::Record { synchronous: Some(vec!["pg-1".into()]) });
    let behind = |seen: &mut Observed| {
        told(seen);
        seen.told.as_mut().unwrap().position = Position("981".into());
    };
    check(Mode::Sync, behind, &Step::Wait);
    // Who is back is in the record first.
    let back = |seen: &mut Observed| {
        seen.told.as_mut().unwrap().synchronous = names(&["pg-1"]);
        seen.topology.as_mut().unwrap().synchronous = Some(names(&["pg-1"]));
    };
    check(Mode::Sync, back, &Step::Record { synchronous: None });
    // An engine that cannot be told keeps everybody.
    let anonymous = |seen: &mut Observed| {
        quiet(seen);
        seen.policy.names_synchronous = false;
    };
    check(Mode::Sync, anonymous, &Step::Wait);
}

#[test]
fn a_stopped_database_is_left_alone() {
    let stopped = |seen: &mut Observed| {
        seen.wanted = 0;
        of(seen, "pg-0").life = Life::Ending { asked: Duration::ZERO, grace: 30 };
    };
    both(stopped, &Step::Wait);
    let held = |seen: &mut Observed| {
        seen.wanted = 0;
        of(seen, "pg-0").life = Life::Dead;
        of(seen, "pg-0").held = true;
    };
    both(held, &Step::Release { pod: "pg-0".into(), uid: "u0".into() });
}

#[test]
fn a_pod_named_by_hand_is_promoted() {
    let named = |seen: &mut Observed| {
        seen.topology.as_mut().unwrap().primary = "pg-1".into();
        of(seen, "pg-0").answer = pod(0, Role::Secondary, 900).answer;
    };
    both(named, &Step::Retarget { to: "pg-2".into(), also: None });
    let best = |seen: &mut Observed| {
        named(seen);
        of(seen, "pg-2").answer = pod(2, Role::Secondary, 980).answer;
    };
    both(best, &promote("pg-1"));
}
