//! Taking bytes in: small bodies stay in memory until their commit appends them to a pack, large ones go to
//! a file of their own while they come, hashed on another thread meanwhile.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use md5::{Digest, Md5};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::blob::Writer;
use super::disk;
use super::error::{BoxError, Error, Result};
use super::pack::{Place, Small};
use super::record::{Body, Name};
use super::shared::{Pending, Reservation};
use super::tx::Tx;
use super::{Store, buckets};

/// What goes to the disk and to the hash at once, and how many of those may wait.
const STEP: usize = 1 << 20;
const WAITING: usize = 4;

type Steps = mpsc::Sender<Vec<Bytes>>;

/// Sees the bytes of a body as they come in: checksums besides the MD5. `()` sees nothing. Runs where the
/// MD5 is computed: beside the writing, on another thread than the caller's.
pub trait Observe: Send + 'static {
    fn update(&mut self, bytes: &[u8]);
}

impl Observe for () {
    fn update(&mut self, _: &[u8]) {}
}

/// What a body is taken in for.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Bytes to come, if known: the quota is asked at once, and another number of bytes is an error.
    pub size: Option<u64>,
    /// Larger bodies are refused.
    pub limit: Option<u64>,
}

/// Bytes that are on the disk (or small, and in memory) and not yet an object. Dropped, they are gone.
pub struct Staged {
    size: u64,
    md5: [u8; 16],
    content: Content,
    reservation: Reservation,
}

enum Content {
    Empty,
    Small(Bytes),
    File(Pending),
}

impl Staged {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// The MD5 in hex: the ETag the object will have.
    pub fn etag(&self) -> String {
        disk::hex(&self.md5)
    }

    pub(super) fn load(self) -> (Load, Freight) {
        let mut freight = Freight { reservation: Some(self.reservation), ..Freight::default() };
        let load = match self.content {
            Content::Empty => Load::Empty,
            Content::Small(bytes) => {
                freight.bodies.push(Small { id: None, bytes });
                Load::Packed
            }
            Content::File(pending) => {
                let name = pending.name;
                freight.pending = Some(pending);
                Load::File(name)
            }
        };
        (load, freight)
    }
}

/// What goes with a change to the writer, and lives until the change is decided.
#[derive(Default)]
pub(super) struct Freight {
    pub(super) bodies: Vec<Small>,
    pub(super) pending: Option<Pending>,
    pub(super) reservation: Option<Reservation>,
}

/// What kind of body a change will refer to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    Empty,
    Packed,
    File(Name),
}

impl Load {
    pub(super) fn keep(self, tx: &mut Tx<'_>, places: &[Place]) -> Result<Body> {
        match (self, places) {
            (Self::Packed, [place]) => tx.keep_packed(*place),
            (Self::File(name), _) => tx.keep_file(name),
            _ => Ok(Body::Empty),
        }
    }
}

impl Store {
    /// Takes a body in: to the disk if it is large, synced; to memory if it is small. Refused at once, or
    /// as soon as it shows, when the owner may not write or the quota is exceeded. Dropped half way, it
    /// leaves nothing.
    pub async fn stage<S, H>(
        &self,
        bucket: &str,
        stage: Stage,
        mut body: S,
        mut observer: H,
    ) -> Result<(Staged, H)>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin,
        H: Observe,
    {
        let owner = buckets::find(&self.shared().meta.view()?, bucket)?.owner;
        let mut intake = Intake {
            reservation: self.shared().reserve(&owner, stage.size.unwrap_or(0))?,
            known: stage.size,
            limit: stage.limit.unwrap_or(u64::MAX),
            size: 0,
        };
        intake.check(stage.size.unwrap_or(0))?;
        let mut pieces = Vec::new();
        while intake.size <= self.shared().config.small_bytes as u64 {
            let Some(piece) = intake.take(&mut body).await? else {
                intake.complete()?;
                let bytes = join(pieces);
                observer.update(&bytes);
                let md5 = Md5::digest(&bytes).into();
                let size = intake.size;
                let content = if bytes.is_empty() { Content::Empty } else { Content::Small(bytes) };
                return Ok((Staged { size, md5, content, reservation: intake.reservation }, observer));
            };
            pieces.push(piece);
        }
        self.stage_file(intake, pieces, body, observer).await
    }

