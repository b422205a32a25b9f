//! ConfigMaps: scripts, parameters, and who leads.

use sealos_db_engines::names;
use sealos_db_engines::parameters::Archive;
use serde_json::{Value, json};

use super::{fingerprint, object};
use crate::wanted::Wanted;

/// The scripts of the engine.
pub(super) fn scripts(wanted: &Wanted) -> Value {
    let mut map = object(wanted, "v1", "ConfigMap", names::scripts_config(&wanted.name, &wanted.component));
    map["data"] = json!(wanted.engine.script_files());
    map
}

/// The engine's configuration.
pub(super) fn settings(wanted: &Wanted) -> Value {
    let mut map =
        object(wanted, "v1", "ConfigMap", names::parameters_config(&wanted.name, &wanted.component));
    map["data"] = files(wanted);
    map
}

/// File names and contents of the configuration.
pub(crate) fn files(wanted: &Wanted) -> Value {
    let archive = if wanted.archive { Archive::On } else { Archive::Off };
    json!(wanted.engine.config_files(&wanted.parameters, archive))
}

/// A fingerprint of the configuration.
pub(crate) fn config_fingerprint(wanted: &Wanted) -> String {
    fingerprint(&files(wanted))
}

/// Who leads a new database.
pub(crate) fn topology(wanted: &Wanted) -> Value {
    let mut map = object(wanted, "v1", "ConfigMap", names::topology_config(&wanted.name, &wanted.component));
    map["data"] = json!({ names::TOPOLOGY_PRIMARY: wanted.pod(0) });
    map
}
