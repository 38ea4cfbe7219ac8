//! One established UDP flow, and how long its packets take.

use super::{End, Load, patiently};
use crate::lab::{LabError, Netns};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Instant,
};

/// Datagrams in a burst: few enough for a socket's queue, many enough that reading the clock costs nothing.
const BURST: u32 = 32;
/// Bytes of a datagram.
const SIZE: usize = 64;

/// From which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client that opened it.
    Original,
    /// From the server.
    Reply,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Original, Self::Reply];
}

/// A UDP flow between two namespaces, both of whose sockets the caller's thread drives.
#[derive(Debug)]
pub struct Flow {
    client: UdpSocket,
    server: UdpSocket,
    name: String,
}

impl Flow {
    /// Makes both sockets, connects them to each other and exchanges a datagram, after which conntrack calls the flow
    /// established.
    ///
    /// # Errors
    /// [`LabError::Io`] if a socket cannot be made; [`LabError::NotEstablished`] if nothing arrives.
    pub fn open((from, client): End<'_>, (to, server): End<'_>, port: u16) -> Result<Self, LabError> {
        let name = format!("the flow {client} -> {server} UDP {port}");
        let bind = |netns: &Netns, address: SocketAddr| {
            let socket = netns.enter(|| UdpSocket::bind(address))?;
            let socket =
                socket.map_err(LabError::io(format!("a socket at {address} in {}", netns.name())))?;
            socket.set_nonblocking(true).map_err(LabError::io(name.clone()))?;
            Ok::<_, LabError>(socket)
        };
        let server = bind(to, SocketAddr::new(server, port))?;
        let client = bind(from, SocketAddr::new(client, 0))?;
        let flow = Self { client, server, name };
        let address = |socket: &UdpSocket| socket.local_addr().map_err(LabError::io(flow.name.clone()));
        let (client, server) = (address(&flow.client)?, address(&flow.server)?);
        flow.client.connect(server).map_err(LabError::io(flow.name.clone()))?;
        flow.server.connect(client).map_err(LabError::io(flow.name.clone()))?;
        for side in [Side::Original, Side::Reply, Side::Original] {
            flow.one_way(side)?;
        }
        Ok(flow)
    }

    /// Sends a burst one way, and tells how long one datagram of it took, in nanoseconds, from the call to the receiver's queue.
    ///
    /// # Errors
    /// [`LabError::NotEstablished`] if a datagram does not arrive: what is measured must permit the flow.
    pub fn one_way(&self, side: Side) -> Result<f64, LabError> {
        let (from, to) = match side {
            Side::Original => (&self.client, &self.server),
            Side::Reply => (&self.server, &self.client),
        };
        let mut bytes = [0; SIZE];
        let start = Instant::now();
        for _ in 0..BURST {
            from.send(&bytes).map_err(|error| self.lost(error))?;
        }
        let took = start.elapsed();
        for _ in 0..BURST {
            self.receive(to, &mut bytes)?;
        }
        Ok(took.as_nanos() as f64 / f64::from(BURST))
    }

    /// Takes one datagram out of a queue. It is there already, unless the kernel has put the rest of the path off.
    fn receive(&self, to: &UdpSocket, bytes: &mut [u8]) -> Result<(), LabError> {
        patiently(|| to.recv(bytes)).map(drop).map_err(|error| self.lost(error))
    }

    fn lost(&self, source: io::Error) -> LabError {
        LabError::NotEstablished { what: self.name.clone(), source }
    }
}

/// Nanoseconds a packet of the original direction, and of replies.
impl Load for Flow {
    fn figures(&self) -> &'static [&'static str] {
        &["original", "reply"]
    }

    fn burst(&self) -> Result<Vec<f64>, LabError> {
        Side::BOTH.into_iter().map(|side| self.one_way(side)).collect()
    }
}
