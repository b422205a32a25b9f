//! The apps of a workspace as they change, as server-sent events.
//!
//! Watches say only that something happened; what it means is asked of `sealos-apps`, so that the
//! stream and the list can never disagree. What did not change is not sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use sealos_kit::labels;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::api::Workspace;
use crate::failure::Failure;

/// Changes come in swarms: a deploy touches a dozen objects. One look serves them all.
const SETTLE: Duration = Duration::from_millis(60);
/// A look without a change, for what no watch reports.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Changes = BoxStream<'static, ()>;

/// Everything at first, then what changes.
pub(crate) async fn follow(
    workspace: Workspace,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let closing = workspace.parts.closing.clone();
    let apps = workspace.views().await?;
    let first = json!({ "type": "apps", "apps": apps });
    let known = apps.iter().map(|app| Ok((app.status.name.clone(), serde_json::to_value(app)?)));
    let known: HashMap<String, Value> =
        known.collect::<Result<_, serde_json::Error>>().map_err(unwritable)?;
    let changes = changes(&workspace);
    let rest = stream::unfold(Some((workspace, changes, known)), next).flat_map(stream::iter);
    let events = stream::iter([first]).chain(rest).take_until(closing.cancelled_owned());
    let events = events.map(|message| Ok(Event::default().data(message.to_string())));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::new(http::StatusCode::INTERNAL_SERVER_ERROR, "Unwritable", "the apps cannot be written")
        .detail(error.to_string())
}

type State = Option<(Workspace, Changes, HashMap<String, Value>)>;

/// Waits for a change and tells what became different. A refusal ends the stream: the page asks anew.
async fn next(state: State) -> Option<(Vec<Value>, State)> {
    let (workspace, mut changes, known) = state?;
    if let Ok(None) = timeout(LOOK_AGAIN, changes.next()).await {
        return None;
    }
    sleep(SETTLE).await;
    while let Some(Some(())) = futures::FutureExt::now_or_never(changes.next()) {}
    let Ok(apps) = workspace.views().await else { return None };
    let now: HashMap<String, Value> = apps
        .iter()
        .filter_map(|app| Some((app.status.name.clone(), serde_json::to_value(app).ok()?)))
        .collect();
    let messages = difference(&known, &now);
    Some((messages, Some((workspace, changes, now))))
}

fn difference(before: &HashMap<String, Value>, now: &HashMap<String, Value>) -> Vec<Value> {
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let gone = gone.map(|name| json!({ "type": "gone", "name": name }));
    let changed = now.iter().filter(|(name, app)| before.get(*name) != Some(app));
    gone.chain(changed.map(|(_, app)| json!({ "type": "app", "app": app }))).collect()
}

/// Something happened to an object of some app.
fn changes(workspace: &Workspace) -> Changes {
    let all: [Changes; 4] = [
        touched::<Pod>(workspace),
        touched::<Deployment>(workspace),
        touched::<StatefulSet>(workspace),
        touched::<Ingress>(workspace),
    ];
    stream::select_all(all).boxed()
}

fn touched<K>(workspace: &Workspace) -> Changes
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(workspace.client.clone(), &workspace.name);
    let labelled = watcher::Config::default().labels(labels::APP);
    watcher(api, labelled).default_backoff().touched_objects().map(drop).boxed()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::difference;

    #[test]
    fn tells_only_what_changed() {
        let before = HashMap::from([
            ("same".to_owned(), json!(1)),
            ("old".to_owned(), json!(2)),
            ("moved".to_owned(), json!(3)),
        ]);
        let now = HashMap::from([("same".to_owned(), json!(1)), ("moved".to_owned(), json!(4))]);
        let messages = difference(&before, &now);
        assert_eq!(messages, [json!({ "type": "gone", "name": "old" }), json!({ "type": "app", "app": 4 })]);
    }
}
