//! MongoDB 6 to 8. No Debian package has it: its image comes from a registry or not at all.

use super::{CredentialStyle, Engine, Sizes, Version};
use crate::images::Candidate;

mod parameters;

/// MongoDB.
pub static MONGODB: Engine = Engine {
    name: "mongodb",
    title: "MongoDB",
    aliases: &["mongo"],
    definitions: &["mongodb"],
    version_prefixes: &["mongodb-"],
    component: "mongodb",
    companions: &[],
    service_suffixes: &["mongodb"],
    port: 27017,
    scheme: "mongodb",
    user: "root",
    database: "",
    credentials: CredentialStyle::Account { account: "root" },
    default_version: "8.0.4",
    versions: &["8.0.4", "7.0.16", "6.0.20"],
    majors: &["6.0", "7.0", "8.0"],
    sizes: Sizes { cpu: "1", memory: "1Gi", storage: "3Gi", least_memory: 256 << 20 },
    backup_method: "dump",
    log_archive: false,
    names_synchronous: false,
    scripts: SCRIPTS,
    parameters: parameters::ALL,
    candidates,
    setting: |name, value| format!("{name}={value}"),
};

const SCRIPTS: &[(&str, &str)] = &[
    ("backup.sh", include_str!("scripts/backup.sh")),
    ("check.sh", include_str!("scripts/check.sh")),
    ("client.sh", include_str!("scripts/client.sh")),
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

fn candidates(version: &Version) -> Vec<Candidate> {
    vec![Candidate::Registry { image: format!("docker.io/library/mongo:{}", version.tag(3)) }]
}
