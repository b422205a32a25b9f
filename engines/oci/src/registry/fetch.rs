//! Fetching an image's parts into the store.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use oci_client::errors::DigestError;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::remote::Remote;
use crate::digest::Digest;
use crate::progress::{LayerState, LayerTotal, Progress, Reporter};
use crate::store::{Descriptor, Manifest, Source, blocking, diff_ids, parse_config, platform_architecture};
use crate::{Error, Image, Images, Reference};

const PARALLEL_LAYERS: usize = 4;
/// How often a part is fetched that breaks off on its way.
const ATTEMPTS: usize = 3;
/// Chunks between the network and the disk; when the disk is behind, the network waits.
const CHUNKS: usize = 32;
const LARGEST_CONFIG: u64 = 8 << 20;
/// Often enough for a smooth bar.
const REPORT_EVERY: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct OneOrMany {
    manifests: Option<Vec<Descriptor>>,
}

/// Fetches everything of the image that is missing and makes it known.
pub(super) async fn image(
    images: &Images,
    remote: &Remote,
    reference: &Reference,
    reporter: &Reporter,
) -> Result<Image, Error> {
    let top = remote.manifest(reference.parsed_digest()).await?;
    let top_digest = Digest::of(&top);
    let bytes = match select(&top, reference)? {
        Some(digest) => remote.manifest(Some(&digest)).await?,
        None => top,
    };
    let manifest = Manifest::parse(&bytes, &format!("`{reference}`"))?;
    let mut pins = images.pins();
    for part in manifest.layers.iter().chain([&manifest.config]) {
        pins.add(&part.digest);
    }
    let config = &manifest.config;
    let config = persistently(reporter, config, || fetch_config(images, remote, config).boxed()).await?;
    let config = parse_config(&config)?;
    let diff_ids = diff_ids(&config, &manifest)?;
    diff_ids.iter().for_each(|id| pins.add(id));
    let totals = manifest.layers.iter().map(|l| LayerTotal { digest: l.digest.to_string(), size: l.size });
    reporter.send(Progress::Layers { layers: totals.collect() });

    // Owned per layer, so that each future stands on its own.
    let work: Vec<_> = manifest
        .layers
        .iter()
        .zip(diff_ids)
        .map(|(layer, id)| fetch_layer(images.clone(), remote.clone(), layer.clone(), id, reporter.clone()))
        .collect();
    stream::iter(work).buffer_unordered(PARALLEL_LAYERS).try_collect::<Vec<()>>().await?;
    let names = [reference.clone(), reference.at_digest(top_digest.as_str())?];
    images.add_image(&bytes, &names, Source::Registry)
}

/// The manifest for this machine, if what the registry sent is an index of several.
fn select(top: &[u8], reference: &Reference) -> Result<Option<Digest>, Error> {
    let parsed: OneOrMany = serde_json::from_slice(top)
        .map_err(|e| Error::malformed(format!("the manifest of `{reference}`"), e))?;
    let Some(manifests) = parsed.manifests else { return Ok(None) };
    let here = manifests.iter().find(|entry| entry.platform.as_ref().is_some_and(|p| p.is_here()));
    if let Some(entry) = here {
        return Ok(Some(entry.digest.clone()));
    }
    let available: Vec<String> = manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .collect();
    Err(Error::Platform {
        reference: reference.to_string(),
        wanted: format!("linux/{}", platform_architecture()),
        available: if available.is_empty() { "nothing".into() } else { available.join(", ") },
    })
}

async fn fetch_config(images: &Images, remote: &Remote, config: &Descriptor) -> Result<Vec<u8>, Error> {
    if images.has_blob(&config.digest) {
        return images.read_document(&config.digest);
    }
    let mut bytes = Vec::new();
    let mut stream = remote.blob(config).await?;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|e| broken(&e, config, remote))?);
        if bytes.len() as u64 > LARGEST_CONFIG {
            return Err(Error::malformed("the image's configuration", "it is larger than 8 MiB"));
        }
    }
    config.digest.expect(&Digest::of(&bytes), || "the image's configuration".into())?;
    images.put_blob(&bytes)?;
    Ok(bytes)
}

