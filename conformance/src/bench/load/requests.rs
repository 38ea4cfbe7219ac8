//! Requests and answers, one after the other.

use super::{End, Load};
use crate::lab::LabError;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Requests of a burst.
const BURST: usize = 200;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A client that asks and waits, and a server on a thread of its own that answers: wake-ups are part of what is measured.
#[derive(Debug)]
pub struct Requests {
    client: UdpSocket,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
    name: String,
}

impl Requests {
    /// Starts the server.
    ///
    /// # Errors
    /// [`LabError::Io`] if a socket cannot be made.
    pub fn open((from, client): End<'_>, (to, server): End<'_>, port: u16) -> Result<Self, LabError> {
        let name = format!("requests {client} -> {server} UDP {port}");
        let bind = |address: SocketAddr, patience| {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(patience))?;
            io::Result::Ok(socket)
        };
        let address = SocketAddr::new(server, port);
        let server = to.enter(|| bind(address, PATIENCE / 10))?.map_err(LabError::io(name.clone()))?;
        let client =
            from.enter(|| bind(SocketAddr::new(client, 0), PATIENCE))?.map_err(LabError::io(name.clone()))?;
        client.connect(address).map_err(LabError::io(name.clone()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let serve = move || {
            let mut bytes = [0; 64];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = server.recv_from(&mut bytes) {
                    // Whoever asked sees that no answer comes.
                    let _ = server.send_to(&bytes[..length], from);
                }
            }
        };
        Ok(Self { client, stop, server: Some(thread::spawn(serve)), name })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // It has printed why, if it panicked.
            let _ = server.join();
        }
    }
}

/// Nanoseconds from a request to its answer.
impl Load for Requests {
    fn figures(&self) -> &'static [&'static str] {
        &["a request, p50, ns", "a request, p99, ns"]
    }

    fn burst(&self) -> Result<Vec<f64>, LabError> {
        let lost = |source| LabError::NotEstablished { what: self.name.clone(), source };
        let mut bytes = [0; 64];
        let mut times = Vec::with_capacity(BURST);
        for _ in 0..BURST {
            let start = Instant::now();
            self.client.send(&bytes).map_err(lost)?;
            self.client.recv(&mut bytes).map_err(lost)?;
            times.push(start.elapsed());
        }
        times.sort();
        let at = |percent: usize| times[(BURST * percent / 100).min(BURST - 1)].as_nanos() as f64;
        Ok(vec![at(50), at(99)])
    }
}
