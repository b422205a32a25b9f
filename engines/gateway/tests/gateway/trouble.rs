//! Apps that are not there, go away, hang or lie.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use sealos_gateway::{Backend, Route, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn pages_say_what_is_wrong() {
    let failing = State::Failing { reason: "its container crashes".to_owned() };
    for (state, words) in
        [(State::Starting, "is starting"), (State::Stopped, "is stopped"), (failing, "its container crashes")]
    {
        let front = Front::leading_to(Route::to(Backend::Unavailable(state))).await;
        let request =
            request(HOST, "/").header("accept", "text/html").body(Full::default()).expect("a request");
        let reply = send(front.http, request).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reply.text.contains(words) && reply.text.contains("<!doctype html>"), "{words}");
        assert!(reply.text.contains(reply.header("x-request-id")));
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_costs_no_request() {
    let (alive, _stop) = named("alive").await;
    let front = Front::leading_to(to(&[nobody().await, alive, nobody().await])).await;
    for _ in 0..20 {
        let post = request(HOST, "/").method("POST").body(Full::new(Bytes::from("data"))).expect("a request");
        assert_eq!(
            send(front.http, post).await.text,
            "alive",
            "nothing was sent yet, so even a POST goes on"
        );
        assert_eq!(front.get("/").await.text, "alive");
    }
    let metrics = front.gateway.metrics();
    let retries = metrics.iter().find(|metrics| metrics.host == HOST).expect("counted").retries;
    assert!((1..=4).contains(&retries), "failed endpoints are left alone for a while: {retries}");
}

#[tokio::test]
async fn nobody_at_all_is_said_quickly() {
    let front = Front::leading_to(to(&[nobody().await])).await;
    let start = Instant::now();
    let reply = front.get("/").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.text.contains("Does it listen on the configured port?"), "{}", reply.text);
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// An app that reads a request and closes without a word, the first `times` times.
async fn rude(times: u32) -> (std::net::SocketAddr, Count) {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let count = Count::default();
    let calls = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer).await);
            if calls.up() > times {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
            }
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_broken_answer_is_asked_for_again_only_when_that_is_safe() {
    let (app, _) = rude(1).await;
    let front = Front::leading_to(to(&[app])).await;
    assert_eq!(front.get("/").await.text, "ok");
    let (app, count) = rude(1).await;
    front.gateway.set_routes(table(to(&[app])));
    let post = request(HOST, "/").method("POST").body(Full::new(Bytes::from("data"))).expect("a request");
    let reply = send(front.http, post).await;
    assert_eq!((reply.status, count.get()), (StatusCode::BAD_GATEWAY, 1));
}

#[tokio::test]
async fn connections_are_reused_and_stale_ones_do_no_harm() {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let count = Count::default();
    let accepted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted.up();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                // Three answers over one connection, then it closes without announcing it.
                for _ in 0..3 {
                    if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                        return;
                    }
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
                }
            });
        }
    });
    let front = Front::leading_to(to(&[address])).await;
    for _ in 0..12 {
        assert_eq!(front.get("/").await.text, "ok");
    }
    assert_eq!(count.get(), 4);
}

#[tokio::test]
async fn a_silent_app_is_given_up_in_time() {
    let (app, _stop) = app(|_| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        ok("late")
    })
    .await;
    let mut route = to(&[app]);
    route.options.read_timeout = Duration::from_millis(200);
    let front = Front::leading_to(route).await;
    let start = Instant::now();
    assert_eq!(front.get("/").await.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(start.elapsed() < Duration::from_secs(2));
}
