//! Services made real: kernel rules, names, and the variables of containers.

mod plan;
mod vars;

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use parking_lot::RwLock;
use sealos_network::dns::Records;
use sealos_network::{Network, PortRule, Protocol, ServiceRule, dns};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use plan::protocol;
use plan::{Key, Model};

use crate::backoff::Retry;
use crate::config::{Config, Error};

/// The label that ties a slice to its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const DNS_PORT: u16 = 53;

/// The services as they are known now.
#[derive(Clone)]
pub(crate) struct ServiceMap {
    model: Arc<RwLock<Model>>,
    synced: watch::Receiver<bool>,
}

impl ServiceMap {
    /// The variables for containers of one namespace. Waits until the services are known at all.
    pub(crate) async fn variables(&self, namespace: &str, links: bool) -> BTreeMap<String, String> {
        let mut synced = self.synced.clone();
        // The sender only goes away when the node stops.
        synced.wait_for(|synced| *synced).await.ok();
        let model = self.model.read();
        let mut vars = BTreeMap::new();
        for ((own, name), service) in &model.services {
            let api = own == "default" && name == "kubernetes";
            if api || (links && own == namespace) {
                vars::of(name, service, &mut vars);
            }
        }
        vars
    }
}

/// Keeps kernel rules and names in step with the cluster's services.
pub(crate) struct Proxy {
    client: Client,
    network: Network,
    names: dns::Server,
    domain: String,
    dns_ip: Ipv4Addr,
    model: Arc<RwLock<Model>>,
    synced: watch::Sender<bool>,
}

impl Proxy {
    /// Starts the name server and the watch of services.
    pub(crate) async fn start(config: &Config, shutdown: CancellationToken) -> Result<ServiceMap, Error> {
        let bind = (config.network.gateway_ip(), DNS_PORT).into();
        let names = dns::Server::start(bind, &config.cluster_domain, shutdown.clone())
            .await
            .map_err(|source| Error::Network { attempt: "start the name server", source })?;
        let (synced, receiver) = watch::channel(false);
        let model = Arc::<RwLock<Model>>::default();
        let map = ServiceMap { model: Arc::clone(&model), synced: receiver };
        let proxy = Self {
            client: config.client.clone(),
            network: config.network.clone(),
            names,
            domain: config.cluster_domain.clone(),
            dns_ip: config.dns_ip,
            model,
            synced,
        };
        tokio::spawn(async move { shutdown.run_until_cancelled(proxy.run()).await });
        Ok(map)
    }

    async fn run(self) {
        let mut changes = self.changes().boxed();
        let mut known = Known::default();
        let mut retry: Option<Retry> = None;
        loop {
            let again = async {
                match retry.as_mut() {
                    Some(retry) => tokio::time::sleep_until(retry.next()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.take(change, &mut known),
                    None => return,
                },
                () = again => {}
            }
            // Everything that is already there belongs to the same change of the kernel's rules.
            while let Some(Some(change)) = futures::FutureExt::now_or_never(changes.next()) {
                self.take(change, &mut known);
            }
            if !known.all() {
                continue;
            }
            match self.apply().await {
                Ok(()) => retry = None,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "set the rules of services");
                    retry.get_or_insert_with(|| {
                        Retry::new(Duration::from_millis(200), Duration::from_secs(10))
                    });
                }
            }
            self.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
        }
    }

    fn changes(&self) -> impl Stream<Item = Change> + Send + use<> {
        let config = watcher::Config::default;
        let services: Api<Service> = Api::all(self.client.clone());
        let slices: Api<EndpointSlice> = Api::all(self.client.clone());
        let services =
            watcher(services, config()).default_backoff().map(|e| e.map(Box::new).map(Change::Service));
        let slices = watcher(slices, config()).default_backoff().map(|e| e.map(Box::new).map(Change::Slice));
        futures::stream::select(services, slices).filter_map(async |change| match change {
            Ok(change) => Some(change),
            Err(error) => {
                tracing::warn!(%error, "watch services");
                None
            }
        })
    }

    fn take(&self, change: Change, known: &mut Known) {
        let mut model = self.model.write();
        match change {
            Change::Service(event) => match *event {
                Event::Apply(service) => drop(model.services.insert(key(&service), service)),
                Event::InitApply(service) => {
                    known.listed_services.insert(key(&service));
                    model.services.insert(key(&service), service);
                }
                Event::Delete(service) => drop(model.services.remove(&key(&service))),
                Event::Init => known.listed_services.clear(),
                Event::InitDone => {
                    let listed = std::mem::take(&mut known.listed_services);
                    model.services.retain(|key, _| listed.contains(key));
                    known.services = true;
                }
            },
            Change::Slice(event) => match *event {
                Event::Apply(slice) => add(&mut model, slice),
                Event::InitApply(slice) => {
                    known.listed_slices.insert(key(&slice));
                    add(&mut model, slice);
                }
                Event::Delete(slice) => {
                    let Some(owner) = owner(&slice) else { return };
                    if let Some(slices) = model.slices.get_mut(&owner) {
                        slices.remove(&slice.name_any());
                        if slices.is_empty() {
                            model.slices.remove(&owner);
                        }
                    }
                }
                Event::Init => known.listed_slices.clear(),
                Event::InitDone => {
                    let listed = std::mem::take(&mut known.listed_slices);
                    for ((namespace, _), slices) in &mut model.slices {
                        slices.retain(|name, _| listed.contains(&(namespace.clone(), name.clone())));
                    }
                    known.slices = true;
                }
            },
        }
    }

    async fn apply(&self) -> Result<(), sealos_network::Error> {
        let (mut rules, names) = {
            let model = self.model.read();
            (model.rules(), model.names())
        };
        let local = [self.network.pod_cidr(), self.network.service_cidr()];
        self.names.set_records(Records::new(&self.domain, &local, &names));
        if self.dns_ip != self.network.gateway_ip() {
            rules.retain(|rule| rule.cluster_ip != Some(self.dns_ip));
            rules.push(self.dns_rule());
        }
        self.network.set_services(rules).await
    }

    /// Leads the address that pods ask for names to the name server.
    fn dns_rule(&self) -> ServiceRule {
        let port = |protocol| PortRule {
            protocol,
            port: DNS_PORT,
            node_port: None,
            endpoints: vec![SocketAddrV4::new(self.network.gateway_ip(), DNS_PORT)],
        };
        ServiceRule {
            name: "node/dns".into(),
            cluster_ip: Some(self.dns_ip),
            extra_ips: Vec::new(),
            ports: vec![port(Protocol::Udp), port(Protocol::Tcp)],
            affinity_seconds: None,
        }
    }
}

enum Change {
    Service(Box<Event<Service>>),
    Slice(Box<Event<EndpointSlice>>),
}

/// Which lists are complete. Until both are, nothing is told to the kernel: the rules of an earlier
/// process stay in force.
#[derive(Default)]
struct Known {
    services: bool,
    slices: bool,
    listed_services: HashSet<Key>,
    listed_slices: HashSet<Key>,
}

impl Known {
    fn all(&self) -> bool {
        self.services && self.slices
    }
}

fn key<K: kube::Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn add(model: &mut Model, slice: EndpointSlice) {
    if let Some(owner) = owner(&slice) {
        model.slices.entry(owner).or_default().insert(slice.name_any(), slice);
    }
}

fn owner(slice: &EndpointSlice) -> Option<Key> {
    let service = slice.labels().get(SERVICE_NAME)?;
    Some((slice.namespace().unwrap_or_default(), service.clone()))
}
