//! A small cloud for one test: store, API server and node in this process, real containers.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use sealos_api::{Identity, Server};
use sealos_container::Runtime;
use sealos_network::{Network, pick_cidrs};
use sealos_node::{BuildRunner, Config, Node, Reserved};
use sealos_oci::{Images, Progress, ProgressSink, Reference, RegistryConfig, build};
use sealos_store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const IMAGE: &str = "sealos.local/test/busybox:latest";
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Cloud {
    pub dir: tempfile::TempDir,
    pub client: kube::Client,
    pub runtime: Runtime,
    pub network: Network,
    images: Images,
    server: Server,
    node: Node,
    shutdown: CancellationToken,
    dns_ip: Ipv4Addr,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().canonicalize().unwrap();
        let id = format!("{:08x}", rand::random::<u32>());
        let bridge = format!("sealos-{}", &id[..6]);
        let cidrs = pick_cidrs(&id, &bridge, None).await.unwrap();
        let network = Network::open(sealos_network::Config {
            bridge,
            id: id.clone(),
            netns_dir: data.join("netns"),
            pod_cidr: cidrs.pods,
            service_cidr: cidrs.services,
        })
        .await
        .unwrap();
        let runtime = Runtime::new(sealos_container::Config {
            state_dir: data.join("containers"),
            cgroup_parent: format!("/sealos-{id}"),
            shim: PathBuf::from("/proc/self/exe"),
        })
        .unwrap();
        let images = Images::open(data.join("images")).unwrap();
        let store = Store::open(sealos_store::Config::new(data.join("store/db"))).unwrap();
        let advertise = (network.gateway_ip(), 6443).into();
        let mut config = sealos_api::Config::new(store, data.join("pki"), advertise);
        config.service_cidr = cidrs.services.to_string().parse().unwrap();
        let server = Server::start(config).await.unwrap();
        build_image(&images, &runtime, &data).await;
        let client = server.client(Identity::admin());
        let dns_ip = cidrs.services.nth(10);
        let shutdown = CancellationToken::new();
        let parts = (&server, &runtime, &network, &images, dns_ip);
        let node = start_node(parts, &data, &shutdown).await;
        Self { dir, client, runtime, network, images, server, node, shutdown, dns_ip }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Stops the node as a crash would: nothing is ended or tidied up.
    pub(crate) fn crash_node(&self) {
        self.shutdown.cancel();
    }

    /// Crashes the node and starts another over what it left.
    pub(crate) async fn restart_node(&mut self) {
        self.crash_node();
        self.shutdown = CancellationToken::new();
        let data = self.dir.path().canonicalize().unwrap();
        let parts = (&self.server, &self.runtime, &self.network, &self.images, self.dns_ip);
        self.node = start_node(parts, &data, &self.shutdown).await;
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Creates a pod with this spec, bound to the node. Containers get the test image.
    pub(crate) async fn pod(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = json!("n1");
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if container.get("image").is_none() {
                    container["image"] = json!(IMAGE);
                }
            }
        }
        if spec.get("terminationGracePeriodSeconds").is_none() {
            spec["terminationGracePeriodSeconds"] = json!(1);
        }
        if spec.get("automountServiceAccountToken").is_none() {
            spec["automountServiceAccountToken"] = json!(false);
        }
        self.create(json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})).await
    }

    pub(crate) async fn get(&self, name: &str) -> Pod {
        self.api::<Pod>().get(name).await.unwrap()
    }

    /// Waits until the pod is as wanted.
    pub(crate) async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let begun = Instant::now();
        loop {
            let pod = self.get(name).await;
            if wanted(&pod) {
                return pod;
            }
            if begun.elapsed() > LIMIT {
                let status = serde_json::to_string_pretty(&pod.status).unwrap();
                panic!("{name} is not {what}: {status}\n{:#?}", self.events(name).await);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_ready(&self, name: &str) -> Pod {
        self.until(name, "ready", |pod| condition(pod, "Ready") == Some("True")).await
    }

    pub(crate) async fn until_phase(&self, name: &str, phase: &str) -> Pod {
        let is = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(phase);
        self.until(name, phase, is).await
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.api::<Pod>().delete(name, &DeleteParams::default()).await.unwrap();
        let begun = Instant::now();
        while self.api::<Pod>().get_opt(name).await.unwrap().is_some() {
            assert!(begun.elapsed() < LIMIT, "{name} is not deleted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let events = self.api::<Event>().list(&params).await.unwrap();
        let mut events: Vec<_> = events.items;
        events.sort_by_key(|e| e.metadata.resource_version.clone());
        let text = |o: Option<String>| o.unwrap_or_default();
        events.into_iter().map(|e| format!("{} {}", text(e.reason), text(e.message))).collect()
    }

    pub(crate) async fn until_event(&self, name: &str, part: &str) {
        let begun = Instant::now();
        while !self.events(name).await.iter().any(|event| event.contains(part)) {
            assert!(
                begun.elapsed() < LIMIT,
                "no event of {name} says {part}: {:#?}",
                self.events(name).await
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The log of a container, through the node's own service.
    pub(crate) async fn log(&self, pod: &str, container: &str, query: &str) -> String {
        self.ask(&format!("/containerLogs/default/{pod}/{container}?{query}")).await
    }

    pub(crate) async fn ask(&self, path: &str) -> String {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = self.node.service().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Waits until the container has logged this.
    pub(crate) async fn until_log(&self, pod: &str, container: &str, part: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log(pod, container, "").await;
            if log.contains(part) {
                return log;
            }
            assert!(begun.elapsed() < LIMIT, "{pod}/{container} never logs {part}: {log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop_all(&self) {
        self.node.stop_all(Duration::from_secs(2)).await;
    }

    /// Ends everything and says what is left.
    pub(crate) async fn close(self) -> Result<(), String> {
        let limit = tokio::time::timeout(Duration::from_secs(20), self.stop_all());
        let stopped = limit.await.map_err(|_| "the node did not stop".to_owned());
        self.shutdown.cancel();
        let left: Vec<_> = self.runtime.list().into_iter().map(|c| c.id).collect();
        let attached = self.network.attached().len();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let pods = self.dir.path().join("pods");
        let mounted = mounts.lines().filter(|line| line.contains(&*pods.to_string_lossy())).count();
        self.runtime.destroy_all().await.map_err(|e| e.to_string())?;
        self.network.destroy().await.map_err(|e| e.to_string())?;
        stopped?;
        if !left.is_empty() || attached > 0 || mounted > 0 {
            return Err(format!("containers {left:?}, {attached} networks, {mounted} mounts"));
        }
        Ok(())
    }
}

type Engines<'a> = (&'a Server, &'a Runtime, &'a Network, &'a Images, Ipv4Addr);

async fn start_node(engines: Engines<'_>, data: &Path, shutdown: &CancellationToken) -> Node {
    let (server, runtime, network, images, dns_ip) = engines;
    let config = || Config {
        name: "n1".into(),
        data_dir: data.to_owned(),
        client: server.client(Identity::node("n1")),
        runtime: runtime.clone(),
        network: network.clone(),
        images: images.clone(),
        registries: RegistryConfig::default(),
        cluster_domain: "cluster.local".into(),
        dns_ip,
        system_reserved: Reserved::default(),
        max_pods: 110,
    };
    // The port of a name server that was told to end is free a moment later.
    let begun = Instant::now();
    let node = loop {
        match Node::start(config(), shutdown.clone()).await {
            Ok(node) => break node,
            Err(error) => assert!(begun.elapsed() < LIMIT, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    server.set_node(node.service());
    node
}

/// A static busybox, installed from the distribution if it is missing.
fn busybox() -> &'static Path {
    let busybox = Path::new("/bin/busybox");
    let apt = |args: &[&str]| {
        let mut command = std::process::Command::new("apt-get");
        command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300"]).args(args);
        command.env("DEBIAN_FRONTEND", "noninteractive").output().unwrap().status.success()
    };
    let install = ["install", "--no-install-recommends", "busybox-static"];
    if !busybox.exists() {
        assert!(apt(&install) || (apt(&["update"]) && apt(&install)), "install busybox-static");
    }
    busybox
}

async fn build_image(images: &Images, runtime: &Runtime, data: &Path) {
    let context = data.join("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::copy(busybox(), context.join("busybox")).unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        // Two steps that change nothing are the same layer; output comes to its end.
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
         RUN mkdir -p /etc /tmp /www && chmod 1777 /tmp && echo 'root:x:0:0:root:/:/bin/sh' > /etc/passwd && \
         echo 'web:x:1234:1234:web:/:/bin/sh' >> /etc/passwd\nRUN true\nRUN echo early; sleep 0.3; echo late\nENV PATH=/bin FROM_IMAGE=yes\n\
         CMD [\"sleep\", \"1000\"]\n",
    )
    .unwrap();
    let context = build::Context {
        dir: context,
        tag: Some(Reference::parse(IMAGE).unwrap()),
        ..build::Context::default()
    };
    let runner = BuildRunner::new(runtime.clone());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let sink: ProgressSink = Arc::new(move |event| {
        if let Progress::Output { text, .. } = event {
            hear.lock().unwrap().push(text);
        }
    });
    build::build(images, context, &runner, Some(sink)).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), ["early", "late"]);
}

pub(crate) fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == name).map(|c| c.status.as_str())
}

/// The status of a container, as JSON for easy looking.
pub(crate) fn container(pod: &Pod, name: &str) -> Value {
    let status = serde_json::to_value(&pod.status).unwrap();
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut all = lists.iter().flat_map(|list| status[*list].as_array().cloned().unwrap_or_default());
    all.find(|c| c["name"] == name).unwrap_or_default()
}
