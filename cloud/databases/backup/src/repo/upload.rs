//! Uploading a stream of unknown length with bounded memory: small ones by one request, large ones in parts
//! that grow, because S3 takes at most 10,000 parts. A terabyte fits; two parts are held at a time.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, UploadPart};

use crate::Error;

/// The first parts have this size.
const PART: usize = 8 << 20;
/// After so many parts, the size doubles.
const GROW: usize = 1500;
/// So many parts are on their way at a time.
const FLIGHTS: usize = 2;

/// An object on its way.
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    pending: Vec<Bytes>,
    held: usize,
    parts: usize,
    multipart: Option<Box<dyn MultipartUpload>>,
    flights: FuturesUnordered<UploadPart>,
}

fn part_size(parts: usize) -> usize {
    PART << (parts / GROW).min(6)
}

impl Upload {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        let flights = FuturesUnordered::new();
        Self { store, path, pending: Vec::new(), held: 0, parts: 0, multipart: None, flights }
    }

    /// Takes some more bytes.
    pub(super) async fn put(&mut self, data: Bytes) -> Result<(), Error> {
        self.held += data.len();
        self.pending.push(data);
        if self.held >= part_size(self.parts) { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), Error> {
        let failed = Error::store("write", &self.path);
        let payload: PutPayload = std::mem::take(&mut self.pending).into_iter().collect();
        self.held = 0;
        self.parts += 1;
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => match self.store.put_multipart(&self.path).await {
                Ok(multipart) => none.insert(multipart),
                Err(error) => return Err(failed(error)),
            },
        };
        self.flights.push(multipart.put_part(payload));
        while self.flights.len() >= FLIGHTS {
            if let Some(done) = self.flights.next().await {
                done.map_err(Error::store("write", &self.path))?;
            }
        }
        Ok(())
    }

    /// Makes the object visible.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        if self.multipart.is_none() {
            let payload: PutPayload = std::mem::take(&mut self.pending).into_iter().collect();
            let done = self.store.put(&self.path, payload).await;
            return done.map(drop).map_err(Error::store("write", &self.path));
        }
        if self.held > 0 {
            self.send().await?;
        }
        while let Some(done) = self.flights.next().await {
            done.map_err(Error::store("write", &self.path))?;
        }
        if let Some(multipart) = &mut self.multipart {
            multipart.complete().await.map_err(Error::store("write", &self.path))?;
        }
        Ok(())
    }

    /// Throws away what was uploaded.
    pub(super) async fn abort(mut self) {
        self.flights.clear();
        if let Some(multipart) = &mut self.multipart
            && let Err(error) = multipart.abort().await
        {
            tracing::warn!(path = %self.path, %error, "could not abort an upload; its parts stay until the bucket removes them");
        }
    }
}
