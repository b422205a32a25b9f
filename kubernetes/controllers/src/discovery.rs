//! All kinds the API serves, custom ones included.

use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope, verbs};

/// One kind that objects can be listed and deleted of.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
    pub(crate) watchable: bool,
    pub(crate) collection: bool,
}

impl Served {
    fn new(resource: ApiResource, capabilities: &ApiCapabilities) -> Option<Self> {
        let usable =
            capabilities.supports_operation(verbs::LIST) && capabilities.supports_operation(verbs::DELETE);
        usable.then(|| Self {
            resource,
            namespaced: capabilities.scope == Scope::Namespaced,
            watchable: capabilities.supports_operation(verbs::WATCH),
            collection: capabilities.supports_operation(verbs::DELETE_COLLECTION),
        })
    }

    /// The path of the kind, in a namespace or over all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        <kube::api::DynamicObject as kube::Resource>::url_path(&self.resource, namespace)
    }
}

/// Asks the API what it serves, each kind once.
pub(crate) async fn served(client: &kube::Client) -> Result<Vec<Served>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let all = discovery.groups().flat_map(kube::discovery::ApiGroup::resources_by_stability);
    let mut kinds: Vec<Served> = all.filter_map(|(resource, can)| Served::new(resource, &can)).collect();
    // Events are shown by two groups; they are the same objects.
    kinds.retain(|k| !(k.resource.group == "events.k8s.io" && k.resource.kind == "Event"));
    Ok(kinds)
}
