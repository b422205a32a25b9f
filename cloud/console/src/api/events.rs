//! What happened to an app.

use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

use crate::api::{Name, Workspace};
use crate::failure::Failure;

#[derive(Serialize)]
pub(crate) struct Happening {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    message: String,
    object: String,
    count: i32,
    at: Option<String>,
}

/// Newest first.
pub(crate) async fn list(
    workspace: Workspace,
    Name(name): Name,
) -> Result<axum::Json<Vec<Happening>>, Failure> {
    let events = workspace.apps.events(&name).await?;
    Ok(axum::Json(events.into_iter().rev().map(Happening::from).collect()))
}

impl From<Event> for Happening {
    fn from(event: Event) -> Self {
        let series = event.series.as_ref();
        let last = series.and_then(|s| s.last_observed_time.as_ref().map(|t| t.0.to_string()));
        let at = last
            .or_else(|| event.last_timestamp.as_ref().map(|t| t.0.to_string()))
            .or_else(|| event.event_time.as_ref().map(|t| t.0.to_string()))
            .or_else(|| event.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()));
        let about = &event.involved_object;
        Self {
            id: event.metadata.uid.or(event.metadata.name).unwrap_or_default(),
            kind: event.type_.unwrap_or_else(|| "Normal".into()),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            object: format!(
                "{}/{}",
                about.kind.as_deref().unwrap_or_default(),
                about.name.as_deref().unwrap_or_default()
            ),
            count: series.and_then(|s| s.count).or(event.count).unwrap_or(1),
            at,
        }
    }
}
