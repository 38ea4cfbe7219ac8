//! `policyctl` asked about a cluster: its objects, its nodes' kernels, and what it says when it cannot ask.

mod errors;
mod kernels;
mod status;
mod verbs;

use super::ground::Ground;
use conformance::policyctl_run::{self, Ran};
use serde_json::{Value, json};
use std::path::Path;

/// Runs `policyctl` in the API server's namespace.
fn policyctl(ground: &Ground, words: &[&str]) -> Ran {
    policyctl_run::policyctl(ground.netns(), words.iter().copied()).expect("the namespace")
}

/// The same with a kubeconfig, and words that are split at spaces.
fn asked(ground: &Ground, config: &Path, line: &str) -> Ran {
    let config = config.display().to_string();
    let words: Vec<&str> = line.split(' ').chain(["--kubeconfig", &config]).collect();
    policyctl(ground, &words)
}

/// A pod that runs, on a node, with addresses.
fn pod(ground: &Ground, name: &str, app: &str, node: &str, addresses: &[&str]) {
    ground.apply(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "none",
            "ports": [{"name": "main", "containerPort": 5432}]}]}}));
    let ips: Vec<Value> = addresses.iter().map(|address| json!({ "ip": address })).collect();
    let status = json!({"status": {"phase": "Running", "podIP": addresses[0], "podIPs": ips}}).to_string();
    ground.run(&format!(
        "patch pod {name} --namespace shop --subresource status --type merge --patch {status}"
    ));
}

/// The shop: db on w1 may be reached by api on w1 and by remote on w2, and by nobody else.
fn shop(ground: &Ground) {
    pod(ground, "db", "db", "w1", &["10.244.1.2"]);
    pod(ground, "api", "api", "w1", &["10.244.1.3"]);
    pod(ground, "front", "front", "w1", &["10.244.1.4"]);
    pod(ground, "remote", "api", "w2", &["10.245.0.5"]);
    ground.apply(&super::ground::policy("db", "api"));
}
