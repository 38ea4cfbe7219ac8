//! `policyd run` on folders of manifests, in a network namespace of its own.

mod support;

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::Signal,
};
use std::{fs, process::Command, thread};
use support::{Node, eventually, http, pod, policy, shop, succeed};

/// The line of a listing that has this element of the map that decides who may reach a pod.
fn ingress_of(node: &Node, address: &str) -> Option<String> {
    let listing = node.nft("list map inet palisade ingress4-o");
    // A comma within a comment has no space behind it.
    let elements = listing.split(['{', '}', '\n']).flat_map(|line| line.split(", "));
    let element =
        elements.map(|e| e.trim().trim_end_matches(',')).find(|element| element.starts_with(address))?;
    Some(element.to_owned())
}

#[test]
fn once_brings_a_folder_into_force_as_a_ruleset_that_names_pods_and_loads_again() {
    let node = Node::new("once");
    node.write("shop.yaml", &shop());
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.starts_with("in force: 3 objects, 2 local pods, 1 program ("), "{}", ended.out);

    assert!(ingress_of(&node, "10.244.1.3").unwrap().contains("comment \"shop/db-0\" : goto in-"));
    assert_eq!(ingress_of(&node, "10.244.1.2").unwrap(), "10.244.1.2 comment \"shop/front-0\" : return");

    let listing = node.path("listing.nft");
    fs::write(&listing, node.nft("list ruleset")).unwrap();
    let load = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        succeed(Command::new("nft").args(["-c", "-f"]).arg(&listing));
    };
    thread::spawn(load).join().expect("nft loads what nft lists");
}

#[test]
fn a_broken_policy_and_a_duplicate_are_told_with_their_places_and_the_rest_is_in_force() {
    let node = Node::new("broken");
    node.write("a.yaml", &shop());
    node.write(
        "b.yaml",
        &policy("front", "db").replace("podSelector: {matchLabels: {app: front}}", "podSelecter: {}"),
    );
    node.write("c.yaml", &(policy("db", "nobody") + &pod("pay-0", "pay", "10.244.1.4")));
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 1, "{ended:?}");
    for said in [
        "NetworkPolicy shop/front: spec.podSelecter",
        "b.yaml:5:",
        "podSelecter: {}",
        "NetworkPolicy shop/db is there twice",
        "a.yaml:",
        "c.yaml:1:1",
        "2 problems, 4 objects in force.",
    ] {
        assert!(ended.err.contains(said), "{said:?} is missing in\n{}", ended.err);
    }
    assert!(ingress_of(&node, "10.244.1.3").unwrap().contains("goto in-"), "the good policy holds");
    assert!(ingress_of(&node, "10.244.1.2").unwrap().ends_with(": return"), "nothing of the broken one does");
    assert!(ingress_of(&node, "10.244.1.4").is_some(), "an object beside a duplicate");
    let allowed = only_set(&node);
    assert!(allowed.contains("10.244.1.2 . tcp . 8080"), "of the duplicate the first holds: {allowed}");
}

/// The exact set of the only program.
fn only_set(node: &Node) -> String {
    let ruleset = node.nft("list ruleset");
    let begin = ruleset.find("set in-").expect("a program's set");
    ruleset[begin..].split('}').next().unwrap_or_default().to_owned()
}

#[test]
fn wrong_usage_is_told_before_anything_is_touched() {
    let node = Node::new("usage");
    let missing = node.policyd_by("env", "run --once").status;
    assert_eq!(missing, 0, "an empty folder is none");
    node.policyd("cleanup");

    fs::remove_dir(node.path("manifests")).unwrap();
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(
        ended.err.contains(&format!("{}: no such folder", node.path("manifests").display())),
        "{}",
        ended.err
    );

    fs::write(node.path("manifests"), "").unwrap();
    assert!(node.policyd("run --once").err.contains("not a folder"));
    assert_eq!(node.nft("list tables"), "");
}

#[test]
fn a_restart_commits_nothing() {
    let node = Node::new("restart");
    node.write("shop.yaml", &shop());
    assert!(node.policyd("run --once").out.contains("operations in"));
    let again = node.policyd("run --once");
    assert!(again.out.contains("(nothing to change)"), "{again:?}");
    let mut running = node.start("");
    assert!(running.log().contains("operations=0"), "{}", running.log());
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_signal_ends_it_and_leaves_the_tables() {
    let node = Node::new("signals");
    node.write("shop.yaml", &shop());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut running = node.start("");
        assert_eq!(running.stop(signal), Some(0), "{signal}");
        assert!(ingress_of(&node, "10.244.1.3").unwrap().contains("goto in-"), "{signal}");
    }
}

