//! A TCP connection at full speed.

use super::{End, Load, PATIENCE};
use crate::lab::LabError;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// Bytes of a burst.
const BURST: usize = 4 << 20;

/// Bytes that go to the kernel at once.
const CHUNK: usize = 128 << 10;

/// A TCP connection both of whose sockets the caller's thread drives: it writes as much as the sockets take, reads as much as
/// there is, and so on. So one processor does all of the work, as the sender's, the receiver's and the acknowledgements'.
#[derive(Debug)]
pub struct Stream {
    client: TcpStream,
    server: TcpStream,
    name: String,
}

impl Stream {
    /// Connects two pods.
    ///
    /// # Errors
    /// [`LabError::NotEstablished`] if they cannot connect.
    pub fn open((from, client): End<'_>, (to, server): End<'_>, port: u16) -> Result<Self, LabError> {
        let name = format!("the stream {client} -> {server} TCP {port}");
        let lost = |source| LabError::NotEstablished { what: name.clone(), source };
        let address = SocketAddr::new(server, port);
        let listener = to.enter(|| TcpListener::bind(address))?.map_err(lost)?;
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
        let client = from.enter(connect)?.map_err(lost)?;
        let (server, _) = listener.accept().map_err(lost)?;
        for socket in [&client, &server] {
            socket.set_nonblocking(true).map_err(lost)?;
        }
        Ok(Self { client, server, name })
    }

    fn send(&self) -> io::Result<Duration> {
        let mut buffer = vec![0; CHUNK];
        let (mut sent, mut received) = (0, 0);
        let start = Instant::now();
        let mut moved = start;
        while received < BURST {
            let before = (sent, received);
            while sent < BURST {
                match (&self.client).write(&buffer[..CHUNK.min(BURST - sent)]) {
                    Ok(length) => sent += length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            loop {
                match (&self.server).read(&mut buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(length) => received += length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if before != (sent, received) {
                moved = Instant::now();
            } else if moved.elapsed() > PATIENCE * 5 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(start.elapsed())
    }
}

/// Nanoseconds a KiB.
impl Load for Stream {
    fn figures(&self) -> &'static [&'static str] {
        &["TCP, ns a KiB"]
    }

    fn burst(&self) -> Result<Vec<f64>, LabError> {
        let lost = |source| LabError::NotEstablished { what: self.name.clone(), source };
        Ok(vec![self.send().map_err(lost)?.as_nanos() as f64 / (BURST >> 10) as f64])
    }
}
