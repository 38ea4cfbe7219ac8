//! A netlink socket of netfilter in the network namespace of the thread that opens it.

use super::{
    error::Error,
    uapi::*,
    wire::{Acknowledgement, Message, Messages},
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, recv, send, setsockopt, sockopt},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

/// What a datagram of a dump has at most is 32 kB; notifications are smaller.
const DATAGRAM: usize = 1 << 16;
/// Room for answers: errors of a batch come all at once.
const RECEIVE_BUFFER: usize = 4 << 20;
/// What the kernel keeps of the send buffer for itself.
const SEND_SLACK: usize = 4096;

/// The socket.
pub(super) struct Socket {
    fd: OwnedFd,
    port: u32,
    sequence: u32,
    send_room: usize,
}

/// Sets an option whose value is a plain C structure or number.
fn set_option<T: Copy>(fd: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the descriptor is open as long as it is borrowed; the value is alive, and `len` bytes long.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    Errno::result(result).map(drop)
}

impl Socket {
    /// The kernel answers a request before the call that sends it returns; anything near this is a hang.
    pub(super) const PATIENCE: Duration = Duration::from_secs(10);

    pub(super) fn open() -> Result<Self, Error> {
        let failed = Error::system("open a netlink socket of netfilter");
        let errno = |error: io::Error| failed(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
        let opened = mnl::Socket::new(mnl::Bus::Netfilter).map_err(errno)?;
        let port = opened.portid();
        // libmnl's handle can neither be sent to another thread nor be closed on exec; the socket behind it can.
        // SAFETY: the descriptor is open as long as the handle lives, and that is longer than the borrow.
        let borrowed = unsafe { BorrowedFd::borrow_raw(opened.as_raw_fd()) };
        let fd = borrowed.try_clone_to_owned().map_err(errno)?;
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(&failed)?;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            set_option(fd.as_fd(), libc::SOL_NETLINK, option, &1i32).map_err(&failed)?;
        }
        let socket = Self { fd, port, sequence: 1, send_room: 0 };
        socket.set_receive_buffer(RECEIVE_BUFFER);
        Ok(socket)
    }

    /// The port id by which the kernel names this socket.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// As large as allowed: without `CAP_NET_ADMIN` the system's limit holds, and the socket is usable all the same.
    pub(super) fn set_receive_buffer(&self, bytes: usize) {
        if setsockopt(&self.fd, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(&self.fd, sockopt::RcvBuf, &bytes).ok();
        }
    }

    /// Joins a group of notifications.
    pub(super) fn join(&self, group: u32) -> Result<(), Error> {
        set_option(self.fd.as_fd(), libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, &group)
            .map_err(Error::system("listen to nftables"))
    }

    /// Lets the kernel drop what the program does not want.
    pub(super) fn filter(&self, program: &mut [libc::sock_filter]) -> Result<(), Error> {
        let len = u16::try_from(program.len()).unwrap_or(u16::MAX);
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        set_option(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
            .map_err(Error::system("filter notifications of nftables"))
    }

    /// The first of `count` sequence numbers that nobody has used.
    pub(super) fn take_sequence(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count.max(1));
        first
    }

    /// Sends all of it as one datagram: a batch must not be split.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let failed = Error::system("send to nftables");
        let room = bytes.len() + SEND_SLACK;
        if room > self.send_room {
            // Without CAP_NET_ADMIN the system's limit holds; then the send itself says what is wrong.
            if setsockopt(&self.fd, sockopt::SndBufForce, &room).is_err() {
                setsockopt(&self.fd, sockopt::SndBuf, &room).ok();
            }
            self.send_room = room;
        }
        let sent = loop {
            match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => break other.map_err(&failed)?,
            }
        };
        if sent == bytes.len() { Ok(()) } else { Err(failed(Errno::EMSGSIZE)) }
    }

    /// One datagram, or `None` if there is none now.
    pub(super) fn receive_now(&self, buffer: &mut Vec<u8>) -> Result<Option<usize>, Errno> {
        buffer.resize(DATAGRAM, 0);
        loop {
            match recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC) {
                Ok(len) if len > buffer.len() => return Err(Errno::ENOBUFS),
                Ok(len) => return Ok(Some(len)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// One datagram, waited for.
    pub(super) fn receive(&self, buffer: &mut Vec<u8>, deadline: Instant) -> Result<usize, Error> {
        let failed = Error::system("read the kernel's answer");
        loop {
            if let Some(len) = self.receive_now(buffer).map_err(&failed)? {
                return Ok(len);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout(Self::PATIENCE));
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    /// When to stop waiting for an answer to what is sent now.
    pub(super) fn deadline() -> Instant {
        Instant::now() + Self::PATIENCE
    }

    /// Sends a request that dumps something and appends the answer's messages to `to`.
    pub(super) fn dump(&mut self, request: &[u8], sequence: u32, to: &mut Vec<u8>) -> Result<Dumped, Error> {
        self.dump_each(request, sequence, |_, bytes| {
            to.extend(bytes);
            to.resize(to.len().next_multiple_of(4), 0);
            Ok(())
        })
    }

    /// Sends a request that dumps something and hands on each message of the answer, and its bytes, as it comes. What has come of a
    /// dump that was interrupted by a change is worth nothing.
    pub(super) fn dump_each(
        &mut self,
        request: &[u8],
        sequence: u32,
        mut take: impl FnMut(&Message<'_>, &[u8]) -> Result<(), Error>,
    ) -> Result<Dumped, Error> {
        let deadline = Self::deadline();
        self.send(request)?;
        let mut buffer = Vec::new();
        let mut whole = true;
        loop {
            let len = self.receive(&mut buffer, deadline)?;
            let mut rest = Messages(&buffer[..len]);
            loop {
                let before = rest.0;
                let Some(message) = rest.next() else { break };
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                whole &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_DONE => return Ok(if whole { Dumped::Whole } else { Dumped::Interrupted }),
                    NLMSG_ERROR => return dump_failed(&message),
                    _ => take(&message, &before[..before.len() - rest.0.len()])?,
                }
            }
        }
    }
}

/// How a dump went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dumped {
    /// All of it.
    Whole,
    /// Something changed meanwhile.
    Interrupted,
    /// What was to be dumped does not exist.
    Absent,
}

fn dump_failed(message: &Message<'_>) -> Result<Dumped, Error> {
    match Errno::from_raw(Acknowledgement::read(message)?.errno) {
        Errno::ENOENT => Ok(Dumped::Absent),
        Errno::EINTR | Errno::EAGAIN => Ok(Dumped::Interrupted),
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EINVAL => Err(Error::Unsupported("nftables")),
        errno => Err(Error::system("read nftables")(errno)),
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}
