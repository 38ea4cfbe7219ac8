//! Datagrams at a steady pace, and who gets them.

use super::super::{case::Fault, pods::Pod};
use crate::{cluster::ClusterError, lab::LabError};
use socket2::{Domain, Socket, Type};
use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Room for what arrives while a busy machine runs something else.
const BUFFER: usize = 4 << 20;
/// How long a receiver waits before it looks whether it shall end.
const WAIT: Duration = Duration::from_millis(100);

/// Numbers the flows of this process, so that a late datagram of one is not taken for another's.
static IDS: AtomicU64 = AtomicU64::new(1);

/// A socket in a pod's network namespace.
fn socket(pod: &Pod, port: u16) -> Result<UdpSocket, Fault> {
    let any: SocketAddr = if pod.address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, port).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, port).into()
    };
    let made = pod.enter(|| {
        let socket = Socket::new(Domain::for_address(any), Type::DGRAM, None)?;
        // Root may exceed net.core.rmem_max; a full buffer would look like a dropped packet.
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &BUFFER)?;
        socket.bind(&any.into())?;
        Ok::<_, io::Error>(UdpSocket::from(socket))
    })?;
    Ok(made.map_err(ClusterError::io(format!("a socket at port {port} of {}", pod.name)))?)
}

/// Answers every datagram that reaches a port of a pod, and counts them by flow.
#[derive(Debug)]
pub(super) struct Receiver {
    counts: Arc<Mutex<BTreeMap<u64, u64>>>,
    thread: JoinHandle<()>,
}

impl Receiver {
    pub(super) fn start(pod: &Pod, port: u16, stop: &Arc<AtomicBool>) -> Result<Self, Fault> {
        let socket = socket(pod, port)?;
        socket.set_read_timeout(Some(WAIT)).map_err(ClusterError::io("a receiver's patience"))?;
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let (stop, shared) = (stop.clone(), counts.clone());
        let thread = thread::spawn(move || {
            let mut buffer = [0; 64];
            while !stop.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let Some(id) = buffer[..len].first_chunk().copied().map(u64::from_be_bytes) else { continue };
                *shared.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
                // A refusal is for whoever sent it.
                let _ = socket.send_to(&buffer[..len], from);
            }
        });
        Ok(Self { counts, thread })
    }

    /// Waits until it has ended, and its port is free again.
    pub(super) fn join(self) {
        // One that panicked has said so.
        let _ = self.thread.join();
    }

    /// How many of a flow have arrived.
    pub(super) fn count(&self, of: u64) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&of).copied().unwrap_or_default()
    }
}

/// A sender.
#[derive(Debug)]
pub(super) struct Flow {
    id: u64,
    /// From whom to whom.
    way: String,
    every: Duration,
    sent: Arc<AtomicU64>,
    socket: UdpSocket,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Answers>>,
}

/// Which datagrams were answered, by their numbers.
#[derive(Debug, Default)]
struct Answers(Vec<bool>);

impl Flow {
    /// Sends to an address from now on, a datagram `every` so long.
    pub(super) fn start(
        from: &Pod,
        to: SocketAddr,
        every: Duration,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Fault> {
        let socket = socket(from, 0)?;
        let error = || ClusterError::io(format!("a flow from {}", from.name));
        socket.set_nonblocking(true).map_err(error())?;
        let sender = socket.try_clone().map_err(error())?;
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let (sent, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended, stop) = (sent.clone(), end.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let (mut next, mut answers) = (Instant::now(), Answers::default());
            while !ended.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed) {
                let sequence = count.fetch_add(1, Ordering::Relaxed);
                // One that the kernel does not take counts as sent: it is lost.
                let _ = sender.send_to(&[id.to_be_bytes(), sequence.to_be_bytes()].concat(), to);
                answers.read(&sender, id);
                next += every;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            answers
        });
        let way = format!("{} to {to}", from.name);
        Ok(Self { id, way, every, sent, socket, end, thread: Some(thread) })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Sends no more.
    pub(super) fn end(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many were not answered, once it has ended; and of the first of them when it was sent.
    pub(super) fn lost(&mut self) -> Result<(u64, Option<String>), Fault> {
        let Some(thread) = self.thread.take() else { return Ok((0, None)) };
        let mut answers = thread.join().map_err(|_| LabError::Panicked("a flow".to_owned()))?;
        answers.read(&self.socket, self.id);
        answers.0.resize(usize::try_from(self.sent()).unwrap_or(usize::MAX), false);
        let lost: Vec<u32> =
            (0..).zip(&answers.0).filter(|(_, answered)| !**answered).map(|(n, _)| n).collect();
        let first = lost
            .first()
            .map(|&first| format!("{}, the first {:.1?} after its begin", self.way, self.every * first));
        Ok((lost.len() as u64, first))
    }
}

impl Answers {
    /// Those that have come since the last look.
    fn read(&mut self, socket: &UdpSocket, id: u64) {
        let mut buffer = [0; 64];
        while let Ok((len, _)) = socket.recv_from(&mut buffer) {
            let Some(rest) = buffer[..len].strip_prefix(&id.to_be_bytes()) else { continue };
            let Some(&number) = rest.first_chunk() else { continue };
            let number = usize::try_from(u64::from_be_bytes(number)).unwrap_or(usize::MAX);
            if number >= self.0.len() {
                self.0.resize(number + 1, false);
            }
            self.0[number] = true;
        }
    }
}
