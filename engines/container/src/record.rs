//! What is on disk about a container: how it was asked for, that it started, how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ContainerSpec, Error, StartFailure, files};

/// The names inside a container's directory.
pub(crate) const RECORD: &str = "container.json";
pub(crate) const STARTED: &str = "started.json";
pub(crate) const EXIT: &str = "exit.json";
pub(crate) const SOCKET: &str = "shim.sock";
pub(crate) const LOCK: &str = "lock";
pub(crate) const SHIM_LOG: &str = "shim.log";
pub(crate) const ROOTFS: &str = "rootfs";
pub(crate) const CONFINEMENT: &str = "confinement.json";
pub(crate) const FILTER: &str = "seccomp.bpf";
pub(crate) const OCI_STATE: &str = "oci";

/// Everything the shim needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) spec: ContainerSpec,
    pub(crate) cgroup_parent: String,
}

impl Record {
    pub(crate) fn cgroup(&self) -> String {
        format!("{}/{}", self.cgroup_parent, self.spec.id)
    }
}

/// What every process of a container gives up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Confinement {
    /// Those it keeps.
    pub(crate) capabilities: BTreeSet<String>,
    pub(crate) no_new_privileges: bool,
    /// Whether there is a system call filter beside.
    pub(crate) filtered: bool,
}

/// A container that came to life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// Its first process, as the host numbers it.
    pub pid: i32,
    pub started_at: Timestamp,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128 + signal when a signal ended it.
    pub code: i32,
    pub signal: Option<i32>,
    pub oom_killed: bool,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct ContainerState {
    pub id: String,
    pub pid: i32,
    pub started_at: Timestamp,
    pub labels: BTreeMap<String, String>,
    pub status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Running,
    Exited(Exit),
}

/// The shim's one line to the daemon that spawned it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Ready(Started),
    Failed { failure: StartFailure, reason: String },
}

/// One container's directory.
#[derive(Debug, Clone)]
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn record(&self) -> Result<Option<Record>, Error> {
        files::read_json(&self.path(RECORD))
    }

    pub(crate) fn started(&self) -> Result<Option<Started>, Error> {
        files::read_json(&self.path(STARTED))
    }

    pub(crate) fn exit(&self) -> Result<Option<Exit>, Error> {
        files::read_json(&self.path(EXIT))
    }

    /// Whether a shim is at work here. It holds the lock from its first to its last moment.
    pub(crate) fn shim_alive(&self) -> bool {
        files::is_locked(&self.path(LOCK))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }
}

impl Home {
    /// Blocks until the shim has let go of its lock, at most `limit`.
    pub(crate) fn wait_for_shim(&self, limit: std::time::Duration) {
        let deadline = std::time::Instant::now() + limit;
        while self.shim_alive() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
