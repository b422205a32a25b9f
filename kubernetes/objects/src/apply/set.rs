//! Sets of fields, as `managedFields` keeps them: a tree whose edges are `f:name`, `k:{…}`, `v:…` and `i:n`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A node of the tree. The root stands for the whole object and is never a member itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// Whether the field at this node belongs to the set (and not only something below it).
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<String, Self>,
}

impl Set {
    /// Only the field itself.
    pub(crate) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Hangs `child` under `element`, unless it is empty.
    pub(crate) fn insert(&mut self, element: String, child: Self) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    /// Reads `fieldsV1`.
    pub(crate) fn from_json(fields: &Value) -> Self {
        let mut set = Self::default();
        for (key, value) in fields.as_object().into_iter().flatten() {
            if key == "." {
                set.member = true;
                continue;
            }
            let mut child = Self::from_json(value);
            child.member |= child.children.is_empty();
            set.children.insert(canonical(key), child);
        }
        set
    }

    /// Writes `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (key, child) in &self.children {
            let mut value = child.to_json();
            if let (true, false, Some(fields)) =
                (child.member, child.children.is_empty(), value.as_object_mut())
            {
                fields.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(key.clone(), value);
        }
        Value::Object(map)
    }

    pub(crate) fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, theirs) in &other.children {
            match self.children.get_mut(key) {
                Some(ours) => ours.union(theirs),
                None => {
                    self.children.insert(key.clone(), theirs.clone());
                }
            }
        }
    }

    /// Removes the members of `other`.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        self.children.retain(|key, ours| {
            if let Some(theirs) = other.children.get(key) {
                ours.subtract(theirs);
            }
            !ours.is_empty()
        });
    }

    /// The members both have.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (key, ours) in &self.children {
            if let Some(theirs) = other.children.get(key) {
                both.insert(key.clone(), ours.intersection(theirs));
            }
        }
        both
    }

    /// Every member as a path such as `.spec.containers[name="a"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect(&mut String::new(), &mut all);
        all
    }

    fn collect(&self, path: &mut String, all: &mut Vec<String>) {
        for (key, child) in &self.children {
            let length = path.len();
            path.push_str(&show(key));
            if child.member {
                all.push(path.clone());
            }
            child.collect(path, all);
            path.truncate(length);
        }
    }
}

pub(crate) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The parts of a key that carry JSON are written in one way only, so that keys compare as text.
fn canonical(key: &str) -> String {
    match key.split_at_checked(2) {
        Some((prefix @ ("k:" | "v:"), json)) => match serde_json::from_str::<Value>(json) {
            Ok(value) => format!("{prefix}{value}"),
            Err(_) => key.to_owned(),
        },
        _ => key.to_owned(),
    }
}

fn show(key: &str) -> String {
    match key.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", value)) => format!("[={value}]"),
        Some(("i:", index)) => format!("[{index}]"),
        Some(("k:", json)) => {
            let fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", fields.join(","))
        }
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
            "f:replicas": {},
            "f:containers": {r#"k:{"name":"a"}"#: {".": {}, "f:image": {}}}
        }})
    }

    #[test]
    fn survives_json() {
        assert_eq!(Set::from_json(&sample()).to_json(), sample());
    }

    #[test]
    fn paths_are_readable() {
        let paths = Set::from_json(&sample()).paths();
        assert!(paths.contains(&r#".spec.containers[name="a"].image"#.to_owned()), "{paths:?}");
        assert!(paths.contains(&".metadata.labels".to_owned()), "{paths:?}");
    }

    #[test]
    fn set_algebra() {
        let all = Set::from_json(&sample());
        let part = Set::from_json(&json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(all.intersection(&part), part);
        let mut rest = all.clone();
        rest.subtract(&part);
        assert!(rest.intersection(&part).is_empty());
        rest.union(&part);
        assert_eq!(rest, all);
    }
}
