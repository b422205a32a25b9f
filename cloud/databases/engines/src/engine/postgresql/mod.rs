//! PostgreSQL 14 to 17.

use super::{CredentialStyle, Engine, Sizes, Version};
use crate::images::Candidate;

mod parameters;

/// PostgreSQL.
pub static POSTGRESQL: Engine = Engine {
    name: "postgresql",
    title: "PostgreSQL",
    aliases: &["postgres", "pg", "pgsql"],
    definitions: &["postgresql"],
    version_prefixes: &["postgresql-", "postgres-"],
    component: "postgresql",
    companions: &[],
    service_suffixes: &[],
    port: 5432,
    scheme: "postgresql",
    user: "postgres",
    database: "postgres",
    credentials: CredentialStyle::Connection,
    default_version: "16.4.0",
    versions: &["17.5.0", "16.4.0", "15.7.0", "14.8.0"],
    majors: &["14", "15", "16", "17"],
    sizes: Sizes { cpu: "1", memory: "1Gi", storage: "3Gi", least_memory: 64 << 20 },
    backup_method: "pg-basebackup",
    log_archive: true,
    names_synchronous: true,
    scripts: SCRIPTS,
    parameters: parameters::ALL,
    candidates,
    setting: |name, value| format!("{name} = '{}'", value.replace('\'', "''")),
};

const SCRIPTS: &[(&str, &str)] = &[
    ("accounts.sh", include_str!("scripts/accounts.sh")),
    ("archive.sh", include_str!("scripts/archive.sh")),
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

const BOOKWORM: &[&str] = &["postgresql-15", "postgresql-client-15", "zstd"];
const TRIXIE: &[&str] = &["postgresql-17", "postgresql-client-17", "zstd"];
/// Debian's sample cluster is not needed; nor is the compiler for long queries, the largest part by far
/// (PostgreSQL does without if it is not there).
const FINISH: &str = "rm -rf /etc/postgresql/* /var/lib/postgresql/* /var/log/postgresql/*\n\
                      rm -rf /usr/lib/postgresql/*/lib/bitcode /usr/lib/postgresql/*/lib/llvmjit*\n\
                      rm -rf /usr/lib/*/libLLVM* /usr/lib/llvm* /usr/share/i18n /usr/share/locale\n";

fn candidates(version: &Version) -> Vec<Candidate> {
    let tag = version.tag(2);
    let registry = Candidate::Registry { image: format!("docker.io/library/postgres:{tag}") };
    let (given, suite, packages) = match version.major() {
        "14" | "15" => ("15", "bookworm", BOOKWORM),
        _ => ("17", "trixie", TRIXIE),
    };
    let instead =
        (given != version.major()).then(|| format!("PostgreSQL {given} instead of {}", version.number()));
    let image = format!("sealos.local/postgresql:{given}");
    vec![registry, Candidate::Packages { image, suite, packages, finish: FINISH, instead }]
}
