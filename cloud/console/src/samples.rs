//! An hour of samples of what pods use, in memory. No pod is needed for it, and nothing is stored.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::quantity::{amount, millis};
use crate::session::acting_with;
use crate::{Parts, TokenSource};

const INTERVAL: Duration = Duration::from_secs(5);
const KEPT: usize = 720;
/// The lines in the list show the last quarter of an hour, every third sample.
const LIST_SAMPLES: usize = 180;
const LIST_STEP: usize = 3;
const TOKEN_AGE: Duration = Duration::from_secs(3600);

/// What one pod used at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Use {
    pub(crate) cpu_millis: f64,
    pub(crate) memory_bytes: f64,
}

impl std::ops::Add for Use {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis + other.cpu_millis,
            memory_bytes: self.memory_bytes + other.memory_bytes,
        }
    }
}

/// The series of one app's pods, on one axis of time.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct AppSeries {
    at: Vec<i64>,
    pods: BTreeMap<String, PodSeries>,
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct PodSeries {
    cpu_millis: Vec<Option<f64>>,
    memory_bytes: Vec<Option<f64>>,
}

/// A series with its own axis.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Series {
    at: Vec<i64>,
    #[serde(flatten)]
    values: PodSeries,
}

impl FromIterator<Option<Use>> for PodSeries {
    fn from_iter<T: IntoIterator<Item = Option<Use>>>(uses: T) -> Self {
        let pair = uses.into_iter().map(|one| (one.map(|u| u.cpu_millis), one.map(|u| u.memory_bytes)));
        let (cpu_millis, memory_bytes) = pair.unzip();
        Self { cpu_millis, memory_bytes }
    }
}

/// The samples of all pods: one entry per moment.
#[derive(Default)]
pub(crate) struct Samples {
    ring: Mutex<Ring>,
}

/// Workspace and pod.
type Key = (String, String);

#[derive(Default)]
struct Ring {
    moments: VecDeque<(i64, HashMap<Key, Use>)>,
    /// Which app a pod belongs to; kept as long as the pod's samples.
    apps: HashMap<Key, String>,
    nodes: Use,
}

impl Samples {
    /// Remembers whose pod it is.
    pub(crate) fn tag(&self, workspace: &str, pod: &str, app: &str) {
        let key = (workspace.to_owned(), pod.to_owned());
        self.ring.lock().apps.entry(key).or_insert_with(|| app.to_owned());
    }

    /// What the machines use now.
    pub(crate) fn nodes(&self) -> Use {
        self.ring.lock().nodes
    }

    fn record(&self, at: i64, pods: HashMap<Key, Use>, nodes: Use) {
        let mut ring = self.ring.lock();
        ring.nodes = nodes;
        ring.moments.push_back((at, pods));
        if ring.moments.len() > KEPT {
            ring.moments.pop_front();
            let Ring { moments, apps, .. } = &mut *ring;
            apps.retain(|key, _| moments.iter().any(|(_, pods)| pods.contains_key(key)));
        }
    }

    /// All samples of an app's pods.
    pub(crate) fn app(&self, workspace: &str, app: &str) -> AppSeries {
        let ring = self.ring.lock();
        let series = |key: &Key| ring.moments.iter().map(|(_, pods)| pods.get(key).copied()).collect();
        AppSeries {
            at: ring.moments.iter().map(|(at, _)| *at).collect(),
            pods: ring.pods_of(workspace, app).map(|key| (key.1.clone(), series(key))).collect(),
        }
    }

    /// The sums over an app's pods, thinned out for a small line; `None` without pods.
    pub(crate) fn sum(&self, workspace: &str, app: &str) -> Option<Series> {
        let ring = self.ring.lock();
        let keys: Vec<_> = ring.pods_of(workspace, app).collect();
        if keys.is_empty() {
            return None;
        }
        let recent: Vec<_> = ring.moments.iter().rev().take(LIST_SAMPLES).step_by(LIST_STEP).collect();
        let sum = |pods: &HashMap<Key, Use>| {
            keys.iter().filter_map(|key| pods.get(*key).copied()).reduce(|a, b| a + b)
        };
        Some(Series {
            at: recent.iter().rev().map(|(at, _)| *at).collect(),
            values: recent.iter().rev().map(|(_, pods)| sum(pods)).collect(),
        })
    }
}

impl Ring {
    fn pods_of<'a>(&'a self, workspace: &'a str, app: &'a str) -> impl Iterator<Item = &'a Key> {
        let own = move |(key, of): &(&'a Key, &'a String)| key.0 == workspace && *of == app;
        self.apps.iter().filter(own).map(|(key, _)| key)
    }
}

