//! Random policies over a real cluster: every pair of pods, and the outside, is tried with real packets, and every answer
//! is the model's.
//!
//! One lab is raised; the policies, labels and namespaces change under it, so that the way from one state to the next is
//! tried as well. `PALISADE_STATES` sets the number of states (24), `PALISADE_SEED` the first one's seed.

use conformance::{
    enforced::{Enforced, Manifests},
    lab::{Family, Lab, PodSpec, addresses},
    probe::{Outcome, Probe, Transport},
};
use policy_model::{
    cluster::Cluster,
    object::{NamedPort, Namespace, Node, ObjectKey, Pod, Protocol},
    policy::NetworkPolicy,
    strategies,
    verdict::{Endpoint, Flow},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{env, net::IpAddr, time::Duration};

/// Ports that policies of the strategies speak about, and one that none names.
const PORTS: [u16; 4] = [80, 81, 443, 7];
const NODES: u8 = 2;
const PODS: [(&str, &str, u8); 8] = [
    ("east", "p0", 1),
    ("east", "p1", 1),
    ("east", "p2", 2),
    ("north", "p0", 1),
    ("north", "p1", 2),
    ("north", "p3", 2),
    ("west", "p1", 1),
    ("west", "p2", 2),
];

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Draws values from strategies; a seed gives the same ones again.
struct Source(TestRunner);

impl Source {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    fn draw<T: std::fmt::Debug>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.0).expect("these strategies never fail").current()
    }
}

fn node(index: u8) -> Node {
    Node {
        name: format!("node-{index}").into(),
        addresses: vec![addresses::node4(index).into(), addresses::node6(index).into()],
        pod_cidrs: vec![
            format!("{}/24", addresses::pod4(index, 0)).parse().expect("a range"),
            format!("{}/64", addresses::pod6(index, 0)).parse().expect("a range"),
        ],
    }
}

/// A state: the lab's pods with random labels, random namespaces, and up to eight random policies.
fn state(source: &mut Source, addresses_of: impl Fn(&ObjectKey) -> Vec<IpAddr>) -> Cluster {
    let mut cluster = Cluster::new();
    (1..=NODES).for_each(|index| cluster.insert_node(node(index)));
    for name in ["east", "north", "west"] {
        let labels = source.draw(strategies::labels());
        cluster.insert_namespace(Namespace::new(name, &labels));
    }
    for (namespace, name, on) in PODS {
        let key = ObjectKey::new(namespace, name);
        let named = source.draw(strategies::pod()).ports;
        let web = NamedPort { name: "web".into(), protocol: Protocol::Tcp, port: 80 };
        let mut ports: Vec<_> = named.into_iter().chain([web]).collect();
        ports.sort();
        ports.dedup();
        cluster.insert_pod(Pod {
            labels: source.draw(strategies::labels()),
            ips: addresses_of(&key).into_iter().collect(),
            key,
            node: Some(format!("node-{on}").into()),
            host_network: false,
            terminal: false,
            ports,
            owner: None,
        });
    }
    for i in 0..8 {
        let policy: NetworkPolicy = source.draw(strategies::policy());
        let key = ObjectKey::new(policy.key.namespace.clone(), format!("policy-{i}"));
        cluster.insert_policy(NetworkPolicy { key, ..policy });
    }
    cluster
}

