//! How many replicas there should be. Pure, apart from remembering earlier answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricStatus, MetricTarget,
    MetricValueStatus, ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use sealos_objects::quantity::{Format, Quantity};
use tokio::time::Instant;

use super::metrics::Usage;
use crate::numbers::count;
use crate::{meta, pods, resources};

/// Differences up to a tenth are left alone.
const TOLERANCE: f64 = 0.1;
const SHRINK_WINDOW: i32 = 300;

pub(super) struct Proposal {
    pub(super) replicas: i32,
    pub(super) reason: String,
    pub(super) limit: (bool, &'static str, &'static str),
}

const WITHIN: (bool, &str, &str) =
    (false, "DesiredWithinRange", "the desired count is within the acceptable range");

/// The largest number any metric asks for, and what was measured.
pub(super) fn propose(
    scaler: &HorizontalPodAutoscaler,
    replicas: i32,
    members: &[Arc<Pod>],
    usage: &Usage,
) -> Result<(Proposal, Vec<MetricStatus>), String> {
    let mut best: Option<Proposal> = None;
    let mut current = Vec::new();
    for metric in scaler.spec.metrics.iter().flatten() {
        let Some(source) = &metric.resource else {
            return Err(format!("metric type {:?} is not supported, use Resource", metric.type_));
        };
        let sample = Sample::take(&source.name, members, usage)?;
        let (ratio, value) = sample.ratio(&source.target)?;
        let wanted = sample.replicas(ratio, replicas, &source.target);
        current.push(MetricStatus {
            type_: "Resource".to_owned(),
            resource: Some(ResourceMetricStatus { name: source.name.clone(), current: value }),
            ..MetricStatus::default()
        });
        let direction = if wanted > replicas { "above" } else { "below" };
        let reason =
            format!("{} resource utilization (percentage of request) {direction} target", source.name);
        if best.as_ref().is_none_or(|b| b.replicas < wanted) {
            best = Some(Proposal { replicas: wanted, reason, limit: WITHIN });
        }
    }
    best.map(|b| (b, current)).ok_or_else(|| "no metrics are given".to_owned())
}

/// One resource over all pods, in thousandths.
struct Sample<'a> {
    name: &'a str,
    measured: i64,
    used: i64,
    requested: i64,
    /// Pods that run but are not measured or not ready.
    silent: i64,
    silent_requests: i64,
}

impl<'a> Sample<'a> {
    fn take(resource: &'a str, members: &[Arc<Pod>], usage: &Usage) -> Result<Self, String> {
        let mut sample =
            Self { name: resource, measured: 0, used: 0, requested: 0, silent: 0, silent_requests: 0 };
        for pod in members {
            let request = resources::requests(pod).get(resource).map_or(0, Quantity::millis);
            let used =
                usage.get(meta::name(&pod.metadata)).and_then(|u| u.get(resource)).map(Quantity::millis);
            match used.filter(|_| pods::is_ready(pod)) {
                Some(used) => {
                    sample.measured += 1;
                    sample.used = sample.used.saturating_add(used);
                    sample.requested = sample.requested.saturating_add(request);
                }
                None => {
                    sample.silent += 1;
                    sample.silent_requests = sample.silent_requests.saturating_add(request);
                }
            }
        }
        if sample.measured == 0 {
            return Err(format!(
                "failed to get {resource} utilization: did not receive metrics for targeted pods (pods might be unready)"
            ));
        }
        Ok(sample)
    }

    fn ratio(&self, target: &MetricTarget) -> Result<(f64, MetricValueStatus), String> {
        let average = self.used / self.measured;
        let mut value = MetricValueStatus {
            average_value: Some(text(average, self.name)),
            ..MetricValueStatus::default()
        };
        if let Some(wanted) = target.average_utilization {
            if self.requested == 0 {
                return Err(format!(
                    "failed to get {} utilization: missing request for {}",
                    self.name, self.name
                ));
            }
            let percent = self.used.saturating_mul(100) / self.requested;
            value.average_utilization = Some(i32::try_from(percent).unwrap_or(i32::MAX));
            return Ok((float(percent) / f64::from(wanted.max(1)), value));
        }
        let Some(wanted) = target.average_value.as_ref().map(|v| resources::quantity(v).millis()) else {
            return Err("the target needs averageUtilization or averageValue".to_owned());
        };
        Ok((float(average) / float(wanted.max(1)), value))
    }

    fn replicas(&self, ratio: f64, now: i32, target: &MetricTarget) -> i32 {
        if (ratio - 1.0).abs() <= TOLERANCE {
            return now;
        }
        if self.silent == 0 {
            return ceil(ratio * float(self.measured));
        }
        // Nobody knows what silent pods use: growing counts them as idle, shrinking as busy.
        let busy = if ratio < 1.0 { self.silent_requests } else { 0 };
        let all = Sample {
            measured: self.measured + self.silent,
            used: self.used.saturating_add(busy),
            requested: self.requested.saturating_add(self.silent_requests),
            ..*self
        };
        let Ok((again, _)) = all.ratio(target) else { return now };
        if (again - 1.0).abs() <= TOLERANCE || (again > 1.0) != (ratio > 1.0) {
            return now;
        }
        ceil(again * float(all.measured))
    }
}

