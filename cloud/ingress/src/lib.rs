//! Keeps the gateway's routes as the Ingresses of the cluster say. Knows a `kube::Client` and a
//! [`Gateway`]; what becomes of the objects is decided by a pure function over a snapshot.

mod backend;
mod options;
mod plan;
mod report;
mod snippet;
mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kube::Client;
use sealos_gateway::Gateway;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::report::Reporter;
use crate::world::Watches;

/// What does not come from the cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// Apps get addresses below this domain; Ingress statuses name it.
    pub domain: String,
    pub http_port: u16,
    pub https_port: u16,
    /// Hosts (or `*.` wildcards) that lead to servers of the platform itself, and that no Ingress can take.
    pub static_routes: Vec<(String, SocketAddr)>,
}

/// The controller cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the watch of {0} ended; the API can no longer be followed")]
    WatchEnded(&'static str),
}

/// Follows the cluster until `shutdown`. Static routes work from the start, the others as soon as the
/// first lists are in.
pub async fn run(
    client: Client,
    gateway: Gateway,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let nothing = plan::plan(&world::World::default(), &config);
    gateway.set_routes(nothing.table);
    let mut reporter = Reporter::start(client.clone(), &config, shutdown.clone());
    let mut watches = Watches::start(&client, shutdown.clone());
    let follow = async {
        watches.listed().await?;
        loop {
            let begun = Instant::now();
            let plan = plan::plan(&watches.world(), &config);
            gateway.set_routes(plan.table);
            let took = begun.elapsed();
            debug!(?took, ingresses = plan.served.len(), refused = plan.refused.len(), "routes are set");
            reporter.report(plan.served, plan.refused);
            watches.changed().await?;
            // One change is seen at once; a burst must not keep a core busy.
            tokio::time::sleep(took.min(Duration::from_millis(200))).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        result = follow => result,
    }
}
