//! What each class lets pass from and to every other one: computed once for all pods that the same policies select.

use super::{
    classes::{Class, Classes, Kind},
    ranges::Ranges,
    selection::{Scope, Selection},
    sets::{SetId, Sets},
};
use crate::connect::ports_of_rule;
use policy_model::{
    cluster::Cluster,
    object::NamedPort,
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
    selector::Selector,
};
use std::{collections::HashMap, rc::Rc};

/// The other ends of one direction, by number: classes first, then the ranges of that direction.
type Others = Rc<[usize]>;

/// Answers for pairs of classes, and for classes and ranges.
pub(super) struct Engine {
    pub(super) sets: Sets,
    classes: Vec<Class>,
    /// Of ingress and egress.
    sides: [Sides; 2],
}

/// One direction.
struct Sides {
    /// What each group of kinds lets pass with every other end.
    rows: Vec<Vec<SetId>>,
    /// The groups of a class, one for each of its kinds that is isolated.
    groups: Vec<Vec<usize>>,
    /// Whether each range is one of IPv4.
    ranges_ipv4: Vec<bool>,
}

impl Engine {
    pub(super) fn new(cluster: &Cluster, classes: Classes<'_>, ranges: [&Ranges; 2]) -> Self {
        let Classes { kinds, classes, .. } = classes;
        let mut sets = Sets::new();
        let sides = {
            let selection = Selection::new(cluster, &kinds);
            let mut compile = |direction, ranges| {
                Compiler::new(cluster, direction, &kinds, &classes, &selection, ranges, &mut sets).sides()
            };
            [compile(Direction::Ingress, ranges[0]), compile(Direction::Egress, ranges[1])]
        };
        Self { sets, classes, sides }
    }

    pub(super) fn class(&self, index: usize) -> &Class {
        &self.classes[index]
    }

    /// What may pass from one class to another.
    pub(super) fn pair(&mut self, source: usize, destination: usize) -> SetId {
        let shared = self.classes[source].shared;
        if shared.is_some() && shared == self.classes[destination].shared {
            return Sets::ALL;
        }
        let [ingress, egress] = &self.sides;
        let sides = [(egress, source, destination), (ingress, destination, source)];
        let rows = sides.into_iter().flat_map(|(side, subject, other)| side.lets_pass(subject, other));
        rows.fold(Sets::ALL, |both, row| self.sets.intersection(both, row))
    }

    /// What may pass between a class and a range: from the range for ingress, to it for egress.
    pub(super) fn with_range(&mut self, class: usize, direction: Direction, range: usize) -> SetId {
        let side = &self.sides[direction as usize];
        let is_other_family = self.classes[class].is_ipv4.is_some_and(|v4| v4 != side.ranges_ipv4[range]);
        if is_other_family {
            return Sets::NONE;
        }
        let rows = side.lets_pass(class, self.classes.len() + range);
        rows.fold(Sets::ALL, |both, row| self.sets.intersection(both, row))
    }

    /// Whether a range is one of IPv4.
    pub(super) fn is_ipv4(&self, direction: Direction, range: usize) -> bool {
        self.sides[direction as usize].ranges_ipv4[range]
    }

    /// Whether some policy isolates a class in a direction.
    pub(super) fn is_isolated(&self, class: usize, direction: Direction) -> bool {
        !self.sides[direction as usize].groups[class].is_empty()
    }
}

impl Sides {
    fn lets_pass(&self, subject: usize, other: usize) -> impl Iterator<Item = SetId> + '_ {
        self.groups[subject].iter().map(move |group| self.rows[*group][other])
    }
}

/// Makes the rows of one direction.
struct Compiler<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    kinds: &'a [Kind],
    classes: &'a [Class],
    selection: &'a Selection<'a>,
    ranges: &'a Ranges,
    sets: &'a mut Sets,
    /// The classes that are one pod of a kind.
    of_kind: Vec<Vec<usize>>,
    /// The classes that are several kinds at once.
    mixed: Vec<usize>,
    /// The classes of each address range.
    of_range: Vec<Vec<usize>>,
    peers: HashMap<Peer, Others>,
    selected: HashMap<(Scope, Selector), Others>,
}

impl<'a> Compiler<'a> {
    fn new(
        cluster: &'a Cluster,
        direction: Direction,
        kinds: &'a [Kind],
        classes: &'a [Class],
        selection: &'a Selection<'a>,
        ranges: &'a Ranges,
        sets: &'a mut Sets,
    ) -> Self {
        let mut of_kind = vec![Vec::new(); kinds.len()];
        let mut mixed = Vec::new();
        let mut of_range = vec![Vec::new(); ranges.len()];
        for (index, class) in classes.iter().enumerate() {
            match class.kinds[..] {
                [] => {}
                [kind] => of_kind[kind].push(index),
                _ => mixed.push(index),
            }
            if let Some(range) = class.ranges[direction as usize] {
                of_range[range].push(index);
            }
        }
        let (peers, selected) = (HashMap::new(), HashMap::new());
        Self {
            cluster,
            direction,
            kinds,
            classes,
            selection,
            ranges,
            sets,
            of_kind,
            mixed,
            of_range,
            peers,
            selected,
        }
    }

