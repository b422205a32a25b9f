//! A network of its own for each test, and ways to act inside its pods.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use sealos_network::{Config, Network, PodNet, PortRule, Protocol, ServiceRule, pick_cidrs};

/// One network with its directories. `destroy` must be called; the test then checks that nothing is left.
pub(crate) struct Cloud {
    pub(crate) network: Network,
    pub(crate) config: Config,
    pub(crate) _clean_up: CleanUp,
    /// Deleted with the test.
    pub(crate) _dir: tempfile::TempDir,
}

/// A test that fails leaves nothing either.
#[derive(Debug)]
pub(crate) struct CleanUp(Config);

impl Drop for CleanUp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let config = self.0.clone();
        let clean = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { Network::remove(config).await })
        };
        drop(std::thread::spawn(clean).join());
    }
}

impl Cloud {
    pub(crate) async fn open() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static CHOOSING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _choosing = CHOOSING.lock().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:06x}{number:02x}", std::process::id() & 0x00ff_ffff);
        let bridge = format!("sealos-{}", &id[2..]);
        let dir = tempfile::tempdir().expect("a directory");
        let cidrs = pick_cidrs(&id, &bridge, None).await.expect("free ranges");
        let config = Config {
            id,
            bridge,
            netns_dir: dir.path().join("netns"),
            pod_cidr: cidrs.pods,
            service_cidr: cidrs.services,
        };
        let network = Network::open(config.clone()).await.expect("the network opens");
        Self { network, _clean_up: CleanUp(config.clone()), config, _dir: dir }
    }

    pub(crate) fn table(&self) -> String {
        format!("sealos-{}", self.config.id)
    }

    /// Destroys the network and looks for anything left of it.
    pub(crate) async fn close(self) {
        self.network.destroy().await.expect("the network can be destroyed");
        assert_eq!(self.traces(), Vec::<String>::new());
    }

    /// Everything on the host that carries this network's names.
    pub(crate) fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        let devices = std::fs::read_dir("/sys/class/net").expect("readable");
        let ours = devices.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let alias = std::fs::read_to_string(format!("/sys/class/net/{name}/ifalias")).ok()?;
            (name == self.config.bridge || alias.contains(&self.config.id)).then_some(name)
        });
        found.extend(ours.map(|name| format!("device {name}")));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("readable");
        let dir = self.config.netns_dir.to_string_lossy().into_owned();
        found.extend(mounts.lines().filter(|line| line.contains(&dir)).map(|line| format!("mount {line}")));
        let routes = std::fs::read_to_string("/proc/net/fib_trie").expect("readable");
        let pods = self.config.pod_cidr.address().to_string();
        found.extend(routes.lines().filter(|line| line.contains(&pods)).map(|line| format!("route {line}")));
        let mut socket = crabtables::Socket::new().expect("netfilter");
        let tables = socket.list_tables(crabtables::Family::Unspec).expect("tables");
        found.extend(tables.iter().filter(|t| t.name == self.table()).map(|t| format!("table {}", t.name)));
        found
    }
}

/// Runs `work` on a thread inside a pod's namespace.
pub(crate) fn inside<T: Send + 'static>(netns: &Path, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(netns).expect("the namespace is pinned");
    let thread = std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
        work()
    });
    thread.join().expect("the work inside succeeds")
}

/// A TCP server inside a pod that answers every connection with its name and the peer's address.
pub(crate) fn answer(pod: &PodNet, port: u16, name: &'static str) {
    let listener = inside(&pod.netns, move || TcpListener::bind(("0.0.0.0", port)).expect("bind"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let peer = stream.peer_addr().expect("a peer").ip();
            drop(stream.write_all(format!("{name} {peer}").as_bytes()));
        }
    });
}

/// A UDP server inside a pod that answers every datagram with its name.
pub(crate) fn answer_udp(pod: &PodNet, port: u16, name: &'static str) {
    let socket = inside(&pod.netns, move || UdpSocket::bind(("0.0.0.0", port)).expect("bind"));
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(name.as_bytes(), peer));
        }
    });
}

/// What a server says to a new connection from where this thread is.
pub(crate) fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// What a UDP server says to `socket`.
pub(crate) fn ask_udp(socket: &UdpSocket, address: SocketAddr) -> std::io::Result<String> {
    let mut buffer = [0; 64];
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"?", address)?;
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub(crate) fn service(name: &str, cluster_ip: std::net::Ipv4Addr, port: PortRule) -> ServiceRule {
    ServiceRule {
        name: name.to_owned(),
        cluster_ip: Some(cluster_ip),
        extra_ips: Vec::new(),
        ports: vec![port],
        affinity_seconds: None,
    }
}

pub(crate) fn port(protocol: Protocol, port: u16, target: u16, pods: &[&PodNet]) -> PortRule {
    let endpoints = pods.iter().map(|pod| std::net::SocketAddrV4::new(pod.ip, target)).collect();
    PortRule { protocol, port, node_port: None, endpoints }
}

/// A port that nothing on this host listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// How long `work` takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}
