//! The operator: follows Clusters and OpsRequests and what belongs to them.

use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Controller;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client};
use sealos_db_engines::images::ImageSource;
use sealos_db_engines::names;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::Error;
use crate::crds::{self, Served};
use crate::images::Images;
use crate::model::{Cluster, OpsRequest};
use crate::{offer, ops, reconcile};

/// So many databases are worked on side by side.
const SIDE_BY_SIDE: u16 = 16;
/// Who writes the events.
const REPORTER: &str = "sealos-databases";

/// Makes the kinds known and runs databases until `shutdown`. On a cluster where KubeBlocks does that,
/// nothing is done.
pub async fn run(
    client: Client,
    images: Arc<dyn ImageSource>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    if crds::install(&client).await? == Served::ByKubeBlocks {
        info!("databases are left to the KubeBlocks of this cluster");
        shutdown.cancelled().await;
        return Ok(());
    }
    let ready = async {
        crds::established(&client).await?;
        offer::offer(&client).await
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        result = ready => result?,
    }
    tokio::join!(clusters(&client, images, &shutdown), operations(&client, &shutdown));
    Ok(())
}

async fn clusters(client: &Client, images: Arc<dyn ImageSource>, shutdown: &CancellationToken) {
    let recorder = Recorder::new(client.clone(), Reporter::from(REPORTER.to_owned()));
    let context = Arc::new(reconcile::Context::new(client.clone(), Images::new(images), recorder));
    let all = watcher::Config::default();
    let ours = watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::KUBEBLOCKS));
    let controller = Controller::new(Api::<Cluster>::all(client.clone()), all)
        .with_config(kube::runtime::controller::Config::default().concurrency(SIDE_BY_SIDE))
        .owns(Api::<PartialObjectMeta<StatefulSet>>::all(client.clone()), ours.clone())
        .owns(Api::<PartialObjectMeta<Service>>::all(client.clone()), ours.clone())
        // Whole pods are read when they matter; following them takes their labels alone.
        .watches(Api::<PartialObjectMeta<Pod>>::all(client.clone()), ours.clone(), owner)
        .watches(Api::<PartialObjectMeta<PersistentVolumeClaim>>::all(client.clone()), ours, owner)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let run = controller.run(reconcile::reconcile, reconcile::retry, context);
    run.for_each(|done| {
        if let Err(error) = done {
            debug!(%error, "a Cluster");
        }
        std::future::ready(())
    })
    .await;
}

async fn operations(client: &Client, shutdown: &CancellationToken) {
    let controller = Controller::new(Api::<OpsRequest>::all(client.clone()), watcher::Config::default());
    let context = Arc::new(ops::Context { client: client.clone(), all: controller.store() });
    let controller = controller
        .with_config(kube::runtime::controller::Config::default().concurrency(SIDE_BY_SIDE))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let run = controller.run(ops::reconcile, ops::retry, context);
    run.for_each(|done| {
        if let Err(error) = done {
            debug!(%error, "an operation");
        }
        std::future::ready(())
    })
    .await;
}

/// The Cluster that an object belongs to.
fn owner<K: kube::Resource>(object: PartialObjectMeta<K>) -> Option<ObjectRef<Cluster>> {
    let cluster = object.metadata.labels.as_ref()?.get(names::INSTANCE)?;
    Some(ObjectRef::new(cluster).within(object.metadata.namespace.as_deref()?))
}
