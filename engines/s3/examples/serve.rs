//! Serves a directory over S3 on an address, with the users of public S3 test suites:
//! `cargo run -p sealos-s3 --example serve -- DIR 127.0.0.1:9000 [DOMAIN]`.

use sealos_s3::{Config, S3, User};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("give a directory and an address".into());
    };
    let mut config = Config::at(dir);
    config.domains = arguments.next().into_iter().collect();
    config.local_webhooks = true;
    let s3 = S3::open(config).await?;
    for name in ["main", "alt", "tenant"] {
        s3.put_user(User { name: name.to_owned(), ..User::default() }, &format!("{name}-secret")).await?;
    }
    let closing = CancellationToken::new();
    let listener = TcpListener::bind(address).await?;
    tokio::join!(
        s3.clone().serve(listener, closing.clone()),
        s3.clone().background(closing.clone()),
        async {
            if tokio::signal::ctrl_c().await.is_ok() {
                closing.cancel();
            }
        }
    );
    s3.close().await;
    Ok(())
}
