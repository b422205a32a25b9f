//! What follows from a write at once, so that nobody sees the moment in between: a namespace is usable
//! as soon as it exists.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::Call;
use crate::definitions;
use crate::encode;
use crate::server::Parts;

/// Name of the ConfigMap in every namespace with which pods check the server's certificate.
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";

/// After an object was made.
pub(crate) async fn created(call: &Call, object: &Value) {
    if call.resource.group.is_empty() && call.resource.plural == "namespaces" {
        furnish(&call.parts, encode::meta(object, "name")).await;
    }
}

/// After an object was changed, or `gone`.
pub(crate) fn changed(call: &Call, object: &Value, gone: bool) {
    if &*call.resource.plural == "customresourcedefinitions" && !gone {
        definitions::clean_up(&call.parts, object);
    }
}

/// What pods need to start in a namespace: an account, and the authority's certificate. Controllers
/// keep both there later.
pub(crate) async fn furnish(parts: &Arc<Parts>, namespace: &str) {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "default", "namespace": namespace },
    });
    let authority = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CA, "namespace": namespace,
            "annotations": { "kubernetes.io/description":
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                 endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                 guaranteed across distributions of Kubernetes clusters." },
        },
        "data": { "ca.crt": parts.pki.ca_pem() },
    });
    for object in [account, authority] {
        if let Err(status) = crate::bootstrap::ensure(parts, object).await {
            tracing::warn!(namespace, message = status.message, "a new namespace lacks an object");
        }
    }
}
