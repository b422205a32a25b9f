//! Content by digest, and the pins that keep work in progress from being pruned.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::{Images, sync_dir};
use crate::Error;
use crate::digest::{Digest, Hashing};

/// Manifests and configurations are held in memory; registries limit them to 4 MiB.
const LARGEST_DOCUMENT: u64 = 8 << 20;

/// A blob being written; it exists only once committed.
pub(crate) struct BlobWriter {
    images: Images,
    file: Hashing<BufWriter<NamedTempFile>>,
}

/// Keeps blobs and layers from being pruned while an operation needs them.
pub(crate) struct Pins {
    images: Images,
    digests: Vec<Digest>,
}

impl Images {
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.dir.join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(Error::io("open", &path))
    }

    /// A manifest or configuration.
    pub(crate) fn read_document(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        file.take(LARGEST_DOCUMENT).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        digest.expect(&Digest::of(&bytes), || format!("{}", path.display()))?;
        Ok(bytes)
    }

    pub(crate) fn new_blob(&self) -> Result<BlobWriter, Error> {
        let tmp = self.inner.dir.join("tmp");
        let file = NamedTempFile::new_in(&tmp).map_err(Error::io("write in", &tmp))?;
        Ok(BlobWriter { images: self.clone(), file: Hashing::new(BufWriter::with_capacity(1 << 16, file)) })
    }

    pub(crate) fn put_blob(&self, content: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(content);
        if !self.has_blob(&digest) {
            let mut blob = self.new_blob()?;
            blob.write_all(content).map_err(Error::io("write", self.blob_path(&digest)))?;
            blob.commit()?;
        }
        Ok(digest)
    }

    /// Keeps what is pinned through the result from being pruned until it is dropped.
    pub(crate) fn pins(&self) -> Pins {
        Pins { images: self.clone(), digests: Vec::new() }
    }
}

impl BlobWriter {
    /// Puts the blob in its place, flushed to disk. Returns its digest and size.
    pub(crate) fn commit(self) -> Result<(Digest, u64), Error> {
        let (buffer, digest, size) = self.file.finish();
        place(&self.images, buffer, &digest)?;
        Ok((digest, size))
    }

    /// Like [`BlobWriter::commit`], if the content is what it should be; else nothing is kept.
    pub(crate) fn commit_as(self, expected: &Digest, what: impl FnOnce() -> String) -> Result<u64, Error> {
        let (buffer, actual, size) = self.file.finish();
        expected.expect(&actual, what)?;
        place(&self.images, buffer, expected)?;
        Ok(size)
    }
}

fn place(images: &Images, buffer: BufWriter<NamedTempFile>, digest: &Digest) -> Result<(), Error> {
    let path = images.blob_path(digest);
    let io = |attempt| Error::io(attempt, &path);
    let file = buffer.into_inner().map_err(|e| io("write")(e.into_error()))?;
    file.as_file().sync_all().map_err(io("flush"))?;
    file.persist(&path).map_err(|e| io("rename")(e.error))?;
    sync_dir(&images.inner.dir.join("blobs/sha256"))
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Pins {
    /// Pins first, so that whatever is found afterwards stays.
    pub(crate) fn add(&mut self, digest: &Digest) {
        *self.images.inner.pins.lock().entry(digest.clone()).or_insert(0) += 1;
        self.digests.push(digest.clone());
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut pins = self.images.inner.pins.lock();
        for digest in &self.digests {
            if let Some(count) = pins.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    pins.remove(digest);
                }
            }
        }
    }
}

/// Removes a file that may be gone already; returns the bytes it took.
pub(super) fn remove_file(path: &std::path::Path) -> Result<u64, Error> {
    let size = fs::symlink_metadata(path).map_or(0, |m| m.len());
    match fs::remove_file(path) {
        Ok(()) => Ok(size),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Error::io("remove", path)(e)),
    }
}
