//! A new Cluster from a backup: the description that the backup carries, with a note where its data is.
//! Bringing the data in is for `sealos-db-backup`, which sees the note.

use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use sealos_db_engines::names;
use serde_json::{Value, json};

use crate::Error;
use crate::model::{API_VERSION, Cluster, FINALIZER, OpsRequest};

/// On a Backup: the Cluster it is of, as `{metadata, spec}`.
const SNAPSHOT: &str = "kubeblocks.io/cluster-snapshot";

/// Creates the Cluster; the refusal in words.
pub(super) async fn restore(client: &Client, op: &OpsRequest) -> Result<Result<String, String>, Error> {
    let namespace = op.namespace().unwrap_or_default();
    let kind = GroupVersionKind::gvk("dataprotection.kubeblocks.io", "v1alpha1", "Backup");
    let backups: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &namespace, &ApiResource::from_gvk(&kind));
    let Some(name) = backup_name(&op.spec) else {
        return Ok(Err("spec.restore.backupName names no Backup".into()));
    };
    let backup = backups.get_opt(name).await.map_err(Error::api(format!("look for the Backup `{name}`")))?;
    let Some(backup) = backup else { return Ok(Err(format!("there is no Backup `{name}`"))) };
    let cluster = match cluster_from(&backup, op) {
        Ok(cluster) => cluster,
        Err(why) => return Ok(Err(why)),
    };
    let resource = ApiResource::erase::<Cluster>(&());
    let clusters: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    match clusters.create(&PostParams::default(), &cluster).await {
        Ok(_) => Ok(Ok(format!("Cluster `{}` is being made from the Backup `{name}`", op.cluster()))),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Ok(Err(format!("there is a Cluster `{}` already; name one that there is not", op.cluster())))
        }
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(Err(status.message.clone())),
        Err(error) => Err(Error::api(format!("create Cluster `{}`", op.cluster()))(error)),
    }
}

/// 0.8 and 0.9 nest it differently.
fn part<'a>(spec: &'a Value, key: &str) -> Option<&'a str> {
    let found = spec["restore"][key].as_str().or_else(|| spec["restoreSpec"][key].as_str());
    found.filter(|text| !text.is_empty())
}

fn backup_name(spec: &Value) -> Option<&str> {
    part(spec, "backupName")
}

/// The new Cluster. Pure.
fn cluster_from(backup: &DynamicObject, op: &OpsRequest) -> Result<DynamicObject, String> {
    let name = backup.name_any();
    let phase = backup.data["status"]["phase"].as_str().unwrap_or_default();
    if phase != "Completed" {
        return Err(format!("the Backup `{name}` is not whole; its phase is `{phase}`"));
    }
    let text = backup.annotations().get(SNAPSHOT);
    let known: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if !known["spec"].is_object() {
        return Err(format!("the Backup `{name}` does not say which Cluster it is of"));
    }
    let component = backup.labels().get(names::COMPONENT).cloned().unwrap_or_default();
    let mut from = json!({ "name": name, "namespace": op.namespace() });
    if let Some(time) = part(&op.spec, "restoreTimeStr").or_else(|| part(&op.spec, "restorePointInTime")) {
        from["restoreTime"] = json!(time);
    }
    let mut annotations = known["metadata"]["annotations"].clone();
    annotations[names::RESTORE_FROM] = json!(json!({ component: from }).to_string());
    let mut labels = known["metadata"]["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        labels.remove(names::INSTANCE);
    }
    let cluster = json!({
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "metadata": { "name": op.cluster(), "labels": labels, "annotations": annotations, "finalizers": [FINALIZER] },
        "spec": known["spec"],
    });
    serde_json::from_value(cluster).map_err(|e| format!("the Backup `{name}` describes no Cluster: {e}"))
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::cluster_from;

    #[test]
    fn a_cluster_is_made_from_what_its_backup_tells() {
        let snapshot =
            json!({ "metadata": { "labels": { "x": "y" } }, "spec": { "terminationPolicy": "Delete" } });
        let backup = serde_json::from_value(json!({
            "apiVersion": "dataprotection.kubeblocks.io/v1alpha1", "kind": "Backup",
            "metadata": { "name": "b1", "labels": { "apps.kubeblocks.io/component-name": "postgresql" },
                "annotations": { "kubeblocks.io/cluster-snapshot": snapshot.to_string() } },
            "status": { "phase": "Completed" },
        }))
        .expect("a Backup");
        let op = serde_json::from_value(json!({
            "metadata": { "name": "r", "namespace": "ns-a" },
            "spec": { "clusterName": "shop2", "type": "Restore",
                "restore": { "backupName": "b1", "volumeRestorePolicy": "Parallel" } },
        }))
        .expect("an OpsRequest");
        let cluster = cluster_from(&backup, &op).expect("a Cluster");
        assert_eq!(cluster.name_any(), "shop2");
        assert_eq!(
            cluster.annotations().get("kubeblocks.io/restore-from-backup").map(String::as_str),
            Some(r#"{"postgresql":{"name":"b1","namespace":"ns-a"}}"#)
        );
    }
}
