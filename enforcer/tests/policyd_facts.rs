//! What a host is like, as `policyd check` prints it and as `policyd run` tells of its changes.

mod support;

use serde_json::Value;
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use support::{Node, http, shop, write};

/// Sysctls are read every ten seconds, and others' rules after fifteen.
const PATIENCE: Duration = Duration::from_secs(40);

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn folders(node: &Node) -> String {
    format!(
        "--cni-dir {} --cni-conf-dir {} --subnet-file {}",
        node.path("cni").display(),
        node.path("conf").display(),
        node.path("subnet.env").display()
    )
}

/// `(status, value, what)` of a fact, with its help.
fn fact(node: &Node, name: &str) -> (String, String, String, String) {
    let ended = node.policyd(&format!("check --output json {}", folders(node)));
    let answer: Value = serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    assert_eq!(answer["kind"], "Check");
    assert_eq!(answer["ready"], ended.status == 0, "{answer:#}");
    let checks = answer["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["fact"] == name).expect(name);
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("value"), text("what"), text("help"))
}

#[test]
fn pod_ranges_are_told_with_where_they_come_from() {
    let node = Node::new("ranges");
    let (status, value, what, _) = fact(&node, "pod_ranges");
    assert_eq!(
        (status.as_str(), value.as_str(), what.as_str()),
        ("ok", "10.244.1.0/24", "10.244.1.0/24 (cni0)")
    );

    let file = node.path("subnet.env");
    write(
        &file,
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_SUBNET=fd00:1::1/64\n",
    );
    let (_, value, what, _) = fact(&node, "pod_ranges");
    assert_eq!(value, "10.244.1.0/24, fd00:1::/64");
    let from_file = format!("10.244.1.0/24, fd00:1::/64 ({})", file.display());
    assert_eq!(what, format!("{from_file}; 10.244.1.0/24 (cni0)"));

    write(&file, "FLANNEL_SUBNET=10.244.1.1/99\n");
    let (status, _, what, _) = fact(&node, "pod_ranges");
    assert!(status == "warn" && what.contains("FLANNEL_SUBNET: \"10.244.1.1/99\""), "{what}");

    fs::remove_file(&file).unwrap();
    node.ip("addr del 10.244.1.1/24 dev cni0");
    let (status, value, what, help) = fact(&node, "pod_ranges");
    assert_eq!((status.as_str(), value.as_str()), ("warn", "unknown"));
    assert!(what.starts_with("unknown, and not guessed"), "{what}");
    assert!(help.contains("isolated all the same"), "{help}");
    // Known pods are isolated without any range.
    node.write("shop.yaml", &shop());
    assert_eq!(node.policyd("run --once").status, 0);
    assert!(
        node.nft("list map inet palisade ingress4-o").contains("10.244.1.3 comment \"shop/db-0\" : goto in-")
    );
}

#[test]
fn the_bridge_of_flannels_range_is_the_pods() {
    let node = Node::new("bridge-of-range");
    node.ip("link add kube-bridge type bridge");
    node.ip("addr add 10.9.0.1/24 dev kube-bridge");
    write(&node.path("subnet.env"), "FLANNEL_NETWORK=10.9.0.0/16\nFLANNEL_SUBNET=10.9.0.1/24\n");
    assert_eq!(fact(&node, "pod_bridge").1, "cni0, kube-bridge");
    let shown = node.policyd(&format!(
        "run --dry-run {}",
        folders(&node).split_once(' ').unwrap().1.split_once(' ').unwrap().1
    ));
    assert!(shown.out.contains("iifname \"kube-bridge\""), "{shown:?}");
}

#[test]
fn leases_elsewhere_are_found_by_the_configuration() {
    let node = Node::new("conf");
    let (status, value, ..) = fact(&node, "cni_files");
    assert_eq!((status.as_str(), value.as_str()), ("warn", "absent"));
    fs::create_dir_all(node.path("cni/results")).unwrap();
    let conf = r#"{"name": "cbr0", "plugins": [{"type": "flannel", "delegate": {"ipam": {"dataDir": "/run/leases"}}}]}"#;
    write(&node.path("conf/10-flannel.conflist"), conf);
    let (status, _, what, _) = fact(&node, "cni_files");
    assert!(status == "ok" && what.contains("network cbr0"), "{what}");
    let set = format!("check --output json {} --cni-networks-dir /elsewhere", folders(&node));
    assert!(node.policyd(&set).out.contains("give --cni-networks-dir /run/leases"));
}

#[test]
fn backend_and_masquerade_are_told() {
    let node = Node::new("backend");
    assert_eq!(fact(&node, "overlay").1, "none");
    assert_eq!(fact(&node, "masquerade").1, "none");
    write(
        &node.path("subnet.env"),
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPMASQ=true\n",
    );
    node.ip("link add eth0 type bridge");
    node.ip("addr add 192.168.50.1/24 dev eth0");
    node.ip("link set eth0 up");
    node.ip("route add 10.244.2.0/24 via 192.168.50.2");
    assert_eq!(fact(&node, "overlay").1, "host-gw");
    node.ip("link add flannel.1 type vxlan id 1 dstport 8472 local 192.168.50.1");
    assert_eq!(fact(&node, "overlay").1, "VXLAN, UDP 8472 (flannel.1)");

    node.nft("add table ip flannel-ipv4");
    node.nft("add chain ip flannel-ipv4 postrtg { type nat hook postrouting priority srcnat ; }");
    node.nft("add rule ip flannel-ipv4 postrtg ip saddr 10.244.0.0/16 masquerade fully-random");
    let (status, value, ..) = fact(&node, "masquerade");
    assert_eq!((status.as_str(), value.as_str()), ("ok", "Flannel"));
    node.nft("add table ip nat");
    node.nft("add chain ip nat CNI-f2c3d9");
    node.nft("add rule ip nat CNI-f2c3d9 ip daddr != 224.0.0.0/4 masquerade");
    let (status, _, what, _) = fact(&node, "masquerade");
    assert!(status == "warn" && what.contains("the bridge plugin (ipMasq) masquerades pods"), "{what}");
}

/// The value of a fact's metric.
fn metric(fact: &str) -> Option<u8> {
    let page = http("/metrics")?;
    let line =
        page.lines().find(|line| line.starts_with(&format!("palisade_node_fact{{fact=\"{fact}\"}}")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_changes_while_it_runs_is_said_and_counted() {
    let node = Node::new("changes");
    node.write("shop.yaml", &shop());
    let running = node.start(
        &folders(&node).split_once(" --cni-conf").map(|(_, rest)| format!("--cni-conf{rest}")).unwrap(),
    );
    eventually("facts are looked at", || {
        metric("kube_proxy") == Some(0) && metric("bridged_traffic") == Some(0)
    });
    assert!(!running.log().contains("this host has changed"), "{}", running.log());

    fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0").unwrap();
    eventually("a switch that is turned off", || running.log().contains("fact=\"bridged traffic\""));
    node.ip("link add kube-ipvs0 type bridge");
    eventually("kube-proxy in IPVS mode", || metric("kube_proxy") == Some(2));
    assert!(running.log().contains("kube-proxy is in IPVS mode"), "{}", running.log());
    node.ip("link del kube-ipvs0");
    eventually("and back", || metric("kube_proxy") == Some(0));
    assert_eq!(metric("second_engine"), Some(0));
    node.nft("add table inet kube-network-policies");
    node.nft("add chain inet kube-network-policies postrouting");
    eventually("a second engine", || metric("second_engine") == Some(1));
    assert!(running.log().contains("kube-network-policies is here"), "{}", running.log());
}
