//! The load on the API: ConfigMaps of 1 KB, created, read, patched and listed.

use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use hyper::Method;

use super::connection::Target;
use super::report::{Outcome, percentile};

/// How many times the list is read; the median counts.
const LISTS: usize = 11;

/// Where the load goes.
pub(crate) struct Load<'a> {
    /// The server.
    pub(crate) target: &'a Target,
    /// Everything is below this namespace.
    pub(crate) namespace: &'a str,
    /// How many objects.
    pub(crate) objects: usize,
    /// How many connections.
    pub(crate) connections: usize,
}

/// Makes the namespace of a run.
pub(crate) async fn namespace(target: &Target, name: &str) -> Result<()> {
    let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
    target.connect().await?.send(Method::POST, "/api/v1/namespaces", body.into()).await.map(drop)
}

impl Load<'_> {
    /// The collection.
    pub(crate) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }

    pub(crate) async fn create(&self) -> Result<Outcome> {
        let path = self.path();
        let text = "x".repeat(1000);
        let body = |i: usize| {
            format!(
                r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c{i}"}},"data":{{"text":"{text}"}}}}"#
            )
        };
        self.each(|i| (Method::POST, path.clone(), body(i).into())).await
    }

    pub(crate) async fn get(&self) -> Result<Outcome> {
        let path = self.path();
        self.each(|i| (Method::GET, format!("{path}/c{i}"), Bytes::new())).await
    }

    pub(crate) async fn patch(&self) -> Result<Outcome> {
        let path = self.path();
        self.each(|i| (Method::PATCH, format!("{path}/c{i}"), format!(r#"{{"data":{{"n":"{i}"}}}}"#).into()))
            .await
    }

    /// Median milliseconds and bytes of listing everything.
    pub(crate) async fn list(&self) -> Result<(f64, usize)> {
        let mut connection = self.target.connect().await?;
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..LISTS {
            let begun = Instant::now();
            size = connection.send(Method::GET, &self.path(), Bytes::new()).await?.len();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok((percentile(&times, 0.5), size))
    }

    /// Removes the namespace.
    pub(crate) async fn clean(&self) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.target
            .connect()
            .await?
            .send(Method::DELETE, &path, Bytes::new())
            .await
            .context("clean up")
            .map(drop)
    }

    /// One request for each object, spread over the connections.
    async fn each(&self, request: impl Fn(usize) -> (Method, String, Bytes)) -> Result<Outcome> {
        let request = &request;
        let connections = try_join_all((0..self.connections).map(|_| self.target.connect())).await?;
        let begun = Instant::now();
        let workers = connections.into_iter().enumerate().map(|(first, mut connection)| async move {
            let mut times = Vec::new();
            for i in (first..self.objects).step_by(self.connections) {
                let (method, path, body) = request(i);
                let begun = Instant::now();
                connection.send(method, &path, body).await?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(times)
        });
        let mut times: Vec<_> = try_join_all(workers).await?.concat();
        let seconds = begun.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = times.len() as f64 / seconds;
        Ok(Outcome { rate, p50: percentile(&times, 0.5), p99: percentile(&times, 0.99) })
    }
}
