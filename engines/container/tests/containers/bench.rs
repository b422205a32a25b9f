//! How long it takes, with limits generous enough for a busy machine.

use std::time::{Duration, Instant};

use sealos_container::ExecSpec;

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[("starts_quickly", starts_quickly)];

fn starts_quickly(machine: &Machine) {
    let mut starts = Vec::new();
    let mut execs = Vec::new();
    let mut removals = Vec::new();
    for number in 0..20 {
        let mut spec = machine.command(&format!("c{number}"), &["/bin/sleep", "1000"]);
        if std::env::var_os("UNCONFINED").is_some() {
            spec.seccomp = sealos_container::Seccomp::Unconfined;
        }
        machine.run(async {
            let begun = Instant::now();
            machine.runtime.start(&spec).await.unwrap();
            starts.push(begun.elapsed());
            let begun = Instant::now();
            let mut exec = machine.runtime.exec(&spec.id, ExecSpec::new(["true"])).await.unwrap();
            exec.wait().await.unwrap();
            execs.push(begun.elapsed());
            let begun = Instant::now();
            machine.runtime.remove(&spec.id).await.unwrap();
            removals.push(begun.elapsed());
        });
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (start, exec, removal) = (median(&mut starts), median(&mut execs), median(&mut removals));
    println!("start {start:?}, exec {exec:?}, remove {removal:?} (medians of 20)");
    assert!(start < Duration::from_millis(500), "{start:?}");
}
