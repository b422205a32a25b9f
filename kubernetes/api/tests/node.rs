//! What the node answers reaches clients: plain answers and taken-over connections, over TLS and in
//! the process; and what bad clients get.

mod support;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use support::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;

/// A node that says what it was asked, and echoes on taken-over connections.
async fn node(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let asked = request.uri().to_string();
    if !request.headers().contains_key("upgrade") {
        let body = match request.uri().path() {
            "/stats/pods" => r#"[{"namespace":"default","name":"p","containers":[{"name":"main","cpu_nanos_total":1,"cpu_nanocores":250000000,"memory_working_set":67108864}]}]"#.to_owned(),
            _ => format!("{asked}\n"),
        };
        return Ok(Response::new(Body::from(body)));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.expect("taken over"));
        stream.write_all(asked.as_bytes()).await.expect("written");
        let (mut read, mut write) = tokio::io::split(stream);
        tokio::io::copy(&mut read, &mut write).await.expect("echoed");
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for name in ["connection", "upgrade"] {
        let value = request.headers()[name].clone();
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

async fn with_pod() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.server.set_node(BoxCloneSyncService::new(tower::service_fn(node)));
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeName: here, containers: [{name: main, image: x}]}}";
    let file = cluster.write("pod.yaml", pod);
    cluster.kubectl(&["create", "-f", &file]).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_plain_requests() {
    let cluster = with_pod().await;
    let logs = cluster.kubectl(&["logs", "p", "--tail", "5"]).await;
    assert!(logs.starts_with("/containerLogs/default/p/main?") && logs.contains("tailLines=5"), "{logs}");
    let pods: Api<Pod> = Api::default_namespaced(cluster.admin());
    let logs = pods.logs("p", &LogParams::default()).await.expect("logs");
    assert!(logs.starts_with("/containerLogs/default/p/main"), "{logs}");
    let top = cluster.kubectl(&["top", "pods"]).await;
    assert!(top.contains("250m") && top.contains("64Mi"), "{top}");
    let error = cluster.kubectl_fails(&["logs", "p", "-c", "other"]).await;
    assert!(error.contains("container other is not valid for pod p"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_connections_over() {
    let cluster = with_pod().await;
    for client in [cluster.admin(), cluster.remote().await] {
        let request = Request::get("/api/v1/namespaces/default/pods/p/exec?command=sh&container=main")
            .header("connection", "Upgrade")
            .header("upgrade", "SPDY/3.1")
            .body(kube::client::Body::empty())
            .expect("a request");
        let mut response = client.send(request).await.expect("answered");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = TokioIo::new(hyper::upgrade::on(&mut response).await.expect("taken over"));
        let expected = b"/exec/default/p/main?command=sh&container=main";
        let mut got = vec![0; expected.len()];
        stream.read_exact(&mut got).await.expect("read");
        assert_eq!(got, expected);
        stream.write_all(b"hello").await.expect("written");
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await.expect("read");
        assert_eq!(&echo, b"hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_to_pods_and_services() {
    let cluster = with_pod().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let app = axum::Router::new().fallback(async |request: Request<Body>| {
        assert!(!request.headers().contains_key("authorization"), "credentials stay here");
        request.uri().to_string()
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let status = r#"{"status":{"podIP":"127.0.0.1"}}"#;
    cluster.kubectl(&["patch", "pod", "p", "--subresource", "status", "--type", "merge", "-p", status]).await;
    let objects = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{ports: [{{name: web, port: 80}}]}}}}\n---\n\
         {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
         metadata: {{name: s, labels: {{kubernetes.io/service-name: s}}}}, \
         endpoints: [{{addresses: [127.0.0.1]}}], ports: [{{name: web, port: {port}}}]}}"
    );
    let file = cluster.write("service.yaml", &objects);
    cluster.kubectl(&["create", "-f", &file]).await;
    let base = "/api/v1/namespaces/default";
    let pod = cluster.kubectl(&["get", "--raw", &format!("{base}/pods/p:{port}/proxy/a/b?c=d")]).await;
    assert_eq!(pod, "/a/b?c=d");
    let service = cluster.kubectl(&["get", "--raw", &format!("{base}/services/http:s:web/proxy/x")]).await;
    assert_eq!(service, "/x");
    let error = cluster.kubectl_fails(&["get", "--raw", &format!("{base}/pods/p:1/proxy/")]).await;
    assert!(error.contains("error trying to reach p:1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused() {
    let cluster = Cluster::start().await;
    let big = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: big}}, data: {{a: {}}}}}",
        "x".repeat(4 << 20)
    );
    let file = cluster.write("big.yaml", &big);
    let error = cluster.kubectl_fails(&["create", "-f", &file]).await;
    assert!(error.contains("Request entity too large: limit is 3145728"), "{error}");
    cluster.kubectl(&["create", "cm", "small"]).await;
}

/// A TLS connection that trusts the cluster.
async fn dial(cluster: &Cluster) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let authority =
        CertificateDer::from_pem_slice(cluster.server.ca_pem().as_bytes()).expect("a certificate");
    roots.add(authority).expect("trusted");
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider fits")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(cluster.address).await.expect("connected");
    let name = "localhost".try_into().expect("a name");
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a handshake")
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_finish_are_cut_off() {
    let cluster = Cluster::start().await;
    let started = Instant::now();
    let mut handshake = TcpStream::connect(cluster.address).await.expect("connected");
    handshake.write_all(b"\x16\x03\x01").await.expect("half a handshake");
    let mut headers = dial(&cluster).await;
    headers
        .write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await
        .expect("half the headers");
    let mut silent = dial(&cluster).await;
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    let all = async {
        tokio::join!(
            handshake.read_to_end(&mut first),
            headers.read_to_end(&mut second),
            silent.read_to_end(&mut third)
        )
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), all).await.is_ok(), "all are cut off");
    assert!(started.elapsed() > Duration::from_secs(2), "but not at once");
}
