//! Compares the gateway with the app behind it: `cargo run --release -p sealos-gateway --example bench`.
//! Needs `wrk`; everything shares this machine's cores, so only the ratio means something.
#![expect(clippy::print_stdout, reason = "the numbers are the product")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sealos_gateway::{Backend, Config, Gateway, Host, PathKind, PathRule, Route, RouteTable};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = TcpListener::bind("127.0.0.1:0").await?;
    let direct = app.local_addr()?;
    tokio::spawn(serve(app));
    let gateway = Gateway::new(Config::default()).map_err(std::io::Error::other)?;
    let route = Route::to(Backend::Endpoints(vec![direct]));
    let rule = PathRule { kind: PathKind::Prefix, path: "/".to_owned(), route };
    let hosts = [("127.0.0.1".to_owned(), Host { paths: vec![rule] })];
    gateway.set_routes(RouteTable { hosts: hosts.into(), ..RouteTable::default() });
    let (http, https) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let (plain, secure) = (http.local_addr()?, https.local_addr()?);
    let (one, two) = (gateway.clone(), gateway.clone());
    tokio::spawn(async move { one.serve_http(http, CancellationToken::new()).await });
    tokio::spawn(async move { two.serve_https(https, CancellationToken::new()).await });
    for (name, scheme, address) in [
        ("app directly", "http", direct),
        ("gateway, HTTP", "http", plain),
        ("gateway, HTTPS", "https", secure),
    ] {
        let report = tokio::task::spawn_blocking(move || load(scheme, address)).await??;
        println!("== {name}\n{report}");
    }
    Ok(())
}

fn load(scheme: &str, address: SocketAddr) -> std::io::Result<String> {
    let url = format!("{scheme}://{address}/");
    let output = Command::new("wrk").args(["-t1", "-c32", "-d5s", "--latency", &url]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer =
            |_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello\n")))) };
        let builder = hyper::server::conn::http1::Builder::new();
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}
