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
    scripts: &[],
    parameters: parameters::ALL,
    candidates,
    setting: |name, value| format!("{name}={value}"),
};

fn candidates(version: &Version) -> Vec<Candidate> {
    vec![Candidate::Registry { image: format!("docker.io/library/mongo:{}", version.tag(3)) }]
}
