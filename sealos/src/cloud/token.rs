//! Who a session of the console is: the administrator's ServiceAccount, with a token of its own.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

const NAMESPACE: &str = "user-system";
const NAME: &str = "admin";
/// A session lasts a working day.
const SECONDS: i64 = 12 * 3600;

/// Makes the administrator's ServiceAccount, which may do everything.
pub(crate) async fn ensure_admin(client: &kube::Client) -> Result<()> {
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": NAME, "namespace": NAMESPACE } }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "sealos:admin" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE }],
        }),
    ];
    for object in &objects {
        apply(client, object)
            .await
            .with_context(|| format!("write the administrator's {}", object["kind"]))?;
    }
    Ok(())
}

async fn apply(client: &kube::Client, object: &serde_json::Value) -> kube::Result<()> {
    use kube::api::DynamicObject;
    use kube::core::{ApiResource, GroupVersionKind};
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let params = PatchParams::apply(sealos_kit::labels::FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object)).await.map(drop)
}

/// A new bearer token of the administrator's.
pub(crate) async fn admin_token(client: &kube::Client) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(NAME, &PostParams::default(), &request).await;
    let status = answer.context("make a token for the console")?.status;
    status.and_then(|s| s.token).context("make a token for the console: the answer has none")
}
