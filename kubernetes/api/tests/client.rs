//! Clients inside the process: what controllers, the node and the console rely on.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy, WatchEvent, WatchParams,
};
use kube::runtime::{WatchStreamExt, watcher};
use sealos_api::Identity;
use sealos_store::Store;
use serde_json::json;
use support::Cluster;

const PATIENCE: Duration = Duration::from_secs(10);

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "half": if value.ends_with(['1', '3', '5', '7', '9']) { "odd" } else { "even" } } },
        "data": { "v": value },
    }))
    .expect("a valid object")
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name }, "spec": { "containers": [{ "name": "main", "image": "x" }] },
    }))
    .expect("a valid object")
}

/// The code of a refusal; 0 when it is no answer of the server.
fn code(error: kube::Error) -> u16 {
    if let kube::Error::Api(status) = error { status.code } else { 0 }
}

#[tokio::test]
async fn concurrent_changes_are_told_apart() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.admin());
    let created = maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    assert_eq!(
        code(maps.create(&PostParams::default(), &config_map("a", "1")).await.expect_err("taken")),
        409
    );
    let mut first = created.clone();
    first.data = Some(BTreeMap::from([("v".to_owned(), "2".to_owned())]));
    let replaced = maps.replace("a", &PostParams::default(), &first).await.expect("replaced");
    assert_ne!(replaced.metadata.resource_version, created.metadata.resource_version);
    assert_eq!(code(maps.replace("a", &PostParams::default(), &first).await.expect_err("stale")), 409);
    let same = maps.replace("a", &PostParams::default(), &replaced).await.expect("nothing to do");
    assert_eq!(
        same.metadata.resource_version, replaced.metadata.resource_version,
        "a write without a change is none"
    );
    let merges = (0..20).map(|n| {
        let maps = maps.clone();
        let key = format!("k{n}");
        async move {
            maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({ "data": { key: "x" } }))).await
        }
    });
    futures::future::try_join_all(merges).await.expect("patches without a revision never conflict");
    assert_eq!(maps.get("a").await.expect("there").data.map(|data| data.len()), Some(21));
}

#[tokio::test]
async fn lists_select_and_go_on() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin(), "kube-public");
    for n in 0..25 {
        maps.create(&PostParams::default(), &config_map(&format!("m{n:02}"), &n.to_string()))
            .await
            .expect("created");
    }
    let odd = maps.list(&ListParams::default().labels("half=odd")).await.expect("listed");
    assert_eq!(odd.items.len(), 12);
    let one = maps.list(&ListParams::default().fields("metadata.name=m07")).await.expect("listed");
    assert_eq!(one.items.len(), 1);
    let (mut seen, mut token) = (0, None);
    loop {
        let mut params = ListParams::default().limit(10);
        params.continue_token = token;
        let page = maps.list(&params).await.expect("a page");
        assert!(page.items.len() <= 10);
        seen += page.items.len();
        token = page.metadata.continue_;
        if token.as_deref().unwrap_or("").is_empty() {
            break;
        }
    }
    assert_eq!(seen, 26, "25 and the authority's certificate");
    let bad = maps.list(&ListParams::default().fields("data.v=1")).await.expect_err("no such field");
    assert_eq!(code(bad), 400);
}

#[tokio::test]
async fn watches_show_every_change_in_order() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.admin());
    let start = maps
        .list(&ListParams::default())
        .await
        .expect("listed")
        .metadata
        .resource_version
        .expect("a revision");
    let params = WatchParams::default().labels("half=even");
    let mut events = maps.watch(&params, &start).await.expect("watching").boxed();
    maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    maps.create(&PostParams::default(), &config_map("b", "2")).await.expect("created");
    let even = json!({ "metadata": { "labels": { "half": "even" } } });
    maps.patch("a", &PatchParams::default(), &Patch::Merge(even)).await.expect("patched");
    let odd = json!({ "metadata": { "labels": { "half": "odd" } } });
    maps.patch("b", &PatchParams::default(), &Patch::Merge(odd)).await.expect("patched");
    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let event = tokio::time::timeout(PATIENCE, events.try_next()).await.expect("in time").expect("valid");
        seen.push(match event.expect("more events") {
            WatchEvent::Added(map) => format!("+{}", map.metadata.name.unwrap_or_default()),
            WatchEvent::Modified(map) => format!("~{}", map.metadata.name.unwrap_or_default()),
            WatchEvent::Deleted(map) => format!("-{}", map.metadata.name.unwrap_or_default()),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(seen, ["+b", "+a", "-b", "-a"]);
}

#[tokio::test]
async fn a_watch_from_forgotten_history_starts_over() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.admin());
    let old = cluster.store.revision().to_string();
    maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    cluster.store.compact(cluster.store.revision());
    let mut events = maps.watch(&WatchParams::default(), &old).await.expect("answered").boxed();
    let event = tokio::time::timeout(PATIENCE, events.try_next()).await.expect("in time").expect("valid");
    assert!(matches!(event, Some(WatchEvent::Error(status)) if status.code == 410));
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut names = Vec::new();
        let mut objects = watcher(maps.clone(), config).applied_objects().boxed();
        while names.len() < 2 {
            let object =
                tokio::time::timeout(PATIENCE, objects.try_next()).await.expect("in time").expect("valid");
            names.push(object.and_then(|map| map.metadata.name).expect("a name"));
        }
        names.sort();
        assert_eq!(names, ["a", "kube-root-ca.crt"]);
    }
}

