//! A flood that policies deny.

use super::{End, Load};
use crate::lab::LabError;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Instant,
};

/// Datagrams of a burst.
const BURST: u32 = 32;

/// Datagrams of one flow to a port that no policy permits. Without policies they arrive, and are thrown away.
#[derive(Debug)]
pub struct Denied {
    client: UdpSocket,
    server: UdpSocket,
    name: String,
}

impl Denied {
    /// Between two pods.
    ///
    /// # Errors
    /// [`LabError::Io`] if a socket cannot be made.
    pub fn open((from, client): End<'_>, (to, server): End<'_>, port: u16) -> Result<Self, LabError> {
        let name = format!("the flood {client} -> {server} UDP {port}");
        let bind = |address: SocketAddr| {
            let socket = UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        let to_port = SocketAddr::new(server, port);
        let server = to.enter(|| bind(to_port))?.map_err(LabError::io(name.clone()))?;
        let client = from.enter(|| bind(SocketAddr::new(client, 0)))?.map_err(LabError::io(name.clone()))?;
        client.connect(to_port).map_err(LabError::io(name.clone()))?;
        Ok(Self { client, server, name })
    }

    /// How many of a burst arrive: what is measured must deny it.
    ///
    /// # Errors
    /// [`LabError::Io`] if a socket fails.
    pub fn arriving(&self) -> Result<u32, LabError> {
        self.flood()?;
        Ok(self.drain())
    }

    fn flood(&self) -> Result<f64, LabError> {
        let bytes = [0; 64];
        let start = Instant::now();
        for _ in 0..BURST {
            match self.client.send(&bytes) {
                // Whoever denies may answer: the call tells of the datagram before, and has sent nothing.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.client.send(&bytes),
                result => result,
            }
            .map_err(LabError::io(self.name.clone()))?;
        }
        Ok(start.elapsed().as_nanos() as f64 / f64::from(BURST))
    }

    fn drain(&self) -> u32 {
        let mut bytes = [0; 64];
        std::iter::repeat_with(|| self.server.recv(&mut bytes)).take_while(Result::is_ok).zip(1..).count()
            as u32
    }
}

/// Nanoseconds a datagram, from the call to where it ends.
impl Load for Denied {
    fn figures(&self) -> &'static [&'static str] {
        &["a denied packet, ns"]
    }

    fn burst(&self) -> Result<Vec<f64>, LabError> {
        let took = self.flood()?;
        self.drain();
        Ok(vec![took])
    }
}
