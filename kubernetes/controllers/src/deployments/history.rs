//! Revisions: each template has a number; old ones are kept for a rollback, up to a limit.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::plan::{Action, Annotations, DESIRED, MAXIMUM, View, replicas};
use super::status;
use crate::meta::{self, Key};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";

fn revision(metadata: &ObjectMeta) -> i64 {
    meta::annotation(metadata, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

pub(super) fn next_revision(view: &View) -> i64 {
    view.old.iter().map(|s| revision(&s.metadata)).max().unwrap_or(0) + 1
}

/// The annotations of a deployment that its sets carry too.
pub(super) fn copied_annotations(deployment: &ObjectMeta) -> Annotations {
    let own = [LAST_APPLIED, REVISION, HISTORY, DESIRED, MAXIMUM, ROLLBACK_TO];
    let all = deployment.annotations.iter().flatten();
    all.filter(|(k, _)| !own.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Numbers the present set after all others, and shows its number on the deployment.
pub(super) fn annotate(view: &View, actions: &mut Vec<Action>) {
    let Some(new) = &view.new else { return };
    let mut missing = BTreeMap::new();
    for (key, value) in copied_annotations(&view.deployment.metadata) {
        if meta::annotation(&new.metadata, &key) != Some(&value) {
            missing.insert(key, value);
        }
    }
    let (present, next) = (revision(&new.metadata), next_revision(view));
    if present < next {
        missing.insert(REVISION.to_owned(), next.to_string());
        if present > 0 {
            let past = meta::annotation(&new.metadata, HISTORY).map(|h| format!("{h},")).unwrap_or_default();
            missing.insert(HISTORY.to_owned(), format!("{past}{present}"));
        }
    }
    if !missing.is_empty() {
        actions.push(Action::Annotate { key: Key::of(&new.metadata), annotations: missing });
    }
    let number = present.max(next);
    if revision(&view.deployment.metadata) != number {
        let annotation = BTreeMap::from([(REVISION.to_owned(), number.to_string())]);
        actions.push(Action::AnnotateDeployment(annotation));
    }
}

/// Once a rollout is complete, deletes empty old sets beyond the limit, oldest revision first.
pub(super) fn forget(view: &View, actions: &mut Vec<Action>) {
    let Some(limit) = view.spec.revision_history_limit.and_then(|l| usize::try_from(l).ok()) else { return };
    if view.old.len() <= limit || !status::is_complete(view) {
        return;
    }
    let mut old: Vec<_> = view.old.iter().collect();
    old.sort_by_key(|s| revision(&s.metadata));
    let surplus = old.len() - limit;
    let empty = old.into_iter().take(surplus).filter(|s| is_empty(s));
    actions.extend(empty.map(|s| Action::Delete(Key::of(&s.metadata))));
}

fn is_empty(set: &ReplicaSet) -> bool {
    let status = set.status.clone().unwrap_or_default();
    replicas(set) == 0
        && status.replicas == 0
        && status.observed_generation >= set.metadata.generation
        && !meta::is_deleting(&set.metadata)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::super::plan::tests::{deployment, set, told};
    use super::*;

    #[test]
    fn going_back_gives_the_old_set_a_new_number() {
        let view = View::new(
            &deployment(1, "a", &json!({})),
            vec![set("a", 1, 0, 0, 1, 2), set("b", 2, 1, 1, 1, 2)],
            |_| false,
        );
        let plan = super::super::plan::plan(&view, Timestamp::now());
        let Action::Annotate { annotations, .. } = &plan.actions[0] else { panic!("no annotation") };
        assert_eq!((annotations[REVISION].as_str(), annotations[HISTORY].as_str()), ("3", "1"));
        assert_eq!(
            plan.actions[1],
            Action::AnnotateDeployment(BTreeMap::from([(REVISION.to_owned(), "3".to_owned())]))
        );
    }

    #[test]
    fn old_sets_beyond_the_limit_go() {
        let mut done = (*deployment(1, "c", &json!({"revisionHistoryLimit": 1}))).clone();
        pods_annotation(&mut done.metadata);
        let done = std::sync::Arc::new(done);
        let sets = [set("a", 1, 0, 0, 1, 2), set("b", 2, 0, 0, 1, 2), set("c", 3, 1, 1, 1, 2)];
        assert_eq!(told(&done, &sets, false), ["delete web-a"]);
        let unfinished = [set("a", 1, 0, 0, 1, 2), set("b", 2, 0, 0, 1, 2), set("c", 3, 1, 0, 1, 2)];
        assert_eq!(told(&done, &unfinished, false), [""; 0]);
    }

    fn pods_annotation(metadata: &mut ObjectMeta) {
        crate::pods::set_annotation(metadata, REVISION, "3");
    }
}
