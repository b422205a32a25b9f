//! `sealos db backup|backups|restore|drill|schedule`. Words only; what they do is in `sealos-db-backup`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use sealos_db_backup::{BackupStatus, Backups, NewBackup, Phase, RestoreRequest};

use super::progress::Display;
use crate::cli::{Global, Output};
use crate::locate::{Found, find};
use crate::output::{self, Format};

/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Make a backup of a database
    Backup(Backup),
    /// List backups, also of deleted databases; or delete some
    Backups(List),
    /// Make a new database from a backup, or as another was at some moment
    Restore(Restore),
    /// Restore the newest backup into a throw-away database and check it
    Drill(Drill),
    /// Show or set when backups are made
    Schedule(Schedule),
}

/// `sealos db backup`
#[derive(Debug, Clone, Args)]
pub(crate) struct Backup {
    /// The database
    name: String,
    /// A remark, at most 31 bytes
    #[arg(long, default_value = "", hide_default_value = true)]
    remark: String,
    /// How long to keep it, as in 7d [default: until it is deleted]
    #[arg(long, value_name = "PERIOD")]
    keep: Option<String>,
    /// Delete the database once the backup is whole; `sealos db restore NAME --from BACKUP` brings it back
    #[arg(long, conflicts_with_all = ["no_wait", "keep"])]
    then_delete: bool,
    /// Return at once instead of waiting
    #[arg(long)]
    no_wait: bool,
}

/// `sealos db backups`
#[derive(Debug, Clone, Args)]
pub(crate) struct List {
    /// Only those of this database
    name: Option<String>,
    /// Delete this backup with its data; may be repeated
    #[arg(long, value_name = "BACKUP", conflicts_with = "name")]
    delete: Vec<String>,
    /// The form of the output.
    #[command(flatten)]
    output: Output,
}

/// `sealos db restore`
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Restore {
    /// The name of the new database
    name: String,
    /// The backup
    #[arg(long, value_name = "BACKUP", group = "source")]
    from: Option<String>,
    /// The database whose newest suitable backup is taken
    #[arg(long, value_name = "NAME", group = "source")]
    of: Option<String>,
    /// The moment, as in 2026-11-24T16:00:00Z, or `latest` [default: the backup's own]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Return at once instead of waiting
    #[arg(long)]
    no_wait: bool,
}

/// `sealos db drill`
#[derive(Debug, Clone, Args)]
pub(crate) struct Drill {
    /// The database
    name: String,
    /// Return at once instead of waiting
    #[arg(long)]
    no_wait: bool,
    /// The form of the output.
    #[command(flatten)]
    output: Output,
}

/// `sealos db schedule`
#[derive(Debug, Clone, Args)]
pub(crate) struct Schedule {
    /// The database
    name: String,
    /// When, by five fields of cron, as in "30 2 * * *"
    #[arg(long, value_name = "CRON")]
    cron: Option<String>,
    /// The zone of the times, as in Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How long backups are kept, as in 7d
    #[arg(long, value_name = "PERIOD")]
    keep: Option<String>,
    /// The BackupRepo; an empty one is the workspace's own bucket
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
    /// Whether the log is archived, so that any moment can be restored
    #[arg(long, value_name = "BOOL")]
    logs: Option<bool>,
    /// Whether the platform drills by itself
    #[arg(long, value_name = "BOOL")]
    drills: Option<bool>,
    /// Make no more backups by schedule
    #[arg(long, conflicts_with = "cron")]
    off: bool,
    /// The form of the output.
    #[command(flatten)]
    output: Output,
}

/// Does what the command line asks.
pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    let found = find(global).await?;
    let backups = Backups::new(found.client().await?, &found.workspace);
    match command {
        Command::Backup(args) => backup(&backups, args).await,
        Command::Backups(args) => list(&backups, &found, args).await,
        Command::Restore(args) => restore(&backups, args).await,
        Command::Drill(args) => drill(&backups, args).await,
        Command::Schedule(args) => schedule(&backups, args).await,
    }
}

async fn backup(backups: &Backups, args: Backup) -> Result<()> {
    let mut display = Display::new();
    if args.then_delete {
        display.state(&format!("making a last backup of {}", args.name));
        let name = backups.delete_keeping_backup(&args.name).await?;
        display.clear();
        output::line(&name);
        output::line_err(&format!(
            "{} is deleted; `sealos db restore {} --from {name}` brings it back",
            args.name, args.name
        ));
        return Ok(());
    }
    let wanted = NewBackup { remark: args.remark, retention: args.keep, ..NewBackup::default() };
    let name = backups.create(&args.name, wanted).await?;
    if !args.no_wait {
        display.state(&format!("backing {} up as {name}", args.name));
        let done = backups.wait(&name).await?;
        display.clear();
        if done.phase != Phase::Completed {
            bail!("backup `{name}` failed: {}", done.message);
        }
        output::line_err(&format!("{} in the bucket", output::size(done.size.unwrap_or(0))));
    }
    output::line(&name);
    Ok(())
}

