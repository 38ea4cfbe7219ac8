//! Streams of datagrams between all hosts, one each tick, all the while. Who got which is known to the tick.
//!
//! They go one way, so that no answer opens a way for anything. A stream keeps its ports and so its conntrack entry; new
//! flows are what the probes between two steps try.

mod host;
mod wire;

use crate::{
    lab::{Family, LabError, Netns, addresses},
    probe::Arrivals as Ticks,
};
use host::{Host, PORTS};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use policy_model::verdict::{Endpoint, Flow};
use socket2::Socket;
use std::{
    collections::HashMap,
    io::Read,
    net::{IpAddr, SocketAddr},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// From one datagram of a stream to its next.
const EVERY: Duration = Duration::from_millis(25);
/// Bytes of a datagram and more.
const ROOM: usize = 256;
/// How long the receiver waits before it looks whether it is to end, in milliseconds.
const LOOK: u8 = 100;

/// A host, by its number.
pub(super) type HostId = usize;

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) family: Family,
    pub(super) port: u16,
}

impl Stream {
    /// The flow that it is, for the model; `None` while one of its hosts is away.
    pub(super) fn flow(&self, address: impl Fn(HostId, Family) -> Option<IpAddr>) -> Option<Flow> {
        Some(Flow {
            source: Endpoint::Address(address(self.from, self.family)?),
            destination: Endpoint::Address(address(self.to, self.family)?),
            protocol: 17,
            port: Some(self.port),
        })
    }

    pub(super) fn touches(&self, host: HostId) -> bool {
        self.from == host || self.to == host
    }
}

/// All streams. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Streams {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    streams: Vec<Stream>,
    sending: Mutex<Sending>,
    arrivals: Mutex<Vec<Ticks>>,
    receivers: Mutex<HashMap<u64, Arc<Socket>>>,
    epoll: Epoll,
    stop: AtomicBool,
}

/// What the sender's lock holds: a tick is sent with it held, so that whoever takes it is between two ticks.
#[derive(Debug)]
struct Sending {
    hosts: Vec<Option<Host>>,
    sent: Vec<Ticks>,
    tick: u64,
}

