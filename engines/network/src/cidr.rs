//! IPv4 ranges, and the choice of free ones on this host.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use futures::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::links::Links;

/// A range of IPv4 addresses, for example `10.42.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ipv4Net {
    address: Ipv4Addr,
    prefix: u8,
}

impl Ipv4Net {
    /// The range that `address` belongs to; host bits are cleared. None when the prefix exceeds 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32)
            .then(|| Self { address: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix })
    }

    /// The range of one address.
    pub fn single(address: Ipv4Addr) -> Self {
        Self { address, prefix: 32 }
    }

    /// The first address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// How many addresses there are; saturates for `/0`.
    pub fn size(self) -> u32 {
        1u32.checked_shl(32 - u32::from(self.prefix)).unwrap_or(u32::MAX)
    }

    /// The address `offset` places after the first.
    pub fn nth(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().wrapping_add(offset))
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.address.to_bits()
    }

    /// Whether the two ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Ipv4Net {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split_once('/')
            .and_then(|(address, prefix)| Self::new(address.parse().ok()?, prefix.parse().ok()?))
            .ok_or_else(|| Error::Cidr { text: text.to_owned() })
    }
}

impl TryFrom<String> for Ipv4Net {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Ipv4Net> for String {
    fn from(net: Ipv4Net) -> Self {
        net.to_string()
    }
}

/// The two ranges of one cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cidrs {
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
}

const POD_PREFIX: u8 = 20;
const SERVICE_PREFIX: u8 = 20;

/// Ranges for the cloud `id` that no address, route or name server of this host uses.
///
/// `previous` ranges are kept when they are still free, or when `bridge` shows that they are in use
/// by this very cloud. The search starts at a place derived from `id`, so that clouds which are down,
/// and so invisible, are unlikely to be met.
pub async fn pick_cidrs(id: &str, bridge: &str, previous: Option<Cidrs>) -> Result<Cidrs, Error> {
    let links = Links::open()?;
    if let Some(previous) = previous
        && let Some(device) = links.find(bridge).await?
        && links.addresses(device.index).await?.contains(&previous.pods.nth(1))
    {
        return Ok(previous);
    }
    let used = used_ranges(&links).await?;
    choose(id, previous, &used).ok_or(Error::NoFreeRange)
}

/// The pure half of [`pick_cidrs`].
fn choose(id: &str, previous: Option<Cidrs>, used: &[Ipv4Net]) -> Option<Cidrs> {
    let free = |net: Ipv4Net| !used.iter().any(|other| other.overlaps(net));
    if let Some(previous) = previous
        && free(previous.pods)
        && free(previous.services)
    {
        return Some(previous);
    }
    // 10.64.0.0/10 holds 1024 ranges of /20: pods take the even, services the odd ones.
    let base = Ipv4Addr::new(10, 64, 0, 0).to_bits();
    let start = crate::name::hash(id.as_bytes()) % 512;
    (0..512).find_map(|step| {
        let index = (start + step) % 512 * 2;
        let pods = Ipv4Net::new(Ipv4Addr::from_bits(base + (index << 12)), POD_PREFIX)?;
        let services = Ipv4Net::new(Ipv4Addr::from_bits(base + ((index + 1) << 12)), SERVICE_PREFIX)?;
        (free(pods) && free(services)).then_some(Cidrs { pods, services })
    })
}

async fn used_ranges(links: &Links) -> Result<Vec<Ipv4Net>, Error> {
    let mut used = name_servers();
    let mut addresses = links.handle().address().get().execute();
    while let Some(message) = addresses.try_next().await.map_err(Error::link("list addresses"))? {
        let prefix = message.header.prefix_len;
        used.extend(message.attributes.iter().filter_map(|attribute| match attribute {
            AddressAttribute::Address(std::net::IpAddr::V4(address)) => Ipv4Net::new(*address, prefix),
            _ => None,
        }));
    }
    let query = rtnetlink::RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = links.handle().route().get(query).execute();
    while let Some(message) = routes.try_next().await.map_err(Error::link("list routes"))? {
        let prefix = message.header.destination_prefix_length;
        // The default route covers everything and says nothing.
        if message.header.address_family != AddressFamily::Inet || prefix < 4 {
            continue;
        }
        used.extend(message.attributes.iter().filter_map(|attribute| match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => Ipv4Net::new(*address, prefix),
            _ => None,
        }));
    }
    Ok(used)
}

/// The host's name servers: reached by the default route, so no address or route shows them.
fn name_servers() -> Vec<Ipv4Net> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .map(Ipv4Net::single)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("valid")
    }

    #[test]
    fn parses_and_prints() {
        assert_eq!(net("10.42.7.9/16").to_string(), "10.42.0.0/16");
        assert_eq!(net("0.0.0.0/0").size(), u32::MAX);
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Ipv4Net>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn knows_what_it_contains() {
        assert!(net("10.0.0.0/8").overlaps(net("10.1.0.0/16")));
        assert!(net("10.1.0.0/16").overlaps(net("10.0.0.0/8")));
        assert!(!net("10.1.0.0/16").overlaps(net("10.2.0.0/16")));
        assert!(net("10.1.0.0/16").contains("10.1.255.255".parse().expect("valid")));
    }

    #[test]
    fn chooses_around_what_is_used() {
        let first = choose("aaaaaaaa", None, &[]).expect("free");
        assert!(!first.pods.overlaps(first.services));
        let second = choose("aaaaaaaa", None, &[first.services]).expect("free");
        assert_ne!(first.pods, second.pods);
        assert_eq!(choose("bbbbbbbb", Some(first), &[]), Some(first), "what was chosen before stays");
        assert_ne!(choose("bbbbbbbb", Some(first), &[first.pods]), Some(first));
        assert_eq!(choose("aaaaaaaa", None, &[net("10.0.0.0/8")]), None);
    }
}
