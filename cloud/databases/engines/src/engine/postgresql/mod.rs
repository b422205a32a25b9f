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
    scripts: &[],
    parameters: parameters::ALL,
    candidates,
    setting: |name, value| format!("{name} = '{}'", value.replace('\'', "''")),
};

const BOOKWORM: &[&str] = &["postgresql-15", "postgresql-client-15", "zstd"];
const TRIXIE: &[&str] = &["postgresql-17", "postgresql-client-17", "zstd"];
/// The server's own start is ours; Debian's sample cluster and its wrappers are not needed.
const FINISH: &str = "rm -rf /etc/postgresql/* /var/lib/postgresql/* /var/log/postgresql/*\n";

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
