//! A server of its own for each test, on a free port, with its data in a temporary directory.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use sealos_api::{Config, Identity, Server};
use sealos_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    dir: tempfile::TempDir,
    _stop: DropGuard,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let store =
            Store::open(sealos_store::Config::new(dir.path().join("objects.redb"))).expect("the store opens");
        let mut config = Config::new(store.clone(), dir.path().join("pki"), address);
        config.patience = std::time::Duration::from_secs(3);
        let server = Server::start(config).await.expect("the server starts");
        let shutdown = CancellationToken::new();
        let (serving, stop) = (server.clone(), shutdown.clone());
        tokio::spawn(async move { serving.serve(listener, stop).await });
        let kubeconfig = server.admin_kubeconfig(&format!("https://{address}")).expect("a kubeconfig");
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig).expect("written");
        Self { server, store, address, dir, _stop: shutdown.drop_guard() }
    }

    pub(crate) fn admin(&self) -> kube::Client {
        self.server.client(Identity::admin())
    }

    /// The administrator, over TLS.
    pub(crate) async fn remote(&self) -> kube::Client {
        let file = kube::config::Kubeconfig::read_from(self.dir.path().join("kubeconfig")).expect("readable");
        let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await.expect("usable");
        kube::Client::try_from(config).expect("a client")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file; returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        // Without the line kubectl takes YAML that begins with a brace for JSON.
        std::fs::write(&path, format!("---\n{text}")).expect("written");
        path.to_str().expect("a plain path").to_owned()
    }

    /// What kubectl prints when all is well.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {}: {error}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What kubectl says when it fails.
    pub(crate) async fn kubectl_fails(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(!output.status.success(), "kubectl {} was to fail", args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn run(&self, args: &[&str]) -> Output {
        tokio::process::Command::new("kubectl")
            .args(args)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("HOME", self.dir.path())
            .kill_on_drop(true)
            .output()
            .await
            .expect("kubectl is installed")
    }
}
