//! Who is logged in, which workspaces there are, and how full the machines are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, header};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::Parts;
use crate::failure::Failure;
use crate::quantity::amount;
use crate::session::{self, User};

#[derive(Serialize)]
pub(crate) struct Who {
    user: String,
    domain: String,
    version: &'static str,
    workspaces: Vec<String>,
}

pub(crate) async fn session(
    State(parts): State<Arc<Parts>>,
    User(client): User,
) -> Result<axum::Json<Who>, Failure> {
    let (user, workspaces) = tokio::join!(user(&client), workspaces(&client));
    Ok(axum::Json(Who {
        user,
        domain: parts.config.domain.clone(),
        version: env!("CARGO_PKG_VERSION"),
        workspaces: workspaces?,
    }))
}

/// The name that people call the user by: a ServiceAccount's without its prefix.
async fn user(client: &kube::Client) -> String {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let name = review.ok().and_then(|r| r.status?.user_info?.username);
    name.as_deref().and_then(|n| n.rsplit(':').next()).unwrap_or("admin").to_owned()
}

/// The namespaces that hold people's apps; `default` comes first.
async fn workspaces(client: &kube::Client) -> Result<Vec<String>, Failure> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let all = namespaces.list(&ListParams::default()).await?.items;
    let mut names: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    names.retain(|name| !name.starts_with("kube-") && name != "user-system");
    names.sort_by_key(|name| (name != "default", name.clone()));
    Ok(names)
}

pub(crate) async fn logout(State(parts): State<Arc<Parts>>, headers: HeaderMap) -> impl IntoResponse {
    parts.sessions.end(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, session::no_cookie())])
}

#[derive(Serialize, Default)]
pub(crate) struct Share {
    total: f64,
    used: f64,
    requested: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capacity {
    nodes: usize,
    cpu_millis: Share,
    memory_bytes: Share,
    pods: Share,
    /// Absent where the machines do not tell how large their disks are.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_bytes: Option<Share>,
}

pub(crate) async fn capacity(
    State(parts): State<Arc<Parts>>,
    User(client): User,
) -> Result<axum::Json<Capacity>, Failure> {
    let (nodes, pods): (Api<Node>, Api<Pod>) = (Api::all(client.clone()), Api::all(client.clone()));
    let claims: Api<PersistentVolumeClaim> = Api::all(client);
    let every = ListParams::default();
    let (nodes, pods, claims) = tokio::try_join!(nodes.list(&every), pods.list(&every), claims.list(&every))?;
    let promised: f64 = claims.items.iter().filter_map(claimed).sum();
    let live: Vec<_> = pods.items.iter().filter(|pod| !has_ended(pod)).collect();
    let used = parts.samples.nodes();
    let total = |key: &str| -> f64 {
        nodes.items.iter().filter_map(|n| read(n.status.as_ref()?.capacity.as_ref()?, key)).sum()
    };
    let requested = |key: &str| -> f64 { live.iter().map(|pod| requests(pod, key)).sum() };
    #[expect(clippy::cast_precision_loss, reason = "a count of pods")]
    let running = live.len() as f64;
    Ok(axum::Json(Capacity {
        nodes: nodes.items.len(),
        cpu_millis: Share {
            total: total("cpu") * 1e3,
            used: used.cpu_millis,
            requested: requested("cpu") * 1e3,
        },
        memory_bytes: Share {
            total: total("memory"),
            used: used.memory_bytes,
            requested: requested("memory"),
        },
        pods: Share { total: total("pods"), used: running, requested: running },
        storage_bytes: Some(total("ephemeral-storage")).filter(|total| *total > 0.0).map(|total| Share {
            total,
            used: 0.0,
            requested: promised,
        }),
    }))
}

/// What a volume may take.
fn claimed(claim: &PersistentVolumeClaim) -> Option<f64> {
    read(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?, "storage")
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn requests(pod: &Pod, key: &str) -> f64 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.filter_map(|c| read(c.resources.as_ref()?.requests.as_ref()?, key)).sum()
}

fn read(quantities: &BTreeMap<String, Quantity>, key: &str) -> Option<f64> {
    amount(&quantities.get(key)?.0)
}
