//! A flow of numbered datagrams, in which every lost one is known.

use super::{
    datagram::{self, Way},
    responder::Responder,
    traffic::{DatagramEnd, PerSide, Side, get, wait_for_quiet, wait_until},
    wire,
};
use crate::lab::{Lab, LabError, Netns, Place};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long the first datagram may take.
const OPEN: Duration = Duration::from_secs(1);

/// A UDP flow. Each end numbers what it sends and notes what it gets. Dropping it ends it.
#[derive(Debug)]
pub struct UdpFlow {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    _registration: Registration,
}

/// The part that the client's thread and the lab's servers share.
#[derive(Debug)]
pub(crate) struct Shared {
    id: u64,
    ends: PerSide<DatagramEnd>,
    client: Socket,
    /// The server's socket and its way back, once the first datagram has come.
    server: OnceLock<(Socket, Way)>,
    every: Duration,
    stop: AtomicBool,
}

/// Keeps the servers telling a flow what arrives.
#[derive(Debug)]
struct Registration {
    responder: Arc<super::responder::Flows>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.responder.forget(self.id);
    }
}

/// What became of one end's datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many left.
    pub sent: u64,
    /// How many different ones reached the other end.
    pub received: u64,
    /// The numbers, from 0, of those that did not.
    pub lost: Vec<u64>,
    /// How many its own kernel refused to send; they are not among `sent`.
    pub refused: u64,
}

impl Lab {
    /// Opens a flow of datagrams from a place to an address (also a Service's). Both ends send one each `every`, beginning
    /// with the client.
    ///
    /// # Errors
    /// [`LabError::NotEstablished`] if no server of this lab gets the first datagram within a second.
    pub fn open_udp_flow(
        &self,
        from: impl Into<Place>,
        to: SocketAddr,
        every: Duration,
    ) -> Result<UdpFlow, LabError> {
        let from = from.into();
        UdpFlow::open(&self.netns(&from)?, to, every, self.responder())
            .map_err(|e| LabError::NotEstablished { what: format!("{from} -> {to}/UDP"), source: e })
    }
}

impl UdpFlow {
    fn open(netns: &Netns, to: SocketAddr, every: Duration, responder: &Responder) -> io::Result<Self> {
        let client = netns
            .enter(|| {
                let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
                socket.connect(&SockAddr::from(to))?;
                datagram::prepare(&socket, to.is_ipv6())?;
                Ok::<_, io::Error>(socket)
            })
            .map_err(io::Error::other)??;
        let shared = Arc::new(Shared {
            id: responder.flows().next_id(),
            ends: PerSide::default(),
            client,
            server: OnceLock::new(),
            every,
            stop: AtomicBool::new(false),
        });
        responder.flows().register(shared.id, &shared);
        let registration = Registration { responder: responder.flows().clone(), id: shared.id };
        // The first datagram says where the server is. It may be lost, so it is repeated, and it has no number.
        let mut knocked = Instant::now();
        shared.knock()?;
        let open = wait_until(OPEN, || {
            if knocked.elapsed() > OPEN / 10 {
                knocked = Instant::now();
                shared.knock().ok();
            }
            shared.server.get().is_some()
        });
        if !open {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no server of this lab got the first datagram",
            ));
        }
        for side in Side::BOTH {
            shared.ends.of(side).sends.store(true, Ordering::SeqCst);
        }
        let thread = thread::Builder::new().name("lab-udp-flow".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.pump()
        })?;
        Ok(Self { shared, thread: Some(thread), _registration: registration })
    }

    /// Lets one end send, or fall silent.
    pub fn send(&self, side: Side, on: bool) {
        self.shared.ends.of(side).sends.store(on, Ordering::SeqCst);
    }

    /// Different datagrams that one end has received so far.
    #[must_use]
    pub fn received(&self, side: Side) -> u64 {
        self.shared.ends.of(side).received()
    }

    /// Datagrams that one end has sent so far.
    #[must_use]
    pub fn sent(&self, side: Side) -> u64 {
        get(&self.shared.ends.of(side).sent)
    }

    /// Datagrams that one end receives during `time` from now. Those that had arrived before are not among them.
    #[must_use]
    pub fn received_during(&self, side: Side, time: Duration) -> u64 {
        // What is in a socket by now is counted a moment later.
        thread::sleep(Duration::from_millis(10));
        let before = self.received(side);
        thread::sleep(time);
        self.received(side) - before
    }

    /// Silences both ends, waits until nothing more arrives, and says what became of the datagrams of the client and of
    /// the server. The flow can go on after it.
    #[must_use]
    pub fn settle(&self) -> (Count, Count) {
        for side in Side::BOTH {
            self.send(side, false);
        }
        let arrived = || Side::BOTH.iter().map(|&s| self.received(s)).sum();
        wait_for_quiet(
            Duration::from_millis(100).max(self.shared.every * 3),
            Duration::from_secs(5),
            arrived,
        );
        (self.count(Side::Client, Side::Server), self.count(Side::Server, Side::Client))
    }

    fn count(&self, from: Side, to: Side) -> Count {
        let (from, to) = (self.shared.ends.of(from), self.shared.ends.of(to));
        let sent = get(&from.sent);
        Count { sent, received: to.received(), lost: to.missing(sent), refused: get(&from.refused) }
    }
}

impl Drop for UdpFlow {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn knock(&self) -> io::Result<()> {
        (&self.client).write_all(&wire::flow_datagram(self.id, wire::KNOCK))
    }

    /// The lab's servers tell it of a datagram of this flow.
    pub(crate) fn arrived_at_server(&self, number: u64, socket: &Socket, way: &Way) {
        if self.server.get().is_none()
            && let Ok(socket) = socket.try_clone()
        {
            // It was empty a moment ago, and only the servers' one thread fills it.
            self.server.set((socket, *way)).ok();
        }
        if number != wire::KNOCK {
            self.ends.of(Side::Server).note(number);
        }
    }

    fn pump(&self) {
        let mut buffer = vec![0; 2048];
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            self.send_one(Side::Client);
            self.send_one(Side::Server);
            next += self.every;
            loop {
                while let Ok(length) = (&self.client).read(&mut buffer) {
                    if let Some((id, number)) = wire::read_flow_datagram(&buffer[..length])
                        && id == self.id
                    {
                        self.ends.of(Side::Client).note(number);
                    }
                }
                let left = next.saturating_duration_since(Instant::now());
                if left.is_zero() || self.stop.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(left.min(Duration::from_millis(1)));
            }
        }
    }

    fn send_one(&self, side: Side) {
        let end = self.ends.of(side);
        if !end.sends.load(Ordering::SeqCst) {
            return;
        }
        let datagram = wire::flow_datagram(self.id, get(&end.sent));
        let sent = match (side, self.server.get()) {
            (Side::Client, _) => (&self.client).write_all(&datagram),
            (Side::Server, Some((socket, way))) => datagram::answer(socket, &datagram, way),
            (Side::Server, None) => return,
        };
        let counter = if sent.is_ok() { &end.sent } else { &end.refused };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}
