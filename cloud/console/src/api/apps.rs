//! Apps: listing, deploying and what else people do to them. All of it is `sealos-apps`' doing.

use http::StatusCode;
use sealos_apps::{Draft, Error};
use serde::{Deserialize, Serialize};

use crate::api::view::AppView;
use crate::api::{Json, Name, Workspace, command};
use crate::failure::Failure;

type Answer<T> = Result<axum::Json<T>, Failure>;

pub(crate) async fn list(workspace: Workspace) -> Answer<Vec<AppView>> {
    Ok(axum::Json(workspace.views().await?))
}

pub(crate) async fn get(workspace: Workspace, Name(name): Name) -> Answer<AppView> {
    Ok(axum::Json(workspace.view(&name).await?))
}

/// The request that would deploy the app as it is.
pub(crate) async fn draft(workspace: Workspace, Name(name): Name) -> Answer<Draft> {
    Ok(axum::Json(workspace.apps.draft(&name).await?))
}

/// Deploys an app that is new: one that exists is not overwritten by accident.
pub(crate) async fn create(
    workspace: Workspace,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, axum::Json<AppView>), Failure> {
    let name = draft.name.clone();
    match workspace.apps.get(&name).await {
        Ok(_) => return Err(Failure::taken(&name, &workspace.name)),
        // A name that is no name is refused below, with every other problem.
        Err(Error::NotFound { .. } | Error::Api { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    deploy(&workspace, draft).await?;
    Ok((StatusCode::CREATED, axum::Json(workspace.view(&name).await?)))
}

pub(crate) async fn update(
    workspace: Workspace,
    Name(name): Name,
    Json(draft): Json<Draft>,
) -> Answer<AppView> {
    if draft.name != name {
        return Err(Failure::bad_request(format!("the request is for `{}`, not for `{name}`", draft.name)));
    }
    workspace.apps.get(&name).await?;
    deploy(&workspace, draft).await?;
    Ok(axum::Json(workspace.view(&name).await?))
}

async fn deploy(workspace: &Workspace, draft: Draft) -> Result<(), Failure> {
    if draft.build.is_some() {
        return Err(Failure::bad_request("the console deploys images; build with `sealos build DIR` first"));
    }
    workspace.apps.deploy(draft).await?;
    Ok(())
}

#[derive(Serialize)]
pub(crate) struct Preview {
    /// The objects that would be written.
    yaml: String,
    /// The request as a `sealos.yaml`.
    manifest: String,
    /// The command that does the same.
    command: String,
}

/// What a deploy would write.
pub(crate) async fn preview(workspace: Workspace, Json(draft): Json<Draft>) -> Answer<Preview> {
    let command = command::deploy(&draft);
    let manifest = yaml(&draft)?;
    let plan = workspace.apps.preview(draft)?;
    let objects: Result<Vec<_>, _> = plan.services.iter().chain(&plan.objects).map(yaml).collect();
    Ok(axum::Json(Preview { yaml: objects?.join("---\n"), manifest, command }))
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(|error| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Unwritable", "the preview cannot be written")
            .detail(error.to_string())
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    replicas: u32,
}

pub(crate) async fn scale(workspace: Workspace, Name(name): Name, Json(to): Json<Scale>) -> Answer<AppView> {
    workspace.apps.scale(&name, to.replicas).await?;
    Ok(axum::Json(workspace.view(&name).await?))
}

pub(crate) async fn restart(workspace: Workspace, Name(name): Name) -> Answer<AppView> {
    workspace.apps.restart(&name).await?;
    Ok(axum::Json(workspace.view(&name).await?))
}

pub(crate) async fn stop(workspace: Workspace, Name(name): Name) -> Answer<AppView> {
    workspace.apps.stop(&name).await?;
    Ok(axum::Json(workspace.view(&name).await?))
}

pub(crate) async fn start(workspace: Workspace, Name(name): Name) -> Answer<AppView> {
    workspace.apps.start(&name).await?;
    Ok(axum::Json(workspace.view(&name).await?))
}

pub(crate) async fn delete(workspace: Workspace, Name(name): Name) -> Result<StatusCode, Failure> {
    workspace.apps.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
