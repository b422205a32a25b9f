//! `sealos down`: everything of a cloud goes from the machine, except its data.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::Method;
use nix::mount::{MntFlags, umount2};
use sealos_network::Network;

use super::lock::Lock;
use super::settings::Settings;
use super::start::runtime;
use crate::cli::{Down, Global};
use crate::commands::apps::confirm;
use crate::locate::{Layout, layout};
use crate::output;
use crate::socket::Socket;

/// `sealos down`
pub(crate) async fn down(global: &Global, args: &Down) -> Result<()> {
    super::machine::check_root("`sealos down` removes containers and networks")?;
    let layout = layout(global);
    let settings = settings(&layout).await?;
    if args.purge && !args.yes {
        confirm(&format!("Stop every app and remove all data in {}?", layout.root().display()))?;
    }
    stop_daemon(&layout).await?;
    let _lock =
        Lock::take_within(&layout, Duration::from_secs(30)).await.context("wait for the cloud to stop")?;
    clean(&layout, &settings).await?;
    output::line_err("every app is stopped and the machine is clean");
    if args.purge {
        purge(&layout)?;
    } else {
        output::line_err(&format!(
            "the data stays in {}; `sealos up` brings everything back",
            layout.root().display()
        ));
    }
    Ok(())
}

/// What was chosen at the first start. Without it (lost, or damaged), the names on the host follow from
/// the path of the data directory, which is all that cleaning needs.
async fn settings(layout: &Layout) -> Result<Settings> {
    match Settings::read(layout) {
        Ok(Some(settings)) => return Ok(settings),
        Ok(None) if !layout.containers().exists() => {
            anyhow::bail!("there is no cloud in {}; name another with --data-dir", layout.root().display())
        }
        Ok(None) => {}
        Err(error) => output::line_err(&format!("{error:#}; cleaning goes on without it")),
    }
    Settings::choose(layout).await
}

/// Asks a running daemon to stop its pods and end. One that is gone already is fine.
async fn stop_daemon(layout: &Layout) -> Result<()> {
    let socket = Socket::new(layout.socket());
    if socket.status().await.is_err() {
        return Ok(());
    }
    output::line_err("stopping apps");
    let stopped: Result<serde_json::Value> = socket.json(Method::POST, "/stop", &()).await;
    stopped.context("stop the apps").map(drop)
}

/// Removes what containers and networks left on the machine.
async fn clean(layout: &Layout, settings: &Settings) -> Result<()> {
    let runtime = runtime(layout, settings)?;
    runtime.destroy_all().await.context("remove the containers")?;
    let config = sealos_network::Config {
        id: settings.id.clone(),
        bridge: settings.bridge(),
        netns_dir: layout.netns(),
        pod_cidr: settings.pod_cidr,
        service_cidr: settings.service_cidr,
    };
    Network::remove(config).await.context("remove the network")?;
    unmount(layout)
}

/// Unmounts what pods had mounted, the innermost first (mount points are field 5, proc(5)).
fn unmount(layout: &Layout) -> Result<()> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").context("read the table of mounts")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut ours: Vec<_> = points.map(Path::new).filter(|p| p.starts_with(layout.root())).collect();
    ours.reverse();
    for point in ours {
        umount2(point, MntFlags::MNT_DETACH).with_context(|| format!("unmount {}", point.display()))?;
    }
    Ok(())
}

/// Removes the data directory with everything in it.
fn purge(layout: &Layout) -> Result<()> {
    let root = layout.root();
    std::fs::remove_dir_all(root).with_context(|| format!("remove {}", root.display()))?;
    output::line_err(&format!("{} is removed", root.display()));
    Ok(())
}
