//! From rectangles to policies.

use super::{
    blocks::blocks,
    isolate::Isolated,
    plan::Plan,
    rectangles::{self, Rectangle},
    select::{Selectors, Universe},
};
use policy_model::{
    object::{NAMESPACE_NAME_LABEL, ObjectKey, Protocol},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    portset::PortSet,
    reach::Reach,
    selector::{Requirement, Selector},
};
use std::collections::{BTreeMap, BTreeSet};

type Set = BTreeSet<usize>;

/// The policies of one namespace by whom they select: rules of ingress and of egress, `None` where they do not isolate.
type Drafts = BTreeMap<Selector, [Option<Vec<Rule>>; 2]>;

/// Policies that let pass what is wanted, as few as can be found.
pub(super) fn policies(plan: &Plan<'_>, isolated: &Isolated) -> Vec<NetworkPolicy> {
    let universe = Universe::new(&plan.kinds);
    let everybody: Set = (0..plan.kinds.len()).collect();
    let mut policies = Vec::new();
    for (namespace, members) in plan.namespaces() {
        let of = |sharing| {
            let mut assembler = Assembler {
                plan,
                isolated,
                universe: &universe,
                everybody: &everybody,
                members: &members,
                namespace,
                drafts: Drafts::new(),
            };
            assembler.add_rules(sharing);
            assembler.add_isolation();
            assembler.finish()
        };
        // Neither is always the shorter one.
        let made = [Sharing::Rules, Sharing::Policies].map(of);
        policies.extend(made.into_iter().min_by_key(|policies| weight(policies)).unwrap_or_default());
    }
    policies
}

/// What pods that want different things have in common.
#[derive(Clone, Copy)]
enum Sharing {
    /// Rules that all of them need stand once, in a policy that selects them all.
    Rules,
    /// Only pods that want the same are in one policy, so there are fewer policies with more rules.
    Policies,
}

/// How much there is to read: policies and rules, then policies.
fn weight(policies: &[NetworkPolicy]) -> (usize, usize) {
    let rules = |policy: &NetworkPolicy| {
        Direction::BOTH
            .into_iter()
            .map(|direction| policy.rules(direction).map_or(0, <[_]>::len))
            .sum::<usize>()
    };
    (policies.len() + policies.iter().map(rules).sum::<usize>(), policies.len())
}

struct Assembler<'a> {
    plan: &'a Plan<'a>,
    isolated: &'a Isolated,
    universe: &'a Universe<'a>,
    everybody: &'a Set,
    /// The kinds of the namespace.
    members: &'a Set,
    namespace: &'a str,
    drafts: Drafts,
}

