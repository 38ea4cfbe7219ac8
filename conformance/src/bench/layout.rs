//! Other people's layouts, rebuilt from what they publish and fed with the same policies. Not their programs: those run
//! live elsewhere.

mod calico;
mod kube_router;
mod pods;

pub use calico::calico;
pub use kube_router::kube_router_nftables;

use super::{
    Contender,
    cluster::{self, Plan},
    stage::PERMITTED,
};
use crate::lab::{Family, Lab, addresses};
use std::fmt::Write;

/// The chain of an empty firewall, with conntrack on.
#[must_use]
pub fn empty(lab: &Lab, name: &str, table: &str) -> Contender {
    let chain = "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tct state established\n\t}\n";
    Contender::of_tables(name, &[("inet", table, chain.to_owned())], lab.nodes().len())
}

/// What a packet of an established flow meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Established {
    /// It is accepted in the pod's chain: a revoked flow goes on.
    Accepted,
    /// It walks the policies, as Palisade judges every packet; replies are accepted by direction.
    Judged,
}

/// kube-router's layout of iptables and ipsets (v2, `pkg/controllers/netpol`), written as nft rules: a rule for each isolated pod that jumps to the pod's chain, there a
/// jump to the chain of each policy, which sets a mark where it permits; at the end what has no mark is rejected. Each
/// policy's peers are a set. All local pods are isolated.
#[must_use]
pub fn kube_router_iptables(lab: &Lab, name: &str, policies: usize, established: Established) -> Contender {
    let title = match established {
        Established::Accepted => {
            format!("kube-router's iptables layout, {policies} policies (established accepted)")
        }
        Established::Judged => format!("the same, {policies} policies, each packet judged"),
    };
    let tables = Family::BOTH.map(|family| {
        let ip = family.pick("ip", "ip6");
        (ip, name, table(lab, ip, policies, established, family))
    });
    Contender::of_tables(&title, &tables, lab.nodes().len())
}

fn table(lab: &Lab, ip: &str, policies: usize, established: Established, family: Family) -> String {
    let mut text = String::new();
    let kind = family.pick("ipv4_addr", "ipv6_addr");
    let own = |nodes: fn(&crate::lab::Pod) -> bool| {
        let pods = lab.pods().into_iter().filter(move |pod| nodes(pod));
        pods.map(|pod| pod.address(family).to_string()).collect::<Vec<_>>().join(", ")
    };
    let clients = own(|pod| &*pod.key().name == cluster::CLIENT);
    let servers = own(|pod| &*pod.key().name != cluster::CLIENT);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\tset servers {{ type {kind}; elements = {{ {servers} }}; }}");
    let _ = writeln!(text, "\tset clients {{ type {kind}; elements = {{ {clients} }}; }}");
    for i in 0..policies {
        let (peer, port) = Plan::peer(i, family);
        let _ = writeln!(text, "\tset from-{i} {{ type {kind}; elements = {{ {peer} }}; }}");
        let permits = |source: &str, port: String| {
            format!(
                "\t\t{ip} saddr @{source} {ip} daddr @servers {port} meta mark set meta mark or 0x10000\n\
                 \t\tmeta mark and 0x10000 == 0x10000 return\n"
            )
        };
        let mut rules = permits(&format!("from-{i}"), format!("tcp dport {port}"));
        if i + 1 == policies {
            for (protocol, port) in PERMITTED {
                rules += &permits("clients", format!("{} dport {port}", protocol.name().to_lowercase()));
            }
        }
        let _ = writeln!(text, "\tchain policy-{i} {{\n{rules}\t}}");
    }
    let first = match established {
        Established::Accepted => "ct state related,established accept",
        Established::Judged => "ct direction reply accept",
    };
    let jumps: String = (0..policies).map(|i| format!("\t\tjump policy-{i}\n")).collect();
    let _ = writeln!(
        text,
        "\tchain pod {{\n\t\t{first}\n{jumps}\t\tmeta mark and 0x10000 == 0 reject\n\
         \t\tmeta mark set meta mark and 0xfffeffff\n\t}}"
    );
    let _ =
        writeln!(text, "\tchain forward {{\n\t\ttype filter hook forward priority filter; policy accept;");
    // The pods of the flows stand in the middle of all local pods.
    let others = |hosts: std::ops::Range<u8>| {
        let address = move |host: u8| -> String {
            family.pick(addresses::pod4(1, host).to_string(), addresses::pod6(1, host.into()).to_string())
        };
        hosts.map(|host| format!("\t\t{ip} daddr {} jump pod\n", address(host))).collect::<String>()
    };
    let own = lab.pods().into_iter().map(|pod| {
        let side = if &*pod.key().name == cluster::CLIENT { "saddr" } else { "daddr" };
        format!("\t\t{ip} {side} {} jump pod\n", pod.address(family))
    });
    text += &others(100..100 + cluster::LOCAL_PODS / 2);
    text.extend(own);
    text += &others(100 + cluster::LOCAL_PODS / 2..100 + cluster::LOCAL_PODS);
    text += "\t}\n";
    text
}

/// How often a step stands in the chain that measures it.
pub const REPEATED: u8 = 8;

/// The steps that rulesets are made of: for each an empty forward chain with [`REPEATED`] of it, none of
/// which decides anything. IPv4, where a payload is compared; each such rule also tests the family, as nft writes it.
#[must_use]
pub fn steps(lab: &Lab) -> Vec<Contender> {
    let addresses =
        |suffix: &str| (0..250).map(|i| format!("10.99.0.{i}{suffix}")).collect::<Vec<_>>().join(", ");
    let set = |of: &str, elements: String| format!("\tset s {{ type {of}; elements = {{ {elements} }}; }}\n");
    let ports = addresses(" . tcp . 80");
    let key = "ip saddr . meta l4proto . th dport @s return";
    let ranges = "224.0.0.0/4, 255.255.255.255".to_owned();
    let steps = [
        ("jump to an empty chain and back", "\tchain e {\n\t}\n".to_owned(), "jump e"),
        ("ct direction", String::new(), "ct direction reply ct direction original return"),
        ("ct state", String::new(), "ct state new return"),
        ("family", String::new(), "meta nfproto ipv6 meta nfproto ipv4 return"),
        ("address, compared", String::new(), "ip saddr 192.0.2.1 return"),
        (
            "address in a set that has a size",
            set("ipv4_addr; size 4096", addresses("")),
            "ip saddr @s return",
        ),
        ("address in a set that grows", set("ipv4_addr", addresses("")), "ip saddr @s return"),
        (
            "address . protocol . port in a set that grows",
            set("ipv4_addr . inet_proto . inet_service", ports),
            key,
        ),
        ("address in a set of ranges", set("ipv4_addr; flags interval", ranges), "ip saddr @s return"),
    ];
    let steps = steps.into_iter().enumerate().map(|(i, (name, objects, rule))| {
        let rules = format!("\t\t{rule}\n").repeat(REPEATED.into());
        let chain = format!(
            "{objects}\tchain forward {{\n\t\ttype filter hook forward priority filter; policy accept;\n\
             \t\tct state established\n{rules}\t}}\n"
        );
        let table = format!("step-{i}");
        Contender::of_tables(name, &[("inet", &table, chain)], lab.nodes().len())
    });
    steps.collect()
}
