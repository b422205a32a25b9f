//! What containers are told: variables, configuration, volumes.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::cloud::{Cloud, container};
use crate::{Test, Work};

pub(crate) const TESTS: &[Test] = &[
    ("variables_come_from_everywhere", variables),
    ("missing_configuration_is_waited_for", missing),
    ("config_volumes_follow_their_objects", config_volumes),
    ("tokens_are_projected", tokens),
    ("directories_are_mounted", directories),
    ("claims_lead_to_volumes", claims),
];

fn variables(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.create::<ConfigMap>(json!({"metadata": {"name": "cm"}, "data": {"COLOR": "blue"}})).await;
        cloud
            .create::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"PASSWORD": "hunter2"}}))
            .await;
        let main = json!({
            "name": "c", "command": ["sh", "-c", "env; pwd; id -u; echo args $0 $1"], "args": ["$(COLOR)", "$$(COLOR)"],
            "workingDir": "/etc",
            "envFrom": [{"configMapRef": {"name": "cm"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            ],
            "resources": {"limits": {"memory": "64Mi"}},
        });
        cloud.pod("p", json!({"restartPolicy": "Never", "containers": [main]})).await;
        let pod = cloud.until_phase("p", "Succeeded").await;
        let log = cloud.until_log("p", "c", "args").await;
        let ip = pod.status.unwrap().pod_ip.unwrap();
        for part in [
            "COLOR=blue",
            "S_PASSWORD=hunter2",
            "LABEL=p",
            "LIMIT=64",
            "FROM_IMAGE=yes",
            "HOSTNAME=p",
            "KUBERNETES_SERVICE_PORT=443",
            "/etc\n0\n",
            "args blue $(COLOR)",
            &format!("IP={ip}"),
        ] {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
    })
}

fn missing(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "echo $COLOR; sleep 1000"],
            "env": [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "COLOR"}}}]});
        cloud.pod("p", json!({"containers": [main]})).await;
        let waits =
            |pod: &_| container(pod, "c")["state"]["waiting"]["reason"] == "CreateContainerConfigError";
        let pod = cloud.until("p", "waiting for its configuration", waits).await;
        assert_eq!(container(&pod, "c")["state"]["waiting"]["message"], "configmap \"late\" not found");
        cloud.until_event("p", "Failed Error: configmap \"late\" not found").await;
        let begun = std::time::Instant::now();
        cloud.create::<ConfigMap>(json!({"metadata": {"name": "late"}, "data": {"COLOR": "green"}})).await;
        cloud.until_ready("p").await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
        cloud.until_log("p", "c", "green").await;

        let volumes = json!([{"name": "v", "secret": {"secretName": "late"}}]);
        let main = json!({"name": "c", "command": ["cat", "/v/k"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        cloud.pod("q", json!({"restartPolicy": "Never", "volumes": volumes, "containers": [main]})).await;
        cloud
            .until_event(
                "q",
                "FailedMount MountVolume.SetUp failed for volume \"v\" : secret \"late\" not found",
            )
            .await;
        cloud.create::<Secret>(json!({"metadata": {"name": "late"}, "stringData": {"k": "v1"}})).await;
        cloud.until_phase("q", "Succeeded").await;
        cloud.until_log("q", "c", "v1").await;
    })
}

fn config_volumes(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.create::<ConfigMap>(json!({"metadata": {"name": "cm"}, "data": {"a": "1", "b": "x\n"}})).await;
        let volumes = json!([
            {"name": "cm", "configMap": {"name": "cm", "items": [{"key": "a", "path": "dir/a", "mode": 0o600}]}},
            {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "all", "projected": {"sources": [{"configMap": {"name": "cm"}}, {"secret": {"name": "none", "optional": true}}]}},
        ]);
        let script = "stat -c %a /cm/dir/a; cat /down/labels; ls /all; cat /sub; until grep -q 2 /cm/dir/a; do sleep 0.05; done; echo changed; sleep 1000";
        let mounts = json!([{"name": "cm", "mountPath": "/cm"}, {"name": "down", "mountPath": "/down"},
            {"name": "all", "mountPath": "/all"}, {"name": "all", "mountPath": "/sub", "subPath": "b"}]);
        let main = json!({"name": "c", "command": ["sh", "-c", script], "volumeMounts": mounts});
        cloud.pod("p", json!({"volumes": volumes, "containers": [main]})).await;
        cloud.until_ready("p").await;
        let log = cloud.until_log("p", "c", "x").await;
        for part in ["600", "app=\"p\"", "a\n", "b\n"] {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
        let patch = Patch::Merge(json!({"data": {"a": "2"}}));
        cloud.api::<ConfigMap>().patch("cm", &PatchParams::default(), &patch).await.unwrap();
        cloud.until_log("p", "c", "changed").await;
    })
}

