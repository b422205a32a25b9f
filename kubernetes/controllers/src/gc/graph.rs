//! Who owns whom, and what follows from it. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, PropagationPolicy};

use super::Uid;
use crate::meta::{self, Key};

pub(crate) const ORPHAN: &str = "orphan";
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// How many deleted uids are remembered, which saves asking the API for them.
const REMEMBERED: usize = 8192;

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: Uid,
    pub(crate) blocks: bool,
}

/// What the collector knows of an object.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) uid: Uid,
    pub(crate) kind: Arc<ApiResource>,
    pub(crate) key: Key,
    pub(crate) owners: Vec<Link>,
    pub(crate) deleting: bool,
    pub(crate) orphans: bool,
    pub(crate) foreground: bool,
}

impl Node {
    pub(crate) fn new(kind: Arc<ApiResource>, metadata: &ObjectMeta) -> Self {
        let link = |o: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference| Link {
            api_version: o.api_version.clone(),
            kind: o.kind.clone(),
            name: o.name.clone(),
            uid: o.uid.clone(),
            blocks: o.block_owner_deletion == Some(true),
        };
        Self {
            uid: meta::uid(metadata).to_owned(),
            kind,
            key: Key::of(metadata),
            owners: metadata.owner_references.iter().flatten().map(link).collect(),
            deleting: meta::is_deleting(metadata),
            orphans: meta::has_finalizer(metadata, ORPHAN),
            foreground: meta::has_finalizer(metadata, FOREGROUND),
        }
    }

    fn waits_for_dependents(&self) -> bool {
        self.deleting && self.foreground
    }
}

pub(crate) enum Step {
    Delete(PropagationPolicy),
    DropOwners(Vec<Uid>),
    DropFinalizer(&'static str),
    Look(Vec<Uid>),
    Orphan(Vec<Node>),
}

#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<Uid, Node>,
    dependents: HashMap<Uid, HashSet<Uid>>,
    deleted: HashSet<Uid>,
}

impl Graph {
    pub(crate) fn get(&self, uid: &str) -> Option<Node> {
        self.nodes.get(uid).cloned()
    }

    pub(crate) fn was_deleted(&self, uid: &str) -> bool {
        self.deleted.contains(uid)
    }

    /// Takes in an object; gives those to look at because of it.
    pub(crate) fn put(&mut self, node: Node) -> Vec<Uid> {
        let uid = node.uid.clone();
        let old = self.nodes.insert(uid.clone(), node);
        for link in old.iter().flat_map(|o| &o.owners) {
            self.unlink(&link.uid, &uid);
        }
        let Some(node) = self.nodes.get(&uid) else { return Vec::new() };
        for link in &node.owners {
            self.dependents.entry(link.uid.clone()).or_default().insert(uid.clone());
        }
        let mut look = Vec::new();
        let settled = |l: &Link| self.nodes.get(&l.uid).is_some_and(|o| !o.waits_for_dependents());
        let began = old.as_ref().is_none_or(|o| !o.deleting) && node.deleting;
        let doubtful = !node.deleting && !node.owners.iter().all(settled);
        if doubtful || (began && (node.orphans || node.foreground)) {
            look.push(uid);
        }
        // An object that lost an owner or started to leave may free the owner that waits for it.
        let before = old.iter().flat_map(|o| &o.owners);
        look.extend(before.filter(|l| !node.owners.contains(l)).map(|l| l.uid.clone()));
        look
    }

