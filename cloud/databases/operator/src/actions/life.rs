//! Operations on a database. Each becomes an OpsRequest, so that what was done can be looked up, and one
//! waits for another.

use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use rand::distr::{Distribution as _, Uniform};
use sealos_db_engines::names;
use sealos_kit::quantity::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Databases, Size, memory_problem, replicas_problem, requests, size_problems, wanted};
use crate::Error;
use crate::model::{API_VERSION, OpsRequest};
use crate::wanted::Wanted;

/// How long the record of a finished operation is kept, in seconds.
const KEEP: u32 = 3600;

/// An operation under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The OpsRequest's name.
    pub name: String,
}

impl Databases {
    /// Sets the number of pods.
    pub async fn scale(&self, name: &str, replicas: u32) -> Result<Operation, Error> {
        let wanted = self.running(name, "scale").await?;
        if let Some(problem) = replicas_problem(replicas) {
            return Err(Error::invalid(problem));
        }
        if wanted.sync && replicas < 2 {
            return Err(Error::Conflict(format!(
                "commits of `{name}` wait for a replica, so it needs 2 replicas; switch that off first"
            )));
        }
        let component = json!([{ "componentName": wanted.component, "replicas": replicas }]);
        self.operate(name, "HorizontalScaling", json!({ "horizontalScaling": component })).await
    }

    /// Sets CPU and memory of each pod; restarts them one after another.
    pub async fn resize(&self, name: &str, size: Size) -> Result<Operation, Error> {
        let wanted = self.running(name, "resize").await?;
        let mut problems = size_problems(size.cpu, size.memory, None);
        problems.extend(memory_problem(wanted.engine, size.memory));
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let (cpu, memory) = (size.cpu.unwrap_or(wanted.cpu), size.memory.unwrap_or(wanted.memory));
        let component = json!([{
            "componentName": wanted.component,
            "limits": { "cpu": cpu, "memory": memory },
            "requests": requests(cpu, memory),
        }]);
        self.operate(name, "VerticalScaling", json!({ "verticalScaling": component })).await
    }

