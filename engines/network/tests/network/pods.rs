//! Real namespaces, devices and rules.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::*;
use sealos_network::{HostPort, Network, Protocol};

#[tokio::test]
async fn pods_reach_each_other_and_the_host() {
    let cloud = Cloud::open().await;
    let one = cloud.network.attach("one").await.expect("attach");
    let two = cloud.network.attach("two").await.expect("attach");
    assert_ne!(one.ip, two.ip);
    answer(&two, 8080, "two");
    let target = SocketAddr::from((two.ip, 8080));
    let seen = inside(&one.netns, move || ask(target)).expect("pod to pod");
    assert_eq!(seen, format!("two {}", one.ip), "pods see each other's own address");
    assert_eq!(ask(target).expect("host to pod"), format!("two {}", cloud.network.gateway_ip()));
    let host = std::net::TcpListener::bind((cloud.network.gateway_ip(), 0)).expect("bind on the gateway");
    let address = host.local_addr().expect("an address");
    inside(&one.netns, move || std::net::TcpStream::connect(address)).expect("pod to host");
    cloud.close().await;
}

#[tokio::test]
async fn an_address_without_a_pod_is_unreachable_at_once() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    let nobody = SocketAddr::from((cloud.config.pod_cidr.nth(2000), 80));
    let (took, result) = timed(move || inside(&pod.netns, move || ask(nobody)));
    assert!(result.is_err());
    assert!(took < Duration::from_millis(2500), "{took:?}");
    cloud.close().await;
}

#[tokio::test]
async fn a_service_spreads_connections_and_pods_meet_themselves() {
    let cloud = Cloud::open().await;
    let one = cloud.network.attach("one").await.expect("attach");
    let two = cloud.network.attach("two").await.expect("attach");
    answer(&one, 8080, "one");
    answer(&two, 8080, "two");
    let vip = cloud.config.service_cidr.nth(10);
    let rule = service("default/web", vip, port(Protocol::Tcp, 80, 8080, &[&one, &two]));
    cloud.network.set_services(vec![rule]).await.expect("set services");
    let target = SocketAddr::from((vip, 80));
    for place in ["pod", "host"] {
        let ask_all = move || (0..40).map(|_| ask(target).expect("the service answers")).collect::<Vec<_>>();
        let answers = if place == "pod" { inside(&one.netns, ask_all) } else { ask_all() };
        let mut count = BTreeMap::new();
        answers.iter().for_each(|text| *count.entry(text.clone()).or_insert(0) += 1);
        println!("40 connections from the {place}: {count:?}");
        assert_eq!(count.len(), 2, "both endpoints answer a {place}");
        assert!(count.values().all(|times| *times >= 5), "{count:?}");
    }
    cloud.close().await;
}

#[tokio::test]
async fn a_service_without_endpoints_refuses_at_once() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    let vip = cloud.config.service_cidr.nth(11);
    let rule = service("default/none", vip, port(Protocol::Tcp, 80, 8080, &[]));
    cloud.network.set_services(vec![rule]).await.expect("set services");
    let target = SocketAddr::from((vip, 80));
    for place in ["pod", "host"] {
        let netns = pod.netns.clone();
        let attempt = move || if place == "pod" { inside(&netns, move || ask(target)) } else { ask(target) };
        let (took, result) = timed(attempt);
        let kind = result.expect_err("nobody answers").kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionRefused, "from the {place}");
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    cloud.close().await;
}

