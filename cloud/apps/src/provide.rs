//! Making the services that an app leans on, and waiting for them.
//!
//! A database that exists is not applied again: its size and settings may have been changed since, and
//! belong to it. Only what the request names explicitly and the database has differently is changed.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use sealos_kit::{apply, labels};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Error;
use crate::actions::Apps;
use crate::app::App;
use crate::draft::Draft;
use crate::plan::plan;
use crate::services::{AppDatabase, bucket_secret};

/// How often an object that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(150);

impl Apps {
    /// Makes the database and the bucket of a request, as far as they are missing. Deploying does the
    /// same; doing it first, and waiting, spares the app a start in vain.
    pub async fn provide(&self, draft: Draft) -> Result<(), Error> {
        self.provide_services(&App::check(draft)?).await
    }

    pub(crate) async fn provide_services(&self, app: &App) -> Result<(), Error> {
        for object in plan(app, &self.place()).services {
            match self.service(&object).await? {
                Some(there) if object["kind"] == "Cluster" => self.adjust(app, &there).await?,
                Some(_) if app.bucket.as_ref().is_some_and(|b| b.policy.is_none()) => {}
                _ => drop(apply::apply(&self.client, Some(&self.workspace), &object).await?),
            }
        }
        Ok(())
    }

    /// Waits until the database and the bucket of a request can be used; `report` gets the state in words.
    pub async fn wait_services(
        &self,
        draft: Draft,
        limit: Duration,
        mut report: impl FnMut(&str),
    ) -> Result<(), Error> {
        let app = App::check(draft)?;
        let deadline = Instant::now() + limit;
        for object in plan(&app, &self.place()).services {
            loop {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let state = match self.service(&object).await? {
                    Some(there) if object["kind"] == "Cluster" => database_state(&there.data),
                    Some(_) => self.bucket_state(name).await?,
                    None => State::Coming("is not there any more".into()),
                };
                let (what, why) = (
                    words(&object),
                    match state {
                        State::Ready => break,
                        State::Failed(why) => return Err(service_failed(&object, &why)),
                        State::Coming(why) => why,
                    },
                );
                report(&format!("{what} `{name}`: {why}"));
                if Instant::now() >= deadline {
                    return Err(service_failed(&object, &format!("{why} (waited {} s)", limit.as_secs())));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    async fn service(&self, object: &Value) -> Result<Option<DynamicObject>, Error> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let attempt = Error::api(format!("look up the {} `{name}`", words(object)));
        service_api(&self.client, &self.workspace, object).get_opt(name).await.map_err(attempt)
    }

    /// Changes of an existing database only what the request names.
    async fn adjust(&self, app: &App, there: &DynamicObject) -> Result<(), Error> {
        let Some(database) = &app.database else { return Ok(()) };
        let definition = there.data["spec"]["clusterDefinitionRef"].as_str();
        if definition.is_some_and(|d| !database.is_engine(d)) {
            let what = format!(
                "the name `{}` is taken by a database of another engine ({}); name the app's database with `database: {{engine: …, name: …}}`",
                database.name,
                definition.unwrap_or_default(),
            );
            return Err(Error::Conflict(what));
        }
        let mut components = there.data["spec"]["componentSpecs"].clone();
        if !database.write_explicit(&mut components) {
            return Ok(());
        }
        let version = there.metadata.resource_version.clone();
        let patch =
            json!({ "metadata": { "resourceVersion": version }, "spec": { "componentSpecs": components } });
        let params =
            PatchParams { field_manager: Some(labels::FIELD_MANAGER.into()), ..PatchParams::default() };
        let api = service_api(&self.client, &self.workspace, &json!({ "kind": "Cluster" }));
        let done = api.patch(&database.name, &params, &Patch::Merge(&patch)).await;
        done.map_err(Error::api(format!("change the database `{}`", database.name))).map(drop)
    }

    /// A bucket is ready when its key can be read.
    async fn bucket_state(&self, name: &str) -> Result<State, Error> {
        let secrets: Api<k8s_openapi::api::core::v1::Secret> = self.api();
        let secret = secrets.get_opt(&bucket_secret(&self.workspace, name)).await;
        let there = secret.map_err(Error::api(format!("look up the key of bucket `{name}`")))?.is_some();
        Ok(if there { State::Ready } else { State::Coming("waits for its key".into()) })
    }
}

/// How far a service is.
enum State {
    Ready,
    Coming(String),
    Failed(String),
}

fn database_state(cluster: &Value) -> State {
    let status = &cluster["status"];
    let message = status["message"].as_str().filter(|m| !m.is_empty());
    match status["phase"].as_str() {
        Some("Running") => State::Ready,
        Some("Failed" | "Abnormal") => State::Failed(message.unwrap_or("it does not come up").to_owned()),
        Some("Stopped") => State::Failed("it is stopped; start it with `sealos db start`".into()),
        phase => State::Coming(message.or(phase).unwrap_or("Creating").to_owned()),
    }
}

fn words(object: &Value) -> &'static str {
    if object["kind"] == "Cluster" { "database" } else { "bucket" }
}

fn service_failed(object: &Value, why: &str) -> Error {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Error::Conflict(format!("the {} `{name}` is not ready: {why}", words(object)))
}

fn service_api(client: &Client, workspace: &str, object: &Value) -> Api<DynamicObject> {
    let kind = match words(object) {
        "database" => GroupVersionKind::gvk("apps.kubeblocks.io", "v1alpha1", "Cluster"),
        _ => GroupVersionKind::gvk("objectstorage.sealos.io", "v1", "ObjectStorageBucket"),
    };
    Api::namespaced_with(client.clone(), workspace, &ApiResource::from_gvk(&kind))
}

impl AppDatabase {
    /// Writes what was asked for explicitly into the components of an existing Cluster; whether anything
    /// is different now.
    fn write_explicit(&self, components: &mut Value) -> bool {
        let Some(component) = components.as_array_mut().and_then(|all| all.first_mut()) else { return false };
        let before = component.clone();
        if let Some(replicas) = self.asked.replicas {
            component["replicas"] = json!(replicas);
        }
        if let Some(cpu) = self.asked.cpu {
            component["resources"]["limits"]["cpu"] = json!(cpu);
        }
        if let Some(memory) = self.asked.memory {
            component["resources"]["limits"]["memory"] = json!(memory);
        }
        if let Some(storage) = self.asked.storage {
            component["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = json!(storage);
        }
        *component != before
    }
}
