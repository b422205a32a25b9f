//! The storage engine: users, buckets, objects and uploads on one disk.
//!
//! Knows nothing of HTTP, XML or signatures: the protocol asks here and translates the answers. Metadata
//! is in one transactional file (`meta.redb`); the bytes of large objects are files of their own, those of
//! small ones share pack files. What is acknowledged is on the disk: bytes are synced before the
//! transaction that makes them visible, and one writer thread commits for all who wait, with one sync of a
//! journal.
//!
//! A put has two steps, so that the caller can compare digests before anything becomes visible:
//! [`Store::stage`] takes the bytes in, [`Store::put`] (or [`Store::put_part`]) makes them an object.
//! A get has two as well: [`Store::open_object`] tells what there is, [`Opened::read`] streams a range.
//!
//! Every future here may be dropped: a change that was queued happens or not, as a whole.

mod accounts;
mod blob;
mod buckets;
mod delete;
mod disk;
mod error;
mod journal;
mod listing;
mod meta;
mod model;
mod multipart;
mod objects;
mod pack;
mod read;
mod record;
mod scrub;
mod shared;
mod stage;
mod tables;
#[cfg(test)]
mod tests;
mod tx;
mod upkeep;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

pub use self::error::{BoxError, Error, Result};
pub use self::model::*;
pub use self::multipart::UploadRef;
pub use self::objects::{Copy, Put};
pub use self::read::{Opened, Reader};
pub use self::stage::{Observe, Stage, Staged};

use self::pack::{Appender, Place};
use self::shared::Shared;
use self::stage::Freight;
use self::tx::Tx;
use self::writer::{Call, Queued};

/// Changes that may wait for the writer; who comes later waits for a place.
const QUEUE: usize = 1024;

/// The store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    background: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(background) = self.background.lock().take() {
            background.abort();
        }
    }
}

/// Names in the tables are text.
fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::Record { detail: "a name is not UTF-8".to_owned() })
}

impl Store {
    /// Opens the store in `config.dir`, creating it if there is none. Refuses a directory whose data has
    /// gone missing rather than starting anew. Must be called within a tokio runtime.
    pub async fn open(config: Config) -> Result<Self> {
        let every = config.upkeep_every;
        let store = listing::blocking(move || Self::start(config)).await?;
        if let Some(every) = every {
            let running = tokio::spawn(upkeep::run(Arc::downgrade(&store.inner), every));
            *store.inner.background.lock() = Some(running);
        }
        Ok(store)
    }

    fn start(config: Config) -> Result<Self> {
        let disk = disk::Disk::prepare(&config.dir)?;
        let packs = Appender::new(disk, config.pack_bytes);
        let shared = Arc::new(Shared::open(config, Arc::clone(&packs.shown))?);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = writer::spawn(Arc::clone(&shared), packs, receiver)?;
        let inner = Inner {
            shared,
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            background: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Waits for what is being written and closes the files. Later calls answer `Error::Closed`.
    pub async fn close(&self) {
        let background = self.inner.background.lock().take();
        if let Some(background) = background {
            background.abort();
            drop(background.await);
        }
        drop(self.inner.queue.lock().take());
        let writer = self.inner.writer.lock().take();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the store's writer stopped before its time");
            }
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Has the writer make a change, and waits until it is on the disk. The change looks first and changes
    /// after: refused, it must have changed nothing.
    async fn write<T, F>(&self, freight: Freight, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>, &[Place]) -> Result<T> + Send + 'static,
    {
        let queue = self.inner.queue.lock().clone().ok_or(Error::Closed)?;
        let (answer, answered) = oneshot::channel();
        let call = Call { freight, work: Some(work), result: None, answer };
        queue.send(Box::new(call)).await.map_err(|_| Error::Closed)?;
        drop(queue);
        answered.await.unwrap_or(Err(Error::Closed))
    }
}
