//! The lab, its daemons, the streams, and the state that they are in.

use super::{
    between,
    error::EndureError,
    expect::{self, Must},
    fault,
    round::{Fault, Refusal, Round},
    served::Served,
    streams::Streams,
    tally::{Broken, Tally},
};
use crate::{
    enforced::{Enforced, Manifests, Policyd},
    lab::Lab,
    preload::{Preloaded, Refused},
    random::{self, Draw, NODES, PODS},
};
use policy_model::{cluster::Cluster, object::ObjectKey};
use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take until it is in force. It is no promise: what is measured is told.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is on its way arrives within this time.
const ARRIVAL: Duration = Duration::from_millis(80);
/// Ticks before a change that a late packet of may meet it.
const LATE: u64 = 2;
/// How long the damage of the control lasts.
const CONTROL: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct World {
    // Dropped first: its sockets are in namespaces of the lab.
    pub(super) streams: Streams,
    pub(super) enforced: Enforced,
    /// The API server, if the daemons follow one.
    pub(super) served: Option<Served>,
    pub(super) cluster: Cluster,
    /// Up to here streams have been judged.
    judged: u64,
}

pub(super) fn key(pod: usize) -> ObjectKey {
    ObjectKey::new(PODS[pod].0, PODS[pod].1)
}

