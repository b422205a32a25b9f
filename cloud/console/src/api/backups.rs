//! Backups of a database: making, restoring, proving them. All of it is `sealos-db-backup`'s doing.

use axum::extract::Path;
use http::StatusCode;
use sealos_db_backup::kinds::Drill;
use sealos_db_backup::{BackupStatus, Error, NewBackup, Phase, RestoreRequest, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::databases::{self, Plan};
use crate::api::{Json, Name, Workspace};
use crate::failure::Failure;

type Reply<T> = Result<axum::Json<T>, Failure>;

#[derive(Serialize)]
pub(crate) struct Backups {
    schedule: Plan,
    window: Option<Window>,
    drill: Option<Proof>,
    backups: Vec<Entry>,
}

#[derive(Serialize)]
struct Window {
    from: String,
    to: String,
}

/// What a drill found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    ok: bool,
    at: String,
    took_seconds: Option<u64>,
    detail: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    phase: &'static str,
    method: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    size_bytes: Option<u64>,
    expires_at: Option<String>,
    message: String,
    drill: Option<Proof>,
}

pub(crate) async fn list(workspace: Workspace, Name(name): Name) -> Reply<Backups> {
    let backups = workspace.backups();
    let (all, schedule, windows, drill) = tokio::try_join!(
        backups.list(Some(&name)),
        backups.schedule(&name),
        backups.windows(&name),
        backups.last_drill(&name),
    )?;
    Ok(axum::Json(Backups {
        schedule: plan(&schedule),
        window: windows.current.map(|window| Window { from: window.from, to: window.to }),
        drill: drill.and_then(proof),
        backups: all.into_iter().map(entry).collect(),
    }))
}

fn plan(schedule: &Schedule) -> Plan {
    Plan {
        enabled: schedule.enabled,
        cron: if schedule.cron.is_empty() { "0 3 * * *".into() } else { schedule.cron.clone() },
        time_zone: if schedule.time_zone.is_empty() { "UTC".into() } else { schedule.time_zone.clone() },
        keep_days: days(&schedule.retention).unwrap_or(7),
    }
}

/// `7d` or `36h` in whole days, at least one.
fn days(text: &str) -> Option<u32> {
    let number = |unit: char| text.strip_suffix(unit)?.parse::<u32>().ok();
    number('d').or_else(|| number('h').map(|hours| hours.div_ceil(24)))
}

/// A drill that is over.
fn proof(drill: Drill) -> Option<Proof> {
    let ok = match drill.phase.as_str() {
        "Passed" => true,
        "Failed" => false,
        _ => return None,
    };
    let count = |number: u64, what: &str| format!("{number} {what}");
    let read = [drill.tables.map(|n| count(n, "tables")), drill.rows.map(|n| count(n, "rows"))];
    let read: Vec<_> = read.into_iter().flatten().collect();
    let detail = if ok && !read.is_empty() { format!("{} read", read.join(" with ")) } else { drill.message };
    let at = drill.finished_at.unwrap_or(drill.started_at);
    Some(Proof { ok, at, took_seconds: Some(drill.seconds), detail })
}

fn entry(backup: BackupStatus) -> Entry {
    let phase = match backup.phase {
        Phase::Waiting | Phase::Running => "running",
        Phase::Completed => "done",
        Phase::Failed => "failed",
        Phase::Deleting => "deleting",
    };
    Entry {
        phase,
        name: backup.name,
        method: backup.method,
        started_at: backup.created_at,
        finished_at: backup.completed_at,
        size_bytes: backup.size,
        expires_at: backup.expires_at,
        message: backup.message,
        drill: backup.drill.and_then(proof),
    }
}

pub(crate) async fn create(workspace: Workspace, Name(name): Name) -> Result<StatusCode, Failure> {
    workspace.backups().create(&name, NewBackup::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(crate) struct BackupPath {
    name: String,
    backup: String,
}

/// Deletes a backup of that database, and of no other.
pub(crate) async fn delete(
    workspace: Workspace,
    Path(path): Path<BackupPath>,
) -> Result<StatusCode, Failure> {
    let backups = workspace.backups();
    let found = backups.get(&path.backup).await?;
    if found.cluster != path.name {
        let what = format!("database `{}` has no backup `{}`", path.name, path.backup);
        return Err(Failure::not_found(what));
    }
    backups.delete(&path.backup).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn drill(workspace: Workspace, Name(name): Name) -> Result<StatusCode, Failure> {
    workspace.backups().drill(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    to: String,
    backup: Option<String>,
    time: Option<String>,
}

/// Restores beside: the database itself goes on as it is.
pub(crate) async fn restore(
    workspace: Workspace,
    Name(name): Name,
    Json(wanted): Json<Restore>,
) -> Reply<Value> {
    let cluster = wanted.backup.is_none().then_some(name);
    let request =
        RestoreRequest { target: wanted.to.clone(), backup: wanted.backup, cluster, time: wanted.time };
    workspace.backups().restore(&request).await?;
    databases::get(workspace, Name(wanted.to)).await
}

pub(crate) async fn set_schedule(
    workspace: Workspace,
    Name(name): Name,
    Json(plan): Json<Plan>,
) -> Result<StatusCode, Failure> {
    let backups = workspace.backups();
    let now = backups.schedule(&name).await?;
    let wanted = Schedule {
        enabled: plan.enabled,
        cron: plan.cron,
        time_zone: plan.time_zone,
        retention: format!("{}d", plan.keep_days),
        logs: true,
        ..now
    };
    backups.set_schedule(&name, &wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The API's answer is in the text already; of other causes only the chain tells.
        let message = if matches!(error, Error::Api { .. }) { error.to_string() } else { error.sentence() };
        match error {
            Error::NotFound { .. } => Self::not_found(message),
            Error::Refused(_) | Error::Repository(_) => Self::new(StatusCode::CONFLICT, "Conflict", message),
            Error::Apply(sealos_kit::apply::Error::Refused { source, .. }) | Error::Api { source, .. } => {
                Self::refused(message, &source)
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, "Failed", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use sealos_db_backup::kinds::Drill;

    use super::{days, proof};

    #[test]
    fn reads_how_long_backups_are_kept() {
        assert_eq!((days("7d"), days("36h"), days("")), (Some(7), Some(2), None));
    }

    #[test]
    fn a_drill_counts_once_it_is_over() {
        let drill = |phase: &str| Drill {
            phase: phase.into(),
            seconds: 14,
            tables: Some(3),
            rows: Some(120),
            ..Drill::default()
        };
        assert!(proof(drill("Running")).is_none());
        let passed = proof(drill("Passed")).expect("it is over");
        assert_eq!((passed.ok, passed.detail.as_str()), (true, "3 tables with 120 rows read"));
        assert!(!proof(drill("Failed")).expect("it is over").ok);
    }
}
