//! What an API server refuses is refused, at the field, and what it takes is taken as it defaults it.

use super::*;
use crate::{
    object::{Protocol, TargetPort},
    policy::{NetworkPolicy, Peer, PortMatch},
};
use k8s_openapi::serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn policy_with(spec: Value) -> Result<NetworkPolicy, Rejection> {
    policy(&object(json!({"metadata": {"name": "db", "namespace": "prod"}, "spec": spec})))
}

/// The problems of a policy, as `path: message`.
fn problems_of(spec: Value) -> Vec<String> {
    let rejection = policy_with(spec).expect_err("must be refused");
    rejection.problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
}

fn port(port: Value) -> Value {
    json!({"podSelector": {}, "ingress": [{"ports": [port]}]})
}

fn peer(peer: Value) -> Value {
    json!({"podSelector": {}, "egress": [{"to": [peer]}]})
}

/// One line: the spec, and the one problem that it has.
macro_rules! refused {
    ($($name:ident: $spec:expr, $problem:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(problems_of($spec), [$problem]);
        }
    )*};
}

refused! {
    port_zero: port(json!({"port": 0})), "spec.ingress[0].ports[0].port: 0 is not a port number";
    port_beyond_the_last: port(json!({"port": 65536})), "spec.ingress[0].ports[0].port: 65536 is not a port number";
    port_negative: port(json!({"port": -1})), "spec.ingress[0].ports[0].port: -1 is not a port number";
    port_number_in_quotes: port(json!({"port": "80"})),
        "spec.ingress[0].ports[0].port: \"80\" is a number in quotes, which makes it a name";
    port_name_in_capitals: port(json!({"port": "Web"})),
        "spec.ingress[0].ports[0].port: \"Web\" is not a port name: only lower case letters, digits and '-' may be in it";
    end_port_below_port: port(json!({"port": 80, "endPort": 79})),
        "spec.ingress[0].ports[0].endPort: 79 is less than port 80";
    end_port_beyond_the_last: port(json!({"port": 80, "endPort": 70000})),
        "spec.ingress[0].ports[0].endPort: 70000 is not a port number";
    end_port_with_a_name: port(json!({"port": "web", "endPort": 90})),
        "spec.ingress[0].ports[0].endPort: endPort 90 cannot stand with a port that is a name";
    end_port_alone: port(json!({"endPort": 90})),
        "spec.ingress[0].ports[0].endPort: endPort 90 cannot stand with no port";
    protocol_in_small_letters: port(json!({"protocol": "tcp", "port": 80})),
        "spec.ingress[0].ports[0].protocol: \"tcp\" is not a protocol that a port can have";
    protocol_without_ports: port(json!({"protocol": "ICMP"})),
        "spec.ingress[0].ports[0].protocol: \"ICMP\" is not a protocol that a port can have";
    empty_peer: peer(json!({})), "spec.egress[0].to[0]: the peer is empty";
    block_beside_a_selector: peer(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})),
        "spec.egress[0].to[0]: ipBlock cannot stand with a selector in one peer";
    block_without_a_length: peer(json!({"ipBlock": {"cidr": "10.0.0.1"}})),
        "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0.1\" is not a CIDR block in canonical form: it has no '/' and length";
    block_with_host_bits: peer(json!({"ipBlock": {"cidr": "10.0.0.1/8"}})),
        "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0.1/8\" is not a CIDR block in canonical form: its address has bits set beyond its length";
    block_with_a_leading_zero: peer(json!({"ipBlock": {"cidr": "010.0.0.0/8"}})),
        "spec.egress[0].to[0].ipBlock.cidr: \"010.0.0.0/8\" is not a CIDR block in canonical form: its address has a leading zero, which some programs read as octal";
    block_of_mapped_addresses: peer(json!({"ipBlock": {"cidr": "::ffff:10.0.0.0/104"}})),
        "spec.egress[0].to[0].ipBlock.cidr: \"::ffff:10.0.0.0/104\" is not a CIDR block in canonical form: it is an IPv4 address written as an IPv6 one";
    exception_outside: peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "11.0.0.0/16"]}})),
        "spec.egress[0].to[0].ipBlock.except[1]: 11.0.0.0/16 is not a strict part of 10.0.0.0/8";
    exception_that_is_the_block: peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}})),
        "spec.egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 is not a strict part of 10.0.0.0/8";
    exception_around_the_block: peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["0.0.0.0/0"]}})),
        "spec.egress[0].to[0].ipBlock.except[0]: 0.0.0.0/0 is not a strict part of 10.0.0.0/8";
    exception_of_the_other_family: peer(json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["fd00::/8"]}})),
        "spec.egress[0].to[0].ipBlock.except[0]: fd00::/8 is not a strict part of 0.0.0.0/0";
    in_without_values: json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}),
        "spec.podSelector.matchExpressions[0].values: In needs at least one value";
    not_in_with_no_values: json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": []}]}}),
        "spec.podSelector.matchExpressions[0].values: NotIn needs at least one value";
    exists_with_values: json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["a"]}]}}),
        "spec.podSelector.matchExpressions[0].values: Exists takes no values, but has a";
    does_not_exist_with_values:
        peer(json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": ["a", "b"]}]}})),
        "spec.egress[0].to[0].namespaceSelector.matchExpressions[0].values: DoesNotExist takes no values, but has a, b";
    unknown_operator: json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "in", "values": ["a"]}]}}),
        "spec.podSelector.matchExpressions[0].operator: \"in\" is not an operator";
    label_key_with_a_space: json!({"podSelector": {"matchLabels": {"a b": "c"}}}),
        "spec.podSelector.matchLabels[a b]: \"a b\" is not a label key: only letters, digits, '-', '_' and '.' may be in it";
    label_value_with_a_slash: peer(json!({"podSelector": {"matchLabels": {"app": "a/b"}}})),
        "spec.egress[0].to[0].podSelector.matchLabels.app: \"a/b\" is not a label value: only letters, digits, '-', '_' and '.' may be in it";
    policy_type_in_small_letters: json!({"podSelector": {}, "policyTypes": ["ingress"]}),
        "spec.policyTypes[0]: \"ingress\" is not a policy type";
    three_policy_types: json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress", "Ingress"]}),
        "spec.policyTypes: there are 3 policy types";
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_fields_that_are_checked() {
    let spec = json!({
        "podSelector": {"matchLabels": {"-": "x"}},
        "ingress": [{"from": [{}], "ports": [{"port": 0}, {"port": 9, "endPort": 8}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "x", "except": ["y"]}}]}],
        "policyTypes": ["Ingress", "Outgress"],
    });
    let paths: Vec<_> = policy_with(spec).unwrap_err().problems.iter().map(|p| p.path.to_string()).collect();
    assert_eq!(
        paths,
        [
            "spec.podSelector.matchLabels.-",
            "spec.ingress[0].from[0]",
            "spec.ingress[0].ports[0].port",
            "spec.ingress[0].ports[1].endPort",
            "spec.egress[0].to[0].ipBlock.cidr",
            "spec.egress[0].to[0].ipBlock.except[0]",
            "spec.policyTypes[1]",
        ]
    );
}

