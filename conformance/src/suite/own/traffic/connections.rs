//! New connections at a steady pace.

use super::super::{
    case::Fault,
    first_packets::{PATIENCE, sent_again},
    pods::Pod,
};
use crate::{cluster::ClusterError, lab::LabError};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const GREETING: &[u8] = b"hello";

/// Greets whoever connects to a port of a pod.
#[derive(Debug)]
pub(super) struct Listener {
    thread: JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(pod: &Pod, port: u16, stop: &Arc<AtomicBool>) -> Result<Self, Fault> {
        let any: SocketAddr = if pod.address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, port).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, port).into()
        };
        let error = || ClusterError::io(format!("a listener at port {port} of {}", pod.name));
        let listener = pod.enter(|| TcpListener::bind(any))?.map_err(error())?;
        listener.set_nonblocking(true).map_err(error())?;
        let stop = stop.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // The client notices what it does not get.
                    Ok((mut stream, _)) => drop(stream.write_all(GREETING)),
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Ok(Self { thread })
    }

    /// Waits until it has ended, and its port is free again.
    pub(super) fn join(self) {
        // One that panicked has said so.
        let _ = self.thread.join();
    }
}

/// How many connections were tried, and when and why some failed.
#[derive(Debug, Default)]
struct Tried {
    count: u64,
    failures: Vec<(Duration, io::Error)>,
    /// First packets that were sent once more, and when that was seen first.
    again: u64,
    seen: Option<Duration>,
}

/// A client that connects again and again.
#[derive(Debug)]
pub(super) struct Connections {
    /// From whom to whom.
    way: String,
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<io::Result<Tried>, LabError>>,
}

impl Connections {
    pub(super) fn start(
        from: &Pod,
        to: SocketAddr,
        every: Duration,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Fault> {
        let end = Arc::new(AtomicBool::new(false));
        let (ended, stop) = (end.clone(), stop.clone());
        // Sockets are made as they are needed, in a namespace that this thread stays in.
        let pod = from.try_clone()?;
        let thread = thread::spawn(move || {
            pod.enter(|| {
                let (begin, mut tried) = (Instant::now(), Tried::default());
                let before = sent_again()?;
                let mut next = begin;
                while !ended.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed) {
                    tried.count += 1;
                    let at = begin.elapsed();
                    tried.failures.extend(greeted(to).err().map(|error| (at, error)));
                    tried.again = sent_again()? - before;
                    tried.seen = tried.seen.or_else(|| (tried.again > 0).then_some(at));
                    next += every;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                Ok(tried)
            })
        });
        Ok(Self { way: format!("{} to {to}", from.name), end, thread })
    }

    /// Ends it. How many were tried and how many failed, and of the first of these when and why.
    pub(super) fn end(self) -> Result<(u64, u64, Option<String>), Fault> {
        self.end.store(true, Ordering::Relaxed);
        let tried = self.thread.join().map_err(|_| LabError::Panicked("connections".to_owned()))??;
        let tried = tried.map_err(ClusterError::io("the counters of a pod's kernel"))?;
        let failed = tried.failures.first().map(|(at, error)| (at, error.to_string()));
        let again =
            tried.seen.iter().map(|at| (at, format!("{} first packets were sent again", tried.again)));
        let first = failed.into_iter().chain(again).min();
        let first =
            first.map(|(at, why)| format!("{} by TCP, the first {at:.1?} after its begin: {why}", self.way));
        Ok((tried.count, tried.again.max(tried.failures.len() as u64), first))
    }
}

fn greeted(to: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut heard = [0; GREETING.len()];
    (&socket).read_exact(&mut heard)
}
