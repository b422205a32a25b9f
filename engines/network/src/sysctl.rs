//! Kernel settings that the network needs, and their way back.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::Error;

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The host's forwarding switch, held against other clouds for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Forwarding {
    switch: Flock<File>,
}

impl Forwarding {
    /// Waits for other clouds that are looking at the switch right now.
    pub(crate) fn lock() -> Result<Self, Error> {
        let attempt = "open net.ipv4.ip_forward";
        let file = File::options().read(true).write(true).open(FORWARD).map_err(Error::io(attempt))?;
        let switch = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::io("lock net.ipv4.ip_forward")(errno.into()))?;
        Ok(Self { switch })
    }

    pub(crate) fn is_on(&self) -> Result<bool, Error> {
        let now = fs::read_to_string(FORWARD).map_err(Error::io("read net.ipv4.ip_forward"))?;
        Ok(now.trim() != "0")
    }

    pub(crate) fn set(&self, value: &'static str) -> Result<(), Error> {
        (&*self.switch).write_all(value.as_bytes()).map_err(Error::io("set net.ipv4.ip_forward"))
    }
}

/// Settings of one pod device, on the host's side.
pub(crate) fn tune_device(name: &str) -> Result<(), Error> {
    let set = |family: &str, key: &str, value: &str| {
        let path: PathBuf = ["/proc/sys/net", family, "conf", name, key].iter().collect();
        match fs::write(&path, value) {
            // A kernel without IPv6 has no such file, and then nothing to switch off.
            Err(e) if e.kind() == io::ErrorKind::NotFound && family == "ipv6" => Ok(()),
            result => result.map_err(Error::io(format!("set {}", path.display()))),
        }
    };
    // Node ports on 127.0.0.1 leave by this device; the guard chain keeps pods out of the loopback.
    set("ipv4", "route_localnet", "1")?;
    // A pod may only send from its own address.
    set("ipv4", "rp_filter", "1")?;
    // All pods are behind one gateway on purpose.
    set("ipv4", "send_redirects", "0")?;
    set("ipv6", "disable_ipv6", "1")
}
