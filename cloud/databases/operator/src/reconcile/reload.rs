//! Parameters that change while the engine runs: once the pods see the new file, `reload.sh` takes it over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use sealos_db_engines::{parameters, scripts};
use sealos_kit::exec::Target;
use serde_json::json;
use tracing::warn;

use super::{Context, patch_cluster};
use crate::Error;
use crate::actions::script;
use crate::model::{Cluster, LOADED};
use crate::observe::Observed;
use crate::plan;
use crate::wanted::Wanted;

/// How long a changed ConfigMap may take to appear in a pod.
const APPEARS: Duration = Duration::from_secs(150);
/// How long a script may take.
const SCRIPT: Duration = Duration::from_secs(30);

/// The databases whose parameters are being taken over.
#[derive(Debug, Clone, Default)]
pub(super) struct Reloads(Arc<Mutex<HashSet<String>>>);

/// Takes changed parameters over, in the background.
pub(super) async fn reload(
    cluster: &Cluster,
    wanted: &Wanted,
    observed: &Observed,
    context: &Context,
) -> Result<(), Error> {
    let fingerprint = plan::config_fingerprint(wanted);
    match cluster.annotations().get(LOADED) {
        Some(loaded) if *loaded == fingerprint => return Ok(()),
        // It started with them.
        None => return mark(cluster, &fingerprint, context).await,
        Some(_) => {}
    }
    if !context.reloads.0.lock().insert(wanted.uid.clone()) {
        return Ok(());
    }
    let job = Job {
        client: context.client.clone(),
        cluster: wanted.name.clone(),
        targets: targets(wanted, observed),
        files: plan::files(wanted),
        fingerprint,
    };
    let (running, uid) = (context.reloads.clone(), wanted.uid.clone());
    tokio::spawn(async move {
        if let Err(error) = job.run().await {
            warn!(cluster = %job.cluster, %error, "parameters could not be taken over, it is tried again");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        running.0.lock().remove(&uid);
    });
    Ok(())
}

async fn mark(cluster: &Cluster, fingerprint: &str, context: &Context) -> Result<(), Error> {
    let patch = json!({ "metadata": { "annotations": { LOADED: fingerprint } } });
    patch_cluster(cluster, context, &patch).await
}

fn targets(wanted: &Wanted, observed: &Observed) -> Vec<Target> {
    let target = |pod: &k8s_openapi::api::core::v1::Pod| Target {
        namespace: wanted.namespace.clone(),
        pod: pod.name_any(),
        container: wanted.component.clone(),
    };
    observed.pods.iter().map(target).collect()
}

struct Job {
    client: Client,
    cluster: String,
    targets: Vec<Target>,
    files: serde_json::Value,
    fingerprint: String,
}

impl Job {
    async fn run(&self) -> Result<(), Error> {
        for target in &self.targets {
            for file in [parameters::FILE, parameters::ARCHIVE] {
                self.appeared(target, file).await?;
            }
            target.ok(&self.client, &[&script("reload.sh")], b"", SCRIPT).await?;
        }
        let Some(first) = self.targets.first() else { return Ok(()) };
        let api: Api<Cluster> = Api::namespaced(self.client.clone(), &first.namespace);
        let patch = json!({ "metadata": { "annotations": { LOADED: self.fingerprint } } });
        let marked = api.patch(&self.cluster, &PatchParams::default(), &Patch::Merge(&patch)).await;
        marked.map(drop).map_err(Error::api(format!("mark the Cluster `{}`", self.cluster)))
    }

    /// Waits until a pod sees the new contents of a file.
    async fn appeared(&self, target: &Target, file: &str) -> Result<(), Error> {
        let path = format!("{}/{file}", scripts::CONFIG_DIR);
        let wanted = self.files[file].as_str().unwrap_or_default();
        let since = Instant::now();
        loop {
            let seen = target.ok(&self.client, &["cat", &path], b"", SCRIPT).await?;
            if seen == wanted.as_bytes() {
                return Ok(());
            }
            if since.elapsed() > APPEARS {
                return Err(Error::NotReady {
                    name: self.cluster.clone(),
                    reason: format!("{} does not see its new parameters", target.pod),
                });
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}