#[test]
fn a_problem_names_object_field_value_and_remedy() {
    let rejection = policy_with(port(json!({"port": 80, "endPort": 79}))).unwrap_err();
    let problem = &rejection.problems[0];
    assert_eq!(
        problem.to_string(),
        "NetworkPolicy prod/db: spec.ingress[0].ports[0].endPort: 79 is less than port 80"
    );
    assert_eq!(problem.value.as_deref(), Some("79"));
    assert_eq!(problem.help.as_deref(), Some("a range runs from port to endPort, both included"));
}

/// The rows of `policyTypes` defaulting: types, ingress given, egress given; isolates ingress, isolates egress.
#[test]
fn policy_types_default_as_in_the_api() {
    let rules = json!([{}]);
    for (types, ingress, egress, isolates) in [
        (json!(null), json!(null), json!(null), (true, false)),
        (json!(null), rules.clone(), json!(null), (true, false)),
        (json!(null), json!(null), rules.clone(), (true, true)),
        (json!(null), json!(null), json!([]), (true, false)),
        (json!([]), json!(null), rules.clone(), (true, true)),
        (json!(["Egress"]), rules.clone(), json!(null), (false, true)),
        (json!(["Ingress"]), json!(null), rules.clone(), (true, false)),
        (json!(["Ingress", "Egress"]), json!(null), json!(null), (true, true)),
    ] {
        let spec = json!({"policyTypes": types, "ingress": ingress, "egress": egress});
        let policy = policy_with(spec.clone()).unwrap();
        assert_eq!((policy.ingress.is_some(), policy.egress.is_some()), isolates, "{spec}");
    }
}

