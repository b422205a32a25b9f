//! Databases: listing, making, and what else people do to them. All of it is `sealos-databases`' doing.

use axum::extract::Query;
use http::StatusCode;
use sealos_databases::{
    Answer, Database, Databases, Draft, EngineView, Error, Exposure, Keep, Schedule, Size,
};
use sealos_db_backup::Backups;
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::api::events::Happening;
use crate::api::{Json, Name, Workspace};
use crate::failure::Failure;
use crate::session::User;
use crate::tracks::Lines;

type Reply<T> = Result<axum::Json<T>, Failure>;

/// How many rows of an answer the page is sent.
const MOST_ROWS: usize = 1_000;

impl Workspace {
    pub(crate) fn databases(&self) -> Databases {
        Databases::new(self.client.clone(), self.name.clone())
    }

    pub(crate) fn backups(&self) -> Backups {
        Backups::new(self.client.clone(), self.name.clone())
    }
}

/// An engine as the create form offers it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EngineChoice {
    name: String,
    title: String,
    language: &'static str,
    /// The default first.
    versions: Vec<String>,
    about: &'static str,
    can_sync: bool,
    point_in_time: bool,
    default_port: u16,
}

pub(crate) async fn engines(_: User) -> axum::Json<Vec<EngineChoice>> {
    axum::Json(Databases::engines().into_iter().map(EngineChoice::from).collect())
}

impl From<EngineView> for EngineChoice {
    fn from(engine: EngineView) -> Self {
        let (language, about, can_sync) = match engine.name.as_str() {
            "postgresql" => ("sql", "Relational, with everything. The right choice when in doubt.", true),
            "mysql" => ("sql", "Relational, and what most web apps expect.", true),
            "mariadb" => ("sql", "Speaks MySQL, with a licence that stays free.", true),
            "redis" => ("commands", "Keys and values in memory: caches, queues, counters.", true),
            _ => ("documents", "Documents without a schema.", true),
        };
        let mut versions = engine.versions;
        versions.sort_by_key(|version| *version != engine.default_version);
        Self {
            language,
            about,
            can_sync,
            versions,
            name: engine.name,
            title: engine.title,
            point_in_time: engine.point_in_time,
            default_port: engine.port,
        }
    }
}

/// A database, in the page's words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    #[serde(flatten)]
    database: Database,
    phase: &'static str,
    external: Option<String>,
}

fn view(workspace: &Workspace, database: Database) -> View {
    // The page knows the phases of apps; these are the same things.
    let phase = match database.phase.as_str() {
        "Running" => "running",
        "Stopped" => "stopped",
        "Failed" | "Abnormal" => "error",
        "Deleting" => "deleting",
        _ => "creating",
    };
    let external = database.node_port.map(|port| format!("{}:{port}", workspace.parts.config.domain));
    View { database, phase, external }
}

async fn shown(workspace: &Workspace, name: &str) -> Reply<Value> {
    let view = view(workspace, workspace.databases().get(name).await?);
    Ok(axum::Json(written(&view)?))
}

/// As JSON; what is written twice counts once, and the page's word wins.
fn written(view: &View) -> Result<Value, Failure> {
    serde_json::to_value(view).map_err(|error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Unwritable", "the database cannot be written")
            .detail(error.to_string())
    })
}

pub(crate) async fn list(workspace: Workspace) -> Reply<Vec<Value>> {
    let all = workspace.databases().list().await?;
    let all: Result<_, _> = all.into_iter().map(|database| written(&view(&workspace, database))).collect();
    Ok(axum::Json(all?))
}

pub(crate) async fn get(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    shown(&workspace, &name).await
}

/// What the form asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    engine: String,
    version: String,
    replicas: u32,
    cpu: Cpu,
    memory: Bytes,
    storage: Bytes,
    sync: bool,
    schedule: Option<Plan>,
}

/// When backups are made, in the page's words.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) enabled: bool,
    pub(crate) cron: String,
    pub(crate) time_zone: String,
    pub(crate) keep_days: u32,
}

pub(crate) async fn create(
    workspace: Workspace,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<Value>), Failure> {
    let name = wanted.name.clone();
    workspace.databases().create(wanted.into()).await?;
    Ok((StatusCode::CREATED, shown(&workspace, &name).await?))
}