    /// Makes the storage of each pod larger.
    pub async fn grow(&self, name: &str, storage: Bytes) -> Result<Operation, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        if storage < wanted.storage {
            return Err(Error::Conflict(format!(
                "the storage of `{name}` is {} and can only grow; {storage} is less",
                wanted.storage
            )));
        }
        let problems = size_problems(None, None, Some(storage));
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let component = json!([{
            "componentName": wanted.component,
            "volumeClaimTemplates": [{ "name": "data", "storage": storage }],
        }]);
        self.operate(name, "VolumeExpansion", json!({ "volumeExpansion": component })).await
    }

    /// Replaces all pods, replicas first.
    pub async fn restart(&self, name: &str) -> Result<Operation, Error> {
        let wanted = self.running(name, "restart").await?;
        let component = json!([{ "componentName": wanted.component }]);
        self.operate(name, "Restart", json!({ "restart": component })).await
    }

    /// Ends all pods and keeps the data.
    pub async fn stop(&self, name: &str) -> Result<Operation, Error> {
        self.running(name, "stop").await?;
        self.operate(name, "Stop", json!({})).await
    }

    /// Brings a stopped database back.
    pub async fn start(&self, name: &str) -> Result<Operation, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        if wanted.replicas > 0 {
            return Err(Error::Conflict(format!("database `{name}` is not stopped")));
        }
        self.operate(name, "Start", json!({})).await
    }

    /// Goes to another version.
    pub async fn upgrade(&self, name: &str, version: &str) -> Result<Operation, Error> {
        let wanted = self.running(name, "upgrade").await?;
        let to = wanted.engine.version(version).map_err(|e| Error::invalid(e.to_string()))?;
        crate::ops::check_upgrade(&wanted.version, &to).map_err(Error::Conflict)?;
        let spec = json!({ "upgrade": { "clusterVersionRef": to.kubeblocks_name() } });
        self.operate(name, "Upgrade", spec).await
    }

    /// Makes another pod the primary: the one named, or the best.
    pub async fn switchover(&self, name: &str, to: Option<&str>) -> Result<Operation, Error> {
        let wanted = self.running(name, "switch over").await?;
        if wanted.replicas < 2 {
            return Err(Error::Conflict(format!(
                "database `{name}` has no replica to switch to; scale it first"
            )));
        }
        let instance = to.unwrap_or("*");
        let component = json!([{ "componentName": wanted.component, "instanceName": instance }]);
        self.operate(name, "Switchover", json!({ "switchover": component })).await
    }

    /// Opens a port on every machine of the cloud, or closes it.
    pub async fn expose(&self, name: &str, how: Exposure) -> Result<Operation, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        let switch = match how {
            Exposure::Open => "Enable",
            Exposure::Closed => "Disable",
        };
        let component = json!([{ "componentName": wanted.component, "switch": switch }]);
        self.operate(name, "Expose", json!({ "expose": component })).await
    }

    /// Sets whether a commit waits for a replica.
    pub async fn set_sync(&self, name: &str, sync: bool) -> Result<(), Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        if sync && wanted.replicas < 2 {
            return Err(Error::Conflict(format!(
                "database `{name}` has no replica for commits to wait for; scale it to 2 or more first"
            )));
        }
        let mode = if sync { "sync" } else { "async" };
        let patch = json!({ "metadata": { "annotations": { names::REPLICATION: mode } } });
        self.patch(name, &patch, "change the replication of").await
    }

    /// Waits until an operation is over; its message if it failed.
    pub async fn finish(
        &self,
        operation: &Operation,
        limit: Duration,
        mut report: impl FnMut(&str),
    ) -> Result<(), Error> {
        let api: Api<OpsRequest> = self.api();
        let deadline = Instant::now() + limit;
        loop {
            let found = api.get_opt(&operation.name).await;
            let found = found.map_err(Error::api(format!("follow the operation `{}`", operation.name)))?;
            // One that is gone was finished and its record has expired, or the database is gone.
            let Some(found) = found else { return Ok(()) };
            let said = found.status.iter().flat_map(|s| &s.conditions).next_back();
            let said = said.map(|c| c.message.clone()).unwrap_or_default();
            match found.phase() {
                "Succeed" => return Ok(()),
                "Failed" | "Cancelled" => return Err(Error::Conflict(said)),
                _ if Instant::now() > deadline => {
                    let name = found.cluster().to_owned();
                    let reason = format!(
                        "the operation {} goes on after {} s: {said}",
                        found.type_(),
                        limit.as_secs()
                    );
                    return Err(Error::NotReady { name, reason });
                }
                _ => report(&said),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn running(&self, name: &str, verb: &str) -> Result<Wanted, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        if wanted.replicas == 0 {
            return Err(Error::Conflict(format!(
                "database `{name}` is stopped; start it before you {verb} it"
            )));
        }
        Ok(wanted)
    }

    pub(super) async fn operate(&self, name: &str, type_: &str, detail: Value) -> Result<Operation, Error> {
        let mut spec = json!({ "clusterRef": name, "type": type_, "ttlSecondsAfterSucceed": KEEP });
        if let (Some(spec), Value::Object(detail)) = (spec.as_object_mut(), detail) {
            spec.extend(detail);
        }
        let operation = format!("{name}-{}-{}", type_.to_ascii_lowercase(), random_suffix());
        let object = json!({
            "apiVersion": API_VERSION, "kind": "OpsRequest", "spec": spec,
            "metadata": { "name": operation, "labels": { names::INSTANCE: name, "ops.kubeblocks.io/ops-type": type_ } },
        });
        let object: DynamicObject = serde_json::from_value(object)
            .map_err(|e| Error::invalid(format!("the operation is no OpsRequest: {e}")))?;
        let resource = ApiResource::erase::<OpsRequest>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.workspace, &resource);
        let created = api.create(&PostParams::default(), &object).await;
        created.map_err(Error::api(format!("ask for the operation {type_} on `{name}`")))?;
        Ok(Operation { name: operation })
    }
}

/// Whether a database is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It is.
    Open,
    /// It is not.
    Closed,
}

fn random_suffix() -> String {
    letters(5)
}

/// Random lower-case letters.
pub(crate) fn letters(count: usize) -> String {
    let Ok(range) = Uniform::new_inclusive(b'a', b'z') else { return String::new() };
    range.sample_iter(rand::rng()).take(count).map(char::from).collect()
}
