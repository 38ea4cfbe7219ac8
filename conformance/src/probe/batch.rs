//! Many probes at once: one thread for each sending namespace, one wait for all of its sockets.

use super::{Answer, Outcome, Probe, Reply, Transport, neighbours, sctp, wire};
use crate::lab::{LabError, Netns, Place};
use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        resource::{Resource, getrlimit, setrlimit},
        socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt},
    },
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, IoSliceMut, Read},
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

/// How long a probe waits for its answer unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_millis(300);

/// Probes that a namespace starts before it looks for answers again. Few, so that answers do not wait behind new work.
const PACE: usize = 32;

/// Sends the probes and gives their replies in the same order.
///
/// A silence counts as a drop only while the machine keeps up: if some answer took more than half of the time-out, the
/// silent ones are asked again, with twice the time.
pub(crate) fn run(
    probes: &[Probe],
    timeout: Duration,
    netns: impl Fn(&Place) -> Result<Netns, LabError>,
) -> Result<Vec<Reply>, LabError> {
    let window = window()?;
    let overflows = neighbours::overflows();
    let mut replies = vec![Reply::bare(Outcome::Dropped); probes.len()];
    let mut open: Vec<usize> = (0..probes.len()).collect();
    for attempt in 0..3 {
        let timeout = timeout * 2_u32.pow(attempt);
        let mut senders: BTreeMap<&Place, Vec<usize>> = BTreeMap::new();
        for &i in &open {
            senders.entry(&probes[i].from).or_default().push(i);
        }
        let share = (window / senders.len().max(1)).max(16);
        let senders = senders
            .into_iter()
            .map(|(place, indices)| Ok((netns(place)?, indices)))
            .collect::<Result<Vec<_>, _>>()?;
        let results: Vec<_> = thread::scope(|s| {
            let threads: Vec<_> = senders
                .iter()
                .map(|(netns, indices)| {
                    s.spawn(move || netns.enter(|| Sender::new(probes, timeout)?.send(indices, share))?)
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err(LabError::Panicked("a batch of probes".to_owned()))))
                .collect()
        });
        let mut slowest = Duration::ZERO;
        open.clear();
        for result in results {
            let done = result?;
            slowest = slowest.max(done.slowest);
            for (index, reply) in done.replies {
                if reply.outcome == Outcome::Dropped {
                    open.push(index);
                }
                replies[index] = reply;
            }
        }
        if slowest < timeout / 2 {
            break;
        }
    }
    match neighbours::overflows() - overflows {
        0 => Ok(replies),
        lost => Err(LabError::NeighboursFull(lost)),
    }
}

/// How many probes may be on their way at once. A TCP probe takes a file at each end, and both are ours.
fn window() -> Result<usize, LabError> {
    let failed = || LabError::io("the limit of open files");
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed())?;
    let wanted = hard.min(65_536);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(failed())?;
    }
    Ok((wanted as usize / 4).clamp(64, 4096))
}

/// The replies to one namespace's probes.
struct Done {
    replies: Vec<(usize, Reply)>,
    /// How long the slowest answer took.
    slowest: Duration,
}

/// Sends the probes of one namespace, from a thread inside it.
struct Sender<'a> {
    probes: &'a [Probe],
    timeout: Duration,
    epoll: Epoll,
    links: HashMap<&'static str, u32>,
    flights: HashMap<u64, Flight>,
    /// The probes on their way in the order of their deadlines.
    deadlines: VecDeque<(Instant, u64)>,
    done: Done,
}

/// A probe on its way.
struct Flight {
    index: usize,
    sent: Instant,
    socket: Socket,
    step: Step,
}

/// What a probe waits for.
enum Step {
    Connection,
    Greeting(Vec<u8>),
    Datagram([u8; wire::TOKEN]),
    Echo([u8; wire::TOKEN]),
    InitAck { port: u16, tag: u32 },
}

impl<'a> Sender<'a> {
    fn new(probes: &'a [Probe], timeout: Duration) -> Result<Self, LabError> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(LabError::io("cannot wait for probes"))?;
        // `/proc/net` would show the namespace of the process; this call asks the thread's.
        let links = ["eth0", "cni0"]
            .into_iter()
            .filter_map(|name| Some((name, nix::net::if_::if_nametoindex(name).ok()?)))
            .collect();
        let done = Done { replies: Vec::new(), slowest: Duration::ZERO };
        Ok(Self { probes, timeout, epoll, links, flights: HashMap::new(), deadlines: VecDeque::new(), done })
    }

