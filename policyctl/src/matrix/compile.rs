//! From policies to what each group of pods lets pass: with every class, and with the outside.

use super::{
    classes::{Class, Kind},
    engine::{Allowed, Sides},
    ranges::Ranges,
    selection::{Scope, Selection},
    sets::Sets,
};
use crate::connect::ports_of_rule;
use policy_model::{
    cluster::Cluster,
    object::NamedPort,
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
    reach::Reach,
    selector::Selector,
};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};

/// A crowd of which every class is made of kinds with these named ports.
type Named<'a> = (Vec<&'a [NamedPort]>, u32);

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
    /// Sets of classes that peers cover, each once.
    crowds: Vec<RoaringBitmap>,
    /// The crowd of each block, and of each pair of selectors.
    peers: HashMap<Peer, u32>,
    selected: HashMap<(Scope, Selector), u32>,
    /// Crowds of classes that have these named ports, among those that these crowds cover; among all for none.
    named: HashMap<Vec<u32>, Vec<Named<'a>>>,
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
        let (crowds, peers, selected, named) = (Vec::new(), HashMap::new(), HashMap::new(), HashMap::new());
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
            crowds,
            peers,
            selected,
            named,
        }
    }

    pub(super) fn sides(mut self) -> Sides {
        let isolating = self.isolating();
        let (mut allows, mut outside) = (Vec::new(), Vec::new());
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
                    allows.push(self.allows(&isolating, names));
                    outside.push(self.outside(&isolating, names));
                    known.insert((policies, names), allows.len() - 1);
                    allows.len() - 1
                }
            };
            group_of_kind[kind] = Some(group);
        }
        let groups_of = |class: &Class| class.kinds.iter().filter_map(|kind| group_of_kind[*kind]).collect();
        let groups = self.classes.iter().map(groups_of).collect();
        Sides { crowds: self.crowds, allows, outside, groups }
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

    fn allows(&mut self, policies: &[&NetworkPolicy], names: &[NamedPort]) -> Vec<Allowed> {
        let mut allows = Vec::new();
        for policy in policies {
            for rule in self.rules(policy) {
                let crowds: Vec<u32> = rule.peers.iter().map(|peer| self.crowd(policy, peer)).collect();
                if self.direction == Direction::Egress && has_names(rule) {
                    self.allow_by_name(&mut allows, crowds, rule);
                    continue;
                }
                let ports = self.sets.intern(ports_of_rule(rule, &[names]));
                match crowds.is_empty() {
                    true => allows.push(Allowed { crowd: None, ports }),
                    false => allows.extend(crowds.iter().map(|crowd| Allowed { crowd: Some(*crowd), ports })),
                }
            }
        }
        allows.retain(|allowed| allowed.ports != Sets::NONE);
        allows.sort_unstable();
        allows.dedup();
        allows
    }

    /// Every destination resolves the names of a rule for itself.
    fn allow_by_name(&mut self, allows: &mut Vec<Allowed>, mut crowds: Vec<u32>, rule: &Rule) {
        crowds.sort_unstable();
        crowds.dedup();
        if !self.named.contains_key(&crowds) {
            let of_names = self.by_names(&crowds);
            self.named.insert(crowds.clone(), of_names);
        }
        for (names, crowd) in &self.named[&crowds] {
            let ports = self.sets.intern(ports_of_rule(rule, names));
            allows.push(Allowed { crowd: Some(*crowd), ports });
        }
    }

    /// The classes of some crowds, those with the same named ports together.
    fn by_names(&mut self, crowds: &[u32]) -> Vec<Named<'a>> {
        let mut among = RoaringBitmap::new();
        match crowds {
            [] => _ = among.insert_range(0..self.classes.len() as u32),
            _ => crowds.iter().for_each(|crowd| among |= &self.crowds[*crowd as usize]),
        }
        let mut of_names: HashMap<Vec<&'a [NamedPort]>, RoaringBitmap> = HashMap::new();
        for class in among {
            let kinds = self.classes[class as usize].kinds.iter();
            let names: Vec<&[NamedPort]> = kinds.map(|kind| &self.kinds[*kind].ports[..]).collect();
            of_names.entry(names).or_default().insert(class);
        }
        of_names.into_iter().map(|(names, classes)| (names, self.add(classes))).collect()
    }

    fn add(&mut self, crowd: RoaringBitmap) -> u32 {
        self.crowds.push(crowd);
        self.crowds.len() as u32 - 1
    }

    /// The other ends that a peer covers.
    fn crowd(&mut self, policy: &NetworkPolicy, peer: &Peer) -> u32 {
        match peer {
            Peer::IpBlock { .. } => {
                if let Some(known) = self.peers.get(peer) {
                    return *known;
                }
                let crowd = self.add(self.in_block(peer));
                self.peers.insert(peer.clone(), crowd);
                crowd
            }
            Peer::Pods { namespaces, pods } => {
                let scope = match namespaces {
                    None => Scope::Own(policy.key.namespace.clone()),
                    Some(selector) => Scope::Labelled(selector.clone()),
                };
                let asked = (scope, pods.clone());
                if let Some(known) = self.selected.get(&asked) {
                    return *known;
                }
                let crowd = self.add(self.selected(&asked.0, pods));
                self.selected.insert(asked, crowd);
                crowd
            }
        }
    }

    fn selected(&self, scope: &Scope, pods: &Selector) -> RoaringBitmap {
        let kinds = self.selection.matching(scope, pods);
        let mixed =
            self.mixed.iter().filter(|class| self.classes[**class].kinds.iter().all(|k| kinds.contains(k)));
        kinds.iter().flat_map(|kind| &self.of_kind[*kind]).chain(mixed).map(|class| *class as u32).collect()
    }

    fn in_block(&self, peer: &Peer) -> RoaringBitmap {
        let Peer::IpBlock { cidr, except } = peer else { return RoaringBitmap::new() };
        let starts = self.ranges.starts();
        // The ranges are cut at the block's own ends, so a range is in it with all of its addresses or with none.
        let is_covered = |range: usize| {
            cidr.contains(&starts[range]) && !except.iter().any(|block| block.contains(&starts[range]))
        };
        let first = starts.partition_point(|start| *start < cidr.network());
        let end = starts.partition_point(|start| *start <= cidr.broadcast());
        let within = self.of_range.range(first..end).filter(|(range, _)| is_covered(**range));
        within.flat_map(|(_, classes)| classes).map(|class| *class as u32).collect()
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
