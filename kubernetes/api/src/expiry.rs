//! Events are forgotten after an hour, as in any cluster.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealos_store::{Error, Expect};
use serde_json::Value;

use crate::call;
use crate::encode;
use crate::server::Parts;

const PREFIX: &str = "events/";
const LIFE: SignedDuration = SignedDuration::from_hours(1);
const ROUND: Duration = Duration::from_secs(60);

/// Sweeps until the server is gone.
pub(crate) fn start(parts: &Arc<Parts>) {
    let parts = Arc::downgrade(parts);
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            rounds.tick().await;
            let Some(parts) = Weak::upgrade(&parts) else { return };
            sweep(&parts, Timestamp::now()).await;
        }
    });
}

async fn sweep(parts: &Parts, now: Timestamp) {
    for entry in parts.store.list(PREFIX, None, 0).entries {
        let Ok(mut event) = call::read(&entry) else { continue };
        if last_seen(&event).is_none_or(|seen| now.duration_since(seen) <= LIFE) {
            continue;
        }
        let Ok(last) = encode::encode(&mut event) else { continue };
        match parts.store.delete(&entry.key, Expect::Revision(entry.revision), Some(last)).await {
            // Changed or gone meanwhile: not ours to delete.
            Ok(_) | Err(Error::Conflict { .. } | Error::Missing { .. }) => {}
            Err(error) => return tracing::warn!(%error, "delete an old event"),
        }
    }
}

/// The latest time an event speaks of.
fn last_seen(event: &Value) -> Option<Timestamp> {
    ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"]
        .iter()
        .filter_map(|pointer| event.pointer(pointer)?.as_str()?.parse().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_time_counts() {
        let event = json!({
            "metadata": { "creationTimestamp": "2026-01-01T00:00:00Z" },
            "lastTimestamp": "2026-01-01T02:00:00Z", "eventTime": null,
        });
        assert_eq!(last_seen(&event), "2026-01-01T02:00:00Z".parse().ok());
        assert_eq!(last_seen(&json!({})), None);
    }
}
