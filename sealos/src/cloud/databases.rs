//! Databases in this process: their operator, who leads among their pods, and their backups.

use std::sync::Arc;
use std::time::Duration;

use sealos_db_engines::images::ImageSource;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How long to wait after a part ended; databases that are up run on without it.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs all parts until `shutdown`. One that ends by itself is started again: apps and databases that
/// run do not need it, so the cloud must not end for it.
/// `store` is where the object storage is reached from here.
pub(crate) async fn run(
    client: kube::Client,
    images: Arc<dyn ImageSource>,
    store: String,
    shutdown: CancellationToken,
) {
    let operator = keep("databases", &shutdown, || {
        sealos_databases::run(client.clone(), images.clone(), shutdown.clone())
    });
    let failover =
        keep("failover of databases", &shutdown, || sealos_db_ha::run(client.clone(), shutdown.clone()));
    let backup = keep("backups of databases", &shutdown, || {
        let config = sealos_db_backup::Config { s3_endpoint: Some(store.clone()) };
        sealos_db_backup::run(client.clone(), config, shutdown.clone())
    });
    tokio::join!(operator, failover, backup);
}

/// Runs a part again and again until `shutdown`.
async fn keep<E: std::fmt::Display, F: Future<Output = Result<(), E>>>(
    name: &str,
    shutdown: &CancellationToken,
    part: impl Fn() -> F,
) {
    while !shutdown.is_cancelled() {
        match part().await {
            _ if shutdown.is_cancelled() => return,
            Ok(()) => error!("{name}: ended by itself, and is started again"),
            Err(why) => error!(error = %why, "{name}: failed, and is started again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}
