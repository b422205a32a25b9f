//! What databases there are and how they are.

use std::process::ExitCode;

use anyhow::{Result, bail};
use sealos_databases::{Database, Databases};

use super::{One, Url};
use crate::cli::Global;
use crate::locate::find;
use crate::output::{self, Format};

/// `sealos db ls`
pub(super) async fn list(global: &Global, format: Format) -> Result<()> {
    let all = find(global).await?.databases().await?.list().await?;
    if format != Format::Text {
        return output::value(format, &all);
    }
    if all.is_empty() {
        output::line_err("no databases yet; create one with `sealos db create NAME --engine postgres`");
        return Ok(());
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(&["NAME", "ENGINE", "VERSION", "STATUS", "READY", "STORAGE", "PRIMARY", "AGE"], &rows);
    Ok(())
}

fn row(database: &Database) -> Vec<String> {
    let primary = database.members.iter().find(|m| m.role.as_deref() == Some("primary"));
    vec![
        database.name.clone(),
        database.engine.clone(),
        database.version.clone(),
        database.phase.to_lowercase(),
        format!("{}/{}", database.replicas.ready, database.replicas.desired),
        database.storage.map(|s| s.to_string()).unwrap_or_default(),
        primary.map(|m| m.pod.clone()).unwrap_or_default(),
        output::age(database.created_at.as_deref()),
    ]
}

/// `sealos db status`; the exit code says whether it runs.
pub(super) async fn status(global: &Global, args: &One) -> Result<ExitCode> {
    let database = find(global).await?.databases().await?.get(&args.name).await?;
    if args.output.output == Format::Text {
        show(&database);
    } else {
        output::value(args.output.output, &database)?;
    }
    crate::failure::flush();
    let good = matches!(database.phase.as_str(), "Running" | "Stopped");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(database: &Database) {
    let text = |amount: Option<String>| amount.unwrap_or_else(|| "-".into());
    let dash = if database.message.is_empty() { "" } else { ": " };
    output::line(&format!("name        {}", database.name));
    output::line(&format!("engine      {} {}", database.engine, database.version));
    output::line(&format!("status      {}{dash}{}", database.phase.to_lowercase(), database.message));
    if let Some(note) = &database.note {
        output::line(&format!("note        {note}"));
    }
    output::line(&format!("ready       {}/{}", database.replicas.ready, database.replicas.desired));
    output::line(&format!(
        "size        {} CPU, {} of memory, {} of storage each",
        text(database.cpu.map(|c| c.to_string())),
        text(database.memory.map(|m| m.to_string())),
        text(database.storage.map(|s| s.to_string()))
    ));
    if database.sync {
        output::line("commits     wait for a replica");
    }
    for service in &database.services {
        output::line(&format!("address     {}:{}", service.host, service.port));
    }
    if let Some(port) = database.node_port {
        output::line(&format!("outside     port {port} of this machine"));
    }
    if database.members.is_empty() {
        return;
    }
    let row = |member: &sealos_databases::Member| {
        let lag = member.lag_seconds.map(|s| format!("{s} s"));
        vec![
            member.pod.clone(),
            member.role.clone().unwrap_or_else(|| "-".into()),
            if member.ready { "yes" } else { "no" }.into(),
            member.phase.clone(),
            member.restarts.to_string(),
            lag.unwrap_or_else(|| "-".into()),
            output::age(member.created_at.as_deref()),
        ]
    };
    output::line("");
    let rows: Vec<_> = database.members.iter().map(row).collect();
    output::table(&["POD", "ROLE", "READY", "STATUS", "RESTARTS", "BEHIND", "AGE"], &rows);
}

/// `sealos db engines`
pub(super) fn engines(format: Format) -> Result<()> {
    let all = Databases::engines();
    if format != Format::Text {
        return output::value(format, &all);
    }
    let row = |engine: &sealos_databases::EngineView| {
        vec![
            engine.name.clone(),
            engine.title.clone(),
            engine.versions.join(", "),
            engine.default_version.clone(),
            engine.port.to_string(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(&["NAME", "TITLE", "VERSIONS", "DEFAULT", "PORT"], &rows);
    Ok(())
}

/// `sealos db url`
pub(super) async fn url(global: &Global, args: &Url) -> Result<()> {
    let found = find(global).await?;
    let databases = found.databases().await?;
    let connection = databases.connection(&args.name).await?;
    if args.output.output != Format::Text {
        return output::value(args.output.output, &connection);
    }
    if !args.external {
        output::line(&connection.url);
        return Ok(());
    }
    let Some(port) = connection.node_port.and_then(|port| u16::try_from(port).ok()) else {
        bail!("`{0}` has no address outside of the cloud; open one with `sealos db expose {0}`", args.name);
    };
    let engine = databases.get(&args.name).await?.engine;
    output::line(&connection.url_at(&engine, &found.status.domain, port));
    Ok(())
}
