//! The servers of a lab: one thread answers on the sockets of all its namespaces.

use super::{datagram, sctp, udp_flow, wire};
use crate::lab::{LabError, Netns, Place};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::EventFd,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

/// The event of the stop signal; sockets count from 1.
const STOP: u64 = 0;

/// The servers of a lab. They end when it is dropped.
#[derive(Debug)]
pub(crate) struct Responder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoll: Epoll,
    stop: EventFd,
    sockets: Mutex<Sockets>,
    flows: Arc<Flows>,
}

/// The long-lived flows whose server ends are here.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    last: AtomicU64,
    streams: Mutex<HashMap<u64, mpsc::Sender<Socket>>>,
    datagrams: Mutex<HashMap<u64, Arc<udp_flow::Shared>>>,
}

impl Flows {
    /// A number for a new flow.
    pub(crate) fn next_id(&self) -> u64 {
        self.last.fetch_add(1, Ordering::SeqCst)
    }

    /// Tells `flow` of its datagrams from now on.
    pub(crate) fn register(&self, id: u64, flow: &Arc<udp_flow::Shared>) {
        self.datagrams.lock().unwrap_or_else(PoisonError::into_inner).insert(id, flow.clone());
    }

    /// Ends [`Flows::register`].
    pub(crate) fn forget(&self, id: u64) {
        self.datagrams.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[derive(Debug, Default)]
struct Sockets {
    last: u64,
    open: HashMap<u64, Server>,
}

#[derive(Debug)]
struct Server {
    place: Place,
    kind: Kind,
    socket: Socket,
}

#[derive(Clone, Debug)]
enum Kind {
    Listener,
    Connection,
    Udp,
    /// A raw socket that answers for these ports.
    Sctp(Arc<[u16]>),
}

impl Responder {
    /// Starts the thread; it serves nothing yet.
    pub(crate) fn start() -> Result<Self, LabError> {
        let failed = || LabError::io::<nix::Error>("cannot start the lab's servers");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed())?;
        let stop = EventFd::new().map_err(failed())?;
        epoll.add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP)).map_err(failed())?;
        let shared = Arc::new(Shared { epoll, stop, sockets: Mutex::default(), flows: Arc::default() });
        let thread = thread::Builder::new()
            .name("lab-servers".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.serve_until_stopped()
            })
            .map_err(LabError::io("cannot start the lab's servers"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Answers as `place` on these ports of the namespace: TCP, UDP and SCTP, both families.
    pub(crate) fn serve(&self, netns: &Netns, place: &Place, ports: &[u16]) -> Result<(), LabError> {
        let sockets = netns
            .enter(|| open_sockets(ports))?
            .map_err(LabError::io(format!("cannot open the servers of {place}")))?;
        let mut table = self.shared.lock();
        for (kind, socket) in sockets {
            self.shared.add(&mut table, Server { place: place.clone(), kind, socket })?;
        }
        Ok(())
    }

    /// The long-lived flows whose server ends are here.
    pub(crate) fn flows(&self) -> &Arc<Flows> {
        &self.shared.flows
    }

    /// A number for a new stream, and where its server end will come out.
    pub(crate) fn expect_stream(&self) -> (u64, mpsc::Receiver<Socket>) {
        let (give, take) = mpsc::channel();
        let id = self.flows().next_id();
        self.flows().streams.lock().unwrap_or_else(PoisonError::into_inner).insert(id, give);
        (id, take)
    }

    /// Ends the servers of a place and their connections.
    pub(crate) fn stop(&self, place: &Place) {
        self.shared.lock().open.retain(|_, server| server.place != *place);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.shared.stop.write(1).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It panicked or it ended: either way its sockets go with `shared`.
            thread.join().ok();
        }
        self.shared.lock().open.clear();
    }
}

