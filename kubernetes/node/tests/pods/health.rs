//! Probes, hooks, deadlines, limits and what they do to a pod.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cloud::{Cloud, condition, container};
use crate::{Test, Work};

pub(crate) const TESTS: &[Test] = &[
    ("readiness_comes_and_goes", readiness),
    ("liveness_restarts", liveness),
    ("startup_holds_the_others_back", startup),
    ("hooks_run_at_both_ends", hooks),
    ("the_stubborn_are_killed", stubborn),
    ("a_deadline_ends_the_pod", deadline),
    ("memory_has_a_limit", memory),
    ("users_and_rights_are_applied", rights),
    ("pull_errors_are_told", pull_errors),
];

fn readiness(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "sleep 0.5; touch /tmp/ok; sleep 1.5; rm /tmp/ok; sleep 1000"],
            "readinessProbe": {"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 1, "failureThreshold": 1}});
        let begun = Instant::now();
        cloud.pod("p", json!({"containers": [main]})).await;
        let pod = cloud.until_phase("p", "Running").await;
        assert_eq!(condition(&pod, "Ready"), Some("False"));
        cloud.until_ready("p").await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        cloud.until("p", "unready again", |pod| condition(pod, "Ready") == Some("False")).await;
        cloud.until_event("p", "Unhealthy Readiness probe failed: cat: can't open '/tmp/ok'").await;
        assert_eq!(container(&cloud.get("p").await, "c")["restartCount"], 0);
    })
}

fn liveness(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
            "livenessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 2}});
        cloud.pod("p", json!({"containers": [main]})).await;
        let pod = cloud.until("p", "restarted", |pod| container(pod, "c")["restartCount"] == 1).await;
        assert!(container(&pod, "c")["lastState"]["terminated"].is_object());
        cloud.until_event("p", "Killing Container c failed liveness probe, will be restarted").await;
        cloud.until_event("p", "connect: connection refused").await;
    })
}

fn startup(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "sleep 2; touch /tmp/up; sleep 1000"],
            "startupProbe": {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 10},
            "livenessProbe": {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 1}});
        cloud.pod("p", json!({"containers": [main]})).await;
        let pod = cloud.until_phase("p", "Running").await;
        assert_eq!(container(&pod, "c")["started"], false);
        let pod = cloud.until_ready("p").await;
        assert_eq!(container(&pod, "c")["restartCount"], 0);
        assert_eq!(container(&pod, "c")["started"], true);
    })
}

fn hooks(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let host = cloud.dir.path().join("hooks");
        let volumes = json!([{"name": "h", "hostPath": {"path": host, "type": "DirectoryOrCreate"}}]);
        let main = json!({
            "name": "c", "command": ["sh", "-c", "trap 'echo end >> /h/f; exit 0' TERM; sleep 1000 & wait"],
            "volumeMounts": [{"name": "h", "mountPath": "/h"}],
            "lifecycle": {
                "postStart": {"exec": {"command": ["sh", "-c", "echo post >> /h/f"]}},
                "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo pre >> /h/f"]}},
            },
        });
        let spec = json!({"volumes": volumes, "containers": [main], "terminationGracePeriodSeconds": 5});
        cloud.pod("p", spec).await;
        cloud.until_ready("p").await;
        cloud.delete("p").await;
        assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "post\npre\nend\n");
        let main = json!({"name": "c", "command": ["sleep", "1000"],
            "lifecycle": {"postStart": {"exec": {"command": ["false"]}}}});
        cloud.pod("q", json!({"containers": [main]})).await;
        cloud.until_event("q", "FailedPostStartHook").await;
    })
}

fn stubborn(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main =
            json!({"name": "c", "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]});
        cloud.pod("p", json!({"containers": [main], "terminationGracePeriodSeconds": 2})).await;
        cloud.until_ready("p").await;
        let begun = Instant::now();
        cloud.delete("p").await;
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(5), "{took:?}");
    })
}

