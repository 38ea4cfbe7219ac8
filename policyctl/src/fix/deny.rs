//! Changes that stop something, the least ones first.

use super::{
    End, Wanted,
    candidates::{created, free_name, rules_mut},
    edit::{Action, Edit},
    peers::{entries_of, everyone_but, labels_of, leaving_out, peers_of, selector_of},
};
use crate::{
    connect::{self, Party},
    manifest,
    places::rule_field,
};
use ipnet::IpNet;
use policy_model::{
    cluster::Cluster,
    field::FieldPath,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, Rule},
    portset::PortSet,
    selector::Selector,
};

/// Candidates on either side, each a change of every policy that allows: one side that denies is enough.
pub(super) fn denying(cluster: &Cluster, wanted: &Wanted) -> Vec<Vec<Edit>> {
    let [source, destination] = wanted.parties(cluster);
    let sides = [
        (Direction::Ingress, &destination, &source, &wanted.source),
        (Direction::Egress, &source, &destination, &wanted.destination),
    ];
    let of_side = |(direction, subject, other, end): (_, &Party<'_>, &Party<'_>, _)| match &subject.pods[..] {
        // Of several pods at one address it is enough that one denies.
        [pod, ..] => Side { cluster, wanted, direction, pod, other, end }.candidates(),
        [] => Vec::new(),
    };
    sides.into_iter().flat_map(of_side).collect()
}

struct Side<'a> {
    cluster: &'a Cluster,
    wanted: &'a Wanted,
    direction: Direction,
    pod: &'a Pod,
    other: &'a Party<'a>,
    end: &'a End,
}

/// What is left of a rule: other entries, or nothing.
type Rest = Option<Rule>;

