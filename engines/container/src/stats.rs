//! What a container uses, read from its control groups.

use std::fs;
use std::path::Path;

use crate::{Error, cgroup};

/// A reading. Rates are the difference of two of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time since the start, in nanoseconds.
    pub cpu_nanos_total: u64,
    /// Memory that the kernel cannot take back without hurting: usage without idle file pages.
    pub memory_working_set: u64,
    pub memory_usage: u64,
    pub pids: u64,
}

pub(crate) fn read(group: &str) -> Result<Stats, Error> {
    let hierarchies = cgroup::hierarchies()?;
    let dir = |controller| cgroup::controller_dir(&hierarchies, controller, group);
    let mut stats = Stats::default();
    if let Some(dir) = dir("cpuacct") {
        stats.cpu_nanos_total = number(&dir, "cpuacct.usage")
            .or_else(|| listed(&dir, "cpu.stat", "usage_usec").map(|usec| usec.saturating_mul(1000)))
            .unwrap_or(0);
    }
    if let Some(dir) = dir("memory") {
        let usage = number(&dir, "memory.usage_in_bytes").or_else(|| number(&dir, "memory.current"));
        let idle = listed(&dir, "memory.stat", "total_inactive_file")
            .or_else(|| listed(&dir, "memory.stat", "inactive_file"));
        stats.memory_usage = usage.unwrap_or(0);
        stats.memory_working_set = stats.memory_usage.saturating_sub(idle.unwrap_or(0));
    }
    if let Some(dir) = dir("pids") {
        stats.pids = number(&dir, "pids.current").unwrap_or(0);
    }
    Ok(stats)
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
}

fn listed(dir: &Path, file: &str, name: &str) -> Option<u64> {
    cgroup::field(&fs::read_to_string(dir.join(file)).ok()?, name)
}
