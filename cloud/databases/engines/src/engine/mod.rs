//! The engines: one description each. A further engine is a further folder and a line in [`ALL`].

mod mongodb;
mod mysql;
mod postgresql;
mod redis;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeMap;

use crate::images::Candidate;
use crate::parameters::{ARCHIVE, Archive, Checked, FILE, Parameter};

pub use mongodb::MONGODB;
pub use mysql::{MARIADB, MYSQL};
pub use postgresql::POSTGRESQL;
pub use redis::REDIS;
pub use version::{UnknownVersion, Upgrade, UpgradeRefused, Version};

/// Every engine there is.
pub const ALL: [&Engine; 5] = [&POSTGRESQL, &MYSQL, &MARIADB, &REDIS, &MONGODB];

/// What one kind of database is.
#[derive(Debug)]
pub struct Engine {
    /// The name in labels, in the CLI and in files, as in `postgresql`.
    pub name: &'static str,
    /// The name that people read, as in `PostgreSQL`.
    pub title: &'static str,
    /// Other names that mean it, as in `pg`.
    pub aliases: &'static [&'static str],
    /// The names of KubeBlocks' definitions: `clusterDefinitionRef`, `componentDefRef` and `componentDef`.
    pub definitions: &'static [&'static str],
    /// How KubeBlocks' version names begin, as in `ac-mysql-`.
    pub version_prefixes: &'static [&'static str],
    /// The name of the component in new clusters; also the default name of its definition.
    pub component: &'static str,
    /// Definitions of components that public templates add and that need no pods here: what they would
    /// do, the platform does.
    pub companions: &'static [&'static str],
    /// Further names of the primary Service: each is `<cluster>-<suffix>`.
    pub service_suffixes: &'static [&'static str],
    /// The port the server listens on.
    pub port: u16,
    /// The scheme of connection strings, as in `postgresql`.
    pub scheme: &'static str,
    /// The user that the credentials are for.
    pub user: &'static str,
    /// The database that exists from the beginning; empty where none has to be named.
    pub database: &'static str,
    /// The Secret that clients read.
    pub credentials: CredentialStyle,
    /// The version of new databases, as the versions are written.
    pub default_version: &'static str,
    /// Versions to offer, newest first. Others of the same majors are accepted too.
    pub versions: &'static [&'static str],
    /// The majors that the scripts know, oldest first.
    pub majors: &'static [&'static str],
    /// What a new database gets if nothing is said.
    pub sizes: Sizes,
    /// KubeBlocks' name of the backup method, as in `pg-basebackup`.
    pub backup_method: &'static str,
    /// Whether finished log segments can be archived, so that a point in time can be restored.
    pub log_archive: bool,
    /// Whether members.sh can name the replicas whose acknowledgement counts. Where not, any replica's
    /// does.
    pub names_synchronous: bool,
    /// File names and contents of the scripts; see [`crate::scripts`].
    pub scripts: &'static [(&'static str, &'static str)],
    /// The settings that users may change.
    pub parameters: &'static [Parameter],
    /// The ways to an image of a version, best first.
    pub(crate) candidates: fn(&Version) -> Vec<Candidate>,
    /// Writes one setting as a line of the engine's own configuration.
    pub(crate) setting: fn(&str, &str) -> String,
}

/// The Secret with a database's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStyle {
    /// `<cluster>-conn-credential`: username, password, host, port, endpoint and the headless ones.
    Connection,
    /// `<cluster>-<component>-account-<account>`: username and password; `<cluster>-conn-credential` is
    /// written too, since clients fall back to it.
    Account {
        /// The account, as in `default`.
        account: &'static str,
    },
}

impl CredentialStyle {
    /// The name of the Secret that clients look for first.
    pub fn secret(self, cluster: &str, component: &str) -> String {
        match self {
            Self::Connection => crate::names::credential_secret(cluster),
            Self::Account { account } => format!("{cluster}-{component}-account-{account}"),
        }
    }
}

/// What a new database gets, as Kubernetes writes amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The limit of CPU.
    pub cpu: &'static str,
    /// The limit of memory.
    pub memory: &'static str,
    /// The size of the volume.
    pub storage: &'static str,
    /// The least memory with which the server starts, in bytes.
    pub least_memory: u64,
}

/// There is no such engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no database engine `{given}`; there are {}", listed())]
pub struct UnknownEngine {
    given: String,
}

fn listed() -> String {
    ALL.map(|engine| format!("`{}`", engine.name)).join(", ")
}

/// Finds an engine by its name, an alias, or the name of a KubeBlocks definition or version.
pub fn find(given: &str) -> Result<&'static Engine, UnknownEngine> {
    let wanted = given.trim().to_lowercase();
    let named = |engine: &&&Engine| {
        engine.name == wanted
            || engine.aliases.contains(&wanted.as_str())
            || engine.definitions.contains(&wanted.as_str())
    };
    // Versioned definitions, as in `redis-7` or `mongodb-8.0.4`, and names of cluster versions.
    let versioned = |engine: &&&Engine| {
        engine.version_prefixes.iter().any(|prefix| {
            wanted.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let found = ALL.iter().find(named).or_else(|| ALL.iter().find(versioned));
    found.copied().ok_or_else(|| UnknownEngine { given: given.to_owned() })
}

/// Whether a definition names a component that needs no pods here, as in `redis-sentinel-7`.
pub fn is_companion(definition: &str) -> bool {
    ALL.iter().flat_map(|engine| engine.companions).any(|name| {
        definition.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

impl Engine {
    /// Reads a version as people and KubeBlocks write it: `16`, `16.4`, `16.4.0`, `postgresql-16.4.0`.
    /// Nothing means the default.
    pub fn version(&'static self, text: &str) -> Result<Version, UnknownVersion> {
        Version::parse(self, text)
    }

    /// The scripts as the data of a ConfigMap.
    pub fn script_files(&self) -> BTreeMap<String, String> {
        self.scripts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    /// What is mounted at [`crate::scripts::CONFIG_DIR`]: the data of the parameters ConfigMap.
    pub fn config_files(&self, parameters: &Checked, archive: Archive) -> BTreeMap<String, String> {
        let archive = if archive == Archive::On { "on" } else { "off" };
        let files = [(FILE, self.parameter_file(parameters)), (ARCHIVE, archive.to_owned())];
        files.map(|(name, text)| (name.to_owned(), text)).into()
    }

    /// A connection string.
    pub fn uri(&self, password: &str, host: &str) -> String {
        let path = if self.database.is_empty() { String::new() } else { format!("/{}", self.database) };
        format!("{}://{}:{}@{host}:{}{path}", self.scheme, self.user, escaped(password), self.port)
    }
}

/// A password as part of a URI.
fn escaped(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}