    fn sides(mut self) -> Sides {
        let isolating = self.isolating();
        let mut rows = Vec::new();
        let mut known: HashMap<(&[usize], &[NamedPort]), usize> = HashMap::new();
        let all: Vec<&NetworkPolicy> = self.cluster.policies().collect();
        let mut group_of_kind = vec![None; self.kinds.len()];
        for (kind, policies) in isolating.iter().enumerate().filter(|(_, policies)| !policies.is_empty()) {
            // Names count where the subject is the destination, and somebody uses one.
            let use_names = |policy: &usize| self.rules(all[*policy]).iter().any(has_names);
            let by_name = self.direction == Direction::Ingress && policies.iter().any(use_names);
            let names = if by_name { &self.kinds[kind].ports[..] } else { &[] };
            let group = match known.get(&(&policies[..], names)) {
                Some(group) => *group,
                None => {
                    rows.push(self.row(policies.iter().map(|policy| all[*policy]), names));
                    known.insert((policies, names), rows.len() - 1);
                    rows.len() - 1
                }
            };
            group_of_kind[kind] = Some(group);
        }
        let groups_of = |class: &Class| class.kinds.iter().filter_map(|kind| group_of_kind[*kind]).collect();
        let groups = self.classes.iter().map(groups_of).collect();
        Sides {
            rows,
            groups,
            ranges_ipv4: self.ranges.starts().iter().map(|start| start.is_ipv4()).collect(),
        }
    }

    /// The policies that isolate each kind, by their numbers.
    fn isolating(&self) -> Vec<Vec<usize>> {
        let mut isolating = vec![Vec::new(); self.kinds.len()];
        for (number, policy) in self.cluster.policies().enumerate() {
            if policy.rules(self.direction).is_none() {
                continue;
            }
            let own = Scope::Own(policy.key.namespace.clone());
            for kind in self.selection.matching(&own, &policy.pod_selector) {
                isolating[kind].push(number);
            }
        }
        isolating
    }

    fn rules<'p>(&self, policy: &'p NetworkPolicy) -> &'p [Rule] {
        policy.rules(self.direction).unwrap_or_default()
    }

    fn row<'p>(
        &mut self,
        policies: impl Iterator<Item = &'p NetworkPolicy>,
        names: &[NamedPort],
    ) -> Vec<SetId> {
        let mut row = vec![Sets::NONE; self.classes.len() + self.ranges.len()];
        for policy in policies {
            for rule in self.rules(policy) {
                if self.direction == Direction::Egress && has_names(rule) {
                    self.add_by_name(&mut row, policy, rule);
                } else {
                    let ports = self.sets.intern(ports_of_rule(rule, &[names]));
                    self.add(&mut row, policy, rule, ports);
                }
            }
        }
        row
    }

    fn add(&mut self, row: &mut [SetId], policy: &NetworkPolicy, rule: &Rule, ports: SetId) {
        if rule.peers.is_empty() {
            return row.iter_mut().for_each(|set| *set = self.sets.union(*set, ports));
        }
        for peer in &rule.peers {
            for other in &*self.others(policy, peer) {
                row[*other] = self.sets.union(row[*other], ports);
            }
        }
    }

    /// Every destination resolves the names of a rule for itself.
    fn add_by_name(&mut self, row: &mut [SetId], policy: &NetworkPolicy, rule: &Rule) {
        let mut others: Vec<usize> = match rule.peers.is_empty() {
            true => (0..row.len()).collect(),
            false => rule.peers.iter().flat_map(|peer| self.others(policy, peer).to_vec()).collect(),
        };
        others.sort_unstable();
        others.dedup();
        let mut known: HashMap<Vec<&[NamedPort]>, SetId> = HashMap::new();
        for other in others {
            let kinds = self.classes.get(other).map(|class| &class.kinds[..]).unwrap_or_default();
            let names: Vec<&[NamedPort]> = kinds.iter().map(|kind| &self.kinds[*kind].ports[..]).collect();
            let ports = match known.get(&names) {
                Some(ports) => *ports,
                None => {
                    let ports = self.sets.intern(ports_of_rule(rule, &names));
                    known.insert(names, ports);
                    ports
                }
            };
            row[other] = self.sets.union(row[other], ports);
        }
    }

    /// The other ends that a peer covers.
    fn others(&mut self, policy: &NetworkPolicy, peer: &Peer) -> Others {
        match peer {
            Peer::IpBlock { .. } => {
                if let Some(known) = self.peers.get(peer) {
                    return known.clone();
                }
                let others = self.in_block(peer);
                self.peers.insert(peer.clone(), others.clone());
                others
            }
            Peer::Pods { namespaces, pods } => {
                let scope = match namespaces {
                    None => Scope::Own(policy.key.namespace.clone()),
                    Some(selector) => Scope::Labelled(selector.clone()),
                };
                let asked = (scope, pods.clone());
                if let Some(known) = self.selected.get(&asked) {
                    return known.clone();
                }
                let others = self.selected(&asked.0, pods);
                self.selected.insert(asked, others.clone());
                others
            }
        }
    }

    fn selected(&self, scope: &Scope, pods: &Selector) -> Others {
        let kinds = self.selection.matching(scope, pods);
        let mixed =
            self.mixed.iter().filter(|class| self.classes[**class].kinds.iter().all(|k| kinds.contains(k)));
        kinds.iter().flat_map(|kind| &self.of_kind[*kind]).chain(mixed).copied().collect()
    }

    fn in_block(&self, peer: &Peer) -> Others {
        let Peer::IpBlock { cidr, except } = peer else { return Rc::from([]) };
        let covers = |start| cidr.contains(start) && !except.iter().any(|block| block.contains(start));
        // The ranges are cut at the block's own ends, so a range is in it with all of its addresses or with none.
        let covered = self.ranges.starts().iter().enumerate().filter(|(_, start)| covers(*start));
        let with_classes = |(range, _): (usize, _)| {
            std::iter::once(self.classes.len() + range).chain(self.of_range[range].iter().copied())
        };
        covered.flat_map(with_classes).collect()
    }
}

fn has_names(rule: &Rule) -> bool {
    rule.ports.iter().any(|port| matches!(port.port, PortMatch::Named(_)))
}
