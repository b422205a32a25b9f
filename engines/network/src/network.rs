//! The network of one cloud: what exists is read from the kernel at start, nothing is kept on disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rtnetlink::packet_route::link::InfoKind;
use tracing::{debug, warn};

use crate::address::Pool;
use crate::links::{self, Device, Links, Veth};
use crate::rules::{Base, Rules};
use crate::{Error, HostPort, Ipv4Net, ServiceRule, gateway, name, netns, sysctl};

/// How one cloud's network is named and numbered.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cloud's id; it appears in the names of the nftables table and of devices.
    pub id: String,
    /// Device that holds the gateway address, at most 15 characters.
    pub bridge: String,
    /// Where network namespaces are pinned, one file per attachment.
    pub netns_dir: PathBuf,
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
}

/// What an attachment got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodNet {
    /// File that pins the network namespace.
    pub netns: PathBuf,
    pub ip: Ipv4Addr,
}

/// The network of one cloud. Clones share it.
#[derive(Debug, Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    links: Links,
    mtu: u32,
    state: Mutex<State>,
    /// None once the network is destroyed.
    rules: tokio::sync::Mutex<Option<Rules>>,
}

#[derive(Debug)]
struct State {
    pool: Pool,
    attached: BTreeMap<String, Attachment>,
    /// One lock per attachment in work, so that two calls for one name do not meet.
    working: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Debug, Clone)]
struct Attachment {
    ip: Ipv4Addr,
    device: u32,
}

impl Network {
    /// Sets up the host's side, or takes over what is there: running pods and services notice nothing.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let mut pool = Pool::new(config.pod_cidr)?;
        netns::prepare(&config.netns_dir)?;
        let links = Links::open()?;
        gateway::open(&links, &config).await?;
        let attached = take_over(&links, &config).await?;
        attached.values().for_each(|attachment| pool.claim(attachment.ip));
        let rules = Rules::open(base_rules(&config)).await?;
        let mtu = links.uplink().await?.map_or(1500, |device| device.mtu);
        debug!(bridge = %config.bridge, pods = attached.len(), mtu, "the network is open");
        let state = Mutex::new(State { pool, attached, working: HashMap::new() });
        let rules = tokio::sync::Mutex::new(Some(rules));
        Ok(Self { inner: Arc::new(Inner { config, links, mtu, state, rules }) })
    }

    /// The address of the host as pods see it, where the name server listens.
    pub fn gateway_ip(&self) -> Ipv4Addr {
        self.inner.config.gateway()
    }

    pub fn pod_cidr(&self) -> Ipv4Net {
        self.inner.config.pod_cidr
    }

    pub fn service_cidr(&self) -> Ipv4Net {
        self.inner.config.service_cidr
    }

    /// A namespace with an address of its own. Calling again for the same `id` returns the same.
    pub async fn attach(&self, id: &str) -> Result<PodNet, Error> {
        let path = self.inner.config.netns_path(id)?;
        let _working = self.inner.lock(id).await;
        if let Some(attachment) = self.inner.state.lock().attached.get(id) {
            return Ok(PodNet { netns: path, ip: attachment.ip });
        }
        let ip = self.inner.state.lock().pool.take()?;
        match self.inner.connect(id, &path, ip).await {
            Ok(device) => {
                self.inner.state.lock().attached.insert(id.to_owned(), Attachment { ip, device });
                Ok(PodNet { netns: path, ip })
            }
            Err(error) => {
                if let Err(error) = netns::release(&path) {
                    warn!(%error, id, "a half-made network namespace stays behind until the next start");
                }
                self.inner.state.lock().pool.release(ip);
                Err(error)
            }
        }
    }

    /// Takes the address and the namespace back. An unknown `id` is no error.
    pub async fn detach(&self, id: &str) -> Result<(), Error> {
        let path = self.inner.config.netns_path(id)?;
        let _working = self.inner.lock(id).await;
        let attachment = self.inner.state.lock().attached.get(id).cloned();
        let Some(attachment) = attachment else { return netns::release(&path) };
        let route = self.inner.config.pod_route(&attachment);
        self.inner.links.delete_route(route, &attachment.ip.to_string()).await?;
        // The kernel removes the devices of dead namespaces many at a time; one by one takes 30 ms each.
        netns::release(&path)?;
        let mut state = self.inner.state.lock();
        state.attached.remove(id);
        state.pool.release(attachment.ip);
        Ok(())
    }

    /// All attachments, those of earlier processes included.
    pub fn attached(&self) -> Vec<(String, PodNet)> {
        let state = self.inner.state.lock();
        let entries = state.attached.iter().map(|(id, attachment)| {
            let netns = self.inner.config.netns_dir.join(id);
            (id.clone(), PodNet { netns, ip: attachment.ip })
        });
        entries.collect()
    }

    /// Makes the kernel's services those of `services`, by the smallest change, in one transaction.
    pub async fn set_services(&self, services: Vec<ServiceRule>) -> Result<(), Error> {
        self.inner.rules.lock().await.as_mut().ok_or(Error::Destroyed)?.set_services(&services).await
    }

    /// Makes the published ports of pods those of `ports`.
    pub async fn host_ports(&self, ports: Vec<HostPort>) -> Result<(), Error> {
        self.inner.rules.lock().await.as_mut().ok_or(Error::Destroyed)?.set_host_ports(&ports).await
    }

    /// Removes everything: namespaces, devices, routes, rules. The network is of no use afterwards.
    pub async fn destroy(&self) -> Result<(), Error> {
        *self.inner.rules.lock().await = None;
        remove_all(&self.inner.links, &self.inner.config).await
    }

    /// Removes everything that a network with this configuration left on the host, open or not.
    pub async fn remove(config: Config) -> Result<(), Error> {
        remove_all(&Links::open()?, &config).await
    }
}

