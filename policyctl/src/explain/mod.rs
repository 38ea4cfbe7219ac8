//! The answer to "may this reach that, and why": a verdict, the reasons of both sides, and what a reader may be surprised by.
//!
//! An end may stand for several pods, and a question for several ports. Every pair is judged by [`Cluster::verdict`]; what
//! the pairs have in common is said once. [`explain`] answers, [`text()`] and [`json()`] show the answer.

mod answer;
mod ends;
mod json;
mod notes;
mod sides;
mod text;

pub use answer::Answer;
pub use ends::{Asked, EndsError, MOST_PAIRS, Question};
pub use json::json;
pub use sides::Side;
pub use text::text;
pub(crate) use text::wrapped;

use crate::{
    connect::{self, Party},
    endpoint::{ServiceRoute, Transport},
    fix::Fix,
    input::Snapshot,
};
use policy_model::{cluster::Cluster, portset::PortSet, verdict};
use std::collections::BTreeSet;

/// The full answer to a question.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was asked.
    pub asked: Question,
    /// Who the source is: pods and addresses.
    pub sources: Vec<String>,
    /// Who the destination is.
    pub destinations: Vec<String>,
    /// Protocol and port, where the question is about one.
    pub port: Option<(Transport, Option<u16>)>,
    /// The answer for all pairs together.
    pub verdict: Answer,
    /// What the policies of the sources say.
    pub egress: Side,
    /// What the policies of the destinations say.
    pub ingress: Side,
    /// Every pair with its own answer.
    pub pairs: Vec<Pair>,
    /// What may pass and what may not, where the question is about more than one port: over all pairs.
    pub ports: Option<Ports>,
    /// What a reader may be surprised by.
    pub notes: Vec<String>,
    /// What to change for the other answer.
    pub fix: Option<Fix>,
}

/// One source and one destination.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Who opens the connection.
    pub source: verdict::Endpoint,
    /// Whom to.
    pub destination: verdict::Endpoint,
    /// What was asked about.
    pub asked: Asked,
    /// The Service in between.
    pub service: Option<ServiceRoute>,
    /// The answer.
    pub verdict: Answer,
}

/// The ports of a question about several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// May pass between every pair.
    pub allowed: PortSet,
    /// May pass between some pairs only.
    pub mixed: PortSet,
    /// Depends on an address that nobody knows.
    pub unknown: PortSet,
    /// May not pass between any pair.
    pub denied: PortSet,
}

/// Answers a question.
///
/// # Errors
/// An end that stands for nothing, or two ends that stand for more than [`MOST_PAIRS`] pairs.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Result<Explanation, EndsError> {
    let ends = ends::resolve(snapshot, question)?;
    let cluster = &snapshot.cluster;
    let (mut egress, mut ingress) = (sides::Collector::default(), sides::Collector::default());
    let mut pairs = Vec::new();
    let mut exemptions = BTreeSet::new();
    let mut ports: Option<Ports> = None;
    for probe in ends.probes {
        let judged = Judged::new(cluster, &probe);
        for packet in judged.packets(&probe.asked) {
            let verdict = cluster.verdict(&probe.flow(packet));
            let unknown = judged.unknown.contains_packet(packet.0, packet.1);
            let many = matches!(probe.asked, Asked::Many(_));
            egress.add(&verdict.egress, unknown, many);
            ingress.add(&verdict.ingress, unknown, many);
            exemptions.extend(verdict.exemption);
        }
        if let Asked::Many(_) = &probe.asked {
            ports = Some(judged.merge(ports));
        }
        pairs.push(Pair {
            verdict: judged.answer(),
            source: probe.source,
            destination: probe.destination,
            asked: probe.asked,
            service: probe.service,
        });
    }
    let verdict = Answer::of_all(pairs.iter().map(|pair| pair.verdict));
    let mut asked = pairs.iter().map(|pair| pair.asked.single());
    let first = asked.next().flatten();
    let port = first.filter(|_| asked.all(|other| other == first));
    let notes = notes::notes(snapshot, question, &pairs, &exemptions, ends.notes);
    Ok(Explanation {
        asked: question.clone(),
        sources: names(pairs.iter().map(|pair| &pair.source)),
        destinations: names(pairs.iter().map(|pair| &pair.destination)),
        port,
        verdict: if pairs.is_empty() { Answer::Unknown } else { verdict },
        egress: egress.finish(),
        ingress: ingress.finish(),
        pairs,
        ports,
        notes,
        fix: None,
    })
}

fn names<'a>(endpoints: impl Iterator<Item = &'a verdict::Endpoint>) -> Vec<String> {
    let mut names = Vec::new();
    for endpoint in endpoints {
        let name = match endpoint {
            verdict::Endpoint::Pod { key, .. } => key.to_string(),
            verdict::Endpoint::Address(address) => address.to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The ports of one pair: allowed, or allowed if an address that nobody knows is the right one.
struct Judged {
    allowed: PortSet,
    unknown: PortSet,
    denied: PortSet,
}

impl Judged {
    fn new(cluster: &Cluster, probe: &ends::Probe) -> Self {
        let parties = [&probe.source, &probe.destination].map(|end| Party::of_endpoint(cluster, end));
        let asked = probe.asked.ports();
        let both = |[source, destination]: &[Party<'_>; 2]| {
            connect::between(cluster, source, destination).both().intersection(&asked)
        };
        let allowed = both(&parties);
        let unknown = both(&parties.map(|party| party.at_best())).difference(&allowed);
        let denied = asked.difference(&allowed).difference(&unknown);
        Self { allowed, unknown, denied }
    }

    fn answer(&self) -> Answer {
        let parts = [
            (&self.allowed, Answer::Allowed),
            (&self.unknown, Answer::Unknown),
            (&self.denied, Answer::Denied),
        ];
        Answer::of_all(parts.into_iter().filter(|(part, _)| !part.is_empty()).map(|(_, answer)| answer))
    }

    /// Packets that stand for all that was asked: of one port itself, of many the first of each stretch.
    fn packets(&self, asked: &Asked) -> Vec<(u8, Option<u16>)> {
        match asked {
            Asked::One(transport, port, to_ipv6) => vec![(transport.number_for(*to_ipv6), *port)],
            Asked::Many(_) => {
                let sets = [&self.allowed, &self.unknown, &self.denied];
                let first = |set: &PortSet| {
                    let ported = set.iter().map(|(protocol, lo, _)| (protocol.number(), Some(lo.max(1))));
                    ported.chain(set.other.then_some((1, None))).take(STRETCHES).collect::<Vec<_>>()
                };
                sets.into_iter().flat_map(first).collect()
            }
        }
    }

    fn merge(&self, before: Option<Ports>) -> Ports {
        let Self { allowed, unknown, denied } = self;
        let Some(before) = before else {
            let (allowed, unknown, denied) = (allowed.clone(), unknown.clone(), denied.clone());
            return Ports { allowed, mixed: PortSet::none(), unknown, denied };
        };
        let sometimes = before.allowed.union(&before.mixed).union(allowed);
        let never = before.denied.intersection(denied);
        let always = before.allowed.intersection(allowed);
        let unknown = before.unknown.union(unknown).difference(&sometimes);
        let mixed = sometimes.difference(&always);
        Ports { allowed: always, mixed, unknown, denied: never }
    }
}

/// How many stretches of each answer are asked for their reasons.
const STRETCHES: usize = 16;
