//! Unpacked layers.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::image::{LayerRecord, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};
use super::{Images, sync_dir};
use crate::Error;
use crate::digest::{Digest, Hashing};
use crate::unpack::unpack;

/// Enough of a digest for a name, short because overlayfs takes all names in one page.
const NAME: usize = 24;
/// Layers made here are compressed for speed; they rarely leave the machine.
const LEVEL: u32 = 1;

impl Images {
    pub(crate) fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.inner.dir.join("layers").join(layer_name(diff_id))
    }

    /// The unpacked layers for overlayfs, top first. A layer that comes twice (those that change
    /// nothing are all the same) is taken once, at its highest place: overlayfs refuses a directory
    /// given twice, and the lower one cannot show through the upper one.
    pub(crate) fn stacked<'a>(&self, diff_ids: impl DoubleEndedIterator<Item = &'a Digest>) -> Vec<PathBuf> {
        let mut seen = HashSet::new();
        diff_ids.rev().filter(|id| seen.insert(*id)).map(|id| self.layer_path(id)).collect()
    }

    pub(crate) fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layer_path(diff_id).is_dir()
    }

    /// Unpacks a blob of the store into a layer and checks that its content is `diff_id`.
    /// `seen` hears how many bytes of the blob were read.
    pub(crate) fn unpack_blob(
        &self,
        blob: &Digest,
        diff_id: &Digest,
        seen: impl FnMut(u64),
    ) -> Result<PathBuf, Error> {
        let path = self.layer_path(diff_id);
        if path.is_dir() {
            return Ok(path);
        }
        let file =
            Watched { inner: BufReader::with_capacity(1 << 17, self.open_blob(blob)?), bytes: 0, seen };
        let stream = decompressed(file).map_err(Error::io("read", self.blob_path(blob)))?;
        let work = self.workspace()?;
        let tree = new_tree(work.path())?;
        let (_, actual, _) = unpack(Hashing::new(stream), &tree)?.finish();
        diff_id.expect(&actual, || format!("the content of layer {blob}"))?;
        self.settle(&tree, diff_id)
    }

    /// Takes an uncompressed archive in: as a compressed blob and as a layer.
    pub(crate) fn ingest_tar(&self, archive: impl Read) -> Result<LayerRecord, Error> {
        let blob = GzEncoder::new(self.new_blob()?, Compression::new(LEVEL));
        let work = self.workspace()?;
        let tree = new_tree(work.path())?;
        let copying = Copying { from: Hashing::new(archive), to: blob };
        let Copying { from, to } = unpack(copying, &tree)?;
        let (_, diff_id, _) = from.finish();
        let (digest, size) = to.finish().map_err(Error::io("write", &tree))?.commit()?;
        self.settle(&tree, &diff_id)?;
        Ok(LayerRecord { diff_id, digest, size })
    }

    /// Takes a directory of changes in, as overlayfs left it in its upper directory. The directory
    /// itself becomes the layer; its archive is written along the way.
    pub(crate) fn ingest_upper(&self, upper: &Path) -> Result<LayerRecord, Error> {
        let blob = GzEncoder::new(self.new_blob()?, Compression::new(LEVEL));
        let archive = crate::pack::pack(upper, Hashing::new(blob))?;
        let (blob, diff_id, _) = archive.finish();
        let (digest, size) = blob.finish().map_err(Error::io("write", upper))?.commit()?;
        let dir = fs::File::open(upper).map_err(Error::io("open", upper))?;
        nix::unistd::syncfs(&dir).map_err(|e| Error::io("flush", upper)(e.into()))?;
        self.settle(upper, &diff_id)?;
        Ok(LayerRecord { diff_id, digest, size })
    }

    /// What a layer's blob is, by its first bytes.
    pub(crate) fn layer_media_type(&self, blob: &Digest) -> Result<&'static str, Error> {
        let mut magic = Vec::new();
        let read = self.open_blob(blob)?.take(4).read_to_end(&mut magic);
        read.map_err(Error::io("read", self.blob_path(blob)))?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => OCI_LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => OCI_LAYER_ZSTD,
            _ => OCI_LAYER,
        })
    }

    /// Gives a finished tree its name. Losing a race against the same layer is fine.
    fn settle(&self, tree: &Path, diff_id: &Digest) -> Result<PathBuf, Error> {
        let path = self.layer_path(diff_id);
        match fs::rename(tree, &path) {
            Ok(()) => sync_dir(&self.inner.dir.join("layers"))?,
            Err(e) if path.is_dir() && is_taken(&e) => {}
            Err(e) => return Err(Error::io("rename", &path)(e)),
        }
        Ok(path)
    }
}

pub(super) fn layer_name(diff_id: &Digest) -> &str {
    diff_id.hex().get(..NAME).unwrap_or(diff_id.hex())
}

/// A stream without its compression, which its first bytes tell.
pub(crate) fn decompressed<'a>(mut stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    (&mut stream).take(6).read_to_end(&mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(stream);
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Box::new(zstd::Decoder::new(whole)?)),
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(unsupported("xz")),
        _ => Ok(Box::new(whole)),
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it is compressed with {what}; only gzip, zstd and no compression are supported"),
    )
}

fn new_tree(work: &Path) -> Result<PathBuf, Error> {
    let tree = work.join("tree");
    fs::create_dir(&tree).map_err(Error::io("make", &tree))?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&tree, open).map_err(Error::io("set the mode of", &tree))?;
    Ok(tree)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

struct Watched<R, F> {
    inner: R,
    bytes: u64,
    seen: F,
}

impl<R: Read, F: FnMut(u64)> Read for Watched<R, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes += n as u64;
        (self.seen)(self.bytes);
        Ok(n)
    }
}

/// Writes a copy of everything that is read.
struct Copying<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Copying<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.to.write_all(buf.get(..n).unwrap_or_default())?;
        Ok(n)
    }
}