/// Every server socket of a host, made in the caller's network namespace.
fn open_sockets(ports: &[u16]) -> io::Result<Vec<(Kind, Socket)>> {
    let mut sockets = Vec::new();
    for v6 in [false, true] {
        let (domain, any) = match v6 {
            false => (Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            true => (Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        for &port in ports {
            let address = SocketAddr::new(any.ip(), port).into();
            let tcp = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            tcp.set_reuse_address(true)?;
            let udp = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            if v6 {
                tcp.set_only_v6(true)?;
                udp.set_only_v6(true)?;
            }
            tcp.bind(&address)?;
            tcp.listen(1024)?;
            tcp.set_nonblocking(true)?;
            udp.bind(&address)?;
            datagram::prepare(&udp, v6)?;
            sockets.extend([(Kind::Listener, tcp), (Kind::Udp, udp)]);
        }
        let raw = Socket::new(domain, Type::RAW, Some(Protocol::from(sctp::PROTOCOL)))?;
        datagram::prepare(&raw, v6)?;
        sockets.push((Kind::Sctp(ports.into()), raw));
    }
    Ok(sockets)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, table: &mut Sockets, server: Server) -> Result<(), LabError> {
        table.last += 1;
        self.epoll
            .add(&server.socket, EpollEvent::new(EpollFlags::EPOLLIN, table.last))
            .map_err(LabError::io("cannot watch a server socket"))?;
        table.open.insert(table.last, server);
        Ok(())
    }

    fn serve_until_stopped(&self) {
        let mut events = [EpollEvent::empty(); 256];
        let mut buffer = vec![0; 65_536];
        loop {
            // EINTR gives no events; the next round waits again.
            let ready = self.epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
            for event in &events[..ready] {
                if event.data() == STOP {
                    return;
                }
                self.attend(event.data(), &mut buffer);
            }
        }
    }

    fn attend(&self, id: u64, buffer: &mut [u8]) {
        let mut table = self.lock();
        let Some(server) = table.open.get(&id) else {
            return;
        };
        match &server.kind {
            Kind::Listener => {
                let place = server.place.clone();
                let mut arrived = Vec::new();
                while let Ok((socket, _)) = server.socket.accept() {
                    arrived.extend(greet(socket, &place));
                }
                for socket in arrived {
                    // A connection that cannot be watched is closed; the client sees that.
                    self.add(&mut table, Server { place: place.clone(), kind: Kind::Connection, socket })
                        .ok();
                }
            }
            Kind::Connection => match (&server.socket).read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    table.open.remove(&id);
                }
                Ok(length) => {
                    if let Some(id_of_stream) = wire::read_stream_request(&buffer[..length])
                        && let Some(server) = table.open.remove(&id)
                    {
                        self.hand_over(id_of_stream, server.socket);
                    }
                }
            },
            Kind::Udp => {
                while let Some((length, way)) = datagram::receive(&server.socket, buffer) {
                    self.answer_udp(server, &buffer[..length], &way);
                }
            }
            Kind::Sctp(ports) => {
                while let Some((length, way)) = datagram::receive(&server.socket, buffer) {
                    answer_sctp(server, ports, &buffer[..length], &way);
                }
            }
        }
    }

    /// Gives a connection to the stream that waits for it.
    fn hand_over(&self, id: u64, socket: Socket) {
        // If it cannot be unwatched it stays with the servers, and the stream reports that it did not come.
        if self.epoll.delete(&socket).is_ok()
            && let Some(stream) =
                self.flows.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
        {
            stream.send(socket).ok();
        }
    }

    fn answer_udp(&self, server: &Server, request: &[u8], way: &datagram::Way) {
        if let Some((id, number)) = wire::read_flow_datagram(request) {
            let flow = self.flows.datagrams.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            if let Some(flow) = flow {
                flow.arrived_at_server(number, &server.socket, way);
            }
            return;
        }
        let (Some(token), Some(client)) = (request.get(..wire::TOKEN), way.peer()) else {
            return;
        };
        let answer = [token, wire::answer(&server.place, client.ip()).as_bytes()].concat();
        // An answer that its own host's firewall refuses is a lost answer, which the client will report.
        datagram::answer(&server.socket, &answer, way).ok();
    }
}

/// Says who is here. `None` if the client is gone already.
fn greet(socket: Socket, place: &Place) -> Option<Socket> {
    socket.set_nonblocking(true).ok()?;
    let client = socket.peer_addr().ok()?.as_socket()?;
    (&socket).write_all(wire::answer(place, client.ip()).as_bytes()).ok()?;
    Some(socket)
}

fn answer_sctp(server: &Server, ports: &[u16], packet: &[u8], way: &datagram::Way) {
    let Some(client) = way.peer() else {
        return;
    };
    let Some(message) = sctp::parse(super::batch::without_ip_header(packet, client.is_ipv4())) else {
        return;
    };
    let sctp::Chunk::Init { tag } = message.chunk else {
        return;
    };
    let (to, from) = (message.source_port, message.destination_port);
    let answer = if ports.contains(&from) {
        sctp::init_ack(from, to, tag, wire::answer(&server.place, client.ip()).as_bytes())
    } else {
        sctp::abort(from, to, tag)
    };
    datagram::answer(&server.socket, &answer, way).ok();
}