impl Assembler<'_> {
    fn isolated_in(&self, direction: Direction) -> Set {
        self.members.iter().copied().filter(|kind| self.isolated[direction as usize][*kind]).collect()
    }

    fn add_rules(&mut self, sharing: Sharing) {
        for direction in Direction::BOTH {
            let isolated = self.isolated_in(direction);
            let groups = match sharing {
                Sharing::Rules => vec![isolated],
                Sharing::Policies => self.alike(&isolated),
            };
            for group in groups {
                for rectangle in rectangles::cover(self.plan, direction, &group) {
                    self.add_rule(direction, &rectangle);
                }
            }
        }
    }

    /// Subjects that want the same in both directions, together.
    fn alike(&self, subjects: &Set) -> Vec<Set> {
        let mut groups: BTreeMap<Vec<&Option<PortSet>>, Set> = BTreeMap::new();
        for subject in subjects {
            let wishes = Direction::BOTH.into_iter().flat_map(|direction| {
                (0..self.plan.others(direction)).map(move |other| self.plan.wish(direction, *subject, other))
            });
            groups.entry(wishes.collect()).or_default().insert(*subject);
        }
        groups.into_values().collect()
    }

    fn add_rule(&mut self, direction: Direction, rectangle: &Rectangle) {
        let subjects = self.universe.cover(&rectangle.subjects, &rectangle.allowed_subjects, self.members);
        let selected = subjects.iter().flat_map(|found| self.selected(&found.pods)).collect();
        let rule = self.rule(direction, rectangle, &selected);
        for Selectors { pods, .. } in subjects {
            self.draft(pods)[direction as usize].get_or_insert_default().extend(rule.clone());
        }
    }

    /// The rule of a rectangle, for the subjects that its selectors match.
    fn rule(&self, direction: Direction, rectangle: &Rectangle, subjects: &Set) -> Option<Rule> {
        let Rectangle { others, ports, .. } = rectangle;
        let count = self.plan.kinds.len();
        let is_allowed =
            |other: &usize| subjects.iter().all(|subject| self.plan.may(direction, *subject, *other, ports));
        let allowed: Set = (0..self.plan.others(direction)).filter(is_allowed).collect();
        let ports = policy_ports(ports);
        // Nobody is left out: no list says so best.
        if allowed.len() == self.plan.others(direction) {
            return Some(Rule { peers: Vec::new(), ports });
        }
        let kinds: Set = others.range(..count).copied().collect();
        let allowed_kinds: Set = allowed.range(..count).copied().collect();
        let mut peers: Vec<Peer> = self
            .universe
            .cover(&kinds, &allowed_kinds, self.everybody)
            .into_iter()
            .map(|found| self.peer(found))
            .collect();
        let addresses = |of: &Set| -> Reach {
            let ranges = of.range(count..).map(|other| self.plan.ranges[direction as usize][other - count]);
            ranges.map(|range| (range.lo, range.hi, PortSet::all())).collect()
        };
        let unwanted = self.unwanted_addresses(direction, &rectangle.ports, subjects, &allowed_kinds);
        if others.range(count..).next().is_some() {
            // Ranges that nobody asks about are let in where that makes fewer lines.
            let made = [others, &allowed].map(|set| blocks(&addresses(set).difference(&unwanted)));
            peers.extend(made.into_iter().min_by_key(|peers| lines(peers)).unwrap_or_default());
        }
        peers.sort();
        // A rule without peers would let everybody in; here nobody is left, since all the addresses are pods'.
        (!peers.is_empty()).then_some(Rule { peers, ports })
    }

    fn peer(&self, found: Selectors) -> Peer {
        let own = Requirement::In(NAMESPACE_NAME_LABEL.into(), [self.namespace.into()].into());
        let namespaces = (found.namespaces != Selector::new([own])).then_some(found.namespaces);
        Peer::Pods { namespaces, pods: found.pods }
    }

    /// Addresses of pods that a block must not open: their own side does not keep them out.
    fn unwanted_addresses(
        &self,
        direction: Direction,
        ports: &PortSet,
        subjects: &Set,
        allowed: &Set,
    ) -> Reach {
        let opposite = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let count = self.plan.kinds.len();
        // What the other side's blocks let pass to the subjects' addresses.
        let lets_pass = |kind: usize, subject: usize| {
            let ranges = self.plan.ranges[opposite as usize].iter().enumerate();
            let holding = ranges.filter(|(_, range)| {
                self.plan.addresses[subject]
                    .iter()
                    .any(|address| range.lo <= *address && *address <= range.hi)
            });
            holding.fold(PortSet::none(), |all, (index, _)| {
                let wish = self.plan.wish(opposite, kind, count + index);
                wish.iter().fold(all, |all, ports| all.union(ports))
            })
        };
        let keeps_out = |kind: usize| {
            self.isolated[opposite as usize][kind]
                && subjects.iter().all(|subject| lets_pass(kind, *subject).intersection(ports).is_empty())
        };
        let unwanted = (0..count).filter(|kind| !allowed.contains(kind) && !keeps_out(*kind));
        let addresses = unwanted.flat_map(|kind| &self.plan.addresses[kind]);
        addresses.map(|address| (*address, *address, PortSet::all())).collect()
    }

    /// Every draft isolates where it may; who is not isolated yet and should be gets a draft without rules.
    fn add_isolation(&mut self) {
        self.widen();
        for direction in Direction::BOTH {
            let wanted = self.isolated_in(direction);
            let done: Set = self
                .drafts
                .iter()
                .filter(|(_, rules)| rules[direction as usize].is_some())
                .flat_map(|(selector, _)| self.selected(selector))
                .collect();
            let left: Set = wanted.difference(&done).copied().collect();
            for Selectors { pods, .. } in self.universe.cover(&left, &wanted, self.members) {
                self.draft(pods)[direction as usize].get_or_insert_default();
            }
            self.widen();
        }
    }

    /// The draft for the pods of a selector: one that is there already, if it selects the same.
    fn draft(&mut self, pods: Selector) -> &mut [Option<Vec<Rule>>; 2] {
        let selected = self.selected(&pods);
        let known = self.drafts.keys().find(|known| self.selected(known) == selected).cloned();
        self.drafts.entry(known.unwrap_or(pods)).or_default()
    }

    fn widen(&mut self) {
        let sets = Direction::BOTH.map(|direction| self.isolated_in(direction));
        let selected: Vec<Set> = self.drafts.keys().map(|selector| self.selected(selector)).collect();
        for (rules, selected) in self.drafts.values_mut().zip(selected) {
            for direction in Direction::BOTH {
                if selected.is_subset(&sets[direction as usize]) {
                    rules[direction as usize].get_or_insert_default();
                }
            }
        }
    }

    fn selected(&self, selector: &Selector) -> Set {
        self.members.iter().copied().filter(|kind| selector.matches(&self.plan.kinds[*kind].labels)).collect()
    }

    fn finish(self) -> Vec<NetworkPolicy> {
        let mut taken = BTreeSet::new();
        let drafts = self.drafts.into_iter().map(|(pod_selector, [ingress, egress])| {
            let name = unique(&name_of(&pod_selector), &mut taken);
            NetworkPolicy {
                key: ObjectKey::new(self.namespace, name),
                pod_selector,
                ingress: ingress.map(merged),
                egress: egress.map(merged),
            }
        });
        drafts.collect()
    }
}

