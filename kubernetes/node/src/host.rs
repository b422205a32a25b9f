//! Facts about this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use k8s_openapi::api::core::v1::NodeSystemInfo;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::config::{Config, Error};

/// The version of Kubernetes whose behaviour the node offers.
const KUBELET_VERSION: &str = concat!("v1.37.0+sealos-", env!("CARGO_PKG_VERSION"));

/// What the machine is and has.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub ip: Ipv4Addr,
    pub hostname: String,
    pub memory: u64,
    pub capacity: BTreeMap<String, Quantity>,
    pub allocatable: BTreeMap<String, Quantity>,
    pub info: NodeSystemInfo,
    /// Whether processes may be protected from the out-of-memory killer.
    pub may_protect: bool,
}

impl Host {
    pub(crate) fn examine(config: &Config) -> Result<Self, Error> {
        let cpus =
            std::thread::available_parallelism().map_err(io_error("count the processors of", "/proc"))?;
        let cpu_millis = u64::try_from(cpus.get()).unwrap_or(1) * 1000;
        let memory = total_memory()?;
        let disk = disk_bytes(&config.data_dir)?;
        let reserved = config.system_reserved;
        let resources = |cpu: u64, memory: u64| {
            BTreeMap::from([
                ("cpu".to_owned(), Quantity(cpu_text(cpu))),
                ("memory".to_owned(), Quantity(format!("{}Ki", memory >> 10))),
                ("ephemeral-storage".to_owned(), Quantity(format!("{}Ki", disk >> 10))),
                ("pods".to_owned(), Quantity(config.max_pods.to_string())),
            ])
        };
        let spare_cpu = cpu_millis.saturating_sub(reserved.cpu_millis);
        let spare_memory = memory.saturating_sub(reserved.memory_bytes);
        Ok(Self {
            ip: primary_ip().unwrap_or_else(|| config.network.gateway_ip()),
            hostname: line("/proc/sys/kernel/hostname"),
            memory,
            capacity: resources(cpu_millis, memory),
            allocatable: resources(spare_cpu, spare_memory),
            info: system_info(),
            may_protect: has_capability(24),
        })
    }
}

/// Total and used memory of the machine, as `free` counts.
pub(crate) fn memory_usage() -> Result<(u64, u64), Error> {
    let table = meminfo()?;
    let total = table.get("MemTotal").copied().unwrap_or(0);
    let available = table.get("MemAvailable").copied().unwrap_or(0);
    Ok((total, total.saturating_sub(available)))
}

/// The processor time the machine has spent working, in nanoseconds.
pub(crate) fn cpu_nanos() -> Result<u64, Error> {
    let text = fs::read_to_string("/proc/stat").map_err(io_error("read", "/proc/stat"))?;
    let fields: Vec<u64> = text
        .lines()
        .next()
        .into_iter()
        .flat_map(str::split_whitespace)
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: all but the two kinds of idleness.
    let busy: u64 =
        fields.iter().take(7).enumerate().filter(|(i, _)| !matches!(i, 3 | 4)).map(|(_, v)| v).sum();
    // The kernel counts in hundredths of a second here, whatever its own clock rate is.
    Ok(busy * 10_000_000)
}

/// How long the machine has been running.
pub(crate) fn uptime() -> Option<std::time::Duration> {
    let text = line("/proc/uptime");
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    std::time::Duration::try_from_secs_f64(seconds).ok()
}

fn total_memory() -> Result<u64, Error> {
    Ok(meminfo()?.get("MemTotal").copied().unwrap_or(0))
}

fn meminfo() -> Result<BTreeMap<String, u64>, Error> {
    let text = fs::read_to_string("/proc/meminfo").map_err(io_error("read", "/proc/meminfo"))?;
    let entry = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
        Some((name.to_owned(), kibibytes << 10))
    };
    Ok(text.lines().filter_map(entry).collect())
}

fn disk_bytes(dir: &Path) -> Result<u64, Error> {
    let stat = nix::sys::statvfs::statvfs(dir).map_err(|errno| Error::Io {
        attempt: "measure",
        path: dir.to_owned(),
        source: errno.into(),
    })?;
    Ok(stat.blocks() * stat.fragment_size())
}

fn cpu_text(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// The address that packets to the outside leave from. Nothing is sent.
fn primary_ip() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() && !ip.is_loopback() => Some(ip),
        _ => None,
    }
}

fn system_info() -> NodeSystemInfo {
    let machine_id = line("/etc/machine-id");
    let uuid = line("/sys/class/dmi/id/product_uuid");
    NodeSystemInfo {
        architecture: match std::env::consts::ARCH {
            "x86_64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            other => other.into(),
        },
        boot_id: line("/proc/sys/kernel/random/boot_id"),
        container_runtime_version: concat!("sealos://", env!("CARGO_PKG_VERSION")).into(),
        kernel_version: line("/proc/sys/kernel/osrelease"),
        kube_proxy_version: KUBELET_VERSION.into(),
        kubelet_version: KUBELET_VERSION.into(),
        system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
        machine_id,
        operating_system: "linux".into(),
        os_image: os_image(),
        ..NodeSystemInfo::default()
    }
}

fn os_image() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned())
}

/// Whether this process holds a capability, by its number.
fn has_capability(number: u32) -> bool {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = text.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << number) != 0
}

/// The first line of a file that may be absent.
fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn io_error(attempt: &'static str, path: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { attempt, path: path.into(), source }
}
