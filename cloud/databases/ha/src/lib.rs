//! Roles, failover and fencing: who of a database's pods takes writes. A client of the API only.
//!
//! One set of watches ([`world`]) sees every component; each component has a keeper that looks
//! ([`observe`], [`prober`]), decides ([`decide`], a pure function) and acts ([`perform`], [`hands`]).
//! `docs/failover.md` says what users may rely on.

mod decide;
mod hands;
mod keeper;
mod labels;
mod observe;
mod perform;
mod prober;
mod roles;
mod seen;
#[cfg(test)]
mod sim;
mod topology;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::runtime::events::Reporter;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::hands::ApiHands;
use crate::keeper::Keeper;
use crate::world::{Key, World};

/// On a Cluster: the pod that is to become the primary; empty for the best. Taken away when done.
pub const SWITCHOVER_TO: &str = "databases.sealos.io/switchover-to";
/// On a Cluster: why the last switchover was not done.
pub const SWITCHOVER_ERROR: &str = "databases.sealos.io/switchover-error";
/// On a Cluster: the most an automatic failover may lose in asynchronous mode, as in `16Mi`.
pub const LAG_LIMIT: &str = "databases.sealos.io/failover-lag-limit";
/// On pods: how far the engine's log has come.
pub const POSITION: &str = "databases.sealos.io/position";
/// On pods: how many bytes a replica lacks.
pub const LAG_BYTES: &str = "databases.sealos.io/lag-bytes";
/// On pods: how many seconds a replica is behind.
pub const LAG_SECONDS: &str = "databases.sealos.io/lag-seconds";
/// The finalizer that keeps a fenced pod's object until its containers are dead.
const HOLD: &str = "databases.sealos.io/fence";

/// Failover cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API can no longer be followed.
    #[error("the watch of {0} ended; the API can no longer be followed")]
    WatchEnded(&'static str),
}

/// Keeps the primaries of all databases until `shutdown`. May be ended at any moment.
pub async fn run(client: Client, shutdown: CancellationToken) -> Result<(), Error> {
    let world = Arc::new(World::start(&client, &shutdown));
    let reporter = Reporter { controller: "sealos-databases".to_owned(), instance: None };
    let mut keepers = Keepers(BTreeMap::new());
    let follow = async {
        world.listed().await?;
        loop {
            keepers.adjust(&world, |key| {
                let (client, world, reporter) = (client.clone(), world.clone(), reporter.clone());
                ApiHands { client, key, world, reporter }
            });
            world.bells.any.notified().await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        result = follow => result,
    }
}

/// The keepers' tasks; they end when this is dropped.
struct Keepers(BTreeMap<Key, JoinHandle<()>>);

impl Keepers {
    /// Starts and ends keepers as components come and go.
    fn adjust(&mut self, world: &World, hands: impl Fn(Key) -> ApiHands) {
        let all = world.components();
        self.0.retain(|key, task| {
            let stays = all.contains(key) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for key in all {
            self.0.entry(key).or_insert_with_key(|key| tokio::spawn(Keeper::new(hands(key.clone())).run()));
        }
    }
}

impl Drop for Keepers {
    fn drop(&mut self) {
        self.0.values().for_each(JoinHandle::abort);
    }
}