async fn list(backups: &Backups, found: &Found, args: List) -> Result<()> {
    if !args.delete.is_empty() {
        for name in &args.delete {
            backups.delete(name).await?;
            output::line_err(&format!("backup {name} is being deleted"));
        }
        return Ok(());
    }
    let all = backups.list(args.name.as_deref()).await?;
    if args.output.output != Format::Text {
        return output::value(args.output.output, &all);
    }
    if all.is_empty() {
        output::line_err(&format!(
            "no backups in workspace `{}` yet; make one with `sealos db backup NAME`",
            found.workspace
        ));
        return Ok(());
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(&["NAME", "DATABASE", "STATUS", "SIZE", "AGE", "DRILL", "REMARK"], &rows);
    if let Some(name) = &args.name {
        let windows = backups.windows(name).await?;
        for window in windows.older.iter().chain(&windows.current) {
            let ended = window.ended.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            output::line_err(&format!(
                "any moment from {} to {} can be restored{ended}",
                window.from, window.to
            ));
        }
        if !windows.message.is_empty() {
            output::line_err(&windows.message);
        }
    }
    Ok(())
}

fn row(backup: &BackupStatus) -> Vec<String> {
    let drill = backup.drill.as_ref().map(|d| match d.phase.as_str() {
        "Running" => "running".to_owned(),
        phase => format!("{} in {} s", phase.to_lowercase(), d.seconds),
    });
    let gone = if backup.cluster_exists { "" } else { " (deleted)" };
    vec![
        backup.name.clone(),
        format!("{}{gone}", backup.cluster),
        format!("{:?}", backup.phase).to_lowercase(),
        backup.size.map(output::size).unwrap_or_default(),
        output::age(backup.created_at.as_deref()),
        drill.unwrap_or_else(|| "-".into()),
        if backup.message.is_empty() { backup.remark.clone() } else { backup.message.clone() },
    ]
}

async fn restore(backups: &Backups, args: Restore) -> Result<()> {
    let request =
        RestoreRequest { target: args.name.clone(), backup: args.from, cluster: args.of, time: args.at };
    backups.restore(&request).await?;
    if args.no_wait {
        output::line_err(&format!("{} is being restored", args.name));
        return Ok(());
    }
    let mut display = Display::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(status) = backups.restore_status(&args.name).await? else { continue };
        match status.phase {
            Phase::Completed => {
                display.clear();
                output::line_err(&format!("{} is {}", args.name, status.message));
                return Ok(());
            }
            Phase::Failed => bail!("the restore of `{}` was refused: {}", args.name, status.message),
            _ => display.state(&status.message),
        }
    }
}

async fn drill(backups: &Backups, args: Drill) -> Result<()> {
    let before = backups.last_drill(&args.name).await?;
    backups.drill(&args.name).await?;
    if args.no_wait {
        output::line_err(&format!("a drill of {} was asked for", args.name));
        return Ok(());
    }
    let mut display = Display::new();
    display.state(&format!("restoring the newest backup of {} and checking it", args.name));
    let found = loop {
        tokio::time::sleep(LOOK).await;
        let last = backups.last_drill(&args.name).await?;
        if last != before
            && let Some(drill) = last
        {
            break drill;
        }
    };
    display.clear();
    let passed = found.phase == "Passed";
    match args.output.output {
        Format::Text if passed => {
            let (tables, rows) = (found.tables.unwrap_or(0), found.rows.unwrap_or(0));
            output::line(&format!(
                "backup {} passed in {} s: {tables} tables, {rows} rows",
                found.backup, found.seconds
            ));
        }
        Format::Text => {}
        format => output::value(format, &found)?,
    }
    if !passed {
        bail!("backup `{}` did not pass the drill: {}", found.backup, found.message);
    }
    Ok(())
}

async fn schedule(backups: &Backups, args: Schedule) -> Result<()> {
    let before = backups.schedule(&args.name).await?;
    let mut wanted = before.clone();
    if let Some(cron) = args.cron {
        wanted.cron = cron;
        wanted.enabled = true;
    }
    wanted.enabled &= !args.off;
    wanted.time_zone = args.time_zone.unwrap_or(wanted.time_zone);
    wanted.retention = args.keep.unwrap_or(wanted.retention);
    wanted.repo = args.repo.unwrap_or(wanted.repo);
    wanted.logs = args.logs.unwrap_or(wanted.logs);
    wanted.drills = args.drills.unwrap_or(wanted.drills);
    if wanted != before {
        backups.set_schedule(&args.name, &wanted).await?;
    }
    let now = backups.schedule(&args.name).await?;
    if args.output.output != Format::Text {
        return output::value(args.output.output, &now);
    }
    let yes = |on: bool| if on { "yes" } else { "no" };
    output::line(&format!("enabled    {}", yes(now.enabled)));
    output::line(&format!("cron       {}", now.cron));
    output::line(&format!("time zone  {}", now.time_zone));
    output::line(&format!("next       {}", now.next.as_deref().unwrap_or("-")));
    output::line(&format!(
        "kept       {}",
        if now.retention.is_empty() { "until deleted" } else { &now.retention }
    ));
    output::line(&format!("log        {}", yes(now.logs)));
    output::line(&format!("drills     {}", yes(now.drills)));
    Ok(())
}
