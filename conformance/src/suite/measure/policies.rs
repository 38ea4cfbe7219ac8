//! How soon a policy is in force on all nodes, and gone.

use super::{
    proxy::Proxy,
    scene::{Scene, Way, create, delete, enter, policy},
};
use crate::cluster::ClusterError;
use serde_json::json;
use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Between two datagrams of a client. Each is a flow of its own: whether those that are established go on is another matter.
const EVERY: Duration = Duration::from_millis(2);
/// When a datagram without an answer counts as dropped. Longer than an answer takes on a busy machine.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a policy may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What agnhost answers with what follows.
const QUESTION: &[u8] = b"echo x";
const NAME: &str = "deny";

/// When the answered datagrams of one way were sent.
type Answered = Mutex<Vec<Instant>>;

/// What came of the rounds. Times are in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// For each policy, how long it took until no node let anything through.
    pub(super) enforced: Vec<f64>,
    /// The same after its deletion, until every node did again.
    pub(super) opened: Vec<f64>,
    /// Policies that were not in force after [`PATIENCE`].
    pub(super) missed: u16,
}

/// Creates and deletes a policy that denies.
pub(super) fn rounds(
    scene: &Scene,
    proxy: &Proxy,
    count: u16,
    say: &mut dyn FnMut(&str),
) -> Result<Rounds, ClusterError> {
    let answered: Vec<Answered> = scene.ways.iter().map(|_| Answered::default()).collect();
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = scene
            .ways
            .iter()
            .zip(&answered)
            .map(|(way, answered)| {
                let end = &end;
                scope.spawn(move || enter(&way.client, || ask(way, answered, end)))
            })
            .collect();
        let mut run = || {
            let mut found = Rounds::default();
            wait_until("the servers answer", || answered.iter().all(|answered| !lock(answered).is_empty()))?;
            for round in 1..=count {
                let begin = Instant::now();
                create(proxy, &policy(NAME, json!([])))?;
                let last =
                    |answered: &Answered| lock(answered).iter().max().map_or(begin, |last| begin.max(*last));
                let in_force = wait_until("a policy is in force", || {
                    answered.iter().all(|answered| last(answered).elapsed() > SILENCE)
                });
                let ends =
                    answered.iter().map(|answered| last(answered).saturating_duration_since(begin) + EVERY);
                let ends = ends.max().map(milliseconds);
                answered.iter().for_each(|answered| lock(answered).clear());
                let begin = Instant::now();
                delete(proxy, NAME)?;
                wait_until("a policy is gone", || {
                    answered.iter().all(|answered| !lock(answered).is_empty())
                })?;
                let firsts = answered.iter().filter_map(|answered| lock(answered).iter().min().copied());
                let firsts = firsts.map(|first| milliseconds(first.saturating_duration_since(begin)));
                if in_force.is_ok() {
                    found.enforced.extend(ends);
                    found.opened.extend(firsts.reduce(f64::max));
                } else {
                    found.missed += 1;
                }
                if round % 10 == 0 {
                    say(&format!("{round} of {count} policies were created and deleted"));
                }
            }
            Ok(found)
        };
        let result = run();
        end.store(true, Ordering::Relaxed);
        for client in clients {
            // One that could not ask made the servers silent.
            let asked: Result<(), ClusterError> = match client.join() {
                Ok(Ok(asked)) => asked,
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(crate::lab::LabError::Panicked("a client".to_owned()).into()),
            };
            asked?;
        }
        result
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn lock(answered: &Answered) -> std::sync::MutexGuard<'_, Vec<Instant>> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_until(what: &str, is: impl Fn() -> bool) -> Result<(), ClusterError> {
    let begin = Instant::now();
    while !is() {
        if begin.elapsed() > PATIENCE {
            let what = format!("it was waited for {PATIENCE:?} until {what}");
            return Err(ClusterError::NotReady { what, said: String::new() });
        }
        thread::sleep(EVERY);
    }
    Ok(())
}

/// Sends until the end, from a new port each time: in their order, so that none comes again while conntrack remembers it (30 s for a
/// datagram and its answer; a round of all ports takes two minutes). An engine may let pass what belongs to a flow that is remembered.
fn ask(way: &Way, answered: &Answered, end: &AtomicBool) -> Result<(), ClusterError> {
    let any =
        if way.server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut open: VecDeque<(UdpSocket, Instant)> = VecDeque::new();
    let mut next = Instant::now();
    // All but those that need a right.
    let ports = (1024..=u16::MAX).cycle();
    for port in ports.take_while(|_| !end.load(Ordering::Relaxed)) {
        let error = || ClusterError::io(format!("a client's socket at port {port}"));
        let socket = UdpSocket::bind(SocketAddr::from((any, port))).map_err(error())?;
        socket.set_nonblocking(true).map_err(error())?;
        let sent = Instant::now();
        // A refusal may come at once, and is none of an answer.
        if socket.connect(way.server).and_then(|()| socket.send(QUESTION)).is_ok() {
            open.push_back((socket, sent));
        }
        let mut buffer = [0; 64];
        open.retain(|(socket, sent)| match socket.recv(&mut buffer) {
            Ok(_) => {
                lock(answered).push(*sent);
                false
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock && sent.elapsed() < SILENCE,
        });
        // A busy machine may have been late: nothing is made up for.
        next = (next + EVERY).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
