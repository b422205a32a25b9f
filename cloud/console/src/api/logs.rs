//! Logs of an app: all its pods in one socket, or one of them, as they come.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use http::header;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval, timeout};

use crate::api::{Name, Workspace};
use crate::failure::Failure;

/// Lines that are on their way to a slow browser. A full queue makes the reader wait.
const QUEUE: usize = 2_000;
const MOST_PER_MESSAGE: usize = 500;
/// How long lines are gathered before they are sent together.
const GATHER: Duration = Duration::from_millis(40);
/// How often new pods are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// A silent log must not look like a dead connection to what lies between.
const BEAT: Duration = Duration::from_secs(20);
const MOST_TAIL: i64 = 10_000;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    pod: Option<String>,
    previous: Option<String>,
    tail: Option<i64>,
}

#[derive(Serialize)]
struct Line {
    pod: String,
    at: String,
    text: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Say {
    Pods { pods: Vec<String> },
    Lines { lines: Vec<Line> },
    Note { pod: String, text: String },
    End,
}

/// What the readers of single pods hand over.
enum Heard {
    Line(Line),
    Note { pod: String, text: String },
}

/// Whose logs they are.
#[derive(Clone)]
enum Owner {
    App(String),
    Database(String),
}

impl Owner {
    /// Its pods now, and the container that speaks in them.
    async fn pods(&self, workspace: &Workspace) -> Result<(Vec<String>, String), Failure> {
        match self {
            Self::App(name) => {
                let status = workspace.apps.get(name).await?;
                Ok((status.pods.into_iter().map(|pod| pod.name).collect(), name.clone()))
            }
            Self::Database(name) => {
                let database = workspace.databases().get(name).await?;
                Ok((database.members.into_iter().map(|member| member.pod).collect(), database.component))
            }
        }
    }

    fn name(&self) -> &str {
        let (Self::App(name) | Self::Database(name)) = self;
        name
    }
}

pub(crate) async fn follow(
    workspace: Workspace,
    Name(name): Name,
    query: Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    follow_of(workspace, Owner::App(name), query, upgrade).await
}

pub(crate) async fn follow_database(
    workspace: Workspace,
    Name(name): Name,
    query: Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    follow_of(workspace, Owner::Database(name), query, upgrade).await
}

async fn follow_of(
    workspace: Workspace,
    owner: Owner,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let (pods, container) = pods(&workspace, &owner, &wanted).await?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let closing = workspace.parts.closing.clone();
        let follower = Follower { workspace, owner, container, wanted };
        tokio::select! {
            () = follower.run(socket, pods) => {}
            () = closing.cancelled() => {}
        }
    }))
}

/// The pods whose logs are wanted, and their container. A pod that is not the owner's is refused.
async fn pods(
    workspace: &Workspace,
    owner: &Owner,
    wanted: &Wanted,
) -> Result<(Vec<String>, String), Failure> {
    let (all, container) = owner.pods(workspace).await?;
    match &wanted.pod {
        Some(pod) if all.contains(pod) => Ok((vec![pod.clone()], container)),
        Some(pod) => Err(Failure::not_found(format!("`{}` has no pod `{pod}` any more", owner.name()))),
        None => Ok((all, container)),
    }
}

struct Follower {
    workspace: Workspace,
    owner: Owner,
    container: String,
    wanted: Wanted,
}

impl Follower {
    fn previous(&self) -> bool {
        self.wanted.previous.is_some()
    }

