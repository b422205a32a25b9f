//! Where objects are in the store: `<plural>.<group>/<namespace>/<name>`.

use sealos_objects::Resource;

/// The bucket of a resource; all versions share it, and so do groups with one storage.
pub(crate) fn bucket(resource: &Resource) -> String {
    let group = resource.storage.map_or(&*resource.group, |(group, _)| group);
    if group.is_empty() { resource.plural.to_string() } else { format!("{}.{group}", resource.plural) }
}

/// The prefix of all objects of a resource, or of those in one namespace.
pub(crate) fn prefix(resource: &Resource, namespace: &str) -> String {
    let mut prefix = bucket(resource);
    prefix.push('/');
    if resource.namespaced && !namespace.is_empty() {
        prefix.push_str(namespace);
        prefix.push('/');
    }
    prefix
}

/// The key of one object.
pub(crate) fn object(resource: &Resource, namespace: &str, name: &str) -> String {
    let mut key = prefix(resource, namespace);
    key.push_str(name);
    key
}
