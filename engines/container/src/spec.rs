//! What a caller says about a container. Plain data; everything host-specific is decided later.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique in this runtime: letters, digits, `_`, `-`, `.`.
    pub id: String,
    pub rootfs: Rootfs,
    pub args: Vec<String>,
    /// Later entries win. `PATH` and `HOME` are added when absent.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub user: User,
    /// Ignored when the container uses the host's host name.
    pub hostname: Option<String>,
    pub mounts: Vec<Mount>,
    /// A network namespace to join; `None` is the host's.
    pub netns: Option<PathBuf>,
    pub pid: Namespace,
    pub ipc: Namespace,
    pub uts: Namespace,
    pub resources: Resources,
    /// The capabilities the container may use, with or without `CAP_`. Ignored when privileged.
    pub capabilities: Vec<String>,
    pub seccomp: Seccomp,
    pub no_new_privileges: bool,
    pub readonly_rootfs: bool,
    /// All capabilities, all devices, no seccomp, nothing masked.
    pub privileged: bool,
    /// `None` is the usual list.
    pub masked_paths: Option<Vec<String>>,
    pub readonly_paths: Option<Vec<String>>,
    pub sysctls: BTreeMap<String, String>,
    pub rlimits: Vec<Rlimit>,
    pub devices: Vec<Device>,
    pub tty: bool,
    /// Give the container an open standard input that attached clients write to.
    pub stdin: bool,
    /// Close standard input when the first client that wrote to it leaves.
    pub stdin_once: bool,
    pub log: Option<LogConfig>,
    /// Keep output in the pipe until the first client attaches, so that none is lost.
    pub hold_output: bool,
    pub oom_score_adj: Option<i32>,
    pub labels: BTreeMap<String, String>,
}

impl ContainerSpec {
    /// A container with the usual isolation and no limits.
    pub fn new(id: impl Into<String>, rootfs: Rootfs, args: Vec<String>) -> Self {
        Self {
            id: id.into(),
            rootfs,
            args,
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            user: User::default(),
            hostname: None,
            mounts: Vec::new(),
            netns: None,
            pid: Namespace::Own,
            ipc: Namespace::Own,
            uts: Namespace::Own,
            resources: Resources::default(),
            capabilities: crate::DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
            seccomp: Seccomp::Default,
            no_new_privileges: false,
            readonly_rootfs: false,
            privileged: false,
            masked_paths: None,
            readonly_paths: None,
            sysctls: BTreeMap::new(),
            rlimits: Vec::new(),
            devices: Vec::new(),
            tty: false,
            stdin: false,
            stdin_once: false,
            log: None,
            hold_output: false,
            oom_score_adj: None,
            labels: BTreeMap::new(),
        }
    }
}

/// Where the container's files come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Rootfs {
    /// Read-only layers, top first, under a writable one. The mount exists only inside the
    /// container. `upper` and `work` are created when absent, on one filesystem, and removed with
    /// the container only if they lie in its own directory.
    Overlay { lower: Vec<PathBuf>, upper: PathBuf, work: PathBuf },
    /// A directory used as it is.
    Directory(PathBuf),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
    pub umask: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container; created when absent.
    pub destination: PathBuf,
    pub kind: MountKind,
    pub read_only: bool,
    pub propagation: Propagation,
}

impl Mount {
    /// A private, writable bind mount of a file or directory.
    pub fn bind(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self {
            destination: destination.into(),
            kind: MountKind::Bind { source: source.into() },
            read_only: false,
            propagation: Propagation::Private,
        }
    }

    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum MountKind {
    Bind {
        source: PathBuf,
    },
    /// Memory that only this container sees.
    Tmpfs {
        size_bytes: Option<u64>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    Private,
    /// Later mounts below the source appear in the container.
    HostToContainer,
}

/// Which namespace of one sort a container lives in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    Own,
    Host,
    /// An existing one, such as `/proc/<pid>/ns/pid`.
    Path(PathBuf),
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Resources {
    pub cpu_millis_limit: Option<u64>,
    pub cpu_millis_request: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    pub pids_limit: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Seccomp {
    /// Our table of allowed system calls.
    Default,
    Unconfined,
    /// A profile in the OCI form (`defaultAction`, `syscalls`, ...).
    Profile(serde_json::Value),
}

/// A resource limit by its `RLIMIT_` name, clamped to what this process may grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rlimit {
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

/// A device of the host, under the same or another name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub host_path: PathBuf,
    pub container_path: PathBuf,
}

/// A log in the CRI format: `<time> stdout|stderr F|P <text>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogConfig {
    /// The current file; older ones are `<path>.1`, `<path>.2`, ...
    pub path: PathBuf,
    /// A file is put aside before it grows beyond this.
    pub max_bytes: u64,
    /// How many files there may be, the current one included.
    pub max_files: u32,
}
