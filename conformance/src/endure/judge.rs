//! What must have become of streams and new flows, and what has.

use super::{
    between,
    error::EndureError,
    expect::{self, Must, Sides},
    round::Round,
    streams::Stream,
    tally::{Broken, Tally},
    world::World,
};
use crate::{
    probe::{self, Outcome},
    random::{self, PODS},
};
use policy_model::cluster::Cluster;
use std::{ops::Range, time::Duration};

/// How long an answer may take. On one machine it takes a tenth of a millisecond.
const ANSWER: Duration = Duration::from_millis(300);

impl World {
    /// For each stream what the model says of it in each state that may be seen on the way from one to the present one: of a folder that
    /// is the two, since it is read as a whole.
    pub(super) fn ways(&self, was: &Cluster) -> Vec<Vec<Option<Sides>>> {
        let states = match &self.served {
            Some(_) => between::states(was, &self.cluster),
            None => vec![was.clone(), self.cluster.clone()],
        };
        let verdicts: Vec<_> = states.iter().map(|state| expect::verdicts(state, &self.streams)).collect();
        (0..self.streams.list().len()).map(|id| verdicts.iter().map(|state| state[id]).collect()).collect()
    }

    /// What holds of each stream on the way.
    pub(super) fn musts(&self, round: &Round, ways: &[Vec<Option<Sides>>]) -> Vec<Must> {
        let damaged = round.fault().filter(|fault| fault.kind.damages()).map(|fault| fault.node);
        let at = |stream: &Stream, node: Option<u8>| {
            node.is_some() && [stream.from, stream.to].map(expect::node_of).contains(&node)
        };
        let replaced: &[usize] = if let Round::Replace(pods) = round { pods } else { &[] };
        let must = |(stream, way): (&Stream, &Vec<Option<Sides>>)| {
            // What the new state denies never passes, from the moment that a new pod has its address.
            let new = replaced.iter().any(|&pod| stream.touches(pod));
            match way.last().copied().flatten() {
                _ if at(stream, damaged) => Must::Either,
                after if new && expect::calm(after) != Must::Drop => Must::Either,
                after if new => expect::calm(after),
                _ => match expect::change(stream, way) {
                    // What the kernel refuses is denied to the pods that it is for.
                    Must::Pass if at(stream, round.refuses()) => Must::Either,
                    must => must,
                },
            }
        };
        self.streams.list().iter().zip(ways).map(must).collect()
    }

    /// Asks the network whether new flows are as the model says.
    pub(super) fn questions(&self, tally: &mut Tally) -> Result<Vec<Broken>, EndureError> {
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

    pub(super) fn judge(
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

    /// Of the streams of which nothing is promised, how many datagrams passed that the model denies all the while, and how many were lost
    /// that it allows.
    pub(super) fn apart(&self, ticks: Range<u64>, ways: &[Vec<Option<Sides>>], musts: &[Must]) -> [u64; 2] {
        let [mut passed, mut lost] = [0, 0];
        let streams = self.streams.list().iter().enumerate();
        for (id, stream) in streams.filter(|(id, _)| musts[*id] == Must::Either) {
            let outcome = self.streams.outcome(id, ticks.clone());
            match expect::change(stream, &ways[id]) {
                Must::Drop => passed += outcome.arrived.len() as u64,
                Must::Pass => lost += outcome.lost.len() as u64,
                Must::Either => {}
            }
        }
        [passed, lost]
    }
}

/// `east/p0 -> north/p1 IPv4 82/UDP`
pub(super) fn name(stream: &Stream) -> String {
    let host =
        |host: usize| PODS.get(host).map_or("outside".to_owned(), |pod| format!("{}/{}", pod.0, pod.1));
    let family = stream.family.pick("IPv4", "IPv6");
    format!("{} -> {} {family} {}/UDP", host(stream.from), host(stream.to), stream.port)
}
