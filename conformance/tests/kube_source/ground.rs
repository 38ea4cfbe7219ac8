//! An API server with a node's network in its namespace: a pod bridge, no pods.

use conformance::cluster::{ApiServer, Identity};
use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Value, json};
use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// The node that every `policyd` of these tests runs on.
pub(crate) const NODE: &str = "w1";

pub(crate) struct Ground {
    server: ApiServer,
    pub(crate) admin: PathBuf,
}

impl Ground {
    /// With two nodes and the namespace `shop`.
    pub(crate) fn new(name: &str) -> Self {
        Self::with_arguments(name, &[])
    }

    pub(crate) fn with_arguments(name: &str, arguments: &[&str]) -> Self {
        let server = ApiServer::start_with(name, arguments).expect("an API server");
        for line in ["link add cni0 type bridge", "addr add 10.244.0.1/16 dev cni0", "link set cni0 up"] {
            let words: Vec<&str> = ["ip"].into_iter().chain(line.split(' ')).collect();
            server.netns().exec(&words).expect("a pod bridge");
        }
        let admin = server.kubeconfig(Identity::ADMIN).expect("a kubeconfig");
        let ground = Self { server, admin };
        ground.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
        for n in 1..=2 {
            ground.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("w{n}")},
                "spec": {"podCIDR": format!("10.{}.0.0/16", 243 + n), "podCIDRs": [format!("10.{}.0.0/16", 243 + n)]}}));
        }
        ground
    }

    /// Creates or changes objects.
    pub(crate) fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "-f", "-"], &object.to_string()).expect("applied");
    }

    /// Runs kubectl, which must succeed.
    pub(crate) fn run(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.kubectl(&arguments, "").unwrap_or_else(|e| panic!("{e}"))
    }

    /// Does `work` with a client of the administrator, in the namespace.
    pub(crate) fn with_client<T: Send>(&self, work: impl AsyncFnOnce(Client) -> T + Send) -> T {
        let done = self.netns().enter(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let config = Kubeconfig::read_from(&self.admin).expect("a kubeconfig");
                let config = Config::from_custom_kubeconfig(config, &Default::default())
                    .await
                    .expect("a configuration");
                work(Client::try_from(config).expect("a client")).await
            })
        });
        done.expect("the namespace")
    }
}

impl Deref for Ground {
    type Target = ApiServer;

    fn deref(&self) -> &ApiServer {
        &self.server
    }
}

impl DerefMut for Ground {
    fn deref_mut(&mut self) -> &mut ApiServer {
        &mut self.server
    }
}

/// Lets pods labelled `app: {from}` reach those labelled `app: {subject}` at the port called `main`.
pub(crate) fn policy(subject: &str, from: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": subject, "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": subject}}, "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"app": from}}}], "ports": [{"port": "main"}]}]}})
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
