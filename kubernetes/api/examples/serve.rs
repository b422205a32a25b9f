//! The API server alone, for trying things with kubectl: `serve DIRECTORY [PORT]` writes
//! `DIRECTORY/kubeconfig` and serves until it is interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use sealos_api::{Config, Server};
use sealos_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().ok_or("usage: serve DIRECTORY [PORT]")?);
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address: SocketAddr = listener.local_addr()?;
    let store = Store::open(sealos_store::Config::new(directory.join("store/objects.redb")))?;
    let server = Server::start(Config::new(store, directory.join("pki"), address)).await?;
    std::fs::write(directory.join("kubeconfig"), server.admin_kubeconfig(&format!("https://{address}"))?)?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    server.serve(listener, shutdown).await?;
    Ok(())
}
