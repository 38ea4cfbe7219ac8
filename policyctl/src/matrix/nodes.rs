//! The rows and columns of a matrix: pods, put together.

use super::{
    Summary,
    classes::Classes,
    engine::Engine,
    sets::{SetId, Sets},
};
use crate::{
    connect::pod_addresses,
    input::{POD, Snapshot, workload_name},
};
use policy_model::{object::Pod, policy::Direction, reach::Reach};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// What a row stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    /// Every pod counts under its first owner.
    #[default]
    Workloads,
    /// Every pod by itself, and every template.
    Pods,
    /// Every namespace.
    Namespaces,
}

/// Pods that are one row.
pub(super) struct Node<'a> {
    name: String,
    pub(super) pods: Vec<&'a Pod>,
    /// Its pods as classes, equal ones once.
    members: Vec<Member>,
}

#[derive(PartialEq, Eq)]
struct Member {
    /// One for each of the pod's addresses, equal ones once; one for a pod without.
    classes: Vec<usize>,
    /// Whether it has addresses of IPv4, of IPv6; both for a pod without addresses, which may get either.
    families: [bool; 2],
}

/// The rows, ordered by name. Pods that have ended are in none.
pub(super) fn nodes<'a>(
    snapshot: &'a Snapshot,
    granularity: Granularity,
    classes: &mut Classes<'a>,
) -> Vec<Node<'a>> {
    let name = |pod: &Pod| match granularity {
        Granularity::Workloads => workload_name(pod),
        Granularity::Pods if snapshot.is_template(&pod.key) => pod.key.to_string(),
        Granularity::Pods => format!("{}[{POD}]", pod.key),
        Granularity::Namespaces => format!("{}[Namespace]", pod.key.namespace),
    };
    let mut nodes: BTreeMap<String, Node<'a>> = BTreeMap::new();
    for pod in snapshot.cluster.pods().filter(|pod| !pod.terminal) {
        let name = name(pod);
        let node =
            nodes.entry(name.clone()).or_insert_with(|| Node { name, pods: Vec::new(), members: Vec::new() });
        let addresses = pod_addresses(&snapshot.cluster, pod);
        let mut member = match addresses {
            [] => Member { classes: vec![classes.of(pod, None)], families: [true; 2] },
            _ => Member {
                classes: addresses.iter().map(|address| classes.of(pod, Some(*address))).collect(),
                families: [true, false].map(|v4| addresses.iter().any(|address| address.is_ipv4() == v4)),
            },
        };
        member.classes.dedup();
        node.pods.push(pod);
        if !node.members.contains(&member) {
            node.members.push(member);
        }
    }
    nodes.into_values().collect()
}

impl Node<'_> {
    /// What may pass between some pod of this row and addresses that are nobody's.
    pub(super) fn outside(&self, direction: Direction, ipv6: bool, engine: &Engine) -> Reach {
        let mut all = Reach::none();
        for member in &self.members {
            for class in &member.classes {
                let reach = engine.outside(*class, direction);
                let is_of = |v4: bool| engine.class(*class).is_ipv4.is_none_or(|family| family == v4);
                if member.families[0] && is_of(true) {
                    all = all.union(&reach.same_family(Ipv4Addr::UNSPECIFIED.into()));
                }
                if member.families[1] && is_of(false) && ipv6 {
                    all = all.union(&reach.same_family(Ipv6Addr::UNSPECIFIED.into()));
                }
            }
        }
        all
    }

    pub(super) fn summary(&self, engine: &Engine) -> Summary {
        let is_isolated = |direction| {
            self.members
                .iter()
                .flat_map(|member| &member.classes)
                .all(|class| engine.is_isolated(*class, direction))
        };
        Summary {
            name: self.name.as_str().into(),
            namespaces: self.pods.iter().map(|pod| pod.key.namespace.clone()).collect(),
            isolated: Direction::BOTH.map(is_isolated),
            host_network: self.pods.iter().all(|pod| pod.host_network),
        }
    }
}

/// Where each class is met: what turns what a class reaches into what a row reaches.
pub(super) struct Rows<'n> {
    nodes: &'n [Node<'n>],
    /// Of each class the nodes that it is in, with the number of the member there.
    of_class: Vec<Vec<(u32, u32)>>,
    /// The row that is being made, [`Sets::NONE`] between two.
    sets: Vec<SetId>,
}

impl<'n> Rows<'n> {
    pub(super) fn new(nodes: &'n [Node<'n>], engine: &Engine) -> Self {
        let mut of_class = vec![Vec::new(); engine.classes()];
        for (number, node) in nodes.iter().enumerate() {
            for (member, Member { classes, .. }) in node.members.iter().enumerate() {
                classes.iter().for_each(|class| of_class[*class].push((number as u32, member as u32)));
            }
        }
        Self { nodes, of_class, sets: vec![Sets::NONE; nodes.len()] }
    }

    /// What some pod of a node may send to some pod of every other, and of its own; ordered, without those to which nothing
    /// may pass.
    pub(super) fn of(&mut self, source: usize, engine: &mut Engine) -> Vec<(u32, SetId)> {
        let mut reached = Vec::new();
        for from in self.nodes[source].members.iter().map(|member| &member.classes) {
            for (index, class) in from.iter().enumerate() {
                for (other, set) in engine.reaches(*class) {
                    for (node, member) in &self.of_class[other as usize] {
                        let to = &self.nodes[*node as usize].members[*member as usize].classes;
                        if !engine.counts(from, index, to, other as usize) {
                            continue;
                        }
                        let all = &mut self.sets[*node as usize];
                        if *all == Sets::NONE {
                            reached.push(*node);
                        }
                        *all = engine.sets.union(*all, set);
                    }
                }
            }
        }
        reached.sort_unstable();
        let take = |node: u32| (node, std::mem::replace(&mut self.sets[node as usize], Sets::NONE));
        reached.into_iter().map(take).collect()
    }
}

impl Engine {
    /// Whether a pair of addresses of two pods counts. Each pod is given by its classes. The pairs of one family do, if there
    /// are any, else the first pair: a pod with one class has one of every family.
    fn counts(&self, from: &[usize], index: usize, to: &[usize], other: usize) -> bool {
        let fits = |a: usize, b: usize| {
            let families = [a, b].map(|class| self.class(class).is_ipv4);
            families.iter().any(Option::is_none) || families[0] == families[1]
        };
        match (from, to) {
            ([_], [_]) => true,
            _ if fits(from[index], other) => true,
            _ => index == 0 && to[0] == other && !from.iter().any(|a| to.iter().any(|b| fits(*a, *b))),
        }
    }
}