#[test]
fn a_policy_is_converted_whole() {
    let policy = policy_with(json!({
        "podSelector": {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]},
        "ingress": [{
            "from": [
                {"podSelector": {"matchLabels": {"app": "api"}}},
                {"namespaceSelector": {}},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16", "10.1.0.0/16", "10.2.0.0/16"]}},
            ],
            "ports": [{"port": 5432}, {"protocol": "UDP", "port": "dns"}, {"port": 80, "endPort": 90}, {"protocol": "SCTP"}],
        }],
    }))
    .unwrap();
    assert_eq!(policy.key.to_string(), "prod/db");
    assert_eq!(policy.pod_selector.to_string(), "app=db", "the same requirement in two ways is one");
    assert_eq!(policy.egress, None);
    let [rule] = policy.ingress.as_deref().unwrap() else { panic!("one rule") };
    let [Peer::Pods { namespaces: None, pods }, Peer::Pods { namespaces: Some(all), pods: any }, block] =
        &rule.peers[..]
    else {
        panic!("{:?}", rule.peers)
    };
    assert_eq!(pods.to_string(), "app=api");
    assert!(all.is_everything() && any.is_everything());
    let except = ["10.1.0.0/16", "10.2.0.0/16"].map(|text| text.parse().unwrap()).to_vec();
    assert_eq!(*block, Peer::IpBlock { cidr: "10.0.0.0/8".parse().unwrap(), except });
    let ports: Vec<_> = rule.ports.iter().map(|port| (port.protocol, port.port.clone())).collect();
    assert_eq!(
        ports,
        [
            (Protocol::Tcp, PortMatch::Range(5432, 5432)),
            (Protocol::Udp, PortMatch::Named("dns".into())),
            (Protocol::Tcp, PortMatch::Range(80, 90)),
            (Protocol::Sctp, PortMatch::All),
        ]
    );
}

#[test]
fn a_stored_policy_may_be_as_old_servers_took_it() {
    let stored = object(json!({"metadata": {"name": "old"}, "spec": {
        "podSelector": {"matchLabels": {"app": "no value!"}},
        "egress": [{"to": [{"ipBlock": {"cidr": "010.0.0.1/8", "except": ["10.1.2.3/16"]}}]}],
    }}));
    assert_eq!(policy(&stored).unwrap_err().problems.len(), 3);
    let policy = stored_policy(&stored).unwrap();
    let [rule] = policy.egress.as_deref().unwrap() else { panic!("one rule") };
    let block =
        Peer::IpBlock { cidr: "10.0.0.0/8".parse().unwrap(), except: vec!["10.1.0.0/16".parse().unwrap()] };
    assert_eq!(rule.peers, [block]);
}

#[test]
fn metadata_is_checked_for_every_kind() {
    let unnamed = pod(&object(json!({"metadata": {}, "spec": {"containers": []}}))).unwrap_err();
    assert_eq!(unnamed.to_string(), "Pod default/(without a name): metadata.name: the object has no name");
    let generated = policy(&object(json!({"metadata": {"generateName": "x-"}}))).unwrap_err();
    assert!(generated.problems[0].help.is_some());
    let bad = namespace(&object(json!({"metadata": {"name": "A", "labels": {"a": "b c"}}}))).unwrap_err();
    let paths: Vec<_> = bad.problems.iter().map(|p| p.path.to_string()).collect();
    assert_eq!(paths, ["metadata.name", "metadata.labels.a"]);
}

