//! Files of a bucket through the console's door, with the real object storage behind it. The Kubernetes API
//! is played: it knows one bucket, its keys, and where the storage's Service leads.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sealos_console::{Config, Console};
use sealos_s3::{S3, User};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

const SECRET: &str = "0123456789abcdef";
/// More than two parts of an upload, and no whole number of them.
const LARGE: usize = (17 << 20) + 5;

struct Door {
    address: SocketAddr,
    cookie: String,
    _directory: tempfile::TempDir,
    _stop: DropGuard,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }
}

/// What the API says of the bucket `files` of the workspace `default`.
async fn kubernetes(State(storage): State<SocketAddr>, request: Request) -> axum::response::Response {
    let bucket = json!({
        "apiVersion": "objectstorage.sealos.io/v1", "kind": "ObjectStorageBucket",
        "metadata": { "name": "files", "namespace": "default", "generation": 1 },
        "spec": { "policy": "private" },
        "status": { "name": "default-files" },
    });
    // `secret-key` and the like, as base64.
    let encode = |text: &str| json!(k8s_openapi::ByteString(text.as_bytes().to_vec()));
    let path = request.uri().path();
    if path.ends_with("/objectstoragebuckets/files") {
        axum::Json(bucket).into_response()
    } else if path.ends_with("/secrets/object-storage-key") {
        axum::Json(
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "object-storage-key" },
            "data": { "accessKey": encode("default"), "secretKey": encode(SECRET),
                "internal": encode("http://object-storage.sealos-system.svc.cluster.local"),
                "external": encode(&storage.to_string()) } }),
        )
        .into_response()
    } else if path.ends_with("/namespaces/sealos-system/endpointslices") {
        axum::Json(json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {},
            "items": [{ "metadata": { "name": "object-storage" }, "addressType": "IPv4",
                "endpoints": [{ "addresses": [storage.ip()] }], "ports": [{ "port": storage.port() }] }] }))
        .into_response()
    } else {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "NotFound", "message": "there is nothing like that", "code": 404 });
        (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn send(address: SocketAddr, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = request.header("host", address.to_string()).body(Full::new(body.into()));
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

impl Door {
    async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = S3::open(sealos_s3::Config::at(directory.path())).await.expect("the storage opens");
        let user = User { name: "default".into(), ..User::default() };
        storage.put_user(user, SECRET).await.expect("a user");
        storage.create_bucket("default-files", "default").await.expect("a bucket");
        let stop = CancellationToken::new();
        let (listener, storage_address) = listen().await;
        tokio::spawn(storage.serve(listener, stop.clone()));

        let api = Router::new().fallback(kubernetes).with_state(storage_address);
        let (listener, address) = listen().await;
        let console = Console::new(Config {
            client: kube::Client::new(api, "default"),
            public_url: format!("http://{address}"),
            domain: "localhost".into(),
            token_source: Arc::new(|| Box::pin(async { Ok("secret-token".to_owned()) })),
        });
        tokio::spawn(console.clone().serve(listener, stop.clone()));
        let link = console.login_link();
        let path = link.split_once(&address.to_string()).expect("the public address").1;
        let answer = send(address, http::Request::builder().uri(path), "").await;
        let cookie = answer.headers[header::SET_COOKIE].to_str().expect("a cookie");
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        Self { address, cookie, _directory: directory, _stop: stop.drop_guard() }
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        self.ask_for(method, path, ("accept", "*/*"), body).await
    }

    async fn ask_for(
        &self,
        method: Method,
        path: &str,
        extra: (&str, &str),
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/api/v1/workspaces/default/buckets/files{path}"))
            .header("cookie", &self.cookie)
            .header("x-sealos-console", "1")
            .header(extra.0, extra.1);
        send(self.address, request, body).await
    }

    async fn put(&self, key: &str, body: impl Into<Bytes>) {
        let stored = self.ask(Method::PUT, &format!("/content?key={key}"), body).await;
        assert_eq!(stored.status, StatusCode::NO_CONTENT, "{:?}", stored.body);
    }

    async fn keys(&self, prefix: &str) -> (Vec<String>, Vec<String>) {
        let listing = self.ask(Method::GET, &format!("/objects?prefix={prefix}"), "").await;
        assert_eq!(listing.status, StatusCode::OK, "{:?}", listing.body);
        let listing = listing.json();
        let texts = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let folders = listing["prefixes"].as_array().expect("folders").iter().map(texts).collect();
        let files = listing["objects"].as_array().expect("files");
        (folders, files.iter().map(|file| texts(&file["key"])).collect())
    }
}

#[tokio::test]
async fn files_are_listed_folder_by_folder() {
    let door = Door::open().await;
    for key in ["a.txt", "2026/coast/seal.png", "2026/coast/tide.png", "2026/note.txt"] {
        door.put(key, key.to_owned()).await;
    }
    assert_eq!(door.keys("").await, (vec!["2026/".to_owned()], vec!["a.txt".to_owned()]));
    let below = door.keys("2026/").await;
    assert_eq!(below, (vec!["2026/coast/".to_owned()], vec!["2026/note.txt".to_owned()]));

    let doomed = json!({ "keys": ["2026/coast/", "a.txt"] }).to_string();
    let removed = door.ask(Method::POST, "/remove", doomed).await;
    assert_eq!((removed.status, removed.json()), (StatusCode::OK, json!({ "deleted": 3 })));
    assert_eq!(door.keys("").await, (vec!["2026/".to_owned()], vec![]));
}

#[tokio::test]
async fn a_large_file_comes_back_as_it_went() {
    let door = Door::open().await;
    let content: Vec<u8> = (0..LARGE).map(|i| u8::try_from(i % 251).expect("small")).collect();
    door.put("large.bin", content.clone()).await;
    let back = door.ask(Method::GET, "/content?key=large.bin&how=download", "").await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(back.headers[header::CONTENT_DISPOSITION].to_str().expect("text").contains("attachment"));
    assert!(back.body == content, "{} bytes came back, or other ones", back.body.len());
    let path = "/content?key=large.bin&how=download";
    let part = door.ask_for(Method::GET, path, ("range", "bytes=10-19"), "").await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &content[10..20]));
    assert_eq!(part.headers[header::CONTENT_RANGE], format!("bytes 10-19/{LARGE}"));
}

