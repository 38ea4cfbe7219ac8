//! What a change of policies moves: every connection that may pass before and not after, or the other way round.

use super::{End, Wanted};
use crate::{
    connect::{self, Party, Subject, address_pairs, pod_addresses},
    matrix::Ranges,
};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy},
    portset::PortSet,
    reach::AddressRange,
    verdict::Endpoint,
};
use std::{collections::BTreeMap, net::IpAddr};

/// A pair between which something else may pass than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// A pod, or a range of addresses that are nobody's.
    pub source: Place,
    /// Likewise.
    pub destination: Place,
    /// What may pass now.
    pub gained: PortSet,
    /// What may not pass any more.
    pub lost: PortSet,
}

/// One end of a [`Move`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A pod or template.
    Pod(ObjectKey),
    /// Addresses outside.
    Range(AddressRange),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pod(key) => key.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// Everything that differs between two clusters that differ in these policies alone.
#[must_use]
pub fn moved(before: &Cluster, after: &Cluster, changed: &[&ObjectKey]) -> Vec<Move> {
    beside(before, after, changed, &[], usize::MAX).map(|moved| moved.moves).unwrap_or_default()
}

/// Everything that moves beside what is wanted.
pub(super) struct Beside {
    pub(super) moves: Vec<Move>,
    /// How many pairs the changed side answers otherwise, whatever the other side says: what may move later.
    pub(super) touched: usize,
}

/// What moves beside what is wanted; `None` if there is more than `limit`.
pub(super) fn beside(
    before: &Cluster,
    after: &Cluster,
    changed: &[&ObjectKey],
    wanted: &[Wanted],
    limit: usize,
) -> Option<Beside> {
    let mut moves: BTreeMap<(Place, Place), (PortSet, PortSet)> = BTreeMap::new();
    let mut touched = 0;
    for direction in Direction::BOTH {
        let versions: Vec<&NetworkPolicy> = changed
            .iter()
            .flat_map(|key| [before.policy(key), after.policy(key)])
            .flatten()
            .filter(|policy| policy.rules(direction).is_some())
            .collect();
        let is_selected = |pod: &Pod| {
            let selects = |policy: &&NetworkPolicy| {
                policy.key.namespace == pod.key.namespace && policy.pod_selector.matches(&pod.labels)
            };
            versions.iter().any(selects)
        };
        // A pod that shares its address with one of a changed policy is judged together with it.
        let is_subject = |pod: &&Pod| {
            let together = pod.ips.iter().flat_map(|address| before.claimants(*address));
            pod.is_policed() && std::iter::once(*pod).chain(together).any(is_selected)
        };
        let cuts = Ranges::new(before, direction, &[]);
        let ranges: Vec<AddressRange> = Ranges::new(after, direction, cuts.starts()).iter().collect();
        for pod in before.pods().filter(is_subject) {
            let question = Question { before, after, direction, wanted };
            touched += question.of_pod(pod, &ranges, limit, &mut moves);
            if moves.len() > limit {
                return None;
            }
        }
    }
    let moves = moves.into_iter().map(|((source, destination), (gained, lost))| Move {
        source,
        destination,
        gained,
        lost,
    });
    Some(Beside { moves: moves.collect(), touched })
}

struct Question<'a> {
    before: &'a Cluster,
    after: &'a Cluster,
    direction: Direction,
    wanted: &'a [Wanted],
}

