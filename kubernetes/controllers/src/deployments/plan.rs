//! What a deployment does next. Pure: objects in, actions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

use super::{history, rollout, scale};
use crate::meta::{self, Key};
use crate::numbers::{Round, share};
use crate::pods;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";

pub(super) type Annotations = BTreeMap<String, String>;

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Create(Box<ReplicaSet>),
    Annotate { key: Key, annotations: Annotations },
    AnnotateDeployment(Annotations),
    Scale { key: Key, from: i32, to: i32, annotations: Annotations },
    Delete(Key),
}

#[derive(Default)]
pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
}

/// A deployment with its ReplicaSets told apart.
pub(super) struct View {
    pub(super) deployment: Arc<Deployment>,
    pub(super) spec: DeploymentSpec,
    /// The set of the present template.
    pub(super) new: Option<Arc<ReplicaSet>>,
    /// The others, oldest first.
    pub(super) old: Vec<Arc<ReplicaSet>>,
    /// Whether a set of another template still has pods that run.
    pub(super) old_pods: bool,
}

impl View {
    pub(super) fn new(
        deployment: &Arc<Deployment>,
        mut sets: Vec<Arc<ReplicaSet>>,
        has_pods: impl Fn(&ReplicaSet) -> bool,
    ) -> Self {
        let spec = deployment.spec.clone();
        sets.sort_by(|a, b| {
            let age = meta::created(&a.metadata).cmp(&meta::created(&b.metadata));
            age.then_with(|| a.metadata.name.cmp(&b.metadata.name))
        });
        let position = sets.iter().position(|s| same_template(s, &spec.template));
        let new = position.map(|p| sets.remove(p));
        let old_pods = sets.iter().any(|s| has_pods(s));
        Self { deployment: deployment.clone(), spec, new, old: sets, old_pods }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.new.iter().chain(&self.old)
    }

    pub(super) fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    pub(super) fn recreates(&self) -> bool {
        self.spec.strategy.as_ref().and_then(|s| s.type_.as_deref()) == Some("Recreate")
    }

    /// How many pods more than wanted, and how many unavailable ones, a rollout may have.
    pub(super) fn bounds(&self) -> (i32, i32) {
        if self.recreates() {
            return (0, self.wanted());
        }
        let rolling = self.spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let surge = share(rolling.and_then(|r| r.max_surge.as_ref()), "25%", self.wanted(), Round::Up);
        let out = share(rolling.and_then(|r| r.max_unavailable.as_ref()), "25%", self.wanted(), Round::Down);
        // With neither, nothing could ever move.
        if surge == 0 && out == 0 { (0, 1) } else { (surge, out.min(self.wanted())) }
    }

    /// The most pods all sets may have together.
    pub(super) fn maximum(&self) -> i32 {
        self.wanted() + if self.recreates() { 0 } else { self.bounds().0 }
    }

    /// The note on each set from which a later scaling is recognised.
    pub(super) fn size_annotations(&self) -> Annotations {
        let pair = |k: &str, v: i32| (k.to_owned(), v.to_string());
        BTreeMap::from([pair(DESIRED, self.wanted()), pair(MAXIMUM, self.maximum())])
    }

    pub(super) fn scale(&self, set: &ReplicaSet, to: i32) -> Action {
        Action::Scale {
            key: Key::of(&set.metadata),
            from: replicas(set),
            to,
            annotations: self.size_annotations(),
        }
    }
}

pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

fn same_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let Some(mut own) = set.spec.template.clone() else { return false };
    let mut template = template.clone();
    for side in [&mut own, &mut template] {
        let metadata = side.metadata.get_or_insert_default();
        if let Some(labels) = &mut metadata.labels {
            labels.remove(HASH_LABEL);
        }
        metadata.labels.take_if(|l| l.is_empty());
        metadata.annotations.take_if(|a| a.is_empty());
        metadata.creation_timestamp = None;
    }
    own == template
}

/// The next actions; none when only the status is left to tell.
pub(super) fn plan(view: &View, _now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if meta::is_deleting(&view.deployment.metadata) {
        return plan;
    }
    history::annotate(view, &mut plan.actions);
    if view.spec.paused == Some(true) {
        scale::scale(view, &mut plan.actions);
        return plan;
    }
    if scale::was_scaled(view) {
        scale::scale(view, &mut plan.actions);
    } else if view.recreates() {
        rollout::recreate(view, &mut plan.actions);
    } else {
        rollout::rolling(view, &mut plan.actions);
    }
    if plan.actions.is_empty() {
        history::forget(view, &mut plan.actions);
    }
    plan
}

