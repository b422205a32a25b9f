//! One served kind, built-in or custom, and everything the API server asks about it.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::crd::Custom;
use crate::decode::{self, FieldValidation, Problem};
use crate::field::FieldErrors;
use crate::patch::{self, PatchError};
use crate::schema::{self, SchemaRef};
use crate::selector::FieldSelector;
use crate::table::Column;
use crate::{crd, defaults, meta, scale, selector, table, validate};

/// A resource as discovery names it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub kind: Cow<'static, str>,
    pub list_kind: Cow<'static, str>,
    pub plural: Cow<'static, str>,
    pub singular: Cow<'static, str>,
    pub short_names: Vec<Cow<'static, str>>,
    pub categories: Vec<Cow<'static, str>>,
    pub namespaced: bool,
    pub verbs: &'static [&'static str],
    pub subresources: Vec<Subresource>,
    /// Whether `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// Group and version the objects are stored as, when it is not this one (see [`Resource::to_storage`]).
    pub storage: Option<(&'static str, &'static str)>,
    pub(crate) behaviour: Behaviour,
}

/// A part of a resource with its own path, such as `status` or `exec`.
#[derive(Clone, Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub verbs: &'static [&'static str],
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub kind: Cow<'static, str>,
}

/// Where a resource's rules come from.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    BuiltIn { definition: Cow<'static, str>, register: fn(&mut SchemaGenerator) -> Schema },
    Custom(Arc<Custom>),
}

/// What part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status (and metadata such as finalizers and labels where Kubernetes allows it).
    Status,
    /// Only `spec.ephemeralContainers` of a pod.
    EphemeralContainers,
    /// Only the resources of a pod's containers.
    Resize,
    /// Only the finalizers of a namespace.
    Finalize,
}

impl Resource {
    /// `v1` or `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`, as messages name a resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `Deployment.apps`, as messages name a kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_string() } else { format!("{}.{}", self.kind, self.group) }
    }

    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    pub fn is_custom(&self) -> bool {
        matches!(self.behaviour, Behaviour::Custom(_))
    }

    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    pub(crate) fn custom(&self) -> Option<&Custom> {
        match &self.behaviour {
            Behaviour::Custom(custom) => Some(custom),
            Behaviour::BuiltIn { .. } => None,
        }
    }

    /// The compiled schema, built on first use.
    pub fn schema(&self) -> SchemaRef<'_> {
        match &self.behaviour {
            Behaviour::BuiltIn { definition, .. } => schema::builtin(definition),
            Behaviour::Custom(custom) => custom.schema(),
        }
    }

    /// Checks types and unknown fields, normalises quantities, and drops what no field takes.
    ///
    /// The warnings are for the client's `Warning` headers; with [`FieldValidation::Strict`] they are an error.
    pub fn decode(&self, object: &mut Value, check: FieldValidation) -> Result<Vec<String>, Problem> {
        decode::decode(self, object, check)
    }

    /// Fills in what the user left out.
    pub fn default(&self, object: &mut Value) {
        match self.custom() {
            Some(custom) => crd::default(custom, object),
            None => defaults::apply(self, object),
        }
    }

    /// Clears what a creator may not set, starts the generation and the status.
    ///
    /// Call after [`Resource::default`], with name and uid already in the metadata: a Job selects by its uid.
    pub fn prepare_create(&self, object: &mut Value) {
        meta::prepare_create(self, object);
    }

    /// Keeps of `old` what this write may not change, and bumps the generation when the spec changed.
    pub fn prepare_update(&self, object: &mut Value, old: &Value, part: Part) {
        meta::prepare_update(self, object, old, part);
    }

    pub fn validate_create(&self, object: &Value) -> FieldErrors {
        validate::create(self, object)
    }

    pub fn validate_update(&self, object: &Value, old: &Value, part: Part) -> FieldErrors {
        validate::update(self, object, old, part)
    }

    /// Warnings a client should see for a valid but doubtful object.
    pub fn warnings(&self, object: &Value) -> Vec<String> {
        validate::warnings(self, object)
    }

    /// Whether objects of this kind can be selected by these fields; the error is the Status message.
    pub fn check_fields(&self, selector: &FieldSelector) -> Result<(), String> {
        selector::check_fields(self, selector)
    }

    /// Whether the object has the selected field values.
    pub fn matches_fields(&self, selector: &FieldSelector, object: &Value) -> bool {
        selector::matches_fields(self, selector, object)
    }

    pub fn columns(&self) -> Vec<Column> {
        table::columns(self)
    }

    /// The cells of one row, in the order of [`Resource::columns`].
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        table::cells(self, object, now)
    }

    /// Strategic merge patch; custom resources have none.
    pub fn strategic_merge(&self, current: &Value, patch: &Value) -> Result<Value, PatchError> {
        if self.is_custom() {
            return Err(PatchError::Unsupported);
        }
        patch::strategic(self.schema(), current, patch)
    }

    /// The `Scale` of an object, for kinds with that subresource.
    pub fn scale(&self, object: &Value) -> Option<Value> {
        scale::read(self, object)
    }

    /// Writes `replicas` into an object.
    pub fn set_scale(&self, object: &mut Value, replicas: i64) {
        scale::write(self, object, replicas);
    }

    /// Turns an object of this version into the stored one.
    pub fn to_storage(&self, object: Value) -> Value {
        match self.storage {
            Some(to) => meta::convert(object, to),
            None => object,
        }
    }

    /// Turns a stored object (any served version of the kind) into this version.
    pub fn from_storage(&self, object: Value) -> Value {
        meta::convert(object, (&self.group, &self.version))
    }
}
