//! Clients that are slow, greedy or wrong.

use std::time::{Duration, Instant};

use sealos_gateway::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

/// Sends a chunked body of `count` times 64 KiB and reads the answer.
pub(crate) async fn chunked(stream: &mut TcpStream, count: usize) -> String {
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("send");
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b'x'; 65_536]);
    chunk.extend(b"\r\n");
    for _ in 0..count {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    drop(stream.write_all(b"0\r\n\r\n").await);
    read_some(stream).await
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 65_536];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
    String::from_utf8_lossy(&buffer[..read.expect("in time").unwrap_or(0)]).into_owned()
}

async fn quick() -> Front {
    let (app, stop) = named("app").await;
    std::mem::forget(stop);
    let config = Config {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(700),
        max_header_bytes: 16 << 10,
        drain: Duration::from_secs(5),
        ..Config::default()
    };
    let front = Front::start(config).await;
    front.gateway.set_routes(table(to(&[app])));
    front
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut_off() {
    let front = quick().await;
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    let start = Instant::now();
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n").as_bytes()).await.expect("send");
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        for n in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if writer.write_all(format!("x-{n}: y\r\n").as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let mut text = String::new();
    tokio::select! {
        () = drip => panic!("the client could go on"),
        read = reader.read_to_string(&mut text) => drop(read),
    }
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(front.get("/").await.text, "app", "everybody else goes on");
}

#[tokio::test]
async fn a_silent_connection_is_closed_without_a_word() {
    let front = quick().await;
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    assert_eq!(read_some(&mut stream).await, "");
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.expect("send");
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.expect("send");
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200 OK"), "a pause between requests is fine");
    assert_eq!(read_some(&mut stream).await, "");
}

#[tokio::test]
async fn huge_headers_are_refused() {
    let front = quick().await;
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    let head = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-big: {}\r\n\r\n", "y".repeat(20 << 10));
    stream.write_all(head.as_bytes()).await.expect("send");
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn requests_without_a_host_are_wrong() {
    let front = quick().await;
    for head in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "nonsense\r\n\r\n"] {
        let mut stream = TcpStream::connect(front.http).await.expect("connect");
        stream.write_all(head.as_bytes()).await.expect("send");
        assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 400 "), "{head}");
    }
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let (app, _stop) = app(|request| async move {
        use http_body_util::BodyExt;
        drop(request.into_body().collect().await);
        ok("read")
    })
    .await;
    let mut route = to(&[app]);
    route.options.send_timeout = Duration::from_millis(200);
    let front = Front::leading_to(route).await;
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 100\r\n\r\nonly a part");
    stream.write_all(head.as_bytes()).await.expect("send");
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish() {
    let (app, _stop) = app(|_| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        ok("finished")
    })
    .await;
    let front = quick().await;
    front.gateway.set_routes(table(to(&[app])));
    let address = front.http;
    let running = tokio::spawn(async move { get(address, HOST, "/").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    front.shutdown.cancel();
    assert_eq!(running.await.expect("no panic").text, "finished");
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), refused).await.expect("the listener is closed");
}

/// Sends a body of `megabytes` to the end before it listens, as simple clients do; the whole answer.
async fn sent_whole(front: &Front, host: &str, megabytes: usize) -> String {
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", megabytes << 20);
    stream.write_all(head.as_bytes()).await.expect("send");
    for _ in 0..megabytes {
        stream.write_all(&vec![b'x'; 1 << 20]).await.expect("all of it is taken");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("no reset");
    answer
}

#[tokio::test]
async fn early_answers_reach_clients_that_are_still_sending() {
    let (reads, _stop) = app(|request| async move {
        use http_body_util::BodyExt;
        drop(request.into_body().collect().await);
        ok("read")
    })
    .await;
    let mut route = to(&[reads]);
    route.options.max_body = Some(1 << 20);
    let front = Front::leading_to(route.clone()).await;
    let closes = |answer: &str, status: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    };
    closes(&sent_whole(&front, HOST, 30).await, "413");
    closes(&sent_whole(&front, "nobody.example.com", 30).await, "404");
    route.backend = sealos_gateway::Backend::Unavailable(sealos_gateway::State::Stopped);
    front.gateway.set_routes(table(route));
    closes(&sent_whole(&front, HOST, 30).await, "503");
}

#[tokio::test]
async fn an_endless_body_without_length_is_refused() {
    let (reads, _stop) = app(|request| async move {
        use http_body_util::BodyExt;
        drop(request.into_body().collect().await);
        ok("read")
    })
    .await;
    let mut route = to(&[reads]);
    route.options.max_body = Some(1 << 20);
    let front = Front::leading_to(route).await;
    let mut stream = TcpStream::connect(front.http).await.expect("connect");
    let (mut reader, mut writer) = stream.split();
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n");
    writer.write_all(head.as_bytes()).await.expect("send");
    let endless = async {
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65_536], b"\r\n"].concat();
        while writer.write_all(&chunk).await.is_ok() {}
    };
    let mut text = vec![0; 4096];
    let read = tokio::select! {
        () = endless => 0,
        read = reader.read(&mut text) => read.expect("an answer"),
    };
    assert!(text[..read].starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&text[..read]));
}

#[tokio::test]
async fn an_app_that_answers_early_and_hangs_up_is_heard() {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_exact(&mut [0; 16]).await.expect("a request");
            let answer = b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
            stream.write_all(answer).await.expect("sent");
        }
    });
    let front = Front::leading_to(to(&[address])).await;
    for _ in 0..20 {
        let answer = sent_whole(&front, HOST, 4).await;
        assert!(answer.starts_with("HTTP/1.1 501 ") && answer.ends_with("no"), "{answer}");
    }
}
