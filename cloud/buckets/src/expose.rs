//! Where pods find the store: a Service whose endpoint is not a pod.

use std::net::SocketAddr;

use kube::Client;
use sealos_kit::apply::apply;
use serde_json::json;

use crate::Error;

/// Where the platform's own Services are.
pub const NAMESPACE: &str = "sealos-system";
/// The Service of the store.
pub const SERVICE: &str = "object-storage";

/// The host at which pods reach the store, on port 80.
pub fn internal_host(cluster_domain: &str) -> String {
    format!("{SERVICE}.{NAMESPACE}.svc.{cluster_domain}")
}

/// Leads the Service to an address; what an earlier start wrote is replaced.
pub async fn expose(client: &Client, address: SocketAddr) -> Result<(), Error> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE },
        "spec": { "ports": [{ "name": "http", "port": 80, "targetPort": address.port(), "protocol": "TCP" }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": {
            "kubernetes.io/service-name": SERVICE,
            "endpointslice.kubernetes.io/managed-by": "sealos",
        } },
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{ "addresses": [address.ip()], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": address.port(), "protocol": "TCP" }],
    });
    apply(client, None, &namespace).await?;
    for object in [&service, &slice] {
        apply(client, Some(NAMESPACE), object).await?;
    }
    Ok(())
}
