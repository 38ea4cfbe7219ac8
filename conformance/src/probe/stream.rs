//! A TCP connection that lives on while rules change.
//!
//! Both ends are in this process: the server that accepted the connection hands its end over. So every byte is counted
//! where it arrives, and each end can be told to send, to fall silent, or to close.

use super::{
    responder::Responder,
    traffic::{PerSide, Side, StreamEnd, get, wait_until},
    wire,
};
use crate::lab::{Lab, LabError, Netns, Place};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// What a sending end writes, and how often: 200 kB a second, far below what a lab can carry.
const CHUNK: [u8; 1000] = [b'x'; 1000];
const EVERY: Duration = Duration::from_millis(5);

/// An established TCP connection. Dropping it closes both ends.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    server: Place,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ends: PerSide<StreamEnd>,
    client: Socket,
    server: Socket,
    /// How often the thread has emptied both ends.
    rounds: AtomicU64,
    stop: AtomicBool,
}

impl Lab {
    /// Connects from a place to an address (also a Service's). Nothing is sent until [`Stream::send`].
    ///
    /// # Errors
    /// [`LabError::NotEstablished`] if there is no answer from a server of this lab within a second.
    pub fn open_stream(&self, from: impl Into<Place>, to: SocketAddr) -> Result<Stream, LabError> {
        let from = from.into();
        Stream::open(&self.netns(&from)?, to, self.responder())
            .map_err(|e| LabError::NotEstablished { what: format!("{from} -> {to}/TCP"), source: e })
    }
}

impl Stream {
    /// As [`Lab::open_stream`], outside a lab.
    pub(crate) fn open(netns: &Netns, to: SocketAddr, responder: &Responder) -> io::Result<Self> {
        let client = netns
            .enter(|| {
                let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
                socket.connect_timeout(&SockAddr::from(to), CONNECT)?;
                Ok::<_, io::Error>(socket)
            })
            .map_err(io::Error::other)??;
        client.set_read_timeout(Some(CONNECT))?;
        let mut greeting = String::new();
        BufReader::with_capacity(256, &client).read_line(&mut greeting)?;
        let answer = wire::read_answer(greeting.as_bytes())
            .ok_or_else(|| io::Error::other("what answers there is no server of this lab"))?;
        let (id, handover) = responder.expect_stream();
        (&client).write_all(&wire::stream_request(id))?;
        let server = handover
            .recv_timeout(CONNECT)
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server did not get the first bytes"))?;
        client.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            ends: PerSide::default(),
            client,
            server,
            rounds: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("lab-stream".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.pump()
        })?;
        Ok(Self { shared, server: answer.by, thread: Some(thread) })
    }

    /// Who answered.
    #[must_use]
    pub fn server(&self) -> &Place {
        &self.server
    }

    /// Lets one end send, or fall silent. An end that sends writes 1,000 bytes every 5 ms as long as its kernel takes them.
    pub fn send(&self, side: Side, on: bool) {
        self.shared.ends.of(side).sends.store(on, Ordering::SeqCst);
    }

    /// Bytes that one end has received.
    #[must_use]
    pub fn received(&self, side: Side) -> u64 {
        get(&self.shared.ends.of(side).received)
    }

    /// Bytes that one end's kernel has taken to send.
    #[must_use]
    pub fn sent(&self, side: Side) -> u64 {
        get(&self.shared.ends.of(side).sent)
    }

    /// Bytes that one end receives during `time` from now. What its kernel had before is not among them.
    #[must_use]
    pub fn received_during(&self, side: Side, time: Duration) -> u64 {
        self.empty();
        let before = self.received(side);
        thread::sleep(time);
        self.received(side) - before
    }

    /// Waits until one end has received something more. Gives whether it did.
    #[must_use]
    pub fn flows(&self, side: Side, within: Duration) -> bool {
        self.empty();
        let before = self.received(side);
        wait_until(within, || self.received(side) > before)
    }

    /// Waits until everything that has arrived by now is counted.
    fn empty(&self) {
        let before = get(&self.shared.rounds);
        // The round that is under way may have passed the socket already; the one after it has not.
        wait_until(CONNECT, || get(&self.shared.rounds) >= before + 2);
    }

    /// Whether one end has seen the other's FIN or a reset.
    #[must_use]
    pub fn ended(&self, side: Side) -> bool {
        self.shared.ends.of(side).ended.load(Ordering::SeqCst)
    }

    /// Closes the sending direction of one end (a FIN), which falls silent.
    ///
    /// # Errors
    /// [`LabError::Io`] if the connection is gone already.
    pub fn close_sending(&self, side: Side) -> Result<(), LabError> {
        self.send(side, false);
        let socket = match side {
            Side::Client => &self.shared.client,
            Side::Server => &self.shared.server,
        };
        socket.shutdown(Shutdown::Write).map_err(LabError::io("cannot close one direction of a stream"))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn pump(&self) {
        let mut buffer = vec![0; 65_536];
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            for (socket, side) in [(&self.client, Side::Client), (&self.server, Side::Server)] {
                let end = self.ends.of(side);
                receive(socket, end, &mut buffer);
                if end.sends.load(Ordering::SeqCst)
                    && let Ok(written) = (&mut &*socket).write(&CHUNK)
                {
                    end.sent.fetch_add(written as u64, Ordering::SeqCst);
                }
            }
            self.rounds.fetch_add(1, Ordering::SeqCst);
            next += EVERY;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Counts what has come in.
fn receive(mut socket: &Socket, end: &StreamEnd, buffer: &mut [u8]) {
    loop {
        match socket.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Ok(0) | Err(_) => {
                end.ended.store(true, Ordering::SeqCst);
                return;
            }
            Ok(length) => {
                end.received.fetch_add(length as u64, Ordering::SeqCst);
            }
        }
    }
}
