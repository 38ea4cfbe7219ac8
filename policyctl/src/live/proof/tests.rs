use super::*;
use compiler::{
    Compiler, Event,
    config::{Config, Port},
    ir::Verdict,
};
use policy_model::strategies;
use proptest::prelude::*;

const NODE: &str = "w1";

/// What a node answers whose kernel holds exactly what the compiler wants.
fn readback(cluster: &Cluster) -> Readback {
    let config = Config::new(NODE, "cni0");
    let mut compiler = Compiler::new(config.clone());
    cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
    // Pods have link-local addresses too, which no status names.
    let locals = cluster.pods().filter(|pod| pod.is_policed() && pod.node.as_deref() == Some(NODE));
    for (index, pod) in (1u8..).zip(locals) {
        compiler.apply(Event::Port(Port {
            id: format!("container-of-{}", pod.key).into(),
            pod: pod.key.clone(),
            ifindex: 100 + u32::from(index),
            mac: [2, 0, 0, 0, 0, index],
            addresses: pod.ips.to_vec(),
        }));
    }
    compiler.commit();
    Readback {
        kind: Readback::KIND.to_owned(),
        version: "0.1.0".to_owned(),
        node: NODE.to_owned(),
        revision: 1,
        config,
        pods: compiler.local_pods().into_iter().map(Into::into).collect(),
        drift: 0,
        foreign: Vec::new(),
        ruleset: compiler.ruleset().clone(),
    }
}

fn of(readback: &Readback, cluster: &Cluster) -> Proof {
    prove(readback, cluster, &BTreeSet::new())
}

proptest! {
    #[test]
    fn what_the_compiler_makes_is_equal_and_survives_json(cluster in strategies::cluster()) {
        let made = readback(&cluster);
        let text = serde_json::to_string(&made).unwrap();
        let read: Readback = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &made);
        let proof = of(&read, &cluster);
        prop_assert!(proof.holds(), "{}", report::text(&proof, crate::style::Style::plain()));
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The cluster of the documentation: shop/api may reach shop/db on TCP 5432.
fn shop() -> Cluster {
    let text = r"
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: w1}
status: {podIP: 10.244.1.2, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {nodeName: w2}
status: {podIP: 10.244.2.3, phase: Running}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 5432}]
";
    crate::input::parse("shop.yaml", text, None).cluster
}

fn table(readback: &mut Readback) -> &mut compiler::ir::Table {
    readback.ruleset.tables.get_mut(&Family::Inet).unwrap()
}

#[test]
fn the_smallest_range_is_named() {
    let (cluster, mut made) = (shop(), readback(&shop()));
    let exact = table(&mut made).sets.iter_mut().find(|(name, _)| name.ends_with("-x4")).unwrap().1;
    exact.elements.clear();
    let proof = of(&made, &cluster);
    let [Finding::Reach { pod, direction: Direction::Ingress, smallest, ranges: 2 }] = &proof.findings[..]
    else {
        panic!("{proof:?}")
    };
    assert_eq!(pod.to_string(), "shop/db");
    assert_eq!(
        (smallest.peers.to_string(), smallest.packets()),
        ("10.244.2.3".to_owned(), "TCP 5432".to_owned())
    );
    assert!(smallest.model_allows);
    insta::assert_snapshot!(report::text(&proof, crate::style::Style::plain()));
    insta::assert_snapshot!(format!("{:#}", report::json(&proof)));
}

#[test]
fn a_pod_that_the_node_does_not_know_is_named() {
    let (cluster, mut made) = (shop(), readback(&Cluster::new()));
    made.node = NODE.to_owned();
    let proof = of(&made, &cluster);
    assert!(
        matches!(&proof.findings[..], [Finding::Unclear { why, .. }, _] if why.contains("no known local pod's")),
        "{proof:?}"
    );
}

#[test]
fn a_rule_that_is_gone_from_the_way_to_the_programs_is_named() {
    let (cluster, mut made) = (shop(), readback(&shop()));
    table(&mut made).chains.get_mut("forward").unwrap().rules.remove(0);
    let proof = of(&made, &cluster);
    assert!(
        matches!(&proof.findings[..], [Finding::Fixed { object, .. }] if object == "chain inet palisade forward"),
        "{proof:?}"
    );
}

#[test]
fn an_address_of_nobody_is_named() {
    let (cluster, mut made) = (shop(), readback(&shop()));
    let verdict = compiler::ir::Attributes { verdict: Some(Verdict::Return), ..Default::default() };
    let stranger = compiler::ir::Key::address(ip("10.244.1.9"));
    table(&mut made).sets.get_mut("egress4-o").unwrap().elements.insert(stranger, Some(Box::new(verdict)));
    let proof = of(&made, &cluster);
    assert!(
        matches!(&proof.findings[..], [Finding::Stranger { address, .. }] if *address == ip("10.244.1.9")),
        "{proof:?}"
    );
}

#[test]
fn pods_of_a_namespace_that_is_being_deleted_are_left_out() {
    let (mut cluster, made) = (shop(), readback(&shop()));
    cluster.remove_policy(&ObjectKey::new("shop", "db"));
    assert!(!of(&made, &cluster).holds());
    let proof = prove(&made, &cluster, &BTreeSet::from(["shop".into()]));
    assert!(proof.holds() && proof.pods == 0 && proof.notes.len() == 1, "{proof:?}");
}
