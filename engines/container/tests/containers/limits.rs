//! Limits, as the kernel has them, and what is counted.

use std::fs;
use std::path::PathBuf;

use sealos_container::{Resources, Rlimit};

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    ("limits_reach_the_kernel", limits_reach_the_kernel),
    ("too_much_memory_is_told", too_much_memory_is_told),
    ("too_many_processes_fail", too_many_processes_fail),
    ("usage_is_counted", usage_is_counted),
    ("scores_and_rlimits_are_clamped", scores_and_rlimits_are_clamped),
];

fn cgroup_file(machine: &Machine, controller: &str, v1: &str, v2: &str) -> String {
    let group = format!("{}/a", &machine.parent[1..]);
    let old = PathBuf::from("/sys/fs/cgroup").join(controller).join(&group).join(v1);
    let new = PathBuf::from("/sys/fs/cgroup").join(&group).join(v2);
    fs::read_to_string(old).or_else(|_| fs::read_to_string(new)).unwrap().trim().to_owned()
}

fn limits_reach_the_kernel(machine: &Machine) {
    let mut spec = machine.command("a", &["/bin/sleep", "1000"]);
    spec.resources = Resources {
        cpu_millis_limit: Some(500),
        cpu_millis_request: Some(250),
        memory_limit_bytes: Some(64 << 20),
        pids_limit: Some(77),
    };
    machine.run(machine.runtime.start(&spec)).unwrap();
    assert_eq!(cgroup_file(machine, "memory", "memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    let quota = cgroup_file(machine, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "50000" || quota == "50000 100000", "{quota}");
    assert_eq!(cgroup_file(machine, "pids", "pids.max", "pids.max"), "77");
    assert_ne!(cgroup_file(machine, "cpu", "cpu.shares", "cpu.weight"), "1024");
}

fn too_much_memory_is_told(machine: &Machine) {
    let mut spec = machine.spec("a", "x=$(yes | head -c 200000000 | tr '\\n' x); echo $x | wc -c");
    spec.resources.memory_limit_bytes = Some(16 << 20);
    let exit = machine.finish(&spec);
    assert!(exit.oom_killed && exit.code != 0, "{exit:?}");
}

fn too_many_processes_fail(machine: &Machine) {
    let mut spec = machine.spec("a", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo all");
    spec.resources.pids_limit = Some(4);
    machine.finish(&spec);
    assert!(!machine.log("a").iter().any(|line| line.contains("F all")), "{:?}", machine.log("a"));
}

fn usage_is_counted(machine: &Machine) {
    machine.run(machine.runtime.start(&machine.spec("a", "while :; do :; done"))).unwrap();
    machine
        .until("it used processor time", || machine.runtime.stats("a").unwrap().cpu_nanos_total > 20_000_000);
    let stats = machine.runtime.stats("a").unwrap();
    assert!(stats.memory_working_set > 0 && stats.memory_usage >= stats.memory_working_set, "{stats:?}");
    assert_eq!(stats.pids, 1);
}

fn scores_and_rlimits_are_clamped(machine: &Machine) {
    let mut spec = machine.spec("a", "cat /proc/self/oom_score_adj; grep 'open files' /proc/self/limits; grep 'core file' /proc/self/limits");
    spec.oom_score_adj = Some(-997);
    spec.rlimits = vec![
        Rlimit { name: "RLIMIT_NOFILE".into(), soft: 1 << 40, hard: 1 << 40 },
        Rlimit { name: "RLIMIT_CORE".into(), soft: 0, hard: 0 },
    ];
    // On a machine that grants everything a limit this high is refused by the kernel itself.
    spec.rlimits[0].hard = 1024;
    spec.rlimits[0].soft = 1 << 20;
    let text = machine.output(&spec);
    let score: i32 = text.lines().next().unwrap().parse().unwrap();
    assert!((-997..=0).contains(&score), "{text}");
    assert!(text.contains("1024"), "{text}");
    let mut spec = machine.spec("b", "cat /proc/self/oom_score_adj");
    spec.oom_score_adj = Some(900);
    assert_eq!(machine.output(&spec), "900");
}
