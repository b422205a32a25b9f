//! The definitions of `dataprotection.kubeblocks.io/v1alpha1`. They name what is read here and keep whatever
//! else a client of KubeBlocks writes. Where KubeBlocks itself serves the kinds, they are left to it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::runtime::{conditions, wait};
use kube::{Client, ResourceExt as _};
use sealos_kit::apply;
use serde_json::{Value, json};

use crate::Error;
use crate::names::{GROUP, OURS, VERSION};

/// Makes the kinds known to the cluster and waits until they are; `false` if KubeBlocks serves them.
pub(crate) async fn install(client: &Client) -> Result<bool, Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("backups.{GROUP}");
    let known = api.get_opt(&name).await.map_err(Error::api("look for the kind", &name))?;
    if known.is_some_and(|crd| crd.labels().get(OURS).is_none_or(|v| v != "true")) {
        return Ok(false);
    }
    for definition in definitions() {
        apply::apply(client, None, &definition).await?;
    }
    for plural in ["backups", "backupschedules", "backuprepos", "restores"] {
        let name = format!("{plural}.{GROUP}");
        let waiting = wait::await_condition(api.clone(), &name, conditions::is_crd_established());
        waiting.await.map_err(|error| Error::Refused(format!("wait for the kind `{name}`: {error}")))?;
    }
    Ok(true)
}

struct Kind {
    kind: &'static str,
    plural: &'static str,
    scope: &'static str,
    spec: Value,
    columns: Vec<Value>,
}

/// All definitions.
fn definitions() -> Vec<Value> {
    let text = || json!({ "type": "string" });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let status = || column("STATUS", ".status.phase");
    let entry = open(
        json!({ "enabled": { "type": "boolean" }, "backupMethod": text(), "cronExpression": text(),
        "retentionPeriod": text() }),
        &["cronExpression"],
    );
    let method = open(
        json!({ "name": text(), "snapshotVolumes": { "type": "boolean" }, "actionSetName": text() }),
        &["name"],
    );
    let deletion = json!({ "type": "string", "enum": ["Delete", "Retain"], "default": "Delete" });
    let kinds = [
        Kind {
            kind: "Backup",
            plural: "backups",
            scope: "Namespaced",
            spec: open(
                json!({ "backupPolicyName": text(), "backupMethod": text(), "deletionPolicy": deletion,
                    "retentionPeriod": text(), "parentBackupName": text() }),
                &["backupPolicyName", "backupMethod"],
            ),
            columns: vec![
                column("POLICY", ".spec.backupPolicyName"),
                column("METHOD", ".spec.backupMethod"),
                status(),
                column("TOTAL-SIZE", ".status.totalSize"),
                column("DURATION", ".status.duration"),
                column("DRILL", ".status.drill.phase"),
                column("EXPIRATION-TIME", ".status.expiration"),
            ],
        },
        Kind {
            kind: "BackupPolicy",
            plural: "backuppolicies",
            scope: "Namespaced",
            spec: open(json!({ "backupRepoName": text(), "backupMethods": list(method) }), &[]),
            columns: vec![column("BACKUP-REPO", ".spec.backupRepoName"), status()],
        },
        Kind {
            kind: "BackupSchedule",
            plural: "backupschedules",
            scope: "Namespaced",
            spec: open(
                json!({ "backupPolicyName": text(), "schedules": list(entry),
                    "startingDeadlineMinutes": { "type": "integer", "format": "int64", "minimum": 0 } }),
                &["backupPolicyName", "schedules"],
            ),
            columns: vec![status(), column("NEXT", ".status.nextTime")],
        },
        Kind {
            kind: "BackupRepo",
            plural: "backuprepos",
            scope: "Cluster",
            spec: open(
                json!({ "storageProviderRef": text(), "config": { "type": "object", "additionalProperties": text() },
                    "credential": open(json!({ "name": text(), "namespace": text() }), &["name", "namespace"]) }),
                &[],
            ),
            columns: vec![status(), column("STORAGE-PROVIDER", ".spec.storageProviderRef")],
        },
        Kind {
            kind: "Restore",
            plural: "restores",
            scope: "Namespaced",
            spec: open(
                json!({ "backup": open(json!({ "name": text(), "namespace": text() }), &["name"]),
                "restoreTime": text() }),
                &["backup"],
            ),
            columns: vec![
                column("BACKUP", ".spec.backup.name"),
                column("RESTORE-TIME", ".spec.restoreTime"),
                status(),
                column("MESSAGE", ".status.message"),
            ],
        },
        Kind {
            kind: "ActionSet",
            plural: "actionsets",
            scope: "Cluster",
            spec: anything(),
            columns: vec![status()],
        },
    ];
    kinds.into_iter().map(definition).collect()
}

fn definition(kind: Kind) -> Value {
    let mut columns = kind.columns;
    columns.push(json!({ "name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp" }));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{GROUP}", kind.plural),
            "labels": { OURS: "true", "app.kubernetes.io/name": "kubeblocks" } },
        "spec": {
            "group": GROUP,
            "names": { "kind": kind.kind, "listKind": format!("{}List", kind.kind), "plural": kind.plural,
                "singular": kind.kind.to_ascii_lowercase(), "categories": ["kubeblocks", "all"] },
            "scope": kind.scope,
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "apiVersion": { "type": "string" }, "kind": { "type": "string" },
                    "metadata": { "type": "object" }, "spec": kind.spec, "status": anything() } } },
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
            }],
        },
    })
}

fn column(name: &str, path: &str) -> Value {
    json!({ "name": name, "type": "string", "jsonPath": path })
}

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
