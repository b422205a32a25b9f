//! Routes that change under load lose no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::*;

/// Asks over kept connections until told to stop; the number of answers, or the first that failed.
async fn load(front: std::net::SocketAddr, stop: Arc<AtomicBool>, post: bool) -> Result<usize, String> {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let stream = TcpStream::connect(front).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        for _ in 0..50 {
            let request = request(HOST, "/").method(if post { "POST" } else { "GET" });
            let body = if post { Full::new(Bytes::from("data")) } else { Full::default() };
            sender.ready().await.map_err(|e| format!("after {count}: {e:?}"))?;
            let response = sender
                .send_request(request.body(body).expect("a request"))
                .await
                .map_err(|e| format!("after {count}: {e:?}"))?;
            let reply = read(response).await?;
            if reply.status != http::StatusCode::OK {
                return Err(format!("after {count}: {} {}", reply.status, reply.text));
            }
            count += 1;
        }
    }
    Ok(count)
}

/// Replaces two apps twenty times while eight clients ask.
async fn replace_all(post: bool, late: bool) {
    let mut apps = vec![named("first").await, named("second").await];
    let addresses = |apps: &[(std::net::SocketAddr, _)]| apps.iter().map(|(a, _)| *a).collect::<Vec<_>>();
    let front = Front::leading_to(to(&addresses(&apps))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(load(front.http, Arc::clone(&stop), post))).collect();
    for _ in 0..20 {
        apps.push(named("next").await);
        front.gateway.set_routes(table(to(&addresses(&apps))));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (_, old) = apps.remove(0);
        if late {
            old.cancel();
            tokio::time::sleep(Duration::from_millis(5)).await;
            front.gateway.set_routes(table(to(&addresses(&apps))));
        } else {
            front.gateway.set_routes(table(to(&addresses(&apps))));
            // A busy machine may send a request this much after its endpoint was chosen.
            tokio::time::sleep(Duration::from_millis(100)).await;
            old.cancel();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut total = 0;
    for client in clients {
        total += client.await.expect("no panic").expect("no request fails");
    }
    assert!(total > 500, "{total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_all_endpoints_loses_nothing() {
    replace_all(false, false).await;
    replace_all(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_that_stop_before_their_route_changes_lose_no_get() {
    replace_all(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_replaced_endpoint_loses_nothing() {
    let mut current = named("first").await;
    let front = Front::leading_to(to(&[current.0])).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4).map(|_| tokio::spawn(load(front.http, Arc::clone(&stop), false))).collect();
    for _ in 0..20 {
        let next = named("next").await;
        // The route learns of both changes late, and at once.
        current.1.cancel();
        tokio::time::sleep(Duration::from_millis(30)).await;
        front.gateway.set_routes(table(to(&[next.0])));
        current = next;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no panic").expect("no request fails");
    }
}
