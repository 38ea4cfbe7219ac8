//! Notifications of nftables: who has changed the ruleset, and whether it was our tables.

use super::{
    decode::ours,
    error::Error,
    socket::Socket,
    uapi::*,
    wire::{Message, Messages},
};
use compiler::ir::Family;
use nix::{errno::Errno, libc};
use std::{
    collections::{BTreeSet, VecDeque},
    io,
    os::fd::{AsRawFd, RawFd},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Room for the notifications of a large commit by somebody else. One that does not fit is [`Event::Lost`].
const RECEIVE_BUFFER: usize = 8 << 20;

/// One thing that listening has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A commit by somebody else has made a new generation.
    Commit {
        /// Its number.
        generation: u32,
        /// Id of the thread that made it, as the kernel's first pid namespace counts them.
        process: u32,
        /// Name of the process, at most 15 bytes.
        name: String,
        /// Which of our two tables it has touched.
        touched: BTreeSet<Family>,
    },
    /// Notifications were lost: anything may have happened. Read the tables again.
    Lost,
}

/// Listens from the moment it is opened. Dropped with its socket.
pub struct Monitor {
    socket: Socket,
    touched: BTreeSet<Family>,
    pending: VecDeque<Event>,
}

impl Monitor {
    /// Listens in the network namespace of the calling thread. `own_port` is [`super::Kernel::port`]: what that socket
    /// changes is not told.
    ///
    /// # Errors
    /// [`Error::Permission`], [`Error::Unsupported`].
    pub fn open(own_port: u32) -> Result<Self, Error> {
        let socket = Socket::open()?;
        socket.set_receive_buffer(RECEIVE_BUFFER);
        socket.filter(&mut without(own_port))?;
        socket.join(NFNLGRP_NFTABLES)?;
        Ok(Self { socket, touched: BTreeSet::new(), pending: VecDeque::new() })
    }

    /// The next event, or `None` if there is none yet. Never waits.
    ///
    /// # Errors
    /// [`Error::System`] if the socket is broken.
    pub fn try_next(&mut self) -> Result<Option<Event>, Error> {
        let mut buffer = Vec::new();
        while self.pending.is_empty() {
            match self.socket.receive_now(&mut buffer) {
                Ok(Some(len)) => {
                    for message in Messages(&buffer[..len]) {
                        self.read(&message?)?;
                    }
                }
                Ok(None) => return Ok(None),
                Err(Errno::ENOBUFS) => {
                    self.touched.clear();
                    self.pending.push_back(Event::Lost);
                }
                Err(errno) => return Err(Error::system("listen to nftables")(errno)),
            }
        }
        Ok(self.pending.pop_front())
    }

    fn read(&mut self, message: &Message<'_>) -> Result<(), Error> {
        if message.kind >> 8 != NFNL_SUBSYS_NFTABLES {
            return Ok(());
        }
        if message.kind != message::NEWGEN {
            self.touched.extend(ours(message)?.map(|(family, _)| family));
            return Ok(());
        }
        let commit = message.attributes()?;
        self.pending.push_back(Event::Commit {
            generation: commit.u32(NFTA_GEN_ID).unwrap_or_default(),
            process: commit.u32(NFTA_GEN_PROC_PID).unwrap_or_default(),
            name: commit.text(NFTA_GEN_PROC_NAME).unwrap_or_default().into(),
            touched: std::mem::take(&mut self.touched),
        });
        Ok(())
    }

    /// The same for tokio, whose runtime must be running.
    ///
    /// # Errors
    /// The runtime cannot watch the socket.
    pub fn into_stream(self) -> io::Result<Stream> {
        // SAFETY: the monitor owns its descriptor, and nothing replaces or closes it as long as the `AsyncFd` has it.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        Ok(Stream(watched?))
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A [`Monitor`] that is waited for.
pub struct Stream(AsyncFd<Monitor>);

impl Stream {
    /// The next event. Cancelling loses none.
    ///
    /// # Errors
    /// As [`Monitor::try_next`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.0.get_mut().try_next()? {
                return Ok(event);
            }
            let mut ready = self.0.readable_mut().await.map_err(|e| {
                Error::system("listen to nftables")(Errno::from_raw(e.raw_os_error().unwrap_or_default()))
            })?;
            if let Some(event) = ready.get_inner_mut().try_next()? {
                return Ok(event);
            }
            ready.clear_ready();
        }
    }
}

/// A socket filter that drops what this port has changed: loading our own 100,000 elements would overflow any buffer, and
/// each of our commits would wake whoever listens for nothing. A datagram is of one commit, so its first message speaks
/// for all.
fn without(port: u32) -> [libc::sock_filter; 4] {
    const PORT: u32 = 12;
    // Filters load in network order.
    let port = u32::from_be_bytes(port.to_ne_bytes());
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    [
        step(libc::BPF_LD | libc::BPF_ABS | libc::BPF_W, 0, 0, PORT),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port),
        step(libc::BPF_RET, 0, 0, 0),
        step(libc::BPF_RET, 0, 0, u32::MAX),
    ]
}
