//! The rows and columns of a matrix: pods, put together.

use super::{
    Summary,
    classes::Classes,
    engine::{Engine, Outlook},
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
    /// What is to be known of its pods before they are asked whom they reach.
    pub(super) fn outlooks(&self, engine: &mut Engine) -> Vec<Vec<Outlook>> {
        let of_member = |member: &Member| member.classes.iter().map(|class| engine.outlook(*class)).collect();
        self.members.iter().map(of_member).collect()
    }

    /// What some pod of a row may send to some pod of this one.
    pub(super) fn reached_from(&self, outlooks: &[Vec<Outlook>], engine: &mut Engine) -> SetId {
        let mut all = Sets::NONE;
        for from in outlooks {
            for to in &self.members {
                all = engine.members(from, &to.classes, all);
            }
        }
        all
    }

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

impl Engine {
    /// What may pass from one pod to another over any pair of addresses, added to `all`. Each is given by its classes.
    fn members(&mut self, from: &[Outlook], to: &[usize], mut all: SetId) -> SetId {
        // A pair of one family if there is one, else the first pair: a pod with one class has one of every family.
        if let ([source], [destination]) = (from, to) {
            let set = self.reaches(source, *destination);
            return self.sets.union(all, set);
        }
        let fits = |engine: &Self, a: usize, b: usize| {
            let families = [a, b].map(|class| engine.class(class).is_ipv4);
            families.iter().any(Option::is_none) || families[0] == families[1]
        };
        let mut any = false;
        for source in from {
            for destination in to {
                if fits(self, source.class, *destination) {
                    any = true;
                    let set = self.reaches(source, *destination);
                    all = self.sets.union(all, set);
                }
            }
        }
        match (any, from, to) {
            (false, [source, ..], [destination, ..]) => {
                let set = self.reaches(source, *destination);
                self.sets.union(all, set)
            }
            _ => all,
        }
    }
}
