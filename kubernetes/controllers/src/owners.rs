//! Which objects a controller may count as its own: it adopts fitting orphans and releases its own
//! that no longer fit its selector.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::{Value, json};

use crate::kind::{Error, Kind};
use crate::meta::{self, Key, Object};
use crate::queue::Queue;

/// What to do with one candidate.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Mine,
    Adopt,
    Release,
    Not,
}

fn claim(candidate: &ObjectMeta, owner: &ObjectMeta, selector: &LabelSelector) -> Claim {
    let fits = meta::selects(Some(selector), candidate.labels.as_ref());
    match meta::controller(candidate) {
        Some(reference) if reference.uid != meta::uid(owner) => Claim::Not,
        Some(_) if fits => Claim::Mine,
        Some(_) if meta::is_deleting(owner) => Claim::Not,
        Some(_) => Claim::Release,
        None if fits && !meta::is_deleting(owner) && !meta::is_deleting(candidate) => Claim::Adopt,
        None => Claim::Not,
    }
}

/// The objects of `kind` that belong to `owner`, after adopting and releasing.
pub(crate) async fn claimed<O: Object, K: Object>(
    owner: &O,
    selector: &LabelSelector,
    kind: &Kind<K>,
) -> Result<Vec<Arc<K>>, Error> {
    if meta::selector_is_empty(Some(selector)) {
        return Ok(Vec::new());
    }
    let namespace = meta::namespace(owner.meta());
    let mut mine = Vec::new();
    // Objects without a controller are indexed under the empty uid.
    let orphans = kind.controlled_by("").into_iter().filter(|o| meta::namespace(o.meta()) == namespace);
    for candidate in kind.controlled_by(meta::uid(owner.meta())).into_iter().chain(orphans) {
        match claim(candidate.meta(), owner.meta(), selector) {
            Claim::Mine => mine.push(candidate),
            Claim::Adopt => mine.extend(write(kind, &candidate, adopted(&*candidate, owner)).await?),
            Claim::Release => {
                write(kind, &candidate, released(&*candidate, owner)).await?;
            }
            Claim::Not => {}
        }
    }
    Ok(mine)
}

async fn write<K: Object>(kind: &Kind<K>, candidate: &K, owners: Value) -> Result<Option<Arc<K>>, Error> {
    let body = json!({"metadata": {
        "uid": meta::uid(candidate.meta()),
        "resourceVersion": candidate.meta().resource_version,
        "ownerReferences": owners,
    }});
    match kind.merge(&Key::of(candidate.meta()), &body).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn adopted<K: Object, O: Object>(candidate: &K, owner: &O) -> Value {
    let mut owners = candidate.meta().owner_references.clone().unwrap_or_default();
    owners.retain(|o| o.uid != meta::uid(owner.meta()));
    owners.push(meta::controller_reference(owner));
    json!(owners)
}

fn released<K: Object, O: Object>(candidate: &K, owner: &O) -> Value {
    let mut owners = candidate.meta().owner_references.clone().unwrap_or_default();
    owners.retain(|o| o.uid != meta::uid(owner.meta()));
    // An empty list would stay in the object as such.
    if owners.is_empty() { Value::Null } else { json!(owners) }
}

/// Wakes the controller of each changed object of `dependents`, and, for an orphan, every owner that
/// could adopt it.
pub(crate) fn wake_owners<K: Object, O: Object>(
    dependents: &Kind<K>,
    owners: &Kind<O>,
    queue: &Queue<Key>,
    selector: fn(&O) -> Option<&LabelSelector>,
) {
    let (queue, owners) = (queue.clone(), owners.clone());
    dependents.on_change(move |change| {
        let wake = |object: &K| {
            if let Some(owner) = meta::controller(object.meta()) {
                if owner.kind == O::kind(&()) {
                    queue.add(Key::new(meta::namespace(object.meta()), &owner.name));
                }
                return;
            }
            if meta::is_deleting(object.meta()) {
                return;
            }
            for owner in owners.in_namespace(meta::namespace(object.meta())) {
                if meta::selects(selector(&owner), object.meta().labels.as_ref()) {
                    queue.add(Key::of(owner.meta()));
                }
            }
        };
        let latest = change.latest();
        wake(latest);
        if let Some(old) = change.old
            && meta::controller(old.meta()) != meta::controller(latest.meta())
        {
            wake(old);
        }
    });
}

/// Wakes the controller of a kind whenever one of its objects changes.
pub(crate) fn wake_self<K: Object>(kind: &Kind<K>, queue: &Queue<Key>) {
    let queue = queue.clone();
    kind.on_change(move |change| queue.add(Key::of(change.latest().meta())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn orphans_are_adopted_and_strays_released() {
        let owner = metadata(json!({"name": "web", "uid": "1"}));
        let dying = metadata(json!({"name": "web", "uid": "1", "deletionTimestamp": "2024-01-01T00:00:00Z"}));
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let owned = |by: &str| json!([{"apiVersion": "v1", "kind": "X", "name": "web", "uid": by, "controller": true}]);
        let check = |candidate: Value, owner: &ObjectMeta, claim_: Claim| {
            assert_eq!(claim(&metadata(candidate), owner, &selector), claim_);
        };
        check(json!({"labels": {"app": "web"}}), &owner, Claim::Adopt);
        check(json!({"labels": {"app": "web"}}), &dying, Claim::Not);
        check(json!({"labels": {"app": "web"}, "ownerReferences": owned("1")}), &owner, Claim::Mine);
        check(json!({"labels": {"app": "no"}, "ownerReferences": owned("1")}), &owner, Claim::Release);
        check(json!({"labels": {"app": "web"}, "ownerReferences": owned("2")}), &owner, Claim::Not);
        check(json!({"labels": {"app": "no"}}), &owner, Claim::Not);
    }
}
