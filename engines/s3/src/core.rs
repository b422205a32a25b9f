//! What all parts of the service share.

use crate::config::Config;
use crate::documents::Shelf;
use crate::events::Outbox;
use crate::store::Store;

/// The service without its sockets.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) shelf: Shelf,
    pub(crate) outbox: Outbox,
}

impl Core {
    /// S3's first region has habits of its own, which clients know.
    pub(crate) fn is_oldest_region(&self) -> bool {
        self.config.region == "us-east-1"
    }
}
