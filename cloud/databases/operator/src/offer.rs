//! What can be had, as KubeBlocks' own objects: its tools list ClusterDefinitions and ClusterVersions.

use std::collections::BTreeSet;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use sealos_db_engines::{Engine, engine};
use sealos_kit::apply;
use serde_json::{Value, json};

use crate::Error;
use crate::model::{API_VERSION, DEFINITION_LABEL, GROUP, VERSION};

/// Writes those that are missing.
pub(crate) async fn offer(client: &Client) -> Result<(), Error> {
    let definitions = engine::ALL.iter().map(|e| definition(e));
    missing(client, "ClusterDefinition", definitions.collect()).await?;
    let versions = engine::ALL.iter().flat_map(|e| versions(e));
    missing(client, "ClusterVersion", versions.collect()).await
}

async fn missing(client: &Client, kind: &str, objects: Vec<Value>) -> Result<(), Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let known = api.list_metadata(&Default::default()).await;
    let known = known.map_err(Error::api(format!("list the objects of kind {kind}")))?;
    let known: BTreeSet<_> = known.items.iter().map(|o| o.name_any()).collect();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if known.contains(name) {
            continue;
        }
        apply::apply(client, None, &object).await?;
        let patch = json!({ "status": { "phase": "Available", "observedGeneration": 1 } });
        let told = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        told.map_err(Error::api(format!("offer {kind} `{name}`")))?;
    }
    Ok(())
}

fn definition_name(engine: &Engine) -> &'static str {
    engine.definitions.first().copied().unwrap_or(engine.name)
}

fn definition(engine: &Engine) -> Value {
    let component = json!({ "name": engine.component, "characterType": engine.name, "workloadType": "Replication",
        "service": { "ports": [{ "name": "tcp", "port": engine.port, "targetPort": engine.port }] } });
    json!({
        "apiVersion": API_VERSION,
        "kind": "ClusterDefinition",
        "metadata": { "name": definition_name(engine), "labels": { DEFINITION_LABEL: definition_name(engine) } },
        "spec": { "type": engine.name, "componentDefs": [component] },
    })
}

fn versions(engine: &'static Engine) -> Vec<Value> {
    let known = engine.versions.iter().filter_map(|version| engine.version(version).ok());
    known
        .map(|version| {
            json!({
                "apiVersion": API_VERSION,
                "kind": "ClusterVersion",
                "metadata": {
                    "name": version.kubeblocks_name(),
                    "labels": { DEFINITION_LABEL: definition_name(engine) },
                    "annotations": { "kubeblocks.io/is-default-cluster-version":
                        (version.number() == engine.default_version).to_string() },
                },
                "spec": {
                    "clusterDefinitionRef": definition_name(engine),
                    "componentVersions": [{ "componentDefRef": engine.component }],
                },
            })
        })
        .collect()
}
