//! Tables as a user would read them.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::cells::plain;
use crate::catalogue::by_plural;

fn check(group: &str, version: &str, plural: &str, object: Value, expected: Expect) {
    let resource = by_plural(group, version, plural).expect("a built-in kind");
    let now = "2026-01-01T01:00:00Z".parse().expect("a time");
    let (columns, cells) = (resource.columns(), resource.cells(&object, now));
    assert_eq!(columns.len(), cells.len());
    let rows = columns.iter().zip(&cells).map(|(column, cell)| {
        let wide = if column.priority > 0 { "+" } else { "" };
        format!("{wide}{}: {}", column.name, plain(cell))
    });
    expected.assert_eq(&rows.collect::<Vec<_>>().join("\n"));
}

fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"})
}

#[test]
fn pods() {
    let pod = json!({
        "metadata": meta("web"),
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n1"},
        "status": {"phase": "Running", "podIP": "10.0.0.9", "containerStatuses": [
            {"name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
             "lastState": {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}},
            {"name": "b", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ]}
    });
    check(
        "",
        "v1",
        "pods",
        pod,
        expect![[r#"
        Name: web
        Ready: 1/2
        Status: CrashLoopBackOff
        Restarts: 2 (5m ago)
        Age: 60m
        +IP: 10.0.0.9
        +Node: n1
        +Nominated Node: <none>
        +Readiness Gates: <none>"#]],
    );
    let waiting = json!({
        "metadata": meta("init"),
        "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
        "status": {"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
            {"name": "j", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
        ]}
    });
    check(
        "",
        "v1",
        "pods",
        waiting,
        expect![[r#"
        Name: init
        Ready: 0/1
        Status: Init:1/2
        Restarts: 0
        Age: 60m
        +IP: <none>
        +Node: <none>
        +Nominated Node: <none>
        +Readiness Gates: <none>"#]],
    );
}

#[test]
fn deployments() {
    let deployment = json!({
        "metadata": meta("web"),
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}},
        "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}
    });
    check(
        "apps",
        "v1",
        "deployments",
        deployment,
        expect![[r#"
        Name: web
        Ready: 2/3
        Up-to-date: 3
        Available: 2
        Age: 60m
        +Containers: c
        +Images: nginx
        +Selector: app=web"#]],
    );
}

#[test]
fn services() {
    let service = json!({
        "metadata": meta("web"),
        "spec": {"type": "NodePort", "clusterIP": "10.1.0.5", "selector": {"app": "web"},
                 "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}
    });
    check(
        "",
        "v1",
        "services",
        service,
        expect![[r#"
        Name: web
        Type: NodePort
        Cluster-IP: 10.1.0.5
        External-IP: <none>
        Port(s): 80:30080/TCP,53/UDP
        Age: 60m
        +Selector: app=web"#]],
    );
}

#[test]
fn nodes() {
    let node = json!({
        "metadata": {"name": "n1", "creationTimestamp": "2026-01-01T00:00:00Z",
                     "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.37.0"},
                   "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}
    });
    check(
        "",
        "v1",
        "nodes",
        node,
        expect![[r#"
        Name: n1
        Status: Ready,SchedulingDisabled
        Roles: control-plane
        Age: 60m
        Version: v1.37.0
        +Internal-IP: 10.0.0.1
        +External-IP: <none>
        +OS-Image: <unknown>
        +Kernel-Version: <unknown>
        +Container-Runtime: <unknown>"#]],
    );
}

#[test]
fn jobs() {
    let job = json!({
        "metadata": meta("once"),
        "spec": {"completions": 1, "template": {"spec": {"containers": []}}},
        "status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z",
                   "conditions": [{"type": "Complete", "status": "True"}]}
    });
    check(
        "batch",
        "v1",
        "jobs",
        job,
        expect![[r#"
        Name: once
        Status: Complete
        Completions: 1/1
        Duration: 7s
        Age: 60m
        +Containers: 
        +Images: 
        +Selector: <none>"#]],
    );
}

#[test]
fn claims_and_autoscalers() {
    let claim = json!({
        "metadata": meta("data"),
        "spec": {"volumeName": "pv-1", "storageClassName": "local", "volumeMode": "Filesystem"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    });
    check(
        "",
        "v1",
        "persistentvolumeclaims",
        claim,
        expect![[r#"
        Name: data
        Status: Bound
        Volume: pv-1
        Capacity: 1Gi
        Access Modes: RWO
        StorageClass: local
        VolumeAttributesClass: <unset>
        Age: 60m
        +VolumeMode: Filesystem"#]],
    );
    let hpa = json!({
        "metadata": meta("web"),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5, "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]},
        "status": {"currentReplicas": 2, "currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 10}}}]}
    });
    check(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        hpa,
        expect![[r#"
        Name: web
        Reference: Deployment/web
        Targets: cpu: 10%/80%
        MinPods: 1
        MaxPods: 5
        Replicas: 2
        Age: 60m"#]],
    );
}

#[test]
fn events() {
    let event = json!({
        "metadata": meta("web.1"), "type": "Warning", "reason": "BackOff", "message": "m\n", "count": 3,
        "firstTimestamp": "2026-01-01T00:30:00Z", "lastTimestamp": "2026-01-01T00:59:30Z",
        "involvedObject": {"kind": "Pod", "name": "web"}, "source": {"component": "kubelet", "host": "n1"}
    });
    check(
        "",
        "v1",
        "events",
        event,
        expect![[r#"
        Last Seen: 30s
        Type: Warning
        Reason: BackOff
        Object: pod/web
        +Subobject: 
        +Source: kubelet, n1
        Message: m
        +First Seen: 30m
        +Count: 3
        +Name: web.1"#]],
    );
}