impl From<Wanted> for Draft {
    fn from(wanted: Wanted) -> Self {
        let backup = wanted.schedule.filter(|plan| plan.enabled).map(|plan| Schedule {
            cron: plan.cron,
            keep: format!("{}d", plan.keep_days),
            time_zone: Some(plan.time_zone),
        });
        Self {
            name: wanted.name,
            engine: wanted.engine,
            version: Some(wanted.version),
            replicas: Some(wanted.replicas),
            cpu: Some(wanted.cpu),
            memory: Some(wanted.memory),
            storage: Some(wanted.storage),
            sync: wanted.sync,
            backup,
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deletion {
    #[serde(default)]
    keep_backup: bool,
}

pub(crate) async fn delete(
    workspace: Workspace,
    Name(name): Name,
    Query(how): Query<Deletion>,
) -> Result<StatusCode, Failure> {
    if how.keep_backup {
        workspace.backups().delete_keeping_backup(&name).await?;
    } else {
        workspace.databases().delete(&name, Keep::Nothing).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    user: String,
    password: String,
    host: String,
    port: u16,
    database: Option<String>,
    url: String,
    external_url: Option<String>,
    secret: String,
}

pub(crate) async fn connection(workspace: Workspace, Name(name): Name) -> Reply<Connection> {
    let databases = workspace.databases();
    let (found, database) = tokio::join!(databases.connection(&name), databases.get(&name));
    let (found, database) = (found?, database?);
    let port = found.node_port.and_then(|port| u16::try_from(port).ok());
    let external_url = port.map(|port| found.url_at(&database.engine, &workspace.parts.config.domain, port));
    Ok(axum::Json(Connection {
        external_url,
        user: found.user,
        password: found.password,
        host: found.full_host,
        port: found.port,
        database: Some(found.database).filter(|name| !name.is_empty()),
        url: found.url,
        secret: found.secret,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    replicas: u32,
}

pub(crate) async fn scale(workspace: Workspace, Name(name): Name, Json(to): Json<Scale>) -> Reply<Value> {
    workspace.databases().scale(&name, to.replicas).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn resize(workspace: Workspace, Name(name): Name, Json(to): Json<Size>) -> Reply<Value> {
    workspace.databases().resize(&name, to).await?;
    shown(&workspace, &name).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grow {
    storage: Bytes,
}

pub(crate) async fn grow(workspace: Workspace, Name(name): Name, Json(to): Json<Grow>) -> Reply<Value> {
    workspace.databases().grow(&name, to.storage).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn restart(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    workspace.databases().restart(&name).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn stop(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    workspace.databases().stop(&name).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn start(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    workspace.databases().start(&name).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn switchover(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    workspace.databases().switchover(&name, None).await?;
    shown(&workspace, &name).await
}

pub(crate) async fn password(workspace: Workspace, Name(name): Name) -> Reply<Value> {
    workspace.databases().rotate_password(&name, None).await?;
    shown(&workspace, &name).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct External {
    on: bool,
}

/// The page reads the address right afterwards, so it waits for the port.
const OPENING: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) async fn external(
    workspace: Workspace,
    Name(name): Name,
    Json(to): Json<External>,
) -> Reply<Value> {
    let how = if to.on { Exposure::Open } else { Exposure::Closed };
    let databases = workspace.databases();
    let operation = databases.expose(&name, how).await?;
    match databases.finish(&operation, OPENING, |_| {}).await {
        // It goes on by itself, and the page looks again.
        Ok(()) | Err(Error::NotReady { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    shown(&workspace, &name).await
}

pub(crate) async fn events(workspace: Workspace, Name(name): Name) -> Reply<Vec<Happening>> {
    let events = workspace.databases().events(&name).await?;
    Ok(axum::Json(events.into_iter().rev().map(Happening::from).collect()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Charts {
    #[serde(flatten)]
    lines: Lines,
    max_connections: Option<f64>,
}

/// Whoever may see the database may see its numbers.
pub(crate) async fn metrics(workspace: Workspace, Name(name): Name) -> Reply<Charts> {
    workspace.databases().get(&name).await?;
    let mut lines = workspace.parts.databases.look(&workspace.name, &name);
    let limits = lines.series.remove("maxConnections");
    let max_connections = limits.and_then(|values| values.into_iter().rev().flatten().next());
    Ok(axum::Json(Charts { lines, max_connections }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slow {
    statement: String,
    calls: f64,
    total_millis: f64,
    mean_millis: f64,
    rows: Option<f64>,
}

pub(crate) async fn slow(workspace: Workspace, Name(name): Name) -> Reply<Vec<Slow>> {
    let all = workspace.databases().slow(&name).await?;
    Ok(axum::Json(all.iter().filter_map(Slow::read).collect()))
}

impl Slow {
    /// One entry as the engine's script wrote it.
    fn read(entry: &Value) -> Option<Self> {
        let number = |key: &str| entry[key].as_f64();
        let calls = number("calls").unwrap_or(1.0);
        let total_millis = number("totalMilliseconds")?;
        Some(Self {
            statement: entry["statement"].as_str()?.to_owned(),
            calls,
            total_millis,
            mean_millis: number("meanMilliseconds").unwrap_or(total_millis / calls.max(1.0)),
            rows: number("rows"),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    text: String,
    #[serde(default)]
    database: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    #[serde(flatten)]
    answer: Answer,
    took_millis: u128,
    cut: bool,
}

pub(crate) async fn query(
    workspace: Workspace,
    Name(name): Name,
    Json(question): Json<Question>,
) -> Reply<Told> {
    let since = Instant::now();
    let inside = Some(question.database.as_str()).filter(|name| !name.is_empty());
    let mut answer = workspace.databases().query(&name, inside, &question.text).await?;
    if let Some(why) = answer.error.take() {
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Refused", why));
    }
    let cut = answer.rows.len() > MOST_ROWS;
    answer.rows.truncate(MOST_ROWS);
    Ok(axum::Json(Told { answer, took_millis: since.elapsed().as_millis(), cut }))
}

pub(crate) async fn parameters(
    workspace: Workspace,
    Name(name): Name,
) -> Reply<Vec<sealos_databases::Parameter>> {
    Ok(axum::Json(workspace.databases().parameters(&name).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    values: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    needs_restart: bool,
}

pub(crate) async fn set_parameters(
    workspace: Workspace,
    Name(name): Name,
    Json(changes): Json<Changes>,
) -> Reply<Changed> {
    let databases = workspace.databases();
    let keys: Vec<_> = changes.values.keys().map(String::as_str).collect();
    let restart = databases.need_restart(&name, &keys).await?;
    databases.set_parameters(&name, changes.values).await?;
    Ok(axum::Json(Changed { needs_restart: !restart.is_empty() }))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message),
            Error::NotFound { .. } => Self::not_found(message),
            Error::NameTaken { .. } => Self::name_taken(message),
            Error::Conflict(_) | Error::NotReady { .. } => {
                Self::new(StatusCode::CONFLICT, "Conflict", message)
            }
            Error::Apply(sealos_kit::apply::Error::Refused { source, .. }) | Error::Api { source, .. } => {
                Self::refused(message, &source)
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, "Failed", message),
        }
    }
}
