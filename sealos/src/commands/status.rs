//! Commands that tell where things are.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use hyper::Method;
use sealos_apps::AppStatus;
use serde::Deserialize;

use crate::cli::{Global, Kubeconfig, Open, Status};
use crate::locate::{Found, find, layout};
use crate::output::{self, Format};

/// `sealos status`; the exit code says whether the cloud is ready.
pub(crate) async fn status(global: &Global, args: &Status) -> Result<ExitCode> {
    let found = find(global).await?;
    if let Some(name) = &args.name {
        let app = found.apps().await?.get(name).await?;
        match args.output.output {
            Format::Text => show_app(&found, &app),
            format => output::value(format, &app)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    match args.output.output {
        Format::Text => show_cloud(&found).await?,
        format => output::value(format, &found.status)?,
    }
    Ok(if found.status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show_cloud(found: &Found) -> Result<()> {
    let status = &found.status;
    let state = if status.ready { "ready" } else { "starting" };
    output::line(&format!("cloud       {state}, version {}, process {}", status.version, status.pid));
    output::line(&format!("console     {}", status.console));
    output::line(&format!("api         {}", status.api));
    output::line(&format!(
        "gateway     {} and {}, apps are below {}",
        status.http, status.https, status.domain
    ));
    output::line(&format!("s3          {}", status.s3));
    output::line(&format!("kubeconfig  {}", status.kubeconfig.display()));
    output::line(&format!("data        {}", status.data_dir.display()));
    let apps = found.apps().await?.list().await?;
    let ready = apps.iter().filter(|a| a.phase == sealos_apps::Phase::Running).count();
    output::line(&format!("apps up     {ready} of {} in workspace `{}`", apps.len(), found.workspace));
    Ok(())
}

fn show_app(found: &Found, app: &AppStatus) {
    output::line(&format!("app         {}", app.name));
    let why = if app.message.is_empty() { String::new() } else { format!(": {}", app.message) };
    output::line(&format!("status      {}{why}", super::apps::phase(app.phase)));
    output::line(&format!("replicas    {} of {} ready", app.replicas.ready, app.replicas.desired));
    output::line(&format!("image       {}", app.image));
    for address in &app.addresses {
        output::line(&format!("address     {} (port {})", found.url(&address.host), address.port));
    }
    for port in &app.node_ports {
        output::line(&format!("address     {} (port {})", found.port_url(port), port.port));
    }
    let rows: Vec<_> = app
        .pods
        .iter()
        .map(|p| {
            let ip = p.ip.clone().unwrap_or_default();
            vec![
                p.name.clone(),
                p.phase.clone(),
                p.restarts.to_string(),
                ip,
                output::age(p.created_at.as_deref()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::line("");
        output::table(&["POD", "STATUS", "RESTARTS", "ADDRESS", "AGE"], &rows);
    }
}

/// `sealos kubeconfig`
pub(crate) fn kubeconfig(global: &Global, args: &Kubeconfig) -> Result<()> {
    let path = layout(global).kubeconfig();
    if !path.exists() {
        bail!("there is no kubeconfig at {} yet; `sealos up` writes it", path.display());
    }
    if args.raw {
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        return output::bytes(&text).context("print the kubeconfig");
    }
    output::line(&path.display().to_string());
    Ok(())
}

#[derive(Deserialize)]
struct Link {
    link: String,
}

/// A new one-time link to the console.
pub(crate) async fn console_link(found: &Found) -> Result<String> {
    let link: Link = found.socket.json(Method::POST, "/console-link", &()).await?;
    Ok(link.link)
}

/// `sealos console`
pub(crate) async fn console(global: &Global) -> Result<()> {
    output::line(&console_link(&find(global).await?).await?);
    Ok(())
}

/// `sealos open`
pub(crate) async fn open(global: &Global, args: &Open) -> Result<()> {
    let found = find(global).await?;
    let url = match &args.name {
        None => console_link(&found).await?,
        Some(name) => {
            let app = found.apps().await?.get(name).await?;
            let Some(address) = app.addresses.first() else {
                bail!("app `{name}` has no public address; deploy it with --port");
            };
            found.url(&address.host)
        }
    };
    output::line(&url);
    let opened = tokio::process::Command::new("xdg-open")
        .arg(&url)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .await;
    if !opened.is_ok_and(|status| status.success()) {
        output::line_err("no browser could be opened from here; open the address above in yours");
    }
    Ok(())
}
