//! `sealos up`: the daemon, in the foreground.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sealos_oci::RegistryConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::admin;
use super::listen::{Wish, bind, port_of};
use super::lock::Lock;
use super::machine;
use super::settings::Settings;
use super::start::{Cloud, Listeners, start};
use crate::cli::{Global, Up, deploy_of};
use crate::locate::{Layout, find, layout};
use crate::output;

/// How long tasks may take to end once a stop was asked for.
const GOODBYE: Duration = Duration::from_secs(5);

/// `sealos up`
pub(crate) async fn up(global: &Global, args: &Up) -> Result<()> {
    let begun = Instant::now();
    log();
    let place = layout(global);
    machine::check(place.root(), place.settings().exists())?;
    // The directory is there now, so its path can be resolved.
    let layout = layout(global);
    let _lock = Lock::take(&layout)?;
    let (settings, listeners) = settle(&layout, args).await?;
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let cloud = start(&layout, &settings, registries(args)?, listeners, &shutdown).await?;
    let cloud = admin::serve(&layout, cloud, shutdown.clone()).await?;
    banner(&cloud, begun.elapsed());
    if let Some(source) = &args.deploy {
        tokio::select! {
            () = deploy(global, source) => {}
            () = shutdown.cancelled() => {}
        }
    }
    shutdown.cancelled().await;
    output::line_err(
        "the cloud stops; apps run on (`sealos up` takes them over again, `sealos down` ends them)",
    );
    drop(tokio::time::timeout(GOODBYE, cloud.tasks.wait()).await);
    Ok(())
}

fn log() {
    // The protocol library reports every refused request of a client as an error.
    let filter = EnvFilter::try_from_env("SEALOS_LOG").unwrap_or_else(|_| EnvFilter::new("warn,s3s=off"));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process would be refused; there is none.
    drop(format.with_ansi(output::is_watched()).try_init());
}

/// The settings of this start, with its ports bound and written down.
async fn settle(layout: &Layout, args: &Up) -> Result<(Settings, Listeners)> {
    let before = Settings::read(layout)?;
    let mut settings = match before.clone() {
        Some(settings) => settings,
        None => Settings::choose(layout).await?,
    };
    if let Some(domain) = &args.domain {
        settings.domain = domain.trim_matches('.').to_ascii_lowercase();
    }
    let wish = |flag, asked, before, usual| bind(&Wish { flag, asked, before, usual });
    let api = wish("--api-port", args.api_port, settings.api_port, (6443, 6444))?;
    let http = wish("--http-port", args.http_port, settings.http_port, (80, 8080))?;
    let https = wish("--https-port", args.https_port, settings.https_port, (443, 8443))?;
    let s3 = wish("--s3-port", args.s3_port, settings.s3_port, (9000, 9001))?;
    settings.api_port = port_of(&api)?;
    settings.http_port = port_of(&http)?;
    settings.https_port = port_of(&https)?;
    settings.s3_port = port_of(&s3)?;
    if before.as_ref() != Some(&settings) {
        settings.write(layout)?;
    }
    Ok((settings, Listeners { api, http, https, s3 }))
}

fn registries(args: &Up) -> Result<RegistryConfig> {
    let mut config =
        RegistryConfig { insecure_registries: args.insecure_registry.clone(), ..RegistryConfig::default() };
    for (registry, mirror) in crate::sources::pairs(&args.mirror)? {
        config.mirrors.entry(registry).or_default().push(mirror);
    }
    Ok(config)
}

fn stop_on_signals(shutdown: CancellationToken) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

fn banner(cloud: &Cloud, took: Duration) {
    let status = &cloud.status;
    let lines = [
        format!("Sealos is up after {:.2} s.", took.as_secs_f32()),
        String::new(),
        format!("  console     {}", cloud.console.login_link()),
        format!("  apps        {}  {}", status.http, status.https),
        format!("  s3          {}", status.s3),
        format!("  kubernetes  export KUBECONFIG={}", status.kubeconfig.display()),
        String::new(),
        "Ctrl-C stops the cloud and leaves apps running; `sealos down` stops apps too.".to_owned(),
    ];
    lines.iter().for_each(|line| output::line_err(line));
}

/// Deploys as `sealos deploy` would. A failure is said and leaves the cloud up.
async fn deploy(global: &Global, source: &str) {
    let done = async {
        let args = deploy_of(source)?;
        crate::commands::deploy_source(&find(global).await?, &args).await
    };
    match done.await {
        Ok(urls) => urls.iter().for_each(|url| output::line(url)),
        Err(error) => drop(crate::failure::report(&error)),
    }
}
