//! The kinds of `apps.kubeblocks.io/v1alpha1`. The schemas name what is read here and keep whatever else
//! a client of KubeBlocks writes. Where KubeBlocks itself serves the kinds, they are left to it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use sealos_kit::apply;
use serde_json::{Value, json};

use crate::Error;
use crate::model::{GROUP, VERSION};

/// On a definition that this platform made.
const OURS: (&str, &str) = ("databases.sealos.io/managed", "true");

/// Who serves the kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// This platform.
    ByUs,
    /// A KubeBlocks that was there before.
    ByKubeBlocks,
}

/// Makes the kinds known to the cluster, unless KubeBlocks has done so.
pub async fn install(client: &Client) -> Result<Served, Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let known = api.get_opt(&format!("clusters.{GROUP}")).await;
    let known = known.map_err(Error::api("look whether KubeBlocks is on this cluster"))?;
    if known.is_some_and(|crd| crd.labels().get(OURS.0).map(String::as_str) != Some(OURS.1)) {
        return Ok(Served::ByKubeBlocks);
    }
    for definition in definitions() {
        apply::apply(client, None, &definition).await?;
    }
    Ok(Served::ByUs)
}

/// Waits until the API serves the kinds.
pub(crate) async fn established(client: &Client) -> Result<(), Error> {
    use kube::runtime::{conditions, wait};
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for plural in ["clusters", "opsrequests"] {
        let name = format!("{plural}.{GROUP}");
        let waiting = wait::await_condition(api.clone(), &name, conditions::is_crd_established());
        waiting.await.map_err(|error| Error::Watch(format!("wait for the kind {name}: {error}")))?;
    }
    Ok(())
}

struct Kind {
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    scope: &'static str,
    spec: Value,
    columns: Value,
}

/// All definitions.
pub(crate) fn definitions() -> Vec<Value> {
    kinds().into_iter().map(definition).collect()
}

fn kinds() -> Vec<Kind> {
    let namespaced = "Namespaced";
    let cluster = "Cluster";
    vec![
        Kind {
            kind: "Cluster",
            plural: "clusters",
            short: &[],
            scope: namespaced,
            spec: cluster_spec(),
            columns: json!([
                column("CLUSTER-DEFINITION", ".spec.clusterDefinitionRef"),
                column("VERSION", ".spec.clusterVersionRef"),
                column("TERMINATION-POLICY", ".spec.terminationPolicy"),
                column("STATUS", ".status.phase"),
                age(),
            ]),
        },
        Kind {
            kind: "OpsRequest",
            plural: "opsrequests",
            short: &["ops"],
            scope: namespaced,
            spec: ops_spec(),
            columns: json!([
                column("TYPE", ".spec.type"),
                column("CLUSTER", ".spec.clusterRef"),
                column("STATUS", ".status.phase"),
                column("PROGRESS", ".status.progress"),
                age(),
            ]),
        },
        Kind {
            kind: "Configuration",
            plural: "configurations",
            short: &[],
            scope: namespaced,
            spec: anything(),
            columns: json!([
                column("CLUSTER", ".spec.clusterRef"),
                column("COMPONENT", ".spec.componentName"),
                age()
            ]),
        },
        Kind {
            kind: "ClusterDefinition",
            plural: "clusterdefinitions",
            short: &["cd"],
            scope: cluster,
            spec: anything(),
            columns: json!([column("STATUS", ".status.phase"), age()]),
        },
        Kind {
            kind: "ClusterVersion",
            plural: "clusterversions",
            short: &["cv"],
            scope: cluster,
            spec: anything(),
            columns: json!([
                column("CLUSTER-DEFINITION", ".spec.clusterDefinitionRef"),
                column("STATUS", ".status.phase"),
                age(),
            ]),
        },
    ]
}

fn column(name: &str, path: &str) -> Value {
    json!({ "name": name, "type": "string", "jsonPath": path })
}

fn age() -> Value {
    json!({ "name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp" })
}

fn definition(kind: Kind) -> Value {
    let name = format!("{}.{GROUP}", kind.plural);
    let mut names = json!({
        "kind": kind.kind, "listKind": format!("{}List", kind.kind), "plural": kind.plural,
        "singular": kind.kind.to_ascii_lowercase(), "categories": ["kubeblocks", "all"],
    });
    if !kind.short.is_empty() {
        names["shortNames"] = json!(kind.short);
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": kind.spec,
            "status": anything(),
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": name, "labels": { OURS.0: OURS.1, "app.kubernetes.io/name": "kubeblocks" } },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": kind.scope,
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": schema },
                "subresources": { "status": {} },
                "additionalPrinterColumns": kind.columns,
            }],
        },
    })
}

/// An object of any contents.
fn anything() -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn open(properties: Value, required: &[&str]) -> Value {
    let mut schema = anything();
    schema["properties"] = properties;
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn amounts() -> Value {
    json!({ "type": "object", "additionalProperties": { "x-kubernetes-int-or-string": true } })
}

fn resources() -> Value {
    open(json!({ "limits": amounts(), "requests": amounts() }), &[])
}

fn cluster_spec() -> Value {
    let claim = open(
        json!({ "name": text(), "spec": open(json!({
        "accessModes": list(text()), "resources": resources(), "storageClassName": text() }), &[]) }),
        &["name"],
    );
    let component = open(
        json!({
            "name": { "type": "string", "maxLength": 22, "pattern": "^[a-z]([a-z0-9\\-]*[a-z0-9])?$" },
            "componentDefRef": text(),
            "componentDef": text(),
            "serviceVersion": text(),
            "replicas": { "type": "integer", "format": "int32", "minimum": 0, "default": 1 },
            "resources": resources(),
            "volumeClaimTemplates": list(claim),
            "affinity": anything(),
            "tolerations": list(anything()),
            "serviceAccountName": text(),
        }),
        &["name"],
    );
    let policies = ["DoNotTerminate", "Halt", "Delete", "WipeOut"];
    open(
        json!({
            "clusterDefinitionRef": text(),
            "clusterVersionRef": text(),
            "topology": text(),
            "terminationPolicy": { "type": "string", "enum": policies, "default": "Delete" },
            "componentSpecs": list(component),
            "affinity": anything(),
            "tolerations": list(anything()),
            "backup": anything(),
        }),
        &[],
    )
}

fn ops_spec() -> Value {
    let types = [
        "Start",
        "Stop",
        "Restart",
        "VerticalScaling",
        "HorizontalScaling",
        "VolumeExpansion",
        "Upgrade",
        "Reconfiguring",
        "Switchover",
        "Expose",
        "Restore",
        "Backup",
        "DataScript",
        "Custom",
    ];
    open(
        json!({
            "clusterRef": text(),
            "clusterName": text(),
            "type": { "type": "string", "enum": types },
            "ttlSecondsAfterSucceed": { "type": "integer", "format": "int32" },
            "cancel": { "type": "boolean" },
        }),
        &["type"],
    )
}

#[cfg(test)]
mod tests {
    use super::definitions;

    #[test]
    fn every_kind_is_structural_and_has_a_status() {
        let all = definitions();
        assert_eq!(all.len(), 5);
        for crd in &all {
            let version = &crd["spec"]["versions"][0];
            assert_eq!(version["schema"]["openAPIV3Schema"]["type"], "object");
            assert!(version["subresources"]["status"].is_object(), "{}", crd["metadata"]["name"]);
        }
        assert_eq!(all[0]["metadata"]["name"], "clusters.apps.kubeblocks.io");
    }
}
