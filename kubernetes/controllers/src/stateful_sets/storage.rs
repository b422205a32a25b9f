//! The claims of a set's pods, and whether they go with the set or with the pod.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use super::identity;
use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::{self, Key};

/// Makes the claims for one place and gives them the owners the retention policy asks for.
/// `condemned` is the pod of that place when the set shrinks.
pub(super) async fn ensure(
    cluster: &Cluster,
    set: &StatefulSet,
    ordinal: i32,
    condemned: Option<&Pod>,
) -> Result<(), Error> {
    for template in set.spec.volume_claim_templates.iter().flatten() {
        let key = Key::new(meta::namespace(&set.metadata), &identity::claim_name(set, template, ordinal));
        match (cluster.claims.get(&key), condemned) {
            (Some(claim), _) => own(cluster, set, &claim, condemned).await?,
            (None, Some(_)) => {}
            (None, None) => create(cluster, set, identity::claim(set, template, ordinal)).await?,
        }
    }
    Ok(())
}

async fn create(cluster: &Cluster, set: &StatefulSet, mut claim: PersistentVolumeClaim) -> Result<(), Error> {
    let owners = owners(set, &claim, None);
    claim.metadata.owner_references = (!owners.is_empty()).then_some(owners);
    match cluster.claims.create(&claim).await {
        Ok(_) => {
            let (claim, name) = (meta::name(&claim.metadata), meta::name(&set.metadata));
            let message = format!("create Claim {claim} in StatefulSet {name} success");
            cluster.events.normal(set, "SuccessfulCreate", message);
            Ok(())
        }
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn own(
    cluster: &Cluster,
    set: &StatefulSet,
    claim: &PersistentVolumeClaim,
    condemned: Option<&Pod>,
) -> Result<(), Error> {
    let wanted = owners(set, claim, condemned);
    if claim.metadata.owner_references.as_deref().unwrap_or_default() == wanted {
        return Ok(());
    }
    let body =
        json!({"metadata": {"resourceVersion": claim.metadata.resource_version, "ownerReferences": wanted}});
    cluster.claims.merge(&Key::of(&claim.metadata), &body).await.map(drop)
}

fn owners(set: &StatefulSet, claim: &PersistentVolumeClaim, condemned: Option<&Pod>) -> Vec<OwnerReference> {
    let policy = set.spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |when: Option<&String>| when.is_some_and(|w| w == "Delete");
    let with_set = deletes(policy.and_then(|p| p.when_deleted.as_ref()));
    let with_pod = deletes(policy.and_then(|p| p.when_scaled.as_ref()));
    let mut owners = claim.metadata.owner_references.clone().unwrap_or_default();
    // Ours are of these two kinds; what users added stays.
    owners.retain(|o| {
        let pod_of_set = o.kind == "Pod" && o.name.starts_with(meta::name(&set.metadata));
        o.uid != meta::uid(&set.metadata) && !pod_of_set
    });
    if with_set {
        owners.push(meta::controller_reference(set));
    }
    if let Some(pod) = condemned.filter(|_| with_pod) {
        owners.retain(|o| o.uid != meta::uid(&set.metadata));
        owners.push(OwnerReference { controller: Some(true), ..meta::controller_reference(pod) });
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::super::identity::tests::set;
    use super::*;

    #[test]
    fn claims_are_owned_as_the_policy_says() {
        let claim = PersistentVolumeClaim::default();
        let pod = crate::pods::tests::pod("db-0", "Running", true);
        let check = |policy: serde_json::Value, condemned: Option<&Pod>, expected: &[&str]| {
            let set = set(1, &json!({"persistentVolumeClaimRetentionPolicy": policy}));
            let kinds: Vec<_> = owners(&set, &claim, condemned).into_iter().map(|o| o.kind).collect();
            assert_eq!(kinds, expected);
        };
        check(json!({"whenDeleted": "Retain", "whenScaled": "Retain"}), Some(&pod), &[]);
        check(json!({"whenDeleted": "Delete", "whenScaled": "Retain"}), None, &["StatefulSet"]);
        check(json!({"whenDeleted": "Retain", "whenScaled": "Delete"}), Some(&pod), &["Pod"]);
    }
}
