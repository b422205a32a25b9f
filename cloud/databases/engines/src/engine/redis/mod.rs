//! Redis 7, and Valkey 8, which continues it.

use super::{CredentialStyle, Engine, Sizes, Version};
use crate::images::Candidate;

mod parameters;

/// Redis and Valkey.
pub static REDIS: Engine = Engine {
    name: "redis",
    title: "Redis",
    aliases: &["valkey"],
    definitions: &["redis", "redis-7", "redis-8", "redis-cluster"],
    version_prefixes: &["redis-", "valkey-"],
    component: "redis",
    companions: &["redis-sentinel"],
    service_suffixes: &["redis", "redis-redis"],
    port: 6379,
    scheme: "redis",
    user: "default",
    database: "",
    credentials: CredentialStyle::Account { account: "default" },
    default_version: "7.2.7",
    versions: &["8.1.1", "7.2.7", "7.0.15"],
    majors: &["7.0", "7.2", "7.4", "8.0", "8.1"],
    sizes: Sizes { cpu: "500m", memory: "512Mi", storage: "1Gi", least_memory: 16 << 20 },
    backup_method: "datafile",
    log_archive: false,
    names_synchronous: false,
    scripts: SCRIPTS,
    parameters: parameters::ALL,
    candidates,
    setting: |name, value| format!("{name} {}", quoted(value)),
};

const SCRIPTS: &[(&str, &str)] = &[
    ("backup.sh", include_str!("scripts/backup.sh")),
    ("check.sh", include_str!("scripts/check.sh")),
    ("client.sh", include_str!("scripts/client.sh")),
    ("configure.sh", include_str!("scripts/configure.sh")),
    ("dump.sh", include_str!("scripts/dump.sh")),
    ("lib.sh", include_str!("scripts/lib.sh")),
    ("load.sh", include_str!("scripts/load.sh")),
    ("log-done.sh", include_str!("scripts/log-done.sh")),
    ("log-list.sh", include_str!("scripts/log-list.sh")),
    ("log-read.sh", include_str!("scripts/log-read.sh")),
    ("log-switch.sh", include_str!("scripts/log-switch.sh")),
    ("members.sh", include_str!("scripts/members.sh")),
    ("metrics.sh", include_str!("scripts/metrics.sh")),
    ("password.sh", include_str!("scripts/password.sh")),
    ("probe.sh", include_str!("scripts/probe.sh")),
    ("promote.sh", include_str!("scripts/promote.sh")),
    ("query.sh", include_str!("scripts/query.sh")),
    ("reload.sh", include_str!("scripts/reload.sh")),
    ("restore-base.sh", include_str!("scripts/restore-base.sh")),
    ("restore-end.sh", include_str!("scripts/restore-end.sh")),
    ("restore-log.sh", include_str!("scripts/restore-log.sh")),
    ("role.sh", include_str!("scripts/role.sh")),
    ("slow.sh", include_str!("scripts/slow.sh")),
    ("start.sh", include_str!("scripts/start.sh")),
];

const REDIS_PACKAGES: &[&str] = &["redis-server", "redis-tools"];
const VALKEY_PACKAGES: &[&str] = &["valkey-server", "valkey-tools"];

fn candidates(version: &Version) -> Vec<Candidate> {
    let tag = version.tag(3);
    let is_valkey = version.major().starts_with('8');
    let upstream = if is_valkey { "docker.io/valkey/valkey" } else { "docker.io/library/redis" };
    let number = version.number();
    let redis = Candidate::Packages {
        image: "sealos.local/redis:7.0".into(),
        suite: "bookworm",
        packages: REDIS_PACKAGES,
        finish: "",
        instead: (version.major() != "7.0").then(|| format!("Redis 7.0 instead of {number}")),
    };
    let valkey = Candidate::Packages {
        image: "sealos.local/valkey:8.1".into(),
        suite: "trixie",
        packages: VALKEY_PACKAGES,
        finish: "",
        instead: (!is_valkey)
            .then(|| format!("Valkey 8.1, which continues Redis 7.2, instead of Redis {number}")),
    };
    let packages = match version.major() {
        "7.0" => vec![redis],
        _ if is_valkey => vec![valkey],
        _ => vec![valkey, redis],
    };
    std::iter::once(Candidate::Registry { image: format!("{upstream}:{tag}") }).chain(packages).collect()
}

/// A value as one word of Redis' configuration; several words stay as they are, since settings such as
/// `client-output-buffer-limit` take them.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.:/+*@%,$".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
