//! The text of every code.

use super::{Code, Info, Severity};

/// Ordered by number, without gaps.
pub(super) const CATALOGUE: [Info; 23] = [
    Info {
        code: Code::P001,
        name: "unreadable",
        severity: Severity::Error,
        title: "A file or document cannot be read",
        why: "Nothing of it is in force: a policy in it protects nothing. The other documents of the file are read.",
        example: "kind: NetworkPolicy\n  apiVersion: networking.k8s.io/v1\n",
        remedy: "Mend the YAML at the marked place.",
    },
    Info {
        code: Code::P002,
        name: "unknown-field",
        severity: Severity::Error,
        title: "A field that a NetworkPolicy does not have",
        why: "An API server without strict checking drops the field. A misspelt podSelector then selects every pod.",
        example: POD_SELECTER,
        remedy: "Write the field as the API calls it, at the depth where it belongs.",
    },
    Info {
        code: Code::P003,
        name: "refused",
        severity: Severity::Error,
        title: "An object that an API server would refuse",
        why: "The policy never comes into force. A common case is from: [{}]: an empty peer, where an empty rule ({}) was meant.",
        example: EMPTY_PEER,
        remedy: "Change the field as the finding says. For \"from everyone\" leave from out; for \"from nobody\" leave the rule out.",
    },
    Info {
        code: Code::P004,
        name: "selects-nothing",
        severity: Severity::Warning,
        title: "A policy that selects no pod",
        why: "It isolates nobody. Often a label is misspelt, or the policy is in another namespace than its pods.",
        example: SELECTS_NOTHING,
        remedy: "Correct the labels of spec.podSelector or the namespace of the policy.",
    },
    Info {
        code: Code::P005,
        name: "peer-selects-nothing",
        severity: Severity::Warning,
        title: "A peer that selects no pod",
        why: "The entry allows nothing. A podSelector alone looks into the policy's own namespace only.",
        example: PEER_SELECTS_NOTHING,
        remedy: "Correct the labels, or add a namespaceSelector to the same entry.",
    },
    Info {
        code: Code::P006,
        name: "named-port-unknown",
        severity: Severity::Warning,
        title: "A named port that no pod concerned has",
        why: "A name is looked up on each destination pod, with its protocol. Where it is unknown, the entry allows nothing.",
        example: NAMED_PORT,
        remedy: "Use the name of a container port of the destination, or the number.",
    },
    Info {
        code: Code::P007,
        name: "rule-shadowed",
        severity: Severity::Warning,
        title: "A rule that another rule makes needless",
        why: "Rules only add. All that this one allows, another rule for the same pods allows too, so it says something that has no effect, and deleting it changes nothing.",
        example: SHADOWED,
        remedy: "Delete the rule; or narrow the wider one, if this one was meant to be the limit.",
    },
    Info {
        code: Code::P008,
        name: "block-covers-pods",
        severity: Severity::Warning,
        title: "An ipBlock that covers addresses of pods",
        why: "A block means every address in it, pods too. \"The internet\" as 0.0.0.0/0 opens every pod of the cluster as well.",
        example: BLOCK_OF_PODS,
        remedy: "Cut the pod ranges out with except, and name pods by podSelector.",
    },
    Info {
        code: Code::P009,
        name: "block-covers-nodes",
        severity: Severity::Warning,
        title: "An ipBlock that covers addresses of nodes",
        why: "Behind a node's address are the kubelet, node ports and every pod on the host network. A block that is one node's address alone is taken to be meant.",
        example: BLOCK_OF_NODES,
        remedy: "Cut the range of the nodes out with except.",
    },
    Info {
        code: Code::P010,
        name: "block-is-service",
        severity: Severity::Warning,
        title: "An ipBlock that is the address of a Service",
        why: "Policies see a packet after the Service's address has become a pod's, so the block never matches.",
        example: BLOCK_OF_SERVICE,
        remedy: "Select the pods behind the Service, with the ports that the pods have.",
    },
    Info {
        code: Code::P011,
        name: "except-cuts-nothing",
        severity: Severity::Warning,
        title: "An exception of an ipBlock that cuts nothing",
        why: "An except cuts its own block only. What another entry allows stays allowed.",
        example: EXCEPT,
        remedy: "Put the same exception into the other block, or delete it.",
    },
    Info {
        code: Code::P012,
        name: "empty-list",
        severity: Severity::Warning,
        title: "An empty list of peers or ports, which means all of them",
        why: "from: [] reads like \"from nobody\" and means \"from everybody, external addresses included\". The same goes for to: [] and ports: [].",
        example: EMPTY_FROM,
        remedy: "To allow nobody, leave the rule out (ingress: []). To allow everybody, leave the field out.",
    },
    Info {
        code: Code::P013,
        name: "split-peer",
        severity: Severity::Warning,
        title: "namespaceSelector and podSelector in two entries where one was meant",
        why: "Two entries are an \"or\": every pod of those namespaces, and such pods of the own namespace. One entry with both is an \"and\".",
        example: SPLIT,
        remedy: "Take away the dash in front of podSelector.",
    },
    Info {
        code: Code::P014,
        name: "egress-without-dns",
        severity: Severity::Warning,
        title: "Pods that are isolated for egress and may not ask the cluster's DNS",
        why: "Names do not resolve, so the connections that the rules allow fail by name. Pods that may not reach anybody are left out.",
        example: NO_DNS,
        remedy: "Add a rule to kube-system pods with k8s-app: kube-dns on ports 53/UDP and 53/TCP. `policyctl generate dns` writes one.",
    },
    Info {
        code: Code::P015,
        name: "dns-udp-only",
        severity: Severity::Info,
        title: "DNS is allowed over UDP and not over TCP",
        why: "An answer that does not fit into a UDP packet is asked for again over TCP. Such names then fail, which is hard to find.",
        example: DNS_UDP,
        remedy: "Allow port 53/TCP beside 53/UDP.",
    },
    Info {
        code: Code::P016,
        name: "dns-on-node",
        severity: Severity::Warning,
        title: "DNS is answered at an address of the node, and the rules allow it through a pod selector only",
        why: "NodeLocal DNSCache and other DNS servers on the host network are their node's address. No pod selector matches that.",
        example: NODE_DNS,
        remedy: "Allow port 53 to an ipBlock: 169.254.20.10/32 and the address of the kube-dns Service for NodeLocal DNSCache, else the range of the nodes.",
    },
    Info {
        code: Code::P017,
        name: "system-isolated",
        severity: Severity::Warning,
        title: "Pods of kube-system are isolated",
        why: "DNS, metrics and admission webhooks live there. A rule that is missing stops the whole cluster, not one application.",
        example: SYSTEM,
        remedy: "Select the pods by label instead of all, and allow 53/UDP and 53/TCP from everyone to kube-dns. Delete the policy if it came with a namespace template.",
    },
    Info {
        code: Code::P018,
        name: "mesh-ports",
        severity: Severity::Warning,
        title: "Ports that a service mesh needs are closed",
        why: "Policies see the packets of the mesh's proxies: Istio ambient carries everything over 15008/TCP, Istio sidecars need istiod on 15012/TCP, Linkerd needs 4143/TCP between proxies and its control plane.",
        example: MESH,
        remedy: "Allow the port that the finding names, for the peers that may talk to the pods.",
    },
    Info {
        code: Code::P019,
        name: "policy-type-missing",
        severity: Severity::Warning,
        title: "Rules in a direction that policyTypes leaves out",
        why: "These rules have no effect, and the pods are not isolated in that direction: everything is allowed.",
        example: UNREACHABLE,
        remedy: "Add the direction to policyTypes, or delete its rules.",
    },
    Info {
        code: Code::P020,
        name: "host-network-selected",
        severity: Severity::Warning,
        title: "A policy that selects pods on the host network",
        why: "Such pods share their node's address; no policy isolates them, whatever it says.",
        example: HOST_SELECTED,
        remedy: "Protect them at the node's firewall, or run them on the pod network.",
    },
    Info {
        code: Code::P021,
        name: "host-network-peer",
        severity: Severity::Warning,
        title: "A peer that selects only pods on the host network",
        why: "As a peer such a pod is its node's address, which no pod selector matches: the entry allows nothing.",
        example: HOST_PEER,
        remedy: "Use an ipBlock with the addresses of the nodes.",
    },
    Info {
        code: Code::P022,
        name: "duplicate-object",
        severity: Severity::Warning,
        title: "Two objects of one kind and name",
        why: "A cluster keeps one. Here the one that is read later counts; what kubectl apply makes of it depends on the order of the files.",
        example: DUPLICATE,
        remedy: "Delete one, or give it another name or namespace.",
    },
    Info {
        code: Code::P023,
        name: "shared-address",
        severity: Severity::Warning,
        title: "Two pods at one address",
        why: "No cluster gives an address to two running pods: the manifests are of different times. A packet to it is judged by the strictest of their policies.",
        example: SHARED_ADDRESS,
        remedy: "Take the manifests of all pods at one time (kubectl get pods -A -o yaml), without pods that have ended.",
    },
];

