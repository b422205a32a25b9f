//! The ports of a cloud: bound before any work starts, so that a taken port costs nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use tokio::net::{TcpListener, TcpSocket};

/// Where to listen: the port asked for, the one of the last start, or a free one.
pub(crate) struct Wish<'a> {
    /// The flag, for messages.
    pub(crate) flag: &'a str,
    /// The port a person asked for; it must be had.
    pub(crate) asked: Option<u16>,
    /// The port of the last start, if it is not 0.
    pub(crate) before: u16,
    /// The ports to try in turn: the usual one, then from the second on upward.
    pub(crate) usual: (u16, u16),
}

/// Binds a port.
pub(crate) fn bind(wish: &Wish<'_>) -> Result<TcpListener> {
    if let Some(port) = wish.asked {
        return listen(port).map_err(|error| {
            let taken = error.kind() == std::io::ErrorKind::AddrInUse;
            let why = if taken { "it is in use".to_owned() } else { error.to_string() };
            anyhow::anyhow!("listen on port {port}: {why}; choose another with {} PORT", wish.flag)
        });
    }
    let (usual, next) = wish.usual;
    let before = (wish.before != 0).then_some(wish.before);
    for port in before.into_iter().chain([usual]).chain(next..next.saturating_add(1000)) {
        if let Ok(listener) = listen(port) {
            return Ok(listener);
        }
    }
    bail!("no free port was found from {next} on; choose one with {} PORT", wish.flag)
}

/// Listens on all addresses, IPv6 too where the machine has it.
fn listen(port: u16) -> std::io::Result<TcpListener> {
    // A port that another program holds on one address only would be shadowed for part of the clients.
    probe(port)?;
    match bind_to(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port) {
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            bind_to(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
        }
        other => other,
    }
}

fn bind_to(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(4096)
}

/// Fails if anything listens on this port of the loopback address.
fn probe(port: u16) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))?;
    socket.listen(1).map(drop)
}

/// The port of a listener.
pub(crate) fn port_of(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr().context("read a listener's port")?.port())
}
