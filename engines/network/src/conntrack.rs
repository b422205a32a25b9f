//! Forgets flows of UDP endpoints that are gone. A UDP flow has no end of its own, so without this a
//! steady client would go on talking to an address that nobody has.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use crabtables::nl::{Attrs, Messages, Writer};
use crabtables::sys::NFNL_SUBSYS_CTNETLINK;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::Error;
use crate::services::Protocol;

const NETLINK_NETFILTER: isize = 12;
const GET: u16 = 1;
const DELETE: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;

/// Deletes all UDP flows that are answered by one of `endpoints`. Blocks.
pub(crate) fn forget_udp(endpoints: &BTreeSet<SocketAddrV4>) -> Result<(), Error> {
    delete_flows(endpoints).map_err(Error::io("forget the flows of removed UDP endpoints"))
}

fn delete_flows(endpoints: &BTreeSet<SocketAddrV4>) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // The tuple of a flow, as the kernel wrote it, names the flow when it is given back.
    for tuple in flows(&socket, endpoints)? {
        let mut request = Writer::new();
        let message = request.begin_msg(kind(DELETE), NLM_F_REQUEST, 2, family(), 0);
        request.nest(CTA_TUPLE_ORIG, |w| w.put_raw(&tuple));
        request.end_msg(message);
        // No answer is asked for: a flow that ended meanwhile is as good as deleted.
        socket.send(request.as_bytes(), 0)?;
    }
    Ok(())
}

fn flows(socket: &Socket, endpoints: &BTreeSet<SocketAddrV4>) -> io::Result<Vec<Vec<u8>>> {
    let mut request = Writer::new();
    let message = request.begin_msg(kind(GET), NLM_F_REQUEST | NLM_F_DUMP, 1, family(), 0);
    request.end_msg(message);
    socket.send(request.as_bytes(), 0)?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for message in Messages::new(&datagram) {
            let message = message.map_err(io::Error::other)?;
            match message.ty {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => return Err(io::Error::other("the kernel refused to list flows")),
                _ => {
                    let (_, attributes) = message.nfgen().map_err(io::Error::other)?;
                    found.extend(original_of(attributes, endpoints));
                }
            }
        }
    }
}

/// The original tuple of a flow, when one of `endpoints` answers it.
fn original_of(attributes: Attrs<'_>, endpoints: &BTreeSet<SocketAddrV4>) -> Option<Vec<u8>> {
    let mut original = None;
    let mut answered = false;
    for attribute in attributes.flatten() {
        match attribute.ty {
            CTA_TUPLE_ORIG => original = Some(attribute.data.to_vec()),
            CTA_TUPLE_REPLY => {
                answered = udp_source(attribute.nested()).is_some_and(|source| endpoints.contains(&source));
            }
            _ => {}
        }
    }
    original.filter(|_| answered)
}

fn udp_source(tuple: Attrs<'_>) -> Option<SocketAddrV4> {
    let (mut address, mut port, mut protocol) = (None, None, None);
    for part in tuple.flatten() {
        for value in part.nested().flatten() {
            match (part.ty, value.ty) {
                (CTA_TUPLE_IP, CTA_IP_V4_SRC) => address = <[u8; 4]>::try_from(value.data).ok(),
                (CTA_TUPLE_PROTO, CTA_PROTO_NUM) => protocol = value.data.first().copied(),
                (CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT) => port = <[u8; 2]>::try_from(value.data).ok(),
                _ => {}
            }
        }
    }
    (protocol? == Protocol::Udp.number())
        .then_some(SocketAddrV4::new(Ipv4Addr::from(address?), u16::from_be_bytes(port?)))
}

fn kind(message: u16) -> u16 {
    u16::from(NFNL_SUBSYS_CTNETLINK) << 8 | message
}

fn family() -> u8 {
    // AF_INET
    2
}
