//! What happens to databases, each with the daemon ending at every point of its answer.

use super::everywhere;
use super::machine::Machine;
use crate::seen::{Mode, Role};

fn sync() -> Machine {
    Machine::new(Mode::Sync, 3)
}

fn pair() -> Machine {
    Machine::new(Mode::Async, 2)
}

fn moved(machine: &Machine) {
    assert_ne!(machine.topology.primary, "pg-0", "{:?}", machine.news);
}

#[test]
fn a_killed_primary_is_followed() {
    everywhere(sync, |machine| machine.kill("pg-0"), moved);
    everywhere(pair, |machine| machine.kill("pg-0"), moved);
}

#[test]
fn a_hung_primary_is_fenced() {
    let hang = |machine: &mut Machine| machine.pods.get_mut("pg-0").unwrap().hung = true;
    everywhere(sync, hang, moved);
    everywhere(pair, hang, moved);
}

#[test]
fn a_deleted_primary_ends_in_peace() {
    let check = |machine: &Machine| {
        moved(machine);
        let fenced = machine.news.iter().any(|news| news.reason == "Fenced");
        assert!(!fenced, "{:?}", machine.news);
    };
    everywhere(sync, |machine| machine.user_deletes("pg-0"), check);
    everywhere(pair, |machine| machine.user_deletes("pg-0"), check);
}

#[test]
fn a_pod_that_is_gone_is_replaced() {
    let gone = |machine: &mut Machine| drop(machine.pods.remove("pg-0"));
    everywhere(sync, gone, moved);
}

#[test]
fn a_switchover_moves_the_primary() {
    let check = |machine: &Machine| {
        assert_eq!(machine.topology.primary, "pg-2");
        assert_eq!(machine.refused, None);
    };
    everywhere(sync, |machine| machine.switchover = Some("pg-2".into()), check);
    everywhere(pair, |machine| machine.switchover = Some(String::new()), moved);
}

#[test]
fn a_second_primary_is_fenced() {
    // An engine that was promoted by somebody else.
    let rival = |machine: &mut Machine| machine.pods.get_mut("pg-1").unwrap().role = Some(Role::Primary);
    let (machine, _) = {
        let run = super::Run { machine: pair(), crash: super::Crash::Never };
        run.play_unchecked(rival)
    };
    machine.check_settled("a rival");
    assert_eq!(machine.topology.primary, "pg-0");
}

#[test]
fn a_killed_replica_moves_nothing() {
    for make in [sync, pair] {
        let (machine, _) =
            super::Run { machine: make(), crash: super::Crash::Never }.play(|m| m.kill("pg-1"));
        machine.check_settled("a replica");
        assert_eq!(machine.topology.primary, "pg-0", "{:?}", machine.news);
    }
}

#[test]
fn a_restarted_machine_gives_the_primary_its_time() {
    let reboot = |machine: &mut Machine| {
        for name in ["pg-0", "pg-1", "pg-2"] {
            machine.kill(name);
        }
    };
    let (machine, _) = super::Run { machine: sync(), crash: super::Crash::Never }.play(reboot);
    machine.check_settled("a reboot");
    assert_eq!(machine.topology.primary, "pg-0", "{:?}", machine.news);
}

#[test]
fn the_last_pod_restarts_in_place() {
    let alone = Machine::new(Mode::Sync, 1);
    let (machine, _) = super::Run { machine: alone, crash: super::Crash::Never }.play(|m| m.kill("pg-0"));
    machine.check_settled("alone");
}

#[test]
fn scaling_down_takes_the_primary_along() {
    let first = |machine: &mut Machine| machine.switchover = Some("pg-2".into());
    let (mut machine, _) = super::Run { machine: sync(), crash: super::Crash::Never }.play(first);
    assert_eq!(machine.topology.primary, "pg-2");
    machine.asked = 2;
    let (mut machine, _) = super::Run { machine, crash: super::Crash::Never }.play(|_| {});
    assert_ne!(machine.topology.primary, "pg-2");
    machine.wanted = 2;
    let (machine, _) = super::Run { machine, crash: super::Crash::Never }.play(|_| {});
    machine.check_settled("smaller");
    // Even if the workload shrinks first.
    let (mut machine, _) = super::Run { machine: sync(), crash: super::Crash::Never }.play(first);
    machine.asked = 2;
    machine.wanted = 2;
    let (machine, _) = super::Run { machine, crash: super::Crash::Never }.play(|_| {});
    machine.check_settled("smaller at once");
}
