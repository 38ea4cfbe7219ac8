//! The lab, its daemons, the streams, and the state that they are in.

use super::{
    error::EndureError,
    expect::{self, Must, Sides},
    fault,
    round::{Change, Fault, Round},
    streams::Streams,
    tally::{Broken, Tally},
};
use crate::{
    enforced::{Enforced, Manifests, Policyd},
    lab::{Lab, PodSpec},
    probe::{self, Outcome},
    random::{self, Draw, NODES, PODS},
};
use policy_model::{cluster::Cluster, object::ObjectKey};
use std::{
    net::IpAddr,
    ops::Range,
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
/// How long an answer may take. On one machine it takes a tenth of a millisecond.
const ANSWER: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct World {
    // Dropped first: its sockets are in namespaces of the lab.
    streams: Streams,
    enforced: Enforced,
    cluster: Cluster,
    /// Up to here streams have been judged.
    judged: u64,
}

fn key(pod: usize) -> ObjectKey {
    ObjectKey::new(PODS[pod].0, PODS[pod].1)
}

impl World {
    /// A lab in the first state of a seed.
    pub(super) fn start(seed: u64) -> Result<Self, EndureError> {
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
        let cluster = random::cluster(&mut Draw::new(seed), addresses);
        let enforced = Enforced::start(lab, &Manifests::of(&cluster))?;
        let mut world = Self { streams, enforced, cluster, judged: 0 };
        world.settle()?;
        world.judged = world.streams.mark();
        Ok(world)
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
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
        let musts = match round {
            Round::Change(changes) => {
                let reads = self.reads();
                self.change(changes, draw)?;
                self.wait_until_read(&reads, None)?;
                self.musts(&before, None)
            }
            Round::Fault(fault) => {
                self.inflict(*fault, draw)?;
                self.repaired(*fault, tally)?;
                self.musts(&before, Some(*fault))
            }
            Round::During(changes, after, fault) => {
                let reads = self.reads();
                self.change(changes, draw)?;
                thread::sleep(*after);
                self.inflict(*fault, draw)?;
                self.repaired(*fault, tally)?;
                self.wait_until_read(&reads, Some(fault.node))?;
                self.musts(&before, Some(*fault))
            }
            Round::Replace(pods) => {
                pods.iter().for_each(|&pod| self.streams.close(pod));
                // From here on nothing comes from the pods that end.
                turn = self.streams.mark();
                self.replace(pods, draw, &before)?
            }
        };
        self.settle()?;
        let end = self.streams.mark();
        let mut broken = self.questions(tally)?;
        thread::sleep(ARRIVAL);
        let calm: Vec<_> = before.iter().map(|sides| expect::calm(*sides)).collect();
        self.judge("before it", self.judged..turn, &calm, tally, &mut broken);
        self.judge("while it went on", turn..end, &musts, tally, &mut broken);
        self.judged = end;
        if round.fault().is_some_and(|fault| fault.kind.damages()) {
            self.count_damage(turn..end, &before, &musts, tally);
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

    /// What holds of each stream on the way from a state to the present one.
    fn musts(&self, before: &[Option<Sides>], fault: Option<Fault>) -> Vec<Must> {
        let after = expect::verdicts(&self.cluster, &self.streams);
        let damaged = fault.filter(|fault| fault.kind.damages()).map(|fault| fault.node);
        let must = |((stream, before), after): ((&_, &Option<Sides>), &Option<Sides>)| {
            let stream: &super::streams::Stream = stream;
            let there =
                [stream.from, stream.to].map(expect::node_of).iter().any(|n| n.is_some() && *n == damaged);
            if there { Must::Either } else { expect::change(stream, *before, *after) }
        };
        self.streams.list().iter().zip(before).zip(&after).map(must).collect()
    }

    fn change(&mut self, changes: &[Change], draw: &mut Draw) -> Result<(), EndureError> {
        for change in changes {
            change.apply(draw, &mut self.cluster);
        }
        Ok(Manifests::of(&self.cluster).write(self.enforced.folder())?)
    }

    fn inflict(&mut self, fault: Fault, draw: &mut Draw) -> Result<(), EndureError> {
        let netns = self.enforced.lab().node(fault.node).netns().clone();
        fault::inflict(fault.kind, draw, &netns, self.enforced.daemon_mut(fault.node))
    }

    /// Pods whose streams have ended do, and others start. Their streams are judged by the new state alone: what that denies never passes, from the
    /// moment that a new pod has its address.
    fn replace(
        &mut self,
        pods: &[usize],
        draw: &mut Draw,
        before: &[Option<Sides>],
    ) -> Result<Vec<Must>, EndureError> {
        let mut specs = Vec::new();
        for (index, &pod) in pods.iter().enumerate() {
            let next = key(pods[(index + 1) % pods.len()]);
            let next = self.cluster.pod(&next).map(|pod| pod.ips.to_vec()).unwrap_or_default();
            let (namespace, name, node) = PODS[pod];
            let mut spec = PodSpec::new(node, namespace, name);
            for address in &next {
                spec = match address {
                    IpAddr::V4(v4) => spec.ipv4(*v4),
                    IpAddr::V6(v6) => spec.ipv6(*v6),
                };
            }
            specs.push((spec, draw.pod(key(pod), node, next)));
        }
        for &pod in pods {
            self.enforced.lab().delete_pod(&key(pod))?;
        }
        // Bound to its node, without an address.
        let mut cluster = self.cluster.clone();
        for (_, pod) in &specs {
            cluster.insert_pod(policy_model::object::Pod { ips: [].into_iter().collect(), ..pod.clone() });
        }
        self.put(cluster)?;
        let (specs, objects): (Vec<_>, Vec<_>) = specs.into_iter().unzip();
        let started = self.enforced.lab().start_pods(&specs)?;
        for &pod in pods {
            open(&self.streams, self.enforced.lab(), pod)?;
        }
        for pod in &started {
            self.enforced.lab().finish_pod(pod)?;
        }
        let mut cluster = self.cluster.clone();
        objects.into_iter().for_each(|pod| cluster.insert_pod(pod));
        self.put(cluster)?;
        let after = expect::verdicts(&self.cluster, &self.streams);
        let streams = self.streams.list().iter();
        let musts = streams.zip(before).zip(&after).map(|((stream, before), after)| {
            let new = pods.iter().any(|&pod| stream.touches(pod));
            match (new, expect::calm(*after)) {
                (true, Must::Pass) => Must::Either,
                (true, must) => must,
                (false, _) => expect::change(stream, *before, *after),
            }
        });
        Ok(musts.collect())
    }

    /// Writes a state and waits until every node has read it.
    fn put(&mut self, cluster: Cluster) -> Result<(), EndureError> {
        let reads = self.reads();
        Manifests::of(&cluster).write(self.enforced.folder())?;
        self.cluster = cluster;
        self.wait_until_read(&reads, None)
    }

    fn reads(&self) -> Vec<u64> {
        self.enforced.daemons().iter().map(Policyd::reads).collect()
    }

    /// Waits until the nodes have read once more. One that may have been started anew since is up to date once it is ready.
    fn wait_until_read(&mut self, before: &[u64], anew: Option<u8>) -> Result<(), EndureError> {
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
    fn repaired(&mut self, fault: Fault, tally: &mut Tally) -> Result<(), EndureError> {
        let since = Instant::now();
        self.settle_node(fault.node)?;
        if fault.kind.damages() {
            tally.repaired(since.elapsed());
        }
        Ok(())
    }

    /// Waits until every node is ready and every kernel holds what its daemon wants.
    fn settle(&mut self) -> Result<(), EndureError> {
        (1..=NODES).try_for_each(|node| self.settle_node(node))
    }

    fn settle_node(&mut self, node: u8) -> Result<(), EndureError> {
        let daemon = self.enforced.daemon_mut(node);
        daemon.wait_until_ready(PATIENCE)?;
        let since = Instant::now();
        loop {
            let operations = drift(daemon);
            match operations {
                Some(0) => return Ok(()),
                _ if since.elapsed() > PATIENCE => {
                    let (operations, seconds) = (operations.unwrap_or(u64::MAX), PATIENCE.as_secs());
                    return Err(EndureError::NotRepaired { node, operations, seconds });
                }
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Asks the network whether new flows are as the model says.
    fn questions(&self, tally: &mut Tally) -> Result<Vec<Broken>, EndureError> {
        let lab = self.enforced.lab();
        let (probes, flows): (Vec<_>, Vec<_>) = random::questions(lab).into_iter().unzip();
        let mut replies = lab.probe_all_within(&probes, ANSWER)?;
        let mut broken = Vec::new();
        for ((probe, flow), reply) in probes.iter().zip(&flows).zip(&mut replies) {
            let allowed = self.cluster.verdict(flow).allowed;
            // An answer may be late on a busy machine; a packet that passes against policy is what it is.
            if allowed && reply.outcome != Outcome::Allowed {
                *reply = lab.probe_all_within(std::slice::from_ref(probe), probe::TIMEOUT)?.remove(0);
            }
            let passed = reply.outcome == Outcome::Allowed;
            tally.asked(passed);
            if passed != allowed {
                let model = if allowed { "allowed" } else { "denied" };
                broken.push(Broken::Question(format!(
                    "{probe}: {}, and the model says {model}",
                    reply.outcome
                )));
            }
        }
        Ok(broken)
    }

    fn judge(
        &self,
        when: &'static str,
        ticks: Range<u64>,
        musts: &[Must],
        tally: &mut Tally,
        broken: &mut Vec<Broken>,
    ) {
        for (id, must) in musts.iter().enumerate() {
            let outcome = self.streams.outcome(id, ticks.clone());
            tally.datagrams(*must, &outcome);
            let wrong = match must {
                Must::Pass => &outcome.lost,
                Must::Drop => &outcome.arrived,
                Must::Either => continue,
            };
            if let Some(first) = wrong.first() {
                let stream = &self.streams.list()[id];
                let ticks = format!("{} at ticks {first}.. of {}..{}", wrong.len(), ticks.start, ticks.end);
                broken.push(Broken::Stream { what: name(stream), must: *must, when, ticks });
            }
        }
    }

    /// What the streams that the model denies all the while did while tables were damaged: the window that is promised.
    fn count_damage(&self, ticks: Range<u64>, before: &[Option<Sides>], musts: &[Must], tally: &mut Tally) {
        let after = expect::verdicts(&self.cluster, &self.streams);
        let streams = self.streams.list().iter().enumerate();
        for (id, stream) in streams.filter(|(id, _)| musts[*id] == Must::Either) {
            let outcome = self.streams.outcome(id, ticks.clone());
            match expect::change(stream, before[id], after[id]) {
                Must::Drop => tally.passed_while_damaged += outcome.arrived.len() as u64,
                Must::Pass => tally.lost_while_damaged += outcome.lost.len() as u64,
                Must::Either => {}
            }
        }
    }
}

fn open(streams: &Streams, lab: &Lab, pod: usize) -> Result<(), EndureError> {
    let (namespace, name, _) = PODS[pod];
    if let Some(running) = lab.pod(namespace, name) {
        streams.open(pod, running.netns(), &running.addresses().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// `east/p0 -> north/p1 IPv4 82/UDP`
fn name(stream: &super::streams::Stream) -> String {
    let host =
        |host: usize| PODS.get(host).map_or("outside".to_owned(), |pod| format!("{}/{}", pod.0, pod.1));
    let family = stream.family.pick("IPv4", "IPv6");
    format!("{} -> {} {family} {}/UDP", host(stream.from), host(stream.to), stream.port)
}

/// By how many operations a node's kernel differs from what its daemon wants; `None` if it does not say.
fn drift(daemon: &Policyd) -> Option<u64> {
    let answer = daemon.get("/v1/kernel").ok().flatten()?;
    serde_json::from_str::<serde_json::Value>(&answer).ok()?["drift"].as_u64()
}

fn resident(daemon: &Policyd) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
