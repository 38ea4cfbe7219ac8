//! What happens in a round, drawn from the round's seed.

use crate::random::{Draw, NAMESPACES, NODES, PODS, POLICIES};
use policy_model::{cluster::Cluster, object::ObjectKey};
use std::{fmt, time::Duration};

/// A round. Everything that is random in it comes from its seed, so that it can be had again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Objects change.
    Change(Vec<Change>),
    /// Something breaks, and nothing changes.
    Fault(Fault),
    /// Something breaks so long after objects have changed.
    During(Vec<Change>, Duration, Fault),
    /// The kernel refuses what a node sends it while objects change.
    Refused(Vec<Change>, Refusal),
    /// Something befalls the API server around changes of objects; a node's fault may come before that is over.
    Served(Vec<Change>, ServerFault, Option<Fault>),
    /// Pods end, and others start with their addresses: each with the next one's, so that one alone keeps its own.
    Replace(Vec<usize>),
}

/// One object that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A pod, by its place in [`PODS`], gets other labels and named ports.
    Pod(usize),
    /// A namespace gets other labels.
    Namespace(&'static str),
    /// A policy comes, or becomes another one.
    Policy(usize),
    /// A policy goes.
    NoPolicy(usize),
}

/// What befalls the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerFault {
    /// It is killed (SIGKILL) right after the changes, and started again after a while.
    Killed(Duration),
    /// It is stopped (SIGSTOP) right after the changes: connections stay and nothing comes.
    Silent(Duration),
    /// One node's link to it carries nothing while the changes happen, and for a while after that.
    CutOff(u8, Duration),
    /// The changes happen while the nodes stand still; then etcd forgets its history and the API server is started anew: each watch is
    /// too old (410 Gone).
    Forgotten,
}

impl ServerFault {
    /// What it is counted as.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed(_) => "API server killed",
            Self::Silent(_) => "API server stopped",
            Self::CutOff(..) => "a node cut off from the API server",
            Self::Forgotten => "history compacted, API server anew",
        }
    }
}

/// On which node the kernel refuses something, what, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) node: u8,
    /// Which message of each transaction.
    pub(super) message: usize,
    pub(super) time: Duration,
}

/// What breaks, and on which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) node: u8,
    pub(super) kind: FaultKind,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// `policyd` is killed (SIGKILL) and started again after a while.
    Kill(Duration),
    /// `policyd` is stopped (SIGSTOP) for a while.
    Freeze(Duration),
    /// The wall clock jumps by so many days for `policyd`, and back after a while.
    Clock(i64, Duration),
    /// `policyd` gets only so many bytes of memory more, for a while; mostly it is killed for want of it.
    Squeeze(u64, Duration),
    /// `policyd` is killed, what it has on disk is spoilt, and it is started again after a while.
    Disk(Spoilt, Duration),
    /// The same with tables that are gone, as after the node has booted.
    Boot(Spoilt, Duration),
    /// There is no room for `policyd`'s state until it is started anew.
    DiskFull,
    /// Tables of others come, fill, and go, as kube-proxy's and a firewall's do.
    Strangers,
    /// So many foreign changes while `policyd` is stopped that its notifications overflow; one of them is in our table.
    Overflow,
    /// Somebody changes our tables.
    Edit,
    /// Somebody deletes one of our tables.
    Delete,
    /// Somebody flushes the whole ruleset; the others' tables come back by themselves.
    Flush,
}

/// What has become of a state on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// Nothing.
    Not,
    /// It is gone.
    Gone,
    /// It ends somewhere in the middle.
    Torn,
    /// It is of another version of Palisade.
    OtherVersion,
    /// A bit of it is another one.
    Changed,
}

impl Spoilt {
    const ALL: [Self; 5] = [Self::Not, Self::Gone, Self::Torn, Self::OtherVersion, Self::Changed];
}

/// So long and longer is what people see as a daemon that hangs.
const MINUTE: Duration = Duration::from_secs(60);

impl FaultKind {
    /// Whether what is in force on the node is another thing for a moment: until it is repaired.
    pub(super) fn damages(self) -> bool {
        match self {
            Self::Kill(_)
            | Self::Freeze(_)
            | Self::Clock(..)
            | Self::Squeeze(..)
            | Self::Disk(..)
            | Self::DiskFull
            | Self::Strangers => false,
            Self::Overflow | Self::Edit | Self::Delete | Self::Flush | Self::Boot(..) => true,
        }
    }

    /// Whether `policyd` is started anew.
    fn starts(self) -> bool {
        matches!(self, Self::Kill(_) | Self::Squeeze(..) | Self::Disk(..) | Self::Boot(..))
    }

    /// What it is counted as.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "policyd killed",
            Self::Freeze(time) if time >= MINUTE => "policyd frozen for a minute",
            Self::Freeze(_) => "policyd frozen",
            Self::Clock(..) => "the clock jumps",
            Self::Disk(..) => "policyd killed, its state on disk spoilt",
            Self::Boot(..) => "node booted",
            Self::DiskFull => "disk full",
            Self::Squeeze(..) => "policyd short of memory",
            Self::Strangers => "others' tables came and went",
            Self::Overflow => "notifications lost",
            Self::Edit => "our tables edited",
            Self::Delete => "a table of ours deleted",
            Self::Flush => "ruleset flushed",
        }
    }
}

