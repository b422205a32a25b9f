//! Commands that act on apps as wholes.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Context as _, Result, bail};
use sealos_apps::{AppStatus, Phase};

use crate::cli::{Delete, Global, Scale};
use crate::locate::{Found, find};
use crate::output::{self, Format};

/// `sealos apps`
pub(crate) async fn list(global: &Global, format: Format) -> Result<()> {
    let found = find(global).await?;
    let apps = found.apps().await?.list().await?;
    if format != Format::Text {
        return output::value(format, &apps);
    }
    if apps.is_empty() {
        found.check_workspace().await?;
        output::line_err("no apps yet; deploy one with `sealos deploy IMAGE|DIR`");
        return Ok(());
    }
    let rows: Vec<_> = apps.iter().map(|app| row(&found, app)).collect();
    output::table(&["NAME", "STATUS", "READY", "IMAGE", "AGE", "URL"], &rows);
    Ok(())
}

fn row(found: &Found, app: &AppStatus) -> Vec<String> {
    vec![
        app.name.clone(),
        phase(app.phase).to_owned(),
        format!("{}/{}", app.replicas.ready, app.replicas.desired),
        app.image.clone(),
        output::age(app.created_at.as_deref()),
        app.addresses
            .first()
            .map(|a| found.url(&a.host))
            .or_else(|| app.node_ports.first().map(|port| found.port_url(port)))
            .unwrap_or_default(),
    ]
}

/// A phase as a word.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Creating => "creating",
        Phase::Running => "running",
        Phase::Waiting => "waiting",
        Phase::Error => "error",
        Phase::Stopped => "stopped",
        Phase::Deleting => "deleting",
    }
}

/// `sealos scale`
pub(crate) async fn scale(global: &Global, args: &Scale) -> Result<()> {
    let apps = find(global).await?.apps().await?;
    apps.scale(&args.name, args.replicas).await?;
    output::line_err(&format!("{} is being scaled to {}", args.name, args.replicas));
    Ok(())
}

/// `sealos stop`
pub(crate) async fn stop(global: &Global, names: &[String]) -> Result<()> {
    let apps = find(global).await?.apps().await?;
    for name in names {
        apps.stop(name).await?;
        output::line_err(&format!("{name} is stopped"));
    }
    Ok(())
}

/// `sealos start`
pub(crate) async fn start(global: &Global, names: &[String]) -> Result<()> {
    let apps = find(global).await?.apps().await?;
    for name in names {
        apps.start(name).await?;
        output::line_err(&format!("{name} is starting"));
    }
    Ok(())
}

/// `sealos restart`
pub(crate) async fn restart(global: &Global, names: &[String]) -> Result<()> {
    let apps = find(global).await?.apps().await?;
    for name in names {
        apps.restart(name).await?;
        output::line_err(&format!("{name} is restarting"));
    }
    Ok(())
}

/// `sealos delete`
pub(crate) async fn delete(global: &Global, args: &Delete) -> Result<()> {
    let apps = find(global).await?.apps().await?;
    for name in &args.names {
        let app = apps.get(name).await?;
        if app.kind == "StatefulSet" && !args.yes {
            confirm(&format!("Delete {name} and all the data in its storage?"))?;
        }
        apps.delete(name).await?;
        output::line_err(&format!("{name} is deleted"));
    }
    Ok(())
}

/// Asks a person; without one, refuses.
pub(crate) fn confirm(question: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("{question} Nobody is there to answer; say --yes");
    }
    output::line_err(&format!("{question} [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!("nothing was done") }
}