/// Every pair of pods, and each pod with the outside, in both families.
fn probes(lab: &Lab) -> Vec<(Probe, Flow)> {
    let pods = lab.pods();
    let mut asked = Vec::new();
    let mut ask = |probe: Probe, source: IpAddr| {
        let protocol = match (probe.transport, probe.to) {
            (Transport::Tcp, _) => 6,
            (Transport::Udp, _) => 17,
            (Transport::Sctp, _) => 132,
            (Transport::Icmp, IpAddr::V4(_)) => 1,
            (Transport::Icmp, IpAddr::V6(_)) => 58,
        };
        let port = (probe.transport != Transport::Icmp).then_some(probe.port);
        let (source, destination) = (Endpoint::Address(source), Endpoint::Address(probe.to));
        asked.push((probe, Flow { source, destination, protocol, port }));
    };
    for family in [Family::V4, Family::V6] {
        let outside = family.pick(addresses::OUTSIDE4.into(), addresses::OUTSIDE6.into());
        for to in &pods {
            for from in &pods {
                for port in PORTS {
                    ask(Probe::tcp(from, to.address(family), port), from.address(family));
                }
                ask(Probe::udp(from, to.address(family), 80), from.address(family));
                ask(Probe::udp(from, to.address(family), 53), from.address(family));
                ask(Probe::sctp(from, to.address(family), 80), from.address(family));
                ask(Probe::icmp(from, to.address(family)), from.address(family));
            }
            let place = conformance::lab::Place::Outside;
            ask(Probe::tcp(&place, to.address(family), 80).from_address(outside), outside);
            ask(Probe::udp(&place, to.address(family), 53).from_address(outside), outside);
            ask(Probe::tcp(to, outside, 443), to.address(family));
            ask(Probe::icmp(to, outside), to.address(family));
        }
    }
    asked
}

#[test]
fn every_pair_is_as_the_model_says() {
    let seed = setting("PALISADE_SEED", 1);
    let states = setting("PALISADE_STATES", 24);
    let lab = Lab::builder("random").nodes(NODES).ports(&[7, 53, 80, 81, 443]).build().expect("the lab");
    let specs = PODS.map(|(namespace, name, node)| PodSpec::new(node, namespace, name));
    lab.add_pods(&specs).expect("its pods");
    let asked = probes(&lab);
    let (sent, flows): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let open = lab.probe_all(&sent).expect("probes");
    let closed: Vec<_> = sent
        .iter()
        .zip(&open)
        .filter(|(_, reply)| reply.outcome != Outcome::Allowed)
        .map(|(p, _)| p)
        .collect();
    assert!(
        closed.is_empty(),
        "without policies everything passes, so that a denied packet means something: {closed:?}"
    );

    let mut enforced: Option<Enforced> = None;
    let mut lab = Some(lab);
    let (mut allowed, mut denied) = (0, 0);
    for seed in seed..seed + states {
        let mut source = Source::new(seed);
        let addresses = |key: &ObjectKey| {
            let running = lab.as_ref().or_else(|| enforced.as_ref().map(Enforced::lab));
            let pod = running.and_then(|lab| lab.pod(&key.namespace, &key.name)).expect("the pod runs");
            pod.addresses().collect::<Vec<_>>()
        };
        let cluster = state(&mut source, addresses);
        let manifests = Manifests::of(&cluster);
        match (&mut enforced, lab.take()) {
            (Some(enforced), _) => drop(enforced.update(&manifests).expect("policyd follows")),
            (none, Some(lab)) => *none = Some(Enforced::start(lab, &manifests).expect("policyd starts")),
            (None, None) => unreachable!("the lab is in one of the two"),
        }
        let running = enforced.as_ref().expect("it was started").lab();
        let replies = running.probe_all_within(&sent, Duration::from_millis(300)).expect("probes");
        let mut wrong = Vec::new();
        for ((probe, flow), reply) in sent.iter().zip(&flows).zip(&replies) {
            let verdict = cluster.verdict(flow);
            let passed = reply.outcome == Outcome::Allowed;
            if passed == verdict.allowed {
                *if passed { &mut allowed } else { &mut denied } += 1;
            } else {
                wrong.push(format!("{probe}: {} in the kernel, model: {verdict:?}", reply.outcome));
            }
        }
        let all = wrong.len();
        wrong.truncate(10);
        assert!(wrong.is_empty(), "seed {seed}: {all} wrong answers\n{}\n{cluster:#?}", wrong.join("\n"));
    }
    println!("{states} random states, {} flows each: {allowed} allowed, {denied} denied", sent.len());
    assert!(allowed > 0 && denied > 0, "both answers must come up");
}
