//! Reads everything there is and compares it with its checksums; counts what buckets hold.

use std::time::{Duration, Instant};

use futures::StreamExt;

use super::error::{Error, Result};
use super::listing::blocking;
use super::meta::{self, Look, View};
use super::model::{Cursor, Damage, Object, Scrub, ScrubReport};
use super::record::{self, Head, Usage};
use super::stage::Freight;
use super::tables::{self, At};
use super::{Store, buckets};

/// Keys looked at between two looks at the clock.
const STEP: usize = 256;

/// Holds the reading to a speed.
struct Pace {
    started: Instant,
    per_second: Option<u64>,
}

impl Pace {
    async fn hold(&self, bytes: u64) {
        let Some(per_second) = self.per_second else { return };
        let due = Duration::from_millis(bytes.saturating_mul(1000) / per_second.max(1));
        if let Some(wait) = due.checked_sub(self.started.elapsed()) {
            tokio::time::sleep(wait).await;
        }
    }
}

/// What the bucket's rows hold, in the snapshot that `view` is.
fn recount(view: &View, bucket: u32) -> Result<Usage> {
    let mut usage = Usage::default();
    for at in [At::Latest, At::Older] {
        let mut rows = view.under(at, &tables::of_bucket(bucket))?;
        while let Some((_, value)) = meta::next(&mut rows)? {
            let head: Head = record::decode(value.value())?;
            usage.versions += 1;
            usage.bytes += head.size;
            usage.objects += u64::from(at == At::Latest && !head.marker);
        }
    }
    let mut uploads = view.under(At::Uploads, &tables::of_bucket(bucket))?;
    while let Some((row, _)) = meta::next(&mut uploads)? {
        let id = row.value().last_chunk::<16>().copied().unwrap_or_default();
        let mut parts = view.under(At::Parts, &id)?;
        while let Some((_, value)) = meta::next(&mut parts)? {
            usage.upload_bytes += record::decode::<record::Part>(value.value())?.size;
        }
    }
    Ok(usage)
}

impl Store {
    /// Reads everything and compares it with its checksums; counts usage anew and sets it right. Damage is
    /// reported, not repaired: the bytes are only here.
    pub async fn scrub(&self, scrub: Scrub) -> Result<ScrubReport> {
        let mut report = ScrubReport::default();
        let pace = Pace { started: Instant::now(), per_second: scrub.bytes_per_second };
        let all = buckets::all(&self.shared().meta.view()?)?;
        if let Some(bucket) = &scrub.bucket {
            buckets::find(&self.shared().meta.view()?, bucket)?;
        }
        for (name, _) in all {
            if scrub.bucket.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            match self.scrub_bucket(&name, &pace, &mut report).await {
                // Deleted meanwhile.
                Err(Error::NoSuchBucket { .. }) => {}
                done => done?,
            }
            report.buckets += 1;
        }
        Ok(report)
    }

    async fn scrub_bucket(&self, name: &str, pace: &Pace, report: &mut ScrubReport) -> Result<()> {
        let mut cursor: Option<Cursor> = None;
        loop {
            let (found, next) = self.scan(name, cursor, STEP).await?;
            for candidate in found {
                self.scrub_object(name, &candidate.object, pace, report).await?;
            }
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        if self.set_usage_right(name).await? {
            report.recounted.push(name.to_owned());
        }
        Ok(())
    }

    async fn scrub_object(
        &self,
        bucket: &str,
        object: &Object,
        pace: &Pace,
        report: &mut ScrubReport,
    ) -> Result<()> {
        if object.delete_marker {
            return Ok(());
        }
        let damage = |detail| Damage {
            bucket: bucket.to_owned(),
            key: object.key.clone(),
            version: object.version,
            detail,
        };
        let opened = match self.open_object(bucket, &object.key, Some(object.version)).await {
            Err(Error::Damaged { detail, .. } | Error::Record { detail }) => {
                report.damaged.push(damage(detail));
                return Ok(());
            }
            // Deleted or overwritten meanwhile.
            Err(Error::NoSuchKey { .. } | Error::NoSuchVersion { .. } | Error::DeleteMarker { .. }) => {
                return Ok(());
            }
            opened => opened?,
        };
        let size = opened.object.size;
        let (mut reader, mut read) = (opened.read(0..u64::MAX), 0);
        while let Some(piece) = reader.next().await {
            match piece {
                Ok(piece) => read += piece.len() as u64,
                Err(Error::Damaged { detail, .. }) => {
                    report.damaged.push(damage(detail));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            pace.hold(report.bytes + read).await;
        }
        if read != size {
            report.damaged.push(damage(format!("it has {read} bytes instead of {size}")));
        }
        report.objects += 1;
        report.bytes += read;
        Ok(())
    }

    /// Whether the counted usage differed from what is there, both in one snapshot.
    async fn set_usage_right(&self, name: &str) -> Result<bool> {
        let view = self.shared().meta.view()?;
        let bucket = buckets::find(&view, name)?;
        let key = tables::bucket_usage(bucket.id);
        let counted: Usage = view.record(At::Usage, &key)?.unwrap_or_default();
        let id = bucket.id;
        let found = blocking(move || recount(&view, id)).await?;
        if found == counted {
            return Ok(false);
        }
        // What changed since the snapshot is in both, so the difference still holds.
        self.write(Freight::default(), move |tx, _| {
            tx.count(&bucket, |usage| {
                let fix = |now: &mut u64, found: u64, counted: u64| {
                    *now = now.saturating_add(found).saturating_sub(counted);
                };
                fix(&mut usage.objects, found.objects, counted.objects);
                fix(&mut usage.versions, found.versions, counted.versions);
                fix(&mut usage.bytes, found.bytes, counted.bytes);
                fix(&mut usage.upload_bytes, found.upload_bytes, counted.upload_bytes);
            })
        })
        .await?;
        Ok(true)
    }
}
