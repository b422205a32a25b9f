//! Where requests go, and what apps see of them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use sealos_gateway::{
    Affinity, Backend, Config, HeaderChange, HeaderRule, PathKind, Redirect, Route, RouteTable, State,
};

use crate::support::*;

#[tokio::test]
async fn hosts_and_paths_lead_to_their_apps() {
    let (one, _one) = named("one").await;
    let (two, _two) = named("two").await;
    let front = Front::start(Config::default()).await;
    front
        .gateway
        .set_routes(paths(vec![(PathKind::Prefix, "/", to(&[one])), (PathKind::Prefix, "/two", to(&[two]))]));
    assert_eq!(front.get("/").await.text, "one");
    assert_eq!(front.get("/two/x").await.text, "two");
    let upper = get(front.http, "APP.example.com:8080", "/").await;
    assert_eq!(upper.text, "one", "neither case nor port matter");
    let unknown = get(front.http, "other.example.com", "/").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.header(sealos_gateway::STATE_HEADER), "unknown");
    assert!(unknown.text.contains("No app answers at other.example.com"), "{}", unknown.text);
    let metrics = front.gateway.metrics();
    let ours = metrics.iter().find(|metrics| metrics.host == HOST).expect("counted");
    assert_eq!((ours.requests, ours.classes[1], ours.active), (3, 3, 0));
}

#[tokio::test]
async fn apps_learn_who_asked_and_nothing_false() {
    let (mirror, _stop) = mirror().await;
    let front = Front::leading_to(to(&[mirror])).await;
    let request = request("app.example.com:1234", "/a?b=c")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-proto", "https")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "secret")
        .header("te", "gzip")
        .header("x-request-id", "my-request-1");
    let seen = send(front.http, request.body(Full::default()).expect("a request")).await;
    let lines: Vec<_> = seen.text.lines().collect();
    assert_eq!(lines[0], "GET /a?b=c");
    for expected in [
        "host: app.example.com:1234",
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: app.example.com:1234",
        "x-request-id: my-request-1",
    ] {
        assert!(lines.contains(&expected), "{expected} in {lines:?}");
    }
    assert!(!seen.text.contains("6.6.6.6") && !seen.text.contains("x-hop") && !seen.text.contains("te: "));
    assert_eq!(seen.header("x-request-id"), "my-request-1");
}

#[tokio::test]
async fn paths_are_rewritten_and_headers_changed() {
    let (mirror, _stop) = mirror().await;
    let mut route = to(&[mirror]);
    route.options.rewrite = Some("/$2".to_owned());
    let rule = |when: Option<&str>, name: &'static str, change| HeaderRule {
        when: when.map(ToOwned::to_owned),
        name: HeaderName::from_static(name),
        change,
    };
    let year = HeaderValue::from_static("max-age=31536000");
    route.options.response_headers = vec![
        rule(Some(r"\.(js|css)$"), "cache-control", HeaderChange::Set(year)),
        rule(None, "x-frame-options", HeaderChange::Set(HeaderValue::from_static("DENY"))),
        rule(None, "date", HeaderChange::Remove),
    ];
    let front = Front::start(Config::default()).await;
    front.gateway.set_routes(paths(vec![(PathKind::Regex, "/api(/|$)(.*)", route)]));
    let seen = front.get("/api/users?all=1").await;
    assert!(seen.text.starts_with("GET /users?all=1\n"), "{}", seen.text);
    assert_eq!((seen.header("x-frame-options"), seen.header("cache-control")), ("DENY", ""));
    assert_eq!(front.get("/api/app.js").await.header("cache-control"), "max-age=31536000");
    assert_eq!(front.get("/other").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn redirects() {
    let (app, _stop) = named("app").await;
    let front = Front::start(Config { https_port: 8443, ..Config::default() }).await;
    let mut secure = to(&[app]);
    secure.options.ssl_redirect = true;
    let mut moved = Route::to(Backend::Unavailable(State::Starting));
    let target = "https://new.example.com$request_uri".to_owned();
    moved.options.redirect = Some(Redirect { status: StatusCode::FOUND, to: target });
    front.gateway.set_routes(paths(vec![(PathKind::Prefix, "/", secure), (PathKind::Prefix, "/old", moved)]));
    let reply = front.get("/x?y=1").await;
    assert_eq!(reply.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(reply.header("location"), "https://app.example.com:8443/x?y=1");
    let reply = front.get("/old/z").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (StatusCode::FOUND, "https://new.example.com/old/z")
    );
}

#[tokio::test]
async fn a_cookie_keeps_a_client_with_one_endpoint() {
    let (one, _one) = named("one").await;
    let (two, _two) = named("two").await;
    let mut route = to(&[one, two]);
    let max_age = Some(Duration::from_secs(60));
    route.options.affinity = Some(Affinity { cookie: "route".to_owned(), path: "/".to_owned(), max_age });
    let front = Front::leading_to(route).await;
    let first = front.get("/").await;
    let cookie = first.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert!(first.header("set-cookie").contains("Max-Age=60") && cookie.starts_with("route="));
    for _ in 0..6 {
        let again = request(HOST, "/").header("cookie", &cookie).body(Full::default()).expect("a request");
        let again = send(front.http, again).await;
        assert_eq!((again.text.as_str(), again.header("set-cookie")), (first.text.as_str(), ""));
    }
    let stranger =
        request(HOST, "/").header("cookie", "route=nonsense").body(Full::default()).expect("a request");
    assert!(!send(front.http, stranger).await.header("set-cookie").is_empty());
}

#[tokio::test]
async fn bodies_pass_and_large_ones_do_not() {
    let (app, _stop) = app(|request| async move {
        use http_body_util::BodyExt;
        match request.into_body().collect().await {
            Ok(body) => ok(body.to_bytes().len().to_string()),
            Err(_) => ok("broken"),
        }
    })
    .await;
    let mut route = to(&[app]);
    route.options.max_body = Some(1 << 20);
    let front = Front::leading_to(route).await;
    let post = |length: usize| {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        request(HOST, "/").method("POST").body(body).expect("a request")
    };
    assert_eq!(send(front.http, post(1 << 20)).await.text, "1048576");
    let refused = send(front.http, post(100 << 20)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text.contains("1 MiB"), "{}", refused.text);
    let mut stream = tokio::net::TcpStream::connect(front.http).await.expect("connect");
    let answer = crate::clients::chunked(&mut stream, 40).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "chunks say no length: {answer}");
}

#[tokio::test]
async fn callers_can_wait_for_a_route() {
    let front = Front::start(Config::default()).await;
    let gateway = front.gateway.clone();
    let waiting = tokio::spawn(async move { gateway.until_routed("App.example.com").await });
    front.gateway.set_routes(table(Route::to(Backend::Unavailable(State::Starting))));
    assert!(!front.gateway.is_routed(HOST));
    front.gateway.set_routes(table(to(&[nobody().await])));
    tokio::time::timeout(Duration::from_secs(1), waiting).await.expect("in time").expect("no panic");
    front.gateway.set_routes(RouteTable::default());
    assert!(!front.gateway.is_routed(HOST));
}
