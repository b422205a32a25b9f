//! Starting, ending, restarting.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::cloud::{Cloud, condition, container};
use crate::{Test, Work};

pub(crate) const TESTS: &[Test] = &[
    ("a_pod_runs_and_is_deleted", runs),
    ("exit_codes_decide_the_phase", phases),
    ("crashes_back_off", crashes),
    ("init_containers_run_in_order", init),
    ("sidecars_outlive_the_rest", sidecars),
    ("a_new_daemon_finds_the_containers", adoption),
    ("what_was_deleted_meanwhile_is_removed", orphans),
    ("a_restarted_machine_starts_over", reboot),
    ("held_pods_say_how_they_ended", finalizers),
    ("debug_containers_join_a_running_pod", debuggers),
];

fn runs(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let script = "echo hello $WHO from $HOSTNAME; trap 'echo bye; exit 0' TERM; sleep 1000 & wait";
        let main =
            json!({"name": "c", "command": ["sh", "-c", script], "env": [{"name": "WHO", "value": "world"}]});
        cloud.pod("web", json!({"containers": [main], "terminationGracePeriodSeconds": 10})).await;
        let pod = cloud.until_ready("web").await;
        assert_eq!(condition(&pod, "Initialized"), Some("True"));
        let status = pod.status.unwrap();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(status.pod_ip.is_some() && status.host_ip.is_some() && status.start_time.is_some());
        assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
        cloud.until_log("web", "c", "hello world from web").await;
        cloud.until_event("web", "Started Started container c").await;
        cloud.until_event("web", "Pulled Container image").await;
        let begun = std::time::Instant::now();
        cloud.delete("web").await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "the container heeds SIGTERM");
        cloud.until_event("web", "Killing Stopping container c").await;
        assert!(cloud.runtime.list().is_empty());
    })
}

fn phases(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let end = |code: i32| json!([{"name": "c", "command": ["sh", "-c", format!("echo last words > /dev/termination-log; exit {code}")]}]);
        cloud.pod("good", json!({"restartPolicy": "Never", "containers": end(0)})).await;
        cloud.pod("bad", json!({"restartPolicy": "OnFailure", "containers": end(3)})).await;
        cloud.pod("never", json!({"restartPolicy": "Never", "containers": end(4)})).await;
        let pod = cloud.until_phase("good", "Succeeded").await;
        let state = &container(&pod, "c")["state"]["terminated"];
        assert_eq!((state["exitCode"].as_i64(), state["reason"].as_str()), (Some(0), Some("Completed")));
        assert_eq!(state["message"], "last words\n");
        let pod = cloud.until_phase("never", "Failed").await;
        assert_eq!(container(&pod, "c")["state"]["terminated"]["exitCode"], 4);
        let pod = cloud.until("bad", "restarted", |pod| container(pod, "c")["restartCount"] == 1).await;
        assert_eq!(container(&pod, "c")["lastState"]["terminated"]["exitCode"], 3);
        cloud.delete("good").await;
        cloud.delete("never").await;
    })
}

fn crashes(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud
            .pod("p", json!({"containers": [{"name": "c", "command": ["sh", "-c", "echo try; exit 1"]}]}))
            .await;
        let looping = |pod: &_| container(pod, "c")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        let pod = cloud.until("p", "crash looping", looping).await;
        assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
        assert_eq!(container(&pod, "c")["restartCount"], 1);
        cloud.until_event("p", "BackOff Back-off restarting failed container c in pod p_default").await;
        assert!(cloud.log("p", "c", "previous=true").await.contains("try"));
        cloud.pod("missing", json!({"containers": [{"name": "c", "command": ["/no/such/program"]}]})).await;
        let failed = |pod: &_| container(pod, "c")["lastState"]["terminated"]["reason"] == "StartError";
        let pod = cloud.until("missing", "failing", failed).await;
        let message = container(&pod, "c")["lastState"]["terminated"]["message"].to_string();
        assert!(message.contains("/no/such/program"), "{message}");
    })
}

fn init(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let shared = json!([{"name": "d", "mountPath": "/d"}]);
        let step = |name: &str, script: &str| json!({"name": name, "command": ["sh", "-c", script], "volumeMounts": shared});
        let spec = json!({
            "volumes": [{"name": "d", "emptyDir": {}}],
            "initContainers": [step("one", "echo 1 >> /d/f"), step("two", "echo 2 >> /d/f")],
            "containers": [step("main", "cat /d/f; sleep 1000")],
        });
        cloud.pod("p", spec).await;
        let pod = cloud.until_ready("p").await;
        assert_eq!(container(&pod, "one")["state"]["terminated"]["exitCode"], 0);
        cloud.until_log("p", "main", "1\n2\n").await;
        let failing = json!({"restartPolicy": "Never", "initContainers": [step_plain("bad", "exit 7")],
            "containers": [step_plain("main", "true")]});
        cloud.pod("q", failing).await;
        let pod = cloud.until_phase("q", "Failed").await;
        assert_eq!(container(&pod, "main")["state"]["waiting"]["reason"], "PodInitializing");
    })
}

fn step_plain(name: &str, script: &str) -> serde_json::Value {
    json!({"name": name, "command": ["sh", "-c", script]})
}