#[test]
fn a_namespace_has_its_name_for_a_label_and_may_be_terminating() {
    let metadata = json!({"name": "prod", "labels": {"env": "x", "kubernetes.io/metadata.name": "other"}});
    let prod = namespace(&object(json!({ "metadata": metadata }))).unwrap();
    assert_eq!(prod.labels.to_string(), "env=x,kubernetes.io/metadata.name=prod");
    assert!(!prod.terminating);
    let metadata = json!({"name": "prod", "deletionTimestamp": "2026-01-02T03:04:05Z"});
    assert!(namespace(&object(json!({ "metadata": metadata }))).unwrap().terminating);
}

#[test]
fn a_pod_is_what_policy_needs_of_it() {
    let pod = pod(&object(json!({
        "metadata": {
            "name": "db-0", "labels": {"app": "db"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1"}],
        },
        "spec": {
            "nodeName": "w1",
            "initContainers": [{"name": "sidecar", "ports": [{"name": "metrics", "containerPort": 9100}]}],
            "containers": [
                {"name": "a", "ports": [{"name": "pg", "containerPort": 5432}, {"containerPort": 80}]},
                {"name": "b", "ports": [{"name": "pg", "containerPort": 5433, "protocol": "UDP"}]},
            ],
        },
        "status": {"phase": "Running", "podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}, {"ip": "fd00::2"}]},
    })))
    .unwrap();
    assert_eq!(pod.key.to_string(), "default/db-0");
    assert_eq!(pod.ips.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.244.1.2", "fd00::2"]);
    assert!(pod.is_policed());
    assert_eq!(pod.resolve_port("pg", Protocol::Tcp).collect::<Vec<_>>(), [5432]);
    assert_eq!(pod.resolve_port("pg", Protocol::Udp).collect::<Vec<_>>(), [5433]);
    assert_eq!(
        pod.resolve_port("metrics", Protocol::Tcp).collect::<Vec<_>>(),
        [9100],
        "init containers' ports count"
    );
    assert_eq!(pod.owner.unwrap().name.as_ref(), "db");
}

#[test]
fn ended_and_host_network_pods_are_not_policed() {
    for (spec, phase, policed) in [
        (json!({"containers": []}), "Pending", true),
        (json!({"containers": []}), "Succeeded", false),
        (json!({"containers": []}), "Failed", false),
        (json!({"containers": [], "hostNetwork": true}), "Running", false),
    ] {
        let pod = pod(&object(json!({"metadata": {"name": "a"}, "spec": spec, "status": {"phase": phase}})))
            .unwrap();
        assert_eq!(pod.is_policed(), policed, "{spec} {phase}");
    }
}

#[test]
fn a_node_has_its_addresses_and_pod_ranges() {
    let node = node(&object(json!({
        "metadata": {"name": "w1"},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
        "status": {"addresses": [
            {"type": "InternalIP", "address": "192.168.50.1"}, {"type": "Hostname", "address": "w1"},
            {"type": "ExternalIP", "address": "2001:db8::1"},
        ]},
    })))
    .unwrap();
    let own: Vec<_> = node.own_addresses().map(|address| address.to_string()).collect();
    assert_eq!(own, ["192.168.50.1", "2001:db8::1", "10.244.1.0", "10.244.1.1", "fd00:1::", "fd00:1::1"]);
}

#[test]
fn a_service_defaults_its_target_ports() {
    let service = service(&object(json!({
        "metadata": {"name": "db", "namespace": "prod"},
        "spec": {
            "selector": {"app": "db"}, "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"],
            "ports": [{"port": 80}, {"name": "pg", "port": 5432, "targetPort": "pg", "protocol": "TCP", "nodePort": 30001}],
        },
    })))
    .unwrap();
    assert_eq!(service.cluster_ips.len(), 1);
    assert_eq!(service.ports[0].target, TargetPort::Number(80));
    assert_eq!(service.ports[1].target, TargetPort::Name("pg".into()));
    assert_eq!(service.ports[1].node_port, Some(30001));
    let headless =
        super::service(&object(json!({"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}}))).unwrap();
    assert!(headless.cluster_ips.is_empty() && headless.selector.is_none());
}