#[tokio::test]
async fn node_ports_and_host_ports_answer_on_every_address() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    answer(&pod, 8080, "pod");
    let (node_port, host_port, local_port) = (free_port(), free_port(), free_port());
    let vip = cloud.config.service_cidr.nth(12);
    let mut rule = port(Protocol::Tcp, 80, 8080, &[&pod]);
    rule.node_port = Some(node_port);
    cloud.network.set_services(vec![service("default/np", vip, rule)]).await.expect("set services");
    let target = std::net::SocketAddrV4::new(pod.ip, 8080);
    let published = |host_ip, port| HostPort { protocol: Protocol::Tcp, host_ip, port, target };
    let ports = vec![published(None, host_port), published(Some(Ipv4Addr::LOCALHOST), local_port)];
    cloud.network.host_ports(ports).await.expect("publish ports");
    let gateway = cloud.network.gateway_ip();
    for port in [node_port, host_port] {
        for ip in [Ipv4Addr::LOCALHOST, gateway] {
            let answered = ask(SocketAddr::from((ip, port))).expect("the port answers");
            assert_eq!(answered, format!("pod {gateway}"), "{ip}:{port}");
        }
        let hairpin = SocketAddr::from((gateway, port));
        inside(&pod.netns, move || ask(hairpin)).expect("a pod reaches itself through the host");
    }
    ask(SocketAddr::from((Ipv4Addr::LOCALHOST, local_port))).expect("the address it is published on");
    ask(SocketAddr::from((gateway, local_port))).expect_err("only there");
    cloud.network.host_ports(Vec::new()).await.expect("unpublish");
    ask(SocketAddr::from((Ipv4Addr::LOCALHOST, host_port))).expect_err("unpublished");
    cloud.close().await;
}

#[tokio::test]
async fn pods_cannot_enter_the_hosts_loopback() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    let secret = UdpSocket::bind("127.0.0.1:0").expect("bind");
    secret.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let target = secret.local_addr().expect("an address");
    inside(&pod.netns, move || {
        // Away from the pod's own loopback, out by its device.
        std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("allowed inside");
        let status = std::process::Command::new("ip")
            .args(["route", "add", "127.0.0.1/32", "via", "10.0.0.1", "dev", "eth0", "onlink"])
            .status();
        drop(status);
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
        drop(socket.send_to(b"knock", target));
    });
    assert!(secret.recv(&mut [0; 8]).is_err(), "nothing arrived");
    cloud.close().await;
}

#[tokio::test]
async fn a_client_stays_with_its_endpoint() {
    let cloud = Cloud::open().await;
    let mut pods = Vec::new();
    for (id, name) in [("a", "a"), ("b", "b"), ("c", "c")] {
        let pod = cloud.network.attach(id).await.expect("attach");
        answer(&pod, 80, name);
        pods.push(pod);
    }
    let vip = cloud.config.service_cidr.nth(13);
    let all: Vec<_> = pods.iter().collect();
    let mut rule = service("default/sticky", vip, port(Protocol::Tcp, 80, 80, &all));
    rule.affinity_seconds = Some(10_800);
    cloud.network.set_services(vec![rule.clone()]).await.expect("set services");
    let target = SocketAddr::from((vip, 80));
    let answers: std::collections::BTreeSet<_> = (0..20).map(|_| ask(target).expect("answers")).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    rule.ports[0].endpoints.pop();
    rule.affinity_seconds = None;
    cloud.network.set_services(vec![rule]).await.expect("change services");
    let answers: std::collections::BTreeSet<_> = (0..40).map(|_| ask(target).expect("answers")).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    cloud.close().await;
}

#[tokio::test]
async fn udp_flows_leave_an_endpoint_that_is_gone() {
    let cloud = Cloud::open().await;
    let old = cloud.network.attach("old").await.expect("attach");
    let new = cloud.network.attach("new").await.expect("attach");
    answer_udp(&old, 53, "old");
    answer_udp(&new, 53, "new");
    let vip = cloud.config.service_cidr.nth(14);
    let target = SocketAddr::from((vip, 53));
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
    for (pod, name) in [(&old, "old"), (&new, "new")] {
        let rule = service("default/dns", vip, port(Protocol::Udp, 53, 53, &[pod]));
        cloud.network.set_services(vec![rule]).await.expect("set services");
        assert_eq!(ask_udp(&socket, target).expect("an answer"), name);
    }
    cloud.close().await;
}

