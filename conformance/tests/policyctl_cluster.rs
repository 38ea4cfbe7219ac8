//! `policyctl` on a real cluster that Palisade was installed in: its nodes are reached through the API server's port-forward.

use conformance::{
    cluster::{Cluster, Engine, Families, Options, agnhost_image},
    policyctl_run::{self, Ran},
};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `policyctl` as the administrator, on the control plane.
fn policyctl(cluster: &Cluster, line: &str) -> Ran {
    let config = cluster.kubeconfig().display().to_string();
    let words = ["--kubeconfig", &config].into_iter().chain(line.split(' '));
    policyctl_run::policyctl(cluster.control_plane(), words).expect("the control plane's namespace")
}

fn apply(cluster: &Cluster, object: &Value) {
    cluster.kubectl_with(&["apply", "-f", "-"], &object.to_string()).expect("applied");
}

fn pod(cluster: &Cluster, name: &str, app: &str, node: &str) {
    apply(
        cluster,
        &json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [{"name": "main",
            "image": agnhost_image().expect("an image"), "imagePullPolicy": "Never",
            "args": ["netexec", "--http-port=8080"], "ports": [{"name": "main", "containerPort": 8080}]}]}}),
    );
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a real connection comes about.
fn connects(cluster: &Cluster, from: &str, to: &str) -> bool {
    let address = ["get", "pod", "-n", "shop", to, "-o", "jsonpath={.status.podIP}"];
    let address = cluster.kubectl(&address).expect("the pod");
    let to = format!("{}:8080", address.trim());
    let probe = ["exec", "-n", "shop", from, "--", "/agnhost", "connect", &to, "--timeout=2s"];
    cluster.kubectl(&probe).is_ok()
}

#[test]
fn nodes_are_asked_through_the_api_server() {
    let options = Options {
        workers: 2,
        families: Families::Dual,
        engine: Engine::Palisade,
        ..Options::new("policyctl")
    };
    let cluster = Cluster::start(&options).expect("a cluster with Palisade");
    let [one, two] = cluster.nodes() else { panic!("two workers") };
    apply(&cluster, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    for (name, app, node) in [
        ("db", "db", one),
        ("api", "api", one),
        ("front", "front", one),
        ("remote", "api", two),
        ("far", "front", two),
    ] {
        pod(&cluster, name, app, node.name());
    }
    cluster
        .kubectl(&["wait", "-n", "shop", "--for=condition=Ready", "pod", "--all", "--timeout=90s"])
        .expect("pods run");
    apply(
        &cluster,
        &json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": "main"}]}]}}),
    );

    let verified = policyctl(&cluster, "verify -o json");
    assert_eq!(verified.code, 0, "{}\n{}", verified.out, verified.err);
    let proof = verified.json();
    let pods: u64 =
        proof["nodes"].as_array().unwrap().iter().map(|node| node["pods"].as_u64().unwrap()).sum();
    assert_eq!((proof["nodes"].as_array().unwrap().len(), pods), (2, 5), "{proof:#}");

    // The model, the nodes' kernels and real packets.
    for (from, to, allowed) in [
        ("api", "db", true),
        ("front", "db", false),
        ("remote", "db", true),
        ("far", "db", false),
        ("db", "far", true),
    ] {
        let ran = policyctl(&cluster, &format!("explain --node shop/{from} shop/{to}:8080 -o json"));
        let answer = ran.json();
        assert_eq!(ran.code, u8::from(!allowed), "{answer:#}\n{}", ran.err);
        assert_eq!(answer["kernel"]["agrees"], true, "{answer:#}");
        assert_eq!(answer["kernel"]["verdict"], answer["verdict"], "{answer:#}");
        assert_eq!(connects(&cluster, from, to), allowed, "{from} → {to}");
    }

    let listing = policyctl(&cluster, "get -n shop -o json");
    assert_eq!(listing.code, 0, "{}", listing.err);
    let listing = listing.json();
    let db = listing["pods"].as_array().unwrap().iter().find(|pod| pod["pod"] == "shop/db").unwrap();
    let program = db["ingress"]["program"].as_str().expect("a program in force").to_owned();

    // A hole that is made by hand in one node's kernel, again and again, since policyd closes it.
    let hole = format!("add element inet palisade {program}-x4 {{ 203.0.113.9 . tcp . 8080 }}");
    let hole: Vec<&str> = ["nft"].into_iter().chain(hole.split(' ')).collect();
    let ended = AtomicBool::new(false);
    let mut found = Value::Null;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                // It fails while it is open.
                let _ = one.netns().exec(&hole);
            }
        });
        let end = Instant::now() + PATIENCE;
        while found.is_null() && Instant::now() < end {
            let ran = policyctl(&cluster, &format!("verify --node {} -o json", one.name()));
            if ran.code == 4 {
                found = ran.json();
            }
        }
        ended.store(true, Ordering::Release);
    });
    let difference = &found["nodes"][0]["differences"][0];
    assert_eq!(difference["pod"], "shop/db", "{found:#}");
    assert_eq!(difference["peers"], json!({"first": "203.0.113.9", "last": "203.0.113.9"}));
    assert_eq!((&difference["model"], &difference["kernel"]), (&json!("Denied"), &json!("Allowed")));
    eventually("the hole is closed", || policyctl(&cluster, "verify").code == 0);

    // A node that is none.
    let unknown = policyctl(&cluster, "verify --node nowhere");
    assert_eq!(unknown.code, 4, "{}", unknown.err);
}
