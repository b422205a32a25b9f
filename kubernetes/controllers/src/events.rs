//! Events: what happened to an object, told to its user. Repetitions are counted, similar ones are
//! combined, and a flood about one object is cut off.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::meta::{self, Object};

const WAITING: usize = 4096;
const REMEMBERED: usize = 4096;
/// From this many different messages with one reason about one object on, they are combined.
const SIMILAR: usize = 10;
/// Per object: this many at once, then one per `REFILL_SECONDS`.
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Normal,
    Warning,
}

/// Something to tell.
pub(crate) struct Report {
    about: ObjectReference,
    kind: Type,
    reason: &'static str,
    message: String,
}

/// Tells events without waiting for them to be written. When too many wait, new ones are dropped.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Report>,
}

impl Recorder {
    /// A recorder and the task that writes what it is told, as `component` or as the controller of
    /// the kind it is told about.
    pub(crate) fn start(
        client: kube::Client,
        component: Option<&'static str>,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, write(client, component, receiver, shutdown))
    }

    pub(crate) fn normal<K: Object>(&self, about: &K, reason: &'static str, message: impl Into<String>) {
        self.tell(about.object_ref(&()), Type::Normal, reason, message.into());
    }

    pub(crate) fn warning<K: Object>(&self, about: &K, reason: &'static str, message: impl Into<String>) {
        self.tell(about.object_ref(&()), Type::Warning, reason, message.into());
    }

    fn tell(&self, about: ObjectReference, kind: Type, reason: &'static str, message: String) {
        if self.sender.try_send(Report { about, kind, reason, message }).is_err() {
            debug!(reason, "event dropped, too many wait");
        }
    }
}

/// The name under which users know the controller of a kind.
fn controller_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "deployment-controller",
        "ReplicaSet" => "replicaset-controller",
        "StatefulSet" => "statefulset-controller",
        "DaemonSet" => "daemonset-controller",
        "Job" => "job-controller",
        "CronJob" => "cronjob-controller",
        "HorizontalPodAutoscaler" => "horizontal-pod-autoscaler",
        "PersistentVolume" | "PersistentVolumeClaim" => "persistentvolume-controller",
        "Node" => "node-controller",
        "Pod" => "taint-eviction-controller",
        _ => "controller-manager",
    }
}

async fn write(
    client: kube::Client,
    component: Option<&'static str>,
    mut reports: mpsc::Receiver<Report>,
    shutdown: CancellationToken,
) {
    let mut memory = Memory::default();
    loop {
        let report = tokio::select! {
            () = shutdown.cancelled() => return,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        let now = Timestamp::now();
        let Some(line) = memory.line(&report, now) else { continue };
        let namespace = report.about.namespace.as_deref().unwrap_or("default");
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        if line.count > 1 {
            let change = json!({"count": line.count, "lastTimestamp": meta::now(), "message": line.message});
            match events.patch(&line.name, &PatchParams::default(), &Patch::Merge(&change)).await {
                Ok(_) => continue,
                Err(error) => debug!(%error, "the counted event is gone, write it anew"),
            }
        }
        let kind = report.about.kind.as_deref().unwrap_or_default();
        let component = component.unwrap_or_else(|| controller_of(kind));
        let event = event(&report, line, component, namespace, now);
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            debug!(%error, reason = report.reason, "event not written");
        }
    }
}

fn event(report: &Report, line: Line, component: &str, namespace: &str, now: Timestamp) -> Event {
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now);
    Event {
        metadata: ObjectMeta {
            name: Some(line.name),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: report.about.clone(),
        type_: Some(match report.kind {
            Type::Normal => "Normal".to_owned(),
            Type::Warning => "Warning".to_owned(),
        }),
        reason: Some(report.reason.to_owned()),
        message: Some(line.message),
        count: Some(line.count),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        source: Some(EventSource { component: Some(component.to_owned()), host: None }),
        reporting_component: Some(component.to_owned()),
        ..Event::default()
    }
}

/// One event to write: a new one, or one more of a known one.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    name: String,
    message: String,
    count: i32,
}

#[derive(Default)]
struct Memory {
    /// By object uid, reason and message.
    written: HashMap<(String, &'static str, String), (String, i32)>,
    /// How many different messages, by object uid and reason.
    similar: HashMap<(String, &'static str), usize>,
    /// Tokens left and when they were counted, by object uid.
    budgets: HashMap<String, (f64, Timestamp)>,
    serial: u64,
}

impl Memory {
    /// What to write for a report, or nothing when there is too much about its object.
    fn line(&mut self, report: &Report, now: Timestamp) -> Option<Line> {
        if self.written.len() > REMEMBERED || self.budgets.len() > REMEMBERED {
            *self = Self { serial: self.serial, ..Self::default() };
        }
        let uid = report.about.uid.clone().unwrap_or_default();
        if !self.spend(&uid, now) {
            return None;
        }
        let mut id = (uid.clone(), report.reason, report.message.clone());
        let mut message = report.message.clone();
        if !self.written.contains_key(&id) {
            let different = self.similar.entry((uid, report.reason)).or_default();
            *different += 1;
            if *different > SIMILAR {
                id.2 = String::new();
                message = format!("(combined from similar events): {message}");
            }
        }
        let about = report.about.name.as_deref().unwrap_or_default();
        self.serial += 1;
        let fresh = format!("{about}.{:x}{:03x}", now.as_nanosecond(), self.serial % 4096);
        let (name, count) = self.written.entry(id).or_insert((fresh, 0));
        *count += 1;
        Some(Line { name: name.clone(), message, count: *count })
    }

    fn spend(&mut self, uid: &str, now: Timestamp) -> bool {
        let (tokens, counted) = self.budgets.entry(uid.to_owned()).or_insert((BURST, now));
        let elapsed = now.duration_since(*counted).as_secs_f64();
        *tokens = (*tokens + elapsed / REFILL_SECONDS).min(BURST);
        *counted = now;
        let enough = *tokens >= 1.0;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(message: &str) -> Report {
        let about = ObjectReference {
            name: Some("web".to_owned()),
            uid: Some("1".to_owned()),
            ..ObjectReference::default()
        };
        Report { about, kind: Type::Normal, reason: "Created", message: message.to_owned() }
    }

    #[test]
    fn repetitions_are_counted_and_similar_ones_combined() {
        let mut memory = Memory::default();
        let now = Timestamp::now();
        assert_eq!(memory.line(&report("a"), now).unwrap().count, 1);
        assert_eq!(memory.line(&report("a"), now).unwrap().count, 2);
        let lines: Vec<Line> =
            (0..12).map(|i| memory.line(&report(&format!("pod {i}")), now).unwrap()).collect();
        let last = lines.last().unwrap();
        assert_eq!((last.count, last.message.as_str()), (3, "(combined from similar events): pod 11"));
    }

    #[test]
    fn a_flood_about_one_object_is_cut_off() {
        let mut memory = Memory::default();
        let now = Timestamp::now();
        let written = (0..100).filter_map(|_| memory.line(&report("a"), now)).count();
        assert_eq!(written, 25);
    }
}
