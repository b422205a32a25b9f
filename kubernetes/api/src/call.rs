//! One request for a resource, with everything its handlers look at.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use sealos_objects::Resource;
use sealos_store::Entry;
use serde_json::Value;

use crate::identity::Identity;
use crate::keys;
use crate::request::{Attributes, Query};
use crate::server::Parts;
use crate::status::{Status, What};

/// A checked request: the caller is known and allowed, the resource exists.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) parts: Arc<Parts>,
    pub(crate) identity: Identity,
    pub(crate) asked: Attributes,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) resource: Arc<Resource>,
}

impl Call {
    /// The server's own work on an object.
    pub(crate) fn internal(
        parts: &Arc<Parts>,
        resource: &Arc<Resource>,
        namespace: &str,
        name: &str,
    ) -> Self {
        let asked = Attributes {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        Self {
            parts: Arc::clone(parts),
            identity: Identity::server(),
            asked,
            query: Query::default(),
            headers: HeaderMap::new(),
            resource: Arc::clone(resource),
        }
    }

    /// The resource as messages name it.
    pub(crate) fn what(&self) -> What {
        what(&self.resource)
    }

    /// The key of the object asked for.
    pub(crate) fn key(&self) -> String {
        keys::object(&self.resource, &self.asked.namespace, &self.asked.name)
    }

    /// The object asked for.
    pub(crate) fn entry(&self) -> Result<Entry, Status> {
        self.parts.store.get(&self.key()).ok_or_else(|| Status::not_found(&self.what(), &self.asked.name))
    }

    /// The same caller, asking for an object of another name.
    pub(crate) fn named(&self, namespace: &str, name: &str) -> Self {
        let mut call = self.clone();
        call.asked.namespace = namespace.to_owned();
        call.asked.name = name.to_owned();
        call
    }

    /// The same caller, asking for a built-in resource.
    pub(crate) fn about(&self, resource: &Arc<Resource>, namespace: &str, name: &str) -> Self {
        let mut call = self.named(namespace, name);
        call.asked.group = resource.group.to_string();
        call.asked.version = resource.version.to_string();
        call.asked.resource = resource.plural.to_string();
        call.asked.subresource.clear();
        call.resource = Arc::clone(resource);
        call
    }
}

pub(crate) fn what(resource: &Resource) -> What {
    What {
        group: resource.group.to_string(),
        resource: resource.plural.to_string(),
        kind: resource.kind.to_string(),
    }
}

/// A stored object, read; in the version it is stored in.
pub(crate) fn read(entry: &Entry) -> Result<Value, Status> {
    serde_json::from_slice(&entry.value).map_err(|error| {
        tracing::error!(key = %entry.key, %error, "a stored object cannot be read");
        Status::internal(format!("the stored object {} cannot be read", entry.key))
    })
}

/// Whether the stored bytes are what this version of the resource shows.
pub(crate) fn as_stored(resource: &Resource, value: &Bytes) -> bool {
    if resource.storage.is_some() {
        return false;
    }
    !resource.is_custom() || starts_with_version(value, &resource.api_version())
}

/// Objects are written with `apiVersion` first.
fn starts_with_version(value: &Bytes, version: &str) -> bool {
    let rest = value.strip_prefix(br#"{"apiVersion":""#.as_slice());
    rest.and_then(|rest| rest.strip_prefix(version.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&b'"'))
}

/// The bytes of an object in the version of `resource`.
pub(crate) fn shown(resource: &Resource, value: &Bytes) -> Bytes {
    if as_stored(resource, value) {
        return value.clone();
    }
    match serde_json::from_slice::<Value>(value) {
        Ok(object) => Bytes::from(resource.from_storage(object).to_string()),
        Err(_) => value.clone(),
    }
}
