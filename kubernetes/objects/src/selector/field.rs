//! Field selectors: `metadata.name=x,status.phase!=Running`, and which fields each kind offers.

use std::borrow::Cow;

use serde_json::Value;

use super::ParseError;
use crate::resource::Resource;
use crate::value::at;

/// All requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    pub field: String,
    pub equal: bool,
    pub value: String,
}

impl FieldSelector {
    /// Parses the text of a `fieldSelector` query parameter.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut requirements = Vec::new();
        for term in terms(text).into_iter().filter(|term| !term.is_empty()) {
            requirements.push(requirement(&term)?);
        }
        Ok(Self { requirements })
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// The exact value asked for this field, if any: lets a list of one name become a get.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.requirements.iter().find(|r| r.equal && r.field == field).map(|r| r.value.as_str())
    }
}

/// Splits at commas that no backslash protects; keeps the backslashes.
fn terms(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            all.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

fn requirement(term: &str) -> Result<FieldRequirement, ParseError> {
    let position = term.find(['=', '!']).ok_or_else(|| invalid(term))?;
    let (field, rest) = term.split_at(position);
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        (true, value)
    } else {
        return Err(invalid(term));
    };
    Ok(FieldRequirement { field: field.trim().to_owned(), equal, value: unescape(value, term)? })
}

fn invalid(term: &str) -> ParseError {
    ParseError(format!("invalid selector: '{term}'; can't understand '{term}'"))
}

fn unescape(value: &str, term: &str) -> Result<String, ParseError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                _ => return Err(invalid(term)),
            },
            '=' | ',' => return Err(invalid(term)),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// Fields a built-in kind can be selected by, besides `metadata.name` and `metadata.namespace`.
fn selectable(group: &str, kind: &str) -> &'static [&'static str] {
    match (group, kind) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => {
            &["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type"]
        }
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => &["status.replicas"],
        ("batch", "Job") => &["status.successful"],
        _ => &[],
    }
}

/// Whether this kind offers every selected field.
pub(crate) fn check_fields(resource: &Resource, selector: &FieldSelector) -> Result<(), String> {
    for requirement in selector.requirements() {
        let field = requirement.field.as_str();
        let known = field == "metadata.name"
            || (field == "metadata.namespace" && resource.namespaced)
            || (!resource.is_custom() && selectable(&resource.group, &resource.kind).contains(&field))
            || resource
                .custom()
                .is_some_and(|custom| custom.selectable_fields().iter().any(|known| known == field));
        if !known {
            return Err(format!("field label not supported: {field}"));
        }
    }
    Ok(())
}

/// Whether the object has the selected values. A missing field counts as empty.
pub(crate) fn matches_fields(resource: &Resource, selector: &FieldSelector, object: &Value) -> bool {
    selector.requirements().iter().all(|requirement| {
        let value = field_value(resource, object, &requirement.field);
        (value == requirement.value) == requirement.equal
    })
}

fn field_value<'a>(resource: &Resource, object: &'a Value, field: &str) -> Cow<'a, str> {
    match (resource.kind.as_ref(), field) {
        ("Job", "status.successful") => return scalar(at(object, &["status", "succeeded"]), "0"),
        ("Event", "source") => {
            let source = at(object, &["source", "component"]).or_else(|| at(object, &["reportingComponent"]));
            return scalar(source, "");
        }
        ("Pod", "spec.hostNetwork") | ("Node", "spec.unschedulable") => {
            return scalar(walk(object, field), "false");
        }
        ("ReplicaSet" | "ReplicationController", "status.replicas") => {
            return scalar(walk(object, field), "0");
        }
        _ => {}
    }
    scalar(walk(object, field), "")
}

fn walk<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    let mut here = object;
    for key in field.split('.') {
        here = here.as_object()?.get(key)?;
    }
    Some(here)
}

fn scalar<'a>(value: Option<&'a Value>, missing: &'static str) -> Cow<'a, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(missing),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::by_plural;

    fn pods() -> &'static Resource {
        by_plural("", "v1", "pods").expect("pods are built in")
    }

    #[test]
    fn selects_pods() {
        let pod =
            json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        for (text, expected) in [
            ("spec.nodeName=n1", true),
            ("spec.nodeName==n1,status.phase!=Failed", true),
            ("spec.nodeName=", false),
            ("status.podIP=", true),
            ("metadata.name=b", false),
            ("spec.hostNetwork=false", true),
        ] {
            let selector = FieldSelector::parse(text).expect(text);
            assert_eq!(pods().check_fields(&selector), Ok(()));
            assert_eq!(pods().matches_fields(&selector, &pod), expected, "{text}");
        }
    }

    #[test]
    fn refuses_unknown_fields() {
        let selector = FieldSelector::parse("spec.image=x").expect("parses");
        assert_eq!(pods().check_fields(&selector), Err("field label not supported: spec.image".to_owned()));
        assert!(FieldSelector::parse("nonsense").is_err());
    }

    #[test]
    fn unescapes() {
        let selector = FieldSelector::parse(r"metadata.name=a\,b\=c").expect("parses");
        assert_eq!(selector.exact("metadata.name"), Some("a,b=c"));
    }
}