    /// Takes out an object; gives those to look at because of it.
    pub(crate) fn remove(&mut self, uid: &str) -> Vec<Uid> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        if self.deleted.len() >= REMEMBERED {
            self.deleted.clear();
        }
        self.deleted.insert(uid.to_owned());
        let mut look: Vec<Uid> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        for link in &node.owners {
            self.unlink(&link.uid, uid);
            if self.nodes.get(&link.uid).is_some_and(Node::waits_for_dependents) {
                look.push(link.uid.clone());
            }
        }
        look
    }

    pub(crate) fn uids_of(&self, kind: &ApiResource) -> Vec<Uid> {
        self.nodes.values().filter(|n| *n.kind == *kind).map(|n| n.uid.clone()).collect()
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(all) = self.dependents.get_mut(owner) {
            all.remove(dependent);
            if all.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    /// The owners of an object that the graph does not hold.
    pub(crate) fn unknown_owners(&self, uid: &str) -> Vec<Link> {
        let owners = self.nodes.get(uid).map(|n| n.owners.clone()).unwrap_or_default();
        owners.into_iter().filter(|l| !self.nodes.contains_key(&l.uid)).collect()
    }

    fn dependents_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|d| self.nodes.get(d))
    }

    /// What to do with an object, given which of its unknown owners are known to be absent.
    pub(crate) fn steps(&self, uid: &str, absent: &[Uid]) -> Vec<Step> {
        let Some(node) = self.nodes.get(uid) else { return Vec::new() };
        if node.deleting {
            return self.steps_of_deleted(node);
        }
        if node.owners.is_empty() {
            return Vec::new();
        }
        let (mut solid, mut waiting, mut dangling) = (0, Vec::new(), Vec::new());
        for link in &node.owners {
            match self.nodes.get(&link.uid) {
                Some(owner) if owner.waits_for_dependents() && link.blocks => waiting.push(link.uid.clone()),
                Some(_) => solid += 1,
                None if absent.contains(&link.uid) => dangling.push(link.uid.clone()),
                None => solid += 1,
            }
        }
        if solid > 0 {
            dangling.append(&mut waiting);
            return if dangling.is_empty() { Vec::new() } else { vec![Step::DropOwners(dangling)] };
        }
        let has_dependents = self.dependents_of(uid).next().is_some();
        let policy = match () {
            () if !waiting.is_empty() && has_dependents => PropagationPolicy::Foreground,
            () if node.orphans => PropagationPolicy::Orphan,
            () if node.foreground => PropagationPolicy::Foreground,
            () => PropagationPolicy::Background,
        };
        vec![Step::Delete(policy)]
    }

    fn steps_of_deleted(&self, node: &Node) -> Vec<Step> {
        if node.orphans {
            return vec![Step::Orphan(self.dependents_of(&node.uid).cloned().collect())];
        }
        if !node.foreground {
            return Vec::new();
        }
        let blocks = |d: &&Node| d.owners.iter().any(|l| l.uid == node.uid && l.blocks);
        let blocking: Vec<&Node> = self.dependents_of(&node.uid).filter(blocks).collect();
        if blocking.is_empty() {
            return vec![Step::DropFinalizer(FOREGROUND)];
        }
        vec![Step::Look(blocking.iter().filter(|d| !d.deleting).map(|d| d.uid.clone()).collect())]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(uid: &str, owners: &[&str], deleting: bool, finalizers: &[&str]) -> Node {
        let kind = Arc::new(ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()));
        let references: Vec<_> = owners
            .iter()
            .map(|o| json!({"apiVersion": "v1", "kind": "Pod", "name": o, "uid": o, "blockOwnerDeletion": true}))
            .collect();
        let mut metadata =
            json!({"name": uid, "uid": uid, "ownerReferences": references, "finalizers": finalizers});
        if deleting {
            metadata["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        }
        Node::new(kind, &serde_json::from_value(metadata).unwrap())
    }

    fn told(graph: &Graph, uid: &str, absent: &[&str]) -> String {
        let absent: Vec<Uid> = absent.iter().map(|a| (*a).to_owned()).collect();
        let words = graph.steps(uid, &absent).into_iter().map(|step| match step {
            Step::Delete(policy) => format!("delete {policy:?}"),
            Step::DropOwners(owners) => format!("drop {owners:?}"),
            Step::DropFinalizer(finalizer) => format!("drop {finalizer}"),
            Step::Look(mut uids) => {
                uids.sort();
                format!("look {uids:?}")
            }
            Step::Orphan(nodes) => format!("orphan {}", nodes.len()),
        });
        words.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_lost_its_only_owner_is_deleted() {
        let mut graph = Graph::default();
        assert_eq!(graph.put(node("owner", &[], false, &[])), [""; 0]);
        assert_eq!(graph.put(node("child", &["owner"], false, &[])), [""; 0]);
        assert_eq!(told(&graph, "child", &[]), "");
        assert_eq!(graph.remove("owner"), ["child"]);
        assert_eq!(told(&graph, "child", &["owner"]), "delete Background");
    }

    #[test]
    fn what_keeps_another_owner_only_loses_the_reference() {
        let mut graph = Graph::default();
        graph.put(node("a", &[], false, &[]));
        graph.put(node("child", &["a", "b"], false, &[]));
        assert_eq!(told(&graph, "child", &["b"]), "drop [\"b\"]");
        assert_eq!(told(&graph, "child", &[]), "");
    }

    #[test]
    fn foreground_waits_for_the_dependents() {
        let mut graph = Graph::default();
        graph.put(node("owner", &[], false, &[]));
        graph.put(node("child", &["owner"], false, &[]));
        assert_eq!(graph.put(node("owner", &[], true, &[FOREGROUND])), ["owner"]);
        assert_eq!(told(&graph, "owner", &[]), "look [\"child\"]");
        assert_eq!(told(&graph, "child", &[]), "delete Background");
        graph.put(node("child", &["owner"], true, &[]));
        assert_eq!(told(&graph, "owner", &[]), "look []");
        assert_eq!(graph.remove("child"), ["owner"]);
        assert_eq!(told(&graph, "owner", &[]), "drop foregroundDeletion");
    }

    #[test]
    fn orphaning_frees_the_dependents() {
        let mut graph = Graph::default();
        graph.put(node("owner", &[], false, &[]));
        graph.put(node("child", &["owner"], false, &[]));
        assert_eq!(graph.put(node("owner", &[], true, &[ORPHAN])), ["owner"]);
        assert_eq!(told(&graph, "owner", &[]), "orphan 1");
    }
}
