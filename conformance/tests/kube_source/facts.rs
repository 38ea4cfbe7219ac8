//! What people are told on a real API server: of the host, and of policies that do nothing.

use super::{
    daemon::Daemon,
    ground::{Ground, NODE, eventually, policy},
    reports::home,
};
use serde_json::{Value, json};

/// Whether there is an Event with these fields.
fn has(ground: &Ground, namespace: &str, kind: &str, reason: &str, about: &str, words: &str) -> bool {
    let list = ground.run(&format!("get events --namespace {namespace} --output json"));
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let is = |event: &Value| {
        event["type"] == kind
            && event["reason"] == reason
            && event["involvedObject"]["name"] == about
            && event["message"].as_str().is_some_and(|message| message.contains(words))
    };
    list["items"].as_array().expect("items").iter().any(is)
}

#[test]
fn what_changes_on_the_host_is_an_event_on_the_node_and_so_is_its_end() {
    let ground = Ground::new("kube facts");
    home(&ground);
    let daemon = Daemon::start(&ground);
    let fact = |name: &str| daemon.metric(&format!("palisade_node_fact{{fact=\"{name}\"}}"));
    eventually("facts are looked at", || {
        daemon.get("/metrics").is_some_and(|page| page.contains("palisade_node_fact{fact=\"kube_proxy\"} 0"))
    });
    let host = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        ground.netns().exec(&words).expect(line);
    };
    host("ip link add kube-ipvs0 type bridge");
    eventually("kube-proxy in IPVS mode is told", || {
        has(&ground, "default", "Warning", "KubeProxyMode", NODE, "policy would not hold")
    });
    assert_eq!(fact("kube_proxy"), 2.0);
    host("ip link del kube-ipvs0");
    eventually("and its end", || has(&ground, "default", "Normal", "KubeProxyMode", NODE, "kube-proxy"));
    assert_eq!(fact("kube_proxy"), 0.0);

    // policyd sets the bridge's own flags, so that policy holds all the same.
    host("sysctl -q -w net.bridge.bridge-nf-call-iptables=0");
    eventually("a switch that is off is told", || {
        has(&ground, "default", "Normal", "BridgedTraffic", NODE, "bridge-nf-call-iptables=0")
    });
    assert_eq!(fact("bridged_traffic"), 0.0);
    host("nft add table inet kube-network-policies");
    host("nft add chain inet kube-network-policies postrouting");
    eventually("a second engine is told", || {
        has(
            &ground,
            "default",
            "Warning",
            "SecondPolicyEngine",
            NODE,
            "policyd takeover --from kube-network-policies",
        )
    });
}

#[test]
fn a_policy_that_selects_nothing_is_told_and_when_it_selects_a_pod_too() {
    let ground = Ground::new("kube nothing");
    home(&ground);
    ground.apply(&policy("db", "api"));
    let daemon = Daemon::launch_with(&ground, &["--selects-nothing-after", "2"]);
    eventually("it is told", || {
        has(
            &ground,
            "shop",
            "Warning",
            "SelectsNothing",
            "db",
            "spec.podSelector has selected no pod for 2 s",
        )
    });
    assert!(!has(&ground, "shop", "Normal", "SelectsPods", "db", ""));
    ground.apply(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
        "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "none",
            "ports": [{"name": "main", "containerPort": 5432}]}]}}));
    eventually("and its end", || has(&ground, "shop", "Normal", "SelectsPods", "db", "it selects a pod now"));
    drop(daemon);
}
