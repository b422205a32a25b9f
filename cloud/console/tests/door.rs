//! The console's door over a small Kubernetes API that remembers what it was asked.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use sealos_console::{Config, Console};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the API was asked, with the credentials that came along.
type Asked = Arc<Mutex<Vec<(String, String, bool)>>>;

struct Door {
    console: Console,
    address: std::net::SocketAddr,
    asked: Asked,
    _stop: DropGuard,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn kubernetes(State(asked): State<Asked>, request: Request) -> axum::response::Response {
    let credentials =
        request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let cookie = request.headers().contains_key(header::COOKIE);
    asked.lock().push((request.uri().path().to_owned(), credentials.to_owned(), cookie));
    let path = request.uri().path().to_owned();
    let refuse = |code: StatusCode, reason: &str, message: &str| {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": reason, "message": message, "code": code.as_u16(),
        });
        (code, axum::Json(status)).into_response()
    };
    match path.as_str() {
        "/api/v1/namespaces" => {
            axum::Json(json!({ "apiVersion": "v1", "kind": "NamespaceList", "metadata": {},
            "items": [{ "metadata": { "name": "kube-system" } }, { "metadata": { "name": "default" } }] }))
            .into_response()
        }
        path if path.contains("/namespaces/closed/") => {
            refuse(StatusCode::FORBIDDEN, "Forbidden", "pods is forbidden: you may not list them")
        }
        path if path.contains("/deployments/") || path.contains("/statefulsets/") => {
            refuse(StatusCode::NOT_FOUND, "NotFound", "there is no such workload")
        }
        path if path.ends_with("/services/kubernetes") => axum::Json(json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": { "name": "kubernetes", "labels": { "component": "apiserver" } } }))
        .into_response(),
        _ => axum::Json(json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": [] }))
            .into_response(),
    }
}

impl Door {
    async fn open() -> Self {
        let asked = Asked::default();
        let api = Router::new().fallback(kubernetes).with_state(asked.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let console = Console::new(Config {
            client: kube::Client::new(api, "default"),
            public_url: format!("http://{address}"),
            domain: "localhost".into(),
            token_source: Arc::new(|| Box::pin(async { Ok("secret-token".to_owned()) })),
        });
        let stop = CancellationToken::new();
        tokio::spawn(console.clone().serve(listener, stop.clone()));
        Self { console, address, asked, _stop: stop.drop_guard() }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("the console listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let mut request =
            http::Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers, "").await
    }

    /// Logs in and gives the cookie.
    async fn log_in(&self) -> String {
        let link = self.console.login_link();
        let path = link.split_once(&self.address.to_string()).expect("the public address").1;
        let answer = self.get(path, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let cookie = answer.header(header::SET_COOKIE);
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

#[tokio::test]
async fn a_stranger_learns_how_to_get_in() {
    let door = Door::open().await;
    let answer = door.get("/api/v1/session", &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.json()["error"]["detail"].as_str().expect("a hint").contains("sealos console"));
    assert!(!door.asked.lock().iter().any(|(path, ..)| path == "/api/v1/namespaces"));
}

#[tokio::test]
async fn a_link_works_once() {
    let door = Door::open().await;
    let link = door.console.login_link();
    let path = link.split_once(&door.address.to_string()).expect("the public address").1;
    assert_eq!(door.get(path, &[]).await.header(header::LOCATION), "/");
    assert_eq!(door.get(path, &[]).await.header(header::LOCATION), "/logged-out?why=link");
}

#[tokio::test]
async fn a_session_acts_with_its_token_until_it_ends() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let session = door.get("/api/v1/session", &[("cookie", &cookie)]).await;
    assert_eq!(session.json()["workspaces"], json!(["default"]));
    let asked = door.asked.lock().clone();
    assert!(asked.iter().all(|(_, credentials, cookie)| credentials == "Bearer secret-token" && !cookie));
    let out = [("cookie", cookie.as_str()), ("x-sealos-console", "1")];
    assert_eq!(door.ask(Method::POST, "/api/v1/logout", &out, "").await.status, StatusCode::NO_CONTENT);
    let after = door.get("/api/v1/session", &[("cookie", &cookie)]).await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let post = |headers: Vec<(&'static str, String)>| {
        let (door, cookie) = (&door, cookie.clone());
        async move {
            let mut all = vec![("cookie", cookie.as_str())];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            door.ask(Method::POST, "/api/v1/workspaces/default/apps/web/stop", &all, "").await.status
        }
    };
    let marked = ("x-sealos-console", "1".to_owned());
    assert_eq!(post(vec![]).await, StatusCode::FORBIDDEN);
    assert_eq!(
        post(vec![marked.clone(), ("origin", "http://evil.example".into())]).await,
        StatusCode::FORBIDDEN
    );
    let own = ("origin", format!("http://{}", door.address));
    assert_eq!(post(vec![marked, own]).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let headers = [("cookie", cookie.as_str()), ("x-sealos-console", "1")];
    let apps = "/api/v1/workspaces/default/apps";
    let post = |body: String| door.ask(Method::POST, apps, &headers, body);

    let unknown = post(json!({ "name": "web", "image": "nginx", "prots": [] }).to_string()).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.json()["error"]["detail"].as_str().expect("detail").contains("unknown field `prots`"));

    let wrong = post(json!({ "name": "web", "image": "", "ports": [{ "port": 0 }] }).to_string()).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = wrong.json()["error"]["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|f| f["field"].clone())
        .collect();
    assert_eq!(fields, ["image", "ports[0].port"]);

    let taken = post(json!({ "name": "kubernetes", "image": "nginx", "port": 80 }).to_string()).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert_eq!(taken.json()["error"]["fields"][0]["field"], "name");

    let large = post("x".repeat(3 << 20)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.json()["error"]["code"], "TooLarge");
}

#[tokio::test]
async fn a_wrong_database_is_refused_with_every_problem() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let headers = [("cookie", cookie.as_str()), ("x-sealos-console", "1")];
    let wanted = json!({ "name": "No", "engine": "oracle", "version": "1", "replicas": 0, "cpu": "1",
        "memory": "1Gi", "storage": "1Gi", "sync": false, "schedule": null });
    let path = "/api/v1/workspaces/default/databases";
    let refused = door.ask(Method::POST, path, &headers, wanted.to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = refused.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("`oracle`") && message.contains("replicas"), "{message}");
}

#[tokio::test]
async fn the_engines_that_can_be_had_are_told() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let engines = door.get("/api/v1/engines", &[("cookie", &cookie)]).await.json();
    let postgres = engines.as_array().expect("engines").iter().find(|e| e["name"] == "postgresql");
    let postgres = postgres.expect("PostgreSQL");
    assert_eq!((&postgres["language"], &postgres["pointInTime"]), (&json!("sql"), &json!(true)));
    assert!(postgres["versions"].as_array().is_some_and(|versions| !versions.is_empty()));
    assert_eq!(door.get("/api/v1/engines", &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_that_never_ends_is_refused() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let headers = [("cookie", cookie.as_str()), ("x-sealos-console", "1")];
    let share = json!({ "key": "a.png", "seconds": 8 * 24 * 3600 }).to_string();
    let path = "/api/v1/workspaces/default/buckets/photos/share";
    let refused = door.ask(Method::POST, path, &headers, share).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["error"]["message"].as_str().expect("a message").contains("seven days"));
}

#[tokio::test]
async fn a_refusal_of_the_api_is_passed_on() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let answer = door.get("/api/v1/workspaces/closed/apps", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "Forbidden");
    assert!(error["message"].as_str().expect("a message").contains("you may not list them"));
}

#[tokio::test]
async fn the_api_itself_is_reached_as_the_user() {
    let door = Door::open().await;
    let cookie = door.log_in().await;
    let answer = door.get("/k8s/api/v1/namespaces?limit=1", &[("cookie", &cookie)]).await;
    assert_eq!(answer.json()["kind"], "NamespaceList");
    let stranger = door.get("/k8s/api/v1/namespaces", &[]).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let refused = door.get("/k8s/api/v1/namespaces/closed/pods", &[("cookie", &cookie)]).await;
    assert_eq!((refused.status, refused.json()["kind"].clone()), (StatusCode::FORBIDDEN, json!("Status")));
}

#[tokio::test]
async fn the_page_is_served_whole_and_guarded() {
    let door = Door::open().await;
    let page = door.get("/w/default/apps/web/logs", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert!(page.header(header::CONTENT_SECURITY_POLICY).contains("script-src 'self'"));
    let text = String::from_utf8(page.body.to_vec()).expect("text");
    let script = text.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    let script = script.expect("the page's script");

    let zipped = door.get(script, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(zipped.header(header::CONTENT_ENCODING), "gzip");
    assert!(zipped.header(header::CACHE_CONTROL).contains("immutable"));
    let tag = zipped.header(header::ETAG).to_owned();
    let again = door.get(script, &[("accept-encoding", "gzip"), ("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(door.get("/assets/missing.js", &[]).await.status, StatusCode::NOT_FOUND);
}
