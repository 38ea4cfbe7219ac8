//! Pods that a whole `policyd` has to deny, since the kernel refuses an object or their policies ask for more than a limit: who they
//! are is told where people look, everybody else is followed, and it ends by itself.

use super::{
    burst,
    daemon::Daemon,
    ground::{Ground, NODE, eventually, policy},
    reports::{events, home, status},
};
use conformance::{
    policyctl_run,
    preload::{Preloaded, Refused},
};
use serde_json::{Value, json};
use std::{thread, time::Duration};

/// What a map of the policy table says about an address.
fn element(daemon: &Daemon, map: &str, address: &str) -> String {
    let tables = daemon.tables();
    let map = tables.split(&format!("map {map} {{")).nth(1).and_then(|rest| rest.split("\n\t}").next());
    let elements = map.unwrap_or_default().split(['{', '}', '\n']).flat_map(|line| line.split(", "));
    elements.map(str::trim).find(|element| element.starts_with(address)).unwrap_or_default().to_owned()
}

/// The node's row of `policyctl status`.
fn row(ground: &Ground) -> Value {
    let config = ground.admin.display().to_string();
    let ran = policyctl_run::policyctl(ground.netns(), ["--kubeconfig", &config, "status", "-o", "json"]);
    let status = ran.expect("the namespace").json();
    let rows = status["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["node"] == NODE).cloned().unwrap_or_default()
}

fn why(row: &Value) -> &str {
    row["why"].as_str().unwrap_or_default()
}

/// Waits until people are told of this reason, about this object, with these words.
fn told(ground: &Ground, namespace: &str, reason: &str, about: &str, words: &str) {
    let mut found = Vec::new();
    let is_it = |(r, a, note): &(String, String, String)| r == reason && a == about && note.contains(words);
    for _ in 0..300 {
        found = events(ground, namespace);
        if found.iter().any(is_it) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("no {reason} about {about} with {words:?} among {found:#?}");
}

/// `api-2`, `db-4` and `pay-6` of a burst, all on the node.
const API: &str = "10.244.0.4";
const DB: &str = "10.244.0.6";
const PAY: &str = "10.244.0.8";

#[test]
fn what_the_kernel_refuses_is_named_and_everybody_else_is_followed_until_it_takes_it() {
    let ground = Ground::new("kube refused");
    home(&ground);
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    let preloaded = Preloaded::build(ground.dir()).expect("libraries");
    let daemon = Daemon::launch_under(&ground, &preloaded);
    eventually("policyd is ready", || daemon.is_ready());
    daemon.settles(&ground);
    let database = element(&daemon, "ingress4-o", DB);
    assert!(database.contains("goto in-"), "{database}");

    preloaded.refuse(Refused::SetsThatEndIn("-x4")).expect("a file");
    ground.apply(&policy("pay", "front"));
    eventually("its pod is denied", || element(&daemon, "ingress4-o", PAY).contains("goto deny"));
    let words = "the kernel refuses objects of shop/pay-6";
    told(&ground, "default", "ObjectsRefused", NODE, words);
    told(&ground, "shop", "ObjectsRefused", "pay", "shop/pay-6 is denied");
    assert!(
        !events(&ground, "shop").iter().any(|(reason, about, _)| reason == "ObjectsRefused" && about == "db")
    );
    assert_eq!(daemon.metric("palisade_quarantined_pods "), 1.0);
    eventually("policyctl says it", || why(&row(&ground)).contains(words));
    assert_eq!(row(&ground)["state"], "refused");
    let log = daemon.log();
    assert!(
        log.contains("pods are denied") && log.contains("Invalid argument"),
        "the kernel's words:\n{log}"
    );

    // Its other direction and everybody else: as they were, and followed.
    assert!(element(&daemon, "egress4-o", PAY).contains("return"), "{}", element(&daemon, "egress4-o", PAY));
    assert_eq!(element(&daemon, "ingress4-o", DB), database);
    assert!(element(&daemon, "ingress4-o", API).contains("return"));
    burst::create(&ground, 10..12);
    eventually("a new peer is let in", || daemon.tables().contains("10.244.0.12 . tcp . 8080"));
    eventually("a new pod has its verdict", || {
        element(&daemon, "ingress4-o", "10.244.0.12").contains("return")
    });
    assert!(element(&daemon, "ingress4-o", PAY).contains("goto deny"), "it was denied all the while");

    preloaded.take().expect("a file");
    eventually("it is taken", || element(&daemon, "ingress4-o", PAY).contains("goto in-"));
    daemon.settles(&ground);
    told(&ground, "default", "ObjectsAccepted", NODE, "");
    told(&ground, "shop", "ObjectsAccepted", "pay", NODE);
    eventually("policyctl says nothing more", || {
        row(&ground)["state"] == "live" && row(&ground)["why"].is_null()
    });
    assert_eq!(daemon.metric("palisade_quarantined_pods "), 0.0);
}

/// Lets so many addresses, no two of them neighbours, reach the pods of an app.
fn blocks(app: &str, count: usize) -> Value {
    let block = |n: usize| json!({"ipBlock": {"cidr": format!("198.18.{}.{}/32", n / 128, 2 * (n % 128))}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "many", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": app}},
            "ingress": [{"from": (0..count).map(block).collect::<Vec<_>>()}]}})
}

#[test]
fn a_limit_that_is_exceeded_is_in_the_nodes_status_until_it_is_kept() {
    let ground = Ground::new("kube limited");
    home(&ground);
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    ground.apply(&blocks("pay", 150));
    let daemon = Daemon::launch_with(&ground, &["--max-pod-entries", "100"]);
    eventually("policyd is ready", || daemon.is_ready());
    let words = "beyond limits: shop/many: shop/pay-6 is denied";
    eventually("policyctl says it", || why(&row(&ground)).contains(words));
    assert_eq!(row(&ground)["state"], "live", "everything else is in force");
    assert_eq!(status(&ground)["lastError"], words);
    told(&ground, "shop", "LimitExceeded", "many", "shop/pay-6");
    told(&ground, "default", "LimitExceeded", NODE, "shop/pay-6");
    assert_eq!(daemon.metric("palisade_limited_pods "), 1.0);
    let program = element(&daemon, "ingress4-o", PAY);
    assert!(
        !program.is_empty() && !daemon.tables().contains("198.18."),
        "nothing of it is in the kernel: {program}"
    );

    burst::create(&ground, 10..12);
    eventually("a new peer of another is let in", || daemon.tables().contains("10.244.0.12 . tcp . 8080"));
    ground.apply(&blocks("pay", 50));
    eventually("what it lists now is in force", || daemon.tables().contains("198.18.0.98"));
    daemon.settles(&ground);
    eventually("policyctl says nothing more", || {
        row(&ground)["state"] == "live" && row(&ground)["why"].is_null()
    });
    told(&ground, "shop", "LimitsKept", "many", "");
    assert_eq!((daemon.metric("palisade_limited_pods "), &status(&ground)["lastError"]), (0.0, &Value::Null));
}