/// Acts as the administrator, with a token that is renewed in time.
#[derive(Default)]
pub(crate) struct Sampler {
    known: Option<(kube::Client, Instant)>,
}

impl Sampler {
    /// A client that works now; `None` while no token can be had.
    pub(crate) async fn client(&mut self, parts: &Parts) -> Option<kube::Client> {
        let fresh = self.known.as_ref().is_some_and(|(_, since)| since.elapsed() < TOKEN_AGE);
        if !fresh {
            let client = fresh_client(&parts.config.client, &parts.config.token_source).await?;
            self.known = Some((client, Instant::now()));
        }
        self.known.as_ref().map(|(client, _)| client.clone())
    }
}

/// Samples until it is dropped. A cloud without metrics is asked again at the next tick.
pub(crate) async fn run(parts: Arc<Parts>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sampler = Sampler::default();
    loop {
        ticks.tick().await;
        let Some(client) = sampler.client(&parts).await else { continue };
        if let Err(error) = sample(&parts.samples, &client).await {
            tracing::debug!(%error, "no samples this time");
        }
    }
}

async fn fresh_client(base: &kube::Client, source: &TokenSource) -> Option<kube::Client> {
    match source().await {
        Ok(token) => acting_with(base, &token).ok(),
        Err(error) => {
            tracing::debug!(%error, "no token to sample with");
            None
        }
    }
}

async fn sample(samples: &Samples, client: &kube::Client) -> kube::Result<()> {
    let (pods, nodes) = (metrics(client, "PodMetrics", "pods"), metrics(client, "NodeMetrics", "nodes"));
    let every = ListParams::default();
    let (pods, nodes) = tokio::try_join!(pods.list(&every), nodes.list(&every))?;
    let uses = pods.items.iter().filter_map(|pod| {
        let key = (pod.metadata.namespace.clone()?, pod.metadata.name.clone()?);
        let containers = pod.data.get("containers")?.as_array()?;
        Some((key, containers.iter().filter_map(usage).reduce(|a, b| a + b)?))
    });
    let total = nodes.items.iter().filter_map(|node| usage(&node.data)).reduce(|a, b| a + b);
    samples.record(Timestamp::now().as_second(), uses.collect(), total.unwrap_or_default());
    Ok(())
}

fn metrics(client: &kube::Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural))
}

fn usage(of: &Value) -> Option<Use> {
    let read = |key: &str| amount(of["usage"][key].as_str()?);
    Some(Use { cpu_millis: millis(read("cpu")?), memory_bytes: read("memory")? })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::{KEPT, Samples, Use, usage};

    fn key(pod: &str) -> (String, String) {
        ("default".to_owned(), pod.to_owned())
    }

    fn one(cpu: f64) -> Use {
        Use { cpu_millis: cpu, memory_bytes: 10.0 }
    }

    #[test]
    fn a_pod_that_was_not_there_leaves_a_gap() {
        let samples = Samples::default();
        samples.record(1, HashMap::from([(key("a"), one(1.0))]), Use::default());
        samples.record(2, HashMap::from([(key("a"), one(2.0)), (key("b"), one(5.0))]), Use::default());
        samples.tag("default", "a", "web");
        samples.tag("default", "b", "web");
        let series = serde_json::to_value(samples.app("default", "web")).expect("series are JSON");
        assert_eq!(series["pods"]["b"]["cpuMillis"], json!([null, 5.0]));
        let sum = serde_json::to_value(samples.sum("default", "web")).expect("a sum is JSON");
        assert_eq!(sum["at"], json!([2]));
        assert_eq!(sum["cpuMillis"], json!([7.0]));
    }

    #[test]
    fn forgets_what_is_older_than_an_hour() {
        let samples = Samples::default();
        samples.record(0, HashMap::from([(key("old"), one(1.0))]), Use::default());
        samples.tag("default", "old", "web");
        for at in 1..=KEPT {
            samples.record(i64::try_from(at).expect("small"), HashMap::new(), Use::default());
        }
        assert!(samples.sum("default", "web").is_none());
        assert_eq!(samples.app("default", "web").at.len(), KEPT);
    }

    #[test]
    fn reads_what_the_metrics_api_says() {
        let used = usage(&json!({ "usage": { "cpu": "1500000n", "memory": "4Ki" } }));
        assert_eq!(used, Some(Use { cpu_millis: 1.5, memory_bytes: 4096.0 }));
        assert_eq!(usage(&json!({})), None);
    }
}
