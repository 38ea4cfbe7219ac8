//! What a change of policies moves: every connection that may pass before and not after, or the other way round.

use super::{End, Wanted};
use crate::{
    connect::{self, Party, Subject, address_pairs, pod_addresses},
    matrix::{Ranges, speaks_ipv6},
};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, Rule},
    portset::PortSet,
    reach::AddressRange,
    verdict::Endpoint,
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

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
    let others = Others::of(before);
    let beside = Comparison { before, after, others: &others, wanted: &[] }.beside(changed, None);
    beside.map(|beside| beside.moves).unwrap_or_default()
}

/// Everything that moves beside what is wanted.
pub(super) struct Beside {
    pub(super) moves: Vec<Move>,
    pub(super) cost: Cost,
}

/// What a change costs; less is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// What moves: one for a pair of pods, more for a range of addresses, by its size ([`weight`]).
    moves: usize,
    /// How many pairs the changed side answers otherwise, whatever the other side says: what may move later.
    touched: usize,
}

/// Everybody who may be at the other end, looked up once for all candidates.
pub(super) struct Others<'a> {
    list: Vec<Other<'a>>,
    /// Their places.
    everybody: Vec<usize>,
    /// The places of those that have a policed pod of a namespace at one of their addresses.
    by_namespace: BTreeMap<&'a str, Vec<usize>>,
    ipv6: bool,
}

struct Other<'a> {
    pod: &'a Pod,
    addresses: &'a [IpAddr],
    /// One for each address; one for a pod without.
    parties: Vec<Party<'a>>,
}

impl<'a> Others<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let other = |pod: &'a Pod| {
            let addresses = pod_addresses(cluster, pod);
            let parties = match addresses {
                [] => vec![Party::of_pod(cluster, pod, None)],
                _ => addresses.iter().map(|at| Party::of_pod(cluster, pod, Some(*at))).collect(),
            };
            Other { pod, addresses, parties }
        };
        let list: Vec<Other<'a>> = cluster.pods().filter(|pod| !pod.terminal).map(other).collect();
        let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, other) in list.iter().enumerate() {
            for pod in other.parties.iter().flat_map(|party| &party.pods) {
                let places = by_namespace.entry(&pod.key.namespace).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        Self { everybody: (0..list.len()).collect(), by_namespace, list, ipv6: speaks_ipv6(cluster) }
    }

    fn in_namespace(&self, namespace: &str) -> &[usize] {
        self.by_namespace.get(namespace).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those that one of the rules is about, in order.
    fn concerned(&self, cluster: &Cluster, rules: &[(ObjectKey, Rule)]) -> Vec<usize> {
        let mut concerned = BTreeSet::new();
        for (policy, rule) in rules {
            if rule.peers.is_empty() {
                return self.everybody.clone();
            }
            for peer in &rule.peers {
                let is_peer = |other: &Other<'_>| {
                    other.parties.iter().any(|party| connect::is_peer(cluster, policy, peer, party))
                };
                let mut add = |places: &[usize]| {
                    concerned.extend(places.iter().copied().filter(|place| is_peer(&self.list[*place])));
                };
                match peer {
                    Peer::IpBlock { .. } => add(&self.everybody),
                    Peer::Pods { namespaces: None, .. } => add(self.in_namespace(&policy.namespace)),
                    Peer::Pods { namespaces: Some(selector), .. } => {
                        let is_selected = |name: &str| selector.matches(&cluster.namespace_labels(name));
                        let selected = self.by_namespace.iter().filter(|(name, _)| is_selected(name));
                        selected.for_each(|(_, places)| add(places));
                    }
                }
            }
        }
        concerned.into_iter().collect()
    }
}

impl Other<'_> {
    fn at(&self, address: Option<IpAddr>) -> &Party<'_> {
        let index = address.and_then(|address| self.addresses.iter().position(|own| *own == address));
        &self.parties[index.unwrap_or(0)]
    }
}