async fn fetch_layer(
    images: Images,
    remote: Remote,
    layer: Descriptor,
    diff_id: Digest,
    reporter: Reporter,
) -> Result<(), Error> {
    let name = layer.digest.to_string();
    reporter.layer(&name, LayerState::Waiting, 0, layer.size);
    let _alone = images.exclusive(&name).await;
    if images.has_blob(&layer.digest) && images.has_layer(&diff_id) {
        reporter.layer(&name, LayerState::Present, layer.size, layer.size);
        return Ok(());
    }
    if !images.has_blob(&layer.digest) {
        persistently(&reporter, &layer, || download(&images, &remote, &layer, &reporter).boxed()).await?;
    }
    let (unpacking, total) = (reporter.clone(), layer.size);
    blocking(move || {
        let mut meter = Meter::new(unpacking, layer.digest.to_string(), LayerState::Unpacking, total);
        images.unpack_blob(&layer.digest, &diff_id, |done| meter.at(done)).map(|_| ())
    })
    .await?;
    reporter.layer(&name, LayerState::Ready, total, total);
    Ok(())
}

/// Fetches again what broke off on its way.
async fn persistently<'a, T>(
    reporter: &Reporter,
    part: &Descriptor,
    fetch: impl Fn() -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match fetch().await {
            Err(Error::Unreachable { reason, .. }) if attempt < ATTEMPTS => {
                attempt += 1;
                reporter.note(format!("fetching {} again: {reason}", part.digest));
            }
            other => return other,
        }
    }
}

async fn download(
    images: &Images,
    remote: &Remote,
    layer: &Descriptor,
    reporter: &Reporter,
) -> Result<(), Error> {
    let mut stream = remote.blob(layer).await?;
    let (sender, mut chunks) = mpsc::channel::<bytes::Bytes>(CHUNKS);
    let (store, digest) = (images.clone(), layer.digest.clone());
    // Hashing and writing are kept off the network's threads.
    let writer = tokio::task::spawn_blocking(move || {
        let mut blob = store.new_blob()?;
        while let Some(chunk) = chunks.blocking_recv() {
            blob.write_all(&chunk).map_err(Error::io("store layer", digest.as_str()))?;
        }
        Ok::<_, Error>(blob)
    });
    let mut meter =
        Meter::new(reporter.clone(), layer.digest.to_string(), LayerState::Downloading, layer.size);
    let mut done = 0;
    let mut outcome = Ok(());
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                done += chunk.len() as u64;
                meter.at(done);
                // A layer longer than announced is cut off: its digest cannot match any more.
                if sender.send(chunk).await.is_err() || done > layer.size {
                    break;
                }
            }
            Err(e) => {
                outcome = Err(broken(&e, layer, remote));
                break;
            }
        }
    }
    drop(sender);
    let blob = writer.await.map_err(|e| Error::malformed("an internal task", e))??;
    outcome?;
    let (digest, name) = (layer.digest.clone(), layer.digest.to_string());
    blocking(move || blob.commit_as(&digest, || format!("layer {name}")).map(|_| ())).await
}

/// A download that ended badly: by what the content was, or by the network.
fn broken(error: &std::io::Error, part: &Descriptor, remote: &Remote) -> Error {
    let mismatch = error.get_ref().and_then(|inner| inner.downcast_ref::<DigestError>());
    if let Some(DigestError::VerificationError { expected, actual }) = mismatch {
        return Error::DigestMismatch {
            what: format!("layer {}", part.digest),
            expected: expected.clone(),
            actual: actual.clone(),
        };
    }
    Error::Unreachable {
        registry: remote.host().to_owned(),
        reason: format!("the transfer broke off: {error}"),
    }
}

/// Reports progress at a bearable rate.
struct Meter {
    reporter: Reporter,
    digest: Arc<str>,
    state: LayerState,
    total: u64,
    last: Option<Instant>,
}

impl Meter {
    fn new(reporter: Reporter, digest: String, state: LayerState, total: u64) -> Self {
        Self { reporter, digest: digest.into(), state, total, last: None }
    }

    fn at(&mut self, done: u64) {
        if self.last.is_none_or(|last| last.elapsed() >= REPORT_EVERY) {
            self.last = Some(Instant::now());
            self.reporter.layer(&self.digest, self.state, done.min(self.total), self.total);
        }
    }
}
