//! The smallest change of policies that turns an answer, and everything else that it would move.
//!
//! Candidates are made ([`candidates`]), each is applied to a copy of the cluster and everything that its policies touch is
//! evaluated again ([`moved()`]); the one that moves least beside what was asked is offered. Nothing is offered that was
//! not evaluated, and nothing moves that is not said.

mod candidates;
mod deny;
mod edit;
mod moved;
mod peers;
mod search;
mod show;
#[cfg(test)]
mod tests;

pub use edit::Edit;
pub use moved::{Move, Place, moved};

use crate::{
    connect::{self, Party},
    endpoint,
    explain::{Answer, Explanation, Pair},
    input::Snapshot,
};
use ipnet::IpNet;
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::NetworkPolicy,
    portset::PortSet,
    verdict::Endpoint,
};
use std::collections::BTreeSet;

/// What the answer is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Everything that was asked about may pass.
    Allow,
    /// Nothing of it may.
    Deny,
}

/// Changes that turn an answer.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What it turns the answer into.
    pub goal: Goal,
    /// The changes, in the order in which they were made.
    pub edits: Vec<Edit>,
    /// The changed policies, whole.
    pub policies: Vec<NetworkPolicy>,
    /// What else it moves.
    pub also: Vec<Move>,
    /// `file:line` of each edit, where the policy comes from a file.
    pub places: Vec<Option<String>>,
}

/// How many edits a fix may take. What needs more is a matter of rewriting the policies.
const MOST_EDITS: usize = 8;

/// The smallest change that turns the answer; `None` if there is none, or nothing to turn.
#[must_use]
pub fn find(snapshot: &Snapshot, explanation: &Explanation, goal: Goal) -> Option<Fix> {
    let turned = match goal {
        Goal::Allow => Answer::Denied,
        Goal::Deny => Answer::Allowed,
    };
    let [from, to] = [&explanation.asked.source, &explanation.asked.target.endpoint];
    let pairs = explanation.pairs.iter().filter(|pair| pair.verdict == turned);
    let wanted: Vec<Wanted> = pairs.map(|pair| Wanted::of(pair, from, to)).collect();
    if wanted.is_empty() {
        return None;
    }
    let mut search = search::Search::new(snapshot, goal, &wanted);
    let (mut edits, mut taken): (Vec<Edit>, usize) = (Vec::new(), 0);
    while let Some(open) = wanted.iter().find(|wanted| !wanted.is_met(&search.cluster, goal)) {
        if taken >= MOST_EDITS {
            return None;
        }
        let candidates = match goal {
            Goal::Allow => {
                candidates::allowing(&search.cluster, open).into_iter().map(|edit| vec![edit]).collect()
            }
            Goal::Deny => deny::denying(&search.cluster, open),
        };
        let best = search.best(candidates, open)?;
        search.take(&best);
        taken += best.len();
        // What is put in the place of an earlier change says all that the earlier one said.
        edits.retain(|edit| !best.iter().any(|later| later.supersedes(edit)));
        edits.extend(best);
    }
    Some(search.finish(snapshot, edits))
}

/// Why there is nothing that stops what may pass; `None` if policies have a say in it.
#[must_use]
pub fn why_unstoppable(cluster: &Cluster, explanation: &Explanation) -> Option<&'static str> {
    explanation.pairs.iter().filter(|pair| pair.verdict == Answer::Allowed).find_map(|pair| {
        let [source, destination] =
            [&pair.source, &pair.destination].map(|end| Party::of_endpoint(cluster, end));
        if source.is_same_pod(&destination) {
            Some("no policy can stop this: a pod may always reach itself")
        } else if source.is_own_node_of(&destination, cluster) {
            Some("no policy can stop this: a node may always reach the pods that run on it")
        } else if source.pods.is_empty() && destination.pods.is_empty() {
            Some("no policy can stop this: neither end is a pod that policies select")
        } else {
            None
        }
    })
}

impl Fix {
    /// The pods that move together with the ends that were asked about, since no label tells them apart from these.
    #[must_use]
    pub fn alike(&self, cluster: &Cluster, explanation: &Explanation) -> Vec<&ObjectKey> {
        let asked: Vec<&Pod> = explanation
            .pairs
            .iter()
            .flat_map(|pair| [&pair.source, &pair.destination])
            .filter_map(|end| match end {
                Endpoint::Pod { key, .. } => cluster.pod(key),
                Endpoint::Address(_) => None,
            })
            .collect();
        let is_alike = |key: &&ObjectKey| {
            let is_asked = asked.iter().any(|pod| pod.key == **key);
            !is_asked
                && cluster.pod(key).is_some_and(|pod| asked.iter().any(|asked| peers::are_alike(asked, pod)))
        };
        let moved = self.also.iter().flat_map(|moved| [&moved.source, &moved.destination]);
        let pods = moved.filter_map(|place| match place {
            Place::Pod(key) => Some(key),
            Place::Range(_) => None,
        });
        pods.filter(is_alike).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A pair whose answer is to be turned.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    source: End,
    destination: End,
    ports: PortSet,
}

/// One end of it.
#[derive(Clone, Debug)]
pub(crate) struct End {
    endpoint: Endpoint,
    /// The addresses that an address stands for.
    block: Option<IpNet>,
}

impl End {
    fn of(endpoint: &Endpoint, written: &endpoint::Endpoint) -> Self {
        let block = match (endpoint, written) {
            (Endpoint::Pod { .. }, _) => None,
            (Endpoint::Address(_), endpoint::Endpoint::Block(block)) => Some(*block),
            (Endpoint::Address(address), endpoint::Endpoint::Internet) => {
                IpNet::new(*address, 0).ok().map(|whole| whole.trunc())
            }
            (Endpoint::Address(address), _) => Some((*address).into()),
        };
        Self { endpoint: endpoint.clone(), block }
    }
}

impl Wanted {
    fn of(pair: &Pair, source: &endpoint::Endpoint, destination: &endpoint::Endpoint) -> Self {
        let (source, destination) = (End::of(&pair.source, source), End::of(&pair.destination, destination));
        Self { source, destination, ports: pair.asked.ports() }
    }

    fn parties<'a>(&self, cluster: &'a Cluster) -> [Party<'a>; 2] {
        [&self.source, &self.destination].map(|end| Party::of_endpoint(cluster, &end.endpoint))
    }

    fn is_met(&self, cluster: &Cluster, goal: Goal) -> bool {
        let mut parties = self.parties(cluster);
        if goal == Goal::Deny {
            // To be denied is to be denied whatever address a pod gets.
            parties = parties.map(|party| party.at_best());
        }
        let [source, destination] = parties;
        let passes = connect::between(cluster, &source, &destination).both().intersection(&self.ports);
        match goal {
            Goal::Allow => passes == self.ports,
            Goal::Deny => passes.is_empty(),
        }
    }
}

/// Whether a candidate brings a pair nearer to the goal. To be allowed takes both sides: the other is the next edit's.
fn helps(before: &Cluster, after: &Cluster, open: &Wanted, goal: Goal) -> bool {
    if goal == Goal::Deny {
        return open.is_met(after, goal);
    }
    let sides = |cluster| {
        let [source, destination] = open.parties(cluster);
        let between = connect::between(cluster, &source, &destination);
        [between.egress, between.ingress].map(|side| side.intersection(&open.ports))
    };
    let (before, after) = (sides(before), sides(after));
    (0..2).any(|side| before[side] != open.ports && after[side] == open.ports)
}
