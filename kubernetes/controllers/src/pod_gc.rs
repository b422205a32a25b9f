//! Pods nobody else removes: those of nodes that are gone, those that leave without ever having had a
//! node, and the oldest of too many finished ones.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cluster::Cluster;
use crate::kind::Delete;
use crate::meta::{self, Key};
use crate::pods;

const EVERY: Duration = Duration::from_secs(20);

pub(crate) async fn start(cluster: Cluster, shutdown: CancellationToken, kept: usize) {
    loop {
        // First the pause: at the start nodes register themselves again.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let nodes: Vec<String> =
            cluster.nodes.all().iter().map(|n| meta::name(&n.metadata).to_owned()).collect();
        for pod in surplus(&cluster.pods.all(), &nodes, kept) {
            let key = Key::of(&pod.metadata);
            let how =
                Delete { uid: pod.metadata.uid.as_deref(), grace_seconds: Some(0), ..Delete::default() };
            match cluster.pods.delete(&key, how).await {
                Ok(()) => info!(pod = %key, "removed a pod nobody else would"),
                Err(error) => warn!(pod = %key, error = &error as &dyn std::error::Error, "pod not removed"),
            }
        }
    }
}

fn surplus(all: &[Arc<Pod>], nodes: &[String], kept: usize) -> Vec<Arc<Pod>> {
    let lost = |p: &Pod| match pods::node(p) {
        Some(node) => !nodes.iter().any(|n| n == node),
        None => meta::is_deleting(&p.metadata),
    };
    let mut gone: Vec<_> = all.iter().filter(|p| lost(p)).cloned().collect();
    let mut finished: Vec<_> = all.iter().filter(|p| pods::is_finished(p) && !lost(p)).cloned().collect();
    finished.sort_by_key(|p| meta::created(&p.metadata));
    let too_many = finished.len().saturating_sub(kept);
    gone.extend(finished.into_iter().take(too_many));
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::tests::pod;

    #[test]
    fn lost_and_superfluous_pods_go() {
        let mut waiting = pod("leaving", "Pending", false);
        waiting.spec.get_or_insert_default().node_name = None;
        waiting.metadata.deletion_timestamp = Some(meta::now());
        let mut lost = pod("lost", "Running", true);
        lost.spec.get_or_insert_default().node_name = Some("gone".to_owned());
        let all = [
            pod("fine", "Running", true),
            waiting,
            lost,
            pod("done-1", "Succeeded", false),
            pod("done-2", "Failed", false),
        ];
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let names: Vec<_> =
            surplus(&all, &["n1".to_owned()], 1).iter().map(|p| meta::name(&p.metadata).to_owned()).collect();
        assert_eq!(names, ["leaving", "lost", "done-1"]);
    }
}