impl Round {
    /// The round of a seed. Every other one is the API server's, if there is one.
    pub(super) fn draw(draw: &mut Draw, served: bool) -> Self {
        if served && draw.below(2) == 0 {
            return Self::draw_served(draw);
        }
        match draw.below(21) {
            0..8 => Self::Change(changes(draw)),
            8..12 => Self::Fault(fault(draw, served)),
            12..17 => {
                let (changes, fault) = (changes(draw), fault(draw, served));
                // From before policyd has read the change to after it has committed it.
                Self::During(changes, Duration::from_micros(draw.below(40_000) as u64), fault)
            }
            17 => Self::Refused(changes(draw), refusal(draw)),
            _ => Self::Replace(replaced(draw)),
        }
    }

    fn draw_served(draw: &mut Draw) -> Self {
        let changes = changes(draw);
        let while_ms = |draw: &mut Draw| Duration::from_millis(draw.below(2_500) as u64);
        let fault = match draw.below(4) {
            0 => ServerFault::Killed(while_ms(draw)),
            1 => ServerFault::Silent(while_ms(draw)),
            2 => ServerFault::CutOff(1 + draw.below(usize::from(NODES)) as u8, while_ms(draw)),
            _ => return Self::Served(changes, ServerFault::Forgotten, None),
        };
        // A policyd that starts while its API server is away has the state that it last wrote, which may be some seconds old.
        let also = (draw.below(2) == 0).then(|| self::fault(draw, true)).filter(|fault| !fault.kind.starts());
        Self::Served(changes, fault, also)
    }

    /// Its fault, if it has one.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Fault(fault) | Self::During(_, _, fault) => Some(*fault),
            Self::Served(_, _, fault) => *fault,
            Self::Change(_) | Self::Refused(..) | Self::Replace(_) => None,
        }
    }

    /// The node whose kernel refuses something, if one does.
    pub(super) fn refuses(&self) -> Option<u8> {
        if let Self::Refused(_, refusal) = self { Some(refusal.node) } else { None }
    }
}

fn changes(draw: &mut Draw) -> Vec<Change> {
    let count = draw.one_of(&[1, 1, 1, 2, 3, 12]);
    (0..count)
        .map(|_| match draw.below(10) {
            0..4 => Change::Pod(draw.below(PODS.len())),
            4..6 => Change::Namespace(draw.one_of(&NAMESPACES)),
            6..9 => Change::Policy(draw.below(POLICIES)),
            _ => Change::NoPolicy(draw.below(POLICIES)),
        })
        .collect()
}

/// Who follows a folder has its objects there, and keeps no state on disk.
fn fault(draw: &mut Draw, served: bool) -> Fault {
    let node = 1 + draw.below(usize::from(NODES)) as u8;
    let while_ms = |draw: &mut Draw, most| Duration::from_millis(draw.below(most) as u64);
    let kind = match draw.below(if served { 25 } else { 19 }) {
        0..6 => FaultKind::Kill(while_ms(draw, 400)),
        6..8 if draw.below(16) == 0 => FaultKind::Freeze(MINUTE),
        6..8 => FaultKind::Freeze(while_ms(draw, 1_500)),
        8..10 => FaultKind::Strangers,
        10 => FaultKind::Overflow,
        11..14 => FaultKind::Edit,
        14 => FaultKind::Delete,
        15 | 16 => {
            // From what one transaction needs to what a few do.
            let limit = draw.one_of(&[64, 256, 1024]) * 1024;
            FaultKind::Squeeze(limit, while_ms(draw, 500))
        }
        17 => FaultKind::Flush,
        18 => FaultKind::Clock(draw.one_of(&[-10_000, -1, 20, 730]), while_ms(draw, 1_000)),
        19..21 => FaultKind::Disk(draw.one_of(&Spoilt::ALL[1..]), while_ms(draw, 400)),
        21..23 => FaultKind::Boot(draw.one_of(&Spoilt::ALL), while_ms(draw, 400)),
        _ => FaultKind::DiskFull,
    };
    Fault { node, kind }
}

/// Most transactions of such changes have fewer messages than that, and some have more.
fn refusal(draw: &mut Draw) -> Refusal {
    Refusal {
        node: 1 + draw.below(usize::from(NODES)) as u8,
        message: draw.below(24),
        time: Duration::from_millis(draw.below(2_500) as u64),
    }
}

/// One pod, or some of one node, whose addresses go round.
fn replaced(draw: &mut Draw) -> Vec<usize> {
    let node = 1 + draw.below(usize::from(NODES)) as u8;
    let mut pods: Vec<_> = (0..PODS.len()).filter(|&pod| PODS[pod].2 == node).collect();
    let count = draw.one_of(&[1, 2, 2, 3]);
    (0..count).map(|_| pods.swap_remove(draw.below(pods.len()))).collect()
}