/// The set for the present template.
pub(super) fn new_set(view: &View, replicas: i32) -> ReplicaSet {
    let deployment = &view.deployment.metadata;
    let collisions = view.deployment.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0);
    let hash = pods::hash(&view.spec.template, collisions);
    let mut template = view.spec.template.clone();
    pods::set_label(template.metadata.get_or_insert_default(), HASH_LABEL, &hash);
    let mut selector: LabelSelector = view.spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    let mut annotations = history::copied_annotations(deployment);
    annotations.extend(view.size_annotations());
    annotations.insert(history::REVISION.to_owned(), history::next_revision(view).to_string());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", meta::name(deployment))),
            namespace: deployment.namespace.clone(),
            labels: template.metadata.as_ref().and_then(|m| m.labels.clone()),
            annotations: Some(annotations),
            owner_references: Some(vec![meta::controller_reference(&*view.deployment)]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            min_ready_seconds: view.spec.min_ready_seconds,
            replicas: Some(replicas),
            selector,
            template: Some(template),
        },
        status: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A deployment of `wanted` replicas with further fields of its spec.
    pub(crate) fn deployment(wanted: i32, image: &str, spec: &Value) -> Arc<Deployment> {
        let mut value = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
            "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)}
        });
        for (key, field) in spec.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
    }

    /// A set with `have` replicas, `available` of them available.
    pub(crate) fn set(
        image: &str,
        revision: i32,
        have: i32,
        available: i32,
        wanted: i32,
        maximum: i32,
    ) -> Arc<ReplicaSet> {
        let mut template = template(image);
        template["metadata"]["labels"][HASH_LABEL] = json!(image);
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": format!("web-{image}"), "namespace": "default", "uid": image, "generation": 1,
                    "creationTimestamp": format!("2024-01-01T00:00:{revision:02}Z"),
                    "annotations": {"deployment.kubernetes.io/revision": revision.to_string(),
                        DESIRED: wanted.to_string(), MAXIMUM: maximum.to_string()}},
                "spec": {"replicas": have, "selector": {}, "template": template},
                "status": {"replicas": have, "readyReplicas": available, "availableReplicas": available, "observedGeneration": 1}
            }))
            .unwrap(),
        )
    }

    /// The plan in short words, without annotations.
    pub(crate) fn told(
        deployment: &Arc<Deployment>,
        sets: &[Arc<ReplicaSet>],
        old_pods: bool,
    ) -> Vec<String> {
        let view = View::new(deployment, sets.to_vec(), |_| old_pods);
        let words = |action: &Action| match action {
            Action::Create(set) => Some(format!("create {}", replicas(set))),
            Action::Scale { key, from, to, .. } => Some(format!("{} {from}->{to}", key.name)),
            Action::Delete(key) => Some(format!("delete {}", key.name)),
            Action::Annotate { .. } | Action::AnnotateDeployment(_) => None,
        };
        plan(&view, Timestamp::now()).actions.iter().filter_map(words).collect()
    }

    #[test]
    fn a_new_deployment_gets_its_set_at_full_size() {
        assert_eq!(told(&deployment(50, "a", &json!({})), &[], false), ["create 50"]);
        assert_eq!(told(&deployment(3, "a", &json!({"paused": true})), &[], false), [""; 0]);
    }

    #[test]
    fn the_set_of_the_same_template_is_found_whatever_its_hash() {
        let view = View::new(
            &deployment(1, "a", &json!({})),
            vec![set("a", 1, 1, 1, 1, 2), set("b", 2, 0, 0, 1, 2)],
            |_| false,
        );
        assert_eq!(view.new.unwrap().metadata.name.as_deref(), Some("web-a"));
        assert_eq!(view.old.len(), 1);
    }

    #[test]
    fn a_created_set_carries_hash_revision_and_owner() {
        let view = View::new(&deployment(2, "b", &json!({})), vec![set("a", 4, 1, 1, 1, 2)], |_| false);
        let set = new_set(&view, 1);
        let hash = meta::label(&set.metadata, HASH_LABEL).unwrap().to_owned();
        assert_eq!(set.metadata.name.as_deref(), Some(format!("web-{hash}").as_str()));
        assert_eq!(meta::annotation(&set.metadata, history::REVISION), Some("5"));
        let spec = set.spec;
        assert_eq!(spec.selector.match_labels.unwrap()[HASH_LABEL], hash);
        assert!(meta::is_controlled_by(&set.metadata, "d"));
    }
}