impl Inner {
    async fn lock(&self, id: &str) -> Working<'_> {
        let lock = Arc::clone(self.state.lock().working.entry(id.to_owned()).or_default());
        let guard = lock.lock_owned().await;
        Working { inner: self, id: id.to_owned(), guard: Some(guard) }
    }

    /// Builds everything between the host and a new namespace at `path`.
    async fn connect(&self, id: &str, path: &Path, ip: Ipv4Addr) -> Result<u32, Error> {
        netns::release(path)?;
        let pod = netns::create(path).await?;
        let namespace = File::open(path).map_err(Error::io(format!("open {}", path.display())))?;
        let name = self.free_device_name(id).await?;
        let (host_mac, pod_mac) = (mac(0x01, ip), mac(0x02, ip));
        let veth = Veth { name: &name, mtu: self.mtu, host_mac, pod_mac, netns: namespace.as_fd() };
        self.links.add_veth(veth).await?;
        let host = async {
            let device = self.require(&name).await?;
            sysctl::tune_device(&name)?;
            self.links.set_up(device.index, Some(&format!("sealos {} {id}", self.config.id))).await?;
            self.links.set_neighbour(device.index, ip, pod_mac).await?;
            let attachment = Attachment { ip, device: device.index };
            self.links.set_route(self.config.pod_route(&attachment), &ip.to_string()).await?;
            Ok(device.index)
        };
        let (device, ()) = tokio::try_join!(host, configure_pod(&pod, ip, self.config.gateway(), host_mac))?;
        Ok(device)
    }

    async fn require(&self, name: &str) -> Result<Device, Error> {
        let gone = || std::io::Error::other("it disappeared");
        self.links
            .find(name)
            .await?
            .ok_or_else(|| Error::io(format!("look up the new device {name}"))(gone()))
    }

    async fn free_device_name(&self, id: &str) -> Result<String, Error> {
        for attempt in 0..16 {
            let name = name::device(&self.config.id, id, attempt);
            match self.links.find(&name).await? {
                None => return Ok(name),
                // Left of an attach that did not finish.
                Some(device) if !self.is_attached(&device) => {
                    self.links.delete(device.index).await?;
                    return Ok(name);
                }
                Some(_) => {}
            }
        }
        Err(Error::ForeignDevice { name: name::device(&self.config.id, id, 0) })
    }

    fn is_attached(&self, device: &Device) -> bool {
        self.state.lock().attached.values().any(|attachment| attachment.device == device.index)
    }
}

/// Holds the lock of one attachment, and forgets the lock when nobody waits for it.
struct Working<'a> {
    inner: &'a Inner,
    id: String,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        self.guard = None;
        if state.working.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            state.working.remove(&self.id);
        }
    }
}

impl Config {
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.pod_cidr.nth(1)
    }

    fn netns_path(&self, id: &str) -> Result<PathBuf, Error> {
        let fits = !id.is_empty() && id.len() <= 200 && !id.starts_with('.');
        if fits && !id.contains(|c: char| c == '/' || c.is_control()) {
            return Ok(self.netns_dir.join(id));
        }
        Err(Error::Name { id: id.to_owned(), dir: self.netns_dir.clone() })
    }

    fn pod_route(&self, attachment: &Attachment) -> rtnetlink::packet_route::route::RouteMessage {
        links::link_route(Ipv4Net::single(attachment.ip), attachment.device, Some(self.gateway()))
    }
}