impl Side<'_> {
    /// Every policy that allows changed in one way; a new policy where nothing isolates. The last one always stops it, however
    /// much else it stops: every rule that allows goes, or the new policy has none.
    fn candidates(&self) -> Vec<Vec<Edit>> {
        let policies: Vec<_> = self.cluster.isolating_policies(self.pod, self.direction).collect();
        if policies.is_empty() {
            let all_but = everyone_but(self.cluster, self.end);
            return all_but
                .into_iter()
                .chain([Vec::new()])
                .map(|peers| vec![self.isolating(peers)])
                .collect();
        }
        let allowing: Vec<_> = policies.into_iter().filter(|policy| self.allows(policy)).collect();
        let ways: [fn(&Self, &NetworkPolicy, &Rule) -> Rest; 4] =
            [Self::without_peers, Self::without_ports, Self::narrowed, |_, _, _| None];
        let in_one_way =
            |way| allowing.iter().map(|policy| self.changed(policy, way)).collect::<Option<Vec<_>>>();
        ways.into_iter().filter_map(in_one_way).filter(|edits| !edits.is_empty()).collect()
    }

    fn allows(&self, policy: &NetworkPolicy) -> bool {
        policy.rules(self.direction).unwrap_or_default().iter().any(|rule| self.rule_allows(policy, rule))
    }

    fn rule_allows(&self, policy: &NetworkPolicy, rule: &Rule) -> bool {
        let ports = connect::ports_between(rule, self.direction, self.pod, self.other);
        let covers = rule.peers.is_empty() || rule.peers.iter().any(|peer| self.is_peer(policy, peer));
        covers && !ports.intersection(&self.wanted.ports).is_empty()
    }

    /// A pod that has no address yet may get one that a block covers.
    fn is_peer(&self, policy: &NetworkPolicy, peer: &Peer) -> bool {
        connect::is_peer(self.cluster, &policy.key, peer, &self.other.at_best())
    }

    /// The policy with every rule that allows changed in one way.
    fn changed(&self, policy: &NetworkPolicy, way: fn(&Self, &NetworkPolicy, &Rule) -> Rest) -> Option<Edit> {
        let rules = policy.rules(self.direction).unwrap_or_default();
        let touched: Vec<usize> =
            (0..rules.len()).filter(|index| self.rule_allows(policy, &rules[*index])).collect();
        let rests: Vec<Rest> = touched.iter().map(|index| way(self, policy, &rules[*index])).collect();
        let mut after = policy.clone();
        let list = rules_mut(&mut after, self.direction)?;
        for (index, rest) in touched.iter().zip(&rests).rev() {
            match rest {
                Some(rule) => list[*index] = rule.clone(),
                None => {
                    list.remove(*index);
                }
            }
        }
        let all = FieldPath::root().field("spec").field(self.direction.name());
        let (action, field, value) = match (&touched[..], &rests[..]) {
            ([index], [Some(rule)]) => {
                (Action::Replace, rule_field(self.direction, *index), manifest::rule(rule, self.direction))
            }
            ([index], [None]) => {
                let gone = manifest::rule(&rules[*index], self.direction);
                (Action::Remove, rule_field(self.direction, *index), gone)
            }
            _ => {
                let left = after.rules(self.direction).unwrap_or_default();
                let left = left.iter().map(|rule| manifest::rule(rule, self.direction)).collect();
                (Action::Replace, all, left)
            }
        };
        Some(Edit { policy: policy.key.clone(), action, field, value, after })
    }

    /// The same peers, each without the end.
    fn narrowed(&self, policy: &NetworkPolicy, rule: &Rule) -> Rest {
        let mut peers = Vec::new();
        if rule.peers.is_empty() {
            peers = everyone_but(self.cluster, self.end)?;
        }
        for peer in &rule.peers {
            if self.is_peer(policy, peer) {
                peers.extend(self.narrowed_peers(peer));
            } else {
                peers.push(peer.clone());
            }
        }
        (!peers.is_empty()).then(|| Rule { peers, ports: rule.ports.clone() })
    }

    fn narrowed_peers(&self, peer: &Peer) -> Vec<Peer> {
        match peer {
            Peer::Pods { namespaces, pods } => {
                let Some(out) = self.other.pods.first() else { return Vec::new() };
                let narrowed = leaving_out(self.cluster, out).into_iter().map(|more| {
                    let pods = Selector::new(pods.requirements().iter().cloned().chain([more]));
                    Peer::Pods { namespaces: namespaces.clone(), pods }
                });
                narrowed.collect()
            }
            Peer::IpBlock { cidr, except } => {
                let own = match &self.other.pods[..] {
                    [pod] => pod.ips.iter().copied().map(IpNet::from).collect(),
                    _ => self.end.block.into_iter().collect::<Vec<_>>(),
                };
                let own: Vec<_> = own.into_iter().filter(|block| cidr.contains(block)).collect();
                if own.is_empty() || own.contains(cidr) {
                    return Vec::new();
                }
                let mut except: Vec<IpNet> = except.iter().copied().chain(own).collect();
                except.sort();
                except.dedup();
                vec![Peer::IpBlock { cidr: *cidr, except }]
            }
        }
    }

    /// The rule without the peers that cover the end; without any peer left it would cover everybody, so it goes.
    fn without_peers(&self, policy: &NetworkPolicy, rule: &Rule) -> Rest {
        let left: Vec<_> = rule.peers.iter().filter(|peer| !self.is_peer(policy, peer)).cloned().collect();
        (!left.is_empty()).then(|| Rule { peers: left, ports: rule.ports.clone() })
    }

    /// The rule without the ports that were asked about.
    fn without_ports(&self, _: &NetworkPolicy, rule: &Rule) -> Rest {
        let ports = connect::ports_between(rule, self.direction, self.pod, self.other);
        let entries = entries_of(&ported(ports.difference(&self.wanted.ports)))?;
        Some(Rule { peers: rule.peers.clone(), ports: entries })
    }

    /// A policy that lets everything pass with these peers, and with the end what was not asked about; nothing without peers.
    fn isolating(&self, peers: Vec<Peer>) -> Edit {
        let namespace = self.pod.key.namespace.clone();
        let name = format!("not-{}", free_name(self.cluster, self.pod, self.direction, self.other));
        let key = ObjectKey { namespace: namespace.clone(), name: name.into() };
        let mut rules = Vec::new();
        if !peers.is_empty() {
            rules.push(Rule { peers, ports: Vec::new() });
            let rest = ported(PortSet::all().difference(&self.wanted.ports));
            let end = peers_of(self.cluster, self.end, &namespace);
            if let Some(ports) = entries_of(&rest).filter(|_| !end.is_empty()) {
                rules.push(Rule { peers: end, ports });
            }
        }
        let pod_selector = selector_of(&labels_of(self.cluster, self.pod));
        let mut after = NetworkPolicy { key, pod_selector, ingress: None, egress: None };
        match self.direction {
            Direction::Ingress => after.ingress = Some(rules),
            Direction::Egress => after.egress = Some(rules),
        }
        created(after)
    }
}

/// The part of a set that entries of `ports` can say.
fn ported(mut ports: PortSet) -> PortSet {
    ports.other = false;
    ports
}