fn deadline(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sleep", "1000"]});
        cloud
            .pod("p", json!({"containers": [main], "activeDeadlineSeconds": 1, "restartPolicy": "Never"}))
            .await;
        let pod = cloud.until_phase("p", "Failed").await;
        assert_eq!(pod.status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    })
}

fn memory(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "tail /dev/zero"],
            "resources": {"limits": {"memory": "16Mi", "cpu": "500m"}}});
        cloud.pod("p", json!({"containers": [main], "restartPolicy": "Never"})).await;
        let pod = cloud.until_phase("p", "Failed").await;
        let end = &container(&pod, "c")["state"]["terminated"];
        assert_eq!((end["reason"].as_str(), end["exitCode"].as_i64()), (Some("OOMKilled"), Some(137)));
        let busy = json!({"name": "c", "command": ["sh", "-c", "while true; do :; done"],
            "resources": {"limits": {"memory": "16Mi", "cpu": "200m"}}});
        cloud.pod("q", json!({"containers": [busy]})).await;
        cloud.until_ready("q").await;
        let begun = Instant::now();
        loop {
            let stats: serde_json::Value = serde_json::from_str(&cloud.ask("/stats/pods").await).unwrap();
            let mut pods = stats.as_array().unwrap().iter();
            let own = pods.find(|pod| pod["name"] == "q").unwrap()["containers"][0].clone();
            if own["cpu_nanocores"].as_u64().is_some_and(|n| n > 50_000_000) {
                assert!(own["cpu_nanocores"].as_u64().unwrap() < 400_000_000, "{own}");
                assert!(own["memory_working_set"].as_u64().unwrap() > 0, "{own}");
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{stats}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let node: serde_json::Value = serde_json::from_str(&cloud.ask("/stats/node").await).unwrap();
        assert!(node["cpu_nanocores"].as_u64().unwrap() > 0);
    })
}

fn rights(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let script = "id -u; id -g; touch /x 2>&1; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; hostname; cat /etc/hosts";
        let main = json!({"name": "c", "command": ["sh", "-c", script], "securityContext": {
            "runAsUser": 1234, "runAsGroup": 5, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        }});
        let spec = json!({"containers": [main], "restartPolicy": "Never", "hostname": "host", "subdomain": "sub",
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["alias"]}]});
        cloud.pod("p", spec).await;
        cloud.until_phase("p", "Succeeded").await;
        let log = cloud.until_log("p", "c", "alias").await;
        for part in [
            "1234\n5\n",
            "Read-only file system",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "host\n",
            "host.sub.default.svc.cluster.local\thost",
            "1.2.3.4\talias",
        ] {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
        let root = json!({"name": "c", "securityContext": {"runAsNonRoot": true}});
        cloud.pod("root", json!({"containers": [root]})).await;
        cloud.until_event("root", "container has runAsNonRoot and image will run as root").await;
    })
}

fn pull_errors(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let image = |name: &str| json!({"name": "c", "image": name});
        cloud.pod("local", json!({"containers": [image("sealos.local/test/none:1")]})).await;
        cloud.pod("refused", json!({"containers": [image("127.0.0.1:1/none:1")]})).await;
        cloud.pod("invalid", json!({"containers": [image("Not/AN image")]})).await;
        let mut never = image("sealos.local/test/none:1");
        never["imagePullPolicy"] = json!("Never");
        cloud.pod("never", json!({"containers": [never]})).await;
        for (name, reason) in [
            ("local", "ImagePullBackOff"),
            ("refused", "ImagePullBackOff"),
            ("invalid", "InvalidImageName"),
            ("never", "ErrImageNeverPull"),
        ] {
            let waits = |pod: &_| container(pod, "c")["state"]["waiting"]["reason"] == reason;
            let pod = cloud.until(name, reason, waits).await;
            assert!(container(&pod, "c")["state"]["waiting"]["message"].is_string());
        }
        cloud.until_event("refused", "Failed Error: ErrImagePull").await;
        cloud.until_event("refused", "BackOff Back-off pulling image \"127.0.0.1:1/none:1\"").await;
    })
}