impl Question<'_> {
    /// Everything that moves between a pod of changed policies and everybody else. Counts the pairs that are answered otherwise.
    fn of_pod(
        &self,
        pod: &Pod,
        ranges: &[AddressRange],
        limit: usize,
        moves: &mut BTreeMap<(Place, Place), (PortSet, PortSet)>,
    ) -> usize {
        let mut touched = 0;
        let own = pod_addresses(self.before, pod);
        let own: Vec<Option<IpAddr>> =
            if own.is_empty() { vec![None] } else { own.iter().copied().map(Some).collect() };
        let subjects: Vec<_> = own.iter().map(|at| self.subject(pod, *at)).collect();
        for other in self.before.pods().filter(|other| !other.terminal && other.key != pod.key) {
            let addresses = pod_addresses(self.before, other);
            let mine: Vec<IpAddr> = own.iter().copied().flatten().collect();
            let mut totals = Totals::default();
            for (from, to) in address_pairs(&mine, addresses) {
                let Some(index) = own.iter().position(|at| *at == from) else { continue };
                let parties = [self.before, self.after].map(|cluster| Party::of_pod(cluster, other, to));
                totals.add(self.pair(&subjects[index], &parties));
            }
            touched += usize::from(totals.touched);
            self.note(pod, Place::Pod(other.key.clone()), totals, moves);
            if moves.len() > limit {
                return touched;
            }
        }
        for range in ranges {
            let mut totals = Totals::default();
            let outside = Party::outside(range.lo);
            let fits = |at: &Option<IpAddr>| at.is_none_or(|at| at.is_ipv4() == range.lo.is_ipv4());
            let fitting = own.iter().zip(&subjects).filter(|(at, _)| fits(at));
            for (_, [(_, before), (_, after)]) in fitting {
                // Nobody there has policies of his own.
                let [was, is] = [before.with(&outside), after.with(&outside)];
                totals.add((was != is).then_some([was, is]));
            }
            touched += usize::from(totals.touched);
            self.note(pod, Place::Range(*range), totals, moves);
        }
        touched
    }

    fn subject<'b>(&'b self, pod: &'b Pod, at: Option<IpAddr>) -> [(Party<'b>, Subject<'b>); 2] {
        [self.before, self.after].map(|cluster| {
            let party = Party::of_pod(cluster, pod, at);
            let subject = Subject::new(cluster, &party, self.direction);
            (party, subject)
        })
    }

    /// What may pass between a subject and another party, before and after.
    fn pair(
        &self,
        [(party, before), (party_after, after)]: &[(Party<'_>, Subject<'_>); 2],
        [other, other_after]: &[Party<'_>; 2],
    ) -> Option<[PortSet; 2]> {
        let this_side = [before.with(other), after.with(other_after)];
        if this_side[0] == this_side[1] {
            return None;
        }
        let both = |cluster, party, other| {
            let between = match self.direction {
                Direction::Egress => connect::between(cluster, party, other),
                Direction::Ingress => connect::between(cluster, other, party),
            };
            between.both()
        };
        Some([both(self.before, party, other), both(self.after, party_after, other_after)])
    }

    fn note(
        &self,
        pod: &Pod,
        other: Place,
        totals: Totals,
        moves: &mut BTreeMap<(Place, Place), (PortSet, PortSet)>,
    ) {
        let pod = Place::Pod(pod.key.clone());
        let (source, destination) = match self.direction {
            Direction::Egress => (pod, other),
            Direction::Ingress => (other, pod),
        };
        let wanted = self.wanted.iter().filter(|wanted| wanted.is_about(&source, &destination));
        let wanted = wanted.fold(PortSet::none(), |all, wanted| all.union(&wanted.ports));
        let [gained, lost] = [totals.gained, totals.lost].map(|ports| ports.difference(&wanted));
        if !gained.is_empty() || !lost.is_empty() {
            moves.insert((source, destination), (gained, lost));
        }
    }
}

impl Wanted {
    fn is_about(&self, source: &Place, destination: &Place) -> bool {
        self.source.is(source) && self.destination.is(destination)
    }
}

impl End {
    fn is(&self, place: &Place) -> bool {
        match (&self.endpoint, place) {
            (Endpoint::Pod { key, .. }, Place::Pod(pod)) => key == pod,
            (Endpoint::Address(_), Place::Range(range)) => {
                self.block.is_some_and(|block| block.contains(&range.lo) && block.contains(&range.hi))
            }
            _ => false,
        }
    }
}

/// What is gained and what is lost over all pairs of addresses.
#[derive(Default)]
struct Totals {
    gained: PortSet,
    lost: PortSet,
    /// Whether the changed side answers otherwise.
    touched: bool,
}

impl Totals {
    fn add(&mut self, pair: Option<[PortSet; 2]>) {
        let Some([before, after]) = pair else { return };
        self.gained = self.gained.union(&after.difference(&before));
        self.lost = self.lost.union(&before.difference(&after));
        self.touched = true;
    }
}
