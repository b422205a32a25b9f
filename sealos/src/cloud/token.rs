//! Who a session of the console is: the administrator's ServiceAccount, with a token of its own.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use sealos_kit::apply::apply;
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
        apply(client, object["metadata"]["namespace"].as_str(), object)
            .await
            .with_context(|| format!("write the administrator's {}", object["kind"]))?;
    }
    Ok(())
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