#[tokio::test]
async fn what_was_stored_is_no_page_of_the_console() {
    let door = Door::open().await;
    door.put("evil.html", "<script>alert(1)</script>").await;
    let shown = door.ask(Method::GET, "/content?key=evil.html&how=inline", "").await;
    assert_eq!(shown.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let policy = shown.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
    assert!(policy.contains("sandbox") && !policy.contains("script-src"), "{policy}");
    assert_eq!(shown.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn a_shared_link_needs_no_key() {
    let door = Door::open().await;
    door.put("note.txt", "calm waters").await;
    let share = json!({ "key": "note.txt", "seconds": 60 }).to_string();
    let link = door.ask(Method::POST, "/share", share).await.json();
    let url: http::Uri = link["url"].as_str().expect("a link").parse().expect("an address");
    let storage: SocketAddr = url.authority().expect("a host").as_str().parse().expect("an address");
    let path = url.path_and_query().expect("a path").as_str();
    let read = send(storage, http::Request::builder().uri(path), "").await;
    assert_eq!((read.status, &read.body[..]), (StatusCode::OK, &b"calm waters"[..]));
    let forged = path.replace("note.txt", "other.txt");
    let refused = send(storage, http::Request::builder().uri(forged), "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_not_there_is_told_in_words() {
    let door = Door::open().await;
    let missing = door.ask(Method::GET, "/content?key=nothing.txt", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let message = missing.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.starts_with("read `nothing.txt`: "), "{message}");
    let odd = door.ask(Method::PUT, "/content?key=a//b", "x").await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}
