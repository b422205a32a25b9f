//! What there is of a database, as the API has it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use sealos_db_engines::names;
use sealos_kit::quantity::Bytes;

use crate::Error;
use crate::plan::REVISION;
use crate::wanted::Wanted;

/// What there is of one component.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) set: Option<StatefulSet>,
    /// By ordinal.
    pub(crate) pods: Vec<Pod>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    /// Who leads, by the topology ConfigMap.
    pub(crate) primary: Option<String>,
}

impl Observed {
    pub(crate) async fn of(client: &Client, wanted: &Wanted) -> Result<Self, Error> {
        let namespace = &wanted.namespace;
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let selector = ListParams::default().labels(&selector(&wanted.name, &wanted.component));
        let (workload, topology) =
            (wanted.workload(), names::topology_config(&wanted.name, &wanted.component));
        let all = futures::try_join!(
            sets.get_opt(&workload),
            pods.list(&selector),
            claims.list(&selector),
            maps.get_opt(&topology),
        );
        let (set, pods, claims, topology) = all.map_err(Error::api(format!("look at `{}`", wanted.name)))?;
        let mut pods = pods.items;
        pods.sort_by_key(|pod| ordinal(&pod.name_any()));
        let primary = topology.and_then(|t| t.data?.remove(names::TOPOLOGY_PRIMARY));
        let primary = primary.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
        Ok(Self { set, pods, claims: claims.items, primary })
    }

    /// The pod that takes writes and can be reached.
    pub(crate) fn leader(&self) -> Option<&Pod> {
        self.pods.iter().find(|pod| is_ready(pod) && has_role(pod, names::PRIMARY))
    }

    /// Whether a pod runs what the StatefulSet describes.
    pub(crate) fn is_current(&self, pod: &Pod) -> bool {
        self.revision().is_none_or(|revision| pod.annotations().get(REVISION) == Some(&revision))
    }

    /// The revision of the StatefulSet's template.
    pub(crate) fn revision(&self) -> Option<String> {
        let template = self.set.as_ref()?.spec.template.metadata.as_ref()?;
        template.annotations.as_ref()?.get(REVISION).cloned()
    }

    /// The replicas that the StatefulSet has been told.
    pub(crate) fn replicas(&self) -> i32 {
        self.set.as_ref().and_then(|set| set.spec.replicas).unwrap_or_default()
    }

    /// An annotation of the StatefulSet.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.set.as_ref()?.annotations().get(key).map(String::as_str)
    }

    /// The least that a volume was asked to hold.
    pub(crate) fn claimed(&self) -> Option<Bytes> {
        let asked = self
            .claims
            .iter()
            .filter_map(|c| storage(c.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?));
        asked.min()
    }

    /// Whether every volume holds at least `size`.
    pub(crate) fn holds(&self, size: Bytes) -> bool {
        let of = |c: &PersistentVolumeClaim| storage(c.status.as_ref()?.capacity.as_ref()?);
        self.claims.iter().all(|claim| of(claim).is_some_and(|capacity| capacity >= size))
    }
}

/// Selects the objects of a component.
pub(crate) fn selector(cluster: &str, component: &str) -> String {
    format!(
        "{}={cluster},{}={},{}={component}",
        names::INSTANCE,
        names::MANAGED_BY,
        names::KUBEBLOCKS,
        names::COMPONENT
    )
}

fn storage(
    amounts: &std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
) -> Option<Bytes> {
    Bytes::parse(&amounts.get("storage")?.0).ok()
}

/// The number at the end of a pod's name.
pub(crate) fn ordinal(name: &str) -> i32 {
    name.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(i32::MAX)
}

/// Whether a pod can be used.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// Whether a pod has a role.
pub(crate) fn has_role(pod: &Pod, role: &str) -> bool {
    pod.labels().get(names::ROLE).is_some_and(|r| r == role)
}
