//! Calico's layout for nftables, rebuilt from what it publishes of it (`felix/rules`): the endpoints' chains by a verdict map,
//! there a chain for all policies of one selector, which jumps to the chain of each policy; each selector of peers is a set.

use super::{super::Contender, Plan, pods::Pods};
use crate::{
    bench::stage::PERMITTED,
    lab::{Family, Lab},
};
use std::fmt::Write;

/// The bits of the mark that say that a policy permits the packet, or passes it on to the profiles.
const ACCEPT: &str = "0x10000";
const EITHER: &str = "0x30000";

/// How many policies are asked before it is looked whether one has spoken.
const STRIDE: usize = 5;

/// All local pods are isolated for both directions. Calico tells endpoints by their interfaces, here it is their addresses,
/// for all pods stand on one bridge.
#[must_use]
pub fn calico(lab: &Lab, name: &str, policies: usize) -> Contender {
    let tables = Family::BOTH.map(|family| {
        let ip = family.pick("ip", "ip6");
        (ip, name, table(lab, ip, policies, family))
    });
    let title = format!("Calico's layout, {policies} policies (established accepted)");
    Contender::of_tables(&title, &tables, lab.nodes().len())
}

fn table(lab: &Lab, ip: &str, policies: usize, family: Family) -> String {
    let pods = Pods::of(lab, family);
    let kind = family.pick("ipv4_addr", "ipv6_addr");
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (set, members) in [("clients", &pods.clients), ("servers", &pods.servers)] {
        let _ = writeln!(text, "\tset {set} {{ type {kind}; elements = {{ {} }}; }}", members.join(", "));
    }
    for i in 0..policies {
        let (peer, port) = Plan::peer(i, family);
        let _ = writeln!(text, "\tset peers-{i} {{ type {kind}; elements = {{ {peer} }}; }}");
        for (way, field, permitted) in [("in", "saddr", "clients"), ("out", "daddr", "servers")] {
            let allow = |set: &str, port: &str| {
                format!(
                    "\t\t{ip} {field} @{set} {port} meta mark set meta mark or {ACCEPT}\n\
                     \t\tmeta mark and {ACCEPT} == {ACCEPT} return\n"
                )
            };
            let mut rules = allow(&format!("peers-{i}"), &format!("tcp dport {port}"));
            if i + 1 == policies {
                for (protocol, port) in PERMITTED {
                    rules += &allow(permitted, &format!("{} dport {port}", protocol.name().to_lowercase()));
                }
            }
            let _ = writeln!(text, "\tchain policy-{way}-{i} {{\n{rules}\t}}");
        }
    }
    for way in ["in", "out"] {
        let jump = |i: usize| match i % STRIDE {
            0 if i > 0 => format!("\t\tmeta mark and {EITHER} != 0 return\n\t\tjump policy-{way}-{i}\n"),
            0 => format!("\t\tjump policy-{way}-{i}\n"),
            _ => format!("\t\tmeta mark and {EITHER} == 0 jump policy-{way}-{i}\n"),
        };
        let _ = writeln!(text, "\tchain group-{way} {{\n{}\t}}", (0..policies).map(jump).collect::<String>());
        let _ = writeln!(
            text,
            "\tchain endpoint-{way} {{\n\
             \t\tct state related,established accept\n\
             \t\tct state invalid drop\n\
             \t\tmeta mark set meta mark and 0xfffcffff\n\
             \t\tmeta mark and 0x20000 == 0 jump group-{way}\n\
             \t\tmeta mark and {ACCEPT} == {ACCEPT} return\n\
             \t\tmeta mark and 0x20000 == 0 drop\n\t}}"
        );
        let verdict = |address: &String| format!("{address} : jump endpoint-{way}");
        let verdicts: Vec<String> = pods.all().map(verdict).collect();
        let _ = writeln!(
            text,
            "\tmap endpoints-{way} {{ type {kind} : verdict; elements = {{ {} }}; }}",
            verdicts.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "\tchain forward {{\n\t\ttype filter hook forward priority filter; policy accept;\n\
         \t\tmeta mark set meta mark and 0xfffcffff\n\
         \t\t{ip} saddr vmap @endpoints-out\n\
         \t\t{ip} daddr vmap @endpoints-in\n\
         \t\tmeta mark and {ACCEPT} == {ACCEPT} accept\n\t}}"
    );
    text
}