    async fn run(&self, mut socket: WebSocket, pods: Vec<String>) {
        let (heard, mut queue) = mpsc::channel(QUEUE);
        let mut readers = JoinSet::new();
        let mut following: HashMap<String, AbortHandle> = HashMap::new();
        if say(&mut socket, &Say::Pods { pods: pods.clone() }).await.is_err() {
            return;
        }
        for pod in pods {
            let reader = readers.spawn(self.reader(&pod, self.wanted.tail.unwrap_or(1_000), heard.clone()));
            following.insert(pod, reader);
        }
        if self.previous() {
            // What was is complete: say all of it, then that it has ended.
            drop(heard);
            while let Some(first) = queue.recv().await {
                if send(&mut socket, gather(first, &mut queue).await).await.is_err() {
                    return;
                }
            }
            let _closed = say(&mut socket, &Say::End).await;
            return;
        }
        let (mut look, mut beat) = (interval(LOOK), interval(BEAT));
        loop {
            let sent = tokio::select! {
                Some(first) = queue.recv() => send(&mut socket, gather(first, &mut queue).await).await,
                _ = look.tick() => self.look(&mut socket, &mut readers, &mut following, &heard).await,
                _ = beat.tick() => socket.send(Message::Ping(Bytes::new())).await,
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => Ok(()),
                },
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Follows pods that have come, forgets those that are gone.
    async fn look(
        &self,
        socket: &mut WebSocket,
        readers: &mut JoinSet<()>,
        following: &mut HashMap<String, AbortHandle>,
        heard: &mpsc::Sender<Heard>,
    ) -> Result<(), axum::Error> {
        while readers.try_join_next().is_some() {}
        let wanted = Wanted { pod: None, previous: None, tail: None };
        let Ok((mut pods, _)) = pods(&self.workspace, &self.owner, &wanted).await else { return Ok(()) };
        if let Some(only) = &self.wanted.pod {
            pods.retain(|pod| pod == only);
        }
        let mut changed = false;
        following.retain(|pod, _| {
            let kept = pods.contains(pod);
            changed |= !kept;
            kept
        });
        for pod in &pods {
            // A reader that ended is begun again from where the container restarted.
            let since = match following.get(pod) {
                Some(reader) if !reader.is_finished() => continue,
                Some(_) => 0,
                None => MOST_TAIL,
            };
            changed |= since > 0;
            following.insert(pod.clone(), readers.spawn(self.reader(pod, since, heard.clone())));
        }
        if changed { say(socket, &Say::Pods { pods }).await } else { Ok(()) }
    }

    /// Reads one pod's log until it ends.
    fn reader(
        &self,
        pod: &str,
        tail: i64,
        heard: mpsc::Sender<Heard>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let pods: Api<Pod> = Api::namespaced(self.workspace.client.clone(), &self.workspace.name);
        let params = LogParams {
            follow: !self.previous(),
            previous: self.previous(),
            tail_lines: Some(tail.clamp(0, MOST_TAIL)),
            timestamps: true,
            container: Some(self.container.clone()),
            ..LogParams::default()
        };
        let pod = pod.to_owned();
        async move {
            if let Err(error) = read(&pods, &pod, params, &heard).await {
                let text = Failure::api(&error).message;
                // A container that is being made has no log yet: nobody needs to be told.
                tracing::debug!(%pod, %text, "a log ended");
                if !text.contains("waiting to start") && !text.contains("previous terminated") {
                    let _gone = heard.send(Heard::Note { pod, text }).await;
                }
            }
        }
    }
}

async fn read(
    pods: &Api<Pod>,
    pod: &str,
    mut params: LogParams,
    heard: &mpsc::Sender<Heard>,
) -> kube::Result<()> {
    let opened = pods.log_stream(pod, &params).await;
    // An app that was not made here may name its container differently: then the only one is meant.
    let log = match opened {
        Err(kube::Error::Api(status)) if status.code == 400 && status.message.contains("not valid") => {
            params.container = None;
            pods.log_stream(pod, &params).await?
        }
        opened => opened?,
    };
    let mut lines = log.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        if heard.send(Heard::Line(parse(pod, &line))).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Splits the timestamp that the API puts before each line.
fn parse(pod: &str, line: &str) -> Line {
    let (at, text) = line.split_once(' ').unwrap_or((line, ""));
    Line { pod: pod.to_owned(), at: at.to_owned(), text: text.trim_end_matches('\r').to_owned() }
}

/// The first line and those that come right after it.
async fn gather(first: Heard, queue: &mut mpsc::Receiver<Heard>) -> Vec<Heard> {
    let mut all = vec![first];
    let until = Instant::now() + GATHER;
    while all.len() < MOST_PER_MESSAGE {
        match timeout(until.saturating_duration_since(Instant::now()), queue.recv()).await {
            Ok(Some(next)) => all.push(next),
            Ok(None) | Err(_) => break,
        }
    }
    all
}

async fn send(socket: &mut WebSocket, heard: Vec<Heard>) -> Result<(), axum::Error> {
    let mut lines = Vec::with_capacity(heard.len());
    for one in heard {
        match one {
            Heard::Line(line) => lines.push(line),
            Heard::Note { pod, text } => say(socket, &Say::Note { pod, text }).await?,
        }
    }
    if lines.is_empty() { Ok(()) } else { say(socket, &Say::Lines { lines }).await }
}

async fn say(socket: &mut WebSocket, what: &Say) -> Result<(), axum::Error> {
    let text = serde_json::to_string(what).map_err(axum::Error::new)?;
    socket.send(Message::Text(text.into())).await
}

/// The whole log of the wanted pods, one after another, as a file.
pub(crate) async fn download(
    workspace: Workspace,
    Name(name): Name,
    query: Query<Wanted>,
) -> Result<Response, Failure> {
    download_of(workspace, Owner::App(name), query).await
}

/// The same of a database.
pub(crate) async fn download_database(
    workspace: Workspace,
    Name(name): Name,
    query: Query<Wanted>,
) -> Result<Response, Failure> {
    download_of(workspace, Owner::Database(name), query).await
}

async fn download_of(
    workspace: Workspace,
    owner: Owner,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let (pods, _) = pods(&workspace, &owner, &wanted).await?;
    let api: Api<Pod> = Api::namespaced(workspace.client.clone(), &workspace.name);
    let previous = wanted.previous.is_some();
    let parts = futures::stream::iter(pods).then(move |pod| {
        let api = api.clone();
        async move {
            let params = LogParams { timestamps: true, previous, ..LogParams::default() };
            let text = match api.logs(&pod, &params).await {
                Ok(text) => text,
                Err(error) => format!("{}\n", Failure::api(&error).message),
            };
            Ok::<_, std::convert::Infallible>(format!("==> {pod} <==\n{text}"))
        }
    });
    let kind = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.log\"", file_name(owner.name()))),
    ];
    Ok((kind, Body::from_stream(parts)).into_response())
}

/// What is safe between quotes in a header.
fn file_name(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::{file_name, parse};

    #[test]
    fn splits_the_time_from_the_text() {
        let line = parse("web-1", "2026-11-24T02:00:00.123Z GET / 200\r");
        assert_eq!((line.at.as_str(), line.text.as_str()), ("2026-11-24T02:00:00.123Z", "GET / 200"));
        assert_eq!(parse("web-1", "2026-11-24T02:00:00Z").text, "");
    }

    #[test]
    fn a_header_stays_one_line() {
        assert_eq!(file_name("a\"\r\nb"), "ab");
    }
}
