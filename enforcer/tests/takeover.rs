//! `policyd takeover`: what another engine has left goes, and nothing else, by the real kernel's iptables, ipset and nftables.

mod support;

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};
use support::{Node, shop};

/// What kube-router's firewall makes for one pod and one policy (v2.1.0, shortened), between rules of others.
const FILTER: &str = "*filter
:KUBE-ROUTER-INPUT - [0:0]
:KUBE-ROUTER-FORWARD - [0:0]
:KUBE-ROUTER-OUTPUT - [0:0]
:KUBE-ROUTER-SERVICES - [0:0]
:KUBE-NWPLCY-DEFAULT - [0:0]
:KUBE-NWPLCY-LODKIAIK3ECCAW33 - [0:0]
:KUBE-POD-FW-6T4ZVQIPQUILB6F6 - [0:0]
:KUBE-FIREWALL - [0:0]
:FLANNEL-FWD - [0:0]
-A INPUT -m comment --comment \"kube-router netpol - 4IA2OSFRMVNDXBVV\" -j KUBE-ROUTER-INPUT
-A INPUT -j KUBE-FIREWALL
-A INPUT -j KUBE-ROUTER-SERVICES
-A FORWARD -m comment --comment \"kube-router netpol - TEMCG2JMHZYE7H7T\" -j KUBE-ROUTER-FORWARD
-A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD
-A OUTPUT -m comment --comment \"kube-router netpol - VEAAIY32XVBHCSCY\" -j KUBE-ROUTER-OUTPUT
-A FLANNEL-FWD -m comment --comment \"flanneld forward\" -j ACCEPT
-A KUBE-FIREWALL -m conntrack --ctstate INVALID -j DROP
-A KUBE-NWPLCY-DEFAULT -j MARK --set-xmark 0x10000/0x10000
-A KUBE-NWPLCY-LODKIAIK3ECCAW33 -p udp -m set --match-set KUBE-SRC-I4MVFMB7R36OQ4J2 src -m udp --dport 7000 -j RETURN
-A KUBE-POD-FW-6T4ZVQIPQUILB6F6 -m comment --comment \"run through nw policy deny\" -j KUBE-NWPLCY-LODKIAIK3ECCAW33
-A KUBE-POD-FW-6T4ZVQIPQUILB6F6 -j KUBE-NWPLCY-DEFAULT
-A KUBE-POD-FW-6T4ZVQIPQUILB6F6 -m mark ! --mark 0x10000/0x10000 -j REJECT
-A KUBE-ROUTER-FORWARD -m comment --comment \"rule to jump traffic destined to POD\" -j KUBE-POD-FW-6T4ZVQIPQUILB6F6
-A KUBE-ROUTER-INPUT -m comment --comment \"rule to jump traffic from POD\" -j KUBE-POD-FW-6T4ZVQIPQUILB6F6
COMMIT
";
/// Its names. Its service proxy's chain is not the firewall's.
const ITS: [&str; 5] =
    ["KUBE-ROUTER-INPUT", "KUBE-ROUTER-FORWARD", "KUBE-ROUTER-OUTPUT", "KUBE-NWPLCY-", "KUBE-POD-FW-"];

/// Runs a shell command in the node; gives its standard output.
fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).stderr(Stdio::inherit()).output().expect("sh");
    assert!(output.status.success(), "{command}");
    String::from_utf8(output.stdout).expect("text")
}

/// Rules without counters: those that name kube-router's chains, or the others.
fn rules(tool: &str, its: bool) -> Vec<String> {
    let saved = shell(&format!("{tool}-save | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'"));
    let is_its = |line: &&str| ITS.iter().any(|name| line.contains(name));
    saved.lines().filter(|line| is_its(line) == its).map(str::to_owned).collect()
}

fn load(tool: &str) {
    let (family, prefix) = if tool.starts_with("ip6") { ("inet6", "inet6:") } else { ("inet", "") };
    shell(&format!("ipset create -exist {prefix}KUBE-SRC-I4MVFMB7R36OQ4J2 hash:ip family {family}"));
    let filter = FILTER.replace("--match-set ", &format!("--match-set {prefix}"));
    let filter = if prefix.is_empty() { filter } else { filter.replace("-j REJECT", "-j DROP") };
    shell(&format!("{tool}-restore <<'EOF'\n{filter}EOF"));
}

