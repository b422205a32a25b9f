//! A backup repository: sealed objects below a prefix of a bucket. Knows no Kubernetes.

mod manifest;
mod paths;
mod upload;

pub(crate) use manifest::{LogStart, Manifest};
pub(crate) use paths::{Mark, Place, Segment};

use std::sync::{Arc, Mutex};

use async_compression::Level;
use async_compression::tokio::bufread::ZstdEncoder;
use async_compression::tokio::write::ZstdDecoder;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use ring::digest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio_util::io::InspectReader;

use crate::Error;
use crate::format::{HEAD, Key, Opener, Sealer};
use upload::Upload;

/// What is read from a stream at once.
const WINDOW: usize = 256 << 10;
/// How many chunks are fetched by one request.
const FETCH: u64 = 8;
/// Fast: a backup is limited by the disk it reads, and shares the cores with the database.
const LEVEL: Level = Level::Precise(1);

/// A repository, opened with the key of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    store: Arc<dyn ObjectStore>,
    key: Key,
}

/// What a stream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes of the stream.
    pub(crate) size: u64,
    /// Bytes in the bucket.
    pub(crate) stored: u64,
    /// SHA-256 of the stream, in hex.
    pub(crate) sha256: String,
}

/// An object that is all there but not visible yet.
pub(crate) struct Pending {
    upload: Upload,
    written: Written,
}

impl Pending {
    /// Makes it visible.
    pub(crate) async fn finish(self) -> Result<Written, Error> {
        self.upload.finish().await?;
        Ok(self.written)
    }

    /// Throws it away.
    pub(crate) async fn abort(self) {
        self.upload.abort().await;
    }
}

impl Repo {
    /// A repository in that store.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, key: Key) -> Self {
        Self { store, key }
    }

    /// The id of its key.
    pub(crate) fn key_id(&self) -> String {
        self.key.id()
    }

    /// Compresses, seals and uploads a stream to its end. Whether the end was a good one, the caller knows.
    pub(crate) async fn write<R>(&self, path: &str, stream: R, moved: &Moved) -> Result<Pending, Error>
    where
        R: AsyncRead + Unpin + Send,
    {
        let mut upload = Upload::new(self.store.clone(), Path::from(path));
        match self.pour(path, stream, &mut upload, moved).await {
            Ok(written) => Ok(Pending { upload, written }),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn pour<R>(
        &self,
        path: &str,
        stream: R,
        upload: &mut Upload,
        moved: &Moved,
    ) -> Result<Written, Error>
    where
        R: AsyncRead + Unpin + Send,
    {
        let mut sum = (digest::Context::new(&digest::SHA256), 0_u64);
        let watched = InspectReader::new(stream, |data: &[u8]| {
            sum.0.update(data);
            sum.1 += data.len() as u64;
            moved.add(data.len() as u64);
        });
        let mut packed = ZstdEncoder::with_quality(BufReader::with_capacity(WINDOW, watched), LEVEL);
        let (mut sealer, head) = Sealer::new(&self.key, path);
        let mut stored = head.len() as u64;
        upload.put(head).await?;
        let mut buffer = vec![0; WINDOW];
        loop {
            let read = packed.read(&mut buffer).await;
            let read = read.map_err(|source| Error::Stream { attempt: "read the backup stream", source })?;
            if read == 0 {
                break;
            }
            for chunk in sealer.push(&buffer[..read]) {
                stored += chunk.len() as u64;
                upload.put(chunk).await?;
            }
        }
        drop(packed);
        let last = sealer.finish();
        stored += last.len() as u64;
        upload.put(last).await?;
        let sha256 = hex::encode(sum.0.finish());
        Ok(Written { size: sum.1, stored, sha256 })
    }

    /// Writes a small object as a whole.
    pub(crate) async fn put(&self, path: &str, data: &[u8]) -> Result<Written, Error> {
        self.write(path, data, &Moved::default()).await?.finish().await
    }

    /// Fetches, opens and unpacks an object into `out`. Nothing that is damaged is passed on.
    pub(crate) async fn read<W>(&self, path: &str, out: W, moved: &Moved) -> Result<(), Error>
    where
        W: AsyncWrite + Unpin,
    {
        let passing = |source| Error::Stream { attempt: "pass a backup on", source };
        let location = Path::from(path);
        let opener = self.head(path, &location).await?;
        let mut unpack = ZstdDecoder::new(out);
        let mut number = 0;
        while number < opener.chunks() {
            let until = (number + FETCH).min(opener.chunks());
            let range = opener.range(number).start..opener.range(until - 1).end;
            let fetched = match range.is_empty() {
                true => Bytes::new(),
                false => self
                    .store
                    .get_range(&location, range.clone())
                    .await
                    .map_err(Error::store("read", &location))?,
            };
            for n in number..until {
                let at = opener.range(n);
                let piece = usize::try_from(at.start - range.start).unwrap_or(usize::MAX)
                    ..usize::try_from(at.end - range.start).unwrap_or(usize::MAX);
                let plain = opener.open(n, fetched.get(piece).unwrap_or_default())?;
                moved.add(plain.len() as u64);
                unpack.write_all(&plain).await.map_err(passing)?;
            }
            number = until;
        }
        unpack.shutdown().await.map_err(passing)
    }

    async fn head(&self, path: &str, location: &Path) -> Result<Opener, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..HEAD as u64)), ..GetOptions::default() };
        let found = self.store.get_opts(location, options).await.map_err(Error::store("read", location))?;
        let size = found.meta.size;
        let head = found.bytes().await.map_err(Error::store("read", location))?;
        Opener::new(&self.key, path, &head, size)
    }

    /// A small object as a whole; `None` if there is none.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut all = Vec::new();
        match self.read(path, &mut all, &Moved::default()).await {
            Ok(()) => Ok(Some(all)),
            Err(Error::Store { source: object_store::Error::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The paths below a prefix, with their sizes, in order.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Error> {
        let location = Path::from(prefix);
        let found: Vec<_> = self
            .store
            .list(Some(&location))
            .map_ok(|meta| (meta.location.to_string(), meta.size))
            .try_collect()
            .await
            .map_err(Error::store("list", &location))?;
        let mut found = found;
        found.sort();
        Ok(found)
    }

    /// Removes one object; one that is gone already is no error.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Error> {
        let location = Path::from(path);
        match self.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::store("remove", &location)(source)),
        }
    }

    /// Removes everything below a prefix.
    pub(crate) async fn remove_all(&self, prefix: &str) -> Result<(), Error> {
        for (path, _) in self.list(prefix).await? {
            self.remove(&path).await?;
        }
        Ok(())
    }
}

/// How many bytes have gone by, for whoever shows progress.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved(Arc<Mutex<u64>>);

impl Moved {
    fn add(&self, bytes: u64) {
        if let Ok(mut sum) = self.0.lock() {
            *sum += bytes;
        }
    }

    /// The bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().map_or(0, |sum| *sum)
    }
}

#[cfg(test)]
mod tests;