impl World {
    /// A lab in the first state of a seed.
    pub(super) fn start(seed: u64, api_server: bool) -> Result<Self, EndureError> {
        let lab = Lab::builder("endure").nodes(NODES).ports(&random::SERVED).build()?;
        lab.add_pods(&random::specs())?;
        let streams = Streams::start(PODS.len() + 1)?;
        for pod in 0..PODS.len() {
            open(&streams, &lab, pod)?;
        }
        streams.open_outside(lab.outside())?;
        let addresses = |key: &ObjectKey| -> Vec<IpAddr> {
            lab.pod(&key.namespace, &key.name).map(|pod| pod.addresses().collect()).unwrap_or_default()
        };
        let mut cluster = random::cluster(&mut Draw::new(seed), addresses);
        let (enforced, served) = if api_server {
            between::admit(&Cluster::new(), &mut cluster);
            let (mut served, kubeconfig) = Served::start(&lab)?;
            served.put(&cluster)?;
            (Enforced::start_preloaded(lab, &Manifests::of(&cluster), Some(&kubeconfig))?, Some(served))
        } else {
            (Enforced::start_preloaded(lab, &Manifests::of(&cluster), None)?, None)
        };
        let mut world = Self { streams, enforced, served, cluster, judged: 0 };
        world.settle()?;
        world.judged = world.streams.mark();
        Ok(world)
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn is_served(&self) -> bool {
        self.served.is_some()
    }

    /// How often a daemon has listed a kind of object anew because its watch was too old.
    pub(super) fn relisted(&self) -> u64 {
        self.said("listing again")
    }

    /// How often a daemon has said that its state cannot be written.
    pub(super) fn unwritten(&self) -> u64 {
        self.said("the state cannot be written")
    }

    /// Lines of the daemons' logs with this in them.
    fn said(&self, text: &str) -> u64 {
        let lines = |daemon: &Policyd| daemon.log().lines().filter(|line| line.contains(text)).count();
        self.enforced.daemons().iter().map(|daemon| lines(daemon) as u64).sum()
    }

    /// The most that a daemon has resident now, in bytes.
    pub(super) fn resident(&self) -> u64 {
        self.enforced.daemons().iter().filter_map(resident).max().unwrap_or(0)
    }

    /// Goes to a state with the same pods. Nothing on the way there is judged.
    pub(super) fn adopt(&mut self, cluster: &Cluster) -> Result<(), EndureError> {
        self.put(cluster.clone())?;
        self.settle()?;
        self.judged = self.streams.mark();
        Ok(())
    }

    /// Does what a round says, and judges every datagram up to its end and the flows that can be opened then.
    pub(super) fn perform(
        &mut self,
        round: &Round,
        draw: &mut Draw,
        tally: &mut Tally,
    ) -> Result<Vec<Broken>, EndureError> {
        let before = expect::verdicts(&self.cluster, &self.streams);
        let begin = self.streams.mark();
        // What left just before may still meet what came just after; a round may begin soon after the one before.
        let mut turn = begin.saturating_sub(LATE).max(self.judged);
        let was = self.cluster.clone();
        let ways = match round {
            Round::Change(changes) => {
                let reads = self.reads();
                self.change(changes, draw)?;
                self.wait_until_read(&reads, None)?;
                self.ways(&was)
            }
            Round::Fault(fault) => {
                self.inflict(*fault, draw, tally)?;
                self.repaired(*fault, tally)?;
                self.ways(&was)
            }
            Round::During(changes, after, fault) => {
                let reads = self.reads();
                self.change(changes, draw)?;
                thread::sleep(*after);
                self.inflict(*fault, draw, tally)?;
                self.repaired(*fault, tally)?;
                self.wait_until_read(&reads, Some(fault.node))?;
                self.ways(&was)
            }
            Round::Refused(changes, refusal) => {
                let reads = self.reads();
                tally.refused += self.refused_while(*refusal, |world| world.change(changes, draw))?;
                self.wait_until_read(&reads, None)?;
                self.ways(&was)
            }
            Round::Served(changes, server, fault) => {
                self.befall(changes, *server, *fault, draw, tally)?;
                self.ways(&was)
            }
            Round::Replace(pods) => {
                pods.iter().for_each(|&pod| self.streams.close(pod));
                // From here on nothing comes from the pods that end.
                turn = self.streams.mark();
                self.replace(pods, draw)?;
                self.ways(&was)
            }
        };
        let musts = self.musts(round, &ways);
        self.settle()?;
        let end = self.streams.mark();
        let mut broken = self.questions(tally)?;
        thread::sleep(ARRIVAL);
        let calm: Vec<_> = before.iter().map(|sides| expect::calm(*sides)).collect();
        self.judge("before it", self.judged..turn, &calm, tally, &mut broken);
        self.judge("while it went on", turn..end, &musts, tally, &mut broken);
        self.judged = end;
        let apart = || self.apart(turn..end, &ways, &musts);
        if round.fault().is_some_and(|fault| fault.kind.damages()) {
            let [passed, lost] = apart();
            tally.passed_while_damaged += passed;
            tally.lost_while_damaged += lost;
        }
        if round.refuses().is_some() {
            let [_, lost] = apart();
            tally.lost_while_refused += lost;
        }
        tally.rounds(round);
        Ok(broken)
    }

    /// Breaks both promises on purpose, with a `policyd` that cannot mend it, and sees that both are found broken.
    pub(super) fn control(&mut self) -> Result<(), EndureError> {
        let broken = self.broken_by("delete table inet palisade")?;
        if !broken.iter().any(|broken| broken.is(Must::Drop)) {
            return Err(EndureError::Blind("without a table nothing passed that policies forbid"));
        }
        let broken = self.broken_by("insert rule inet palisade forward counter drop")?;
        if !broken.iter().any(|broken| broken.is(Must::Pass)) {
            return Err(EndureError::Blind("with a rule that drops everything no permitted packet was lost"));
        }
        Ok(())
    }

    /// What the streams show of a damage that lasts.
    fn broken_by(&mut self, edit: &str) -> Result<Vec<Broken>, EndureError> {
        let calm: Vec<_> =
            expect::verdicts(&self.cluster, &self.streams).into_iter().map(expect::calm).collect();
        let node = self.enforced.lab().node(1).netns().clone();
        let ticks = fault::frozen(self.enforced.daemon(1), || {
            node.nft(edit)?;
            let begin = self.streams.mark();
            thread::sleep(CONTROL);
            Ok(begin..self.streams.mark())
        })?;
        thread::sleep(ARRIVAL);
        let mut broken = Vec::new();
        self.judge("in the control", ticks, &calm, &mut Tally::default(), &mut broken);
        self.settle()?;
        self.judged = self.streams.mark();
        Ok(broken)
    }

    pub(super) fn inflict(
        &mut self,
        fault: Fault,
        draw: &mut Draw,
        tally: &mut Tally,
    ) -> Result<(), EndureError> {
        let netns = self.enforced.lab().node(fault.node).netns().clone();
        fault::inflict(fault.kind, draw, &netns, self.enforced.daemon_mut(fault.node), tally)
    }

    /// Does something while the kernel refuses what a node sends it, and a while longer. Gives how many transactions it has refused.
    fn refused_while(
        &mut self,
        Refusal { node, message, time }: Refusal,
        work: impl FnOnce(&mut Self) -> Result<(), EndureError>,
    ) -> Result<u64, EndureError> {
        let before = refusals(self.enforced.daemon(node));
        self.preloaded(node).map_or(Ok(()), |preloaded| preloaded.refuse(Refused::Message(message)))?;
        // Whatever comes of it: the kernel takes everything again.
        let done = work(self);
        thread::sleep(time);
        self.preloaded(node).map_or(Ok(()), Preloaded::take)?;
        done?;
        Ok(refusals(self.enforced.daemon(node)).saturating_sub(before))
    }

    fn preloaded(&self, node: u8) -> Option<&Preloaded> {
        self.enforced.daemon(node).preloaded()
    }

    pub(super) fn reads(&self) -> Vec<u64> {
        self.enforced.daemons().iter().map(Policyd::reads).collect()
    }

    /// Waits until the nodes have read once more. One that may have been started anew since is up to date once it is ready.
    pub(super) fn wait_until_read(&mut self, before: &[u64], anew: Option<u8>) -> Result<(), EndureError> {
        if self.is_served() {
            return self.followed();
        }
        for (node, &before) in (1..=NODES).zip(before) {
            let daemon = self.enforced.daemon_mut(node);
            if anew == Some(node) {
                daemon.wait_until_ready(PATIENCE)?;
            } else {
                daemon.wait_until_read(before, PATIENCE)?;
            }
        }
        Ok(())
    }

    /// Waits until a node's daemon is ready and its kernel holds what it wants, and notes how long it takes.
    pub(super) fn repaired(&mut self, fault: Fault, tally: &mut Tally) -> Result<(), EndureError> {
        let since = Instant::now();
        self.settle_node(fault.node)?;
        if fault.kind.damages() {
            tally.repaired(since.elapsed());
        }
        Ok(())
    }

    /// Waits until every node is ready, every kernel holds what its daemon wants, and nothing of that is left out.
    fn settle(&mut self) -> Result<(), EndureError> {
        (1..=NODES).try_for_each(|node| self.settle_node(node))
    }

    fn settle_node(&mut self, node: u8) -> Result<(), EndureError> {
        let daemon = self.enforced.daemon_mut(node);
        daemon.wait_until_ready(PATIENCE)?;
        let since = Instant::now();
        loop {
            let (operations, denied) = (drift(daemon), daemon.count("palisade_quarantined_pods"));
            match (operations, denied) {
                (Some(0), 0) => return Ok(()),
                (Some(0), pods) if since.elapsed() > PATIENCE => {
                    return Err(EndureError::StillDenied { node, pods, seconds: PATIENCE.as_secs() });
                }
                _ if since.elapsed() > PATIENCE => {
                    let (operations, seconds) = (operations.unwrap_or(u64::MAX), PATIENCE.as_secs());
                    return Err(EndureError::NotRepaired { node, operations, seconds });
                }
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

pub(super) fn open(streams: &Streams, lab: &Lab, pod: usize) -> Result<(), EndureError> {
    let (namespace, name, _) = PODS[pod];
    if let Some(running) = lab.pod(namespace, name) {
        streams.open(pod, running.netns(), &running.addresses().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// By how many operations a node's kernel differs from what its daemon wants; `None` if it does not say.
fn drift(daemon: &Policyd) -> Option<u64> {
    let answer = daemon.get("/v1/kernel").ok().flatten()?;
    serde_json::from_str::<serde_json::Value>(&answer).ok()?["drift"].as_u64()
}

/// Transactions that the kernel has refused since its daemon was started.
fn refusals(daemon: &Policyd) -> u64 {
    daemon.count("palisade_refusals_total")
}

fn resident(daemon: &Policyd) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
