//! Objects as the rows that `kubectl get` prints.

use jiff::Timestamp;
use sealos_objects::Resource;
use serde_json::{Value, json};

use crate::encode;
use crate::request::Query;

/// What a row says about its object besides the cells.
#[derive(Clone, Copy)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    pub(crate) fn parse(query: &Query) -> Self {
        match query.get("includeObject") {
            Some("None") => Self::Nothing,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// A table without rows.
pub(crate) fn header(resource: &Resource, meta: Value) -> Value {
    let mut table = empty(meta);
    let columns = resource.columns().into_iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    });
    table["columnDefinitions"] = columns.collect();
    table
}

/// A table that leaves the columns to an earlier one.
pub(crate) fn empty(meta: Value) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": null, "rows": [],
    })
}

pub(crate) fn row(resource: &Resource, object: Value, include: Include, now: Timestamp) -> Value {
    let cells = resource.cells(&object, now);
    let object = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => encode::partial(&object),
        Include::Object => object,
    };
    json!({ "cells": cells, "object": object })
}

/// One object as a table.
pub(crate) fn single(resource: &Resource, object: Value, include: Include) -> Value {
    let meta = json!({ "resourceVersion": encode::meta(&object, "resourceVersion") });
    let mut table = header(resource, meta);
    table["rows"] = Value::Array(vec![row(resource, object, include, Timestamp::now())]);
    table
}
