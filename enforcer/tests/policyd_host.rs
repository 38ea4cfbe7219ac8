//! What `policyd` makes of the host: pods' ports, bridge flags, what is missing; `check` and `cleanup`.

mod support;

use nix::sys::signal::Signal;
use std::{fs, net::TcpListener};
use support::{Node, eventually, shop, write};

/// A libcni result file as containerd's bridge plugin leaves it.
fn cni_result(pod: &str, veth: &str, host_mac: &str, mac: &str, address: &str) -> String {
    format!(
        r#"{{"kind":"cniCacheV1","containerId":"c-{pod}","ifName":"eth0","networkName":"cbr0",
        "cniArgs":[["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","{pod}"]],
        "result":{{"cniVersion":"1.0.0","interfaces":[
        {{"name":"cni0","mac":"0a:58:0a:f4:01:01"}},{{"name":"{veth}","mac":"{host_mac}"}},
        {{"name":"eth0","mac":"{mac}","sandbox":"/run/netns/x"}}],
        "ips":[{{"address":"{address}/24","interface":2}}],"dns":{{}}}}}}"#
    )
}

fn add_veth(node: &Node, name: &str, mac: &str) {
    node.ip(&format!("link add {name} address {mac} type veth peer name p{name}"));
    node.ip(&format!("link set {name} master cni0 up"));
}

#[test]
fn a_result_file_attaches_a_pods_port_and_its_end_detaches_it() {
    let node = Node::new("ports");
    node.write("shop.yaml", &shop());
    let mut running = node.start("");
    assert!(!node.nft("list tables").contains("bridge"), "no port is known: no guard");

    add_veth(&node, "veth1", "0a:00:00:00:00:01");
    let file = node.path("cni/results/cbr0-x-eth0");
    write(&file, &cni_result("db-0", "veth1", "0a:00:00:00:00:01", "02:00:0a:f4:01:03", "10.244.1.3"));
    eventually("the guard knows the port", || {
        let tables = node.nft("list tables");
        tables.contains("bridge") && node.nft("list set bridge palisade own4").contains("02:00:0a:f4:01:03")
    });

    // A port that was there before the file, and a file that lies.
    let stale = node.path("cni/results/cbr0-stale-eth0");
    write(&stale, &cni_result("front-0", "veth2", "0a:00:00:00:00:02", "02:00:0a:f4:01:02", "10.244.1.2"));
    add_veth(&node, "veth2", "0a:00:00:00:00:02");
    eventually("a device that comes after its file counts", || {
        node.nft("list set bridge palisade own4").contains("02:00:0a:f4:01:02")
    });
    node.ip("link set veth2 nomaster");
    eventually("a device that leaves the bridge is nobody's", || {
        !node.nft("list set bridge palisade own4").contains("02:00:0a:f4:01:02")
    });

    fs::remove_file(&file).unwrap();
    eventually("the file is gone, and the guard with the last port", || {
        !node.nft("list ruleset").contains("hook prerouting")
    });
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn bridge_flags_are_set_where_the_sysctls_are_off_and_put_back_by_cleanup() {
    let node = Node::new("flags");
    node.write("shop.yaml", &shop());
    for family in ["iptables", "ip6tables"] {
        fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0").unwrap();
    }
    let flags = || {
        let output = std::process::Command::new("ip").args(["-d", "link", "show", "cni0"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        ["nf_call_iptables", "nf_call_ip6tables"].map(|flag| text.contains(&format!("{flag} 1")))
    };
    assert_eq!(flags(), [false, false]);
    let check = node.policyd("check");
    assert!(check.out.contains("warn  bridged traffic"), "{}", check.out);

    let state = format!("--state-dir {}", node.path("state").display());
    assert_eq!(node.policyd("run --once").status, 0);
    assert_eq!(flags(), [true, true]);
    assert!(node.policyd("check").out.contains("ok    bridged traffic"));
    // A second run finds them set, and must not take that for what was there.
    assert_eq!(node.policyd("run --once").status, 0);

    let ended = node.policyd(&format!("cleanup {state}"));
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("removed  table inet palisade"), "{}", ended.out);
    assert_eq!(flags(), [false, false]);
    assert_eq!(node.nft("list tables"), "");
    assert!(!node.path("state").exists());
    let again = node.policyd(&format!("cleanup {state}"));
    assert_eq!((again.status, again.out.as_str()), (0, "nothing was there\n"));
}

#[test]
fn flags_that_cannot_be_set_are_no_small_matter() {
    let node = Node::new("no-flags");
    fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0").unwrap();
    // What was there before cannot be written down, so nothing may be changed.
    fs::write(node.path("state"), "a file").unwrap();
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("state"), "{}", ended.err);
    assert_eq!(node.nft("list tables"), "");
}

#[test]
fn without_privilege_it_says_so_and_what_to_do() {
    let node = Node::new("privilege");
    let ended = node.policyd_by("setpriv --reuid 65534 --regid 65534 --clear-groups", "run --once");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("CAP_NET_ADMIN is missing"), "{}", ended.err);
    assert!(ended.err.contains("help: run policyd as root"), "{}", ended.err);
}

