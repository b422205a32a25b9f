//! Clients that stall, leave or ask first, and a service that ends.

use std::time::Duration;

use http::Method;
use sealos_s3::Canned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{BUCKET, Service, service, service_with, until};

async fn begin(s3: &Service, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(s3.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream
}

async fn read_until(stream: &mut TcpStream, part: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    while !String::from_utf8_lossy(&text).contains(part) {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut piece)).await;
        let read = read.expect("an answer in time").expect("to read");
        if read == 0 {
            break;
        }
        text.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn who_stalls_is_cut_off() {
    let s3 = service_with(|config| config.stall = Duration::from_millis(200)).await;
    s3.s3.set_canned_policy(BUCKET, Canned::PublicReadwrite).await.expect("a policy");
    let mut upload =
        begin(&s3, "PUT /photos/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nonly this").await;
    let answer = read_until(&mut upload, "RequestTimeout").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    let mut silent = begin(&s3, "GET /photos/k HT").await;
    assert!(!read_until(&mut silent, "never").await.contains("200 OK"), "a head that never ends is cut off");
    s3.own(Method::HEAD, "k", "").await.expect(404);
}

#[tokio::test]
async fn who_leaves_leaves_nothing() {
    let s3 = service().await;
    s3.s3.set_canned_policy(BUCKET, Canned::PublicReadwrite).await.expect("a policy");
    let mut upload =
        begin(&s3, "PUT /photos/k HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n").await;
    upload.write_all(&vec![b'x'; 3 << 20]).await.expect("some of it");
    drop(upload);
    until("the upload is gone", async || s3.s3.bucket_usage(BUCKET).await.expect("usage").bytes == 0).await;
    s3.own(Method::HEAD, "k", "").await.expect(404);
    s3.s3.store().upkeep().await.expect("upkeep");
    s3.own(Method::DELETE, "", "").await.expect(204);
}

#[tokio::test]
async fn asks_before_it_sends_and_keeps_the_connection() {
    let s3 = service().await;
    s3.s3.set_canned_policy(BUCKET, Canned::PublicReadwrite).await.expect("a policy");
    let head = "PUT /photos/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let mut stream = begin(&s3, head).await;
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"hello").await.expect("the body");
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    stream.write_all(b"GET /photos/k HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("another request");
    assert!(read_until(&mut stream, "hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn ends_when_told() {
    let mut s3 = service().await;
    s3.own(Method::PUT, "k", "x").await.expect(200);
    s3.closing.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), &mut s3.serving).await;
    ended.expect("an end in time").expect("a clean end");
    assert!(TcpStream::connect(s3.address).await.is_err());
}
