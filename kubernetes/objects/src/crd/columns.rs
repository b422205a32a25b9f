//! The table of a custom resource.

use jiff::Timestamp;
use serde_json::Value;

use super::JsonPath;
use crate::table::{Column, custom_cell};
use crate::value::{int, text};

#[derive(Debug)]
pub(crate) struct CustomColumn {
    column: Column,
    path: JsonPath,
}

/// The column of a CRD that asks for none.
pub(super) fn age() -> CustomColumn {
    let column = Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: "Time since the object was created".to_owned(),
        priority: 0,
    };
    CustomColumn { column, path: JsonPath::of(&["metadata", "creationTimestamp"]) }
}

pub(super) fn given(column: &Value, path: JsonPath) -> CustomColumn {
    let own = |key: &str| text(column, &[key]).to_owned();
    let priority = int(column, &["priority"]).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let (name, kind, format, description) = (own("name"), own("type"), own("format"), own("description"));
    CustomColumn { column: Column { name, kind, format, description, priority }, path }
}

pub(super) fn columns(given: &[CustomColumn]) -> Vec<Column> {
    let name = Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: String::new(),
        priority: 0,
    };
    std::iter::once(name).chain(given.iter().map(|given| given.column.clone())).collect()
}

pub(super) fn cells(given: &[CustomColumn], object: &Value, now: Timestamp) -> Vec<Value> {
    let name = Value::from(text(object, &["metadata", "name"]));
    let cell = |given: &CustomColumn| {
        let found = given.path.find(object);
        // Several values are shown side by side.
        match found.as_slice() {
            [] | [_] => custom_cell(&given.column.kind, found.first().copied(), now),
            many => {
                let shown = many.iter().map(|value| match value.as_str() {
                    Some(text) => text.to_owned(),
                    None => value.to_string(),
                });
                shown.collect::<Vec<_>>().join(" ").into()
            }
        }
    };
    std::iter::once(name).chain(given.iter().map(cell)).collect()
}
