//! Which resources are served: the built-in ones, and what CustomResourceDefinitions add.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sealos_objects::{Resource, catalogue, crd};
use sealos_store::Store;
use serde_json::Value;

/// Where the definitions of custom resources are kept.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io/";

type Index = HashMap<(String, String, String), Arc<Resource>>;

/// Finds resources by name; knows of a definition as soon as it is stored.
pub(crate) struct Registry {
    store: Store,
    builtin: Index,
    custom: Mutex<Arc<Custom>>,
}

/// The custom resources as of one revision of their definitions.
#[derive(Default)]
pub(crate) struct Custom {
    revision: Option<u64>,
    index: Index,
    pub(crate) resources: Vec<Arc<Resource>>,
}

impl Registry {
    pub(crate) fn new(store: Store) -> Self {
        let builtin = index(catalogue::builtin());
        Self { store, builtin, custom: Mutex::default() }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        match self.builtin.get(&key) {
            Some(found) => Some(Arc::clone(found)),
            None => self.custom().index.get(&key).cloned(),
        }
    }

    /// Every served resource, built-in ones first.
    pub(crate) fn all(&self) -> Vec<Arc<Resource>> {
        catalogue::builtin().iter().chain(self.custom().resources.iter()).cloned().collect()
    }

    /// The resource behind an `apiVersion` and `kind`.
    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let fits = |resource: &&Arc<Resource>| {
            resource.kind == kind && resource.group == group && resource.version == version
        };
        let custom = self.custom();
        catalogue::builtin().iter().chain(custom.resources.iter()).find(fits).cloned()
    }

    /// The custom resources, rebuilt when a definition has changed.
    pub(crate) fn custom(&self) -> Arc<Custom> {
        let revision = self.store.changed(DEFINITIONS);
        let mut custom = self.custom.lock();
        if custom.revision != Some(revision) {
            let resources = self.load();
            *custom = Arc::new(Custom { revision: Some(revision), index: index(&resources), resources });
        }
        Arc::clone(&custom)
    }

    fn load(&self) -> Vec<Arc<Resource>> {
        let mut found = Vec::new();
        for entry in self.store.list(DEFINITIONS, None, 0).entries {
            match serde_json::from_slice::<Value>(&entry.value) {
                Ok(definition) if established(&definition) => match crd::resources(&definition) {
                    Ok(resources) => found.extend(resources),
                    Err(errors) => {
                        tracing::error!(key = %entry.key, %errors, "a stored definition is invalid")
                    }
                },
                Ok(_) => {}
                Err(error) => tracing::error!(key = %entry.key, %error, "a stored definition cannot be read"),
            }
        }
        found
    }
}

fn index(resources: &[Arc<Resource>]) -> Index {
    let key = |r: &Resource| (r.group.to_string(), r.version.to_string(), r.plural.to_string());
    resources.iter().map(|resource| (key(resource), Arc::clone(resource))).collect()
}

/// Whether the definition's names were free, so that it is served.
fn established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    let holds = |condition: &Value| {
        condition.get("type").and_then(Value::as_str) == Some("Established")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    };
    conditions.is_some_and(|conditions| conditions.iter().any(holds))
}
