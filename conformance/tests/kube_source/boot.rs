//! Starts while the API server is away: the state on disk.

use super::{
    burst,
    daemon::Daemon,
    ground::{Ground, eventually},
    states::policies,
};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;

/// What a boot leaves of our tables.
fn reboot(ground: &Ground) {
    ground.netns().exec(&["nft", "flush", "ruleset"]).expect("no tables");
}

/// What CNI does for a pod: a veth on the bridge, a lease, a result.
fn start_sandbox(ground: &Ground, pod: &str, n: u8) {
    let mac = format!("0a:58:00:00:09:0{n}");
    let links = [
        format!("link add veth{n} address {mac} type veth peer name p{n}"),
        format!("link set veth{n} master cni0 up"),
    ];
    for line in links {
        let words: Vec<&str> = ["ip"].into_iter().chain(line.split(' ')).collect();
        ground.netns().exec(&words).expect("a veth");
    }
    let put = |path: String, text: String| {
        let path = ground.dir().join("cni").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    put(format!("networks/cbr0/10.244.9.{n}"), format!("c{n}\r\neth0"));
    let result = json!({
        "kind": "cniCacheV1", "containerId": format!("c{n}"), "ifName": "eth0", "networkName": "cbr0",
        "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", pod]],
        "result": {"cniVersion": "1.0.0", "ips": [{"address": format!("10.244.9.{n}/16"), "interface": 1}],
            "interfaces": [{"name": format!("veth{n}"), "mac": mac},
                {"name": "eth0", "mac": format!("02:00:00:00:09:0{n}"), "sandbox": "/run/netns/x"}]},
    });
    put(format!("results/cbr0-c{n}-eth0"), result.to_string());
}

#[test]
fn a_node_that_boots_without_its_api_server_is_isolated_as_it_was() {
    let mut ground = Ground::new("kube boot");
    policies(&ground);
    burst::create(&ground, 0..40);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let before = daemon.tables();
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    let state = ground.dir().join("state/objects.jsonl");
    println!("{} bytes for 40 pods", fs::metadata(&state).expect("a state on disk").len());

    ground.kill();
    // A restart alone changes nothing: what is in the kernel is newer than any file.
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("it waits", || daemon.log().contains("cannot be reached") || daemon.get("/readyz").is_some());
    assert_eq!(daemon.tables(), before);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));

    reboot(&ground);
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("the state on disk is in force", || daemon.tables() == before);
    assert!(!daemon.is_ready(), "it is not the API server's word yet");
    assert!(
        daemon.log().contains("the state on disk is in force until the source answers"),
        "{}",
        daemon.log()
    );

    // Pods come all the same: a known one's new sandbox, and one that the API server never told of.
    start_sandbox(&ground, "db-4", 1);
    start_sandbox(&ground, "stranger", 2);
    for (pod, address) in [("db-4", "10.244.9.1"), ("stranger", "10.244.9.2")] {
        let isolated = format!("{address} comment \"shop/{pod}\" : goto in-");
        eventually("the pod is attached, and isolated", || daemon.tables().contains(&isolated));
    }

    // Meanwhile the cluster has gone on.
    ground.resume().expect("the API server is back");
    burst::delete(&ground, 0..8);
    eventually("it is ready", || daemon.is_ready());
    daemon.settles(&ground);
    assert_ne!(daemon.tables(), before);
}

#[test]
fn policies_of_an_ending_namespace_hold_across_a_restart() {
    let ground = Ground::new("kube held");
    policies(&ground);
    burst::create(&ground, 0..8);
    let daemon = Daemon::start(&ground);
    ground.run("delete namespace shop --wait=false");
    ground.run("delete networkpolicy --namespace shop --all");
    burst::delete(&ground, 1..8);
    eventually("one pod is left", || daemon.metric("palisade_pods ") == 1.0);
    let isolated = |daemon: &Daemon| daemon.metric("palisade_isolated_pods{direction=\"ingress\"");
    assert_eq!(isolated(&daemon), 1.0);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));

    let daemon = Daemon::start(&ground);
    assert_eq!(isolated(&daemon), 1.0, "the API server knows no policy any more");
    burst::delete(&ground, 0..1);
    eventually("the policies go with the last pod", || daemon.metric("palisade_policies ") == 0.0);
    daemon.settles(&ground);
}

#[test]
fn what_changed_while_policyd_was_away_counts_from_its_start() {
    let ground = Ground::new("kube away");
    policies(&ground);
    burst::create(&ground, 0..40);
    let daemon = Daemon::start(&ground);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    burst::delete(&ground, 10..30);
    ground.run("delete networkpolicy --namespace shop db");
    ground.run("label namespace shop team=red");
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    assert_eq!(daemon.metric("palisade_pods "), 20.0);
}

#[test]
fn a_damaged_state_is_said_and_not_used() {
    let mut ground = Ground::new("kube damaged");
    policies(&ground);
    burst::create(&ground, 0..8);
    let daemon = Daemon::start(&ground);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    let state = ground.dir().join("state/objects.jsonl");
    let text = fs::read_to_string(&state).expect("a state");
    ground.kill();
    for (damaged, said) in [
        (text[..text.len() / 2].to_owned(), "it is torn after"),
        (text.replacen("\"version\":1", "\"version\":2", 1), "it is of version 2"),
        (text.replacen("Running", "Pending", 1), "its checksum does not hold"),
    ] {
        fs::write(&state, damaged).expect("damaged");
        reboot(&ground);
        let daemon = Daemon::launch(&ground, &ground.admin);
        eventually(said, || daemon.log().contains(said));
        assert_eq!(daemon.tables(), "", "as on a new node");
        assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    }
    ground.resume().expect("the API server is back");
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    assert_eq!(fs::read_to_string(&state).expect("written anew").len(), text.len());
}
