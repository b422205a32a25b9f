//! Wiring: every part of the cloud, started in the order in which they need one another.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Node as NodeObject;
use sealos_api::{Cidr, Identity, Server};
use sealos_console::Console;
use sealos_container::Runtime;
use sealos_controllers::Clients;
use sealos_gateway::Gateway;
use sealos_network::Network;
use sealos_node::{Node, Reserved};
use sealos_oci::{Images, RegistryConfig};
use sealos_store::Store;
use sealos_volume::Volumes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::listen::port_of;
use super::object_storage;
use super::packages::LocalImages;
use super::provision::LocalVolumes;
use super::settings::{Settings, replace_file};
use super::token;
use crate::locate::{CloudStatus, Layout};

/// The name of the one node.
const NODE: &str = "sealos";
pub(super) const CLUSTER_DOMAIN: &str = "cluster.local";

/// The bound ports.
pub(crate) struct Listeners {
    /// Kubernetes API.
    pub(crate) api: TcpListener,
    /// HTTP of apps and console.
    pub(crate) http: TcpListener,
    /// HTTPS of apps and console.
    pub(crate) https: TcpListener,
    /// S3.
    pub(crate) s3: TcpListener,
}

/// A cloud that is up.
pub(crate) struct Cloud {
    /// Where it is reached.
    pub(crate) status: CloudStatus,
    /// Its images.
    pub(crate) images: Images,
    /// How it reaches registries.
    pub(crate) registries: RegistryConfig,
    /// Its containers.
    pub(crate) runtime: Runtime,
    /// Its API, as the administrator.
    pub(crate) client: kube::Client,
    /// Its pods.
    pub(crate) node: Node,
    /// Its console.
    pub(crate) console: Console,
    /// Its tasks.
    pub(crate) tasks: TaskTracker,
}

/// What the parts share while they start.
pub(super) struct Site<'a> {
    pub(super) layout: &'a Layout,
    pub(super) settings: &'a Settings,
    pub(super) shutdown: &'a CancellationToken,
    tasks: TaskTracker,
}

impl Site<'_> {
    /// Runs a part; if it ends by itself, the cloud ends, since it cannot work without.
    pub(super) fn run<E: std::fmt::Display + Send>(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let ended = part.await;
            if shutdown.is_cancelled() {
                return;
            }
            match ended {
                Ok(()) => error!("{name} ended by itself; the cloud stops, apps run on"),
                Err(why) => error!(error = %why, "{name} failed; the cloud stops, apps run on"),
            }
            shutdown.cancel();
        });
    }
}

/// Starts everything; returns once the cloud takes work.
pub(crate) async fn start(
    layout: &Layout,
    settings: &Settings,
    registries: RegistryConfig,
    listeners: Listeners,
    shutdown: &CancellationToken,
) -> Result<Cloud> {
    let site = Site { layout, settings, shutdown, tasks: TaskTracker::new() };
    let api_port = port_of(&listeners.api)?;
    let status = status(&site, api_port, &listeners)?;
    let opened = tokio::try_join!(api(&site, api_port), network(&site), object_storage::open(&site));
    let (server, network, objects) = opened?;
    let admin = server.client(Identity::admin());
    let url = format!("https://127.0.0.1:{api_port}");
    replace_file(&layout.kubeconfig(), server.admin_kubeconfig(&url)?.as_bytes(), 0o600)?;
    let (tls, stop) = (server.clone(), shutdown.clone());
    site.run("the API port", async move { tls.serve(listeners.api, stop).await });

    let images = Images::open(layout.at("images")).context("open the image store")?;
    let volumes = Volumes::open(&layout.at("volumes")).context("open the volumes")?;
    controllers(&site, &server, &volumes);
    let runtime = runtime(layout, settings)?;
    let node = node(&site, &server, network, &images, &runtime, &registries);
    let objects = object_storage::start(&site, admin.clone(), objects, listeners.s3, &status.http);
    let (node, ()) = tokio::try_join!(node, objects)?;
    server.set_node(node.service());
    databases(&site, &server, &images, &registries);

    let console = entrances(&site, &server, &admin, listeners.http, listeners.https, &status).await?;
    token::ensure_admin(&admin).await?;
    node_ready(&admin).await?;
    site.tasks.close();
    Ok(Cloud { status, images, registries, runtime, client: admin, node, console, tasks: site.tasks })
}

async fn api(site: &Site<'_>, port: u16) -> Result<Server> {
    let path = site.layout.at("store");
    let store = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Store::open(sealos_store::Config::new(path.join("objects.redb"))).context("open the store")
    });
    let store = store.await.context("open the store")??;
    let gateway = site.settings.pod_cidr.nth(1);
    let mut config =
        sealos_api::Config::new(store, site.layout.at("pki"), SocketAddr::new(gateway.into(), port));
    let services = site.settings.service_cidr;
    config.service_cidr =
        Cidr::new(services.address(), services.prefix()).context("use the Service range")?;
    config.cluster_domain = CLUSTER_DOMAIN.to_owned();
    config.names = host_names();
    Server::start(config).await.context("start the Kubernetes API")
}

/// Names under which other machines may reach this one.
fn host_names() -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|n| n.trim().to_owned());
    let mut names: Vec<_> = name.into_iter().collect();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        if let Some(address) = interface.address.and_then(|a| Some(a.as_sockaddr_in()?.ip())) {
            names.push(address.to_string());
        }
    }
    names
}

async fn network(site: &Site<'_>) -> Result<Network> {
    let config = sealos_network::Config {
        id: site.settings.id.clone(),
        bridge: site.settings.bridge(),
        netns_dir: site.layout.netns(),
        pod_cidr: site.settings.pod_cidr,
        service_cidr: site.settings.service_cidr,
    };
    Network::open(config).await.context("set up the pod network")
}