/// Nothing of a cloud's network stays on the host.
async fn remove_all(links: &Links, config: &Config) -> Result<(), Error> {
    let gateway = config.gateway();
    for (device, ip) in links.host_routes().await? {
        if ip != gateway && config.pod_cidr.contains(ip) {
            let attachment = Attachment { ip, device };
            links.delete_route(config.pod_route(&attachment), &ip.to_string()).await?;
        }
    }
    for (_, path) in pinned(&config.netns_dir)? {
        netns::release(&path)?;
    }
    netns::unprepare(&config.netns_dir)?;
    remove_devices(links, config).await?;
    Rules::remove(&table_name(config)).await?;
    gateway::close(links, config).await
}

/// Waits for the kernel to remove the devices of released namespaces, then removes those of
/// namespaces that somebody else still holds.
async fn remove_devices(links: &Links, config: &Config) -> Result<(), Error> {
    let patience = tokio::time::Instant::now() + Duration::from_secs(1);
    loop {
        let devices = pod_devices(links, config).await?;
        if devices.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() > patience {
            for device in devices {
                links.delete(device.index).await?;
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Loopback up, the address, and the gateway as only neighbour.
async fn configure_pod(
    pod: &Links,
    ip: Ipv4Addr,
    gateway: Ipv4Addr,
    gateway_mac: [u8; 6],
) -> Result<(), Error> {
    const LOOPBACK: u32 = 1;
    pod.set_up(LOOPBACK, None).await?;
    let device = pod.find("eth0").await?;
    let missing = || Error::io("look up eth0 of the pod")(std::io::Error::other("it is missing"));
    let index = device.ok_or_else(missing)?.index;
    pod.set_up(index, None).await?;
    pod.add_address(index, ip).await?;
    pod.set_neighbour(index, gateway, gateway_mac).await?;
    pod.set_route(links::link_route(Ipv4Net::single(gateway), index, None), "the gateway").await?;
    pod.set_route(links::default_route(gateway, index), "the outside").await
}

/// What an earlier process attached and still works. What does not is removed.
async fn take_over(links: &Links, config: &Config) -> Result<BTreeMap<String, Attachment>, Error> {
    let routes: HashMap<u32, Ipv4Addr> = links.host_routes().await?.into_iter().collect();
    let mut devices: HashMap<String, Device> = HashMap::new();
    for device in pod_devices(links, config).await? {
        let ours =
            device.alias.as_deref().and_then(|alias| alias.strip_prefix(&format!("sealos {} ", config.id)));
        match ours {
            Some(id) => {
                devices.insert(id.to_owned(), device);
            }
            None => links.delete(device.index).await?,
        }
    }
    let mut attached = BTreeMap::new();
    for (id, path) in pinned(&config.netns_dir)? {
        let device = devices.remove(&id);
        let ip = device.as_ref().and_then(|device| routes.get(&device.index));
        match (device.as_ref(), ip) {
            (Some(device), Some(ip)) if netns::is_pinned(&path) && config.pod_cidr.contains(*ip) => {
                attached.insert(id, Attachment { ip: *ip, device: device.index });
            }
            _ => {
                debug!(id, "remove the rest of a network namespace");
                if let Some(device) = device {
                    links.delete(device.index).await?;
                }
                netns::release(&path)?;
            }
        }
    }
    for device in devices.into_values() {
        links.delete(device.index).await?;
    }
    Ok(attached)
}

async fn pod_devices(links: &Links, config: &Config) -> Result<Vec<Device>, Error> {
    let prefix = name::device_prefix(&config.id);
    let mut devices = links.list().await?;
    devices.retain(|device| device.kind == Some(InfoKind::Veth) && device.name.starts_with(&prefix));
    Ok(devices)
}

fn pinned(dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let attempt = || format!("list {}", dir.display());
    let mut found = Vec::new();
    if !dir.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(dir).map_err(Error::io(attempt()))? {
        let entry = entry.map_err(Error::io(attempt()))?;
        if let Ok(id) = entry.file_name().into_string() {
            found.push((id, entry.path()));
        }
    }
    Ok(found)
}

fn base_rules(config: &Config) -> Base {
    Base {
        table: table_name(config),
        pods: config.pod_cidr,
        services: config.service_cidr,
        gateway: config.gateway(),
        device_prefix: name::device_prefix(&config.id),
    }
}

fn table_name(config: &Config) -> String {
    format!("sealos-{}", config.id)
}

/// A locally administered hardware address made of an IP address, so that nobody has to ask for it.
fn mac(side: u8, ip: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = ip.octets();
    [0x0a, side, a, b, c, d]
}
