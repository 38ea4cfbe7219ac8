//! Policies of a real API server, judged by real packets between the nodes of a lab.

use super::{daemon::Daemon, ground::eventually};
use conformance::{
    cluster::{ApiServer, Identity},
    lab::{Lab, Node, Pod, PodSpec},
    probe::{Outcome, Probe},
};
use serde_json::json;
use std::path::Path;

/// A pod of the lab as the API server has it.
fn create(server: &ApiServer, lab: &Lab, pod: &Pod, app: &str) {
    let key = pod.key();
    let object = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": *key.name, "namespace": *key.namespace, "labels": {"app": app}},
        "spec": {"nodeName": lab.node(pod.node()).name(), "containers": [{"name": "c", "image": "i"}]}});
    server.kubectl(&["create", "-f", "-"], &object.to_string()).expect("a pod");
    let addresses: Vec<_> = pod.addresses().map(|address| json!({"ip": address.to_string()})).collect();
    let status = json!({"status": {"phase": "Running", "podIP": addresses[0]["ip"], "podIPs": addresses}});
    let patch = ["patch", "pod", "--namespace", &key.namespace, &key.name, "--subresource=status", "-p"];
    server.kubectl(&[&patch[..], &[&status.to_string()]].concat(), "").expect("a status");
}

fn start(node: &Node, config: &Path) -> Daemon {
    let path = |path: std::path::PathBuf| path.display().to_string();
    let arguments = ["--node-name", &node.name(), "--cni-dir", &path(node.cni_dir())].map(str::to_owned);
    let state = ["--state-dir".to_owned(), path(node.dir().join("state"))];
    Daemon::launch_in(node.netns(), node.dir(), config, &[&arguments[..], &state].concat())
}

#[test]
fn packets_are_judged_by_what_the_api_server_says_and_go_on_being_when_it_is_away() {
    let lab = Lab::builder("kube traffic").build().unwrap();
    let mut server = ApiServer::start("kube traffic").unwrap();
    let config = server.kubeconfig(Identity::ADMIN).unwrap();
    server.kubectl(&["create", "namespace", "shop"], "").unwrap();
    for node in lab.nodes() {
        server.link(node.netns(), node.index()).unwrap();
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name()}});
        server.kubectl(&["create", "-f", "-"], &object.to_string()).unwrap();
    }
    let add = |node, name: &str| lab.add_pod(PodSpec::new(node, "shop", name)).unwrap();
    let (front, other, db) = (add(1, "front"), add(1, "other"), add(2, "db"));
    for (pod, app) in [(&front, "front"), (&other, "other"), (&db, "db")] {
        create(&server, &lab, pod, app);
    }
    let daemons: Vec<Daemon> = lab.nodes().iter().map(|node| start(node, &config)).collect();
    for daemon in &daemons {
        eventually("it is ready", || daemon.is_ready());
    }
    let outcome = |from: &Pod| {
        let outcomes = lab.probe_all(&[Probe::tcp(from, db.ipv4(), 5432), Probe::tcp(from, db.ipv6(), 5432)]);
        outcomes.unwrap().iter().map(|reply| reply.outcome).collect::<Vec<_>>()
    };
    let allowed = |from: &Pod| outcome(from) == [Outcome::Allowed, Outcome::Allowed];
    let dropped = |from: &Pod| outcome(from) == [Outcome::Dropped, Outcome::Dropped];
    assert!(allowed(&front) && allowed(&other), "nobody is isolated");

    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "front"}}}], "ports": [{"port": 5432}]}]}});
    server.kubectl(&["create", "-f", "-"], &policy.to_string()).unwrap();
    eventually("the policy holds", || dropped(&other));
    assert!(allowed(&front));

    server.kill();
    assert!(dropped(&other) && allowed(&front), "the API server is away");
    server.resume().unwrap();
    server
        .kubectl(&["label", "pod", "--namespace", "shop", "other", "app=front", "--overwrite"], "")
        .unwrap();
    eventually("the label counts", || allowed(&other));
}
