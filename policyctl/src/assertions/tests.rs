use super::*;
use crate::endpoint::Slices;
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
};

/// `shop/a` and `shop/b` with both families, `shop/old` with IPv4 alone.
fn cluster() -> Cluster {
    let pod = |name: &str, ips: &[&str]| Pod {
        key: ObjectKey::new("shop", name),
        labels: [("app", name)].into_iter().collect(),
        ips: ips.iter().map(|ip| ip.parse().expect("an address")).collect(),
        node: None,
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    };
    let mut cluster = Cluster::new();
    cluster.insert_pod(pod("a", &["10.244.1.2", "fd00::2"]));
    cluster.insert_pod(pod("b", &["10.244.1.3", "fd00::3"]));
    cluster.insert_pod(pod("old", &["10.244.1.4"]));
    cluster
}

fn assertions(text: &str) -> Vec<Assertion> {
    let file = TestFile::parse(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    file.resolve(&cluster(), &Slices::new()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn probes(text: &str) -> Vec<String> {
    assertions(text).iter().flat_map(|a| a.probes.iter().map(ToString::to_string)).collect()
}

/// The faults of a file, of its syntax or of what it names.
fn faults(text: &str) -> Vec<String> {
    let result = TestFile::parse(text).and_then(|file| file.resolve(&cluster(), &Slices::new()));
    result.expect_err("it is wrong").iter().map(ToString::to_string).collect()
}

#[test]
fn the_three_forms_say_who_and_where_to() {
    let text = "
tests:
- name: by destination
  to: shop/b:80/TCP
  allow: [shop/a]
  deny: [shop/old, 192.0.2.1]
- name: by source
  from: shop/old
  allow: ['shop/a/ICMP']
- name: single
  from: shop/a
  to: shop/b:53/UDP
  expect: Denied
";
    let seen: Vec<_> = assertions(text).iter().map(|a| (a.to_string(), a.probes.len())).collect();
    assert_eq!(
        seen,
        [
            ("by destination: shop/a -> shop/b:80/TCP expected Allowed".into(), 2),
            ("by destination: shop/old -> shop/b:80/TCP expected Denied".into(), 1),
            ("by destination: 192.0.2.1 -> shop/b:80/TCP expected Denied".into(), 1),
            ("by source: shop/old -> shop/a/ICMP expected Allowed".into(), 1),
            ("single: shop/a -> shop/b:53/UDP expected Denied".into(), 2),
        ]
    );
    assert_eq!(
        probes("tests: [{name: x, from: shop/old, to: shop/a/ICMP, expect: Denied}]"),
        ["shop/old (10.244.1.4) -> shop/a (10.244.1.2) ICMP"]
    );
}

#[test]
fn both_families_are_asked_unless_one_is_named() {
    let with = |family: &str| {
        let text = format!("tests: [{{name: x, from: shop/a, to: shop/b:80, expect: Allowed{family}}}]");
        assertions(&text)[0].probes.iter().map(|p| p.flow.destination.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(with(""), ["shop/b (10.244.1.3)", "shop/b (fd00::3)"]);
    assert_eq!(with(", family: IPv6"), ["shop/b (fd00::3)"]);
}

#[test]
fn a_pattern_leaves_a_pods_traffic_to_itself_out_and_names_keep_it() {
    let to_b = probes("tests: [{name: x, to: 'shop/b:80', deny: ['shop/*']}]");
    assert_eq!(to_b.len(), 3, "{to_b:?}");
    let itself = probes("tests: [{name: x, from: shop/a, to: 'shop/a:80', expect: Allowed, family: IPv4}]");
    assert_eq!(itself, ["shop/a (10.244.1.2) -> shop/a (10.244.1.2) TCP 80"]);
}

#[test]
fn groups_stand_for_their_members_with_the_same_ports() {
    let text = "
groups:
  pair: [shop/a, 'shop/[app=b]']
tests:
- {name: x, from: 192.0.2.1, allow: ['$pair:80/TCP', $pair/ICMP]}
- {name: y, to: shop/old:80, deny: [$pair]}
";
    let seen: Vec<_> = assertions(text).iter().map(|a| (a.about.clone(), a.probes.len())).collect();
    let expected =
        [("192.0.2.1 -> $pair:80/TCP", 2), ("192.0.2.1 -> $pair/ICMP", 2), ("$pair -> shop/old:80", 2)];
    assert_eq!(seen, expected.map(|(about, probes)| (about.to_owned(), probes)));
}

#[test]
fn any_asks_for_one_and_every_for_all() {
    let text =
        |require| format!("tests: [{{name: x, from: 192.0.2.1, allow: ['shop/*:80'], require: {require}}}]");
    let failed =
        |require, allowed: fn(&Probe) -> Option<bool>| assertions(&text(require))[0].failures(allowed).len();
    let only_old = |probe: &Probe| Some(probe.flow.destination.to_string().contains("10.244.1.4"));
    assert_eq!(failed("every", only_old), 2);
    assert_eq!(failed("any", only_old), 0);
    assert_eq!(failed("any", |_| Some(false)), 3);
    assert_eq!(failed("every", |_| Some(true)), 0);
    assert_eq!(failed("every", |_| None), 0, "what cannot be asked fails nothing");
}

#[test]
fn every_fault_has_its_place_and_none_hides_another() {
    let text = "
tests:
- name: misspelt pod
  to: shop/b:80
  allow: [shop/a, shop/c]
- name: nothing in common
  from: shop/old
  deny: ['[fd00::3]:80']
";
    let found = faults(text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("5:19: test \"misspelt pod\": there is no pod shop/c; there are a, b"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("8:10: test \"nothing in common\"") && found[1].contains("no flow"),
        "{found:?}"
    );
}

#[test]
fn what_is_no_test_is_refused() {
    for (text, part) in [
        ("tests: []", "no tests"),
        ("tests: [{name: '', from: shop/a, to: 'shop/b', expect: Allowed}]", "name is empty"),
        ("tests: [{name: x, from: shop/a, to: shop/b}]", "three forms"),
        ("tests: [{name: x, from: shop/a, to: shop/b, expect: Allowed, allow: [shop/a]}]", "three forms"),
        ("tests: [{name: x, to: shop/b}]", "three forms"),
        ("tests: [{name: x, from: shop/a, allows: [shop/b]}]", "allows"),
        ("tests: [{name: x, from: shop/a, to: shop/b, expect: allowed}]", "Allowed"),
        ("tests: [{name: x, from: 'shop/a:80', to: shop/b, expect: Allowed}]", "a source has none"),
        ("tests: [{name: x, from: $g, to: shop/b, expect: Allowed}]", "no group $g"),
        (
            "{groups: {g: ['$h'], h: [shop/a]}, tests: [{name: x, from: $g, to: shop/b, expect: Allowed}]}",
            "another group",
        ),
        ("tests: [", "1:"),
        ("groups: {}", "tests"),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|fault| fault.contains(part)), "{text}: {found:?}");
    }
}
