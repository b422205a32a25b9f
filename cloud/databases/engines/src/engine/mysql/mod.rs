//! MySQL 8 and MariaDB. They share their scripts: where MySQL's image cannot be had, MariaDB serves in its
//! place, so the scripts look which server is there.

use super::{CredentialStyle, Engine, Sizes, Version};
use crate::images::Candidate;

mod parameters;

/// MySQL.
pub static MYSQL: Engine = Engine {
    name: "mysql",
    title: "MySQL",
    aliases: &["apecloud-mysql", "ac-mysql"],
    definitions: &["apecloud-mysql", "mysql", "ac-mysql"],
    version_prefixes: &["ac-mysql-", "mysql-"],
    component: "mysql",
    companions: &[],
    service_suffixes: &["mysql"],
    port: 3306,
    scheme: "mysql",
    user: "root",
    database: "mysql",
    credentials: CredentialStyle::Connection,
    default_version: "8.0.30",
    versions: &["8.4.2", "8.0.30"],
    majors: &["8.0", "8.4"],
    sizes: Sizes { cpu: "1", memory: "1Gi", storage: "3Gi", least_memory: 256 << 20 },
    backup_method: "xtrabackup",
    log_archive: true,
    names_synchronous: false,
    scripts: SCRIPTS,
    parameters: parameters::ALL,
    candidates: mysql_candidates,
    setting,
};

/// MariaDB.
pub static MARIADB: Engine = Engine {
    name: "mariadb",
    title: "MariaDB",
    aliases: &["maria"],
    definitions: &["mariadb"],
    version_prefixes: &["mariadb-"],
    component: "mariadb",
    companions: &[],
    service_suffixes: &["mysql"],
    port: 3306,
    scheme: "mysql",
    user: "root",
    database: "mysql",
    credentials: CredentialStyle::Connection,
    default_version: "10.11",
    versions: &["11.8", "11.4", "10.11"],
    majors: &["10.6", "10.11", "11.4", "11.8"],
    sizes: Sizes { cpu: "1", memory: "1Gi", storage: "3Gi", least_memory: 128 << 20 },
    backup_method: "mariabackup",
    log_archive: true,
    names_synchronous: false,
    scripts: SCRIPTS,
    parameters: parameters::ALL,
    candidates: mariadb_candidates,
    setting,
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
const PACKAGES: &[&str] = &["mariadb-server", "mariadb-client", "mariadb-backup", "zstd"];
/// The data directory that the package made belongs to nobody's database.
const FINISH: &str = "rm -rf /var/lib/mysql /var/log/mysql/* && mkdir -p /var/lib/mysql /run/mysqld\n\
                      chown mysql:mysql /var/lib/mysql /run/mysqld\n";

/// Sizes are `64M` here.
fn setting(name: &str, value: &str) -> String {
    let size = value.strip_suffix('B').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    format!("{name} = {}", size.map_or_else(|| value.to_owned(), |size| size.replace('k', "K")))
}

fn packaged(given: &str, suite: &'static str, instead: Option<String>) -> Candidate {
    let image = format!("sealos.local/mariadb:{given}");
    Candidate::Packages { image, suite, packages: PACKAGES, finish: FINISH, instead }
}

fn mysql_candidates(version: &Version) -> Vec<Candidate> {
    let registry = Candidate::Registry { image: format!("docker.io/library/mysql:{}", version.tag(3)) };
    let instead = format!(
        "MariaDB 10.11 instead of MySQL {}: clients connect in the same way, but JSON columns, roles and \
         some functions differ",
        version.number()
    );
    vec![registry, packaged("10.11", "bookworm", Some(instead))]
}

fn mariadb_candidates(version: &Version) -> Vec<Candidate> {
    let registry = Candidate::Registry { image: format!("docker.io/library/mariadb:{}", version.tag(3)) };
    let (given, suite) = match version.major() {
        "10.6" | "10.11" => ("10.11", "bookworm"),
        _ => ("11.8", "trixie"),
    };
    let instead =
        (given != version.major()).then(|| format!("MariaDB {given} instead of {}", version.number()));
    vec![registry, packaged(given, suite, instead)]
}
