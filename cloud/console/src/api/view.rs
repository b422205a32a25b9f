//! An app as the page shows it: its status, and addresses that can be clicked.

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use sealos_apps::AppStatus;
use sealos_kit::labels;
use serde::Serialize;

use crate::Parts;
use crate::api::Workspace;
use crate::failure::Failure;

/// An app with its addresses.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AppView {
    #[serde(flatten)]
    pub(crate) status: AppStatus,
    urls: Vec<Address>,
}

#[derive(Debug, Clone, Serialize)]
struct Address {
    url: String,
    port: u16,
}

impl Workspace {
    /// The app, with its addresses.
    pub(crate) async fn view(&self, name: &str) -> Result<AppView, Failure> {
        let status = self.apps.get(name).await?;
        let selector = format!("{}={name}", labels::APP);
        Ok(view(&self.parts, status, &self.node_ports(&selector).await?))
    }

    /// All apps, with their addresses.
    pub(crate) async fn views(&self) -> Result<Vec<AppView>, Failure> {
        let (apps, services) = tokio::join!(self.apps.list(), self.node_ports(labels::APP));
        let services = services?;
        Ok(apps?.into_iter().map(|status| view(&self.parts, status, &services)).collect())
    }

    /// The Services that have ports of the machine.
    async fn node_ports(&self, selector: &str) -> Result<Vec<Service>, Failure> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.name);
        let mut all = services.list(&ListParams::default().labels(selector)).await?.items;
        all.retain(|service| service.spec.as_ref().is_some_and(|s| s.type_.as_deref() == Some("NodePort")));
        Ok(all)
    }
}

fn view(parts: &Parts, status: AppStatus, services: &[Service]) -> AppView {
    let public = &parts.config.public_url;
    let routed = status
        .addresses
        .iter()
        .map(|address| Address { url: beside(public, &address.host), port: address.port });
    let own = services.iter().filter(|service| {
        service.metadata.labels.as_ref().and_then(|all| all.get(labels::APP)) == Some(&status.name)
    });
    let direct =
        own.filter_map(|s| s.spec.as_ref()).flat_map(|s| s.ports.iter().flatten()).filter_map(|port| {
            let scheme = if port.protocol.as_deref() == Some("UDP") { "udp" } else { "tcp" };
            Some(Address {
                url: format!("{scheme}://{}:{}", parts.config.domain, port.node_port?),
                port: u16::try_from(port.port).ok()?,
            })
        });
    let urls = routed.chain(direct).collect();
    AppView { status, urls }
}

/// The URL of a host that is served where the console is: same scheme, same port.
fn beside(public_url: &str, host: &str) -> String {
    let (scheme, rest) = public_url.split_once("://").unwrap_or(("http", public_url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let port = authority.rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}")
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn an_app_is_served_where_the_console_is() {
        assert_eq!(beside("http://console.localhost:8080", "a.localhost"), "http://a.localhost:8080");
        assert_eq!(beside("https://console.example.com", "a.example.com"), "https://a.example.com");
    }
}
