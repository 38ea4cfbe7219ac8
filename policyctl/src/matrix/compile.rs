//! From policies to what each group of pods lets pass: with every class, and with the outside.

use super::{
    classes::{Class, Kind},
    engine::Sides,
    ranges::Ranges,
    selection::{Scope, Selection},
    sets::{SetId, Sets},
};
use crate::connect::ports_of_rule;
use policy_model::{
    cluster::Cluster,
    object::NamedPort,
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
    reach::Reach,
    selector::Selector,
};
use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

/// The classes that a peer covers, by number.
type Others = Rc<[usize]>;

/// Makes the rows of one direction.
pub(super) struct Compiler<'a> {
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
    /// The classes of each address range that has some.
    of_range: BTreeMap<usize, Vec<usize>>,
    peers: HashMap<Peer, Others>,
    selected: HashMap<(Scope, Selector), Others>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
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
        let mut of_range: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, class) in classes.iter().enumerate() {
            match class.kinds[..] {
                [] => {}
                [kind] => of_kind[kind].push(index),
                _ => mixed.push(index),
            }
            if let Some(range) = class.ranges[direction as usize] {
                of_range.entry(range).or_default().push(index);
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

    pub(super) fn sides(mut self) -> Sides {
        let isolating = self.isolating();
        let (mut rows, mut outside) = (Vec::new(), Vec::new());
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
                    let isolating: Vec<_> = policies.iter().map(|policy| all[*policy]).collect();
                    rows.push(self.row(&isolating, names));
                    outside.push(self.outside(&isolating, names));
                    known.insert((policies, names), rows.len() - 1);
                    rows.len() - 1
                }
            };
            group_of_kind[kind] = Some(group);
        }
        let groups_of = |class: &Class| class.kinds.iter().filter_map(|kind| group_of_kind[*kind]).collect();
        let groups = self.classes.iter().map(groups_of).collect();
        Sides::new(self.direction, &rows, outside, groups)
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

    fn row(&mut self, policies: &[&NetworkPolicy], names: &[NamedPort]) -> Vec<SetId> {
        let mut row = vec![Sets::NONE; self.classes.len()];
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
            let kinds = self.classes[other].kinds.iter();
            let names: Vec<&[NamedPort]> = kinds.map(|kind| &self.kinds[*kind].ports[..]).collect();
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
        let starts = self.ranges.starts();
        // The ranges are cut at the block's own ends, so a range is in it with all of its addresses or with none.
        let is_covered = |range: usize| {
            cidr.contains(&starts[range]) && !except.iter().any(|block| block.contains(&starts[range]))
        };
        let first = starts.partition_point(|start| *start < cidr.network());
        let end = starts.partition_point(|start| *start <= cidr.broadcast());
        let within = self.of_range.range(first..end).filter(|(range, _)| is_covered(**range));
        within.flat_map(|(_, classes)| classes).copied().collect()
    }

    /// What policies let pass with addresses that are nobody's.
    fn outside(&self, policies: &[&NetworkPolicy], names: &[NamedPort]) -> Reach {
        let mut reach = Vec::new();
        for rule in policies.iter().flat_map(|policy| self.rules(policy)) {
            // An address outside calls no port by a name.
            let ports = match self.direction {
                Direction::Ingress => ports_of_rule(rule, &[names]),
                Direction::Egress => ports_of_rule(rule, &[]),
            };
            if rule.peers.is_empty() {
                reach.extend(Reach::all().ranges().map(|(lo, hi, _)| (lo, hi, ports.clone())));
            }
            for peer in &rule.peers {
                if let Peer::IpBlock { cidr, except } = peer {
                    let block = Reach::block(*cidr, except, ports.clone());
                    reach.extend(block.ranges().map(|(lo, hi, ports)| (lo, hi, ports.clone())));
                }
            }
        }
        reach.into_iter().collect()
    }
}

fn has_names(rule: &Rule) -> bool {
    rule.ports.iter().any(|port| matches!(port.port, PortMatch::Named(_)))
}
