//! From what a caller says to the OCI configuration that the container is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde_json::{Value, json};

use crate::cgroup::{self, Hierarchy};
use crate::defaults::{self, ALL_CAPABILITIES, DEFAULT_PATH, MASKED_PATHS, READONLY_PATHS};
use crate::record::Record;
use crate::{ContainerSpec, Error, Mount, MountKind, Namespace, Resources, Seccomp};

/// The kernel's scheduling period that quotas are shares of.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// The OCI configuration for a root file system at `rootfs`, whose files may be looked at.
pub(crate) fn config(record: &Record, rootfs: &Path) -> Result<Value, Error> {
    let spec = &record.spec;
    let hierarchies = cgroup::hierarchies()?;
    let mut mounts = defaults::mounts(spec.privileged);
    mounts.extend(cgroup_mounts(&hierarchies, &record.cgroup(), spec.privileged));
    mounts.extend(spec.mounts.iter().map(mount));
    let devices = devices(spec)?;
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": rootfs, "readonly": spec.readonly_rootfs },
        "process": process(spec, rootfs),
        "mounts": mounts,
        "linux": {
            "cgroupsPath": record.cgroup(),
            "namespaces": namespaces(spec),
            "resources": resources(spec, &hierarchies, &devices),
            "devices": devices,
            "sysctl": spec.sysctls,
            "maskedPaths": listed(spec, spec.masked_paths.as_deref(), MASKED_PATHS),
            "readonlyPaths": listed(spec, spec.readonly_paths.as_deref(), READONLY_PATHS),
        },
    });
    if let (Some(name), Namespace::Own) = (&spec.hostname, &spec.uts) {
        config["hostname"] = name.as_str().into();
    }
    Ok(config)
}

/// The first process. Its capabilities and its filter are not here: the shim gives them up and
/// installs it with code that commands entering later share.
fn process(spec: &ContainerSpec, rootfs: &Path) -> Value {
    let env: Vec<String> = environment(spec, rootfs).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut process = json!({
        "terminal": spec.tty,
        "args": spec.args,
        "cwd": if spec.cwd.is_absolute() { spec.cwd.as_path() } else { Path::new("/") },
        "env": env,
        "user": {
            "uid": spec.user.uid, "gid": spec.user.gid,
            "additionalGids": spec.user.additional_gids, "umask": spec.user.umask,
        },
        "rlimits": rlimits(spec),
    });
    if spec.no_new_privileges {
        process["noNewPrivileges"] = true.into();
    }
    if let Some(adjustment) = spec.oom_score_adj {
        process["oomScoreAdj"] = oom_score(adjustment).into();
    }
    process
}

/// Always names `PATH` and `HOME`: a missing one would be looked up by code of the image.
fn environment(spec: &ContainerSpec, rootfs: &Path) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = spec.env.iter().cloned().collect();
    env.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
    env.entry("HOME".into())
        .or_insert_with(|| crate::passwd::home(rootfs, spec.user.uid).unwrap_or_else(|| "/".into()));
    if spec.tty {
        env.entry("TERM".into()).or_insert_with(|| "xterm".into());
    }
    if let Some(name) = &spec.hostname {
        env.entry("HOSTNAME".into()).or_insert_with(|| name.clone());
    }
    env
}

/// The capabilities asked for that exist and that this process may give.
pub(crate) fn capabilities(spec: &ContainerSpec) -> BTreeSet<String> {
    let held = held_capabilities();
    let wanted: Vec<String> = if spec.privileged {
        ALL_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect()
    } else {
        spec.capabilities.iter().map(|name| canonical(name)).collect()
    };
    wanted
        .into_iter()
        .filter(|name| {
            let position = NUMBERS.iter().position(|known| known == name);
            position.is_some_and(|bit| held & (1 << bit) != 0)
        })
        .collect()
}

fn canonical(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

/// The kernel numbers capabilities in the order of this list.
const NUMBERS: &[&str] = ALL_CAPABILITIES;

/// The bounding set of this process, as bits.
fn held_capabilities() -> u64 {
    status_mask("CapBnd:").unwrap_or(u64::MAX)
}

fn status_mask(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()
}

/// `CAP_SYS_RESOURCE`, without which neither scores go down nor limits up.
fn may_raise_limits() -> bool {
    const SYS_RESOURCE: u64 = 24;
    status_mask("CapEff:").is_some_and(|mask| mask & (1 << SYS_RESOURCE) != 0)
}

pub(crate) fn oom_score(wanted: i32) -> i32 {
    let wanted = wanted.clamp(-1000, 1000);
    if may_raise_limits() {
        return wanted;
    }
    let current = fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|t| t.trim().parse().ok());
    wanted.max(current.unwrap_or(0))
}

