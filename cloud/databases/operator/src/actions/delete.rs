//! Deleting a database.

use std::time::Duration;

use kube::api::{Api, DeleteParams};
use serde_json::json;
use tokio::time::Instant;

use super::Databases;
use crate::Error;
use crate::model::Cluster;

/// What stays of a deleted database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Its backups; volumes go.
    Backups,
    /// Volumes and credentials too: a database of the same name takes them up again.
    Data,
    /// Nothing.
    Nothing,
}

impl Databases {
    /// Asks for the deletion of a database.
    pub async fn delete(&self, name: &str, keep: Keep) -> Result<(), Error> {
        let cluster = self.cluster(name).await?;
        if cluster.spec.termination_policy.as_deref() == Some("DoNotTerminate") {
            return Err(Error::Conflict(format!(
                "database `{name}` is protected: its terminationPolicy is DoNotTerminate; change that first"
            )));
        }
        let policy = match keep {
            Keep::Backups => "Delete",
            Keep::Data => "Halt",
            Keep::Nothing => "WipeOut",
        };
        if cluster.spec.termination_policy.as_deref() != Some(policy) {
            self.patch(name, &json!({ "spec": { "terminationPolicy": policy } }), "delete").await?;
        }
        let api: Api<Cluster> = self.api();
        match api.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            done => done.map(drop).map_err(Error::api(format!("delete database `{name}`"))),
        }
    }

    /// Waits until a database is gone.
    pub async fn wait_gone(&self, name: &str, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        loop {
            let Some(cluster) = self.find(name).await? else { return Ok(()) };
            if Instant::now() > deadline {
                let said = cluster.status.and_then(|s| s.message).unwrap_or_default();
                let reason = format!("it is still being deleted after {} s: {said}", limit.as_secs());
                return Err(Error::NotReady { name: name.into(), reason });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
