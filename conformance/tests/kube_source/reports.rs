//! What policyd tells of itself: its Lease, which `policyctl status` reads, and Events.

use crate::{
    daemon::Daemon,
    ground::{Ground, NODE, eventually, policy},
};
use conformance::cluster::Identity;
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A policy is looked at twice, ten seconds apart, before it is told of.
const SECOND_LOOK: Duration = Duration::from_secs(20);

/// Palisade's own namespace.
pub(crate) fn home(ground: &Ground) {
    ground.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "palisade-system"}}));
}

/// The status in the node's Lease; null before there is one.
pub(crate) fn status(ground: &Ground) -> Value {
    let path = "jsonpath={.metadata.annotations.palisade\\.dev/status}";
    let lease =
        ["get", "lease", NODE, "--namespace", "palisade-system", "--ignore-not-found", "--output", path];
    serde_json::from_str(&ground.kubectl(&lease, "").expect("leases")).unwrap_or_default()
}

fn newest(ground: &Ground, name: &str) -> u64 {
    let version = "--output jsonpath={.metadata.resourceVersion}";
    ground.run(&format!("get networkpolicy {name} --namespace shop {version}")).parse().expect("a version")
}

fn policies(status: &Value) -> u64 {
    status["policies"].as_str().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// The Events of a namespace: reason, name of what they are about, message.
pub(crate) fn events(ground: &Ground, namespace: &str) -> Vec<(String, String, String)> {
    let list = ground.run(&format!("get events --namespace {namespace} --output json"));
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let event = |event: &Value| {
        (text(&event["reason"]), text(&event["involvedObject"]["name"]), text(&event["message"]))
    };
    list["items"].as_array().expect("items").iter().map(event).collect()
}

#[test]
fn its_lease_says_what_is_in_force() {
    let ground = Ground::new("kube lease");
    home(&ground);
    ground.apply(&policy("db", "api"));
    let daemon = Daemon::start(&ground);
    eventually("the Lease says live", || {
        let status = status(&ground);
        status["state"] == "live" && policies(&status) >= newest(&ground, "db")
    });
    let said = status(&ground);
    assert_eq!(
        (&said["version"], &said["lastError"]),
        (&json!(env!("CARGO_PKG_VERSION")), &Value::Null),
        "{said}"
    );

    ground.apply(&policy("web", "front"));
    let version = newest(&ground, "web");
    eventually("the new policy is in force", || policies(&status(&ground)) >= version);

    let holder = "jsonpath={.spec.holderIdentity} {.spec.leaseDurationSeconds}";
    let holder = ["get", "lease", NODE, "--namespace", "palisade-system", "--output", holder];
    assert_eq!(ground.kubectl(&holder, "").expect("the lease"), format!("{NODE} 60"));
    drop(daemon);
}

#[test]
fn people_are_told_of_ports_that_nobody_has_and_of_repairs() {
    let ground = Ground::new("kube events");
    home(&ground);
    ground.apply(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
        "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "none",
            "ports": [{"name": "other", "containerPort": 5432}]}]}}));
    ground.apply(&policy("db", "api"));
    let _daemon = Daemon::start(&ground);
    let told = Instant::now();

    ground.netns().exec(&["nft", "flush", "chain", "inet", "palisade", "forward"]).expect("a foreign change");
    eventually("the repair is told", || {
        events(&ground, "default")
            .iter()
            .any(|(reason, about, _)| reason == "TablesRepaired" && about == NODE)
    });
    thread::sleep(SECOND_LOOK.saturating_sub(told.elapsed()));
    let mut found = Vec::new();
    eventually("the port that nobody has is told", || {
        found = events(&ground, "shop");
        found.iter().any(|(reason, about, _)| reason == "NamedPortUnknown" && about == "db")
    });
    assert!(
        found.iter().any(|(.., note)| note.contains("spec.ingress[0].ports[0]") && note.contains("\"main\"")),
        "{found:?}"
    );
}

#[test]
fn without_the_rights_it_is_said_once_and_policies_are_enforced() {
    let ground = Ground::new("kube mute");
    home(&ground);
    ground.apply(&policy("db", "api"));
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "policyd"}, "rules": [{"apiGroups": ["", "networking.k8s.io"], "verbs": ["list", "watch"],
        "resources": ["namespaces", "nodes", "services", "networkpolicies", "pods"]}]}));
    ground.run("create clusterrolebinding policyd --clusterrole policyd --user policyd");
    let config = ground.kubeconfig(Identity { user: "policyd", group: "" }).expect("a kubeconfig");
    let daemon = Daemon::launch(&ground, &config);
    eventually("it is ready", || daemon.is_ready());
    let words = "this node's status cannot be written";
    eventually("it is said", || daemon.log().contains(words));
    ground.apply(&policy("web", "front"));
    eventually("the new policy is in force", || daemon.metric("palisade_policies ") == 2.0);
    assert_eq!(daemon.log().matches(words).count(), 1, "{}", daemon.log());
    assert!(daemon.log().contains("create, get and patch on leases"), "{}", daemon.log());
}
