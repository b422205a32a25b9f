//! ControllerRevisions: the templates a set has had, kept so that it can go back.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key, Object};
use crate::{owners, pods};

/// On a revision: its hash. On a pod: the revision it was made from.
pub(crate) const HASH: &str = "controller.kubernetes.io/hash";
pub(crate) const POD_HASH: &str = "controller-revision-hash";

/// All revisions of a set, oldest first, and the one of its present template among them.
pub(crate) struct History {
    pub(crate) all: Vec<Arc<ControllerRevision>>,
    pub(crate) present: Arc<ControllerRevision>,
}

/// Reads the history of `owner`, adding or renumbering the revision of `template` if need be.
pub(crate) async fn sync<O: Object>(
    cluster: &Cluster,
    owner: &O,
    selector: &LabelSelector,
    template: &PodTemplateSpec,
) -> Result<History, Error> {
    let mut all = owners::claimed(owner, selector, &cluster.revisions).await?;
    all.sort_by_key(|r| (number(r), meta::created(&r.metadata)));
    let next = all.last().map_or(0, |r| number(r)) + 1;
    let known = all.iter().rposition(|r| template_of(r).as_ref() == Some(template));
    let present = match known {
        Some(place) if place + 1 == all.len() => all[place].clone(),
        Some(place) => {
            let key = Key::of(&all[place].metadata);
            let renumbered = cluster.revisions.merge(&key, &json!({ "revision": next })).await?;
            all.remove(place);
            all.push(renumbered.clone());
            renumbered
        }
        None => {
            let made = create(cluster, owner, template, next).await?;
            all.push(made.clone());
            made
        }
    };
    Ok(History { all, present })
}

fn number(revision: &ControllerRevision) -> i64 {
    revision.revision.unwrap_or(0)
}

async fn create<O: Object>(
    cluster: &Cluster,
    owner: &O,
    template: &PodTemplateSpec,
    number: i64,
) -> Result<Arc<ControllerRevision>, Error> {
    let mut collisions = 0;
    loop {
        match cluster.revisions.create(&revision(owner, template, number, collisions)).await {
            // The name is taken by the revision of another template.
            Err(error) if error.is_conflict() && collisions < 10 => collisions += 1,
            other => return other,
        }
    }
}

fn revision<O: Object>(
    owner: &O,
    template: &PodTemplateSpec,
    number: i64,
    collisions: i32,
) -> ControllerRevision {
    let hash = pods::hash(template, collisions);
    let mut labels = template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    labels.insert(HASH.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", meta::name(owner.meta()))),
            namespace: owner.meta().namespace.clone(),
            labels: Some(labels),
            annotations: owner.meta().annotations.clone().map(without_last_applied),
            owner_references: Some(vec![meta::controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data(template)),
        revision: Some(number),
    }
}

fn without_last_applied(
    mut annotations: std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, String> {
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations
}

/// The patch that brings a set back to the template, as `kubectl rollout undo` sends it.
fn data(template: &PodTemplateSpec) -> Value {
    let mut template = json!(template);
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

pub(crate) fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// Deletes the oldest revisions beyond the limit that neither a pod nor the set needs.
pub(crate) async fn truncate(
    cluster: &Cluster,
    history: &History,
    limit: Option<i32>,
    in_use: impl Fn(&ControllerRevision) -> bool,
) -> Result<(), Error> {
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(10);
    let idle: Vec<_> = history.all.iter().filter(|r| !in_use(r)).collect();
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        cluster.revisions.delete(&Key::of(&revision.metadata), Delete::default()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_holds_its_template() {
        let template: PodTemplateSpec = serde_json::from_value(
            json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}),
        )
        .unwrap();
        let owner = k8s_openapi::api::apps::v1::StatefulSet::default();
        let made = revision(&owner, &template, 3, 0);
        assert_eq!(template_of(&made), Some(template));
        assert_eq!(made.data.0.pointer("/spec/template/$patch"), Some(&json!("replace")));
        assert_eq!(made.revision, Some(3));
    }
}
