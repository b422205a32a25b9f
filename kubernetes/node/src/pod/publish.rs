//! Publishes the status of a pod: as soon as something changed, and only what changed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::context::Context;
use crate::backoff::Retry;
use crate::state::PodState;
use crate::status::{compute, phase};

/// News that only say "still coming up" wait this long for the news that follow.
const SETTLE: Duration = Duration::from_millis(100);
/// Reasons to wait that say nothing new.
const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
const OWN_CONDITIONS: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/// Writes one pod's status.
pub(crate) struct Publisher<'a> {
    context: &'a Context,
    api: Api<Pod>,
    /// The status as it was last written, or as the API had it when the node first saw the pod.
    published: Map<String, Value>,
}

/// The pod is gone from the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl<'a> Publisher<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        let api = Api::namespaced(context.shared.config.client.clone(), &context.namespace);
        let published = context.pod().status.as_ref().map(to_map).unwrap_or_default();
        Self { context, api, published }
    }

    /// Publishes every change until the pod is gone.
    pub(crate) async fn run(&mut self) -> Gone {
        let mut state = self.context.state.subscribe();
        let mut wish = self.context.wish.clone();
        loop {
            self.settle(&mut state).await;
            if self.flush().await == Err(Gone) {
                return Gone;
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return Gone },
                // Readiness gates and the generation belong to the status too.
                changed = wish.changed() => if changed.is_err() { return Gone },
            }
        }
    }

    /// Lets a pod that is coming up come up before a word is written about it.
    async fn settle(&self, state: &mut watch::Receiver<PodState>) {
        let until = Instant::now() + SETTLE;
        while self.is_ordinary(&state.borrow_and_update()) {
            tokio::select! {
                () = sleep_until(until) => return,
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    }

    fn is_ordinary(&self, state: &PodState) -> bool {
        let began = self.published.get("phase").and_then(Value::as_str).is_some_and(|p| p != phase::PENDING);
        if began || state.verdict.is_some() {
            return false;
        }
        let mut waits = state.init.iter().chain(&state.main).map(|c| {
            let waiting = c.state.as_ref().and_then(|s| s.waiting.as_ref());
            waiting.is_some_and(|w| w.reason.as_deref().is_some_and(|r| ORDINARY.contains(&r)))
        });
        waits.all(|ordinary| ordinary)
    }

    /// Writes what is not written yet.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        let mut retry = Retry::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            let next = self.next();
            let Some(patch) = difference(&self.published, &next) else { return Ok(()) };
            let body = json!({"metadata": {"uid": self.context.uid}, "status": patch});
            let params = PatchParams::default();
            match self.api.patch_status(&self.context.name, &params, &Patch::Strategic(body)).await {
                Ok(_) => {
                    self.published = next;
                    return Ok(());
                }
                // A conflict means that another pod has the name now.
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                    return Err(Gone);
                }
                Err(error) => {
                    tracing::warn!(pod = self.context.name, %error, "write the status of a pod");
                    sleep_until(retry.next()).await;
                }
            }
        }
    }

    /// The status as it should be now.
    fn next(&self) -> Map<String, Value> {
        let mut pod = Pod::clone(&self.context.pod());
        let mut known: Vec<PodCondition> = conditions(&self.published);
        known.retain(|c| OWN_CONDITIONS.contains(&c.type_.as_str()));
        let status = pod.status.get_or_insert_default();
        let others = status.conditions.take().unwrap_or_default();
        known.extend(others.into_iter().filter(|c| !OWN_CONDITIONS.contains(&c.type_.as_str())));
        status.conditions = Some(known);
        let state = self.context.state.borrow().clone();
        to_map(&compute(&pod, &state, self.context.shared.host.ip, Timestamp::now()))
    }
}

fn to_map<T: serde::Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn conditions(status: &Map<String, Value>) -> Vec<PodCondition> {
    let list = status.get("conditions").cloned().unwrap_or_default();
    serde_json::from_value(list).unwrap_or_default()
}

/// The fields of `next` that differ, and `null` for those that are gone. Of conditions only our own
/// are compared and sent: the server merges them by type.
fn difference(published: &Map<String, Value>, next: &Map<String, Value>) -> Option<Value> {
    let own = |status: &Map<String, Value>| {
        let mut list = conditions(status);
        list.retain(|c| OWN_CONDITIONS.contains(&c.type_.as_str()));
        list.sort_by(|a, b| a.type_.cmp(&b.type_));
        list
    };
    let mut patch = Map::new();
    for (name, value) in next {
        if name == "conditions" {
            let before = own(published);
            let changed: Vec<_> = own(next).into_iter().filter(|c| !before.contains(c)).collect();
            if !changed.is_empty() {
                patch.insert(name.clone(), json!(changed));
            }
        } else if published.get(name) != Some(value) {
            patch.insert(name.clone(), value.clone());
        }
    }
    for name in ["reason", "message", "podIP", "podIPs"] {
        if published.contains_key(name) && !next.contains_key(name) {
            patch.insert(name.to_owned(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(published: Value, next: Value, expected: Option<Value>) {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        assert_eq!(difference(&map(published), &map(next)), expected);
    }

    #[test]
    fn only_what_changed_is_sent() {
        check(json!({"phase": "Running"}), json!({"phase": "Running"}), None);
        check(
            json!({"phase": "Pending", "podIP": "10.1.0.2", "qosClass": "Burstable"}),
            json!({"phase": "Failed", "qosClass": "Burstable"}),
            Some(json!({"phase": "Failed", "podIP": null})),
        );
    }

    #[test]
    fn conditions_of_others_are_left_alone() {
        let condition = |name: &str, status: &str| json!({"type": name, "status": status});
        check(
            json!({"conditions": [condition("PodScheduled", "True"), condition("Ready", "False")]}),
            json!({"conditions": [condition("Ready", "True"), condition("PodScheduled", "False")]}),
            Some(json!({"conditions": [condition("Ready", "True")]})),
        );
    }
}
