//! Schemas of the built-in kinds, compiled once from the definitions of the Kubernetes API types.

use std::sync::OnceLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::schemars::SchemaGenerator;
use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::{Arena, Bits, Format, Id, ListKind, Rest, SchemaRef, Shape, atomic_struct, list_facts};
use crate::resource::Behaviour;

const REFERENCE: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The schema of a definition such as `io.k8s.api.core.v1.Pod`.
pub fn builtin(definition: &str) -> SchemaRef<'static> {
    let arena = arena();
    arena.at(arena.find(definition).unwrap_or(Id(0)))
}

pub(crate) fn object_meta() -> SchemaRef<'static> {
    builtin(OBJECT_META)
}

/// The JSON schemas of all types reachable from the resources `keep` accepts, by definition name.
pub(crate) fn definitions(keep: impl Fn(&crate::Resource) -> bool) -> Map<String, Value> {
    let mut generator = generator();
    for resource in crate::catalogue::builtin().iter().filter(|r| keep(r)) {
        if let Behaviour::BuiltIn { register, .. } = &resource.behaviour {
            register(&mut generator);
        }
    }
    generator.subschema_for::<ObjectMeta>();
    generator.subschema_for::<k8s_openapi::api::autoscaling::v1::Scale>();
    generator.subschema_for::<k8s_openapi::api::policy::v1::Eviction>();
    generator.subschema_for::<k8s_openapi::api::authentication::v1::TokenRequest>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta>();
    generator.take_definitions(true)
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::openapi3();
    settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator()
}

fn arena() -> &'static Arena {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    ARENA.get_or_init(|| {
        let mut arena = Arena::default();
        arena.add(Shape::Any);
        for (name, schema) in definitions(|_| true) {
            let id = arena.named(&name);
            let shape = definition(&mut arena, &name, &schema);
            arena.set(id, super::Node { shape, rules: None });
        }
        arena
    })
}

fn definition(arena: &mut Arena, name: &str, schema: &Value) -> Shape {
    if name.ends_with("api.resource.Quantity") {
        return Shape::Quantity;
    }
    shape(arena, name, schema)
}

/// The shape of a schema that stands in the definition `owner`.
fn shape(arena: &mut Arena, owner: &str, schema: &Value) -> Shape {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return Shape::IntOrText;
    }
    if let Some(options) = schema.get("oneOf").and_then(Value::as_array) {
        return Shape::OneOf(options.iter().map(|option| child(arena, owner, option)).collect());
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "object" => object(arena, owner, schema),
        "array" => list(arena, owner, schema),
        "string" => Shape::Text(match format {
            "byte" => Format::Bytes,
            "date-time" => Format::Time,
            _ => Format::Plain,
        }),
        "integer" if format == "int32" => Shape::Integer(Bits::B32),
        "integer" => Shape::Integer(Bits::B64),
        "number" => Shape::Number,
        "boolean" => Shape::Boolean,
        _ => Shape::Any,
    }
}

fn child(arena: &mut Arena, owner: &str, schema: &Value) -> Id {
    // A reference with a description of its own is wrapped.
    if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return child(arena, owner, only);
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REFERENCE)) {
        return arena.named(name);
    }
    let shape = shape(arena, owner, schema);
    arena.add(shape)
}

fn object(arena: &mut Arena, owner: &str, schema: &Value) -> Shape {
    if let Some(entries) = schema.get("additionalProperties").filter(|entries| entries.is_object()) {
        let rest = Rest::Of(child(arena, owner, entries));
        return Shape::Object { fields: Vec::new(), rest, atomic: false };
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Shape::Any };
    let mut fields = Vec::with_capacity(properties.len());
    for (name, property) in properties {
        let id = child(arena, owner, property);
        annotate(arena, id, owner, name);
        fields.push((name.as_str().into(), id));
    }
    fields.sort_by(|(a, _): &(Box<str>, Id), (b, _)| a.cmp(b));
    Shape::Object { fields, rest: Rest::Drop, atomic: atomic_struct(owner) }
}

/// Lists start atomic; [`annotate`] knows better.
fn list(arena: &mut Arena, owner: &str, schema: &Value) -> Shape {
    let items = schema.get("items").map(|items| child(arena, owner, items));
    let items = items.unwrap_or_else(|| arena.add(Shape::Any));
    Shape::List { items, kind: ListKind::Atomic, merge_key: None, merge: false }
}

/// Adds how the list or map in this field merges.
fn annotate(arena: &mut Arena, id: Id, owner: &str, field: &str) {
    let Some(facts) = list_facts(owner, field) else { return };
    let Some(node) = arena.nodes.get_mut(id.0 as usize) else { return };
    match &mut node.shape {
        Shape::List { kind, merge_key, merge, .. } => {
            *kind = facts.kind();
            *merge_key = facts.merge_key.map(Into::into);
            *merge = facts.merges();
        }
        Shape::Object { atomic, rest: Rest::Of(_), .. } => *atomic = facts.list == "atomic",
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_through_references() {
        let deployment = builtin("io.k8s.api.apps.v1.Deployment");
        let pod = ["spec", "template", "spec"].iter().try_fold(deployment, |schema, name| schema.field(name));
        let containers = pod.and_then(|pod| pod.field("containers")).expect("a pod has containers");
        let Shape::List { kind, merge_key, .. } = containers.shape() else {
            unreachable!("containers are a list")
        };
        assert_eq!(kind, &ListKind::Map(vec!["name".into()]));
        assert_eq!(merge_key.as_deref(), Some("name"));
    }

    #[test]
    fn every_topology_fact_names_a_real_field() {
        for (owner, field) in super::super::topology::all() {
            let found = arena().find(owner).is_some_and(|id| arena().at(id).field(field).is_some());
            assert!(found, "{owner} has no field {field}");
        }
        for owner in super::super::topology::atomic_structs() {
            assert!(arena().find(owner).is_some(), "no type {owner}");
        }
    }
}
