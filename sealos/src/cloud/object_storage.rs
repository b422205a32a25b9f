//! The cloud's object storage: the store in the data directory, its ports and names, and the controller
//! of users and buckets.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sealos_buckets::{Endpoints, Engine, internal_host};
use sealos_s3::{Config, S3};
use tokio::net::TcpListener;

use super::settings::Settings;
use super::start::{CLUSTER_DOMAIN, Site};

/// Memory for the store's index.
const CACHE: usize = 32 << 20;

/// The host of the store below the cloud's domain.
fn host(settings: &Settings) -> String {
    format!("s3.{}", settings.domain)
}

/// Opens the store.
pub(super) async fn open(site: &Site<'_>) -> Result<S3> {
    let mut config = Config::at(site.layout.at("objects"));
    config.store.cache_bytes = CACHE;
    config.domains = vec![host(site.settings), internal_host(CLUSTER_DOMAIN)];
    S3::open(config).await.context("open the object storage")
}

/// Serves the store, leads pods to it, and follows the objects. Returns once buckets can be asked for.
/// `gateway` is the URL of the HTTP port.
pub(super) async fn start(
    site: &Site<'_>,
    client: kube::Client,
    service: S3,
    listener: TcpListener,
    gateway: &str,
) -> Result<()> {
    let port = listener.local_addr().context("listen for S3")?.port();
    let stop = site.shutdown.clone();
    let serving = service.clone();
    site.run("the S3 port", async move {
        tokio::join!(serving.clone().serve(listener, stop.clone()), serving.clone().background(stop));
        serving.close().await;
        Ok::<_, Infallible>(())
    });
    // Pods reach the machine at the first address of their network.
    let address = SocketAddr::new(site.settings.pod_cidr.nth(1).into(), port);
    let defined = async { sealos_buckets::install(&client).await.context("define buckets") };
    let exposed =
        async { sealos_buckets::expose(&client, address).await.context("lead pods to the object storage") };
    tokio::try_join!(defined, exposed)?;
    let endpoints = Endpoints {
        internal: format!("http://{}", internal_host(CLUSTER_DOMAIN)),
        external: gateway.replacen("://", "://s3.", 1),
    };
    let backend = Arc::new(Engine::new(service));
    site.run("the buckets", sealos_buckets::run(client, backend, endpoints, site.shutdown.clone()));
    Ok(())
}

/// The hosts of the gateway that lead to the store: path style, a bucket as a host, a bucket's website.
pub(super) fn routes(settings: &Settings) -> Vec<(String, SocketAddr)> {
    let (host, address) = (host(settings), SocketAddr::new(Ipv4Addr::LOCALHOST.into(), settings.s3_port));
    [host.clone(), format!("*.{host}"), format!("*.web.{host}")].map(|name| (name, address)).into()
}