#[test]
fn a_change_of_a_file_is_in_force_at_once_and_a_broken_file_changes_nothing() {
    let node = Node::new("live");
    node.write("shop.yaml", &shop());
    let mut running = node.start("");
    assert!(ingress_of(&node, "10.244.1.2").unwrap().ends_with(": return"));

    node.write("more/front.yml", &policy("front", "db"));
    eventually("a policy in a new sub folder holds", || {
        ingress_of(&node, "10.244.1.2").unwrap().contains("goto in-")
    });

    node.write("shop.yaml", "kind: [");
    eventually("the broken file is told", || running.log().contains("shop.yaml:1:"));
    assert!(ingress_of(&node, "10.244.1.3").unwrap().contains("goto in-"), "what it said holds");
    assert!(http("/metrics").unwrap().contains("palisade_source_problems 1"));

    node.write("shop.yaml", &shop().replace("10.244.1.3", "10.244.1.9"));
    eventually("mended, it counts again", || ingress_of(&node, "10.244.1.9").is_some());
    assert_eq!(ingress_of(&node, "10.244.1.3"), None);

    fs::remove_file(node.path("manifests/more/front.yml")).unwrap();
    eventually("a policy that is gone holds no more", || {
        ingress_of(&node, "10.244.1.2").unwrap().ends_with(": return")
    });
    eventually("unused programs are removed", || !node.nft("list ruleset").contains("10.244.1.3"));
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn two_live_pods_with_one_address_are_told_and_both_are_judged() {
    let node = Node::new("conflict");
    node.write("shop.yaml", &shop());
    node.write("twin.yaml", &pod("twin", "twin", "10.244.1.3"));
    let ended = node.policyd("run --once");
    assert_eq!(ended.status, 0, "all objects are in force: {ended:?}");
    assert!(ended.err.contains("10.244.1.3") && ended.err.contains("shop/twin"), "{}", ended.err);
    assert!(ingress_of(&node, "10.244.1.3").unwrap().contains("goto in-"), "the stricter of both holds");
}

#[test]
fn what_somebody_else_does_to_the_tables_is_undone() {
    let node = Node::new("foreign");
    node.write("shop.yaml", &shop());
    let mut running = node.start("");
    for harm in [
        "flush ruleset",
        "delete element inet palisade ingress4-o { 10.244.1.3 }",
        "insert rule inet palisade forward accept",
        "flush chain inet palisade deny",
    ] {
        let before = node.nft("list ruleset");
        node.nft(harm);
        eventually(harm, || node.nft("list ruleset") == before);
    }
    assert!(running.log().contains("somebody else has changed our tables"), "{}", running.log());
    let metrics = http("/metrics").unwrap();
    assert!(!metrics.contains("palisade_drift_repaired_total 0"), "{metrics}");
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_dry_run_shows_the_ruleset_and_the_change_needs_no_privilege_and_touches_nothing() {
    let node = Node::new("dry");
    node.write("shop.yaml", &shop());
    let ended = node.policyd_by("setpriv --reuid 65534 --regid 65534 --clear-groups", "run --dry-run");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("10.244.1.3 comment \"shop/db-0\" : goto in-"), "{}", ended.out);
    assert!(ended.out.contains("operations from nothing:"), "{}", ended.out);
    assert_eq!(node.nft("list tables"), "");
    let file = node.path("dry.nft");
    fs::write(&file, &ended.out).unwrap();
    succeed(Command::new("nft").args(["-c", "-f"]).arg(&file));

    node.policyd("run --once");
    let ended = node.policyd("run --dry-run");
    assert!(ended.out.contains("# 0 operations from what the kernel holds now:"), "{}", ended.out);
}

#[test]
fn what_the_operator_sets_is_in_the_ruleset() {
    let node = Node::new("settings");
    let stray = |arguments: &str| {
        assert_eq!(node.policyd(&format!("run --once {arguments}")).status, 0, "{arguments}");
        (node.nft("list chain inet palisade stray"), node.nft("list chain inet palisade forward"))
    };
    let (strays, forward) = stray("");
    assert!(strays.contains("drop") && !forward.contains("established,related return"), "{strays}{forward}");
    let (strays, forward) = stray("--unknown-pods allow --established keep");
    assert!(
        !strays.contains("drop") && forward.contains("ct state established,related return"),
        "{strays}{forward}"
    );

    assert_eq!(
        node.policyd("run --once --pod-interface br7 --pod-interface br8 --overlay-port 4789").status,
        0
    );
    let new = node.nft("list chain inet palisade new");
    for rule in ["iifname \"br7\" udp dport 4789 jump overlay", "iifname \"br8\" udp dport 4789 jump overlay"]
    {
        assert!(new.contains(rule), "{rule:?} is missing in {new}");
    }
    assert!(!new.contains("cni0") && !new.contains("8472"), "{new}");
}

#[test]
fn http_answers_for_the_model_and_for_the_kernel() {
    let node = Node::new("http");
    node.write("shop.yaml", &shop());
    let mut running = node.start("");
    let verdict = |port: u16| {
        let query = format!("source=10.244.1.2&destination=10.244.1.3&protocol=TCP&port={port}");
        http(&format!("/v1/verdict?{query}")).unwrap()
    };
    assert!(verdict(8080).contains(r#""verdict":"Allowed","exemption""#), "{}", verdict(8080));
    assert!(verdict(80).contains(r#""verdict":"Denied","exemption""#), "{}", verdict(80));
    assert!(http("/v1/verdict?source=x").unwrap().starts_with("HTTP/1.1 400"));
    assert!(http("/v1/programs").unwrap().contains(r#""direction":"ingress","pods":["shop/db-0"]"#));
    assert!(http("/healthz").unwrap().starts_with("HTTP/1.1 200"));
    let metrics = http("/metrics").unwrap();
    for line in [
        "palisade_revision 1",
        "palisade_local_pods 2",
        "palisade_isolated_pods{direction=\"ingress\"} 1",
        "palisade_dropped_packets_total{reason=\"denied\"} 0",
    ] {
        assert!(metrics.contains(line), "{line:?} is missing in\n{metrics}");
    }
    node.write("more.yaml", &pod("more", "more", "10.244.1.7"));
    eventually("the change is measured", || {
        http("/metrics").unwrap().contains("palisade_event_to_kernel_seconds_count 1")
    });
    assert_eq!(running.stop(Signal::SIGTERM), Some(0));
}
