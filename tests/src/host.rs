//! What a cloud may leave on the host: processes, mounts, links, tables, cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command::run;

/// Everything on this machine that belongs to some cloud below a directory.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Traces {
    /// Processes whose program or arguments name the directory.
    pub processes: BTreeSet<String>,
    /// Mounts at or below the directory.
    pub mounts: BTreeSet<String>,
    /// Network links of clouds.
    pub links: BTreeSet<String>,
    /// nftables tables of clouds.
    pub tables: BTreeSet<String>,
    /// Cgroups of clouds.
    pub cgroups: BTreeSet<String>,
}

/// What there is now. `id` is the id of the cloud, as in its `state.json`.
pub fn traces(data_dir: &Path, id: &str) -> Result<Traces> {
    let dir = data_dir.display().to_string();
    let short = id.get(..6).unwrap_or(id);
    Ok(Traces {
        processes: processes(&dir),
        mounts: lines("/proc/self/mountinfo", &dir),
        links: lines_of(&run(Command::new("ip").args(["-o", "link"]))?.stdout, &format!("sealos-{short}")),
        tables: lines_of(&run(Command::new("nft").args(["list", "tables"]))?.stdout, id),
        cgroups: cgroups(id),
    })
}

fn lines(file: &str, needle: &str) -> BTreeSet<String> {
    lines_of(&fs::read_to_string(file).unwrap_or_default(), needle)
}

fn lines_of(text: &str, needle: &str) -> BTreeSet<String> {
    text.lines().filter(|l| l.contains(needle)).map(str::to_owned).collect()
}

fn processes(dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = std::process::id().to_string();
    let command = |pid: String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains(dir) && pid != own).then(|| format!("{pid} {line}"))
    };
    entries.filter_map(|e| command(e.file_name().into_string().ok()?)).collect()
}

fn cgroups(id: &str) -> BTreeSet<String> {
    let name = format!("sealos-{id}");
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path());
    let roots = roots.chain([Path::new("/sys/fs/cgroup").to_owned()]);
    roots.map(|r| r.join(&name)).filter(|p| p.exists()).map(|p| p.display().to_string()).collect()
}