    fn send(mut self, indices: &[usize], window: usize) -> Result<Done, LabError> {
        let mut waiting = indices.iter().copied();
        let mut events = [EpollEvent::empty(); 256];
        let mut more = true;
        while more || !self.flights.is_empty() {
            let room = window.saturating_sub(self.flights.len()).min(PACE);
            let mut started = 0;
            while started < room {
                let Some(index) = waiting.next() else {
                    more = false;
                    break;
                };
                self.start(index)?;
                started += 1;
            }
            let wait = match self.deadlines.front() {
                _ if more && started == room && room > 0 => Duration::ZERO,
                Some((deadline, _)) => {
                    deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
                }
                None => Duration::ZERO,
            };
            let wait = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO);
            let ready = match self.epoll.wait(&mut events, wait) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(e) => return Err(LabError::io("cannot wait for probes")(e)),
            };
            for event in &events[..ready] {
                self.attend(event.data());
            }
            // Answers first, deadlines after: a thread that slept too long must not call an answer that is here a drop.
            if ready < events.len() {
                self.expire();
            }
        }
        Ok(self.done)
    }

    fn start(&mut self, index: usize) -> Result<(), LabError> {
        let probe = &self.probes[index];
        match self.launch(probe) {
            Ok((socket, step)) => {
                let id = index as u64;
                let interest = match step {
                    Step::Connection => EpollFlags::EPOLLOUT,
                    _ => EpollFlags::EPOLLIN,
                };
                self.epoll
                    .add(&socket, EpollEvent::new(interest, id))
                    .map_err(LabError::io(format!("cannot wait for {probe}")))?;
                let sent = Instant::now();
                self.deadlines.push_back((sent + self.timeout, id));
                self.flights.insert(id, Flight { index, sent, socket, step });
                Ok(())
            }
            Err(e) => {
                let outcome =
                    outcome_of(&e).ok_or_else(|| LabError::io(format!("cannot send {probe}"))(e))?;
                self.done.replies.push((index, Reply::bare(outcome)));
                Ok(())
            }
        }
    }

    /// Sends the first packet of a probe.
    fn launch(&self, probe: &Probe) -> io::Result<(Socket, Step)> {
        let v6 = probe.to.is_ipv6();
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let (kind, protocol) = match probe.transport {
            Transport::Tcp => (Type::STREAM, Protocol::TCP),
            Transport::Udp => (Type::DGRAM, Protocol::UDP),
            Transport::Icmp => (Type::DGRAM, if v6 { Protocol::ICMPV6 } else { Protocol::ICMPV4 }),
            Transport::Sctp => (Type::RAW, Protocol::from(sctp::PROTOCOL)),
        };
        let socket = Socket::new(domain, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        if v6 {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        }
        let source_port = if probe.transport == Transport::Icmp { 0 } else { probe.source_port };
        if probe.source.is_some() || source_port != 0 {
            socket.set_reuse_address(true)?;
            let any = if v6 { IpAddr::from([0_u16; 8]) } else { IpAddr::from([0_u8; 4]) };
            let raw = probe.transport == Transport::Sctp;
            socket.bind(&self.address(probe.source.unwrap_or(any), if raw { 0 } else { source_port }))?;
        }
        let port = if kind == Type::RAW { 0 } else { probe.port };
        match socket.connect(&self.address(probe.to, port)) {
            Err(e) if e.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            connected => connected?,
        }
        let token = crate::lab::random_bytes().map_err(io::Error::other)?;
        let step = match probe.transport {
            Transport::Tcp => Step::Connection,
            Transport::Udp => {
                socket.send(&token)?;
                Step::Datagram(token)
            }
            Transport::Icmp => {
                // The kernel fills in the identifier and the checksum, and gives this socket only its own replies.
                let request = if v6 { 128 } else { 8 };
                socket.send(&[&[request, 0, 0, 0, 0, 0, 0, 1], &token[..]].concat())?;
                Step::Echo(token)
            }
            Transport::Sctp => {
                let [a, b, c, d, high, low, ..] = token;
                let tag = u32::from_be_bytes([a, b, c, d]) | 1;
                let chosen = 32_768 | (u16::from_be_bytes([high, low]) >> 1);
                let port = if probe.source_port == 0 { chosen } else { probe.source_port };
                socket.send(&sctp::init(port, probe.port, tag))?;
                Step::InitAck { port, tag }
            }
        };
        Ok((socket, step))
    }

    /// The address with the interface that a link-local one needs.
    fn address(&self, ip: IpAddr, port: u16) -> SockAddr {
        match ip {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                // Only a node has cni0, and its pods are there.
                let link = self.links.get("cni0").or(self.links.get("eth0")).copied().unwrap_or(0);
                SockAddr::from(SocketAddrV6::new(v6, port, 0, link))
            }
            ip => SockAddr::from(SocketAddr::new(ip, port)),
        }
    }

    fn attend(&mut self, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return;
        };
        let probe = &self.probes[flight.index];
        let reply = match error_of(&flight.socket) {
            Some(e) => Some(Reply::bare(outcome_of(&e).unwrap_or(Outcome::Dropped))),
            None => flight.advance(probe),
        };
        match reply {
            Some(reply) => {
                self.done.slowest = self.done.slowest.max(flight.sent.elapsed());
                self.finish(id, reply);
            }
            None if matches!(flight.step, Step::Greeting(_)) => {
                // Connected: writing is possible all the time, so only reading is of interest from now on.
                self.epoll.modify(&flight.socket, &mut EpollEvent::new(EpollFlags::EPOLLIN, id)).ok();
            }
            None => {}
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(&(deadline, id)) = self.deadlines.front() {
            if self.flights.contains_key(&id) {
                if deadline > now {
                    return;
                }
                self.finish(id, Reply::bare(Outcome::Dropped));
            }
            self.deadlines.pop_front();
        }
    }

    fn finish(&mut self, id: u64, reply: Reply) {
        if let Some(flight) = self.flights.remove(&id) {
            self.done.replies.push((flight.index, reply));
        }
    }
}