impl Change {
    /// Makes it.
    pub(super) fn apply(self, draw: &mut Draw, cluster: &mut Cluster) {
        match self {
            Self::Pod(pod) => {
                let (namespace, name, node) = PODS[pod];
                let key = ObjectKey::new(namespace, name);
                let ips = cluster.pod(&key).map(|pod| pod.ips.to_vec()).unwrap_or_default();
                cluster.insert_pod(draw.pod(key, node, ips));
            }
            Self::Namespace(name) => cluster.insert_namespace(draw.namespace(name)),
            Self::Policy(number) => {
                remove_policy(cluster, number);
                cluster.insert_policy(draw.policy(number));
            }
            Self::NoPolicy(number) => remove_policy(cluster, number),
        }
    }
}

/// A policy keeps its number when it moves to another namespace.
fn remove_policy(cluster: &mut Cluster, number: usize) {
    for namespace in NAMESPACES {
        cluster.remove_policy(&ObjectKey::new(namespace, format!("policy-{number}")));
    }
}

/// `3 changes, then on node 2: policyd killed`
impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(changes) => write!(f, "{}", Changes(changes)),
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::During(changes, after, fault) => {
                write!(f, "{}, and {:.1} ms later {fault}", Changes(changes), after.as_secs_f64() * 1e3)
            }
            Self::Refused(changes, Refusal { node, message, time }) => write!(
                f,
                "{}, and the kernel of node {node} refuses message {message} of each transaction for {} ms",
                Changes(changes),
                time.as_millis()
            ),
            Self::Served(changes, fault, also) => {
                write!(f, "{}, {}", Changes(changes), fault.name())?;
                match fault {
                    ServerFault::Killed(time) | ServerFault::Silent(time) => {
                        write!(f, " for {} ms", time.as_millis())?;
                    }
                    ServerFault::CutOff(node, time) => {
                        write!(f, ": node {node}, for {} ms", time.as_millis())?;
                    }
                    ServerFault::Forgotten => {}
                }
                also.map_or(Ok(()), |fault| write!(f, ", meanwhile {fault}"))
            }
            Self::Replace(pods) => {
                let names: Vec<_> =
                    pods.iter().map(|&pod| format!("{}/{}", PODS[pod].0, PODS[pod].1)).collect();
                write!(f, "pods made anew, with each other's addresses: {}", names.join(" "))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on node {}: {}", self.node, self.kind.name())?;
        match self.kind {
            FaultKind::Freeze(time) if time >= MINUTE => Ok(()),
            FaultKind::Kill(time) | FaultKind::Freeze(time) => write!(f, " for {} ms", time.as_millis()),
            FaultKind::Clock(days, time) => write!(f, " by {days} days, for {} ms", time.as_millis()),
            FaultKind::Squeeze(limit, time) => {
                write!(f, ", {} kB, for {} ms", limit / 1024, time.as_millis())
            }
            FaultKind::Disk(spoilt, time) | FaultKind::Boot(spoilt, time) => {
                write!(f, ", {spoilt}, down for {} ms", time.as_millis())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Not => "its state as it was",
            Self::Gone => "its state gone",
            Self::Torn => "its state torn",
            Self::OtherVersion => "its state of another version",
            Self::Changed => "a bit of its state changed",
        })
    }
}

struct Changes<'a>(&'a [Change]);

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match change {
                Change::Pod(pod) => write!(f, "{comma}pod {}/{}", PODS[*pod].0, PODS[*pod].1)?,
                Change::Namespace(name) => write!(f, "{comma}namespace {name}")?,
                Change::Policy(number) => write!(f, "{comma}policy-{number}")?,
                Change::NoPolicy(number) => write!(f, "{comma}no policy-{number}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_its_round_again_and_all_kinds_come_up() {
        let rounds: Vec<_> = (0..400).map(|seed| Round::draw(&mut Draw::new(seed), false)).collect();
        let again: Vec<_> = (0..400).map(|seed| Round::draw(&mut Draw::new(seed), false)).collect();
        assert_eq!(rounds, again);
        let served: BTreeSet<_> = (0..40)
            .filter_map(|seed| match Round::draw(&mut Draw::new(seed), true) {
                Round::Served(_, fault, _) => Some(fault.name()),
                _ => None,
            })
            .collect();
        assert_eq!(served.len(), 4, "{served:?}");
        let faults = |rounds: &[Round]| -> BTreeSet<_> {
            rounds.iter().filter_map(|round| Some(round.fault()?.kind.name())).collect()
        };
        assert_eq!(faults(&rounds).len(), 10, "{:?}", faults(&rounds));
        assert!(rounds.iter().any(|round| round.refuses().is_some()));
        let served: Vec<_> = (0..800).map(|seed| Round::draw(&mut Draw::new(seed), true)).collect();
        assert_eq!(faults(&served).len(), 13, "{:?}", faults(&served));
        assert!(rounds.iter().any(|round| matches!(round, Round::Replace(pods) if pods.len() > 1)));
    }
}
