//! Asks databases and buckets for their numbers, again and again.
//!
//! A database is asked by running its script in its pods, which costs it something: often while somebody
//! looks at its charts, seldom while nobody does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use sealos_buckets::BucketView;
use sealos_buckets::kinds::ObjectStorageBucket;
use sealos_databases::{Cluster, Database, Databases, Metrics};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Parts;
use crate::samples::Sampler;
use crate::tracks::{Key, Numbers};

const INTERVAL: Duration = Duration::from_secs(5);
/// How many intervals lie between two looks at a database that nobody watches.
const SELDOM: u64 = 12;
const BUCKETS: u64 = 6;
/// How many databases are asked at a time.
const AT_ONCE: usize = 4;

/// What a database had counted up to at the last look.
#[derive(Debug, Clone)]
struct Counted {
    at: Instant,
    metrics: Metrics,
}

/// Samples until it is dropped.
pub(crate) async fn run(parts: Arc<Parts>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sampler = Sampler::default();
    let mut counted = HashMap::new();
    let mut round = 0_u64;
    loop {
        ticks.tick().await;
        let Some(client) = sampler.client(&parts).await else { continue };
        let seldom = round.is_multiple_of(SELDOM);
        databases(&parts, &client, seldom, &mut counted).await;
        if round.is_multiple_of(BUCKETS) {
            buckets(&parts, &client).await;
        }
        round += 1;
    }
}

async fn databases(parts: &Parts, client: &kube::Client, all: bool, counted: &mut HashMap<Key, Counted>) {
    let api: Api<Cluster> = Api::all(client.clone());
    let clusters = match api.list_metadata(&ListParams::default()).await {
        Ok(clusters) => clusters.items,
        Err(error) => {
            tracing::debug!(%error, "no look at databases this time");
            return;
        }
    };
    let keys: Vec<Key> = clusters.iter().map(|c| (c.namespace().unwrap_or_default(), c.name_any())).collect();
    parts.databases.keep(|key| keys.contains(key));
    counted.retain(|key, _| keys.contains(key));
    let wanted = keys.into_iter().filter(|key| all || parts.databases.is_watched(key));
    let asked = futures::stream::iter(wanted).map(|key| async {
        let databases = Databases::new(client.clone(), key.0.clone());
        let (database, metrics) = tokio::join!(databases.get(&key.1), databases.metrics(&key.1));
        (key, database, metrics)
    });
    let mut asked = asked.buffer_unordered(AT_ONCE);
    while let Some((key, database, metrics)) = asked.next().await {
        let (Ok(database), Ok(metrics)) = (database, metrics) else { continue };
        let Some(own) = of_primary(&database, &metrics) else { continue };
        let now = Counted { at: Instant::now(), metrics: own.clone() };
        let before = counted.insert(key.clone(), now.clone());
        let mut numbers = numbers(before.as_ref(), &now);
        if database.replicas.desired > 1 {
            let lags = metrics.values().filter_map(|m| m.get("replicationLagSeconds"));
            numbers.insert("replicationLagSeconds", lags.copied().fold(0.0, f64::max));
        }
        parts.databases.record(key, Timestamp::now().as_second(), numbers);
    }
}

/// The numbers of the pod that takes writes.
fn of_primary<'a>(
    database: &Database,
    metrics: &'a std::collections::BTreeMap<String, Metrics>,
) -> Option<&'a Metrics> {
    let primary = database.members.iter().find(|m| m.role.as_deref() == Some("primary"))?;
    metrics.get(&primary.pod)
}

/// What is shown of what was counted: rates need two looks.
fn numbers(before: Option<&Counted>, now: &Counted) -> Numbers {
    let mut numbers = Numbers::new();
    let get = |key: &str| now.metrics.get(key).copied();
    for name in ["connections", "maxConnections", "storageBytes", "memoryBytes"] {
        numbers.extend(get(name).map(|value| (name, value)));
    }
    let Some(before) = before else { return numbers };
    let since = now.at.saturating_duration_since(before.at).as_secs_f64();
    // A counter that fell was begun anew, by a restart or another primary.
    let grown =
        |key: &str| Some(get(key)? - before.metrics.get(key)?).filter(|grown| *grown >= 0.0 && since > 0.0);
    numbers.extend(grown("transactions").map(|grown| ("transactionsPerSecond", grown / since)));
    if let (Some(hits), Some(misses)) = (grown("cacheHits"), grown("cacheMisses"))
        && hits + misses > 0.0
    {
        numbers.insert("cacheHitRate", hits / (hits + misses));
    }
    numbers
}

#[expect(clippy::cast_precision_loss, reason = "sizes for a chart")]
async fn buckets(parts: &Parts, client: &kube::Client) {
    let api: Api<ObjectStorageBucket> = Api::all(client.clone());
    let found = match api.list(&ListParams::default()).await {
        Ok(found) => found.items,
        Err(error) => {
            tracing::debug!(%error, "no look at buckets this time");
            return;
        }
    };
    let at = Timestamp::now().as_second();
    let views: Vec<_> = found.iter().map(BucketView::from).collect();
    let keys: Vec<Key> = views.iter().map(|view| (view.workspace.clone(), view.name.clone())).collect();
    parts.buckets.keep(|key| keys.contains(key));
    for (key, view) in keys.into_iter().zip(&views) {
        let numbers = Numbers::from([("sizeBytes", view.size as f64), ("objects", view.objects as f64)]);
        parts.buckets.record(key, at, numbers);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sealos_databases::Metrics;
    use tokio::time::Instant;

    use super::{Counted, numbers};

    fn counted(at: Instant, pairs: &[(&str, f64)]) -> Counted {
        let metrics: Metrics = pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        Counted { at, metrics }
    }

    #[test]
    fn rates_come_from_two_looks() {
        let start = Instant::now();
        let counts = [("transactions", 100.0), ("cacheHits", 50.0), ("cacheMisses", 50.0)];
        let first = counted(start, &counts);
        assert!(numbers(None, &first).is_empty());
        let later =
            [("connections", 7.0), ("transactions", 150.0), ("cacheHits", 140.0), ("cacheMisses", 60.0)];
        let shown = numbers(Some(&first), &counted(start + Duration::from_secs(10), &later));
        assert_eq!(shown["connections"], 7.0);
        assert_eq!(shown["transactionsPerSecond"], 5.0);
        assert_eq!(shown["cacheHitRate"], 0.9);
    }

    #[test]
    fn a_counter_that_began_anew_is_no_rate() {
        let start = Instant::now();
        let first = counted(start, &[("transactions", 100.0)]);
        let shown = numbers(Some(&first), &counted(start + Duration::from_secs(5), &[("transactions", 3.0)]));
        assert!(!shown.contains_key("transactionsPerSecond"));
    }
}
