//! Waiting until an app serves.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt as _, watcher};
use sealos_kit::labels;
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::actions::Apps;
use crate::status::{AppStatus, Phase};

/// What a person may watch while an app comes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Ready pods of the new version.
    pub ready: i32,
    /// Wanted pods.
    pub desired: i32,
    /// The present state in words.
    pub message: String,
}

/// A lasting trouble must hold this long before waiting ends, since a first crash may heal itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pod without a readiness probe counts as ready as soon as it runs; one that crashes at once shows
/// within this time.
const STEADY: Duration = Duration::from_secs(1);

impl Apps {
    /// Waits until all replicas of the newest version are ready; fails early on what will not heal.
    pub async fn wait_ready(
        &self,
        name: &str,
        limit: Duration,
        mut report: impl FnMut(Progress),
    ) -> Result<AppStatus, Error> {
        let deadline = Instant::now() + limit;
        let selector = format!("{}={name}", labels::APP);
        let pods = watcher(self.api::<Pod>(), watcher::Config::default().labels(&selector));
        let mut changes = pods.default_backoff().touched_objects().boxed();
        let mut troubled_since = None;
        let mut running_since = None;
        loop {
            let observed = self.observe(name).await?;
            let status = observed.status();
            report(Progress {
                ready: status.replicas.ready,
                desired: status.replicas.desired,
                message: status.message.clone(),
            });
            match status.phase {
                Phase::Stopped | Phase::Waiting => return Ok(status),
                Phase::Running => {
                    let since = *running_since.get_or_insert_with(Instant::now);
                    if observed.workload.is_probed() || since.elapsed() >= STEADY {
                        return Ok(status);
                    }
                }
                Phase::Error => {
                    running_since = None;
                    let since = *troubled_since.get_or_insert_with(Instant::now);
                    if is_final(&status.message) || since.elapsed() > PATIENCE {
                        return Err(not_ready(name, status.message));
                    }
                }
                Phase::Creating | Phase::Deleting => (troubled_since, running_since) = (None, None),
            }
            if Instant::now() >= deadline {
                let seconds = limit.as_secs();
                return Err(not_ready(name, format!("{} (waited {seconds} s)", status.message)));
            }
            // A workload's own status changes without a pod's; so look again soon in any case.
            let next = deadline.min(Instant::now() + Duration::from_millis(100));
            let _changed = timeout_at(next, changes.next()).await;
        }
    }
}

fn not_ready(name: &str, reason: String) -> Error {
    Error::NotReady { name: name.to_owned(), reason }
}

/// What no waiting will change.
fn is_final(message: &str) -> bool {
    ["cannot be had", "was not found", "not executable", "cannot start"]
        .iter()
        .any(|text| message.contains(text))
}
