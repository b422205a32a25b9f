//! The controller against an API that a test drives: lists, watches, and what is written back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use parking_lot::Mutex;
use sealos_gateway::Gateway;
use sealos_ingress::Config;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

type Reply = Response<BoxBody<Bytes, Infallible>>;
/// What a watch sends, by the plural of its kind.
type Feeds = HashMap<String, mpsc::UnboundedSender<Bytes>>;

/// An API with fixed lists, open watches, and a record of writes.
#[derive(Clone, Default)]
struct Api {
    lists: Arc<HashMap<&'static str, Vec<Value>>>,
    feeds: Arc<Mutex<Feeds>>,
    written: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Api {
    fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let api = api.clone();
            async move { Ok::<Reply, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Reply {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        if *request.method() != Method::GET {
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            let value: Value = serde_json::from_slice(&body).expect("JSON");
            self.written.lock().push((path, value.clone()));
            return json_reply(&value);
        }
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        if query.contains("watch=true") {
            let (feed, lines) = mpsc::unbounded_channel();
            self.feeds.lock().insert(plural, feed);
            let frames = UnboundedReceiverStream::new(lines).map(|line| Ok(Frame::data(line)));
            return Response::new(BodyExt::boxed(StreamBody::new(frames)));
        }
        let items = self.lists.get(plural.as_str()).cloned().unwrap_or_default();
        json_reply(&json!({ "apiVersion": "v1", "kind": "List",
            "metadata": { "resourceVersion": "1" }, "items": items }))
    }

    async fn send(&self, plural: &str, kind: &str, object: &Value) {
        until(|| self.feeds.lock().contains_key(plural)).await;
        let line = format!("{}\n", json!({ "type": kind, "object": object }));
        self.feeds.lock()[plural].send(Bytes::from(line)).expect("the watch is open");
    }
}

fn json_reply(value: &Value) -> Reply {
    Response::new(BodyExt::boxed(Full::new(Bytes::from(value.to_string()))))
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("in time");
}

fn ingress(namespace: &str, host: &str, second: u32) -> Value {
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "namespace": namespace, "name": "web", "uid": format!("uid-{namespace}"),
            "resourceVersion": "5", "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
        "spec": { "rules": [{ "host": host, "http": { "paths": [
            { "path": "/", "pathType": "Prefix", "backend": backend } ] } }] } })
}

fn slice(ready: bool) -> Value {
    json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "namespace": "a", "name": "web-1", "resourceVersion": "6",
            "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4", "ports": [{ "port": 8080 }],
        "endpoints": [{ "addresses": ["10.0.0.2"], "conditions": { "ready": ready } }] })
}

#[tokio::test]
async fn routes_follow_the_cluster() {
    let service =
        json!({ "metadata": { "namespace": "a", "name": "web" }, "spec": { "ports": [{ "port": 80 }] } });
    let ingresses = vec![ingress("a", "web.example.com", 1), ingress("b", "web.example.com", 2)];
    let lists = HashMap::from([("ingresses", ingresses), ("services", vec![service])]);
    let api = Api { lists: Arc::new(lists), ..Api::default() };
    let gateway = Gateway::new(sealos_gateway::Config::default()).expect("a gateway");
    let config = Config {
        domain: "example.com".to_owned(),
        http_port: 80,
        https_port: 443,
        static_routes: vec![(
            "console.example.com".to_owned(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, 7000)),
        )],
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(sealos_ingress::run(api.client(), gateway.clone(), config, shutdown.clone()));
    gateway.until_routed("console.example.com").await;
    assert!(!gateway.is_routed("web.example.com"));

    api.send("endpointslices", "ADDED", &slice(false)).await;
    api.send("endpointslices", "MODIFIED", &slice(true)).await;
    let begun = Instant::now();
    gateway.until_routed("web.example.com").await;
    println!("routed {:?} after the endpoint was ready", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());

    let status = |path: &str| path.ends_with("/namespaces/a/ingresses/web/status");
    until(|| api.written.lock().iter().any(|(path, _)| status(path))).await;
    until(|| api.written.lock().iter().any(|(path, _)| path.ends_with("/namespaces/b/events"))).await;
    let written = api.written.lock().clone();
    let (_, patch) = written.iter().find(|(path, _)| status(path)).expect("written");
    assert_eq!(patch["status"]["loadBalancer"]["ingress"][0]["hostname"], "example.com");
    let (_, event) = written.iter().find(|(path, _)| path.ends_with("/events")).expect("written");
    assert_eq!((event["reason"].as_str(), event["type"].as_str()), (Some("HostTaken"), Some("Warning")));
    assert!(event["note"].as_str().is_some_and(|note| note.contains("web.example.com")), "{event}");

    api.send("ingresses", "DELETED", &ingress("a", "web.example.com", 1)).await;
    until(|| !gateway.is_routed("web.example.com")).await;
    shutdown.cancel();
    running.await.expect("no panic").expect("a clean end");
}
