//! Tells people what became of their Ingresses: an address in the status, an event for a host that
//! somebody else has. Beside the routes, never in their way.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter as Source};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Config;
use crate::plan::{Reason, Refused};

/// The latest things to tell.
#[derive(Clone, Default)]
struct News {
    served: Vec<Arc<Ingress>>,
    refused: Vec<Refused>,
}

/// Hands the latest plan to the task that writes.
pub(crate) struct Reporter {
    news: watch::Sender<News>,
}

impl Reporter {
    pub(crate) fn start(client: Client, config: &Config, shutdown: CancellationToken) -> Self {
        let (news, inbox) = watch::channel(News::default());
        let status = status(config);
        let source = Source { controller: "sealos-ingress".to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), source);
        let writer = Writer { client, status, recorder, told: HashSet::new() };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = writer.run(inbox) => {}
            }
        });
        Self { news }
    }

    pub(crate) fn report(&mut self, served: Vec<Arc<Ingress>>, refused: Vec<Refused>) {
        self.news.send_replace(News { served, refused });
    }
}

struct Writer {
    client: Client,
    status: Value,
    recorder: Recorder,
    /// Refusals that were told: by the Ingress's uid and the host.
    told: HashSet<(String, String)>,
}

impl Writer {
    async fn run(mut self, mut inbox: watch::Receiver<News>) {
        while inbox.changed().await.is_ok() {
            let news = inbox.borrow_and_update().clone();
            for ingress in &news.served {
                self.write_status(ingress).await;
            }
            let uid = |refused: &Refused| refused.ingress.uid().unwrap_or_default();
            let current: HashSet<_> = news.refused.iter().map(|r| (uid(r), r.host.clone())).collect();
            self.told.retain(|told| current.contains(told));
            for refused in &news.refused {
                if self.told.insert((uid(refused), refused.host.clone())) {
                    self.tell(refused).await;
                }
            }
        }
    }

    async fn write_status(&self, ingress: &Ingress) {
        let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let now = serde_json::to_value(balancer).unwrap_or_default();
        if now == self.status {
            return;
        }
        let api: Api<Ingress> =
            Api::namespaced(self.client.clone(), &ingress.namespace().unwrap_or_default());
        let patch = json!({ "status": { "loadBalancer": self.status } });
        let name = ingress.name_any();
        match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => debug!(name, "the status of an Ingress is written"),
            // It was deleted meanwhile, or the next change brings another chance.
            Err(error) => debug!(%error, name, "the status of an Ingress is not written"),
        }
    }

    async fn tell(&self, refused: &Refused) {
        let host = &refused.host;
        let note = match refused.reason {
            Reason::Taken => format!("the host {host} is used by another workspace; choose another host"),
            Reason::Reserved => format!("the host {host} belongs to the platform; choose another host"),
        };
        let event = Event {
            type_: EventType::Warning,
            reason: "HostTaken".to_owned(),
            note: Some(note),
            action: "Route".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &refused.ingress.object_ref(&())).await {
            warn!(%error, host, "a refused host could not be reported");
        }
    }
}

/// Where Ingresses are reached. A name instead of an address: it is what people type.
fn status(config: &Config) -> Value {
    let port = |number: u16| json!({ "port": number, "protocol": "TCP" });
    json!({ "ingress": [{
        "hostname": config.domain,
        "ports": [port(config.http_port), port(config.https_port)],
    }] })
}
