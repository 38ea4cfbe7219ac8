//! The rows of the design's semantics, one test a row, over one small cluster.

use super::*;
use crate::{
    cluster::{Change, Cluster},
    manifest,
    object::Protocol,
};

/// Two namespaces, two nodes. `prod/db` names 5432/TCP `pg`, `prod/api` names 8080 so; `prod/host` is on its node's
/// network, `prod/done` has ended, and its address is `other/new`'s now. `lab` is not defined.
const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: prod, labels: {env: prod}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: other}}
---
apiVersion: v1
kind: Node
metadata: {name: w1}
spec: {podCIDRs: [10.244.1.0/24, 'fd00:1::/64']}
status: {addresses: [{type: InternalIP, address: 192.168.50.1}, {type: InternalIP, address: 'fd00::1'}]}
---
apiVersion: v1
kind: Node
metadata: {name: w2}
spec: {podCIDRs: [10.244.2.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.50.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: prod, labels: {app: db}}
spec: {nodeName: w1, containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIPs: [{ip: 10.244.1.2}, {ip: 'fd00:1::2'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: prod, labels: {app: api}}
spec: {nodeName: w2, containers: [{name: c, ports: [{name: pg, containerPort: 8080}]}]}
status: {podIPs: [{ip: 10.244.2.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: other, labels: {app: api}}
spec: {nodeName: w1, containers: []}
status: {podIPs: [{ip: 10.244.1.3}, {ip: 'fd00:1::3'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: lab, labels: {app: free}}
spec: {nodeName: w2, containers: []}
status: {podIPs: [{ip: 10.244.2.3}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: prod, labels: {app: api}}
spec: {nodeName: w2, hostNetwork: true, containers: []}
status: {podIPs: [{ip: 192.168.50.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: prod, labels: {app: api}}
spec: {nodeName: w2, containers: []}
status: {phase: Succeeded, podIPs: [{ip: 10.244.2.9}]}
---
apiVersion: v1
kind: Pod
metadata: {name: new, namespace: other, labels: {app: new}}
spec: {nodeName: w2, containers: []}
status: {podIPs: [{ip: 10.244.2.9}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: pending, namespace: prod, labels: {app: api}}, spec: {containers: []}}
";

/// The cluster with one policy `prod/p` of this spec.
fn with_policy(spec: &str) -> Cluster {
    let policy = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: prod}}\nspec: {spec}\n"
    );
    let parsed = manifest::parse("cluster.yaml", &format!("{CLUSTER}---\n{policy}"));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed.objects.into_iter().filter_map(|object| object.value.into_change()).collect()
}

/// `prod/db`, `10.0.0.1`.
fn end(text: &str) -> Endpoint {
    match text.split_once('/') {
        Some((namespace, name)) => Endpoint::Pod { key: ObjectKey::new(namespace, name), address: None },
        None => Endpoint::Address(text.parse().unwrap()),
    }
}

/// `prod/api -> prod/db 5432/TCP`, `… 1` for an IP protocol without ports.
fn flow(text: &str) -> Flow {
    let [source, "->", destination, packet] = text.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{text}")
    };
    let (protocol, port) = match packet.split_once('/') {
        Some((port, name)) => {
            let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).unwrap();
            (protocol.number(), port.parse().ok())
        }
        None => (packet.parse().unwrap(), None),
    };
    Flow { source: end(source), destination: end(destination), protocol, port }
}

/// One line: a policy's spec, what it allows, what it denies.
macro_rules! cases {
    ($($name:ident: $spec:expr, allows [$($yes:expr),* $(,)?], denies [$($no:expr),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let cluster = with_policy($spec);
            $(assert!(cluster.verdict(&flow($yes)).allowed, "{} {:#?}", $yes, cluster.verdict(&flow($yes)));)*
            $(assert!(!cluster.verdict(&flow($no)).allowed, "{} {:#?}", $no, cluster.verdict(&flow($no)));)*
        }
    )*};
}

cases! {
    no_policy_types_isolates_ingress: "{podSelector: {matchLabels: {app: db}}}",
        allows ["prod/db -> prod/api 80/TCP", "prod/db -> 8.8.8.8 53/UDP", "prod/api -> other/web 80/TCP"],
        denies ["prod/api -> prod/db 5432/TCP", "8.8.8.8 -> prod/db 5432/TCP", "prod/api -> prod/db 1"];
    no_policy_types_with_egress_rules_isolates_both: "{podSelector: {matchLabels: {app: db}}, egress: [{}]}",
        allows ["prod/db -> prod/api 80/TCP"], denies ["prod/api -> prod/db 5432/TCP"];
    no_rules_allow_nothing: "{policyTypes: [Ingress, Egress], ingress: [], egress: []}",
        allows ["other/web -> lab/free 80/TCP"],
        denies ["other/web -> prod/db 80/TCP", "prod/db -> other/web 80/TCP", "prod/db -> 8.8.8.8 53/UDP"];
    an_empty_rule_allows_everything: "{ingress: [{}]}",
        allows ["other/web -> prod/db 80/TCP", "8.8.8.8 -> prod/db 1/SCTP", "8.8.8.8 -> prod/db 1", "prod/host -> prod/db 7/UDP"],
        denies [];
    no_peers_mean_all_sources: "{ingress: [{ports: [{port: 80}]}]}",
        allows ["8.8.8.8 -> prod/db 80/TCP", "2001:db8::1 -> prod/db 80/TCP", "prod/host -> prod/db 80/TCP"],
        denies ["8.8.8.8 -> prod/db 81/TCP", "8.8.8.8 -> prod/db 80/UDP"];
    empty_lists_are_as_absent_ones: "{ingress: [{from: [], ports: []}]}",
        allows ["8.8.8.8 -> prod/db 80/TCP", "8.8.8.8 -> prod/db 47"], denies [];
    pod_selector_alone_means_the_own_namespace: "{ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}",
        allows ["prod/api -> prod/db 80/TCP"], denies ["other/web -> prod/db 80/TCP", "prod/host -> prod/db 80/TCP"];
    namespace_selector_alone_means_all_its_pods: "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]}",
        allows ["other/web -> prod/db 80/TCP", "other/new -> prod/db 80/TCP"],
        denies ["prod/api -> prod/db 80/TCP", "lab/free -> prod/db 80/TCP"];
    both_in_one_peer_must_match: "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}, podSelector: {matchLabels: {app: api}}}]}]}",
        allows ["other/web -> prod/db 80/TCP"], denies ["other/new -> prod/db 80/TCP", "prod/api -> prod/db 80/TCP"];
    two_peers_are_either: "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}, {podSelector: {matchLabels: {app: api}}}]}]}",
        allows ["other/new -> prod/db 80/TCP", "prod/api -> prod/db 80/TCP"], denies ["lab/free -> prod/db 80/TCP"];
    an_undefined_namespace_has_its_name_for_a_label: "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}}]}]}",
        allows ["lab/free -> prod/db 80/TCP"], denies ["other/web -> prod/db 80/TCP"];
    every_namespace_is_every_pod_and_nobody_else: "{ingress: [{from: [{namespaceSelector: {}}]}]}",
        allows ["lab/free -> prod/db 80/TCP", "prod/pending -> prod/db 80/TCP", "10.244.2.2 -> prod/db 80/TCP"],
        denies ["8.8.8.8 -> prod/db 80/TCP", "192.168.50.2 -> prod/db 80/TCP", "10.244.2.0 -> prod/db 80/TCP", "prod/host -> prod/db 80/TCP"];
    a_block_is_any_address_of_it: "{ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.2.2/32]}}]}]}",
        allows ["lab/free -> prod/db 80/TCP", "10.244.7.7 -> prod/db 80/TCP"],
        denies ["prod/api -> prod/db 80/TCP", "8.8.8.8 -> prod/db 80/TCP", "prod/pending -> prod/db 80/TCP", "other/web -> fd00:1::2 80/TCP"];
    a_block_of_the_other_family: "{ingress: [{from: [{ipBlock: {cidr: 'fd00:1::/64'}}]}]}",
        allows ["other/web -> fd00:1::2 80/TCP"], denies ["other/web -> 10.244.1.2 80/TCP"];
    an_exception_cuts_its_own_block_only: "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.244.0.0/16]}}, {podSelector: {}}]}]}",
        allows ["prod/api -> prod/db 80/TCP", "10.1.1.1 -> prod/db 80/TCP"], denies ["other/web -> prod/db 80/TCP"];
    a_named_port_is_the_destinations_own: "{ingress: [{ports: [{port: pg}]}]}",
        allows ["lab/free -> prod/db 5432/TCP", "lab/free -> prod/api 8080/TCP"],
        denies ["lab/free -> prod/db 8080/TCP", "lab/free -> prod/api 5432/TCP", "lab/free -> prod/db 5432/UDP"];
    a_named_port_of_egress_is_each_destinations: "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{ports: [{port: pg}]}]}",
        allows ["prod/api -> prod/db 5432/TCP"],
        denies ["prod/api -> other/web 5432/TCP", "prod/api -> 8.8.8.8 5432/TCP", "prod/api -> prod/db 8080/TCP"];
    an_unknown_name_grants_nothing: "{ingress: [{ports: [{port: nope}]}]}",
        allows [], denies ["lab/free -> prod/db 5432/TCP", "lab/free -> prod/db 80/TCP"];
    a_range_includes_both_ends: "{ingress: [{ports: [{port: 80, endPort: 90}]}]}",
        allows ["lab/free -> prod/db 80/TCP", "lab/free -> prod/db 90/TCP"],
        denies ["lab/free -> prod/db 79/TCP", "lab/free -> prod/db 91/TCP"];
    a_protocol_alone_is_all_its_ports: "{ingress: [{ports: [{protocol: SCTP}]}]}",
        allows ["lab/free -> prod/db 0/SCTP", "lab/free -> prod/db 65535/SCTP", "lab/free -> prod/db 132"],
        denies ["lab/free -> prod/db 80/TCP", "lab/free -> prod/db 1"];
    protocols_without_a_name_need_a_rule_without_ports: "{ingress: [{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}]}",
        allows ["lab/free -> prod/db 6"], denies ["lab/free -> prod/db 1", "lab/free -> prod/db 136"];
    a_fragment_without_a_port_needs_all_ports: "{ingress: [{ports: [{port: 1, endPort: 65535}]}]}",
        allows ["lab/free -> prod/db 1/TCP"], denies ["lab/free -> prod/db 6", "lab/free -> prod/db 0/TCP"];
    the_own_node_may_reach_its_pods: "{ingress: []}",
        allows ["192.168.50.1 -> prod/db 80/TCP", "10.244.1.0 -> prod/db 80/TCP", "10.244.1.1 -> prod/db 80/TCP", "fd00::1 -> prod/db 80/TCP",
                "prod/host -> prod/api 80/TCP"],
        denies ["192.168.50.2 -> prod/db 80/TCP", "10.244.2.0 -> prod/db 80/TCP", "10.244.1.4 -> prod/db 80/TCP", "prod/host -> prod/db 80/TCP"];
    a_pod_to_its_node_is_judged: "{policyTypes: [Egress]}",
        allows [], denies ["prod/db -> 192.168.50.1 80/TCP", "prod/db -> 10.244.1.1 80/TCP"];
    a_pod_reaches_itself: "{policyTypes: [Ingress, Egress]}",
        allows ["prod/db -> prod/db 80/TCP", "10.244.1.2 -> 10.244.1.2 1", "prod/pending -> prod/pending 80/TCP", "prod/db -> 10.244.1.2 80/TCP"],
        denies ["prod/db -> prod/api 80/TCP"];
    host_network_pods_are_their_node: "{policyTypes: [Ingress, Egress], egress: [{to: [{podSelector: {}}]}]}",
        allows ["prod/host -> 8.8.8.8 80/TCP", "8.8.8.8 -> prod/host 80/TCP"], denies ["prod/db -> prod/host 80/TCP"];
    ended_pods_are_no_pods: "{ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}",
        allows ["8.8.8.8 -> prod/done 80/TCP"], denies ["prod/done -> prod/db 80/TCP", "10.244.2.9 -> prod/db 80/TCP"];
    an_address_is_the_pod_that_holds_it: "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]}",
        allows ["10.244.2.9 -> 10.244.1.2 80/TCP"], denies ["10.244.2.3 -> 10.244.1.2 80/TCP"];
}

/// `prod/db` and a second pod on its address: the stricter of both holds, on either side.
#[test]
fn of_two_pods_on_one_address_the_stricter_holds() {
    let spec = "{podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress, Egress], ingress: [{}], \
                egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}, {ports: [{port: pg}]}]}";
    let mut cluster = with_policy(spec);
    let to_db = flow("prod/api -> 10.244.1.2 5432/TCP");
    assert!(cluster.verdict(&to_db).allowed);
    let mut twin = cluster.pod(&ObjectKey::new("prod", "db")).unwrap().clone();
    twin.key = ObjectKey::new("lab", "twin");
    twin.ports.clear();
    cluster.apply(Change::Pod(twin.clone()));
    assert!(!cluster.verdict(&to_db).allowed, "one of them is in no peer and names no port");
    twin.key = ObjectKey::new("prod", "twin");
    cluster.apply(Change::PodDeleted(ObjectKey::new("lab", "twin")));
    cluster.apply(Change::Pod(twin.clone()));
    assert!(cluster.verdict(&to_db).allowed, "both are in the peer");
    twin.labels = twin.labels.with("app", "api");
    cluster.apply(Change::Pod(twin));
    let verdict = cluster.verdict(&flow("10.244.1.2 -> 8.8.8.8 53/UDP"));
    assert!(verdict.egress.isolated && !verdict.allowed, "one of them is isolated");
}

#[test]
fn a_denial_says_what_failed_where() {
    let cluster = with_policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [
            {from: [{podSelector: {matchLabels: {app: front, tier: x}}}, {namespaceSelector: {matchLabels: {env: lab}}},
                    {ipBlock: {cidr: 10.0.0.0/8, except: [10.244.2.0/24]}}, {ipBlock: {cidr: 172.16.0.0/12}}],
             ports: [{port: 5433}, {port: pg, protocol: UDP}]},
            {from: [{podSelector: {}}], ports: [{port: 80, endPort: 90}]}]}",
    );
    let side = cluster.verdict(&flow("prod/api -> prod/db 5432/TCP")).ingress;
    assert_eq!(side.policies, [ObjectKey::new("prod", "p")]);
    let said: Vec<Vec<String>> = side
        .near_misses
        .iter()
        .map(|miss| {
            miss.failed.iter().map(|f| format!("{} {}", f.entry.path(miss.direction), f.mismatch)).collect()
        })
        .collect();
    let first = [
        "from[0] podSelector app=front,tier=x: the pod has app=api and no label tier",
        "from[1] namespaceSelector env=lab: namespace prod has env=prod",
        "from[2] ipBlock 10.0.0.0/8 except 10.244.2.0/24: 10.244.2.2 is excepted",
        "from[3] ipBlock 172.16.0.0/12: 10.244.2.2 is outside",
        "ports[0] port 5432/TCP: rule has 5433/TCP",
        "ports[1] port 5432/TCP: rule has pg/UDP",
    ];
    assert_eq!(said[0], first);
    assert_eq!(said[1], ["ports[0] port 5432/TCP: rule has 80-90/TCP"]);
    assert_eq!((side.near_misses[1].peer, side.near_misses[1].port), (Some(0), None));
    assert_eq!(side.near_misses[1].rule_path(), "ingress[1]");
}

#[test]
fn selectors_and_names_say_why_they_match_no_outsider() {
    let cluster = with_policy(
        "{policyTypes: [Egress, Ingress], egress: [{to: [{podSelector: {}}], ports: [{port: pg}]}],
          ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: x}}}], ports: [{port: pg}]}]}",
    );
    let failures =
        |side: Side| side.near_misses[0].failed.iter().map(|f| f.mismatch.to_string()).collect::<Vec<_>>();
    assert_eq!(
        failures(cluster.verdict(&flow("prod/db -> 8.8.8.8 53/TCP")).egress),
        [
            "podSelector {}: 8.8.8.8 is no pod's address, so no selector matches it",
            "port pg: 8.8.8.8 is no pod's address, so the name stands for nothing there",
        ]
    );
    assert_eq!(
        failures(cluster.verdict(&flow("prod/host -> prod/db 80/TCP")).ingress),
        [
            "namespaceSelector {} podSelector app=x: prod/host is on its node's network or not running, so no selector matches it",
            "port 80/TCP: rule has pg, which is 5432/TCP on prod/db",
        ]
    );
    let own_namespace = with_policy("{ingress: [{from: [{podSelector: {}}]}]}");
    assert_eq!(
        failures(own_namespace.verdict(&flow("other/web -> prod/db 80/TCP")).ingress),
        ["podSelector {}: without a namespaceSelector it means pods of prod; the pod is in other"]
    );
}