/// The container runtime of a cloud.
pub(crate) fn runtime(layout: &Layout, settings: &Settings) -> Result<Runtime> {
    let config = sealos_container::Config {
        state_dir: layout.containers(),
        cgroup_parent: settings.cgroup(),
        shim: PathBuf::from("/proc/self/exe"),
    };
    Runtime::new(config).context("set up the container runtime")
}

fn controllers(site: &Site<'_>, server: &Server, volumes: &Volumes) {
    let clients = Clients {
        controllers: server.client(Identity::controller_manager()),
        scheduler: server.client(Identity::scheduler()),
    };
    let provisioner = Arc::new(LocalVolumes(volumes.clone()));
    let config = sealos_controllers::Config::new(provisioner, NODE, server.ca_pem());
    let shutdown = site.shutdown.clone();
    site.run("the controllers", async move {
        sealos_controllers::run(clients, shutdown, config).await;
        Ok::<_, std::convert::Infallible>(())
    });
}

fn databases(site: &Site<'_>, server: &Server, images: &Images, registries: &RegistryConfig) {
    let images = Arc::new(LocalImages::new(images.clone(), registries.clone()));
    let (client, shutdown) = (server.client(Identity::admin()), site.shutdown.clone());
    // The name of the store's Service does not lead there from the machine itself.
    let store = format!("http://{}:{}", Ipv4Addr::LOCALHOST, site.settings.s3_port);
    site.run("the databases", async move {
        super::databases::run(client, images, store, shutdown).await;
        Ok::<_, std::convert::Infallible>(())
    });
}

async fn node(
    site: &Site<'_>,
    server: &Server,
    network: Network,
    images: &Images,
    runtime: &Runtime,
    registries: &RegistryConfig,
) -> Result<Node> {
    let gateway = network.gateway_ip();
    let config = sealos_node::Config {
        name: NODE.to_owned(),
        data_dir: site.layout.root().to_owned(),
        client: server.client(Identity::node(NODE)),
        runtime: runtime.clone(),
        network,
        images: images.clone(),
        cluster_domain: CLUSTER_DOMAIN.to_owned(),
        dns_ip: gateway,
        registries: registries.clone(),
        system_reserved: Reserved::default(),
        max_pods: 250,
    };
    Node::start(config, site.shutdown.clone()).await.context("start the node")
}

fn status(site: &Site<'_>, api_port: u16, listeners: &Listeners) -> Result<CloudStatus> {
    let domain = &site.settings.domain;
    let (http, https) = (port_of(&listeners.http)?, port_of(&listeners.https)?);
    let http_url =
        |host: &str| if http == 80 { format!("http://{host}") } else { format!("http://{host}:{http}") };
    let https_url =
        if https == 443 { format!("https://{domain}") } else { format!("https://{domain}:{https}") };
    Ok(CloudStatus {
        api: format!("https://127.0.0.1:{api_port}"),
        console: http_url(&format!("console.{domain}")),
        http: http_url(domain),
        https: https_url,
        s3: format!("http://{domain}:{}", port_of(&listeners.s3)?),
        domain: domain.clone(),
        kubeconfig: site.layout.kubeconfig(),
        ready: true,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        data_dir: site.layout.root().to_owned(),
    })
}

/// The gateway with its routes, and the console behind it.
async fn entrances(
    site: &Site<'_>,
    server: &Server,
    admin: &kube::Client,
    http: TcpListener,
    https: TcpListener,
    status: &CloudStatus,
) -> Result<Console> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen for the console")?;
    let behind = listener.local_addr().context("listen for the console")?;
    let tokens = admin.clone();
    let console = Console::new(sealos_console::Config {
        client: server.open_client(),
        public_url: status.console.clone(),
        domain: status.domain.clone(),
        token_source: Arc::new(move || {
            let client = tokens.clone();
            Box::pin(async move { token::admin_token(&client).await })
        }),
    });
    let gateway = Gateway::new(sealos_gateway::Config {
        authority_dir: Some(site.layout.at("pki/gateway")),
        https_port: port_of(&https)?,
        ..sealos_gateway::Config::default()
    });
    let gateway = gateway.context("start the gateway")?;
    let ingress = sealos_ingress::Config {
        domain: status.domain.clone(),
        http_port: port_of(&http)?,
        https_port: port_of(&https)?,
        static_routes: [
            vec![(format!("console.{}", status.domain), behind)],
            object_storage::routes(site.settings),
        ]
        .concat(),
    };
    let stop = site.shutdown;
    site.run("the console", console.clone().serve(listener, stop.clone()));
    let (plain, secure) = (gateway.clone(), gateway.clone());
    let (plain_stop, secure_stop) = (stop.clone(), stop.clone());
    site.run("the HTTP port", async move { plain.serve_http(http, plain_stop).await });
    site.run("the HTTPS port", async move { secure.serve_https(https, secure_stop).await });
    let routes = server.client(Identity::admin());
    site.run("the routes", sealos_ingress::run(routes, gateway, ingress, stop.clone()));
    Ok(console)
}

/// Waits until the node takes pods.
async fn node_ready(client: &kube::Client) -> Result<()> {
    let nodes: kube::Api<NodeObject> = kube::Api::all(client.clone());
    let ready = |node: Option<&NodeObject>| {
        let conditions = node.and_then(|n| n.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    let waiting = kube::runtime::wait::await_condition(nodes, NODE, ready);
    let done = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    done.context("the node did not become ready within 30 s")?.context("wait for the node").map(drop)
}
