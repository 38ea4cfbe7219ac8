//! One host's sockets.

use super::wire;
use crate::{
    lab::{Family, LabError, Netns},
    probe::prepare,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// The UDP ports that streams go to. Policies of the strategies speak about both, and the lab serves neither.
pub(super) const PORTS: [u16; 2] = [82, 8080];
/// Streams come from here, so that no stream's packets look like answers to another one's.
const SOURCE: u16 = 20_000;

/// A host's addresses and sockets, while it is there.
#[derive(Debug)]
pub(super) struct Host {
    /// Each family's address, and the socket that sends.
    ends: Vec<(IpAddr, Socket)>,
    /// What receives, in both families.
    pub(super) receivers: Vec<Arc<Socket>>,
}

impl Host {
    /// Opens its sockets in its network namespace.
    pub(super) fn open(netns: &Netns, addresses: &[IpAddr]) -> Result<Self, LabError> {
        let opened = netns.enter(|| {
            let mut host = Self { ends: Vec::new(), receivers: Vec::new() };
            for &address in addresses {
                host.ends.push((address, socket(address, SOURCE)?));
                for port in PORTS {
                    host.receivers.push(Arc::new(socket(address, port)?));
                }
            }
            Ok::<_, io::Error>(host)
        })?;
        opened.map_err(LabError::io(format!("cannot open the sockets of {}", netns.name())))
    }

    pub(super) fn address(&self, family: Family) -> Option<IpAddr> {
        self.ends.iter().map(|(address, _)| *address).find(|address| Family::of(*address) == family)
    }

    /// Hands one datagram to its kernel; whether that took it.
    pub(super) fn send(&self, to: SocketAddr, stream: usize, tick: u64) -> bool {
        let same_family = |(address, _): &&(IpAddr, Socket)| address.is_ipv4() == to.is_ipv4();
        let Some((_, socket)) = self.ends.iter().find(same_family) else { return false };
        socket.send_to(&wire::datagram(stream, tick), &SockAddr::from(to)).is_ok()
    }
}

fn socket(address: IpAddr, port: u16) -> io::Result<Socket> {
    let v6 = address.is_ipv6();
    let (domain, any): (_, IpAddr) = match v6 {
        false => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        true => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    prepare(&socket, v6)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket)
}
