//! The container that a pod's container becomes: image, variables, mounts and limits put together.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use sealos_container::{
    ContainerSpec, LogConfig, Mount, MountKind, Namespace, Propagation, Resources, Rootfs,
};
use sealos_oci::Image;

use super::context::{Context, Sandbox, spec};
use super::labels;
use crate::expand::expand;
use crate::quantity;
use crate::security::{self, Contexts};
use crate::volumes::{self, Volumes, host};

/// A fork bomb ends here.
const PIDS: u64 = 32_768;
const LOG_BYTES: u64 = 10 << 20;
const LOG_FILES: u32 = 3;
const TERMINATION_MESSAGE_PATH: &str = "/dev/termination-log";

/// Why a container cannot be put together. Every reason may pass, when the pod or what it refers to
/// changes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Env(#[from] crate::env::Error),
    #[error(transparent)]
    Security(#[from] security::Error),
    #[error("volume mount `{name}`: {source}")]
    Mount {
        name: String,
        #[source]
        source: volumes::Error,
    },
    #[error("no command specified: neither the container nor its image names one")]
    NoCommand,
    #[error("{attempt} `{}`: {source}", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What a container is made from.
pub(crate) struct Parts<'a> {
    pub context: &'a Context,
    pub pod: &'a Pod,
    pub container: &'a Container,
    pub sandbox: &'a Sandbox,
    pub image: &'a Image,
    pub vars: BTreeMap<String, String>,
    pub attempt: i32,
}

impl Parts<'_> {
    pub(crate) fn build(&self) -> Result<ContainerSpec, Error> {
        let shared = &self.context.shared;
        let contexts = Contexts::of(self.pod, self.container);
        let id = labels::container_id(&self.context.uid, &self.container.name, self.attempt);
        let home = shared.container_dir(&id);
        let rootfs = Rootfs::Overlay {
            lower: self.image.layers.clone(),
            upper: home.join("upper"),
            work: home.join("work"),
        };
        let pod_spec = spec(self.pod);
        let mut spec = ContainerSpec::new(id, rootfs, self.args()?);
        spec.env = self.env();
        spec.cwd = self.cwd();
        spec.user = contexts.user(self.container, self.image)?;
        spec.hostname = self.sandbox.netns.is_some().then(|| self.sandbox.hostname.kernel.clone());
        spec.mounts = self.mounts()?;
        spec.netns.clone_from(&self.sandbox.netns);
        spec.pid = if pod_spec.host_pid == Some(true) { Namespace::Host } else { Namespace::Own };
        spec.ipc = if pod_spec.host_ipc == Some(true) { Namespace::Host } else { Namespace::Own };
        spec.uts = if self.sandbox.netns.is_none() { Namespace::Host } else { Namespace::Own };
        spec.resources = resources(self.container);
        spec.capabilities = contexts.capabilities();
        spec.seccomp = contexts.seccomp()?;
        spec.no_new_privileges = contexts.no_new_privileges();
        spec.readonly_rootfs = contexts.read_only_root();
        spec.privileged = contexts.privileged();
        if contexts.unmasked() {
            spec.masked_paths = Some(Vec::new());
            spec.readonly_paths = Some(Vec::new());
        }
        spec.sysctls = contexts.sysctls().collect();
        spec.tty = self.container.tty == Some(true);
        spec.stdin = self.container.stdin == Some(true);
        spec.stdin_once = self.container.stdin_once == Some(true);
        let log = log_path(&shared.log_dir(self.pod), &self.container.name, self.attempt);
        make_parent(&log)?;
        spec.log = Some(LogConfig { path: log, max_bytes: LOG_BYTES, max_files: LOG_FILES });
        let host = &shared.host;
        let score = security::oom_score(self.pod, self.container, host.memory, host.may_protect);
        spec.oom_score_adj = Some(score);
        spec.labels = labels::of(self.pod, &self.container.name, self.attempt);
        if let Some(signal) = self.image.config.config().as_ref().and_then(|c| c.stop_signal().clone()) {
            labels::set_stop_signal(&mut spec.labels, signal);
        }
        Ok(spec)
    }

    /// The image's entry point and arguments, or what the container names instead. A command without
    /// arguments also drops the image's arguments.
    fn args(&self) -> Result<Vec<String>, Error> {
        let config = self.image.config.config();
        let entrypoint = config.as_ref().and_then(|c| c.entrypoint().clone()).unwrap_or_default();
        let defaults = config.as_ref().and_then(|c| c.cmd().clone()).unwrap_or_default();
        let expanded = |list: &Option<Vec<String>>| -> Vec<String> {
            let list = list.iter().flatten();
            list.map(|word| expand(word, |name| self.vars.get(name).cloned())).collect()
        };
        let (command, args) = (expanded(&self.container.command), expanded(&self.container.args));
        let all = match (command.is_empty(), args.is_empty()) {
            (true, true) => [entrypoint, defaults].concat(),
            (true, false) => [entrypoint, args].concat(),
            (false, _) => [command, args].concat(),
        };
        if all.is_empty() { Err(Error::NoCommand) } else { Ok(all) }
    }

    /// The image's variables, then the container's.
    fn env(&self) -> Vec<(String, String)> {
        let image = self.image.config.config().as_ref().and_then(|c| c.env().clone()).unwrap_or_default();
        let mut vars: HashMap<String, String> = image
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        vars.entry("HOSTNAME".into()).or_insert_with(|| match self.sandbox.netns {
            Some(_) => self.sandbox.hostname.kernel.clone(),
            None => self.context.shared.host.hostname.clone(),
        });
        if self.container.tty == Some(true) {
            vars.entry("TERM".into()).or_insert_with(|| "xterm".into());
        }
        vars.extend(self.vars.clone());
        let mut vars: Vec<_> = vars.into_iter().collect();
        vars.sort();
        vars
    }

    fn cwd(&self) -> PathBuf {
        let image = self.image.config.config().as_ref().and_then(|c| c.working_dir().clone());
        let own = self.container.working_dir.clone().filter(|dir| !dir.is_empty());
        own.or(image.filter(|dir| !dir.is_empty())).unwrap_or_else(|| "/".into()).into()
    }

    /// The container's volumes and the node's own files, parents before children.
    fn mounts(&self) -> Result<Vec<Mount>, Error> {
        let mounted = self.container.volume_mounts.as_deref().unwrap_or_default();
        let volumes = self.sandbox.volumes.read();
        let mut mounts = Vec::new();
        for mount in mounted {
            let named = |source| Error::Mount { name: mount.name.clone(), source };
            mounts.push(self.volume_mount(mount, &volumes).map_err(named)?);
        }
        let etc = self.context.dir().join("etc");
        for name in ["hosts", "hostname", "resolv.conf"] {
            let own = Mount::bind(etc.join(name), format!("/etc/{name}"));
            if mounts.iter().all(|m| m.destination != own.destination) {
                mounts.push(own);
            }
        }
        let message = message_file(&self.context.dir(), &self.container.name, self.attempt);
        make_empty(&message)?;
        let path = self.container.termination_message_path.as_deref().unwrap_or(TERMINATION_MESSAGE_PATH);
        mounts.push(Mount::bind(message, path));
        mounts.sort_by_key(|mount| mount.destination.components().count());
        Ok(mounts)
    }

    fn volume_mount(&self, mount: &VolumeMount, volumes: &Volumes) -> Result<Mount, volumes::Error> {
        let unknown = || volumes::Error::Unknown { name: mount.name.clone() };
        let volume = volumes.get(&mount.name).ok_or_else(unknown)?;
        let sub = match (&mount.sub_path_expr, &mount.sub_path) {
            (Some(expr), _) if !expr.is_empty() => expand(expr, |name| self.vars.get(name).cloned()),
            (_, Some(sub)) => sub.clone(),
            _ => String::new(),
        };
        let source = if sub.is_empty() { volume.path.clone() } else { host::sub_path(&volume.path, &sub)? };
        let propagation = match mount.mount_propagation.as_deref() {
            Some("HostToContainer" | "Bidirectional") => Propagation::HostToContainer,
            _ => Propagation::Private,
        };
        Ok(Mount {
            destination: Path::new("/").join(&mount.mount_path),
            kind: MountKind::Bind { source },
            read_only: volume.read_only || mount.read_only == Some(true),
            propagation,
        })
    }
}

