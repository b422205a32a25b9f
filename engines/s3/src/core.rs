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
