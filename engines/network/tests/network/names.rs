//! The name server over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use sealos_network::Protocol;
use sealos_network::dns::{HeadlessEndpoint, NamedPort, NamedService, Records, Server, Target, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn records() -> Records {
    let many = (0..60).map(|n| HeadlessEndpoint { ip: Ipv4Addr::new(10, 42, 1, n), hostname: None });
    let service = |name: &str, target| NamedService {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        target,
        ports: vec![NamedPort { name: Some("http".to_owned()), protocol: Protocol::Tcp, port: 80 }],
    };
    let services = [
        service("web", Target::ClusterIp(Ipv4Addr::new(10, 96, 0, 7))),
        service("many", Target::Headless(many.collect())),
        service("alias", Target::External("web.default.svc.cluster.local".to_owned())),
        service("outside", Target::External("www.example.com".to_owned())),
    ];
    Records::new("cluster.local", &["10.42.0.0/16".parse().expect("valid")], &services)
}

async fn start(upstream: Upstream, shutdown: &CancellationToken) -> Server {
    let server =
        Server::start_with(LOOPBACK, "cluster.local", upstream, shutdown.clone()).await.expect("starts");
    server.set_records(records());
    server
}

fn query(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).expect("a name"), kind));
    message.to_vec().expect("encodes")
}

async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind("0.0.0.0:0").await.expect("bind");
    socket.connect(server).await.expect("connect");
    socket.send(&query(7, name, kind)).await.expect("send");
    let mut buffer = [0; 4096];
    let received = tokio::time::timeout(Duration::from_secs(4), socket.recv(&mut buffer)).await;
    Message::from_vec(&buffer[..received.expect("an answer in time").expect("an answer")]).expect("a message")
}

async fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut stream = TcpStream::connect(server).await.expect("connect");
    let query = query(9, name, kind);
    stream.write_u16(u16::try_from(query.len()).expect("short")).await.expect("send");
    stream.write_all(&query).await.expect("send");
    let length = stream.read_u16().await.expect("a length");
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.expect("an answer");
    Message::from_vec(&buffer).expect("a message")
}

fn addresses(message: &Message) -> Vec<Ipv4Addr> {
    let data = message.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    data.collect()
}

#[tokio::test]
async fn answers_for_services() {
    let shutdown = CancellationToken::new();
    let server = start(Upstream::Nobody, &shutdown).await.address();
    let web = ask(server, "Web.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!(addresses(&web), [Ipv4Addr::new(10, 96, 0, 7)]);
    assert!(web.metadata.authoritative && web.metadata.recursion_available);
    let none = ask(server, "web.default.svc.cluster.local.", RecordType::AAAA).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(none.authorities.len(), 1, "clients may remember the no");
    let no = ask(server, "nobody.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!(no.metadata.response_code, ResponseCode::NXDomain);
    let srv = ask(server, "_http._tcp.web.default.svc.cluster.local.", RecordType::SRV).await;
    assert_eq!(srv.answers.len(), 1);
    let ptr = ask(server, "7.0.96.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(ptr.answers.len(), 1);
    let unknown = ask(server, "9.9.42.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain, "ours, but nameless");
    let alias = ask(server, "alias.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!((alias.answers.len(), addresses(&alias).len()), (2, 1));
    shutdown.cancel();
}

#[tokio::test]
async fn a_long_answer_goes_by_tcp() {
    let shutdown = CancellationToken::new();
    let server = start(Upstream::Nobody, &shutdown).await.address();
    let short = ask(server, "many.default.svc.cluster.local.", RecordType::A).await;
    assert!(short.metadata.truncation);
    let whole = ask_tcp(server, "many.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!(addresses(&whole).len(), 60);
    shutdown.cancel();
}

#[tokio::test]
async fn foreign_names_are_passed_on_and_ours_never() {
    let shutdown = CancellationToken::new();
    // The other resolver is one of ours, for another domain.
    let other = Server::start_with(LOOPBACK, "example.com", Upstream::Nobody, shutdown.clone())
        .await
        .expect("starts");
    let www = NamedService {
        namespace: "a".to_owned(),
        name: "www".to_owned(),
        target: Target::ClusterIp(Ipv4Addr::new(192, 0, 2, 80)),
        ports: Vec::new(),
    };
    other.set_records(Records::new("example.com", &[], &[www]));
    let server = start(Upstream::Servers(vec![other.address()]), &shutdown).await.address();
    let found = ask(server, "www.a.svc.example.com.", RecordType::A).await;
    assert_eq!(addresses(&found), [Ipv4Addr::new(192, 0, 2, 80)]);
    let none = ask(server, "www.a.svc.example.com.", RecordType::AAAA).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    let no = ask(server, "nobody.example.com.", RecordType::A).await;
    assert_eq!(no.metadata.response_code, ResponseCode::NXDomain);
    let ours = ask(server, "x.cluster.local.", RecordType::A).await;
    assert_eq!(ours.metadata.response_code, ResponseCode::NXDomain);
    shutdown.cancel();
}

#[tokio::test]
async fn a_silent_resolver_costs_two_seconds_at_most() {
    let shutdown = CancellationToken::new();
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let upstream = Upstream::Servers(vec![silent.local_addr().expect("an address")]);
    let server = start(upstream, &shutdown).await.address();
    let start = Instant::now();
    let (failed, own) = tokio::join!(
        ask(server, "www.example.org.", RecordType::A),
        ask(server, "web.default.svc.cluster.local.", RecordType::A)
    );
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    assert_eq!(addresses(&own).len(), 1);
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_many_at_once_inside_pods() {
    let cloud = crate::support::Cloud::open().await;
    let shutdown = CancellationToken::new();
    let bind = SocketAddr::from((cloud.network.gateway_ip(), 53));
    let server =
        Server::start_with(bind, "cluster.local", Upstream::Nobody, shutdown.clone()).await.expect("port 53");
    server.set_records(records());
    let pod = cloud.network.attach("pod").await.expect("attach");
    let netns = pod.netns.clone();
    let work = move || {
        crate::support::inside(&netns, move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("bind");
            socket.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
            let mut times = Vec::new();
            for round in 0..20u16 {
                let start = Instant::now();
                for n in 0..50 {
                    let query = query(round * 50 + n, "web.default.svc.cluster.local.", RecordType::A);
                    socket.send_to(&query, bind).expect("send");
                }
                let mut buffer = [0; 512];
                for _ in 0..50 {
                    socket.recv(&mut buffer).expect("every query is answered");
                }
                times.push(start.elapsed());
            }
            times.sort();
            println!("50 queries at once: p50 {:?}, max {:?}", times[10], times[19]);
        });
    };
    tokio::task::spawn_blocking(work).await.expect("the work inside succeeds");
    shutdown.cancel();
    cloud.close().await;
}