/// A whole policy around a spec.
macro_rules! policy {
    ($namespace:literal, $spec:literal) => {
        concat!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: example, namespace: ",
            $namespace,
            "}\nspec:\n",
            $spec
        )
    };
}

const POD_SELECTER: &str = policy!("prod", "  podSelecter: {matchLabels: {app: db}}\n  ingress: []\n");
const EMPTY_PEER: &str =
    policy!("prod", "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - {}\n");
const SELECTS_NOTHING: &str = policy!("prod", "  podSelector: {matchLabels: {app: dbb}}\n  ingress: []\n");
const PEER_SELECTS_NOTHING: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: front}}   # front is in another namespace\n"
);
const NAMED_PORT: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - ports:\n    - {port: postgres}   # the container calls it pg\n"
);
const SHADOWED: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - podSelector: {}\n  - from:\n    - podSelector: {matchLabels: {app: api}}\n    ports:\n    - {port: 5432}\n"
);
const BLOCK_OF_PODS: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8}   # pods have 10.244.0.0/16\n"
);
const BLOCK_OF_NODES: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - ipBlock: {cidr: 192.168.0.0/16}   # nodes have 192.168.50.0/24\n"
);
const BLOCK_OF_SERVICE: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: api}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - ipBlock: {cidr: 10.96.0.20/32}   # the Service prod/db\n"
);
const EXCEPT: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - ipBlock: {cidr: 172.16.0.0/12, except: [172.16.9.0/24]}\n    - ipBlock: {cidr: 172.16.0.0/16}\n"
);
const EMPTY_FROM: &str =
    policy!("prod", "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from: []\n");
