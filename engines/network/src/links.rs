//! Devices, addresses and routes, by rtnetlink.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteScope, RouteType};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::{Error, Ipv4Net};

/// A device as the kernel describes it.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    pub(crate) kind: Option<InfoKind>,
    pub(crate) mtu: u32,
}

impl Device {
    fn read(message: LinkMessage) -> Self {
        let mut device =
            Self { index: message.header.index, name: String::new(), alias: None, kind: None, mtu: 1500 };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name = name,
                LinkAttribute::IfAlias(alias) => device.alias = Some(alias),
                LinkAttribute::Mtu(mtu) => device.mtu = mtu,
                LinkAttribute::LinkInfo(parts) => {
                    device.kind = parts.into_iter().find_map(|part| match part {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        device
    }
}

/// What a veth pair needs to come into being.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) mtu: u32,
    pub(crate) host_mac: [u8; 6],
    pub(crate) pod_mac: [u8; 6],
    pub(crate) netns: BorrowedFd<'a>,
}

/// A route connection into one network namespace.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    handle: Handle,
}

impl Links {
    /// Connects to the namespace of the calling thread. Needs a tokio runtime.
    pub(crate) fn open() -> Result<Self, Error> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(Error::io("open a route netlink socket"))?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<Device>, Error> {
        match self.handle.link().get().match_name(name).execute().try_next().await {
            Ok(message) => Ok(message.map(Device::read)),
            Err(error) if errno(&error) == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(Error::link(format!("look up device {name}"))(error)),
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<Device>, Error> {
        let messages = self.handle.link().get().execute();
        messages.map_ok(Device::read).try_collect().await.map_err(Error::link("list devices"))
    }

    pub(crate) async fn add_bridge(&self, name: &str) -> Result<(), Error> {
        let request = self.handle.link().add(LinkBridge::new(name).build());
        request.execute().await.map_err(Error::link(format!("create bridge {name}")))
    }

    /// Creates the pair with the peer `eth0` inside the namespace. Both ends are down.
    pub(crate) async fn add_veth(&self, veth: Veth<'_>) -> Result<(), Error> {
        let peer = LinkMessageBuilder::<LinkUnspec>::default()
            .name("eth0")
            .mtu(veth.mtu)
            .address(veth.pod_mac.to_vec())
            .setns_by_fd(veth.netns.as_raw_fd())
            .build();
        let pair = LinkVeth::new(veth.name, "eth0")
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .mtu(veth.mtu)
            .address(veth.host_mac.to_vec())
            .build();
        let request = self.handle.link().add(pair);
        request.execute().await.map_err(Error::link(format!("create veth {}", veth.name)))
    }

    pub(crate) async fn set_up(&self, index: u32, alias: Option<&str>) -> Result<(), Error> {
        let mut link = LinkUnspec::new_with_index(index).up();
        if let Some(alias) = alias {
            link = link.append_extra_attribute(LinkAttribute::IfAlias(alias.to_owned()));
        }
        let request = self.handle.link().set(link.build());
        request.execute().await.map_err(Error::link(format!("set device {index} up")))
    }

    /// Deletes a device; one that is gone already is fine.
    pub(crate) async fn delete(&self, index: u32) -> Result<(), Error> {
        match self.handle.link().del(index).execute().await {
            Err(error) if errno(&error) != Some(libc::ENODEV) => {
                Err(Error::link(format!("delete device {index}"))(error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn addresses(&self, index: u32) -> Result<Vec<Ipv4Addr>, Error> {
        use rtnetlink::packet_route::address::AddressAttribute;
        let request = self.handle.address().get().set_link_index_filter(index);
        let messages: Vec<_> =
            request.execute().try_collect().await.map_err(Error::link("list addresses"))?;
        let attributes = messages.into_iter().flat_map(|message| message.attributes);
        Ok(attributes
            .filter_map(|attribute| match attribute {
                AddressAttribute::Address(IpAddr::V4(address)) => Some(address),
                _ => None,
            })
            .collect())
    }

    pub(crate) async fn add_address(&self, index: u32, address: Ipv4Addr) -> Result<(), Error> {
        let request = self.handle.address().add(index, address.into(), 32).replace();
        request.execute().await.map_err(Error::link(format!("give {address} to device {index}")))
    }

    pub(crate) async fn set_route(&self, route: RouteMessage, what: &str) -> Result<(), Error> {
        let request = self.handle.route().add(route).replace();
        request.execute().await.map_err(Error::link(format!("add the route to {what}")))
    }

    pub(crate) async fn delete_route(&self, route: RouteMessage, what: &str) -> Result<(), Error> {
        match self.handle.route().del(route).execute().await {
            Err(error) if errno(&error) != Some(libc::ESRCH) => {
                Err(Error::link(format!("delete the route to {what}"))(error))
            }
            _ => Ok(()),
        }
    }

    /// Tells a device the hardware address of its one neighbour, so that nobody has to ask.
    pub(crate) async fn set_neighbour(
        &self,
        index: u32,
        address: Ipv4Addr,
        mac: [u8; 6],
    ) -> Result<(), Error> {
        let request = self.handle.neighbours().add(index, address.into()).link_layer_address(&mac).replace();
        request.execute().await.map_err(Error::link(format!("add the neighbour {address}")))
    }

    /// The single addresses that have a route of their own, by device index.
    pub(crate) async fn host_routes(&self) -> Result<Vec<(u32, Ipv4Addr)>, Error> {
        let query = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes: Vec<RouteMessage> = self
            .handle
            .route()
            .get(query)
            .execute()
            .try_collect()
            .await
            .map_err(Error::link("list routes"))?;
        Ok(routes.iter().filter_map(host_route).collect())
    }

    /// The device of the default route, if there is one.
    pub(crate) async fn uplink(&self) -> Result<Option<Device>, Error> {
        let query = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes: Vec<RouteMessage> = self
            .handle
            .route()
            .get(query)
            .execute()
            .try_collect()
            .await
            .map_err(Error::link("list routes"))?;
        let Some(index) = routes.iter().filter(|r| r.header.destination_prefix_length == 0).find_map(output)
        else {
            return Ok(None);
        };
        Ok(self.list().await?.into_iter().find(|device| device.index == index))
    }
}

fn output(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn host_route(route: &RouteMessage) -> Option<(u32, Ipv4Addr)> {
    if route.header.destination_prefix_length != 32 || route.header.kind != RouteType::Unicast {
        return None;
    }
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })?;
    Some((output(route)?, address))
}

/// A route to what is directly behind a device.
pub(crate) fn link_route(net: Ipv4Net, index: u32, source: Option<Ipv4Addr>) -> RouteMessage {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(net.address(), net.prefix())
        .output_interface(index)
        .scope(RouteScope::Link);
    match source {
        Some(source) => route.pref_source(source).build(),
        None => route.build(),
    }
}

/// The default route by `gateway`.
pub(crate) fn default_route(gateway: Ipv4Addr, index: u32) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(index).build()
}

/// Says "unreachable" at once for addresses nobody has.
pub(crate) fn unreachable_route(net: Ipv4Net) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(net.address(), net.prefix())
        .kind(RouteType::Unreachable)
        .build()
}

fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.code.map(|code| -code.get()),
        _ => None,
    }
}