fn tokens(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let dir = "/var/run/secrets/kubernetes.io/serviceaccount";
        let script =
            format!("cat {dir}/namespace; echo; cut -c1-2 {dir}/token; wc -c < {dir}/token; ls {dir}");
        let main = json!({"name": "c", "command": ["sh", "-c", script]});
        let spec =
            json!({"restartPolicy": "Never", "automountServiceAccountToken": true, "containers": [main]});
        cloud.pod("p", spec).await;
        cloud.until_phase("p", "Succeeded").await;
        let log = cloud.until_log("p", "c", "token").await;
        assert!(log.starts_with("default\ney\n"), "{log}");
        assert!(log.contains("ca.crt"), "{log}");
    })
}

fn directories(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let host = cloud.dir.path().join("host");
        let volumes = json!([
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
            {"name": "host", "hostPath": {"path": host, "type": "DirectoryOrCreate"}},
        ]);
        let mounts = json!([
            {"name": "disk", "mountPath": "/disk"}, {"name": "memory", "mountPath": "/memory"},
            {"name": "host", "mountPath": "/host"}, {"name": "host", "mountPath": "/read", "readOnly": true},
            {"name": "host", "mountPath": "/named", "subPathExpr": "$(POD)"},
        ]);
        let script = "id; echo x > /disk/f && stat -c '%a %g' /disk/f; grep ' /memory ' /proc/mounts; echo hi > /host/f; \
            touch /read/f 2>&1; echo sub > /named/g; echo done";
        let main = json!({
            "name": "c", "command": ["sh", "-c", script], "volumeMounts": mounts,
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        });
        let security = json!({"runAsUser": 0, "fsGroup": 4321, "supplementalGroups": [77]});
        let spec = json!({"restartPolicy": "Never", "securityContext": security, "volumes": volumes, "containers": [main]});
        cloud.pod("p", spec).await;
        cloud.until_phase("p", "Succeeded").await;
        let log = cloud.until_log("p", "c", "done").await;
        for part in ["4321", "77", "644 4321", "tmpfs /memory tmpfs", "size=8192k", "Read-only file system"] {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
        assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "hi\n");
        assert_eq!(std::fs::read_to_string(host.join("p/g")).unwrap(), "sub\n");
        cloud.delete("p").await;
        let bad = json!({"restartPolicy": "Never", "volumes": [{"name": "h", "hostPath": {"path": "/no/such", "type": "File"}}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "h", "mountPath": "/h"}]}]});
        cloud.pod("bad", bad).await;
        cloud.until_event("bad", "hostPath type check failed: /no/such does not exist").await;
        cloud.delete("bad").await;
    })
}

fn claims(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let path = cloud.dir.path().join("volume");
        std::fs::create_dir(&path).unwrap();
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "pv1"}});
        cloud.create::<PersistentVolumeClaim>(claim).await;
        let main = json!({"name": "c", "command": ["sh", "-c", "echo kept > /data/f; sleep 1000"],
            "volumeMounts": [{"name": "d", "mountPath": "/data"}]});
        let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
        cloud.pod("p", json!({"volumes": volumes, "containers": [main]})).await;
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"name": "pv1"},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": path},
                "claimRef": {"namespace": "default", "name": "data"}},
        })).unwrap();
        let volumes: Api<PersistentVolume> = Api::all(cloud.client.clone());
        volumes.create(&PostParams::default(), &volume).await.unwrap();
        let bound = Patch::Merge(json!({"status": {"phase": "Bound"}}));
        cloud
            .api::<PersistentVolumeClaim>()
            .patch_status("data", &PatchParams::default(), &bound)
            .await
            .unwrap();
        cloud.until_ready("p").await;
        let begun = std::time::Instant::now();
        while std::fs::read_to_string(path.join("f")).ok().as_deref() != Some("kept\n") {
            assert!(begun.elapsed().as_secs() < 10);
            tokio::task::yield_now().await;
        }
    })
}
