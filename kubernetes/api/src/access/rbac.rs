//! Role-based access: what the stored roles and bindings allow.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sealos_objects::selector::LabelSelector;
use sealos_store::Store;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::authenticate::may_everything;
use crate::identity::Identity;
use crate::request::Attributes;

const GROUP: &str = "rbac.authorization.k8s.io";

/// One rule of a role.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) api_groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    pub(crate) paths: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Hash, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Subject {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
    labels: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    metadata: Meta,
    #[serde(default)]
    rules: Option<Vec<Rule>>,
    #[serde(default)]
    aggregation_rule: Option<Aggregation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Aggregation {
    cluster_role_selectors: Vec<Value>,
}

#[derive(Deserialize)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    metadata: Meta,
    #[serde(default)]
    subjects: Option<Vec<Subject>>,
    role_ref: RoleRef,
}

/// A set of rules given to some subjects, everywhere or in one namespace.
struct Grant {
    /// Empty for the whole cluster.
    namespace: String,
    rules: Arc<Vec<Rule>>,
}

/// All grants, by subject.
#[derive(Default)]
struct Grants {
    revision: Option<[u64; 4]>,
    by_subject: HashMap<Subject, Vec<Grant>>,
}

/// Answers from the stored roles; sees a change as soon as it is stored.
pub(crate) struct Rbac {
    store: Store,
    grants: Mutex<Arc<Grants>>,
}

impl Rbac {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, grants: Mutex::default() }
    }

    /// Whether `identity` may do this to a resource.
    pub(crate) fn allows(&self, identity: &Identity, asked: &Attributes) -> bool {
        if may_everything(identity) {
            return true;
        }
        self.any_rule(identity, &asked.namespace, |rule| rule.allows(asked))
    }

    /// Whether `identity` may use a path that is no resource.
    pub(crate) fn allows_path(&self, identity: &Identity, verb: &str, path: &str) -> bool {
        may_everything(identity) || self.any_rule(identity, "", |rule| rule.allows_path(verb, path))
    }

    /// Every rule that holds for `identity` in `namespace`.
    pub(crate) fn rules(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let mut found = Vec::new();
        if may_everything(identity) {
            let all = || vec!["*".to_owned()];
            let rule = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
            found.push(rule);
            found.push(Rule { verbs: all(), paths: all(), ..Rule::default() });
        }
        self.any_rule(identity, namespace, |rule| {
            if !found.contains(rule) {
                found.push(rule.clone());
            }
            false
        });
        found
    }

    fn any_rule(&self, identity: &Identity, namespace: &str, mut test: impl FnMut(&Rule) -> bool) -> bool {
        let grants = self.grants();
        subjects(identity)
            .filter_map(|subject| grants.by_subject.get(&subject))
            .flatten()
            .filter(|grant| grant.namespace.is_empty() || grant.namespace == namespace)
            .any(|grant| grant.rules.iter().any(&mut test))
    }

    fn grants(&self) -> Arc<Grants> {
        let buckets = ["clusterroles", "roles", "clusterrolebindings", "rolebindings"];
        let revision = buckets.map(|bucket| self.store.changed(&format!("{bucket}.{GROUP}/")));
        let mut grants = self.grants.lock();
        if grants.revision != Some(revision) {
            *grants = Arc::new(Grants { revision: Some(revision), by_subject: self.load() });
        }
        Arc::clone(&grants)
    }

    fn load(&self) -> HashMap<Subject, Vec<Grant>> {
        let mut roles: HashMap<(bool, String, String), Arc<Vec<Rule>>> = HashMap::new();
        for (plural, cluster) in [("clusterroles", true), ("roles", false)] {
            let found = self.read::<Role>(plural);
            for role in &found {
                let key = (cluster, role.metadata.namespace.clone(), role.metadata.name.clone());
                roles.insert(key, Arc::new(effective(role, &found)));
            }
        }
        let mut by_subject: HashMap<Subject, Vec<Grant>> = HashMap::new();
        for plural in ["clusterrolebindings", "rolebindings"] {
            for binding in self.read::<Binding>(plural) {
                let namespace = binding.metadata.namespace;
                let cluster = binding.role_ref.kind == "ClusterRole";
                let home = if cluster { String::new() } else { namespace.clone() };
                let Some(rules) = roles.get(&(cluster, home, binding.role_ref.name)) else { continue };
                for mut subject in binding.subjects.unwrap_or_default() {
                    if subject.kind != "ServiceAccount" {
                        subject.namespace.clear();
                    }
                    let grant = Grant { namespace: namespace.clone(), rules: Arc::clone(rules) };
                    by_subject.entry(subject).or_default().push(grant);
                }
            }
        }
        by_subject
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, plural: &str) -> Vec<T> {
        let entries = self.store.list(&format!("{plural}.{GROUP}/"), None, 0).entries;
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            match serde_json::from_slice(&entry.value) {
                Ok(object) => found.push(object),
                Err(error) => tracing::warn!(key = %entry.key, %error, "ignored: it cannot be read"),
            }
        }
        found
    }
}