#[tokio::test]
async fn finalizers_and_owners_have_a_say() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.admin());
    let mut held = config_map("held", "1");
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    maps.create(&PostParams::default(), &held).await.expect("created");
    let going = maps.delete("held", &DeleteParams::default()).await.expect("marked");
    assert!(going.left().expect("the object").metadata.deletion_timestamp.is_some());
    let release = json!({ "metadata": { "finalizers": null } });
    maps.patch("held", &PatchParams::default(), &Patch::Merge(release)).await.expect("released");
    assert_eq!(code(maps.get("held").await.expect_err("gone")), 404);

    maps.create(&PostParams::default(), &config_map("owner", "1")).await.expect("created");
    let params =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let going = maps.delete("owner", &params).await.expect("marked").left().expect("the object");
    assert_eq!(going.metadata.finalizers, Some(vec!["foregroundDeletion".to_owned()]));

    maps.create(&PostParams::default(), &config_map("kept", "1")).await.expect("created");
    let other = kube::api::Preconditions { uid: Some("another".to_owned()), resource_version: None };
    let params = DeleteParams { preconditions: Some(other), ..DeleteParams::default() };
    assert_eq!(code(maps.delete("kept", &params).await.expect_err("another one")), 409);
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    maps.delete("kept", &dry).await.expect("nothing happens");
    maps.get("kept").await.expect("still there");
}

#[tokio::test]
async fn a_pod_on_a_node_has_time_to_end() {
    let cluster = Cluster::start().await;
    let pods: Api<Pod> = Api::default_namespaced(cluster.admin());
    let created = pods.create(&PostParams::default(), &pod("p")).await.expect("created");
    let spec = created.spec.expect("a spec");
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert!(spec.volumes.is_some_and(|all| all[0].name.starts_with("kube-api-access-")));
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "p" },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "here" },
    });
    let scheduler: Api<Pod> = Api::default_namespaced(cluster.server.client(Identity::scheduler()));
    let _: serde_json::Value =
        scheduler.create_subresource("binding", "p", &PostParams::default(), &binding).await.expect("bound");
    let twice = scheduler
        .create_subresource::<_, serde_json::Value>("binding", "p", &PostParams::default(), &binding)
        .await;
    assert_eq!(code(twice.expect_err("bound already")), 409);
    let bound = pods.get("p").await.expect("there");
    assert_eq!(bound.spec.and_then(|spec| spec.node_name).as_deref(), Some("here"));
    let going = pods.delete("p", &DeleteParams::default()).await.expect("marked").left().expect("the object");
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(30));
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete("p", &now).await.expect("deleted");
    assert_eq!(code(pods.get("p").await.expect_err("gone")), 404);
}

#[tokio::test]
async fn namespaces_end_with_their_content() {
    let cluster = Cluster::start().await;
    let spaces: Api<Namespace> = Api::all(cluster.admin());
    let blue: Namespace = serde_json::from_value(json!({ "metadata": { "name": "blue" } })).expect("valid");
    spaces.create(&PostParams::default(), &blue).await.expect("created");
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin(), "blue");
    accounts.get("default").await.expect("usable at once");
    spaces.delete("blue", &DeleteParams::default()).await.expect("marked");
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin(), "blue");
    assert_eq!(
        code(maps.create(&PostParams::default(), &config_map("a", "1")).await.expect_err("ending")),
        403
    );
    maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("emptied");
    let mut ending = spaces.get("blue").await.expect("still there");
    ending.spec = Some(serde_json::from_value(json!({ "finalizers": [] })).expect("valid"));
    let _: Namespace = spaces
        .replace_subresource("finalize", "blue", &PostParams::default(), &ending)
        .await
        .expect("finalized");
    assert_eq!(code(spaces.get("blue").await.expect_err("gone")), 404);
    assert_eq!(code(spaces.delete("default", &DeleteParams::default()).await.expect_err("refused")), 403);
}

