//! What comes before containers: the network, the volumes and the small files of `/etc`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::RwLock;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};

use super::context::{Context, Sandbox, spec};
use crate::backoff::Retry;
use crate::downward::Place;
use crate::names::{self, Surroundings};
use crate::sources::{Change, Kind};
use crate::volumes::content::{Content, Reader};
use crate::volumes::{self, Volumes};

/// The machine's resolvers, past a local stub that pods could not reach.
const RESOLV_CONF: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// Changes of the objects a pod depends on.
pub(crate) struct Watched {
    config_maps: Option<broadcast::Receiver<Change>>,
    secrets: Option<broadcast::Receiver<Change>>,
}

impl Watched {
    /// Subscribes to what the pod's volumes and variables refer to.
    pub(crate) fn of(context: &Context) -> Self {
        let pod = context.pod();
        let contents: Vec<Content> = spec(&pod).volumes.iter().flatten().filter_map(Content::of).collect();
        let referred: Vec<(Kind, String)> =
            super::context::containers(&pod).flat_map(crate::env::references).collect();
        let subscribe = |kind: Kind| {
            let needed = contents.iter().any(|c| c.uses(kind)) || referred.iter().any(|(k, _)| *k == kind);
            needed.then(|| context.shared.sources.subscribe(kind, &context.namespace))
        };
        Self { config_maps: subscribe(Kind::ConfigMap), secrets: subscribe(Kind::Secret) }
    }

    /// The next change; `None` when changes were missed and anything may be different.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        tokio::select! {
            change = listen(&mut self.config_maps) => change,
            change = listen(&mut self.secrets) => change,
        }
    }
}

async fn listen(receiver: &mut Option<broadcast::Receiver<Change>>) -> Option<Change> {
    match receiver {
        Some(changes) => match changes.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => {
                *receiver = None;
                None
            }
        },
        None => std::future::pending().await,
    }
}

/// Makes the sandbox, however long that takes, and keeps its volumes up to date ever after.
pub(crate) async fn maintain(context: &Context) {
    let mut watched = Watched::of(context);
    let (netns, ip) = attach(context).await;
    let pod = context.pod();
    let hostname = names::hostname(&pod, &context.shared.config.cluster_domain);
    let volumes = set_up(context, ip, &mut watched).await;
    let sandbox = Arc::new(Sandbox { netns, ip, hostname, volumes: RwLock::new(volumes) });
    write_files(context, &pod, &sandbox).await;
    context.shared.host_ports.publish(&context.uid, &pod, ip).await;
    context.sandbox.send_replace(Some(Arc::clone(&sandbox)));
    context.state.send_modify(|state| {
        state.prepared = true;
        state.ip = Some(ip);
    });
    keep_fresh(context, &sandbox, &mut watched).await;
}

type Net = (Option<std::path::PathBuf>, std::net::Ipv4Addr);

async fn attach(context: &Context) -> Net {
    if spec(&context.pod()).host_network == Some(true) {
        return (None, context.shared.host.ip);
    }
    let mut retry = Retry::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        match context.shared.config.network.attach(&context.uid).await {
            Ok(net) => return (Some(net.netns), net.ip),
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                context.events.warning("FailedCreatePodSandBox", message);
                sleep_until(retry.next()).await;
            }
        }
    }
}

async fn set_up(context: &Context, ip: std::net::Ipv4Addr, watched: &mut Watched) -> Volumes {
    let dir = context.dir().join("volumes");
    let place = context.shared.place(Some(ip));
    let mut retry = Retry::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut told = String::new();
    loop {
        let pod = context.pod();
        match volumes::set_up(reader(context, &pod, &place), &dir).await {
            Ok(volumes) => return volumes,
            Err(error) => {
                let message = error.to_string();
                // A claim that is about to be bound is no news.
                let news = !matches!(error.source, volumes::Error::Unbound { .. });
                if news && message != told {
                    context.events.warning("FailedMount", message.clone());
                    told = message;
                }
            }
        }
        tokio::select! {
            () = sleep_until(retry.next()) => {}
            _ = watched.next() => {}
        }
    }
}

