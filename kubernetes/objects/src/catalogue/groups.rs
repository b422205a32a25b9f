//! The kinds of every named group.

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    discovery::v1 as discovery, events::v1 as events, networking::v1 as networking, policy::v1 as policy,
    rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as registration;

use super::build::{CREATE, Entry, kind};

pub(super) fn kinds() -> Vec<Entry> {
    let mut all = workloads();
    all.extend(traffic());
    all.extend(access());
    all.extend(machinery());
    all
}

fn workloads() -> Vec<Entry> {
    vec![
        kind::<apps::ControllerRevision>("controllerrevisions"),
        kind::<apps::DaemonSet>("daemonsets").short(&["ds"]).all().generation().status(),
        kind::<apps::Deployment>("deployments").short(&["deploy"]).all().generation().scale().status(),
        kind::<apps::ReplicaSet>("replicasets").short(&["rs"]).all().generation().scale().status(),
        kind::<apps::StatefulSet>("statefulsets").short(&["sts"]).all().generation().scale().status(),
        kind::<batch::CronJob>("cronjobs").short(&["cj"]).all().generation().status(),
        kind::<batch::Job>("jobs").all().generation().status(),
        kind::<autoscaling::v2::HorizontalPodAutoscaler>("horizontalpodautoscalers")
            .short(&["hpa"])
            .all()
            .status(),
        kind::<autoscaling::v1::HorizontalPodAutoscaler>("horizontalpodautoscalers")
            .short(&["hpa"])
            .all()
            .stored_as("autoscaling", "v2")
            .status(),
        kind::<policy::PodDisruptionBudget>("poddisruptionbudgets").short(&["pdb"]).generation().status(),
    ]
}

fn traffic() -> Vec<Entry> {
    vec![
        kind::<networking::IngressClass>("ingressclasses").cluster().generation(),
        kind::<networking::Ingress>("ingresses").short(&["ing"]).generation().status(),
        kind::<networking::NetworkPolicy>("networkpolicies").short(&["netpol"]).generation(),
        kind::<discovery::EndpointSlice>("endpointslices").generation(),
    ]
}

fn access() -> Vec<Entry> {
    vec![
        kind::<rbac::ClusterRoleBinding>("clusterrolebindings").cluster(),
        kind::<rbac::ClusterRole>("clusterroles").cluster(),
        kind::<rbac::RoleBinding>("rolebindings"),
        kind::<rbac::Role>("roles"),
        kind::<authentication::SelfSubjectReview>("selfsubjectreviews").cluster().verbs(CREATE),
        kind::<authentication::TokenReview>("tokenreviews").cluster().verbs(CREATE),
        kind::<authorization::LocalSubjectAccessReview>("localsubjectaccessreviews").verbs(CREATE),
        kind::<authorization::SelfSubjectAccessReview>("selfsubjectaccessreviews").cluster().verbs(CREATE),
        kind::<authorization::SelfSubjectRulesReview>("selfsubjectrulesreviews").cluster().verbs(CREATE),
        kind::<authorization::SubjectAccessReview>("subjectaccessreviews").cluster().verbs(CREATE),
    ]
}

fn machinery() -> Vec<Entry> {
    vec![
        kind::<coordination::Lease>("leases"),
        kind::<events::Event>("events").short(&["ev"]).stored_as("", "v1"),
        kind::<scheduling::PriorityClass>("priorityclasses").cluster().short(&["pc"]).generation(),
        kind::<storage::CSIDriver>("csidrivers").cluster().generation(),
        kind::<storage::CSINode>("csinodes").cluster(),
        kind::<storage::CSIStorageCapacity>("csistoragecapacities"),
        kind::<storage::StorageClass>("storageclasses").cluster().short(&["sc"]),
        kind::<storage::VolumeAttachment>("volumeattachments").cluster().status(),
        kind::<admission::MutatingWebhookConfiguration>("mutatingwebhookconfigurations")
            .cluster()
            .category("api-extensions")
            .generation(),
        kind::<admission::ValidatingWebhookConfiguration>("validatingwebhookconfigurations")
            .cluster()
            .category("api-extensions")
            .generation(),
        kind::<extensions::CustomResourceDefinition>("customresourcedefinitions")
            .cluster()
            .short(&["crd", "crds"])
            .category("api-extensions")
            .generation()
            .status(),
        kind::<registration::APIService>("apiservices").cluster().category("api-extensions").status(),
    ]
}
