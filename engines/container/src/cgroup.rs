//! The control groups of containers and shims, on v1, hybrid and v2 hosts alike.
//!
//! A group is one path, such as `/sealos-0a1b2c3d/web`, that exists in every mounted hierarchy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;

/// One mounted hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchy {
    pub(crate) root: PathBuf,
    pub(crate) version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    /// With these controllers, or named (`name=systemd`).
    V1(Vec<String>),
    V2,
}

/// The hierarchies mounted on this host.
pub(crate) fn hierarchies() -> Result<Vec<Hierarchy>, Error> {
    let source = "/proc/self/mountinfo";
    let text = fs::read_to_string(source).map_err(|error| Error::File {
        attempt: "read",
        path: source.into(),
        source: error,
    })?;
    Ok(parse(&text))
}

fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(root) = left.split(' ').nth(4).filter(|root| root.starts_with("/sys/fs/cgroup")) else {
            continue;
        };
        let mut right = right.split(' ');
        let version = match right.next() {
            Some("cgroup2") => Version::V2,
            Some("cgroup") => {
                let options = right.nth(1).unwrap_or_default();
                Version::V1(options.split(',').filter(|o| *o != "rw" && *o != "ro").map(Into::into).collect())
            }
            _ => continue,
        };
        if found.iter().all(|known| known.root != Path::new(root)) {
            found.push(Hierarchy { root: root.into(), version });
        }
    }
    found
}

impl Hierarchy {
    pub(crate) fn dir(&self, group: &str) -> PathBuf {
        self.root.join(group.trim_start_matches('/'))
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        match &self.version {
            Version::V1(controllers) => controllers.iter().any(|name| name == controller),
            Version::V2 => true,
        }
    }
}

/// The directory where a controller's files of a group are: v1 if mounted there, else v2.
pub(crate) fn controller_dir(hierarchies: &[Hierarchy], controller: &str, group: &str) -> Option<PathBuf> {
    let v1 = hierarchies.iter().find(|h| h.version != Version::V2 && h.has(controller));
    v1.or_else(|| hierarchies.iter().find(|h| h.version == Version::V2)).map(|h| h.dir(group))
}

/// Whether the only hierarchy is v2.
pub(crate) fn unified(hierarchies: &[Hierarchy]) -> bool {
    hierarchies.iter().all(|h| h.version == Version::V2)
}

/// Moves this process into a group in every hierarchy, making the group where it is missing.
/// A hierarchy that refuses is skipped: the process then stays where it was.
pub(crate) fn join(group: &str) -> Result<(), Error> {
    for hierarchy in hierarchies()? {
        let dir = hierarchy.dir(group);
        let joined = fs::create_dir_all(&dir)
            .and_then(|()| prepare_cpuset(&hierarchy, &dir))
            .and_then(|()| fs::write(dir.join("cgroup.procs"), "0"));
        if let Err(error) = joined {
            tracing::debug!(dir = %dir.display(), %error, "stay out of a control group");
        }
    }
    Ok(())
}

/// A v1 cpuset starts empty, and an empty one admits no process.
fn prepare_cpuset(hierarchy: &Hierarchy, dir: &Path) -> io::Result<()> {
    if hierarchy.version == Version::V2 || !hierarchy.has("cpuset") {
        return Ok(());
    }
    let mut chain: Vec<&Path> = dir.ancestors().take_while(|path| **path != hierarchy.root).collect();
    chain.reverse();
    for dir in chain {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if fs::read_to_string(dir.join(file))?.trim().is_empty() {
                let parent = dir.parent().unwrap_or(dir);
                fs::write(dir.join(file), fs::read_to_string(parent.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// The files to write `0` into for a process that is to join a group that exists.
pub(crate) fn join_files(group: &str) -> Result<Vec<fs::File>, Error> {
    let files = hierarchies()?.into_iter().filter_map(|hierarchy| {
        fs::OpenOptions::new().write(true).open(hierarchy.dir(group).join("cgroup.procs")).ok()
    });
    Ok(files.collect())
}

/// How often the kernel killed in a group for want of memory.
pub(crate) fn oom_kills(group: &str) -> u64 {
    let Ok(hierarchies) = hierarchies() else { return 0 };
    let Some(dir) = controller_dir(&hierarchies, "memory", group) else { return 0 };
    ["memory.oom_control", "memory.events"]
        .iter()
        .filter_map(|file| fs::read_to_string(dir.join(file)).ok())
        .find_map(|text| field(&text, "oom_kill"))
        .unwrap_or(0)
}

/// The number after a word in a file of `word number` lines.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}

/// Kills whatever is left in a group.
pub(crate) fn kill_all(group: &str) {
    let Ok(hierarchies) = hierarchies() else { return };
    for hierarchy in hierarchies {
        for pid in processes(&hierarchy.dir(group)) {
            let pid = nix::unistd::Pid::from_raw(pid);
            // Gone already is as good as killed.
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn processes(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Removes a group and those below it, killing what lives there. Blocks until the kernel lets go,
/// at most `limit`.
pub(crate) fn remove(group: &str, limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    for hierarchy in hierarchies()? {
        let dir = hierarchy.dir(group);
        while let Err(source) = remove_dir(&dir) {
            if Instant::now() > deadline {
                return Err(Error::File { attempt: "remove control group", path: dir, source });
            }
            kill_below(&dir);
            // The kernel tells nobody when a group becomes empty on v1.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

fn kill_below(dir: &Path) {
    for pid in processes(dir) {
        // Gone already is as good as killed.
        let _gone =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    for child in children(dir) {
        kill_below(&child);
    }
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    for child in children(dir) {
        remove_dir(&child)?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_hybrid_host() {
        let text = "\
30 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let found = parse(text);
        assert_eq!(found.len(), 3);
        assert!(found[0].has("cpuacct"));
        assert!(!unified(&found));
        assert_eq!(
            controller_dir(&found, "cpu", "/a/b"),
            Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/a/b"))
        );
        assert_eq!(controller_dir(&found, "memory", "/a"), Some(PathBuf::from("/sys/fs/cgroup/unified/a")));
    }

    #[test]
    fn finds_a_field() {
        assert_eq!(field("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom 1\n", "oom_kill"), None);
    }
}
