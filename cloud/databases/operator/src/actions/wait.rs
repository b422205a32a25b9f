//! Waiting until a database takes writes.

use std::time::Duration;

use tokio::time::Instant;

use super::{Database, Databases};
use crate::Error;

/// What a person may watch while a database comes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Ready pods.
    pub ready: i32,
    /// Wanted pods.
    pub desired: i32,
    /// As KubeBlocks says it.
    pub phase: String,
    /// The present state in words.
    pub message: String,
}

/// A failure must last this long, since the operator may still be reading the change that heals it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Databases {
    /// Waits until all pods are ready and one takes writes; fails early on what will not heal.
    pub async fn wait_ready(
        &self,
        name: &str,
        limit: Duration,
        mut report: impl FnMut(Progress),
    ) -> Result<Database, Error> {
        let deadline = Instant::now() + limit;
        let mut failed_since = None;
        loop {
            let database = self.get(name).await?;
            report(Progress {
                ready: database.replicas.ready,
                desired: database.replicas.desired,
                phase: database.phase.clone(),
                message: database.message.clone(),
            });
            match database.phase.as_str() {
                "Running" => return Ok(database),
                "Stopped" => return Ok(database),
                "Failed" => {
                    let since = *failed_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(Error::NotReady { name: name.into(), reason: database.message });
                    }
                }
                _ => failed_since = None,
            }
            if Instant::now() > deadline {
                let said = if database.message.is_empty() { database.phase } else { database.message };
                let reason = format!("{said} (waited {} s)", limit.as_secs());
                return Err(Error::NotReady { name: name.into(), reason });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
