//! What pods and the machine use now: `/stats/pods` and `/stats/node`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerStatus;
use parking_lot::Mutex;
use serde::Serialize;

use crate::host;
use crate::pods::Pods;
use crate::shared::Shared;

/// Rates are taken over at least this long.
const WINDOW: Duration = Duration::from_secs(1);
/// Readings that nobody has asked for this long are forgotten.
const FORGET: Duration = Duration::from_secs(300);
const MACHINE: &str = "";

#[derive(Serialize)]
pub(crate) struct PodStats {
    namespace: String,
    name: String,
    containers: Vec<ContainerStats>,
}

#[derive(Serialize)]
struct ContainerStats {
    name: String,
    cpu_nanos_total: u64,
    cpu_nanocores: u64,
    memory_working_set: u64,
}

#[derive(Serialize)]
pub(crate) struct NodeStats {
    name: String,
    cpu_nanos_total: u64,
    cpu_nanocores: u64,
    memory_working_set: u64,
    memory_total: u64,
}

/// Answers questions about usage.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    pods: Arc<Pods>,
    readings: Mutex<HashMap<String, Reading>>,
}

struct Reading {
    at: Instant,
    cpu_nanos: u64,
    nanocores: u64,
}

pub(crate) fn router(shared: Arc<Shared>, pods: Arc<Pods>) -> Router {
    let meter = Arc::new(Meter { shared, pods, readings: Mutex::default() });
    Router::new()
        .route("/stats/pods", get(async |State(meter): State<Arc<Meter>>| Json(meter.pods())))
        .route("/stats/node", get(async |State(meter): State<Arc<Meter>>| Json(meter.node())))
        .with_state(meter)
}

impl Meter {
    fn pods(&self) -> Vec<PodStats> {
        self.readings.lock().retain(|_, reading| reading.at.elapsed() < FORGET);
        let pods = self.pods.all();
        let mut stats: Vec<PodStats> = pods
            .iter()
            .map(|pod| {
                let state = pod.state.borrow().clone();
                let running = state.init.iter().chain(&state.main).chain(&state.ephemeral);
                PodStats {
                    namespace: pod.namespace.clone(),
                    name: pod.name.clone(),
                    containers: running.filter_map(|status| self.container(status)).collect(),
                }
            })
            .collect();
        stats.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        stats
    }

    fn container(&self, status: &ContainerStatus) -> Option<ContainerStats> {
        let since = status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?;
        let id = status.container_id.as_deref()?.strip_prefix("sealos://")?;
        let stats = self.shared.config.runtime.stats(id).ok()?;
        let age = Timestamp::now().duration_since(since.0).try_into().unwrap_or(WINDOW);
        Some(ContainerStats {
            name: status.name.clone(),
            cpu_nanos_total: stats.cpu_nanos_total,
            cpu_nanocores: self.rate(id, stats.cpu_nanos_total, age),
            memory_working_set: stats.memory_working_set,
        })
    }

    fn node(&self) -> Option<NodeStats> {
        let cpu_nanos_total = host::cpu_nanos().ok()?;
        let (memory_total, memory_working_set) = host::memory_usage().ok()?;
        let uptime = host::uptime().unwrap_or(WINDOW);
        Some(NodeStats {
            name: self.shared.config.name.clone(),
            cpu_nanos_total,
            cpu_nanocores: self.rate(MACHINE, cpu_nanos_total, uptime),
            memory_working_set,
            memory_total,
        })
    }

    /// Nanoseconds of processor time per second since the last reading; since the beginning if there
    /// is none. Askers in quick succession get the same answer.
    fn rate(&self, id: &str, cpu_nanos: u64, age: Duration) -> u64 {
        let mut readings = self.readings.lock();
        let now = Instant::now();
        let (spent, time) = match readings.get(id) {
            Some(last) if now - last.at < WINDOW => return last.nanocores,
            Some(last) => (cpu_nanos.saturating_sub(last.cpu_nanos), now - last.at),
            None => (cpu_nanos, age.max(WINDOW)),
        };
        let nanocores = u128::from(spent) * 1_000_000_000 / time.as_nanos().max(1);
        let nanocores = u64::try_from(nanocores).unwrap_or(u64::MAX);
        readings.insert(id.to_owned(), Reading { at: now, cpu_nanos, nanocores });
        nanocores
    }
}