impl Flight {
    /// Reads what has arrived; gives the reply once it is complete.
    fn advance(&mut self, probe: &Probe) -> Option<Reply> {
        if matches!(self.step, Step::Connection) {
            self.step = Step::Greeting(Vec::new());
        }
        let mut buffer = [0; 2048];
        loop {
            let length = match self.socket.read(&mut buffer) {
                Ok(0) if matches!(self.step, Step::Greeting(_)) => {
                    return Some(Reply::bare(Outcome::Refused));
                }
                Ok(length) => length,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) => return Some(Reply::bare(outcome_of(&e).unwrap_or(Outcome::Dropped))),
            };
            let reply = self.read(&buffer[..length], probe);
            if reply.is_some() {
                return reply;
            }
        }
    }

    fn read(&mut self, bytes: &[u8], probe: &Probe) -> Option<Reply> {
        let allowed = |answer: Option<Answer>| Reply { outcome: Outcome::Allowed, answer };
        match &mut self.step {
            Step::Connection => None,
            Step::Greeting(so_far) => {
                so_far.extend(bytes);
                wire::read_answer(so_far).map(|a| allowed(Some(a)))
            }
            Step::Datagram(token) => {
                let rest = bytes.strip_prefix(&token[..])?;
                Some(allowed(wire::read_answer(rest)))
            }
            Step::Echo(token) => {
                let reply = if probe.to.is_ipv6() { 129 } else { 0 };
                (bytes.first() == Some(&reply) && bytes.ends_with(token)).then(|| allowed(None))
            }
            Step::InitAck { port, tag } => {
                let message = sctp::parse(without_ip_header(bytes, probe.to.is_ipv4()))?;
                let ours = message.source_port == probe.port && message.destination_port == *port;
                match message.chunk {
                    _ if !ours || message.verification_tag != *tag => None,
                    sctp::Chunk::InitAck { cookie } => Some(allowed(wire::read_answer(cookie))),
                    sctp::Chunk::Abort => Some(Reply::bare(Outcome::Refused)),
                    sctp::Chunk::Init { .. } | sctp::Chunk::Other => None,
                }
            }
        }
    }
}

/// A raw IPv4 socket gives the IP header too, a raw IPv6 socket does not (raw(7)).
pub(crate) fn without_ip_header(packet: &[u8], v4: bool) -> &[u8] {
    let header = if v4 { packet.first().map_or(0, |b| usize::from(b & 15) * 4) } else { 0 };
    packet.get(header..).unwrap_or_default()
}

/// The error that waits on a socket, if there is one.
///
/// An ICMP error that comes back while `connect` still holds the socket, which in a lab is the rule, is only noted: it
/// waits in the error queue (ip(7), `IP_RECVERR`), and `SO_ERROR` does not tell it.
fn error_of(socket: &Socket) -> Option<io::Error> {
    if let Ok(Some(e)) | Err(e) = socket.take_error() {
        return Some(e);
    }
    let mut space = cmsg_space!([libc::sockaddr_in6; 1], libc::sock_extended_err);
    let mut data = [0; 512];
    let mut slices = [IoSliceMut::new(&mut data)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
    message.cmsgs().ok()?.find_map(|c| match c {
        ControlMessageOwned::Ipv4RecvErr(e, _) | ControlMessageOwned::Ipv6RecvErr(e, _) => {
            Some(io::Error::from_raw_os_error(e.ee_errno.cast_signed()))
        }
        _ => None,
    })
}

/// What an error of a socket says about the network; `None` if it says something about this machine only.
fn outcome_of(error: &io::Error) -> Option<Outcome> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::EPIPE | Errno::ENOPROTOOPT => Some(Outcome::Refused),
        Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EADDRNOTAVAIL => Some(Outcome::NoRoute),
        // EACCES is what ICMPv6 "administratively prohibited" becomes.
        Errno::EPERM | Errno::EACCES | Errno::ETIMEDOUT => Some(Outcome::Dropped),
        _ => None,
    }
}