/// A role's own rules, and those of the roles it aggregates.
fn effective(role: &Role, all: &[Role]) -> Vec<Rule> {
    let mut rules = role.rules.clone().unwrap_or_default();
    let Some(aggregation) = &role.aggregation_rule else { return rules };
    let selectors: Vec<LabelSelector> =
        aggregation.cluster_role_selectors.iter().filter_map(LabelSelector::from_json).collect();
    for other in all.iter().filter(|other| other.metadata.name != role.metadata.name) {
        if selectors.iter().any(|selector| selector.matches_labels(other.metadata.labels.as_ref())) {
            rules.extend(other.rules.iter().flatten().cloned());
        }
    }
    rules
}

/// Under which names bindings may know a caller.
fn subjects(identity: &Identity) -> impl Iterator<Item = Subject> {
    let named = |kind: &str, name: &str| Subject {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: String::new(),
    };
    let user = named("User", &identity.user);
    let account = identity.user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let account = account.map(|(namespace, name)| Subject {
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    });
    let groups = identity.groups.iter().map(move |group| named("Group", group));
    std::iter::once(user).chain(account).chain(groups)
}

impl Rule {
    pub(crate) fn allows(&self, asked: &Attributes) -> bool {
        has(&self.verbs, &asked.verb)
            && has(&self.api_groups, &asked.group)
            && self.names_resource(asked)
            && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
    }

    fn names_resource(&self, asked: &Attributes) -> bool {
        self.resources.iter().any(|own| {
            if own == "*" {
                return true;
            }
            match own.split_once('/') {
                None => asked.subresource.is_empty() && *own == asked.resource,
                Some((resource, sub)) => {
                    sub == asked.subresource && (resource == "*" || resource == asked.resource)
                }
            }
        })
    }

    fn allows_path(&self, verb: &str, path: &str) -> bool {
        has(&self.verbs, verb)
            && self.paths.iter().any(|own| match own.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => own == path,
            })
    }

    /// Whether this rule allows all that `other` does, taken alone.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let all = |own: &[String], wanted: &[String]| wanted.iter().all(|wanted| has(own, wanted));
        if !all(&self.verbs, &other.verbs) {
            return false;
        }
        if !other.paths.is_empty() {
            return other.paths.iter().all(|path| {
                self.allows_path("*", path) || self.paths.contains(path) || {
                    self.paths
                        .iter()
                        .any(|own| own.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
                }
            });
        }
        let names = self.resource_names.is_empty()
            || (!other.resource_names.is_empty()
                && other.resource_names.iter().all(|name| self.resource_names.contains(name)));
        let resource = |wanted: &String| {
            let (resource, sub) = wanted.split_once('/').unwrap_or((wanted, ""));
            let asked =
                Attributes { resource: resource.into(), subresource: sub.into(), ..Attributes::default() };
            self.resources.contains(wanted) || (wanted != "*" && self.names_resource(&asked))
        };
        names
            && all(&self.api_groups, &other.api_groups)
            && (has(&self.resources, "*") || other.resources.iter().all(resource))
    }
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|own| own == "*" || own == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Rule {
        let own = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Rule { verbs: own(verbs), api_groups: own(groups), resources: own(resources), ..Rule::default() }
    }

    fn asked(verb: &str, resource: &str, subresource: &str) -> Attributes {
        Attributes {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            ..Attributes::default()
        }
    }

    #[test]
    fn subresources_are_named_apart() {
        let pods = rule(&["get"], &[""], &["pods"]);
        assert!(pods.allows(&asked("get", "pods", "")));
        assert!(!pods.allows(&asked("get", "pods", "log")));
        assert!(!pods.allows(&asked("list", "pods", "")));
        assert!(rule(&["*"], &["*"], &["*/scale"]).allows(&asked("get", "deployments", "scale")));
    }

    #[test]
    fn covers_only_what_it_allows() {
        let edit = rule(&["get", "list"], &["", "apps"], &["pods", "deployments"]);
        assert!(edit.covers(&rule(&["get"], &[""], &["pods"])));
        assert!(!edit.covers(&rule(&["delete"], &[""], &["pods"])));
        assert!(!edit.covers(&rule(&["get"], &["batch"], &["pods"])));
        assert!(rule(&["*"], &["*"], &["*"]).covers(&edit));
    }
}
