//! The small language in which the catalogue is written.

use std::borrow::Cow;

use k8s_openapi::schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::resource::{Behaviour, Resource, Subresource};

pub(crate) const FULL: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
pub(super) const CREATE: &[&str] = &["create"];
pub(super) const GET: &[&str] = &["get"];
pub(super) const STREAM: &[&str] = &["create", "get"];
pub(super) const CHANGE: &[&str] = &["get", "patch", "update"];
pub(super) const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

/// A kind with every verb and no subresources; the rest is added by the methods below.
pub(super) fn kind<T>(plural: &'static str) -> Entry
where
    T: k8s_openapi::Resource + JsonSchema,
{
    fn register<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
    Entry(Resource {
        group: Cow::Borrowed(T::GROUP),
        version: Cow::Borrowed(T::VERSION),
        kind: Cow::Borrowed(T::KIND),
        list_kind: Cow::Owned(format!("{}List", T::KIND)),
        plural: Cow::Borrowed(plural),
        singular: Cow::Owned(T::KIND.to_lowercase()),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        verbs: FULL,
        subresources: Vec::new(),
        generation: false,
        storage: None,
        behaviour: Behaviour::BuiltIn { definition: T::schema_name(), register: register::<T> },
    })
}

pub(super) struct Entry(pub(super) Resource);

impl Entry {
    pub(super) fn cluster(mut self) -> Self {
        self.0.namespaced = false;
        self
    }

    pub(super) fn short(mut self, names: &[&'static str]) -> Self {
        self.0.short_names = names.iter().copied().map(Cow::Borrowed).collect();
        self
    }

    /// Listed by `kubectl get all`.
    pub(super) fn all(mut self) -> Self {
        self.0.categories = vec![Cow::Borrowed("all")];
        self
    }

    pub(super) fn category(mut self, name: &'static str) -> Self {
        self.0.categories = vec![Cow::Borrowed(name)];
        self
    }

    pub(super) fn verbs(mut self, verbs: &'static [&'static str]) -> Self {
        self.0.verbs = verbs;
        self
    }

    /// Its spec is counted in `metadata.generation`.
    pub(super) fn generation(mut self) -> Self {
        self.0.generation = true;
        self
    }

    /// Stored as this other version of the same objects.
    pub(super) fn stored_as(mut self, group: &'static str, version: &'static str) -> Self {
        self.0.storage = Some((group, version));
        self
    }

    /// A subresource that takes and gives the kind itself.
    pub(super) fn sub(self, name: &'static str, verbs: &'static [&'static str]) -> Self {
        let (group, version) = (self.0.group.clone(), self.0.version.clone());
        let kind = self.0.kind.clone();
        self.push(Subresource { name, verbs, group, version, kind })
    }

    pub(super) fn status(self) -> Self {
        self.sub("status", CHANGE)
    }

    pub(super) fn scale(self) -> Self {
        self.sub_of("scale", CHANGE, ("autoscaling", "v1", "Scale"))
    }

    /// A subresource that takes another kind.
    pub(super) fn sub_of(
        self,
        name: &'static str,
        verbs: &'static [&'static str],
        of: (&'static str, &'static str, &'static str),
    ) -> Self {
        self.push(Subresource { name, verbs, group: of.0.into(), version: of.1.into(), kind: of.2.into() })
    }

    fn push(mut self, subresource: Subresource) -> Self {
        self.0.subresources.push(subresource);
        self
    }
}
