//! Names as long as they may be, and names that nobody may have: neither breaks a listing, a line of the log, or a page.

mod support;

use compiler::{
    Compiler, Event,
    config::{Config, Port},
};
use enforcer::nft::{Backend, Kernel};
use nix::sched::{CloneFlags, unshare};
use policy_model::object::ObjectKey;
use serde_json::Value;
use std::{fs, process::Command, thread};
use support::{Node, eventually, http, pod, policy, succeed};

/// What some CNI plugin's file might say a pod is called. No API server admits any of them.
const ODD: [&str; 8] = [
    "with \"quotes\"",
    "back\\slash",
    "line\nbreak } drop",
    "nul\0 and tab\t",
    "élève-日本語-🦀",
    "\u{202e}turned",
    "; flush ruleset",
    "",
];

#[test]
fn a_listing_with_any_name_in_it_loads_again() {
    let node = Node::new("odd");
    let mut compiler = Compiler::new(Config::new("w1", "cni0"));
    let long = "é".repeat(300);
    let names: Vec<&str> = ODD.into_iter().chain([long.as_str()]).collect();
    for (n, name) in names.iter().enumerate() {
        let last = 10 + n as u8;
        compiler.apply(Event::Port(Port {
            id: format!("{n}").into(),
            pod: ObjectKey::new(*name, *name),
            ifindex: 100 + n as u32,
            mac: [2, 0, 0, 0, 0, last],
            addresses: vec![[10, 244, 1, last].into()],
        }));
    }
    let mut kernel = Kernel::open().expect("nftables");
    kernel.commit(&compiler.commit(), None).expect("the kernel takes every comment");
    let listing = node.nft("-n list ruleset");
    for n in 0..names.len() {
        assert!(listing.contains(&format!("10.244.1.{} comment", 10 + n)), "{n} is missing in\n{listing}");
    }
    assert!(
        listing.is_ascii() && listing.contains("comment \"line?break???drop/line?break???drop\""),
        "{listing}"
    );
    // The policy table alone: the others' ports are in no other namespace.
    let file = node.path("listing.nft");
    let lines = node.nft("-n list map inet palisade egress4-o");
    fs::write(&file, format!("table inet palisade {{\n  chain deny {{ }}\n}}\n{lines}"))
        .expect("write a file");
    let load = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        succeed(Command::new("nft").args(["-c", "-f"]).arg(&file));
    };
    thread::spawn(load).join().expect("nft loads what nft lists");
}

#[test]
fn the_longest_names_stand_in_listing_log_metrics_and_answers() {
    let node = Node::new("long");
    // 253 bytes, with each character that such a name may have.
    let name = format!("{}x-1", "a1-b.".repeat(50));
    assert_eq!(name.len(), 253);
    let long = |text: String| text.replace("db-0", &name).replace("name: db,", &format!("name: {name},"));
    node.write("db.yaml", &long(pod("db-0", "db", "10.244.1.3") + &policy("db", "front")));
    let running = node.start("--log-format json --verbose");
    node.write("front.yaml", &pod("front-0", "front", "10.244.1.2"));
    eventually("both are there", || node.nft("list ruleset").contains("10.244.1.2 . tcp"));

    let listing = node.path("listing.nft");
    fs::write(&listing, node.nft("list ruleset")).expect("write a file");
    let load = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        succeed(Command::new("nft").args(["-c", "-f"]).arg(&listing));
    };
    thread::spawn(load).join().expect("nft loads what nft lists");
    for line in running.log().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let body = |path: &str| {
        let answer = http(path).expect("an answer");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    };
    openmetrics_parser::openmetrics::parse_openmetrics(&body("/metrics"))
        .expect("metrics that a parser reads");
    let programs: Value = serde_json::from_str(&body("/v1/programs")).expect("JSON");
    assert!(programs.to_string().contains(&name), "the answer names the pod whole");
}