#[test]
fn without_br_netfilter_nothing_is_enforced() {
    let node = Node::new("br-netfilter");
    let hidden =
        |arguments: &str| node.policyd_in_shell("mount -t tmpfs none /proc/sys/net/bridge", arguments);
    let ended = hidden("run --once");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("br_netfilter is not loaded"), "{}", ended.err);
    assert!(ended.err.contains("modprobe br_netfilter"), "{}", ended.err);
    assert_eq!(node.nft("list tables"), "");
    let check = hidden("check");
    assert_eq!(check.status, 1);
    assert!(check.out.contains("FAIL  bridged traffic"), "{}", check.out);
}

#[test]
fn check_names_what_would_make_policy_void() {
    let node = Node::new("check");
    let good = node.policyd("check");
    assert_eq!(good.status, 0, "{good:?}");
    assert!(good.out.contains("ok    pod bridge        cni0"), "{}", good.out);
    assert!(good.out.ends_with("13 checks: 11 ok, 2 warnings, 0 failed\n"), "{}", good.out);
    assert_eq!(node.nft("list tables"), "", "it changes nothing");

    node.nft("add table inet kube-network-policies");
    node.nft("add chain inet kube-network-policies postrouting");
    node.ip("link add flannel.1 type vxlan id 1 dstport 4789 local 10.244.1.1");
    node.ip("link add kube-ipvs0 type bridge");
    let bad = node.policyd("check");
    assert_eq!(bad.status, 1, "{bad:?}");
    for said in [
        "FAIL  kube-proxy        kube-proxy is in IPVS mode",
        "warn  second engine     kube-network-policies is here",
        "ok    overlay           VXLAN, UDP 4789 (flannel.1); pods may not send to UDP 4789",
        "policyd takeover --from kube-network-policies",
        "13 checks: 9 ok, 3 warnings, 1 failed",
    ] {
        assert!(bad.out.contains(said), "{said:?} is missing in\n{}", bad.out);
    }
    let other = node.policyd("check --pod-interface br9");
    assert!(other.out.contains("FAIL  pod bridge        br9: no such device"), "{}", other.out);
}

#[test]
fn nothing_is_enforced_beside_kube_proxy_in_ipvs_mode() {
    let node = Node::new("ipvs");
    node.ip("link add kube-ipvs0 type bridge");
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("IPVS mode"), "{}", ended.err);
    assert!(ended.err.contains("mode: nftables"), "{}", ended.err);
    assert_eq!(node.nft("list tables"), "");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let node = Node::new("address");
    let _taken = TcpListener::bind(enforcer::observe::DEFAULT_ADDRESS).expect("nobody listens there");
    let ended = node.policyd("run");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("cannot listen at 127.0.0.1:9469"), "{}", ended.err);
}
