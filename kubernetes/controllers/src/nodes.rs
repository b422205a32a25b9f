//! Node lifecycle: a node whose agent falls silent is told to be not ready, kept free of new pods and,
//! after the time each pod tolerates, of old ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::pods;
use crate::scheduler::tolerates;

const EVERY: Duration = Duration::from_secs(5);
const LEASES: &str = "kube-node-lease";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// A sign of life: the renewal of the lease and the heartbeat in the status.
type Sign = (Option<Timestamp>, Option<Timestamp>);

/// When a node's last new sign of life came in, by our own clock: at a start every node gets its time.
#[derive(Default)]
struct Watch(HashMap<String, (Sign, Instant)>);

impl Watch {
    fn silent_for(&mut self, node: &str, sign: Sign, now: Instant) -> Duration {
        let known = self.0.entry(node.to_owned()).or_insert((sign, now));
        if known.0 != sign {
            *known = (sign, now);
        }
        now.duration_since(known.1)
    }
}

pub(crate) async fn start(cluster: Cluster, shutdown: CancellationToken, grace: Duration) {
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let nodes = cluster.nodes.all();
        watch.0.retain(|name, _| nodes.iter().any(|n| meta::name(&n.metadata) == name));
        for node in nodes {
            let name = meta::name(&node.metadata);
            let silent = watch.silent_for(name, sign(&cluster, &node), Instant::now()) > grace;
            if let Err(error) = look_after(&cluster, &node, silent).await {
                warn!(node = name, error = &error as &dyn std::error::Error, "node not looked after");
            }
        }
    }
}

fn sign(cluster: &Cluster, node: &Node) -> Sign {
    let lease = cluster.leases.get(&Key::new(LEASES, meta::name(&node.metadata)));
    let renewed = lease.and_then(|l| l.spec.as_ref()?.renew_time.as_ref().map(|t| t.0));
    (renewed, ready(node).and_then(|c| c.last_heartbeat_time.as_ref()).map(|t| t.0))
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == "Ready")
}

async fn look_after(cluster: &Cluster, node: &Arc<Node>, silent: bool) -> Result<(), Error> {
    let key = Key::of(&node.metadata);
    let state = ready(node).map_or("Unknown", |c| c.status.as_str());
    if silent && state != "Unknown" {
        let conditions = silenced(node, Timestamp::now());
        cluster.nodes.merge_status(&key, &json!({"status": {"conditions": conditions}})).await?;
        cluster.events.normal(
            &**node,
            "NodeNotReady",
            format!("Node {} status is now: NodeNotReady", key.name),
        );
        return Ok(());
    }
    let wanted = taints(node, state, Timestamp::now());
    let present = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
    if wanted != present {
        let taints = if wanted.is_empty() { json!(null) } else { json!(wanted) };
        let body = json!({"metadata": {"resourceVersion": node.metadata.resource_version}, "spec": {"taints": taints}});
        cluster.nodes.merge(&key, &body).await?;
    }
    if state != "True" {
        mark_pods(cluster, &key.name).await?;
    }
    evict(cluster, node).await
}

/// The conditions of a node that says nothing any more.
fn silenced(node: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let mut conditions = node.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let kinds = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
    for condition in
        conditions.iter_mut().filter(|c| kinds.contains(&c.type_.as_str()) && c.status != "Unknown")
    {
        condition.status = "Unknown".to_owned();
        condition.reason = Some("NodeStatusUnknown".to_owned());
        condition.message = Some("Kubelet stopped posting node status.".to_owned());
        condition.last_transition_time = Some(Time(now));
    }
    conditions
}

/// The taints a node should have: those for its readiness, and all that are none of ours.
fn taints(node: &Node, ready: &str, now: Timestamp) -> Vec<Taint> {
    let present = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
    let ours = |t: &Taint| t.key == NOT_READY || t.key == UNREACHABLE;
    let key = match ready {
        "True" => None,
        "False" => Some(NOT_READY),
        _ => Some(UNREACHABLE),
    };
    let mut wanted: Vec<Taint> =
        present.into_iter().filter(|t| !ours(t) || Some(t.key.as_str()) == key).collect();
    for effect in ["NoSchedule", "NoExecute"] {
        let Some(key) = key else { break };
        if !wanted.iter().any(|t| t.key == key && t.effect == effect) {
            wanted.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                value: None,
                time_added: Some(Time(now)),
            });
        }
    }
    wanted
}

