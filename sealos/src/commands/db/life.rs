//! Creating, changing and deleting databases.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sealos_databases::{Databases, Draft, Keep, Operation, Schedule, Size};
use sealos_kit::quantity::Bytes;

use super::{Create, Delete, Wait};
use crate::cli::Global;
use crate::commands::apps::confirm;
use crate::commands::progress::Display;
use crate::locate::find;
use crate::output;

/// How long commands on several databases wait for each.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a database may take to go.
const GOING: Duration = Duration::from_secs(120);

/// `sealos db create`
pub(super) async fn create(global: &Global, args: Create) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let (name, wait) = (args.name.clone(), args.wait);
    let began = Instant::now();
    databases.create(draft(args)?).await?;
    if wait.no_wait {
        output::line_err(&format!("{name} is being created"));
        return Ok(());
    }
    let mut display = Display::new();
    let ready = databases.wait_ready(&name, Duration::from_secs(wait.timeout), |progress| {
        let said = if progress.message.is_empty() { progress.phase.to_lowercase() } else { progress.message };
        display.state(&format!("{name}: {said}"));
    });
    let ready = ready.await;
    display.clear();
    let database = ready?;
    if let Some(note) = &database.note {
        output::line_err(&format!("note: {note}"));
    }
    output::line_err(&format!("{name} is ready after {:.1} s", began.elapsed().as_secs_f32()));
    output::line(&databases.connection(&name).await?.url);
    Ok(())
}

fn draft(args: Create) -> Result<Draft> {
    let backup = args.backup.map(|cron| Schedule { cron, keep: args.keep, time_zone: args.time_zone });
    Ok(Draft {
        name: args.name,
        engine: args.engine,
        version: args.engine_version,
        replicas: args.replicas,
        cpu: args.cpu,
        memory: args.memory,
        storage: args.storage,
        sync: args.sync,
        backup,
        parameters: pairs(&args.param)?,
    })
}

/// `NAME=VALUE` each.
pub(super) fn pairs(all: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').with_context(|| format!("`{text}` is not NAME=VALUE"))?;
        Ok((name.trim().to_owned(), value.to_owned()))
    };
    all.iter().map(pair).collect()
}

/// `sealos db scale`
pub(super) async fn scale(global: &Global, name: &str, replicas: u32, wait: Wait) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let operation = databases.scale(name, replicas).await?;
    finish(&databases, name, &operation, wait).await
}

/// `sealos db resize`
pub(super) async fn resize(global: &Global, name: &str, size: Size, wait: Wait) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let operation = databases.resize(name, size).await?;
    finish(&databases, name, &operation, wait).await
}

/// `sealos db grow`
pub(super) async fn grow(global: &Global, name: &str, storage: Bytes, wait: Wait) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let operation = databases.grow(name, storage).await?;
    finish(&databases, name, &operation, wait).await
}

/// `sealos db upgrade`
pub(super) async fn upgrade(global: &Global, name: &str, version: &str, wait: Wait) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let operation = databases.upgrade(name, version).await?;
    finish(&databases, name, &operation, wait).await
}

/// `sealos db switchover`
pub(super) async fn switchover(global: &Global, name: &str, to: Option<&str>, wait: Wait) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let operation = databases.switchover(name, to).await?;
    finish(&databases, name, &operation, wait).await
}

/// `sealos db restart`
pub(super) async fn restart(global: &Global, names: &[String]) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    for name in names {
        let operation = databases.restart(name).await?;
        wait_for(&databases, name, &operation, LIMIT).await?;
    }
    Ok(())
}

/// `sealos db stop`
pub(super) async fn stop(global: &Global, names: &[String]) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    for name in names {
        let operation = databases.stop(name).await?;
        wait_for(&databases, name, &operation, LIMIT).await?;
    }
    Ok(())
}

/// `sealos db start`
pub(super) async fn start(global: &Global, names: &[String]) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    for name in names {
        let operation = databases.start(name).await?;
        wait_for(&databases, name, &operation, LIMIT).await?;
    }
    Ok(())
}

/// Waits for an operation if the command should.
pub(super) async fn finish(
    databases: &Databases,
    name: &str,
    operation: &Operation,
    wait: Wait,
) -> Result<()> {
    if wait.no_wait {
        output::line_err(&format!("{name} is being changed ({})", operation.name));
        return Ok(());
    }
    wait_for(databases, name, operation, Duration::from_secs(wait.timeout)).await
}

async fn wait_for(databases: &Databases, name: &str, operation: &Operation, limit: Duration) -> Result<()> {
    let mut display = Display::new();
    let began = Instant::now();
    let done = databases.finish(operation, limit, |said| {
        if !said.is_empty() {
            display.state(&format!("{name}: {said}"));
        }
    });
    let done = done.await;
    display.clear();
    done.with_context(|| format!("change database `{name}`"))?;
    output::line_err(&format!("{name}: done after {:.1} s", began.elapsed().as_secs_f32()));
    Ok(())
}

/// `sealos db delete`
pub(super) async fn delete(global: &Global, args: &Delete) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let keep = match (args.keep_data, args.with_backups) {
        (true, _) => Keep::Data,
        (false, true) => Keep::Nothing,
        (false, false) => Keep::Backups,
    };
    for name in &args.names {
        databases.get(name).await?;
        if !args.yes && keep != Keep::Data {
            confirm(&format!("Delete {name} and all its data?"))?;
        }
        databases.delete(name, keep).await?;
        databases.wait_gone(name, GOING).await?;
        output::line_err(&format!("{name} is deleted"));
    }
    Ok(())
}
