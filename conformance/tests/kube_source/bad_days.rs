//! API servers that lack what is needed, and hosts that lack sense. Each is said, and leaves the tables as they must be.

use super::{
    daemon::{Daemon, run},
    ground::{Ground, NODE, eventually, policy},
    reports::{events, home},
};
use conformance::lab::Lab;
use std::fs;

#[test]
fn an_api_server_without_network_policies_is_told_and_nothing_is_touched() {
    let ground = Ground::with_arguments("kube kinds", &["--runtime-config=networking.k8s.io/v1=false"]);
    let output = run(&ground, &ground.admin, &["--once"]);
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = said.replace("│ ", "");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the API server does not serve networking.k8s.io/v1 (networkpolicies)"), "{said}");
    assert!(said.contains("--runtime-config"), "{said}");

    ground.netns().exec(&["nft", "add", "table", "inet", "palisade"]).expect("tables of an earlier run");
    let before = ground.netns().exec(&["nft", "list", "ruleset"]).expect("a listing");
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("it is said", || daemon.log().contains("does not serve networking.k8s.io/v1"));
    assert!(!daemon.is_ready(), "a state without policies is none");
    assert_eq!(daemon.tables(), before, "what was in force stays");
    assert_eq!(daemon.log().matches("does not serve").count(), 1, "said once: {}", daemon.log());
}

#[test]
fn check_asks_the_api_server_too() {
    let ground = Ground::new("kube check");
    let check = |more: &[&str]| {
        let mut command =
            ground.netns().command(&conformance::enforced::binary().expect("policyd").to_string_lossy());
        command.args(["check", "--kubeconfig"]).arg(&ground.admin).args(more);
        let output = command.output().expect("run policyd");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (status, out) = check(&["--node-name", NODE]);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.contains("10.244.0.0/16 (spec.podCIDRs)"), "{out}");
    assert!(out.contains("ok    API server        v1.") && out.contains("oldest supported v1.22"), "{out}");
    let (status, out) = check(&["--node-name", "w9"]);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.contains("it has no node called w9"), "{out}");
}

#[test]
fn two_hosts_with_one_name_are_told() {
    let ground = Ground::new("kube twins");
    home(&ground);
    ground.apply(&policy("db", "api"));
    let lab = Lab::builder("kube twin").nodes(1).build().expect("a second host");
    let other = lab.node(1).netns();
    ground.link(other, 1).expect("a link");
    let folder = ground.dir().join("twin");
    fs::create_dir_all(&folder).expect("a folder");
    let dir = |name: &str| folder.join(name).display().to_string();
    let arguments = ["--node-name", NODE, "--cni-dir", &dir("cni"), "--state-dir", &dir("state")];
    let first = Daemon::start(&ground);
    let second = Daemon::launch_in(other, &folder, &ground.admin, &arguments.map(str::to_owned));
    eventually("both are ready", || first.is_ready() && second.is_ready());
    // Each writes its Lease four times a minute; the one that is second to write sees the other.
    eventually("it is told", || {
        events(&ground, "default")
            .iter()
            .any(|(reason, about, _)| reason == "DuplicateNodeName" && about == NODE)
    });
    let logs = first.log() + &second.log();
    assert!(logs.contains("two hosts run policyd as node w1"), "{logs}");
    // Both go on: each enforces for the pods of both, so that nothing is open.
    assert!(
        first.tables().contains("table inet palisade") && second.tables().contains("table inet palisade")
    );
}
