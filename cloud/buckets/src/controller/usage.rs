//! Keeps the counts in the statuses near the truth. Asks the store, which counts as it goes, and writes
//! only what changed.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::reflector::Store;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Error, Shared};
use crate::backend::Usage;
use crate::kinds::{ObjectStorageBucket, ObjectStorageUser};

/// How old a count may be.
const EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(
    shared: Arc<Shared>,
    users: Store<ObjectStorageUser>,
    buckets: Store<ObjectStorageBucket>,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for bucket in buckets.state() {
            note(shared.measure_bucket(&bucket).await);
        }
        for user in users.state() {
            note(shared.measure_user(&user).await);
        }
    }
}

fn note(result: Result<(), Error>) {
    if let Err(error) = result {
        debug!(%error, "a count could not be refreshed");
    }
}

impl Shared {
    async fn measure_bucket(&self, object: &ObjectStorageBucket) -> Result<(), Error> {
        let Some(status) = object.status.as_ref().filter(|_| object.metadata.deletion_timestamp.is_none())
        else {
            return Ok(());
        };
        let Some(name) = &status.name else { return Ok(()) };
        let now = self.backend.bucket_usage(name).await?;
        let before = Usage { bytes: status.size, objects: status.objects_count };
        self.write_status(object, &counts(before), &counts(now)).await
    }

    async fn measure_user(&self, object: &ObjectStorageUser) -> Result<(), Error> {
        // Without a key it was refused, or is not brought about yet.
        let Some(status) = object.status.as_ref().filter(|status| !status.access_key.is_empty()) else {
            return Ok(());
        };
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let now = self.backend.user_usage(&object.name_any()).await?;
        let before = Usage { bytes: status.size, objects: status.objects_count };
        self.write_status(object, &counts(before), &counts(now)).await
    }
}

fn counts(usage: Usage) -> serde_json::Value {
    json!({ "size": usage.bytes, "objectsCount": usage.objects })
}
