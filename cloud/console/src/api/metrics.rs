//! What apps use, from the samples in memory. Whoever may see an app may see what it uses.

use std::collections::BTreeMap;

use crate::api::{Name, Workspace};
use crate::failure::Failure;
use crate::samples::{AppSeries, Series};

pub(crate) async fn of_app(workspace: Workspace, Name(name): Name) -> Result<axum::Json<AppSeries>, Failure> {
    let status = workspace.apps.get(&name).await?;
    let samples = &workspace.parts.samples;
    for pod in &status.pods {
        samples.tag(&workspace.name, &pod.name, &name);
    }
    Ok(axum::Json(samples.app(&workspace.name, &name)))
}

/// The sums of all pods, for the small lines in the list.
pub(crate) async fn of_workspace(
    workspace: Workspace,
) -> Result<axum::Json<BTreeMap<String, Series>>, Failure> {
    let apps = workspace.apps.list().await?;
    let samples = &workspace.parts.samples;
    for (app, pod) in apps.iter().flat_map(|app| app.pods.iter().map(move |pod| (app, pod))) {
        samples.tag(&workspace.name, &pod.name, &app.name);
    }
    let all =
        apps.iter().filter_map(|app| Some((app.name.clone(), samples.sum(&workspace.name, &app.name)?)));
    Ok(axum::Json(all.collect()))
}