#[tokio::test]
async fn services_get_addresses_that_nobody_else_has() {
    let cluster = Cluster::start().await;
    let services: Api<Service> = Api::default_namespaced(cluster.admin());
    let service = |name: &str, spec: serde_json::Value| -> Service {
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).expect("valid")
    };
    let ports = json!([{ "port": 80 }]);
    let first = services
        .create(&PostParams::default(), &service("a", json!({ "type": "NodePort", "ports": ports })))
        .await
        .expect("created");
    let spec = first.spec.expect("a spec");
    let address = spec.cluster_ip.expect("an address");
    let port = spec.ports.expect("ports")[0].node_port.expect("a node port");
    assert!((30000..=32767).contains(&port));
    let taken = json!({ "clusterIP": address, "ports": ports });
    assert_eq!(
        code(services.create(&PostParams::default(), &service("b", taken)).await.expect_err("taken")),
        422
    );
    let taken = json!({ "type": "NodePort", "ports": [{ "port": 1, "nodePort": port }] });
    assert_eq!(
        code(services.create(&PostParams::default(), &service("b", taken)).await.expect_err("taken")),
        422
    );
    let headless = json!({ "clusterIP": "None", "ports": ports });
    let made = services.create(&PostParams::default(), &service("h", headless)).await.expect("created");
    assert_eq!(made.spec.and_then(|spec| spec.cluster_ip).as_deref(), Some("None"));
    services.delete("a", &DeleteParams::default()).await.expect("deleted");
    let again = json!({ "clusterIP": address, "ports": ports });
    services.create(&PostParams::default(), &service("c", again)).await.expect("free again");
    let racing = (0..50).map(|n| {
        let (services, service) =
            (services.clone(), service(&format!("r{n}"), json!({ "ports": [{ "port": 1 }] })));
        async move { services.create(&PostParams::default(), &service).await }
    });
    let made = futures::future::try_join_all(racing).await.expect("created");
    let addresses: std::collections::HashSet<_> =
        made.into_iter().filter_map(|service| service.spec.and_then(|spec| spec.cluster_ip)).collect();
    assert_eq!(addresses.len(), 50);
}

#[tokio::test]
async fn rights_end_where_roles_do() {
    let cluster = Cluster::start().await;
    let bob = cluster.server.client(Identity::new("bob", None::<String>));
    let maps: Api<ConfigMap> = Api::default_namespaced(bob.clone());
    assert_eq!(code(maps.list(&ListParams::default()).await.expect_err("forbidden")), 403);
    cluster.kubectl(&["create", "rolebinding", "b", "--clusterrole", "admin", "--user", "bob"]).await;
    maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("allowed now");
    let elsewhere: Api<ConfigMap> = Api::namespaced(bob.clone(), "kube-system");
    assert_eq!(code(elsewhere.list(&ListParams::default()).await.expect_err("forbidden")), 403);
    let file = cluster.write("role.yaml", "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: own}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}");
    cluster.kubectl(&["--as", "bob", "create", "-f", &file]).await;
    let file = cluster.write("role.yaml", "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: more}, rules: [{apiGroups: [''], resources: [nodes], verbs: ['*']}]}");
    let error = cluster.kubectl_fails(&["--as", "bob", "create", "-f", &file]).await;
    assert!(error.contains("attempting to grant RBAC permissions not currently held"), "{error}");
    let error = cluster
        .kubectl_fails(&[
            "--as",
            "bob",
            "create",
            "rolebinding",
            "x",
            "--clusterrole",
            "cluster-admin",
            "--user",
            "bob",
        ])
        .await;
    assert!(error.contains("not currently held"), "{error}");
    let nobody: Api<ConfigMap> = Api::default_namespaced(cluster.server.open_client());
    assert_eq!(code(nobody.list(&ListParams::default()).await.expect_err("forbidden")), 403);
}

