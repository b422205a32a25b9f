//! How fast one change reaches many watchers.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use tokio::sync::Barrier;

use super::api::Load;
use super::report::{Outcome, percentile};

/// How many changes are made.
const CHANGES: usize = 2000;
/// How many are under way at once.
const WRITERS: usize = 8;

/// Events a second over all watchers while objects are patched, and the delay from the request to the event.
pub(crate) async fn fan_out(load: &Load<'_>, watchers: usize) -> Result<Outcome> {
    let list = load
        .target
        .connect()
        .await?
        .send(Method::GET, &format!("{}?limit=1", load.path()), Bytes::new())
        .await?;
    let list: serde_json::Value = serde_json::from_slice(&list)?;
    let revision =
        list["metadata"]["resourceVersion"].as_str().context("a list without a revision")?.to_owned();
    let clock = Instant::now();
    let barrier = Arc::new(Barrier::new(watchers + 1));
    let mut watching = Vec::new();
    for _ in 0..watchers {
        let path = format!("{}?watch=1&resourceVersion={revision}", load.path());
        let mut connection = load.target.connect().await?;
        let barrier = barrier.clone();
        watching.push(tokio::spawn(async move {
            let response = connection.open(Method::GET, &path, Bytes::new()).await?;
            barrier.wait().await;
            delays(response.into_body(), clock).await
        }));
    }
    barrier.wait().await;
    let begun = Instant::now();
    let writers = (0..WRITERS).map(|first| write(load, first, clock));
    try_join_all(writers).await?;
    let mut all = Vec::new();
    for watcher in watching {
        all.extend(watcher.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    all.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let rate = all.len() as f64 / seconds;
    Ok(Outcome { rate, p50: percentile(&all, 0.5), p99: percentile(&all, 0.99) })
}

/// Patches the time of each request into an object.
async fn write(load: &Load<'_>, first: usize, clock: Instant) -> Result<()> {
    let mut connection = load.target.connect().await?;
    for i in (first..CHANGES).step_by(WRITERS) {
        let path = format!("{}/c{}", load.path(), i % load.objects);
        let body = format!(r#"{{"data":{{"sent":"@{}@"}}}}"#, clock.elapsed().as_micros());
        connection.send(Method::PATCH, &path, body.into()).await?;
    }
    Ok(())
}

/// Milliseconds from a request to its event, for each event.
async fn delays(mut body: Incoming, clock: Instant) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(CHANGES);
    let mut rest: Vec<u8> = Vec::new();
    while times.len() < CHANGES {
        let frame = body.frame().await.context("the watch ended")??;
        let Some(data) = frame.data_ref() else { continue };
        rest.extend_from_slice(data);
        let now = clock.elapsed();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<_> = rest.drain(..=end).collect();
            let sent = String::from_utf8_lossy(&line).split('@').nth(1).and_then(|t| t.parse::<u64>().ok());
            if let Some(sent) = sent {
                times.push((now.as_secs_f64() - std::time::Duration::from_micros(sent).as_secs_f64()) * 1e3);
            }
        }
    }
    Ok(times)
}