/// What became of a stream's datagrams over some ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Ticks of those that arrived.
    pub(super) arrived: Vec<u64>,
    /// Ticks of those that were sent and did not.
    pub(super) lost: Vec<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// Between `hosts` hosts, of which the last is the one outside: to and from each pod. None is there yet.
    pub(super) fn start(hosts: usize) -> Result<Self, LabError> {
        let failed = || LabError::io::<std::io::Error>("cannot start the streams");
        let mut streams = Vec::new();
        for from in 0..hosts {
            for to in (0..hosts).filter(|to| *to != from) {
                for family in Family::BOTH {
                    streams.extend(PORTS.map(|port| Stream { from, to, family, port }));
                }
            }
        }
        let empty = || streams.iter().map(|_| Ticks::default()).collect::<Vec<_>>();
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(LabError::io("cannot wait for streams"))?;
        let shared = Arc::new(Shared {
            sending: Mutex::new(Sending {
                hosts: (0..hosts).map(|_| None).collect(),
                sent: empty(),
                tick: 0,
            }),
            arrivals: Mutex::new(empty()),
            receivers: Mutex::default(),
            epoll,
            stop: AtomicBool::new(false),
            streams,
        });
        let spawn = |name: &str, work: fn(&Shared)| {
            let shared = shared.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared)).map_err(failed())
        };
        let threads = vec![spawn("endure-send", Shared::send)?, spawn("endure-receive", Shared::receive)?];
        Ok(Self { shared, threads })
    }

    pub(super) fn list(&self) -> &[Stream] {
        &self.shared.streams
    }

    /// A host is there from now on.
    pub(super) fn open(&self, id: HostId, netns: &Netns, addresses: &[IpAddr]) -> Result<(), LabError> {
        let host = Host::open(netns, addresses)?;
        for (index, socket) in (0u64..).zip(&host.receivers) {
            let token = (id as u64) << 8 | index;
            // Known before it is watched: the receiver may be told of it at once.
            lock(&self.shared.receivers).insert(token, socket.clone());
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
            self.shared.epoll.add(&**socket, event).map_err(LabError::io("cannot watch a socket"))?;
        }
        lock(&self.shared.sending).hosts[id] = Some(host);
        Ok(())
    }

    /// The host outside is there from now on.
    pub(super) fn open_outside(&self, netns: &Netns) -> Result<(), LabError> {
        let id = lock(&self.shared.sending).hosts.len() - 1;
        self.open(id, netns, &[addresses::OUTSIDE4.into(), addresses::OUTSIDE6.into()])
    }

    /// A host is away from now on. What was sent to it before is read, also if the receiver does not come to it in time.
    pub(super) fn close(&self, id: HostId) {
        let leaving = lock(&self.shared.sending).hosts[id].take();
        thread::sleep(EVERY * 3);
        let mut buffer = [0; ROOM];
        leaving
            .iter()
            .flat_map(|host| &host.receivers)
            .for_each(|socket| self.shared.read(socket, &mut buffer));
        drop(leaving);
        lock(&self.shared.receivers).retain(|token, _| (*token >> 8) as usize != id);
    }

    /// A host's address.
    pub(super) fn address(&self, id: HostId, family: Family) -> Option<IpAddr> {
        lock(&self.shared.sending).hosts[id].as_ref()?.address(family)
    }

    /// The next tick: all before it have been handed to the kernel, it and those after it have not.
    pub(super) fn mark(&self) -> u64 {
        lock(&self.shared.sending).tick
    }

    /// What became of a stream's datagrams. What was sent a moment ago may be still on its way.
    pub(super) fn outcome(&self, stream: usize, ticks: Range<u64>) -> Outcome {
        let sending = lock(&self.shared.sending);
        let arrivals = lock(&self.shared.arrivals);
        let (sent, arrived) = (&sending.sent[stream], &arrivals[stream]);
        Outcome {
            arrived: ticks.clone().filter(|&tick| arrived.has(tick)).collect(),
            lost: ticks.filter(|&tick| sent.has(tick) && !arrived.has(tick)).collect(),
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // It panicked or it ended.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn send(&self) {
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            let mut sending = lock(&self.sending);
            let Sending { hosts, sent, tick } = &mut *sending;
            for (id, stream) in self.streams.iter().enumerate() {
                let (Some(from), Some(to)) = (&hosts[stream.from], &hosts[stream.to]) else { continue };
                let Some(address) = to.address(stream.family) else { continue };
                if from.send(SocketAddr::new(address, stream.port), id, *tick) {
                    sent[id].note(*tick);
                }
            }
            *tick += 1;
            drop(sending);
            // A machine that cannot keep up sends less, never more at once.
            next = (next + EVERY).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()).max(EVERY / 5));
        }
    }

    fn receive(&self) {
        let mut events = [EpollEvent::empty(); 64];
        let mut buffer = [0; ROOM];
        while !self.stop.load(Ordering::SeqCst) {
            // EINTR gives no events; the next round waits again.
            let ready = self.epoll.wait(&mut events, EpollTimeout::from(LOOK)).unwrap_or(0);
            for event in &events[..ready] {
                let Some(socket) = lock(&self.receivers).get(&event.data()).cloned() else { continue };
                self.read(&socket, &mut buffer);
            }
        }
    }

    /// Notes all that has come to a socket.
    fn read(&self, mut socket: &Socket, buffer: &mut [u8]) {
        let mut arrivals = lock(&self.arrivals);
        while let Ok(length) = socket.read(buffer) {
            if let Some((stream, tick)) = wire::read(&buffer[..length])
                && let Some(ticks) = arrivals.get_mut(stream)
            {
                ticks.note(tick);
            }
        }
    }
}
