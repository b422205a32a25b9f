//! Namespaces: empties one that is being deleted, then lets it go.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta};
use kube::core::{ObjectList, Request};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::discovery::{self, Served};
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::owners;
use crate::queue::{Again, Queue};

const AT_ONCE: usize = 4;
const FINALIZER: &str = "kubernetes";
/// Pods take a moment to stop; the wait grows with the age of the deletion.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_secs(5);

type Listed = ObjectList<PartialObjectMeta<kube::api::DynamicObject>>;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.namespaces, &queue);
    queue.work("namespaces", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(namespace) = cluster.namespaces.get(&key) else { return Ok(None) };
    let finalizers = namespace.spec.iter().flat_map(|s| s.finalizers.iter().flatten());
    if !meta::is_deleting(&namespace.metadata) || !finalizers.into_iter().any(|f| f == FINALIZER) {
        return Ok(None);
    }
    let failed = |verb: &'static str| {
        let key = key.clone();
        move |source: kube::Error| Error::Api {
            verb,
            kind: "Namespace".to_owned(),
            key,
            source: Box::new(source),
        }
    };
    let kinds = discovery::served(&cluster.client).await.map_err(failed("discover the contents of"))?;
    let mut remaining = Vec::new();
    for kind in kinds.iter().filter(|k| k.namespaced) {
        remaining.extend(empty(&cluster.client, kind, &key.name).await.map_err(failed("empty"))?);
    }
    if remaining.is_empty() {
        finalize(&cluster.client, &namespace).await.or_else(gone_is_fine).map_err(failed("finalize"))?;
        return Ok(None);
    }
    let status = status(&namespace, &remaining, Timestamp::now());
    cluster.namespaces.set_status(&key, namespace.status.as_ref(), &status).await?;
    Ok(Some(wait(&namespace, Timestamp::now())))
}

fn gone_is_fine(error: kube::Error) -> Result<(), kube::Error> {
    match &error {
        kube::Error::Api(status) if status.code == 404 => Ok(()),
        _ => Err(error),
    }
}

fn wait(namespace: &Namespace, now: Timestamp) -> Duration {
    let since = namespace.metadata.deletion_timestamp.as_ref().map_or(0, |t| meta::seconds_since(t, now));
    let tenth = Duration::from_millis(u64::try_from(since).unwrap_or(0) * 100);
    (FIRST_WAIT + tenth).min(LAST_WAIT)
}

/// What is left of one kind after everything was told to go.
struct Remaining {
    kind: String,
    count: usize,
    finalizers: Vec<String>,
}

async fn empty(
    client: &kube::Client,
    kind: &Served,
    namespace: &str,
) -> Result<Option<Remaining>, kube::Error> {
    let listed = list(client, kind, namespace).await?;
    if listed.items.is_empty() {
        return Ok(None);
    }
    let request = Request::new(kind.path(Some(namespace)));
    let fresh = |o: &&PartialObjectMeta<kube::api::DynamicObject>| o.metadata.deletion_timestamp.is_none();
    if listed.items.iter().any(|o| fresh(&o)) {
        let params = DeleteParams::background();
        if kind.collection {
            let all = request
                .delete_collection(&params, &ListParams::default())
                .map_err(kube::Error::BuildRequest)?;
            client.request::<Value>(all).await?;
        } else {
            for object in listed.items.iter().filter(fresh) {
                let one = request
                    .delete(meta::name(&object.metadata), &params)
                    .map_err(kube::Error::BuildRequest)?;
                client.request::<Value>(one).await.map(drop).or_else(gone_is_fine)?;
            }
        }
    }
    let left = list(client, kind, namespace).await?.items;
    let mut finalizers: Vec<String> =
        left.iter().flat_map(|o| o.metadata.finalizers.iter().flatten().cloned()).collect();
    finalizers.sort();
    finalizers.dedup();
    let kind = format!("{}.{}", kind.resource.plural, kind.resource.group);
    let kind = kind.trim_end_matches('.').to_owned();
    Ok((!left.is_empty()).then_some(Remaining { kind, count: left.len(), finalizers }))
}

async fn list(client: &kube::Client, kind: &Served, namespace: &str) -> Result<Listed, kube::Error> {
    let request = Request::new(kind.path(Some(namespace)));
    let request = request.list_metadata(&ListParams::default()).map_err(kube::Error::BuildRequest)?;
    match client.request::<Listed>(request).await {
        // The kind itself was taken away in between.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 405 => Ok(ObjectList {
            types: kube::api::TypeMeta::default(),
            metadata: kube::api::ListMeta::default(),
            items: Vec::new(),
        }),
        other => other,
    }
}

async fn finalize(client: &kube::Client, namespace: &Namespace) -> Result<(), kube::Error> {
    let mut next = namespace.clone();
    if let Some(finalizers) = next.spec.as_mut().and_then(|s| s.finalizers.as_mut()) {
        finalizers.retain(|f| f != FINALIZER);
    }
    // The cached version may be old by now; only the finalizers are meant.
    next.metadata.resource_version = None;
    let name = meta::name(&namespace.metadata);
    let mut body = json!(next);
    body["apiVersion"] = json!("v1");
    body["kind"] = json!("Namespace");
    let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request::<Value>(request).await.map(drop)
}

fn status(namespace: &Namespace, remaining: &[Remaining], now: Timestamp) -> NamespaceStatus {
    let counts: Vec<String> =
        remaining.iter().map(|r| format!("{} has {} resource instances", r.kind, r.count)).collect();
    let mut finalizers: Vec<&str> =
        remaining.iter().flat_map(|r| &r.finalizers).map(String::as_str).collect();
    finalizers.sort_unstable();
    finalizers.dedup();
    let mut status = namespace.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    let mut set = |kind: &str, on: bool, reason: &str, message: String| {
        let known = conditions.iter().position(|c| c.type_ == kind);
        let state = if on { "True" } else { "False" };
        let since = known.map(|i| conditions.remove(i)).filter(|c| c.status == state);
        conditions.push(NamespaceCondition {
            type_: kind.to_owned(),
            status: state.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: since
                .and_then(|c| c.last_transition_time)
                .or(Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now))),
        });
    };
    let message = format!("Some resources are remaining: {}", counts.join(", "));
    set("NamespaceContentRemaining", true, "SomeResourcesRemain", message);
    if finalizers.is_empty() {
        let message = "All content-preserving finalizers finished".to_owned();
        set("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", message);
    } else {
        let message =
            format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", "));
        set("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_what_holds_the_namespace() {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
        let remaining = [Remaining { kind: "pods".to_owned(), count: 2, finalizers: vec!["x/y".to_owned()] }];
        let conditions = status(&namespace, &remaining, Timestamp::now()).conditions.unwrap();
        let told: Vec<_> = conditions.iter().map(|c| c.message.as_deref().unwrap()).collect();
        assert_eq!(
            told,
            [
                "Some resources are remaining: pods has 2 resource instances",
                "Some content in the namespace has finalizers remaining: x/y"
            ]
        );
    }
}
