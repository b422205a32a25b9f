//! The service the clients talk to.

use std::net::SocketAddr;

use sealos_s3::{Config, S3, User};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) work: TempDir,
    closing: CancellationToken,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let work = TempDir::new().expect("a directory");
        let mut config = Config::at(work.path().join("s3"));
        config.domains = vec!["s3.localhost".to_owned()];
        let s3 = S3::open(config).await.expect("a service");
        s3.put_user(User { name: "client".into(), ..User::default() }, "client-secret")
            .await
            .expect("a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let closing = CancellationToken::new();
        tokio::spawn(s3.serve(listener, closing.clone()));
        Self { address, work, closing }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