    async fn stage_file<S, H>(
        &self,
        mut intake: Intake,
        mut pieces: Vec<Bytes>,
        mut body: S,
        observer: H,
    ) -> Result<(Staged, H)>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin,
        H: Observe,
    {
        let (to_disk, writer) = self.write_file();
        let (to_hash, hasher) = hash(observer);
        let mut waiting = intake.size;
        loop {
            let piece = intake.take(&mut body).await?;
            let last = piece.is_none();
            if let Some(piece) = piece {
                waiting += piece.len() as u64;
                pieces.push(piece);
            }
            if waiting >= STEP as u64 || last {
                let step = std::mem::take(&mut pieces);
                waiting = 0;
                // One that has stopped says why when it is asked below.
                if to_hash.send(step.clone()).await.is_err() || to_disk.send(step).await.is_err() {
                    break;
                }
            }
            if last {
                intake.complete()?;
                break;
            }
        }
        drop((to_disk, to_hash));
        let pending = joined(writer.await)??;
        let (md5, observer) = joined(hasher.await)?;
        let Intake { reservation, size, .. } = intake;
        Ok((Staged { size, md5, content: Content::File(pending), reservation }, observer))
    }

    /// A thread that writes what it is sent to a new file, and syncs it at the end.
    fn write_file(&self) -> (Steps, JoinHandle<Result<Pending>>) {
        let (sender, mut steps) = mpsc::channel::<Vec<Bytes>>(WAITING);
        let shared = std::sync::Arc::clone(self.shared());
        let writer = spawn_blocking(move || {
            let pending = shared.begin_file();
            let path = shared.disk.blob(&pending.name);
            let mut writer = Writer::new(disk::create(&path)?, pending.name);
            while let Some(step) = steps.blocking_recv() {
                writer.write(&step).map_err(disk::failed("write", &path))?;
            }
            writer.finish().map_err(disk::failed("sync", &path))?;
            disk::sync_dir(path.parent().unwrap_or(&path))?;
            Ok(pending)
        });
        (sender, writer)
    }
}

/// A thread that computes the MD5 of what it is sent.
fn hash<H: Observe>(mut observer: H) -> (Steps, JoinHandle<([u8; 16], H)>) {
    let (sender, mut steps) = mpsc::channel::<Vec<Bytes>>(WAITING);
    let hasher = spawn_blocking(move || {
        let mut md5 = Md5::new();
        while let Some(step) = steps.blocking_recv() {
            for piece in &step {
                md5.update(piece);
                observer.update(piece);
            }
        }
        (md5.finalize().into(), observer)
    });
    (sender, hasher)
}

fn joined<T>(outcome: Result<T, tokio::task::JoinError>) -> Result<T> {
    outcome.map_err(|error| Error::Unusable { reason: format!("a thread of the store stopped: {error}") })
}

/// One piece as it is; several are copied together.
fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1
        && let Some(only) = pieces.pop()
    {
        return only;
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}

/// What has come in so far, against what may.
struct Intake {
    reservation: Reservation,
    known: Option<u64>,
    limit: u64,
    size: u64,
}

impl Intake {
    async fn take<S>(&mut self, body: &mut S) -> Result<Option<Bytes>>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Unpin,
    {
        let Some(piece) = body.next().await else { return Ok(None) };
        let piece = piece.map_err(|source| Error::Body { source })?;
        self.size += piece.len() as u64;
        self.check(self.size)?;
        match self.known {
            Some(known) if self.size > known => {
                return Err(Error::Incomplete { got: self.size, expected: known });
            }
            Some(_) => {}
            None => self.reservation.grow(piece.len() as u64)?,
        }
        Ok(Some(piece))
    }

    fn check(&self, size: u64) -> Result<()> {
        if size > self.limit {
            return Err(Error::TooLarge { size, limit: self.limit });
        }
        Ok(())
    }

    fn complete(&self) -> Result<()> {
        match self.known {
            Some(expected) if expected != self.size => Err(Error::Incomplete { got: self.size, expected }),
            _ => Ok(()),
        }
    }
}