const SPLIT: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - namespaceSelector: {matchLabels: {team: web}}\n    - podSelector: {matchLabels: {app: front}}\n"
);
const NO_DNS: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: api}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - podSelector: {matchLabels: {app: db}}\n"
);
const DNS_UDP: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: api}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}\n      podSelector: {matchLabels: {k8s-app: kube-dns}}\n    ports:\n    - {port: 53, protocol: UDP}\n"
);
const NODE_DNS: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: api}}\n  policyTypes: [Egress]\n  egress:\n  - to:\n    - namespaceSelector: {}\n      podSelector: {matchLabels: {k8s-app: kube-dns}}\n    ports:\n    - {port: 53, protocol: UDP}\n    - {port: 53, protocol: TCP}\n"
);
const SYSTEM: &str = policy!("kube-system", "  podSelector: {}\n  policyTypes: [Ingress]\n");
const MESH: &str = policy!(
    "mesh",
    "  podSelector: {matchLabels: {app: cart}}   # the namespace has istio.io/dataplane-mode: ambient\n  ingress:\n  - ports:\n    - {port: 8080}\n"
);
const UNREACHABLE: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Ingress]\n  ingress: []\n  egress:\n  - to:\n    - podSelector: {matchLabels: {app: api}}\n"
);
const HOST_SELECTED: &str =
    policy!("prod", "  podSelector: {matchLabels: {app: agent}}   # hostNetwork: true\n  ingress: []\n");
const HOST_PEER: &str = policy!(
    "prod",
    "  podSelector: {matchLabels: {app: db}}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: agent}}   # hostNetwork: true\n"
);
const DUPLICATE: &str = concat!(
    policy!("prod", "  podSelector: {matchLabels: {app: db}}\n  ingress: []\n"),
    "---\n",
    policy!("prod", "  podSelector: {matchLabels: {app: api}}\n  ingress: []\n")
);
const SHARED_ADDRESS: &str = "apiVersion: v1
kind: Pod
metadata: {name: one, namespace: prod, labels: {app: one}}
spec: {containers: []}
status: {podIPs: [{ip: 10.244.1.9}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: prod, labels: {app: two}}
spec: {containers: []}
status: {podIPs: [{ip: 10.244.1.9}]}
";
