//! The first packet of many flows.

use super::{End, Load, patiently};
use crate::{
    bench::nfnetlink::{NLM_F_ACK, NLM_F_REQUEST, Nfnetlink, message},
    lab::{LabError, Netns},
};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Instant,
};

/// Flows of a burst.
const BURST: usize = 32;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;

/// Datagrams of which each opens a flow of its own. What conntrack remembers is deleted between bursts, so that a port that
/// comes again is new again, and its table stays small.
#[derive(Debug)]
pub struct NewFlows {
    client: Netns,
    address: IpAddr,
    server: UdpSocket,
    to: SocketAddr,
    /// To conntrack on every node.
    conntrack: Vec<Nfnetlink>,
    name: String,
}

impl NewFlows {
    /// Between two pods, through these nodes.
    ///
    /// # Errors
    /// [`LabError::Io`] if a socket cannot be made.
    pub fn open<'n>(
        (client, address): End<'_>,
        (server, to): End<'_>,
        port: u16,
        nodes: impl Iterator<Item = &'n Netns>,
    ) -> Result<Self, LabError> {
        let name = format!("new flows {address} -> {to} UDP {port}");
        let to = SocketAddr::new(to, port);
        let bind = || {
            let socket = UdpSocket::bind(to)?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        let server = server.enter(bind)?.map_err(LabError::io(name.clone()))?;
        let conntrack = nodes.map(|node| Nfnetlink::open(node, "conntrack")).collect::<Result<_, _>>()?;
        Ok(Self { client: client.clone(), address, server, to, conntrack, name })
    }

    fn lost(&self) -> impl Fn(io::Error) -> LabError {
        |source| LabError::NotEstablished { what: self.name.clone(), source }
    }
}

/// Nanoseconds a flow, from the call to the receiver's queue.
impl Load for NewFlows {
    fn figures(&self) -> &'static [&'static str] {
        &["a new flow, ns"]
    }

    fn burst(&self) -> Result<Vec<f64>, LabError> {
        let delete =
            message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, 0, 0, &[]);
        self.conntrack.iter().try_for_each(|conntrack| conntrack.send(&delete, 1))?;
        let open = || {
            let socket = UdpSocket::bind(SocketAddr::new(self.address, 0))?;
            socket.connect(self.to)?;
            Ok(socket)
        };
        let open = || (0..BURST).map(|_| open()).collect::<io::Result<Vec<_>>>();
        let clients = self.client.enter(open)?.map_err(LabError::io(self.name.clone()))?;
        let mut bytes = [0; 64];
        let start = Instant::now();
        for client in &clients {
            client.send(&bytes).map_err(self.lost())?;
        }
        let took = start.elapsed();
        for _ in &clients {
            patiently(|| self.server.recv(&mut bytes)).map_err(self.lost())?;
        }
        Ok(vec![took.as_nanos() as f64 / BURST as f64])
    }
}
