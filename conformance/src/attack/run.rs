//! Sends attacks and sees which arrive.

use super::{Arrival, Attack, Baseline, Ground, LISTEN, Wanted, catalogue::marks};
use crate::{
    lab::{LabError, Netns, Place},
    probe::{Capture, Injector},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io::{self, Read},
    net::{Ipv6Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

/// How long everything that is to arrive may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long is waited for what is not to arrive, after the rest has.
const SILENCE: Duration = Duration::from_millis(250);

/// What became of an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It came out of the sender's link, where no rule has looked at it yet.
    pub sent: bool,
    /// It arrived.
    pub arrived: bool,
}

impl Attack {
    /// What is wrong with what was seen; `None` if nothing is.
    #[must_use]
    pub fn fault(&self, seen: Seen, wanted: Wanted) -> Option<String> {
        match (seen.sent, seen.arrived, wanted) {
            (false, _, _) => Some("it was never sent".to_owned()),
            (true, true, Wanted::Dropped) => Some("it arrived".to_owned()),
            (true, false, Wanted::Passes) => Some("it was dropped".to_owned()),
            (true, false, Wanted::KnownToPass(limit)) => {
                Some(format!("it was dropped; the documented limit is gone: {limit}"))
            }
            (true, true, Wanted::Passes | Wanted::KnownToPass(_)) | (true, false, Wanted::Dropped) => None,
        }
    }

    /// What is to become of it without our tables.
    #[must_use]
    pub fn without_tables(&self) -> Wanted {
        match self.baseline {
            Baseline::Arrives => Wanted::Passes,
            Baseline::Lost(_) => Wanted::Dropped,
        }
    }

    /// Whether it makes a bridge believe that a host has moved.
    fn misleads_bridges(&self, host: &super::Host) -> bool {
        self.from.place != host.place && self.frames.iter().any(|frame| frame.get(6..12) == Some(&host.mac))
    }
}

/// Sends attacks, and says of each that has not ended as wanted what is wrong.
///
/// # Errors
/// As [`run`].
pub fn faults(
    ground: &Ground,
    attacks: &[Attack],
    wanted: impl Fn(&Attack) -> Wanted,
) -> Result<Vec<String>, LabError> {
    let seen = run(ground, attacks, &wanted)?;
    let fault = |(attack, seen): (&Attack, Seen)| {
        Some(format!("{}: {}", attack.name, attack.fault(seen, wanted(attack))?))
    };
    Ok(attacks.iter().zip(seen).filter_map(fault).collect())
}

/// Sends all attacks, one after the other without waiting, and says what became of each. `wanted` only says for what it
/// waits: the answer is what was seen.
///
/// # Errors
/// As [`Lab::inject`](crate::lab::Lab::inject) and [`Lab::capture`](crate::lab::Lab::capture).
pub fn run(
    ground: &Ground,
    attacks: &[Attack],
    wanted: impl Fn(&Attack) -> Wanted,
) -> Result<Vec<Seen>, LabError> {
    let mut watch = Watch::new(ground, attacks)?;
    let mut ways: BTreeMap<&Place, Injector> = BTreeMap::new();
    for place in
        attacks.iter().map(|attack| &attack.from.place).chain(ground.cast.pods().map(|pod| &pod.place))
    {
        if let Entry::Vacant(entry) = ways.entry(place) {
            entry.insert(ground.lab.injector(place, "eth0")?);
        }
    }
    for attack in attacks {
        ways[&attack.from.place].send(&attack.frames)?;
        for host in ground.cast.pods().into_iter().filter(|host| attack.misleads_bridges(host)) {
            ways[&host.place].send(&[host.announcement(&[])])?;
        }
    }
    let complete =
        |attack: &Attack, seen: Seen| seen.sent && (seen.arrived || wanted(attack) == Wanted::Dropped);
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_until = None;
    loop {
        watch.look(attacks)?;
        let now = Instant::now();
        let all = attacks.iter().zip(&watch.seen).all(|(attack, seen)| complete(attack, *seen));
        if all || now > deadline {
            let until = *quiet_until.get_or_insert(now + SILENCE);
            if now > until {
                return Ok(watch.seen);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Everything that is listened to during a run.
struct Watch {
    /// The links at which frames come out of their senders, with those senders.
    witnesses: Vec<(BTreeSet<Place>, Capture)>,
    links: Vec<(Place, Capture)>,
    sockets: Vec<(Arrival, Socket)>,
    seen: Vec<Seen>,
}

impl Watch {
    fn new(ground: &Ground, attacks: &[Attack]) -> Result<Self, LabError> {
        let mut witnesses: BTreeMap<(Place, String), BTreeSet<Place>> = BTreeMap::new();
        let mut links: BTreeMap<Place, Capture> = BTreeMap::new();
        let mut sockets: Vec<(Arrival, Socket)> = Vec::new();
        for attack in attacks {
            for witness in witnesses_of(ground, &attack.from.place) {
                witnesses.entry(witness).or_default().insert(attack.from.place.clone());
            }
            match &attack.to {
                Arrival::Link(place) => {
                    if let Entry::Vacant(entry) = links.entry(place.clone()) {
                        entry.insert(ground.lab.capture(place, "eth0")?);
                    }
                }
                at @ (Arrival::Socket(place) | Arrival::Icmpv6(place)) => {
                    if !sockets.iter().any(|(there, _)| there == at) {
                        sockets.push((at.clone(), listen(&ground.lab.netns(place)?, at)?));
                    }
                }
            }
        }
        let witnesses = witnesses
            .into_iter()
            .map(|((place, link), from)| Ok((from, ground.lab.capture(place, &link)?)))
            .collect::<Result<_, LabError>>()?;
        let seen = vec![Seen::default(); attacks.len()];
        Ok(Self { witnesses, links: links.into_iter().collect(), sockets, seen })
    }

    /// Reads what has come in.
    fn look(&mut self, attacks: &[Attack]) -> Result<(), LabError> {
        for (from, capture) in &self.witnesses {
            for number in capture.take()?.iter().flat_map(|frame| marks(frame).collect::<Vec<_>>()) {
                if attacks.get(number).is_some_and(|attack| from.contains(&attack.from.place)) {
                    self.seen[number].sent = true;
                }
            }
        }
        let mut arrived = |number: usize, at: &Arrival| {
            if attacks.get(number).is_some_and(|attack| attack.to == *at) {
                self.seen[number].arrived = true;
            }
        };
        for (place, capture) in &self.links {
            let at = Arrival::Link(place.clone());
            for frame in capture.take()? {
                marks(&frame).for_each(|number| arrived(number, &at));
            }
        }
        let mut buffer = [0; 2048];
        for (at, socket) in &self.sockets {
            while let Ok(length) = (&mut &*socket).read(&mut buffer) {
                marks(&buffer[..length]).for_each(|number| arrived(number, at));
            }
        }
        Ok(())
    }
}

/// Where a place's frames come out: a pod's at its veth on the node, the outside host's on the underlay of every node.
fn witnesses_of(ground: &Ground, from: &Place) -> Vec<(Place, String)> {
    match from {
        Place::Pod(key) => {
            let pod = ground.lab.pod(&key.namespace, &key.name);
            pod.map(|pod| (Place::Node(pod.node()), pod.host_veth().to_owned())).into_iter().collect()
        }
        Place::Outside | Place::Node(_) => {
            let nodes = ground.lab.nodes().iter();
            nodes.map(|node| (Place::Node(node.index()), "eth0".to_owned())).collect()
        }
    }
}

/// A socket that gets what arrives: datagrams of both families, or messages of ICMPv6.
fn listen(netns: &Netns, at: &Arrival) -> Result<Socket, LabError> {
    let open = || {
        let socket = match at {
            Arrival::Icmpv6(_) => Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?,
            Arrival::Socket(_) | Arrival::Link(_) => {
                let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, LISTEN)).into())?;
                socket
            }
        };
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    netns.enter(open)?.map_err(LabError::io(format!("cannot listen in {}", netns.name())))
}