/// How long blocks are for a reader.
fn lines(peers: &[Peer]) -> usize {
    let exceptions = |peer: &Peer| match peer {
        Peer::IpBlock { except, .. } => except.len(),
        Peer::Pods { .. } => 0,
    };
    peers.len() + peers.iter().map(exceptions).sum::<usize>()
}

/// Rules for the same peers become one, then rules for the same ports.
fn merged(rules: Vec<Rule>) -> Vec<Rule> {
    let mut by_peers: BTreeMap<Vec<Peer>, Vec<PolicyPort>> = BTreeMap::new();
    for Rule { peers, ports } in rules {
        match by_peers.entry(peers) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(ports);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let both = all_ports(entry.get()).union(&all_ports(&ports));
                entry.insert(policy_ports(&both));
            }
        }
    }
    // A rule without peers would take the others of its ports in, which it makes needless.
    let mut by_ports: BTreeMap<Vec<PolicyPort>, BTreeSet<Peer>> = BTreeMap::new();
    let mut everybody: BTreeSet<Vec<PolicyPort>> = BTreeSet::new();
    for (peers, ports) in by_peers {
        if peers.is_empty() {
            everybody.insert(ports.clone());
        }
        by_ports.entry(ports).or_default().extend(peers);
    }
    by_ports
        .into_iter()
        .map(|(ports, peers)| {
            let peers = if everybody.contains(&ports) { Vec::new() } else { peers.into_iter().collect() };
            Rule { peers, ports }
        })
        .collect()
}

fn all_ports(ports: &[PolicyPort]) -> PortSet {
    crate::connect::ports_of_rule(&Rule { peers: Vec::new(), ports: ports.to_vec() }, &[])
}

/// A set of ports as the entries of a rule: none for everything.
fn policy_ports(ports: &PortSet) -> Vec<PolicyPort> {
    if ports.is_all() {
        return Vec::new();
    }
    let of = |protocol: Protocol| {
        let ranges = ports.ports(protocol);
        let all = ranges.is_all().then_some(PolicyPort { protocol, port: PortMatch::All });
        let some = ranges.ranges().iter().filter(|_| !ranges.is_all());
        let some =
            some.map(move |(lo, hi)| PolicyPort { protocol, port: PortMatch::Range((*lo).max(1), *hi) });
        all.into_iter().chain(some).collect::<Vec<_>>()
    };
    Protocol::ALL.into_iter().flat_map(of).collect()
}

/// A name that says whom a policy selects.
fn name_of(selector: &Selector) -> String {
    let values: Vec<String> = selector
        .requirements()
        .iter()
        .filter_map(|requirement| match requirement {
            Requirement::In(_, values) => Some(values.join("-")),
            _ => None,
        })
        .collect();
    let name: String = values
        .join("-")
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(50)
        .collect();
    let name = name.trim_matches('-');
    match (name.is_empty(), selector.is_everything()) {
        (_, true) => "all-pods".to_owned(),
        (true, false) => "some-pods".to_owned(),
        (false, false) => name.to_owned(),
    }
}

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_else(|| name.to_owned());
    taken.insert(free.clone());
    free
}
