//! The pods that are measured with: on each node a server, and on another node a client of it.

use super::proxy::Proxy;
use crate::{
    cluster::{Cluster, ClusterError, ClusterNode, agnhost_image},
    lab::LabError,
};
use nix::{
    ifaddrs::getifaddrs,
    sched::{CloneFlags, setns},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMESPACE: &str = "measure";
/// Where agnhost's `netexec` answers datagrams.
const PORT: u16 = 8081;
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// A server, and the network namespace of the pod that asks it.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) client: File,
    pub(super) server: SocketAddr,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Scene {
    image: String,
    pub(super) ways: Vec<Way>,
}

impl Scene {
    pub(super) fn create(cluster: &Cluster) -> Result<Self, ClusterError> {
        let image = agnhost_image()?;
        let mut objects =
            vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
        for node in cluster.nodes() {
            for app in ["server", "client"] {
                let mut pod = pod(&image, &format!("{app}-{}", node.name()), app);
                pod["spec"]["nodeName"] = json!(node.name());
                if app == "server" {
                    pod["spec"]["containers"][0]["args"] = json!(["netexec"]);
                }
                objects.push(pod);
            }
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        cluster.kubectl_with(&["apply", "-f", "-"], &list.to_string())?;
        cluster.kubectl(&[
            "wait",
            "-n",
            NAMESPACE,
            "--for=condition=Ready",
            "pod",
            "--all",
            "--timeout=120s",
        ])?;
        let mut ways = Vec::new();
        let nodes = cluster.nodes();
        for (server, client) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            let to = address(cluster, &format!("server-{}", server.name()))?;
            let from = address(cluster, &format!("client-{}", client.name()))?;
            ways.push(Way { client: namespace_of(client, from)?, server: (to, PORT).into() });
        }
        Ok(Self { image, ways })
    }

    /// Pods that are measured are isolated, so that the engine has something to do for each.
    pub(super) fn isolate(&self, proxy: &Proxy) -> Result<(), ClusterError> {
        create(
            proxy,
            &policy("isolated", json!([{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}])),
        )
    }

    /// Starts pods one after the other; gives how long each took, in milliseconds.
    pub(super) fn start_pods(
        &self,
        proxy: &Proxy,
        count: u16,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<f64>, ClusterError> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let mut took = Vec::new();
        for number in 1..=count {
            let name = format!("started-{number}");
            let begin = Instant::now();
            proxy.ask("POST", &path, Some(&pod(&self.image, &name, "server")))?;
            loop {
                let text = proxy.ask("GET", &format!("{path}/{name}"), None)?;
                let pod: Value = serde_json::from_str(&text).unwrap_or_default();
                if pod["status"]["phase"] == "Running" && pod["status"]["podIP"].is_string() {
                    break;
                }
                if begin.elapsed() > PATIENCE {
                    let what = format!("the pod {name} does not run after {PATIENCE:?}");
                    return Err(ClusterError::NotReady { what, said: pod["status"].to_string() });
                }
                thread::sleep(POLL);
            }
            took.push(begin.elapsed().as_secs_f64() * 1e3);
            proxy.ask("DELETE", &format!("{path}/{name}"), None)?;
            if number % 20 == 0 {
                say(&format!("{number} of {count} pods were started"));
            }
        }
        Ok(took)
    }
}

/// A policy for the servers' ingress.
pub(super) fn policy(name: &str, ingress: Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"], "ingress": ingress}})
}

/// Creates a policy.
pub(super) fn create(proxy: &Proxy, policy: &Value) -> Result<(), ClusterError> {
    proxy.ask("POST", &policies(), Some(policy)).map(drop)
}

/// Deletes a policy.
pub(super) fn delete(proxy: &Proxy, name: &str) -> Result<(), ClusterError> {
    proxy.ask("DELETE", &format!("{}/{name}", policies()), None).map(drop)
}

fn policies() -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies")
}

fn pod(image: &str, name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false, "enableServiceLinks": false,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Never", "args": ["pause"]}]}})
}

fn address(cluster: &Cluster, pod: &str) -> Result<IpAddr, ClusterError> {
    let text = cluster.kubectl(&["get", "pod", pod, "-n", NAMESPACE, "-o", "jsonpath={.status.podIP}"])?;
    text.parse().map_err(|_| LabError::Invalid(format!("the pod {pod} has the address `{text}`")).into())
}

/// The network namespace on a node that has an address.
fn namespace_of(node: &ClusterNode, address: IpAddr) -> Result<File, ClusterError> {
    let folder = format!("/proc/{}/root/run/netns", node.init());
    let entries = fs::read_dir(&folder).map_err(ClusterError::io(folder.clone()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let file = File::open(&path).map_err(ClusterError::io(path.display().to_string()))?;
        if enter(&file, || has(address))? {
            return Ok(file);
        }
    }
    Err(LabError::Invalid(format!("no network namespace of {} has {address}", node.name())).into())
}

fn has(address: IpAddr) -> bool {
    let all = getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    let mut all = all.filter_map(|found| {
        let ipv4 = found.as_sockaddr_in().map(|found| IpAddr::from(found.ip()));
        ipv4.or_else(|| found.as_sockaddr_in6().map(|found| IpAddr::from(found.ip())))
    });
    all.any(|found| found == address)
}

/// Runs `f` in a thread in a network namespace.
pub(super) fn enter<T: Send>(namespace: &File, f: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    thread::scope(|scope| {
        let job = scope.spawn(|| {
            let entered = setns(namespace, CloneFlags::CLONE_NEWNET);
            entered
                .map_err(|e| LabError::Io { what: "the namespace of a pod".to_owned(), source: e.into() })?;
            Ok(f())
        });
        job.join().unwrap_or_else(|_| Err(LabError::Panicked("a pod's thread".to_owned())))
    })
}
