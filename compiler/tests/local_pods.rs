//! What the host knows of its pods, against what the API says: pods that nobody has named, addresses that are nobody's yet,
//! and statuses that are old.

use compiler::{
    Compiler, Event,
    config::{Config, Port},
    ir::{Family, Key},
    reach::reach,
    skeleton::{AddressFamily, Orientation, dispatch_map},
};
use policy_model::{
    cluster::{Change, Cluster},
    labels::Labels,
    object::{ObjectKey, Pod},
    policy::Direction,
    portset::PortSet,
    reach::Reach,
    strategies,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, net::IpAddr};

const NODE: &str = "w1";
/// An address that no pod of the strategies has.
const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 1, 200));

fn port(pod: &ObjectKey, n: u8, address: IpAddr) -> Event {
    Event::Port(Port {
        id: format!("c{n}").into(),
        pod: pod.clone(),
        ifindex: u32::from(n),
        mac: [2, 0, 0, 0, 0, n],
        addresses: vec![address],
    })
}

fn pod(key: &ObjectKey, labels: Labels, address: Option<IpAddr>) -> Change {
    Change::Pod(Pod {
        key: key.clone(),
        labels,
        ips: address.into_iter().collect(),
        node: Some(NODE.into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    })
}

fn compiled(cluster: &Cluster, events: impl IntoIterator<Item = Event>) -> Compiler {
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    cluster.changes().for_each(|change| compiler.apply(change.into()));
    events.into_iter().for_each(|event| compiler.apply(event));
    let _ = compiler.commit();
    compiler
}

fn reach_of(compiler: &Compiler, direction: Direction) -> Reach {
    let reaches =
        Orientation::BOTH.map(|o| reach(compiler.ruleset(), OWN, direction, o).expect("a clear program"));
    assert_eq!(reaches[0], reaches[1]);
    reaches[0].clone()
}

/// Whether an address has its place in every dispatch map.
fn is_dispatched(compiler: &Compiler, address: IpAddr) -> bool {
    let family = AddressFamily::of(address);
    let table = &compiler.ruleset().tables[&Family::Inet];
    let maps =
        Direction::BOTH.into_iter().flat_map(|d| Orientation::BOTH.map(|o| dispatch_map(d, family, o)));
    let there: BTreeSet<bool> =
        maps.map(|map| table.sets[&*map].elements.contains_key(&Key::address(address))).collect();
    assert_eq!(there.len(), 1, "in all of them or in none");
    there.contains(&true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever its labels turn out to be: nothing passes before that is forbidden afterwards.
    #[test]
    fn a_pod_that_was_never_seen_may_do_no_more_than_under_any_labels(
        cluster in strategies::cluster(),
        namespace in strategies::pod_key(),
        labels in strategies::labels(),
    ) {
        let stranger = ObjectKey::new(namespace.namespace.clone(), "never-seen");
        let before = compiled(&cluster, [port(&stranger, 77, OWN)]);
        prop_assert!(is_dispatched(&before, OWN), "the pod is known by its address");
        let mut known = cluster.clone();
        known.apply(pod(&stranger, labels, Some(OWN)));
        for direction in Direction::BOTH {
            let reach = reach_of(&before, direction);
            let allowed = known.reach_of_address(OWN, direction);
            let more = reach.difference(&allowed);
            prop_assert!(more.is_empty(), "{} {}: {}", stranger, direction, more);
        }
    }

    /// Isolated by every policy of its namespace: in the directions that these have, with what those of them allow that
    /// select every pod.
    #[test]
    fn a_pod_that_was_never_seen_is_isolated_as_the_policies_of_its_namespace_say(
        cluster in strategies::cluster(),
        namespace in strategies::pod_key(),
    ) {
        let stranger = ObjectKey::new(namespace.namespace.clone(), "never-seen");
        let compiler = compiled(&cluster, [port(&stranger, 77, OWN)]);
        let mut certain = cluster.clone();
        for policy in cluster.policies().filter(|p| !p.pod_selector.is_everything()) {
            certain.remove_policy(&policy.key);
        }
        certain.apply(pod(&stranger, Labels::default(), Some(OWN)));
        for direction in Direction::BOTH {
            let isolates = |cluster: &Cluster| {
                let policies: Vec<_> = cluster.policies_in(&stranger.namespace).collect();
                policies.iter().any(|policy| policy.rules(direction).is_some())
            };
            let expected = if isolates(&certain) {
                certain.reach_of_address(OWN, direction)
            } else if isolates(&cluster) {
                Reach::of(OWN, OWN, PortSet::all())
            } else {
                Reach::all().same_family(OWN)
            };
            // Under a policy for every pod, pods that are peers are the same; the stranger itself is none before it is known.
            let itself = Reach::of(OWN, OWN, PortSet::all());
            prop_assert_eq!(reach_of(&compiler, direction).union(&itself), expected.union(&itself));
        }
    }

    /// A known pod's new sandbox has the verdicts of its labels, whatever address its status still names.
    #[test]
    fn a_known_pods_new_sandbox_keeps_its_verdicts(
        cluster in strategies::cluster(),
        key in strategies::pod_key(),
        labels in strategies::labels(),
    ) {
        let old = IpAddr::from([10, 244, 1, 201]);
        let mut late = cluster.clone();
        late.apply(pod(&key, labels.clone(), Some(old)));
        let mut known = cluster;
        known.apply(pod(&key, labels, Some(OWN)));
        let compiler = compiled(&late, [port(&key, 77, OWN)]);
        prop_assert!(!is_dispatched(&compiler, old), "nobody is at the old address");
        for direction in Direction::BOTH {
            prop_assert_eq!(reach_of(&compiler, direction), known.reach_of_address(OWN, direction));
        }
    }
}

#[test]
fn a_withheld_address_is_nobodys_and_comes_back() {
    let (old, new) = (ObjectKey::new("shop", "old"), ObjectKey::new("shop", "new"));
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    compiler.apply(pod(&old, Labels::default(), Some(OWN)).into());
    compiler.apply(pod(&new, Labels::default(), None).into());
    compiler.apply(port(&old, 1, OWN));
    let _ = compiler.commit();
    assert!(is_dispatched(&compiler, OWN));
    let owner = |compiler: &Compiler| {
        let pods = compiler.local_pods();
        let owners = pods.iter().filter(|pod| pod.addresses.contains(&OWN));
        owners.map(|pod| pod.key.name.to_string()).collect::<Vec<_>>()
    };

    // The old pod's lease is deleted; its veth goes, and the API still lists it with its address.
    compiler.apply(Event::Withheld([OWN].into()));
    let _ = compiler.commit();
    assert!(!is_dispatched(&compiler, OWN) && owner(&compiler).is_empty());
    compiler.apply(Event::PortDeleted("c1".into()));
    let _ = compiler.commit();
    assert!(!is_dispatched(&compiler, OWN));

    // The new pod has a lease, then a result.
    compiler.apply(port(&new, 2, OWN));
    let _ = compiler.commit();
    assert!(!is_dispatched(&compiler, OWN));
    compiler.apply(Event::Withheld(BTreeSet::new()));
    let _ = compiler.commit();
    assert_eq!(owner(&compiler), ["new"], "the old pod's status does not count");
    assert!(compiler.conflicts().is_empty());

    // Without the host's word the status is all there is.
    compiler.apply(Event::PortDeleted("c2".into()));
    let _ = compiler.commit();
    assert_eq!(owner(&compiler), ["old"]);
}

#[test]
fn two_living_interfaces_with_one_address_are_judged_by_both() {
    let (one, other) = (ObjectKey::new("shop", "one"), ObjectKey::new("shop", "other"));
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    for (n, key) in [(1, &one), (2, &other)] {
        compiler.apply(pod(key, Labels::default(), None).into());
        compiler.apply(port(key, n, OWN));
    }
    let _ = compiler.commit();
    assert_eq!(compiler.conflicts(), [(OWN, vec![one, other])]);
}