#[test]
fn what_kube_router_left_goes_and_rules_of_others_stay() {
    let node = Node::new("takeover");
    node.write("shop.yaml", &shop());
    let _policyd = node.start("");
    for tool in ["iptables", "ip6tables"] {
        load(tool);
    }
    shell("ipset create somebody hash:ip");
    let others = ["iptables", "ip6tables"].map(|tool| rules(tool, false));
    let its = ["iptables", "ip6tables"].map(|tool| rules(tool, true));
    assert!(its.iter().all(|rules| rules.len() > 15), "{its:?}");

    let dry = node.policyd("takeover --from kube-router --dry-run");
    assert_eq!(dry.status, 0, "{dry:?}");
    assert!(dry.out.contains("would remove  6 chains of table ip filter, and 3 jumps to them"), "{dry:?}");
    assert_eq!(["iptables", "ip6tables"].map(|tool| rules(tool, true)), its, "nothing is removed");

    let ended = node.policyd("takeover --from kube-router");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("removed  6 chains of table ip6 filter, and 3 jumps to them"), "{ended:?}");
    assert!(ended.out.contains("removed  ipset inet6:KUBE-SRC-I4MVFMB7R36OQ4J2"), "{ended:?}");
    assert_eq!(["iptables", "ip6tables"].map(|tool| rules(tool, true)), [const { Vec::<String>::new() }; 2]);
    assert_eq!(["iptables", "ip6tables"].map(|tool| rules(tool, false)), others);
    assert_eq!(shell("ipset list -name"), "somebody\n");
    assert!(node.nft("list tables").contains("table inet palisade"));

    let again = node.policyd("takeover --from kube-router");
    assert_eq!(again.status, 0, "{again:?}");
    assert!(again.out.contains("nothing of kube-router is here"), "{again:?}");
}

#[test]
fn tables_of_its_own_go_whole() {
    let node = Node::new("tables");
    node.write("shop.yaml", &shop());
    let _policyd = node.start("");
    // As kube-network-policies makes it, without its `queue`, which this kernel may not have; and kube-router with nftables.
    shell(
        "nft -f - <<'EOF'
table inet kube-network-policies {
    set podips-v4 { type ipv4_addr; elements = { 10.244.1.2 }; }
    chain postrouting {
        type filter hook postrouting priority srcnat - 5;
        icmpv6 type nd-neighbor-solicit accept
        ct state established,related accept
        ip saddr @podips-v4 counter
    }
}
table ip kube-router-filter-ipv4 {
    chain KUBE-POD-FW-A { counter accept; }
    chain KUBE-ROUTER-FORWARD { type filter hook forward priority filter; ip daddr 10.244.1.2 jump KUBE-POD-FW-A; }
}
table inet somebody {
    chain KUBE-LIKE { }
    chain forward { type filter hook forward priority filter; jump KUBE-LIKE; }
}
EOF",
    );
    let before = node.nft("list table inet somebody");
    let ended = node.policyd("takeover --from kube-network-policies");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("removed  table inet kube-network-policies"), "{ended:?}");
    assert!(node.nft("list tables").contains("kube-router-filter-ipv4"), "it was not asked to go");
    let ended = node.policyd("takeover --from kube-router");
    assert!(ended.out.contains("removed  table ip kube-router-filter-ipv4"), "{ended:?}");
    let tables = node.nft("list tables");
    assert!(!tables.contains("kube-") && tables.contains("inet palisade"), "{tables}");
    assert_eq!(node.nft("list table inet somebody"), before);
}

#[test]
fn it_is_refused_until_palisade_enforces_and_the_other_does_not_run() {
    let node = Node::new("refused");
    load("iptables");
    let its = rules("iptables", true);
    let alone = node.policyd("takeover --from kube-router");
    assert_eq!(alone.status, 1, "{alone:?}");
    assert!(alone.said().contains("policyd does not answer at 127.0.0.1:9469"), "{alone:?}");

    node.write("shop.yaml", &shop());
    let _policyd = node.start("");
    let health = TcpListener::bind("127.0.0.1:20244").unwrap();
    let both = node.policyd("takeover --from kube-router");
    assert_eq!(both.status, 1, "{both:?}");
    assert!(both.said().contains("kube-router runs on this node"), "{both:?}");
    assert_eq!(rules("iptables", true), its, "nothing is removed");
    drop(health);

    // Somebody else's rule that looks into one of its sets.
    shell("iptables -A INPUT -m set --match-set KUBE-SRC-I4MVFMB7R36OQ4J2 src -j DROP");
    let used = node.policyd("takeover --from kube-router");
    assert_eq!(used.status, 1, "{used:?}");
    assert!(used.said().contains("KUBE-SRC-I4MVFMB7R36OQ4J2 stays"), "{used:?}");

    assert_eq!(node.policyd("takeover").status, 2);
    assert_eq!(node.policyd("takeover --from calico").status, 2);
}

#[test]
fn rules_of_the_old_iptables_are_named_with_what_removes_them() {
    let node = Node::new("legacy");
    node.write("shop.yaml", &shop());
    let _policyd = node.start("");
    load("iptables-legacy");
    let its = rules("iptables-legacy", true);
    let ended = node.policyd("takeover --from kube-router");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.said().contains("the old iptables"), "{ended:?}");
    assert_eq!(rules("iptables-legacy", true), its, "they are left to the tool that can");
    let to_do = ended.out.lines().find_map(|line| line.strip_prefix("to do    iptables-"));
    shell(&format!("iptables-{}", to_do.expect("what to do")));
    let ended = node.policyd("takeover --from kube-router");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(rules("iptables-legacy", false).iter().any(|rule| rule.contains("FLANNEL-FWD")));
    assert_eq!(shell("ipset list -name"), "");
}