fn text(millis: i64, resource: &str) -> Text {
    let binary = resource != "cpu";
    if binary {
        return Text(Quantity::from_int(millis / 1000, Format::Binary).to_string());
    }
    Text(format!("{millis}m"))
}

#[expect(clippy::cast_precision_loss, reason = "ratios need no more than 52 bits")]
fn float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates and limits follow")]
fn ceil(number: f64) -> i32 {
    number.ceil() as i32
}

/// Earlier proposals, which keep the number from swinging.
#[derive(Default)]
pub(super) struct Memory(VecDeque<(Instant, i32)>);

impl Memory {
    /// The number to set: the proposal, steadied and within all limits.
    pub(super) fn decide(
        &mut self,
        spec: &HorizontalPodAutoscalerSpec,
        replicas: i32,
        proposal: Proposal,
        now: Instant,
    ) -> Proposal {
        let behavior = spec.behavior.as_ref();
        let (up, down) =
            (behavior.and_then(|b| b.scale_up.as_ref()), behavior.and_then(|b| b.scale_down.as_ref()));
        self.0.push_back((now, proposal.replicas));
        let (up_window, down_window) = (window(up, 0), window(down, SHRINK_WINDOW));
        let longest = up_window.max(down_window);
        self.0.retain(|(at, _)| now.duration_since(*at) <= longest);
        let within =
            |window: Duration| self.0.iter().filter(move |(at, _)| now.duration_since(*at) <= window);
        let most = within(down_window).map(|(_, n)| *n).max().unwrap_or(proposal.replicas);
        let least = within(up_window).map(|(_, n)| *n).min().unwrap_or(proposal.replicas);
        let steady = replicas.max(least).min(most.max(least));
        let disabled = |rules: Option<&HPAScalingRules>| {
            rules.and_then(|r| r.select_policy.as_deref()) == Some("Disabled")
        };
        let steady = match steady.cmp(&replicas) {
            std::cmp::Ordering::Greater if disabled(up) => replicas,
            std::cmp::Ordering::Less if disabled(down) => replicas,
            _ => steady,
        };
        // At most twice as many, or four more, at once.
        let quick = replicas.saturating_mul(2).max(replicas.saturating_add(4));
        limited(spec, Proposal { replicas: steady, ..proposal }, quick)
    }
}

fn window(rules: Option<&HPAScalingRules>, default: i32) -> Duration {
    let seconds = rules.and_then(|r| r.stabilization_window_seconds).unwrap_or(default);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn limited(spec: &HorizontalPodAutoscalerSpec, proposal: Proposal, quick: i32) -> Proposal {
    let least = spec.min_replicas.unwrap_or(1);
    let (replicas, limit) = match proposal.replicas {
        n if n > spec.max_replicas.min(quick) && quick < spec.max_replicas => (
            quick,
            (
                true,
                "ScaleUpLimit",
                "the desired replica count is increasing faster than the maximum scale rate",
            ),
        ),
        n if n > spec.max_replicas => (
            spec.max_replicas,
            (true, "TooManyReplicas", "the desired replica count is more than the maximum replica count"),
        ),
        n if n < least => (
            least,
            (true, "TooFewReplicas", "the desired replica count is less than the minimum replica count"),
        ),
        n => (n, WITHIN),
    };
    Proposal { replicas: count(usize::try_from(replicas).unwrap_or(0)), limit, ..proposal }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scaler(more: &Value) -> HorizontalPodAutoscaler {
        let mut value = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 10, "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}});
        for (key, field) in more.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    /// The proposal for pods with a request of 100m each; a use of -1 stands for a silent pod.
    fn proposed(uses: &[i64]) -> Result<i32, String> {
        let mut usage = Usage::new();
        let members = uses.iter().enumerate().map(|(i, used)| {
            let mut pod = crate::pods::tests::pod(&format!("p{i}"), "Running", *used >= 0);
            pod.spec = serde_json::from_value(
                json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]}),
            )
            .unwrap();
            usage.insert(
                format!("p{i}"),
                [("cpu".to_owned(), Quantity::parse(&format!("{used}m")).unwrap())].into(),
            );
            Arc::new(pod)
        });
        let members: Vec<_> = members.collect();
        propose(&scaler(&json!({})), count(uses.len()), &members, &usage).map(|(p, _)| p.replicas)
    }

    #[test]
    fn replicas_follow_the_use() {
        assert_eq!(proposed(&[100, 100]), Ok(4));
        assert_eq!(proposed(&[52, 52]), Ok(2));
        assert_eq!(proposed(&[10, 10, 10, 10]), Ok(1));
        assert_eq!(proposed(&[100, -1]), Ok(2));
        assert!(proposed(&[-1]).is_err());
    }

    #[test]
    fn shrinking_waits_and_growing_does_not() {
        let spec = scaler(&json!({})).spec;
        let mut memory = Memory::default();
        let start = Instant::now();
        let mut at = |seconds: u64, now: i32, wanted: i32| {
            let proposal = Proposal { replicas: wanted, reason: String::new(), limit: WITHIN };
            memory.decide(&spec, now, proposal, start + Duration::from_secs(seconds)).replicas
        };
        assert_eq!(at(0, 3, 5), 5);
        assert_eq!(at(15, 5, 2), 5);
        assert_eq!(at(310, 5, 2), 2);
        assert_eq!(at(320, 2, 50), 6);
        assert_eq!(at(330, 6, 50), 10);
    }
}
