//! A policy that asks for more than the limits allow, with the real `policyd` and kernel: it is named, its pods are denied in its
//! direction, others are followed as before, and it heals by itself.

mod support;

use nix::sys::signal::Signal;
use support::{Node, eventually, http, pod, policy};

/// Lets so many addresses, no two of them neighbours, reach the pods of an app.
fn blocks(app: &str, count: usize) -> String {
    let block = |n: usize| format!("{{ipBlock: {{cidr: 198.18.{}.{}/32}}}}", n / 128, 2 * (n % 128));
    let from = (0..count).map(block).collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: many, namespace: shop}}\n\
         spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, ingress: [{{from: [{from}]}}]}}\n---\n"
    )
}

fn element(node: &Node, map: &str, address: &str) -> String {
    let listing = node.nft(&format!("list map inet palisade {map}"));
    let elements = listing.split(['{', '}', '\n']).flat_map(|line| line.split(", "));
    elements.map(str::trim).find(|element| element.starts_with(address)).unwrap_or_default().to_owned()
}

/// The chain that an address leads to.
fn program(node: &Node, map: &str, address: &str) -> String {
    let element = element(node, map, address);
    let name = element.rsplit("goto ").next().unwrap_or_default().trim_end_matches(',');
    if element.contains("goto ") { node.nft(&format!("list chain inet palisade {name}")) } else { element }
}

fn metric(name: &str) -> String {
    let page = http("/metrics").unwrap_or_default();
    let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    line[name.len().min(line.len())..].trim().to_owned()
}

#[test]
fn a_policy_beyond_a_limit_denies_its_pods_in_its_direction_and_heals_by_itself() {
    let node = Node::new("limits");
    node.write("pods.yaml", &(pod("db-0", "db", "10.244.1.3") + &pod("web-0", "web", "10.244.1.4")));
    node.write("peers.yaml", &pod("front-0", "front", "10.244.1.2"));
    node.write("web.yaml", &policy("web", "front"));
    node.write("db.yaml", &policy("db", "front"));
    node.write("many.yaml", &blocks("db", 150));
    let mut running = node.start("--max-pod-entries 100");

    let is_denied = |node: &Node| {
        let chain = program(node, "ingress4-o", "10.244.1.3");
        chain.contains("goto deny") && !chain.contains('@')
    };
    assert!(is_denied(&node), "{}", program(&node, "ingress4-o", "10.244.1.3"));
    assert!(element(&node, "egress4-o", "10.244.1.3").contains(": return"), "its other direction is open");
    assert!(program(&node, "ingress4-o", "10.244.1.4").contains("@in-"), "another pod's policy holds");
    assert!(!node.nft("list ruleset").contains("198.18."), "nothing of it is in the kernel");
    assert_eq!(metric("palisade_limited_pods "), "1");
    let log = running.log();
    for said in ["shop/db-0 is denied ingress", "and 100 are allowed", "the largest: shop/many"] {
        assert!(log.contains(said), "{said:?} is missing in\n{log}");
    }
    assert!(http("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));

    // Everybody else is followed while that is so.
    node.write(
        "peers.yaml",
        &(pod("front-0", "front", "10.244.1.2") + &pod("front-1", "front", "10.244.1.7")),
    );
    eventually("a new peer of the other pod is allowed", || {
        node.nft("list ruleset").contains("10.244.1.7 . tcp . 8080")
    });
    assert!(is_denied(&node));

    node.write("many.yaml", &blocks("db", 50));
    eventually("it has healed", || program(&node, "ingress4-o", "10.244.1.3").contains("@in-"));
    assert!(node.nft("list ruleset").contains("198.18.0.98"), "what the policy lists now is allowed");
    eventually("that is counted", || metric("palisade_limited_pods ") == "0");
    assert!(running.log().contains("all policies are within the limits again"), "{}", running.log());
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}