fn resources(container: &Container) -> Resources {
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    let positive = |value: i128| u64::try_from(value).ok().filter(|v| *v > 0);
    let limit = |name: &str| limits.and_then(|list| list.get(name));
    let request = |name: &str| requests.and_then(|list| list.get(name)).or_else(|| limit(name));
    Resources {
        cpu_millis_limit: limit("cpu").and_then(quantity::milli).and_then(positive),
        cpu_millis_request: request("cpu").and_then(quantity::milli).and_then(positive),
        memory_limit_bytes: limit("memory").and_then(quantity::units).and_then(positive),
        pids_limit: Some(PIDS),
    }
}

/// Where one attempt logs.
pub(crate) fn log_path(pod_logs: &Path, container: &str, attempt: i32) -> PathBuf {
    pod_logs.join(container).join(format!("{attempt}.log"))
}

/// Where one attempt leaves its last words.
pub(crate) fn message_file(pod_dir: &Path, container: &str, attempt: i32) -> PathBuf {
    pod_dir.join("messages").join(format!("{container}-{attempt}"))
}

fn make_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let failed = |source| Error::Io { attempt: "make", path: parent.to_owned(), source };
    std::fs::create_dir_all(parent).map_err(failed)
}

/// An empty file that any user of the container may write to.
fn make_empty(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |source| Error::Io { attempt: "make", path: path.to_owned(), source };
    make_parent(path)?;
    let file = std::fs::File::create(path).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o666)).map_err(failed)
}
