//! P014, P015, P016: pods that may talk, and may not ask for names.

use crate::{
    cluster_dns,
    connect::{self, Party},
    lint::{
        Code, Finding,
        context::{Context, listed},
    },
};
use policy_model::{
    field::FieldPath,
    object::{ObjectKey, Pod, Protocol},
    policy::{Direction, NetworkPolicy, Peer, Rule},
    selector::Selector,
};
use std::{collections::BTreeMap, net::IpAddr};

pub(super) use cluster_dns::is_server;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let dns = Dns::new(context);
    let policies: Vec<&NetworkPolicy> = context.policies().filter(|policy| policy.egress.is_some()).collect();
    let groups = isolated_together(context, &policies);
    groups
        .into_iter()
        .filter_map(|(isolating, pods)| {
            let isolating: Vec<_> = isolating.into_iter().map(|index| policies[index]).collect();
            dns.of_group(&isolating, &pods)
        })
        .collect()
}

/// The pods that the same policies isolate, by these policies.
pub(super) fn isolated_together(
    context: &Context<'_>,
    policies: &[&NetworkPolicy],
) -> BTreeMap<Vec<usize>, Vec<usize>> {
    let mut of_pod: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, policy) in policies.iter().enumerate() {
        for pod in context.selected(policy).iter().filter(|pod| context.pods[**pod].is_policed()) {
            of_pod.entry(*pod).or_default().push(index);
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (pod, isolating) in of_pod {
        groups.entry(isolating).or_default().push(pod);
    }
    groups
}

/// Whether selectors are those of the cluster's DNS, and the folder does not have it.
pub(super) fn is_dns_of_elsewhere(
    context: &Context<'_>,
    namespaces: Option<&Selector>,
    pods: &Selector,
) -> bool {
    let is_here = context.pods.iter().any(|pod| is_server(pod));
    let selects_system = namespaces.is_some_and(|selector| {
        selector.matches(&context.cluster().namespace_labels(cluster_dns::NAMESPACE))
    });
    !is_here && selects_system && pods.matches(&cluster_dns::imagined().labels)
}

struct Dns<'a> {
    context: &'a Context<'a>,
    servers: Vec<&'a Pod>,
    imagined: Pod,
    /// Where a node answers itself.
    on_node: Vec<IpAddr>,
}

/// What a group of pods may ask.
struct Asks {
    udp: bool,
    tcp: bool,
}

impl<'a> Dns<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        let servers: Vec<&Pod> = context.pods.iter().filter(|pod| is_server(pod)).copied().collect();
        let is_node_local = |pod: &&Pod| {
            pod.host_network && pod.labels.get("k8s-app").is_some_and(|app| &**app == "node-local-dns")
        };
        let cluster = context.cluster();
        let mut on_node = Vec::new();
        if context.pods.iter().any(is_node_local) {
            on_node.push(IpAddr::V4(cluster_dns::NODE_LOCAL));
            let service = cluster.service(&ObjectKey::new(cluster_dns::NAMESPACE, "kube-dns"));
            on_node.extend(service.iter().flat_map(|service| &service.cluster_ips));
        }
        let on_host = servers.iter().filter(|pod| pod.host_network);
        on_node.extend(on_host.flat_map(|pod| connect::pod_addresses(cluster, pod)));
        Self { context, servers, imagined: cluster_dns::imagined(), on_node }
    }

    fn of_group(&self, isolating: &[&NetworkPolicy], pods: &[usize]) -> Option<Finding> {
        let pods: Vec<&Pod> =
            pods.iter().map(|pod| self.context.pods[*pod]).filter(|pod| !is_server(pod)).collect();
        let first = pods.first()?;
        let rules = || isolating.iter().flat_map(|policy| policy.egress.iter().flatten());
        // Who may reach nobody needs no names.
        rules().next()?;
        let by_pod = self.asks_a_pod(first);
        let by_node = self.asks_a_node(first);
        let names_a_server = || {
            rules().flat_map(|rule| &rule.peers).any(|peer| {
                let found = self.context.peer_pods(&isolating[0].key, peer).unwrap_or_default();
                !found.is_empty()
                    && found.len() < self.context.pods.len()
                    && found.iter().any(|pod| is_server(self.context.pods[*pod]))
            })
        };
        let who = listed(pods.iter().map(|pod| pod.key.to_string()));
        let what = if pods.len() == 1 { "is" } else { "are" };
        let policy = isolating.iter().find(|policy| policy.egress.iter().flatten().next().is_some())?;
        let path = FieldPath::root().field("spec").field("egress");
        let finding = |code: Code, message: String| {
            Some(self.context.finding(code, &policy.key, &path, message, code.info().remedy))
        };
        // A server that is no pod: a rule that names the port and a block was written for it.
        let by_block = |protocol| rules().any(|rule| allows_block(rule, protocol));
        let asks = Asks {
            udp: by_pod.udp || by_node.udp || by_block(Protocol::Udp),
            tcp: by_pod.tcp || by_node.tcp || by_block(Protocol::Tcp),
        };
        match () {
            () if !self.on_node.is_empty() && !by_node.udp && (by_pod.udp || names_a_server()) => {
                let addresses = listed(self.on_node.iter().map(ToString::to_string));
                finding(
                    Code::P016,
                    format!(
                        "{who} {what} allowed to ask pods for names, but {addresses} on the node answers"
                    ),
                )
            }
            () if !asks.udp && !asks.tcp => finding(
                Code::P014,
                format!(
                    "{who} {what} isolated for egress and no rule allows DNS (port 53): names will not resolve"
                ),
            ),
            () if !asks.udp => {
                finding(Code::P014, format!("{who} {what} allowed to ask DNS over TCP and not over UDP"))
            }
            () if !asks.tcp => {
                finding(Code::P015, format!("{who} {what} allowed to ask DNS over UDP and not over TCP"))
            }
            () => None,
        }
    }

    /// Servers that are pods to policy; as they usually are, where the folder has none.
    fn asks_a_pod(&self, pod: &Pod) -> Asks {
        let cluster = self.context.cluster();
        let servers = self.servers.iter().filter(|server| server.is_policed());
        let mut parties: Vec<Party<'_>> = servers
            .flat_map(|server| {
                let addresses = connect::pod_addresses(cluster, server);
                let any: Vec<Option<IpAddr>> = if addresses.is_empty() {
                    vec![None]
                } else {
                    addresses.iter().copied().map(Some).collect()
                };
                any.into_iter().map(|address| Party::of_pod(cluster, server, address))
            })
            .collect();
        if self.servers.is_empty() {
            parties.push(Party::imagined(&self.imagined));
        }
        self.asks(pod, &parties)
    }

    fn asks_a_node(&self, pod: &Pod) -> Asks {
        let parties: Vec<_> = self.on_node.iter().map(|address| Party::outside(*address)).collect();
        self.asks(pod, &parties)
    }

    fn asks(&self, pod: &Pod, servers: &[Party<'_>]) -> Asks {
        let cluster = self.context.cluster();
        let source = Party::of_pod(cluster, pod, None);
        let may = |protocol| {
            let subject = connect::Subject::new(cluster, &source, Direction::Egress);
            servers.iter().any(|server| subject.with(server).contains(protocol, 53))
        };
        Asks { udp: may(Protocol::Udp), tcp: may(Protocol::Tcp) }
    }
}

fn allows_block(rule: &Rule, protocol: Protocol) -> bool {
    let has_block = rule.peers.iter().any(|peer| matches!(peer, Peer::IpBlock { .. }));
    has_block && !rule.ports.is_empty() && connect::ports_of_rule(rule, &[]).contains(protocol, 53)
}