#[tokio::test]
async fn a_new_process_finds_everything() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    assert_eq!(cloud.network.attach("pod").await.expect("again"), pod, "attach is idempotent");
    answer(&pod, 8080, "pod");
    let vip = cloud.config.service_cidr.nth(15);
    let rule = service("default/web", vip, port(Protocol::Tcp, 80, 8080, &[&pod]));
    cloud.network.set_services(vec![rule.clone()]).await.expect("set services");
    let again = Network::open(cloud.config.clone()).await.expect("open again");
    assert_eq!(again.attached(), vec![("pod".to_owned(), pod.clone())]);
    ask(SocketAddr::from((vip, 80))).expect("services work before anybody sets them again");
    again.set_services(vec![rule]).await.expect("the same services");
    ask(SocketAddr::from((vip, 80))).expect("and after");
    let other = again.attach("other").await.expect("attach another");
    assert_ne!(other.ip, pod.ip);
    again.set_services(Vec::new()).await.expect("no services");
    ask(SocketAddr::from((vip, 80))).expect_err("the service is gone");
    again.detach("pod").await.expect("detach what the first process attached");
    assert!(!pod.netns.exists());
    Network::remove(cloud.config.clone()).await.expect("remove what no process has open");
    Network::remove(cloud.config.clone()).await.expect("removing nothing is fine");
    assert_eq!(cloud.traces(), Vec::<String>::new());
}

#[tokio::test]
async fn two_clouds_do_not_touch_each_other() {
    let first = Cloud::open().await;
    let second = Cloud::open().await;
    assert!(!first.config.pod_cidr.overlaps(second.config.pod_cidr));
    let pod = first.network.attach("pod").await.expect("attach");
    let same_name = second.network.attach("pod").await.expect("attach");
    answer(&pod, 80, "first");
    answer(&same_name, 80, "second");
    let vip = second.config.service_cidr.nth(9);
    let rule = service("default/web", vip, port(Protocol::Tcp, 80, 80, &[&same_name]));
    second.network.set_services(vec![rule]).await.expect("set services");
    first.close().await;
    assert!(ask(SocketAddr::from((vip, 80))).expect("the second goes on").starts_with("second"));
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attaching_is_quick() {
    let cloud = Cloud::open().await;
    let mut times = Vec::new();
    for number in 0..30 {
        let start = Instant::now();
        cloud.network.attach(&format!("pod-{number}")).await.expect("attach");
        times.push(start.elapsed());
    }
    times.sort();
    println!("attach: p50 {:?}, max {:?}", times[15], times[29]);
    let start = Instant::now();
    let many = (0..50).map(|n| {
        let network = cloud.network.clone();
        async move { network.attach(&format!("at-once-{n}")).await }
    });
    futures::future::try_join_all(many).await.expect("attach at once");
    println!("50 at once: {:?}", start.elapsed());
    let start = Instant::now();
    let attached = cloud.network.attached();
    let all = attached.iter().map(|(id, _)| cloud.network.detach(id));
    futures::future::try_join_all(all).await.expect("detach at once");
    println!("{} detached at once: {:?}", attached.len(), start.elapsed());
    assert!(times[15] < Duration::from_millis(50), "{:?}", times[15]);
    cloud.close().await;
}

#[tokio::test]
async fn a_thousand_services_change_quickly() {
    let cloud = Cloud::open().await;
    let pod = cloud.network.attach("pod").await.expect("attach");
    let make = |n: u32, pods: &[&sealos_network::PodNet]| {
        service(&format!("default/s{n}"), cloud.config.service_cidr.nth(n), port(Protocol::Tcp, 80, 80, pods))
    };
    let mut all: Vec<_> = (1..=1000).map(|n| make(n, &[&pod])).collect();
    let start = Instant::now();
    cloud.network.set_services(all.clone()).await.expect("set services");
    println!("1000 services at once: {:?}", start.elapsed());
    all.push(make(1001, &[&pod]));
    let start = Instant::now();
    cloud.network.set_services(all).await.expect("set services");
    println!("one more: {:?}", start.elapsed());
    cloud.close().await;
}