/// Two clusters that differ in some policies alone.
pub(super) struct Comparison<'a> {
    pub(super) before: &'a Cluster,
    pub(super) after: &'a Cluster,
    pub(super) others: &'a Others<'a>,
    pub(super) wanted: &'a [Wanted],
}

impl Comparison<'_> {
    /// What moves beside what is wanted; `None` as soon as it costs as much as `limit`.
    pub(super) fn beside(&self, changed: &[&ObjectKey], limit: Option<Cost>) -> Option<Beside> {
        let mut found = Found { moves: BTreeMap::new(), weight: 0, touched: 0, limit };
        for direction in Direction::BOTH {
            let differing = self.differing(changed, direction);
            let side = Side { of: self, direction, differing, concerned: OnceCell::new() };
            let versions: Vec<&NetworkPolicy> = changed
                .iter()
                .flat_map(|key| [self.before.policy(key), self.after.policy(key)])
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
            let is_subject = |other: &&Other<'_>| {
                let together = other.parties.iter().flat_map(|party| &party.pods);
                other.pod.is_policed() && together.copied().any(is_selected)
            };
            let namespaces: BTreeSet<&str> = versions.iter().map(|policy| &*policy.key.namespace).collect();
            let within = namespaces.iter().flat_map(|namespace| self.others.in_namespace(namespace));
            let within: BTreeSet<usize> = within.copied().collect();
            for subject in within.iter().map(|place| &self.others.list[*place]).filter(is_subject) {
                side.of_pod(subject, &mut found)?;
            }
        }
        let cost = found.cost();
        let moves = found.moves.into_iter();
        let moves =
            moves.map(|((source, destination), [gained, lost])| Move { source, destination, gained, lost });
        Some(Beside { moves: moves.collect(), cost })
    }

    /// The rules that only one of the two clusters has.
    fn differing(&self, changed: &[&ObjectKey], direction: Direction) -> Vec<(ObjectKey, Rule)> {
        let mut differing = Vec::new();
        for key in changed {
            let rules = [self.before, self.after].map(|cluster| {
                cluster.policy(key).and_then(|policy| policy.rules(direction)).unwrap_or_default()
            });
            let selectors =
                [self.before, self.after].map(|cluster| cluster.policy(key).map(|p| &p.pod_selector));
            for (own, others) in [(rules[0], rules[1]), (rules[1], rules[0])] {
                let is_there = |rule: &&Rule| selectors[0] == selectors[1] && others.contains(rule);
                differing.extend(
                    own.iter().filter(|rule| !is_there(rule)).map(|rule| ((*key).clone(), rule.clone())),
                );
            }
        }
        differing
    }
}

/// What has been found so far.
struct Found {
    moves: BTreeMap<(Place, Place), [PortSet; 2]>,
    weight: usize,
    touched: usize,
    limit: Option<Cost>,
}

impl Found {
    fn cost(&self) -> Cost {
        Cost { moves: self.weight, touched: self.touched }
    }

    /// Nothing if it costs too much by now.
    fn within_limit(&self) -> Option<()> {
        self.limit.is_none_or(|limit| self.cost() < limit).then_some(())
    }
}

/// How much it is that moves at an end: 1 for a pod or an address, and 1 more for each time that a range doubles. The whole
/// Internet is worth 33 pods.
fn weight(place: &Place) -> usize {
    match place {
        Place::Pod(_) => 1,
        Place::Range(range) => {
            let bits = |address: IpAddr| match address {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            1 + (u128::BITS - (bits(range.hi) - bits(range.lo)).leading_zeros()) as usize
        }
    }
}

/// One direction of a comparison.
struct Side<'a> {
    of: &'a Comparison<'a>,
    direction: Direction,
    differing: Vec<(ObjectKey, Rule)>,
    /// The others that a rule that differs is about, by their places in the list: the same for every subject.
    concerned: OnceCell<Vec<usize>>,
}

/// A subject at one of its addresses, before and after.
struct Versions<'a> {
    party: &'a Party<'a>,
    before: Subject<'a>,
    after: Subject<'a>,
}

