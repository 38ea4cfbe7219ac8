//! kube-router's newer layout, of nftables, rebuilt from what it publishes of it (`pkg/controllers/netpol/npc_nftables.go`): two
//! rules a pod lead to the pod's chain, there a jump to the chain of each policy, which sets a mark where it permits.

use super::{super::Contender, Plan, pods::Pods};
use crate::{
    bench::stage::PERMITTED,
    lab::{Family, Lab},
};
use std::fmt::Write;

/// All local pods are isolated for both directions by the same policies.
#[must_use]
pub fn kube_router_nftables(lab: &Lab, name: &str, policies: usize) -> Contender {
    let tables = Family::BOTH.map(|family| {
        let ip = family.pick("ip", "ip6");
        (ip, name, table(lab, ip, policies, family))
    });
    let title = format!("kube-router's nftables layout, {policies} policies (established accepted)");
    Contender::of_tables(&title, &tables, lab.nodes().len())
}

fn table(lab: &Lab, ip: &str, policies: usize, family: Family) -> String {
    let pods = Pods::of(lab, family);
    let kind = family.pick("ipv4_addr", "ipv6_addr");
    let icmp = family.pick("icmp", "icmpv6");
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut set = |name: &str, members: &[&String]| {
        let members = members.iter().map(|member| member.as_str()).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "\tset {name} {{ type {kind}; elements = {{ {members} }}; }}");
    };
    let all: Vec<&String> = pods.all().collect();
    set("clients", &pods.clients.iter().collect::<Vec<_>>());
    set("servers", &pods.servers.iter().collect::<Vec<_>>());
    for i in 0..policies {
        // Each policy has sets of its own for the pods that it selects.
        set(&format!("to-{i}"), &all);
        set(&format!("from-{i}"), &all);
        set(&format!("peers-{i}"), &[&Plan::peer(i, family).0.to_string()]);
    }
    for i in 0..policies {
        let permit = |source: &str, destination: &str, port: &str| {
            format!(
                "\t\t{ip} saddr @{source} {ip} daddr @{destination} {port} counter meta mark set meta mark or 0x10000 return\n"
            )
        };
        let [to, from, peers] = ["to", "from", "peers"].map(|set| format!("{set}-{i}"));
        let own = format!("tcp dport {}", Plan::peer(i, family).1);
        let mut rules = permit(&peers, &to, &own);
        let mut out = permit(&from, &peers, &own);
        if i + 1 == policies {
            for (protocol, port) in PERMITTED {
                let port = format!("{} dport {port}", protocol.name().to_lowercase());
                rules += &permit("clients", &to, &port);
                out += &permit(&from, "servers", &port);
            }
        }
        let _ = writeln!(text, "\tchain policy-{i} {{\n{rules}{out}\t}}");
    }
    let messages = ["echo-request", "destination-unreachable", "time-exceeded"];
    let messages: String =
        messages.iter().map(|message| format!("\t\t{icmp} type {message} counter accept\n")).collect();
    let _ = writeln!(
        text,
        "\tchain common {{\n\t\tct state invalid counter drop\n\
         \t\tct state established,related counter accept\n{messages}\t}}"
    );
    let jumps: String = (0..policies).map(|i| format!("\t\tcounter jump policy-{i}\n")).collect();
    let mut forward = String::new();
    for (number, address) in pods.all().enumerate() {
        let _ = writeln!(
            text,
            "\tchain pod-{number} {{\n\t\tcounter jump common\n\
             \t\tfib saddr type local {ip} daddr {address} counter accept\n{jumps}\
             \t\tmeta mark and 0x10000 == 0 limit rate 10/minute burst 10 packets log group 100\n\
             \t\tmeta mark and 0x10000 == 0 counter reject\n\
             \t\tmeta mark set meta mark and 0xfffeffff\n\
             \t\tmeta mark set meta mark or 0x20000\n\t}}"
        );
        for side in ["daddr", "saddr"] {
            let _ = writeln!(forward, "\t\t{ip} {side} {address} counter jump pod-{number}");
        }
    }
    let _ = writeln!(
        text,
        "\tchain forward {{\n\t\ttype filter hook forward priority filter; policy accept;\n{forward}\
         \t\tmeta mark and 0x20000 == 0x20000 counter accept\n\t}}"
    );
    text
}
