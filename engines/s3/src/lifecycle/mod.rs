//! Lifecycle rules, carried out in the background.

mod rule;

use std::time::{Duration, SystemTime};

use s3s::dto::BucketLifecycleConfiguration;
use tokio_util::sync::CancellationToken;

pub(crate) use self::rule::Rule;
use crate::core::Core;
use crate::documents::{self, LIFECYCLE};
use crate::events::Event;
use crate::store::{self, Condition, Delete, ListUploads, Match, UploadRef};

/// How many keys are looked at together.
const BATCH: usize = 500;

/// Carries the rules out every now and then.
pub(crate) async fn run(core: &Core, closing: &CancellationToken) {
    let mut every = tokio::time::interval(core.config.lifecycle_every.max(Duration::from_millis(10)));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = every.tick() => {}
        }
        tokio::select! {
            () = closing.cancelled() => return,
            done = round(core) => match done {
                Ok(()) => {}
                Err(store::Error::Closed) => return,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "lifecycle rules"),
            },
        }
    }
}

/// Carries out the rules of all buckets once. Safe to be dropped at any point.
pub(crate) async fn round(core: &Core) -> store::Result<()> {
    for bucket in core.store.buckets(None).await? {
        match bucket_round(core, &bucket.name).await {
            // Deleted meanwhile.
            Ok(()) | Err(store::Error::NoSuchBucket { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn bucket_round(core: &Core, bucket: &str) -> store::Result<()> {
    let rules = match documents::get::<BucketLifecycleConfiguration>(&core.store, bucket, LIFECYCLE).await {
        Ok(Some(configuration)) => rules(&configuration),
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::warn!(%bucket, %error, "lifecycle rules cannot be read");
            return Ok(());
        }
    };
    let now = core.config.clock.now();
    expire(core, bucket, &rules, now).await?;
    if rules.iter().any(Rule::aborts) {
        abort(core, bucket, &rules, now).await?;
    }
    Ok(())
}

fn rules(configuration: &BucketLifecycleConfiguration) -> Vec<Rule> {
    let enabled = configuration.rules.iter().filter(|rule| rule.status.as_str() == "Enabled");
    enabled.filter_map(|rule| Rule::check(rule).ok()).collect()
}

async fn expire(core: &Core, bucket: &str, rules: &[Rule], now: SystemTime) -> store::Result<()> {
    let mut after = None;
    loop {
        let (candidates, next) = core.store.scan(bucket, after, BATCH).await?;
        let due = candidates.iter().filter(|candidate| rules.iter().any(|rule| rule.is_due(candidate, now)));
        let deletes: Vec<Delete> = due.map(delete).collect();
        if !deletes.is_empty() {
            remove(core, bucket, deletes).await?;
        }
        match next {
            Some(cursor) => after = Some(cursor),
            None => return Ok(()),
        }
    }
}

/// The deletion of a candidate: a latest version is marked as deleted, if it is still the same.
fn delete(candidate: &store::Candidate) -> Delete {
    let object = &candidate.object;
    let marks = object.latest && !object.delete_marker;
    let same = Condition { if_match: Some(Match::Etags(vec![object.etag.clone()])), if_none_match: None };
    Delete {
        key: object.key.clone(),
        version: (!marks).then_some(object.version),
        condition: if marks { same } else { Condition::default() },
        ..Delete::default()
    }
}

async fn remove(core: &Core, bucket: &str, deletes: Vec<Delete>) -> store::Result<()> {
    let rules = core.shelf.rules(&core.store, bucket).await.ok();
    for outcome in core.store.delete_many(bucket, deletes).await? {
        match (outcome, &rules) {
            (Ok(deleted), Some(rules)) => core.outbox.tell(core, rules, Event::expired(&deleted)).await,
            (Ok(_), None) => {}
            // Locked, or written anew meanwhile: not its time.
            (Err(error), _) => tracing::debug!(%bucket, %error, "kept by the lifecycle"),
        }
    }
    Ok(())
}

async fn abort(core: &Core, bucket: &str, rules: &[Rule], now: SystemTime) -> store::Result<()> {
    let mut list = ListUploads { limit: BATCH, ..ListUploads::default() };
    loop {
        let listing = core.store.list_uploads(bucket, list.clone()).await?;
        for upload in listing.uploads {
            if rules.iter().any(|rule| rule.aborts_upload(&upload.key, upload.initiated, now)) {
                let upload = UploadRef { bucket: bucket.to_owned(), key: upload.key, id: upload.id };
                match core.store.abort_upload(&upload).await {
                    Ok(()) | Err(store::Error::NoSuchUpload { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        match listing.next {
            Some((key, upload)) => (list.after, list.after_upload) = (key, upload),
            None => return Ok(()),
        }
    }
}