/// Pods of a node that is not ready are not ready either: nobody can tell.
async fn mark_pods(cluster: &Cluster, node: &str) -> Result<(), Error> {
    let here = |p: &&Arc<Pod>| pods::node(p) == Some(node) && pods::is_ready(p);
    for pod in cluster.pods.all().iter().filter(here) {
        let mut conditions = pod.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
        for condition in conditions.iter_mut().filter(|c| c.type_ == "Ready") {
            condition.status = "False".to_owned();
            condition.last_transition_time = Some(meta::now());
        }
        let body = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": conditions}});
        cluster.pods.merge_status(&Key::of(&pod.metadata), &body).await?;
        cluster.events.warning(&**pod, "NodeNotReady", "Node is not ready");
    }
    Ok(())
}

async fn evict(cluster: &Cluster, node: &Arc<Node>) -> Result<(), Error> {
    let taints: Vec<Taint> = node.spec.iter().flat_map(|s| s.taints.iter().flatten().cloned()).collect();
    let expelling: Vec<Taint> = taints.into_iter().filter(|t| t.effect == "NoExecute").collect();
    if expelling.is_empty() {
        return Ok(());
    }
    let name = meta::name(&node.metadata);
    let now = Timestamp::now();
    let here = |p: &&Arc<Pod>| pods::node(p) == Some(name) && !meta::is_deleting(&p.metadata);
    for pod in cluster.pods.all().iter().filter(here).filter(|p| must_leave(p, &expelling, now)) {
        let key = Key::of(&pod.metadata);
        cluster.events.normal(&**pod, "TaintManagerEviction", format!("Marking for deletion Pod {key}"));
        cluster.pods.delete(&key, Delete { uid: pod.metadata.uid.as_deref(), ..Delete::default() }).await?;
    }
    Ok(())
}

/// Whether a pod does not tolerate one of the taints, or has done so long enough.
fn must_leave(pod: &Pod, taints: &[Taint], now: Timestamp) -> bool {
    let tolerations = pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    taints.iter().any(|taint| {
        let fitting: Vec<_> =
            tolerations.iter().filter(|t| tolerates(std::slice::from_ref(t), taint)).collect();
        if fitting.is_empty() {
            return true;
        }
        let Some(least) = fitting.iter().filter_map(|t| t.toleration_seconds).min() else { return false };
        let since = taint.time_added.as_ref().map_or(0, |t| meta::seconds_since(t, now));
        since >= least
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(spec: serde_json::Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": [
            {"type": "Ready", "status": "True"}]}}))
        .unwrap()
    }

    #[test]
    fn taints_follow_readiness_and_leave_others_alone() {
        let now = Timestamp::now();
        let own = node(json!({"taints": [{"key": "gpu", "effect": "NoSchedule"}]}));
        let keys =
            |taints: &[Taint]| taints.iter().map(|t| format!("{}:{}", t.key, t.effect)).collect::<Vec<_>>();
        let unknown = taints(&own, "Unknown", now);
        assert_eq!(
            keys(&unknown),
            ["gpu:NoSchedule", &format!("{UNREACHABLE}:NoSchedule"), &format!("{UNREACHABLE}:NoExecute")]
        );
        let back = node(json!({ "taints": unknown }));
        assert_eq!(keys(&taints(&back, "True", now)), ["gpu:NoSchedule"]);
    }

    #[test]
    fn a_node_is_silent_only_by_our_own_clock() {
        let mut watch = Watch::default();
        let start = Instant::now();
        let old = Some("2020-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(watch.silent_for("n", (old, None), start), Duration::ZERO);
        assert_eq!(
            watch.silent_for("n", (old, None), start + Duration::from_secs(50)),
            Duration::from_secs(50)
        );
        let renewed = Some("2020-01-01T00:00:10Z".parse().unwrap());
        assert_eq!(watch.silent_for("n", (renewed, None), start + Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn pods_leave_when_their_toleration_ends() {
        let now = Timestamp::now();
        let taint = |ago: i64| Taint {
            key: UNREACHABLE.to_owned(),
            effect: "NoExecute".to_owned(),
            value: None,
            time_added: Some(Time(now - k8s_openapi::jiff::SignedDuration::from_secs(ago))),
        };
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [], "tolerations": [
            {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]}}))
        .unwrap();
        assert!(!must_leave(&pod, &[taint(100)], now));
        assert!(must_leave(&pod, &[taint(301)], now));
        assert!(must_leave(&Pod::default(), &[taint(0)], now));
    }
}
