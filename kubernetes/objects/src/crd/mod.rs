//! CustomResourceDefinitions: their own rules, and the resources they define.

mod checks;
mod columns;
mod compile;
mod definition;
mod formats;
mod instance;
mod jsonpath;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::Value;

use crate::catalogue::FULL_VERBS;
use crate::field::{FieldError, FieldErrors};
use crate::resource::{Behaviour, Resource, Subresource};
use crate::schema::{Arena, Id, SchemaRef};
use crate::table::Column;
use crate::value::{at, flag, list, text};
pub(crate) use checks::Checks;
use columns::CustomColumn;
pub(crate) use definition::{check as check_definition, check_change as check_definition_change};
pub(crate) use instance::{default, validate};
use jsonpath::JsonPath;

/// One served version of a custom resource. Its schema is compiled when the first object needs it: a cluster
/// has many definitions it hardly uses.
#[derive(Debug)]
pub(crate) struct Custom {
    /// The version's OpenAPI schema as the user wrote it, as JSON text.
    document: Box<str>,
    compiled: OnceLock<Compiled>,
    columns: Vec<CustomColumn>,
    selectable: Vec<String>,
    scale: Option<ScalePaths>,
}

#[derive(Debug)]
struct Compiled {
    arena: Arena,
    root: Id,
    rules: Option<kube_cel::CompiledSchema>,
}

impl Compiled {
    /// A definition is checked before it is served. Should its schema not compile all the same, nothing is
    /// known about its objects, and they are kept as they are.
    fn new(document: &Value) -> Self {
        let mut arena = Arena::default();
        match compile::root(&mut arena, document) {
            Ok(root) => Self { arena, root, rules: compile::rules(document) },
            Err(_) => {
                let mut arena = Arena::default();
                let root = compile::unknown(&mut arena);
                Self { arena, root, rules: None }
            }
        }
    }
}

/// Where a custom resource keeps its scale, as keys from the object's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) replicas: Vec<String>,
    pub(crate) status: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
}

impl Custom {
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| Compiled::new(&self.parsed()))
    }

    pub(crate) fn schema(&self) -> SchemaRef<'_> {
        let compiled = self.compiled();
        compiled.arena.at(compiled.root)
    }

    fn rules(&self) -> Option<&kube_cel::CompiledSchema> {
        self.compiled().rules.as_ref()
    }

    /// The schema as the user wrote it.
    pub(crate) fn document(&self) -> &str {
        &self.document
    }

    pub(crate) fn parsed(&self) -> Value {
        serde_json::from_str(&self.document).unwrap_or_default()
    }

    /// Fields it can be selected by, such as `spec.color`.
    pub(crate) fn selectable_fields(&self) -> &[String] {
        &self.selectable
    }

    pub(crate) fn scale(&self) -> Option<&ScalePaths> {
        self.scale.as_ref()
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        columns::columns(&self.columns)
    }

    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(&self.columns, object, now)
    }
}

/// The resources a CRD serves: one per served version, ready to use.
pub fn resources(crd: &Value) -> Result<Vec<Arc<Resource>>, FieldErrors> {
    let served = list(crd, &["spec", "versions"]).iter().filter(|version| flag(version, &["served"]));
    served.map(|version| resource(crd, version).map(Arc::new)).collect()
}

fn resource(crd: &Value, version: &Value) -> Result<Resource, FieldErrors> {
    let custom = custom(version)?;
    let names = |key: &str| -> String { text(crd, &["spec", "names", key]).to_owned() };
    let kind = names("kind");
    let or = |given: String, default: String| if given.is_empty() { default } else { given };
    let group = text(crd, &["spec", "group"]).to_owned();
    let strings = |key: &str| -> Vec<Cow<'static, str>> {
        let all = list(crd, &["spec", "names", key]).iter().filter_map(Value::as_str);
        all.map(|name| Cow::Owned(name.to_owned())).collect()
    };
    let name = text(version, &["name"]).to_owned();
    Ok(Resource {
        list_kind: or(names("listKind"), format!("{kind}List")).into(),
        singular: or(names("singular"), kind.to_lowercase()).into(),
        plural: names("plural").into(),
        short_names: strings("shortNames"),
        categories: strings("categories"),
        namespaced: text(crd, &["spec", "scope"]) != "Cluster",
        verbs: FULL_VERBS,
        subresources: subresources(version, &group, &name, &kind),
        generation: true,
        storage: None,
        group: group.into(),
        version: name.into(),
        kind: kind.into(),
        behaviour: Behaviour::Custom(Arc::new(custom)),
    })
}

fn subresources(version: &Value, group: &str, name: &str, kind: &str) -> Vec<Subresource> {
    const CHANGE: &[&str] = &["get", "patch", "update"];
    let mut all = Vec::new();
    if at(version, &["subresources", "status"]).is_some() {
        let (group, version, kind) =
            (group.to_owned().into(), name.to_owned().into(), kind.to_owned().into());
        all.push(Subresource { name: "status", verbs: CHANGE, group, version, kind });
    }
    if at(version, &["subresources", "scale"]).is_some() {
        let (group, version, kind) = ("autoscaling".into(), "v1".into(), "Scale".into());
        all.push(Subresource { name: "scale", verbs: CHANGE, group, version, kind });
    }
    all
}

fn custom(version: &Value) -> Result<Custom, FieldErrors> {
    let document = at(version, &["schema", "openAPIV3Schema"]).unwrap_or(&Value::Null).to_string();
    let keys = |path: &str| -> Vec<String> {
        path.trim_start_matches('.').split('.').map(ToOwned::to_owned).collect()
    };
    let scale = at(version, &["subresources", "scale"]).map(|scale| ScalePaths {
        replicas: keys(text(scale, &["specReplicasPath"])),
        status: keys(text(scale, &["statusReplicasPath"])),
        selector: scale.get("labelSelectorPath").and_then(Value::as_str).map(keys),
    });
    let selectable = list(version, &["selectableFields"]).iter();
    let selectable =
        selectable.map(|field| text(field, &["jsonPath"]).trim_start_matches('.').to_owned()).collect();
    Ok(Custom {
        document: document.into(),
        compiled: OnceLock::new(),
        columns: printer_columns(version)?,
        selectable,
        scale,
    })
}

fn printer_columns(version: &Value) -> Result<Vec<CustomColumn>, FieldErrors> {
    let given = list(version, &["additionalPrinterColumns"]);
    if given.is_empty() {
        return Ok(vec![columns::age()]);
    }
    let column = |column: &Value| -> Result<CustomColumn, FieldErrors> {
        let path = text(column, &["jsonPath"]);
        let path = JsonPath::parse(path).map_err(|problem| {
            let error = FieldError::invalid("additionalPrinterColumns.jsonPath", &path.into(), problem);
            FieldErrors(vec![error])
        })?;
        Ok(columns::given(column, path))
    };
    given.iter().map(column).collect()
}