impl Side<'_> {
    /// Everything that moves between a pod of changed policies and everybody else. `None` as soon as it costs too much.
    fn of_pod(&self, subject: &Other<'_>, found: &mut Found) -> Option<()> {
        let Comparison { before, after, others, .. } = self.of;
        let versions: Vec<Versions<'_>> = subject
            .parties
            .iter()
            .map(|party| Versions {
                party,
                before: Subject::new(before, party, self.direction),
                after: Subject::new(after, party, self.direction),
            })
            .collect();
        let is_isolated_as_before = versions.iter().all(|v| v.before.is_isolated() == v.after.is_isolated());
        // Who is a peer of no rule that differs gets the same answer, unless isolation itself begins or ends.
        let concerned = if is_isolated_as_before { self.concerned() } else { &others.everybody };
        for other in concerned.iter().map(|place| &others.list[*place]) {
            if other.pod.key == subject.pod.key {
                continue;
            }
            let mut totals = Totals::default();
            for (from, to) in address_pairs(subject.addresses, other.addresses) {
                let index = from.and_then(|from| subject.addresses.iter().position(|own| *own == from));
                totals.add(self.pair(&versions[index.unwrap_or(0)], other.at(to)));
            }
            self.note(subject.pod, Place::Pod(other.pod.key.clone()), totals, found);
            found.within_limit()?;
        }
        self.with_ranges(subject, &versions, found);
        found.within_limit()
    }

    fn concerned(&self) -> &[usize] {
        self.concerned.get_or_init(|| self.of.others.concerned(self.of.before, &self.differing))
    }

    /// Addresses outside, cut where a policy of the subject cuts them.
    fn with_ranges(&self, subject: &Other<'_>, versions: &[Versions<'_>], found: &mut Found) {
        let policies = versions.iter().flat_map(|v| v.before.policies().chain(v.after.policies()));
        let rules = policies.flat_map(|policy| policy.rules(self.direction).unwrap_or_default());
        let ranges = Ranges::of_rules(rules, self.of.others.ipv6);
        for range in ranges.iter() {
            let outside = Party::outside(range.lo);
            let mut totals = Totals::default();
            for Versions { party, before, after } in versions {
                if party.address.is_none_or(|own| own.is_ipv4() == range.lo.is_ipv4()) {
                    // Nobody there has policies of his own.
                    let [was, is] = [before.with(&outside), after.with(&outside)];
                    totals.add((was != is).then_some([was, is]));
                }
            }
            self.note(subject.pod, Place::Range(range), totals, found);
        }
    }

    /// What may pass between a subject and another party, before and after; `None` if this side answers as before.
    fn pair(
        &self,
        Versions { party, before, after }: &Versions<'_>,
        other: &Party<'_>,
    ) -> Option<[PortSet; 2]> {
        if before.with(other) == after.with(other) {
            return None;
        }
        let both = |cluster| {
            let between = match self.direction {
                Direction::Egress => connect::between(cluster, party, other),
                Direction::Ingress => connect::between(cluster, other, party),
            };
            between.both()
        };
        Some([both(self.of.before), both(self.of.after)])
    }

    fn note(&self, pod: &Pod, other: Place, totals: Totals, found: &mut Found) {
        if !totals.touched {
            return;
        }
        found.touched += 1;
        let pod = Place::Pod(pod.key.clone());
        let (source, destination) = match self.direction {
            Direction::Egress => (pod, other),
            Direction::Ingress => (other, pod),
        };
        let wanted = self.of.wanted.iter().filter(|wanted| wanted.is_about(&source, &destination));
        let wanted = wanted.fold(PortSet::none(), |all, wanted| all.union(&wanted.ports));
        let moved = [totals.gained, totals.lost].map(|ports| ports.difference(&wanted));
        if moved.iter().any(|ports| !ports.is_empty()) {
            found.weight += weight(&source).max(weight(&destination));
            found.moves.insert((source, destination), moved);
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