#[tokio::test]
async fn tokens_end_with_their_account() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["create", "sa", "robot"]).await;
    cluster
        .kubectl(&[
            "create",
            "rolebinding",
            "r",
            "--clusterrole",
            "view",
            "--serviceaccount",
            "default:robot",
        ])
        .await;
    let token = cluster.kubectl(&["create", "token", "robot"]).await;
    let ask = async || {
        let request = http::Request::get("/api/v1/namespaces/default/configmaps")
            .header("authorization", format!("Bearer {}", token.trim()))
            .body(Vec::new())
            .expect("a request");
        cluster.server.open_client().request::<serde_json::Value>(request).await
    };
    ask().await.expect("the account may read");
    cluster.kubectl(&["delete", "sa", "robot"]).await;
    assert_eq!(code(ask().await.expect_err("the account is gone")), 401);
}

#[tokio::test]
async fn quotas_hold_under_a_race() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["create", "quota", "q", "--hard", "pods=3"]).await;
    let pods: Api<Pod> = Api::default_namespaced(cluster.admin());
    let racing = (0..10).map(|n| {
        let (pods, pod) = (pods.clone(), pod(&format!("p{n}")));
        async move { pods.create(&PostParams::default(), &pod).await.is_ok() }
    });
    let made = futures::future::join_all(racing).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(made, 3);
    let wait = ["wait", "--for", "jsonpath={.status.used.pods}=3", "quota/q", "--timeout", "10s"];
    cluster.kubectl(&wait).await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = || sealos_store::Config::new(dir.path().join("objects.redb"));
    // The clients of the first server end a moment after it.
    let open = async || {
        let started = std::time::Instant::now();
        loop {
            match Store::open(config()) {
                Err(sealos_store::Error::InUse { .. }) if started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => return other.expect("opens"),
            }
        }
    };
    let address = "127.0.0.1:6443".parse().expect("an address");
    let mut revisions = Vec::new();
    for _ in 0..2 {
        let store = open().await;
        let config = sealos_api::Config::new(store.clone(), dir.path().join("pki"), address);
        let server = sealos_api::Server::start(config).await.expect("starts");
        let services: Api<Service> = Api::default_namespaced(server.client(Identity::admin()));
        let own = services.get("kubernetes").await.expect("there");
        assert_eq!(own.spec.and_then(|spec| spec.cluster_ip).as_deref(), Some("10.96.0.1"));
        revisions.push(store.revision());
    }
    assert_eq!(revisions[0], revisions[1], "a second start has nothing to write");
}

/// Sends an endless body over HTTP/1.1 or 2; what the server answered.
async fn send_endlessly(cluster: &Cluster, path: &str, flags: &[&str]) -> serde_json::Value {
    let output = tokio::process::Command::new("curl")
        .args(["-sSk", "-X", "POST", "-T", "/dev/zero", "--max-time", "20", "-H", "Expect:"])
        .args(["-H", "Content-Type: application/json"])
        .args(flags)
        .arg(format!("https://{}{path}", cluster.address))
        .output()
        .await
        .expect("curl runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).expect(&complaint)
}

/// Writes a field of the administrator's kubeconfig to a file, for curl.
async fn user_file(cluster: &Cluster, field: &str) -> String {
    let path = format!("-o=jsonpath={{.users[0].user.{field}}}");
    let text = cluster.kubectl(&["config", "view", "--raw", &path]).await;
    let file = cluster.path().join(field);
    std::fs::write(&file, BASE64.decode(text).expect("base64")).expect("written");
    file.display().to_string()
}

#[tokio::test]
async fn a_body_without_end_is_answered() {
    let cluster = Cluster::start().await;
    let certificate = user_file(&cluster, "client-certificate-data").await;
    let key = user_file(&cluster, "client-key-data").await;
    let known = ["--cert", &certificate, "--key", &key];
    let path = "/api/v1/namespaces/default/configmaps";
    for version in ["--http1.1", "--http2"] {
        let stranger = send_endlessly(&cluster, path, &[version]).await;
        assert_eq!((&stranger["kind"], &stranger["code"]), (&json!("Status"), &json!(403)), "{version}");
        let flags = [&[version], known.as_slice()].concat();
        let large = send_endlessly(&cluster, path, &flags).await;
        assert_eq!((&large["kind"], &large["code"]), (&json!("Status"), &json!(413)), "{version}: {large}");
    }
}
