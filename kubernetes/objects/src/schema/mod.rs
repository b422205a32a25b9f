//! Compiled schemas: what shape a value has, how its lists and maps merge, what a custom field allows.
//!
//! One representation serves built-in and custom kinds; decoding, pruning, merging and field ownership walk it.

mod builtin;
mod topology;

use std::collections::HashMap;

use serde_json::Value;

pub use builtin::builtin;
pub(crate) use builtin::{definitions, object_meta};
pub(crate) use topology::{atomic_struct, list_facts};

/// Index of a node in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u32);

/// All nodes of one schema (or of all built-in kinds together).
#[derive(Debug, Default)]
pub(crate) struct Arena {
    nodes: Vec<Node>,
    names: HashMap<String, Id>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    /// What only custom resources have; boxed because most nodes have none.
    pub(crate) rules: Option<Box<Rules>>,
}

/// What kind of value stands here.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything; kept as it is.
    Any,
    Object {
        fields: Vec<(Box<str>, Id)>,
        rest: Rest,
        atomic: bool,
    },
    List {
        items: Id,
        kind: ListKind,
        merge_key: Option<Box<str>>,
        merge: bool,
    },
    Text(Format),
    Integer(Bits),
    Number,
    Boolean,
    IntOrText,
    Quantity,
    OneOf(Vec<Id>),
}

/// What an object does with fields it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are unknown, and dropped.
    Drop,
    /// They are kept without a look.
    Keep,
    /// They are the entries of a map.
    Of(Id),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    Map(Vec<Box<str>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Bytes,
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    B32,
    B64,
}

/// Value rules of a custom field.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) default: Option<Value>,
    pub(crate) nullable: bool,
    /// The object (the root itself, or one inside) has apiVersion, kind and metadata of its own.
    pub(crate) embedded: bool,
    pub(crate) checks: Option<Box<crate::crd::Checks>>,
}

impl Arena {
    pub(crate) fn add(&mut self, shape: Shape) -> Id {
        self.add_node(Node { shape, rules: None })
    }

    pub(crate) fn add_node(&mut self, node: Node) -> Id {
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    pub(crate) fn set(&mut self, id: Id, node: Node) {
        if let Some(slot) = self.nodes.get_mut(id.0 as usize) {
            *slot = node;
        }
    }

    /// The node called `name`, reserved now and filled later if it is new.
    pub(crate) fn named(&mut self, name: &str) -> Id {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.add(Shape::Any);
        self.names.insert(name.to_owned(), id);
        id
    }

    pub(crate) fn find(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    pub(crate) fn at(&self, id: Id) -> SchemaRef<'_> {
        SchemaRef { arena: self, id }
    }
}

/// A place in a schema.
#[derive(Clone, Copy, Debug)]
pub struct SchemaRef<'a> {
    arena: &'a Arena,
    id: Id,
}

static ANY: Node = Node { shape: Shape::Any, rules: None };

impl<'a> SchemaRef<'a> {
    pub(crate) fn node(self) -> &'a Node {
        self.arena.nodes.get(self.id.0 as usize).unwrap_or(&ANY)
    }

    pub(crate) fn shape(self) -> &'a Shape {
        &self.node().shape
    }

    pub(crate) fn rules(self) -> Option<&'a Rules> {
        self.node().rules.as_deref()
    }

    pub(crate) fn to(self, id: Id) -> Self {
        Self { arena: self.arena, id }
    }

    /// The schema of a field or map entry, if it is known.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        if name == "metadata" && self.rules().is_some_and(|rules| rules.embedded) {
            return Some(object_meta());
        }
        self.own_field(name)
    }

    /// The schema of a field as the custom schema itself has it, metadata included.
    pub(crate) fn own_field(self, name: &str) -> Option<Self> {
        let Shape::Object { fields, rest, .. } = self.shape() else { return None };
        match (fields.binary_search_by(|(key, _)| (**key).cmp(name)), rest) {
            (Ok(found), _) => fields.get(found).map(|(_, id)| self.to(*id)),
            (Err(_), Rest::Of(id)) => Some(self.to(*id)),
            (Err(_), Rest::Drop | Rest::Keep) => None,
        }
    }

    /// The alternative of a `oneOf` that takes a value of this JSON type; itself when there is no choice.
    pub(crate) fn choose(self, value: &Value) -> Self {
        let Shape::OneOf(options) = self.shape() else { return self };
        let fits = |option: Self| match option.shape() {
            Shape::Object { .. } => value.is_object(),
            Shape::List { .. } => value.is_array(),
            Shape::Boolean => value.is_boolean(),
            Shape::Text(_) => value.is_string(),
            _ => false,
        };
        options.iter().map(|id| self.to(*id)).find(|option| fits(*option)).unwrap_or(self)
    }
}
