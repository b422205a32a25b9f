//! What the cluster adds to objects, and what it refuses, beyond the rules of their kind.

mod access;
mod defaults;
mod limits;
mod namespace;
mod pods;
mod quota;
mod services;
mod token_volume;

use sealos_objects::{Part, Resource};
use serde_json::Value;

use crate::call::Call;
use crate::definitions;
use crate::status::Status;

pub(crate) use quota::{Books, status as quota_status};
pub(crate) use services::Allocator;

/// The group of CustomResourceDefinitions.
const DEFINITIONS: &str = "apiextensions.k8s.io";

/// What an admitted write holds until it is done: addresses set aside, the quota's book.
#[derive(Default)]
pub(crate) struct Admitted {
    reserved: Option<services::Reserved>,
    quota: Option<quota::Held>,
}

impl Admitted {
    /// Whether the namespace's quotas have room for the object; holds the room until the write is done.
    pub(crate) async fn check_quota(
        &mut self,
        call: &Call,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Status> {
        self.quota = quota::check(call, old, new).await?;
        Ok(())
    }
}

/// Completes and checks an object to be created.
pub(crate) async fn create(call: &Call, object: &mut Value) -> Result<Admitted, Status> {
    namespace::check(call)?;
    let mut admitted = Admitted::default();
    match (&*call.resource.group, &*call.resource.kind) {
        ("", "Pod") => pods::create(call, object)?,
        ("", "Service") => admitted.reserved = services::allocate(call, None, object)?,
        ("", "PersistentVolumeClaim") => {
            defaults::storage_class(call, object)?;
            limits::claim(call, object)?;
        }
        ("networking.k8s.io", "Ingress") => defaults::ingress_class(call, object)?,
        ("rbac.authorization.k8s.io", _) => access::check(call, object)?,
        _ => {}
    }
    Ok(admitted)
}

/// Adds what only the server writes, after the object's status has been reset.
pub(crate) fn finish_create(call: &Call, object: &mut Value) {
    if is(&call.resource, "", "Namespace") {
        namespace::begin(object);
    }
    if is(&call.resource, DEFINITIONS, "CustomResourceDefinition") {
        definitions::begin(object);
        definitions::settle(&call.parts, object);
    }
}

/// The same for a change.
pub(crate) fn finish_update(call: &Call, part: Part, new: &mut Value) {
    if part == Part::Main && is(&call.resource, DEFINITIONS, "CustomResourceDefinition") {
        definitions::settle(&call.parts, new);
    }
}

/// Completes and checks an object to be changed.
pub(crate) async fn update(
    call: &Call,
    old: &Value,
    new: &mut Value,
    part: Part,
) -> Result<Admitted, Status> {
    let mut admitted = Admitted::default();
    if part != Part::Main {
        return Ok(admitted);
    }
    match (&*call.resource.group, &*call.resource.kind) {
        ("", "Service") => admitted.reserved = services::allocate(call, Some(old), new)?,
        ("rbac.authorization.k8s.io", _) if changes_rights(old, new) => access::check(call, new)?,
        _ => {}
    }
    Ok(admitted)
}

fn changes_rights(old: &Value, new: &Value) -> bool {
    ["rules", "subjects", "roleRef", "aggregationRule"].iter().any(|key| old.get(key) != new.get(key))
}

/// Refuses the deletion of what the cluster cannot be without.
pub(crate) fn delete(call: &Call, _object: &Value) -> Result<(), Status> {
    namespace::check_delete(call)
}

/// Whether a resource is this built-in one.
fn is(resource: &Resource, group: &str, kind: &str) -> bool {
    resource.group == group && resource.kind == kind
}