fn sidecars(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let mut sidecar =
            step_plain("side", "touch /tmp/up; trap 'echo ended; exit 0' TERM; sleep 1000 & wait");
        sidecar["restartPolicy"] = json!("Always");
        sidecar["startupProbe"] = json!({"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1});
        let spec = json!({"restartPolicy": "Never", "initContainers": [sidecar],
            "containers": [step_plain("main", "echo working")]});
        cloud.pod("p", spec).await;
        let pod = cloud.until_phase("p", "Succeeded").await;
        assert_eq!(container(&pod, "main")["state"]["terminated"]["exitCode"], 0);
        assert!(container(&pod, "side")["state"]["terminated"].is_object());
    })
}

fn adoption(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "httpd -f -p 80 -h /etc"],
            "readinessProbe": {"httpGet": {"port": 80, "path": "/passwd"}, "periodSeconds": 1}});
        cloud.pod("p", json!({"containers": [main]})).await;
        cloud.pod("gone", json!({"containers": [step_plain("c", "sleep 1000")]})).await;
        let before = cloud.until_ready("p").await;
        cloud.until_ready("gone").await;
        let pids = |cloud: &Cloud| {
            let mut pids: Vec<_> = cloud.runtime.list().into_iter().map(|c| c.pid).collect();
            pids.sort_unstable();
            pids
        };
        let old = pids(cloud);
        cloud.restart_node().await;
        // When a new pod has come up, the old ones have long been found.
        cloud.pod("new", json!({"containers": [step_plain("c", "sleep 1000")]})).await;
        cloud.until_ready("new").await;
        let after = cloud.get("p").await;
        assert_eq!(before.status, after.status);
        assert_eq!(before.metadata.resource_version, after.metadata.resource_version, "it is no news");
        cloud.delete("new").await;
        assert_eq!(pids(cloud), old);
        cloud.until_log("p", "c", "").await;
        cloud.delete("gone").await;
        cloud.delete("p").await;
        assert!(cloud.runtime.list().is_empty());
    })
}

fn orphans(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.pod("p", json!({"containers": [step_plain("c", "sleep 1000")]})).await;
        cloud.until_ready("p").await;
        cloud.crash_node();
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        cloud.api::<Pod>().delete("p", &at_once).await.unwrap();
        cloud.restart_node().await;
        let begun = std::time::Instant::now();
        let left = || {
            let dirs = ["pods", "logs/pods"]
                .map(|dir| std::fs::read_dir(cloud.dir.path().join(dir)).unwrap().count());
            (cloud.runtime.list().len(), cloud.network.attached().len(), dirs)
        };
        while left() != (0, 0, [0, 0]) {
            assert!(begun.elapsed().as_secs() < 10, "{:?}", left());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
}

fn reboot(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let shared = json!([{"name": "d", "mountPath": "/d"}]);
        let step = |name: &str, script: &str| json!({"name": name, "command": ["sh", "-c", script], "volumeMounts": shared});
        let spec = json!({
            "volumes": [{"name": "d", "emptyDir": {}}],
            "initContainers": [step("one", "echo again >> /d/f")],
            "containers": [step("main", "cat /d/f; sleep 1000")],
        });
        cloud.pod("p", spec).await;
        let uid = cloud.until_ready("p").await.metadata.uid.unwrap();
        cloud.crash_node();
        for container in cloud.runtime.list() {
            let _ended = cloud.runtime.kill(&container.id, 9).await;
            cloud.runtime.wait(&container.id).await.unwrap();
        }
        cloud.network.detach(&uid).await.unwrap();
        cloud.restart_node().await;
        let again = |pod: &Pod| {
            condition(pod, "Ready") == Some("True") && container(pod, "main")["restartCount"] == 1
        };
        let pod = cloud.until("p", "ready again", again).await;
        assert_eq!(container(&pod, "main")["lastState"]["terminated"]["exitCode"], 137);
        cloud.until_log("p", "main", "again\nagain\n").await;
    })
}

fn finalizers(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.pod("p", json!({"containers": [step_plain("c", "sleep 1000")]})).await;
        let held = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
        let pods = cloud.api::<Pod>();
        pods.patch("p", &PatchParams::default(), &held).await.unwrap();
        cloud.until_ready("p").await;
        pods.delete("p", &DeleteParams::default()).await.unwrap();
        let pod = cloud.until_phase("p", "Failed").await;
        assert_eq!(container(&pod, "c")["state"]["terminated"]["exitCode"], 137);
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        pods.patch("p", &PatchParams::default(), &free).await.unwrap();
        let begun = std::time::Instant::now();
        while pods.get_opt("p").await.unwrap().is_some() {
            assert!(begun.elapsed().as_secs() < 10, "the pod stays");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
}

fn debuggers(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.pod("p", json!({"containers": [step_plain("c", "sleep 1000")]})).await;
        cloud.until_ready("p").await;
        let debugger = json!({"name": "debug", "image": crate::cloud::IMAGE, "command": ["sh", "-c", "echo looking; ip addr"]});
        let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [debugger]}}));
        cloud.api::<Pod>().patch_ephemeral_containers("p", &PatchParams::default(), &patch).await.unwrap();
        let ip = cloud.get("p").await.status.unwrap().pod_ip.unwrap();
        cloud.until_log("p", "debug", &ip).await;
        let ended = |pod: &Pod| {
            let statuses = pod.status.as_ref().and_then(|s| s.ephemeral_container_statuses.clone());
            statuses.is_some_and(|list| {
                list.iter().any(|c| c.state.as_ref().is_some_and(|s| s.terminated.is_some()))
            })
        };
        let pod = cloud.until("p", "debugged", ended).await;
        assert_eq!(condition(&pod, "Ready"), Some("True"));
    })
}