fn rlimits(spec: &ContainerSpec) -> Vec<Value> {
    let raise = may_raise_limits();
    let limits = spec.rlimits.iter().map(|limit| {
        let most = if raise { u64::MAX } else { current_hard(&limit.name).unwrap_or(u64::MAX) };
        let hard = limit.hard.min(most);
        json!({ "type": limit.name, "hard": hard, "soft": limit.soft.min(hard) })
    });
    limits.collect()
}

/// This process's own hard limit, from the table in `/proc`.
fn current_hard(name: &str) -> Option<u64> {
    let title = match name {
        "RLIMIT_NOFILE" => "Max open files",
        "RLIMIT_NPROC" => "Max processes",
        "RLIMIT_CORE" => "Max core file size",
        "RLIMIT_MEMLOCK" => "Max locked memory",
        "RLIMIT_STACK" => "Max stack size",
        "RLIMIT_CPU" => "Max cpu time",
        "RLIMIT_FSIZE" => "Max file size",
        "RLIMIT_DATA" => "Max data size",
        "RLIMIT_RSS" => "Max resident set",
        "RLIMIT_AS" => "Max address space",
        "RLIMIT_LOCKS" => "Max file locks",
        "RLIMIT_SIGPENDING" => "Max pending signals",
        "RLIMIT_MSGQUEUE" => "Max msgqueue size",
        "RLIMIT_NICE" => "Max nice priority",
        "RLIMIT_RTPRIO" => "Max realtime priority",
        "RLIMIT_RTTIME" => "Max realtime timeout",
        _ => return None,
    };
    let table = fs::read_to_string("/proc/self/limits").ok()?;
    let row = table.lines().find_map(|line| line.strip_prefix(title))?;
    // An unlimited value is no number.
    row.split_whitespace().nth(1)?.parse().ok()
}

fn namespaces(spec: &ContainerSpec) -> Vec<Value> {
    let mut list = vec![json!({ "type": "mount" })];
    if let Some(path) = &spec.netns {
        list.push(json!({ "type": "network", "path": path }));
    }
    for (kind, namespace) in [("pid", &spec.pid), ("ipc", &spec.ipc), ("uts", &spec.uts)] {
        match namespace {
            Namespace::Own => list.push(json!({ "type": kind })),
            Namespace::Host => {}
            Namespace::Path(path) => list.push(json!({ "type": kind, "path": path })),
        }
    }
    list
}

fn resources(spec: &ContainerSpec, hierarchies: &[Hierarchy], devices: &[Value]) -> Value {
    let Resources { cpu_millis_limit, cpu_millis_request, memory_limit_bytes, pids_limit } = spec.resources;
    let mut resources = json!({ "devices": device_rules(spec, devices) });
    // 1024 shares are one processor; two are the kernel's least.
    let shares = (cpu_millis_request.unwrap_or(0).saturating_mul(1024) / 1000).clamp(2, 262_144);
    resources["cpu"] = json!({ "shares": shares });
    if let Some(millis) = cpu_millis_limit.filter(|millis| *millis > 0) {
        let quota = millis.saturating_mul(CPU_PERIOD_MICROS) / 1000;
        resources["cpu"]["quota"] = quota.max(1000).into();
        resources["cpu"]["period"] = CPU_PERIOD_MICROS.into();
    }
    resources["memory"] = json!({});
    if let Some(bytes) = memory_limit_bytes.filter(|bytes| *bytes > 0) {
        resources["memory"]["limit"] = bytes.into();
        if cgroup::unified(hierarchies) {
            // A container that lost a process to the kernel must not limp on.
            resources["unified"] = json!({ "memory.oom.group": "1" });
        }
    }
    resources["pids"] = json!({ "limit": pids_limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1)) });
    resources
}

fn device_rules(spec: &ContainerSpec, devices: &[Value]) -> Vec<Value> {
    if spec.privileged {
        return vec![json!({ "allow": true, "access": "rwm" })];
    }
    let mut rules = defaults::device_rules();
    rules.extend(devices.iter().map(|device| {
        json!({ "allow": true, "type": device["type"], "major": device["major"],
                "minor": device["minor"], "access": "rwm" })
    }));
    rules
}

