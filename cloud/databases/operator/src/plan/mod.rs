//! The objects of a database. Pure: no client, no clock, no randomness.

mod config;
mod services;
mod workload;

use sealos_db_engines::names;
use serde_json::{Value, json};

use crate::wanted::Wanted;

pub(crate) use config::{config_fingerprint, files, topology};
pub(crate) use services::{credentials, export, export_name};
pub(crate) use workload::revision_of as revision;

/// On pods and their template: a fingerprint of what a restart is needed for.
pub(crate) const REVISION: &str = "databases.sealos.io/revision";
/// On the StatefulSet: the version that its image was found for.
pub(crate) const VERSION_OF_IMAGE: &str = "databases.sealos.io/version";
/// On the StatefulSet: what the user must know of its image.
pub(crate) const IMAGE_NOTE: &str = "databases.sealos.io/image-note";

/// What does not come from the Cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The image.
    pub(crate) image: String,
    /// What the user must know of it.
    pub(crate) note: Option<String>,
    /// How many pods now; not always what is wanted, see `reconcile`.
    pub(crate) replicas: i32,
}

/// The objects of a database in the order in which they are written. Secrets with passwords and the
/// topology are made once, elsewhere.
pub(crate) fn plan(wanted: &Wanted, facts: &Facts) -> Vec<Value> {
    let mut all = vec![config::scripts(wanted), config::settings(wanted)];
    all.extend(services::services(wanted));
    all.push(workload::stateful_set(wanted, facts));
    all
}

/// An object of a database.
pub(crate) fn object(wanted: &Wanted, api_version: &str, kind: &str, name: String) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": wanted.namespace,
            "labels": wanted.labels(),
            "ownerReferences": wanted.owner(),
        },
    })
}

/// A fingerprint that stays the same from release to release.
fn fingerprint(value: &Value) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(value.to_string().as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The selector of the pod that takes writes.
fn primary(wanted: &Wanted) -> Value {
    let mut selector = wanted.selector();
    selector[names::ROLE] = json!(names::PRIMARY);
    selector
}

#[cfg(test)]
mod tests;
