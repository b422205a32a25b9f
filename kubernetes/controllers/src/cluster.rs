//! The cluster as the controllers see it: one cache per kind, shared by all.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::events::Recorder;
use crate::kind::Kind;

macro_rules! cluster {
    ($($field:ident: $kind:ty),* $(,)?) => {
        /// Cheap to clone.
        #[derive(Clone)]
        pub(crate) struct Cluster {
            pub(crate) client: kube::Client,
            pub(crate) events: Recorder,
            $(pub(crate) $field: Kind<$kind>,)*
        }

        impl Cluster {
            pub(crate) fn new(client: kube::Client, events: Recorder) -> Self {
                Self {
                    $($field: Kind::new(client.clone()),)*
                    client,
                    events,
                }
            }

            /// Starts one watch per kind. Handlers must be in place before.
            pub(crate) fn follow(&self, tasks: &mut JoinSet<()>, shutdown: &CancellationToken) {
                $(tasks.spawn(self.$field.cache().clone().follow(self.client.clone(), shutdown.clone()));)*
            }

            /// Waits until every kind has been listed once.
            pub(crate) async fn synced(&self) {
                $(self.$field.cache().synced().await;)*
            }
        }
    };
}

cluster! {
    pods: Pod,
    nodes: Node,
    deployments: Deployment,
    replica_sets: ReplicaSet,
    stateful_sets: StatefulSet,
    daemon_sets: DaemonSet,
    revisions: ControllerRevision,
    jobs: Job,
    cron_jobs: CronJob,
    services: Service,
    slices: EndpointSlice,
    endpoints: Endpoints,
    namespaces: Namespace,
    service_accounts: ServiceAccount,
    claims: PersistentVolumeClaim,
    volumes: PersistentVolume,
    storage_classes: StorageClass,
    leases: Lease,
    budgets: PodDisruptionBudget,
    autoscalers: HorizontalPodAutoscaler,
}
