use super::*;
use crate::{generate::to_yaml, input};
use policy_model::{
    cluster::Cluster,
    verdict::{Endpoint, Flow},
};

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}, spec: {containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}, status: {podIPs: [{ip: 10.244.1.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop, labels: {app: api}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.3}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: front, namespace: shop, labels: {app: front}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.4}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: pay, labels: {app: api}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.5}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: nginx, namespace: ingress-nginx, labels: {app: nginx}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.6}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.7}]}}
";

/// The pods with policies, which go through YAML as they do for people.
fn cluster(policies: &[Generated]) -> Cluster {
    let snapshot = input::parse("all.yaml", &format!("{PODS}---\n{}", to_yaml(policies)), None);
    assert!(snapshot.faults.is_empty(), "{:?}\n{}", snapshot.faults, to_yaml(policies));
    let read: Vec<_> = snapshot.cluster.policies().cloned().collect();
    let made: Vec<_> = policies.iter().map(|one| one.policy.clone()).collect();
    assert_eq!(read, made, "YAML says what was meant");
    snapshot.cluster
}

/// `shop/api shop/db 5432`.
fn allowed(cluster: &Cluster, text: &str) -> bool {
    let parts: Vec<&str> = text.split(' ').collect();
    let end = |text: &str| match text.split_once('/') {
        Some((namespace, name)) => Endpoint::Pod { key: ObjectKey::new(namespace, name), address: None },
        None => Endpoint::Address(text.parse().unwrap()),
    };
    let protocol = if parts.get(3) == Some(&"UDP") { 17 } else { 6 };
    cluster
        .verdict(&Flow {
            source: end(parts[0]),
            destination: end(parts[1]),
            protocol,
            port: parts[2].parse().ok(),
        })
        .allowed
}

/// One line: a template, what it allows, what it denies; its YAML is kept as a snapshot.
macro_rules! templates {
    ($($name:ident: $made:expr, allows [$($yes:expr),*], denies [$($no:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let made = $made;
            let cluster = cluster(&made);
            $(assert!(allowed(&cluster, $yes), "{}", $yes);)*
            $(assert!(!allowed(&cluster, $no), "{}", $no);)*
            insta::assert_snapshot!(stringify!($name), to_yaml(&made));
        }
    )*};
}

fn app(value: &str) -> Selector {
    Selector::new([Requirement::In("app".into(), [value.into()].into())])
}

fn tcp(port: u16) -> PolicyPort {
    PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(port, port) }
}

templates! {
    default_deny_both: default_deny("shop", &Direction::BOTH),
        allows ["pay/other ingress-nginx/nginx 80"],
        denies ["shop/api shop/db 5432", "shop/api 8.8.8.8 53 UDP", "8.8.8.8 shop/api 80"];
    default_deny_ingress: default_deny("shop", &[Direction::Ingress]),
        allows ["shop/api 8.8.8.8 53 UDP"], denies ["shop/api shop/db 5432"];
    namespace_isolated: namespace_isolation("shop", &["pay".to_owned()]),
        allows ["shop/api shop/db 1", "pay/other shop/db 1", "shop/api 8.8.8.8 80"], denies ["ingress-nginx/nginx shop/db 1", "8.8.8.8 shop/db 1"];
    database_isolated: database_isolation("shop", &app("db"), &[Peer::Pods { namespaces: None, pods: app("api") }], &[tcp(5432)]),
        allows ["shop/api shop/db 5432", "shop/front shop/api 80"],
        denies ["shop/api shop/db 5433", "shop/front shop/db 5432", "pay/other shop/db 5432", "shop/db shop/api 80", "shop/db 8.8.8.8 53 UDP"];
    external_controlled: external_control("shop", &app("api"), &["203.0.113.0/24".parse().unwrap()], &[tcp(443)]),
        allows ["shop/api 203.0.113.9 443", "shop/api shop/db 5432", "shop/api kube-system/coredns 53 UDP", "shop/front 8.8.8.8 53"],
        denies ["shop/api 203.0.113.9 80", "shop/api 8.8.8.8 443"];
    external_closed: external_control("shop", &Selector::everything(), &[], &[]),
        allows ["shop/api pay/other 1"], denies ["shop/api 8.8.8.8 443"];
    dns_for_all: dns("shop", &Selector::everything(), None),
        allows ["shop/api kube-system/coredns 53 UDP", "shop/api kube-system/coredns 53"],
        denies ["shop/api kube-system/coredns 54", "shop/api shop/db 53", "shop/api 169.254.20.10 53 UDP"];
    dns_at_the_node: dns("shop", &app("api"), Some(&["10.96.0.10/32".parse().unwrap()])),
        allows ["shop/api 169.254.20.10 53 UDP", "shop/api 10.96.0.10 53", "shop/db 8.8.8.8 1"], denies ["shop/api 8.8.8.8 53"];
    ingress_controlled: ingress_controller_only("shop", &app("front"), "ingress-nginx", &app("nginx"), &[tcp(8080)]),
        allows ["ingress-nginx/nginx shop/front 8080", "shop/front shop/api 1"],
        denies ["ingress-nginx/nginx shop/front 80", "shop/api shop/front 8080", "8.8.8.8 shop/front 8080"];
}
