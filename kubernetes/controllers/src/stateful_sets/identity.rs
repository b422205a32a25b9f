//! Who a pod of a set is: name, place and the names of its claims. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::meta;
use crate::pods;
use crate::revisions::POD_HASH;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const INDEX: &str = "apps.kubernetes.io/pod-index";

/// The place of a pod in the set, if its name is one the set gives.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let rest = meta::name(&pod.metadata).strip_prefix(meta::name(&set.metadata))?.strip_prefix('-')?;
    rest.parse().ok().filter(|o: &i32| *o >= 0 && o.to_string() == rest)
}

pub(super) fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", meta::name(&set.metadata))
}

pub(super) fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}", meta::name(&template.metadata), pod_name(set, ordinal))
}

pub(super) fn pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i32) -> Pod {
    let namespace = meta::namespace(&set.metadata);
    let mut pod = pods::from_template(template, namespace, meta::controller_reference(set));
    let name = pod_name(set, ordinal);
    pods::set_label(&mut pod.metadata, POD_NAME, &name);
    pods::set_label(&mut pod.metadata, INDEX, &ordinal.to_string());
    pods::set_label(&mut pod.metadata, POD_HASH, revision);
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(name);
    spec.subdomain = set.spec.service_name.clone().filter(|s| !s.is_empty());
    let volumes = spec.volumes.get_or_insert_default();
    for claim in set.spec.volume_claim_templates.iter().flatten() {
        let volume_name = meta::name(&claim.metadata);
        volumes.retain(|v| v.name != volume_name);
        let source = PersistentVolumeClaimVolumeSource {
            claim_name: claim_name(set, claim, ordinal),
            read_only: None,
        };
        volumes.push(Volume {
            name: volume_name.to_owned(),
            persistent_volume_claim: Some(source),
            ..Volume::default()
        });
    }
    spec.volumes.take_if(|v| v.is_empty());
    pod
}

pub(super) fn claim(
    set: &StatefulSet,
    template: &PersistentVolumeClaim,
    ordinal: i32,
) -> PersistentVolumeClaim {
    let mut labels = template.metadata.labels.clone().unwrap_or_default();
    labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(claim_name(set, template, ordinal)),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: template.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn set(replicas: i32, more: &Value) -> StatefulSet {
        let mut value = json!({
            "metadata": {"name": "db", "namespace": "default", "uid": "s", "generation": 1},
            "spec": {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": []}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}
        });
        for (key, field) in more.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pod_carries_name_place_and_claims() {
        let set = set(3, &json!({}));
        let made = pod(&set, &set.spec.template, "db-1", 2);
        assert_eq!(ordinal(&set, &made), Some(2));
        assert_eq!(meta::label(&made.metadata, INDEX), Some("2"));
        let spec = made.spec.unwrap();
        assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("db-2"), Some("db")));
        let claim = spec.volumes.unwrap()[0].persistent_volume_claim.clone().unwrap();
        assert_eq!(claim.claim_name, "data-db-2");
    }

    #[test]
    fn foreign_names_have_no_place() {
        let set = set(1, &json!({}));
        for name in ["db", "db-x", "db-01", "other-1", "db--1"] {
            let pod = Pod {
                metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
                ..Pod::default()
            };
            assert_eq!(ordinal(&set, &pod), None, "{name}");
        }
    }
}
