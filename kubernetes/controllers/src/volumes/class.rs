//! The storage class `local`, the default, there from the start.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::PROVISIONER;
use crate::cluster::Cluster;
use crate::meta::{self, Key};

pub(super) const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const NAME: &str = "local";
const AGAIN: Duration = Duration::from_secs(1);

/// Makes the class if there is none of that name; what users changed on it stays.
pub(super) async fn ensure(cluster: Cluster, shutdown: CancellationToken) {
    while cluster.storage_classes.get(&Key::new("", NAME)).is_none() {
        match cluster.storage_classes.create(&local()).await {
            Ok(_) => return,
            Err(error) if error.is_conflict() => return,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "storage class not made, try again")
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

fn local() -> StorageClass {
    StorageClass {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            annotations: Some(BTreeMap::from([(DEFAULT.to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        provisioner: PROVISIONER.to_owned(),
        reclaim_policy: Some("Delete".to_owned()),
        allow_volume_expansion: Some(true),
        // With one disk nothing is won by waiting for the pod, and the app starts sooner.
        volume_binding_mode: Some("Immediate".to_owned()),
        ..StorageClass::default()
    }
}

/// The default class; of several the newest.
pub(super) fn default_of(cluster: &Cluster) -> Option<String> {
    let all = cluster.storage_classes.all();
    let defaults = all.iter().filter(|c| meta::annotation(&c.metadata, DEFAULT) == Some("true"));
    defaults.max_by_key(|c| meta::created(&c.metadata)).and_then(|c| c.metadata.name.clone())
}
