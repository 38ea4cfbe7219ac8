//! API servers that lack what is needed, and hosts that lack sense. Each is said, and leaves the tables as they must be.

use super::{
    burst,
    daemon::{Daemon, run},
    ground::{Ground, NODE, eventually, policy},
    reports::{events, home},
};
use conformance::lab::Lab;
use std::{fs, io, path::PathBuf, process::Command};

#[test]
fn an_api_server_without_network_policies_is_told_and_nothing_is_touched() {
    let ground = Ground::with_arguments(
        "kube kinds",
        &["--runtime-config=networking.k8s.io/v1/networkpolicies=false"],
    );
    let output = run(&ground, &ground.admin, &["--once"]);
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = said.replace("│ ", "");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the API server does not serve networkpolicies of networking.k8s.io/v1"), "{said}");
    assert!(said.contains("--runtime-config"), "{said}");

    ground.netns().exec(&["nft", "add", "table", "inet", "palisade"]).expect("tables of an earlier run");
    let before = ground.netns().exec(&["nft", "list", "ruleset"]).expect("a listing");
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("it is said", || daemon.log().contains("does not serve networkpolicies"));
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

/// A file system with nothing free on it, until it is dropped.
struct FullDisk(PathBuf);

impl FullDisk {
    fn mount(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "none"]).arg(&folder).status();
        assert!(status.expect("run mount").success(), "a small file system");
        let disk = Self(folder);
        let refused = fs::write(disk.0.join("filling"), vec![0; 1 << 16]).expect_err("it is full");
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull, "{refused}");
        disk
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_once_and_policies_are_enforced() {
    let ground = Ground::new("kube disk");
    let _disk = FullDisk::mount(ground.dir().join("state"));
    ground.apply(&policy("db", "api"));
    let daemon = Daemon::start(&ground);
    let words = "the state cannot be written";
    eventually("it is said", || daemon.log().contains(words));
    burst::create(&ground, 0..4);
    eventually("new pods are in force", || daemon.metric("palisade_pods ") == 4.0);
    assert!(daemon.log().contains("No space left on device"), "{}", daemon.log());
    assert_eq!(daemon.log().matches(words).count(), 1, "{}", daemon.log());
}
