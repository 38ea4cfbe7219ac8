//! Datagrams that are answered from the address they were sent to.
//!
//! A host with several addresses (a node, the outside host) would otherwise answer from the first address of the route
//! back, and the client's kernel and every NAT on the way would not know the answer.

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use socket2::Socket;
use std::{
    io::{self, IoSlice, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
};

/// Where a datagram came from and which address it was sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    peer: SockaddrStorage,
    local: Local,
}

#[derive(Clone, Copy, Debug)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Way {
    /// The sender.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        if let Some(v4) = self.peer.as_sockaddr_in() {
            return Some(SocketAddr::from((v4.ip(), v4.port())));
        }
        self.peer.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())))
    }
}

/// Lets a socket tell the address that a datagram was sent to, and gives it room for bursts.
pub(crate) fn prepare(socket: &Socket, v6: bool) -> io::Result<()> {
    if v6 {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    // Root may exceed net.core.rmem_max; a full buffer would look like a dropped packet.
    setsockopt(socket, sockopt::RcvBufForce, &(4 << 20))?;
    socket.set_nonblocking(true)
}

/// The next datagram, if there is one: its length in `buffer` and its way.
pub(crate) fn receive(socket: &Socket, buffer: &mut [u8]) -> Option<(usize, Way)> {
    let mut space = cmsg_space!(libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT)
            .ok()?;
    let local = message.cmsgs().ok()?.find_map(|c| match c {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info)),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::V6(info)),
        _ => None,
    })?;
    Some((message.bytes, Way { peer: message.address?, local }))
}

/// Sends `bytes` the same way back.
pub(crate) fn answer(socket: &Socket, bytes: &[u8], way: &Way) -> io::Result<()> {
    let (v4, v6);
    let control = match way.local {
        Local::V4(mut info) => {
            // The route back chooses the interface.
            info.ipi_ifindex = 0;
            v4 = info;
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        Local::V6(mut info) => {
            // Only a link-local address needs its interface.
            if info.ipi6_addr.s6_addr[..2] != [0xfe, 0x80] {
                info.ipi6_ifindex = 0;
            }
            v6 = info;
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &[control], MsgFlags::MSG_DONTWAIT, Some(&way.peer))?;
    Ok(())
}
