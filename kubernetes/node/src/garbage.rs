//! What belongs to no pod any more: containers, networks, directories and logs.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::pod::labels::{BUILD, Found};
use crate::shared::Shared;
use crate::volumes::host::unmount_below;

/// Removes what pods left that are not in `known`. Runs once, when the node knows its pods.
pub(crate) async fn collect(shared: &Shared, orphans: HashMap<String, Vec<Found>>, known: &HashSet<String>) {
    for found in orphans.into_values().flatten() {
        remove_container(shared, &found.state.id).await;
    }
    for (id, _) in shared.config.network.attached() {
        if known.contains(&id) {
            continue;
        }
        if let Err(error) = shared.config.network.detach(&id).await {
            tracing::warn!(%id, %error, "detach a network that belongs to no pod");
        }
    }
    let (pods, logs) = (shared.pod_dirs(), shared.log_dirs());
    let known = known.clone();
    let swept = tokio::task::spawn_blocking(move || {
        sweep(&pods, |name| known.contains(name));
        sweep(&logs, |name| name.rsplit('_').next().is_some_and(|uid| known.contains(uid)));
    });
    if let Err(error) = swept.await {
        tracing::warn!(%error, "remove the directories of deleted pods");
    }
}

/// Removes build containers of an earlier process: nobody waits for them any more.
pub(crate) async fn end_builds(shared: &Shared, containers: &[sealos_container::ContainerState]) {
    for container in containers.iter().filter(|c| c.labels.contains_key(BUILD)) {
        remove_container(shared, &container.id).await;
    }
}

async fn remove_container(shared: &Shared, id: &str) {
    if let Err(error) = shared.config.runtime.remove(id).await {
        tracing::warn!(%id, %error, "remove a container that belongs to no pod");
    }
}

/// Removes the directories in `dir` that nobody keeps.
fn sweep(dir: &Path, keep: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(&keep) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = unmount_below(&path).and_then(|()| std::fs::remove_dir_all(&path)) {
            tracing::warn!(path = %path.display(), %error, "remove what a deleted pod left");
        }
    }
}
