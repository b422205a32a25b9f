//! Services, names, and a node that stops and starts.

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use serde_json::{Value, json};

use crate::cloud::{Cloud, condition, container};
use crate::{Test, Work};

pub(crate) const TESTS: &[Test] = &[
    ("services_lead_to_pods", services),
    ("host_ports_lead_to_pods", host_ports),
    ("the_host_network_can_be_used", host_network),
    ("the_node_is_registered", node),
    ("a_stopped_node_starts_its_pods_again", stop_and_start),
];

const SERVER: &str = "mkdir -p /tmp/www; echo served > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www";

fn server(extra: &Value) -> Value {
    let mut container = json!({"name": "c", "command": ["sh", "-c", SERVER],
        "readinessProbe": {"httpGet": {"port": 80, "path": "/"}}});
    for (name, value) in extra.as_object().into_iter().flatten() {
        container[name] = value.clone();
    }
    container
}

async fn service(cloud: &Cloud, name: &str, spec: Value, ip: &str) -> Service {
    let made = cloud.create::<Service>(json!({"metadata": {"name": name}, "spec": spec})).await;
    let slice = json!({
        "metadata": {"name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "hostname": "web", "conditions": {"ready": true}}],
    });
    cloud.create::<EndpointSlice>(slice).await;
    made
}

fn services(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        cloud.pod("web", json!({"containers": [server(&json!({}))]})).await;
        let ip = cloud.until_ready("web").await.status.unwrap().pod_ip.unwrap();
        let ports = json!([{"name": "http", "port": 8080, "targetPort": 80}]);
        service(cloud, "shop", json!({"ports": ports, "selector": {"app": "web"}}), &ip).await;
        let headless =
            json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}});
        service(cloud, "direct", headless, &ip).await;
        // The static busybox looks names up itself only in `nslookup`.
        let script = "until wget -q -O - http://$SHOP_SERVICE_HOST:$SHOP_SERVICE_PORT/; do sleep 0.1; done; \
            echo shop is $SHOP_SERVICE_HOST; nslookup shop.default.svc.cluster.local; \
            nslookup web.direct.default.svc.cluster.local; cat /etc/resolv.conf; echo done";
        let main = json!({"name": "c", "command": ["sh", "-c", script]});
        cloud.pod("client", json!({"containers": [main], "restartPolicy": "Never"})).await;
        let log = cloud.until_log("client", "c", "done").await;
        let vip = log.split("shop is ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        assert!(log.contains("served"), "{log}");
        assert!(log.matches(vip).count() >= 2, "the service has a name: {log}");
        assert!(log.contains(&ip) && log.contains("search default.svc.cluster.local"), "{log}");
    })
}

fn host_ports(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let port = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let ports = json!({"ports": [{"containerPort": 80, "hostPort": port}]});
        cloud.pod("web", json!({"containers": [server(&ports)]})).await;
        let pod = cloud.until_ready("web").await;
        let host = pod.status.unwrap().host_ip.unwrap();
        let script = format!("wget -q -O - http://{host}:{port}/; echo done");
        let main = json!({"name": "c", "command": ["sh", "-c", script]});
        cloud.pod("client", json!({"containers": [main], "restartPolicy": "Never"})).await;
        let log = cloud.until_log("client", "c", "done").await;
        assert!(log.contains("served"), "{log}");
    })
}

fn host_network(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let main = json!({"name": "c", "command": ["sh", "-c", "ls /sys/class/net; hostname; sleep 1000"]});
        cloud.pod("p", json!({"containers": [main], "hostNetwork": true})).await;
        let status = cloud.until_ready("p").await.status.unwrap();
        assert_eq!(status.pod_ip, status.host_ip);
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        cloud.until_log("p", "c", own.trim()).await;
    })
}

fn node(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let nodes: Api<Node> = Api::all(cloud.client.clone());
        let leases: Api<k8s_openapi::api::coordination::v1::Lease> =
            Api::namespaced(cloud.client.clone(), "kube-node-lease");
        let begun = std::time::Instant::now();
        loop {
            let node = nodes.get_opt("n1").await.unwrap();
            let status = node.and_then(|node| node.status);
            let conditions = status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
            let ready = conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
            let leased = leases.get_opt("n1").await.unwrap().is_some();
            if ready && leased {
                let status = serde_json::to_value(status).unwrap();
                assert!(status["capacity"]["cpu"].is_string(), "{status}");
                assert!(status["images"][0]["names"].to_string().contains("busybox"), "{status}");
                assert_eq!(status["nodeInfo"]["operatingSystem"], "linux");
                return;
            }
            assert!(begun.elapsed().as_secs() < 10, "{status:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
}

fn stop_and_start(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let init = json!({"name": "i", "command": ["true"]});
        cloud.pod("web", json!({"initContainers": [init], "containers": [server(&json!({}))]})).await;
        cloud.until_ready("web").await;
        cloud.stop_all().await;
        assert!(cloud.runtime.list().is_empty() && cloud.network.attached().is_empty());
        let pod = cloud.get("web").await;
        assert_eq!(condition(&pod, "Ready"), Some("False"));
        cloud.restart_node().await;
        let pod = cloud.until_ready("web").await;
        assert_eq!(container(&pod, "c")["restartCount"], 1);
        assert!(container(&pod, "c")["lastState"]["terminated"].is_object());
    })
}