fn devices(spec: &ContainerSpec) -> Result<Vec<Value>, Error> {
    let mut list = Vec::new();
    if spec.privileged {
        host_devices(Path::new("/dev"), &mut list);
    }
    for device in &spec.devices {
        let path = &device.host_path;
        let file = |source| Error::File { attempt: "inspect device", path: path.clone(), source };
        let metadata = fs::metadata(path).map_err(file)?;
        let entry = device_entry(&device.container_path, &metadata)
            .ok_or_else(|| file(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a device")))?;
        list.push(entry);
    }
    Ok(list)
}

/// The host's devices, without the terminals and what the container has of its own.
fn host_devices(dir: &Path, list: &mut Vec<Value>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let own = [
            "pts", "shm", "mqueue", "fd", "console", "ptmx", "null", "zero", "full", "random", "urandom",
            "tty",
        ];
        if own.iter().any(|name| path == Path::new("/dev").join(name)) {
            continue;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            host_devices(&path, list);
        } else if let Some(device) = device_entry(&path, &metadata) {
            list.push(device);
        }
    }
}

fn device_entry(path: &Path, metadata: &fs::Metadata) -> Option<Value> {
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    Some(json!({ "path": path, "type": kind, "major": major, "minor": minor,
        "fileMode": metadata.mode() & 0o777, "uid": metadata.uid(), "gid": metadata.gid() }))
}

fn mount(mount: &Mount) -> Value {
    let access = if mount.read_only { "ro" } else { "rw" };
    let destination = mount.destination.to_string_lossy();
    match &mount.kind {
        MountKind::Bind { source } => {
            let options = ["rbind", access, defaults::propagation(mount.propagation)];
            defaults::mount(&destination, "bind", &source.to_string_lossy(), &options)
        }
        MountKind::Tmpfs { size_bytes } => {
            let size = size_bytes.map(|bytes| format!("size={bytes}"));
            let mut options = vec!["nosuid", "nodev", "mode=1777", access];
            options.extend(size.as_deref());
            defaults::mount(&destination, "tmpfs", "tmpfs", &options)
        }
    }
}

/// The container's own groups, and no others, where programs look for their limits.
fn cgroup_mounts(hierarchies: &[Hierarchy], group: &str, privileged: bool) -> Vec<Value> {
    let top = "/sys/fs/cgroup";
    let access = if privileged { "rw" } else { "ro" };
    let options = ["bind", access, "nosuid", "noexec", "nodev", "rprivate"];
    if cgroup::unified(hierarchies) {
        let dirs = hierarchies.iter().map(|h| h.dir(group));
        return dirs.map(|dir| defaults::mount(top, "bind", &dir.to_string_lossy(), &options)).collect();
    }
    let mut mounts =
        vec![defaults::mount(top, "tmpfs", "tmpfs", &["nosuid", "noexec", "nodev", "mode=755", "size=64k"])];
    for hierarchy in hierarchies.iter().filter(|h| has_limits(h)) {
        let dir = hierarchy.dir(group);
        let destination = hierarchy.root.to_string_lossy();
        mounts.push(defaults::mount(&destination, "bind", &dir.to_string_lossy(), &options));
    }
    mounts
}

/// The hierarchies that a container's group is made in and that say something to a program.
fn has_limits(hierarchy: &Hierarchy) -> bool {
    hierarchy.version != cgroup::Version::V2
        && ["cpu", "cpuacct", "cpuset", "memory", "pids"].iter().any(|name| hierarchy.has(name))
}

fn listed<'a>(spec: &ContainerSpec, asked: Option<&'a [String]>, usual: &[&'a str]) -> Vec<&'a str> {
    match asked {
        _ if spec.privileged => Vec::new(),
        Some(paths) => paths.iter().map(String::as_str).collect(),
        None => usual.to_vec(),
    }
}

/// The filter of a container with these capabilities, if it is to have one.
pub(crate) fn seccomp(spec: &ContainerSpec, capabilities: &BTreeSet<String>) -> Option<Value> {
    if spec.privileged {
        return None;
    }
    match &spec.seccomp {
        Seccomp::Default => Some(crate::seccomp::profile(capabilities)),
        Seccomp::Unconfined => None,
        Seccomp::Profile(profile) => Some(profile.clone()),
    }
}
