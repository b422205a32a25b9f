//! Who a container runs as and what it may do: the pod's and the container's security contexts.

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};
use sealos_container::{DEFAULT_CAPABILITIES, Seccomp, User};
use sealos_oci::{Image, Stack, users};

use crate::status::qos_class;

/// Why a container may not run as it asks to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{source}")]
    User {
        #[source]
        source: sealos_oci::Error,
    },
    #[error("container has runAsNonRoot and image will run as root (container: {container})")]
    Root { container: String },
    #[error("`{value}` is no user or group id")]
    Id { value: i64 },
    #[error("seccomp profile `{name}`: {reason}")]
    Seccomp { name: String, reason: String },
}

/// The two contexts that apply to one container; the container's own wins.
#[derive(Debug)]
pub(crate) struct Contexts {
    pod: PodSecurityContext,
    own: SecurityContext,
}

impl Contexts {
    pub(crate) fn of(pod: &Pod, container: &Container) -> Self {
        Self {
            pod: pod.spec.as_ref().and_then(|s| s.security_context.clone()).unwrap_or_default(),
            own: container.security_context.clone().unwrap_or_default(),
        }
    }

    /// The user, resolved in the image's own files.
    pub(crate) fn user(&self, container: &Container, image: &Image) -> Result<User, Error> {
        let named = image.config.config().as_ref().and_then(|c| c.user().clone()).unwrap_or_default();
        let wanted_user = self.own.run_as_user.or(self.pod.run_as_user);
        let wanted_group = self.own.run_as_group.or(self.pod.run_as_group);
        let spec = wanted_user.map_or(named, |uid| uid.to_string());
        let stack = Stack::new(image.layers.clone());
        let found = users::resolve(&stack, &spec).map_err(|source| Error::User { source })?;
        let non_root = self.own.run_as_non_root.or(self.pod.run_as_non_root) == Some(true);
        if non_root && found.uid == 0 {
            return Err(Error::Root { container: container.name.clone() });
        }
        let strict = self.pod.supplemental_groups_policy.as_deref() == Some("Strict");
        let mut groups = if strict { Vec::new() } else { found.groups };
        for extra in self.pod.supplemental_groups.iter().flatten().chain(&self.pod.fs_group) {
            groups.push(id(*extra)?);
        }
        groups.sort_unstable();
        groups.dedup();
        let gid = wanted_group.map_or(Ok(found.gid), id)?;
        Ok(User { uid: found.uid, gid, additional_gids: groups, umask: None })
    }

    pub(crate) fn privileged(&self) -> bool {
        self.own.privileged == Some(true)
    }

    pub(crate) fn read_only_root(&self) -> bool {
        self.own.read_only_root_filesystem == Some(true)
    }

    pub(crate) fn no_new_privileges(&self) -> bool {
        self.own.allow_privilege_escalation == Some(false)
    }

    /// The usual capabilities, with the container's wishes applied.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        let plain = |name: &String| name.trim_start_matches("CAP_").to_uppercase();
        let lists = self.own.capabilities.as_ref();
        let add: Vec<String> = lists.iter().flat_map(|l| l.add.iter().flatten()).map(plain).collect();
        let drop: Vec<String> = lists.iter().flat_map(|l| l.drop.iter().flatten()).map(plain).collect();
        let all = |list: &[String]| list.iter().any(|name| name == "ALL");
        let mut names: Vec<String> = if all(&add) {
            ALL_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect()
        } else if all(&drop) {
            Vec::new()
        } else {
            DEFAULT_CAPABILITIES.iter().map(|name| plain(&(*name).to_owned())).collect()
        };
        names.retain(|name| !drop.contains(name));
        names.extend(add.into_iter().filter(|name| name != "ALL"));
        names.sort();
        names.dedup();
        names
    }

    /// The profile, the usual one unless the pod wants another.
    pub(crate) fn seccomp(&self) -> Result<Seccomp, Error> {
        let profile = self.own.seccomp_profile.as_ref().or(self.pod.seccomp_profile.as_ref());
        match profile.map(|profile| (profile.type_.as_str(), profile)) {
            Some(("Unconfined", _)) => Ok(Seccomp::Unconfined),
            Some(("Localhost", profile)) => local_profile(profile),
            _ => Ok(Seccomp::Default),
        }
    }

    pub(crate) fn sysctls(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.pod.sysctls.iter().flatten().map(|s| (s.name.clone(), s.value.clone()))
    }

    /// Whether `/proc` shall be shown without masks.
    pub(crate) fn unmasked(&self) -> bool {
        self.own.proc_mount.as_deref() == Some("Unmasked")
    }
}

/// Where profiles of the machine's administrator lie.
const PROFILES: &str = "/var/lib/kubelet/seccomp";

fn local_profile(profile: &SeccompProfile) -> Result<Seccomp, Error> {
    let name = profile.localhost_profile.clone().unwrap_or_default();
    let failed = |reason: String| Error::Seccomp { name: name.clone(), reason };
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(failed(format!("it must lie below {PROFILES}")));
    }
    let text = std::fs::read(format!("{PROFILES}/{name}")).map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&text).map(Seccomp::Profile).map_err(|e| failed(e.to_string()))
}

fn id(value: i64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Id { value })
}

/// How willing the kernel shall be to end a container when memory runs out: -1000 never, 1000 first.
pub(crate) fn oom_score(pod: &Pod, container: &Container, memory: u64, may_protect: bool) -> i32 {
    let empty = k8s_openapi::api::core::v1::PodSpec::default();
    let score = match qos_class(pod.spec.as_ref().unwrap_or(&empty)) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let requests = container.resources.as_ref().and_then(|r| r.requests.as_ref());
            let request =
                requests.and_then(|r| r.get("memory")).and_then(crate::quantity::units).unwrap_or(0);
            let share = 1000 * request / i128::from(memory.max(1));
            i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
        }
    };
    if may_protect { score } else { score.max(0) }
}

const ALL_CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contexts(own: serde_json::Value) -> Contexts {
        let container: Container =
            serde_json::from_value(json!({"name": "c", "securityContext": own})).unwrap();
        Contexts::of(&Pod::default(), &container)
    }

    #[test]
    fn capabilities_are_added_and_dropped() {
        let names = |own| contexts(json!({"capabilities": own})).capabilities();
        assert_eq!(names(json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})), ["NET_BIND_SERVICE"]);
        assert_eq!(names(json!({"add": ["ALL"]})).len(), 41);
        let without = names(json!({"drop": ["CAP_CHOWN"]}));
        assert!(!without.contains(&"CHOWN".to_owned()) && without.contains(&"KILL".to_owned()));
        assert!(names(json!({"add": ["SYS_PTRACE"]})).contains(&"SYS_PTRACE".to_owned()));
    }

    #[test]
    fn memory_pressure_hits_best_effort_first() {
        let check = |resources: serde_json::Value, may_protect, expected| {
            let pod: Pod = serde_json::from_value(
                json!({"spec": {"containers": [{"name": "c", "resources": resources}]}}),
            )
            .unwrap();
            let container = &pod.spec.as_ref().unwrap().containers[0];
            assert_eq!(oom_score(&pod, container, 1 << 30, may_protect), expected);
        };
        check(json!({}), true, 1000);
        check(json!({"requests": {"memory": "512Mi"}}), true, 500);
        check(json!({"limits": {"memory": "1Gi", "cpu": "1"}}), true, -997);
        check(json!({"limits": {"memory": "1Gi", "cpu": "1"}}), false, 0);
    }
}