#[test]
fn an_allowed_flow_names_every_rule_that_allows_it() {
    let cluster = with_policy(
        "{ingress: [{}, {from: [{ipBlock: {cidr: 1.0.0.0/8}}, {podSelector: {}}], ports: [{port: pg}]}]}",
    );
    let verdict = cluster.verdict(&flow("prod/api -> prod/db 5432/TCP"));
    let rules: Vec<_> = verdict.ingress.allowed_by.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["prod/p ingress[0]", "prod/p ingress[1].from[1].ports[0]"]);
    assert_eq!(verdict.ingress.allowed_by[1].peer_path().as_deref(), Some("from[1]"));
    assert!(verdict.allowed && verdict.exemption.is_none() && !verdict.egress.isolated);
}

#[test]
fn exemptions_are_named() {
    let cluster = with_policy("{policyTypes: [Ingress, Egress]}");
    let exemption = |text| cluster.verdict(&flow(text)).exemption;
    assert_eq!(exemption("prod/db -> prod/db 80/TCP"), Some(Exemption::SelfTraffic));
    assert_eq!(exemption("192.168.50.1 -> prod/db 80/TCP"), Some(Exemption::OwnNode));
    assert_eq!(exemption("prod/db -> 192.168.50.1 80/TCP"), None);
    assert_eq!(exemption("192.168.50.1 -> 192.168.50.1 80/TCP"), None, "a node is not judged at all");
}
