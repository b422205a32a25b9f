//! Keeps the status of ResourceQuotas: how much of each is used.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sealos_store::Expect;

use crate::admission;
use crate::call;
use crate::encode;
use crate::server::Parts;
use crate::status::Status;

const PREFIX: &str = "resourcequotas/";
/// People look at quotas; nothing decides by their status.
const ROUND: Duration = Duration::from_secs(2);

/// Counts until the server is gone.
pub(crate) fn start(parts: &Arc<Parts>) {
    let parts = Arc::downgrade(parts);
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(ROUND);
        let mut counted = 0;
        loop {
            rounds.tick().await;
            let Some(parts) = Weak::upgrade(&parts) else { return };
            let revision = parts.store.revision();
            if revision == counted {
                continue;
            }
            match count(&parts).await {
                Ok(()) => counted = revision,
                Err(status) => tracing::warn!(message = status.message, "count what quotas allow"),
            }
        }
    });
}

async fn count(parts: &Parts) -> Result<(), Status> {
    for entry in parts.store.list(PREFIX, None, 0).entries {
        let mut quota = call::read(&entry)?;
        let status = admission::quota_status(&parts.store, &quota)?;
        if quota.get("status") == Some(&status) {
            continue;
        }
        quota["status"] = status;
        let encoded = encode::encode(&mut quota)?;
        if let Err(error) = parts.store.put(&entry.key, Expect::Revision(entry.revision), encoded).await {
            tracing::debug!(key = %entry.key, %error, "counted again in the next round");
        }
    }
    Ok(())
}