fn reader<'a>(context: &'a Context, pod: &'a Pod, place: &'a Place) -> Reader<'a> {
    Reader { client: &context.shared.config.client, sources: &context.shared.sources, pod, place }
}

/// Writes `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
async fn write_files(context: &Context, pod: &Pod, sandbox: &Sandbox) {
    let mut retry = Retry::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        match try_write(context, pod, sandbox).await {
            Ok(()) => return,
            Err(error) => {
                context.events.warning("FailedCreatePodSandBox", format!("write the pod's files: {error}"));
                sleep_until(retry.next()).await;
            }
        }
    }
}

async fn try_write(context: &Context, pod: &Pod, sandbox: &Sandbox) -> std::io::Result<()> {
    let config = &context.shared.config;
    let host_hosts = tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_default();
    let around = Surroundings {
        cluster_domain: &config.cluster_domain,
        dns_ip: config.dns_ip,
        hosts: &host_hosts,
        resolv_conf: &host_resolv_conf().await,
    };
    let etc = context.dir().join("etc");
    tokio::fs::create_dir_all(&etc).await?;
    let put = async |name: &str, text: String| write_if_new(&etc.join(name), &text).await;
    put("hosts", names::hosts(pod, &sandbox.hostname, sandbox.ip, around)).await?;
    put("hostname", format!("{}\n", sandbox.hostname.kernel)).await?;
    put("resolv.conf", names::resolv_conf(pod, around)).await
}

/// Running containers hold these files by their inode, so they are written in place, and only if
/// they are not there: a container may have changed its own.
async fn write_if_new(path: &Path, text: &str) -> std::io::Result<()> {
    if tokio::fs::try_exists(path).await? {
        return Ok(());
    }
    tokio::fs::write(path, text).await
}

/// The machine's own `resolv.conf`, or the one behind its local stub.
pub(crate) async fn host_resolv_conf() -> String {
    for path in RESOLV_CONF {
        if let Ok(text) = tokio::fs::read_to_string(path).await {
            return text;
        }
    }
    String::new()
}

/// Rewrites volumes when what they show changes or a token grows old.
async fn keep_fresh(context: &Context, sandbox: &Sandbox, watched: &mut Watched) {
    let mut wish = context.wish.clone();
    wish.mark_unchanged();
    let mut due = sandbox.volumes.read().values().filter_map(|volume| volume.refresh_at).min();
    loop {
        let later = tokio::select! {
            change = watched.next() => {
                let affected = |content: &Content| match &change {
                    Some(change) => content.depends_on(change.kind, &change.name),
                    None => true,
                };
                refresh(context, sandbox, affected).await
            }
            changed = wish.changed() => {
                if changed.is_err() {
                    return;
                }
                refresh(context, sandbox, Content::uses_pod).await
            }
            () = until(due) => {
                due = None;
                refresh(context, sandbox, |_| true).await
            }
        };
        due = due.into_iter().chain(later).min();
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Reads and writes the affected volumes again; returns when the next one grows old. A volume that
/// cannot be read keeps its old files.
async fn refresh(
    context: &Context,
    sandbox: &Sandbox,
    affected: impl Fn(&Content) -> bool,
) -> Option<Instant> {
    let pod = context.pod();
    let place = context.shared.place(Some(sandbox.ip));
    let volumes: Volumes = sandbox.volumes.read().clone();
    let mut due: Option<Instant> = None;
    for (name, volume) in volumes {
        let Some(content) = volume.content.as_ref().filter(|content| affected(content)) else { continue };
        let work = async {
            let read = content.read(reader(context, &pod, &place)).await?;
            volumes::write(&volume.path, read.files, volumes::fs_group(&pod)).await?;
            Ok::<_, volumes::Error>(read.refresh_at)
        };
        match work.await {
            Ok(Some(at)) => due = Some(due.map_or(at, |due| due.min(at))),
            Ok(None) => {}
            Err(error) => tracing::debug!(pod = context.name, volume = name, %error, "refresh volume"),
        }
    }
    due
}
