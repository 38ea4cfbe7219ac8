//! What policies mean, on a real cluster: what upstream's suites leave out.
//!
//! Every case is a set of [`Cell`](cells::Cell)s, questions to the network with their answers: without the case's policies, where they all pass, so that
//! none can be denied by accident; under them; and after their deletion.

mod addresses;
mod cells;
mod dns;
mod flows;
mod icmp;
mod kubelet;
mod nodes;
mod ports;
mod rollout;
mod scene;
mod services;

use super::case::Case;
pub(super) use scene::Scene;

pub(super) const CASES: &[Case<Scene>] = &[
    Case {
        name: "IPv6",
        proves: "ingress and egress by pods and ports hold for IPv6 as for IPv4, on one node and on two",
        prove: addresses::ipv6,
    },
    Case {
        name: "endPort",
        proves: "a range of ports has its first and its last port and no other, for ingress and egress, and is of its protocol alone",
        prove: ports::end_port,
    },
    Case {
        name: "policyTypes defaulting",
        proves: "without policyTypes a policy isolates for ingress, and for egress if it has egress rules",
        prove: ports::policy_types,
    },
    Case {
        name: "ipBlock ingress",
        proves: "blocks and their exceptions, of hosts beside the cluster and of pods",
        prove: addresses::block_ingress,
    },
    Case {
        name: "external egress",
        proves: "of two addresses outside of the cluster a pod reaches the one that its policy names",
        prove: addresses::external_egress,
    },
    Case {
        name: "hostNetwork source",
        proves: "a hostNetwork pod is its node: no selector means it, a block of the node's address does",
        prove: nodes::host_source,
    },
    Case {
        name: "hostNetwork destination",
        proves: "no policy isolates a hostNetwork pod, and a client's egress reaches it by a block of the node's address alone",
        prove: nodes::host_destination,
    },
    Case {
        name: "own node",
        proves: "a node reaches its own pods under default deny, another node does not, and an isolated pod does not reach its node",
        prove: nodes::own_node,
    },
    Case {
        name: "Service address",
        proves: "through a Service a selector of its pods decides, and a block of its address means nothing",
        prove: services::cluster_address,
    },
    Case {
        name: "self by Service",
        proves: "under default deny in both directions a pod reaches itself, straight and through its Service, and nobody else does",
        prove: services::itself,
    },
    Case {
        name: "NodePort sources",
        proves: "policy sees the true client at the pod's own node, and the other node's overlay address through that (externalTrafficPolicy Cluster); with Local, the true client",
        prove: services::node_port,
    },
    Case {
        name: "LoadBalancer sources",
        proves: "the same through a load balancer's address",
        prove: services::load_balancer,
    },
    Case {
        name: "host ports",
        proves: "a port of the node that leads to a pod is judged by the pod's policies, with the true client",
        prove: services::host_port,
    },
    Case {
        name: "ICMP",
        proves: "echo passes by rules without ports alone; errors about a permitted flow come back to a pod that may hear nobody",
        prove: icmp::icmp,
    },
    Case {
        name: "DNS alone",
        proves: "with egress to CoreDNS alone, names resolve by UDP and TCP, and nothing else is reached",
        prove: dns::alone,
    },
    Case {
        name: "established flows",
        proves: "connections that stand stop in both directions once their permission is revoked, and go on when it is given again",
        prove: flows::revoked,
    },
    Case {
        name: "kubelet's probes",
        proves: "a pod that is made under default deny in both directions gets ready by HTTP and stays alive by TCP",
        prove: kubelet::probes,
    },
    Case {
        name: "rolling restart",
        proves: "a Deployment is restarted pod by pod under policies for both ends: no request of its client fails, none of a stranger succeeds",
        prove: rollout::restarted,
    },
];
