//! The pods of the suite, and threads in their network namespaces.

use super::case::{Fault, wrong};
use crate::{
    cluster::{Cluster, ClusterError, ClusterNode, agnhost_image},
    lab::{LabError, Netns},
};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use std::{fs::File, net::IpAddr, path::Path, thread};

/// Their namespace.
pub(super) const NAMESPACE: &str = "own";
/// What clients may reach of servers: [`POLICIES`] has it.
pub(super) const PERMITTED: u16 = 7000;
/// What nobody may reach.
pub(super) const FORBIDDEN: u16 = 7999;

/// Servers may be reached by clients alone, and clients may reach servers alone; `open` may be reached by everybody, so that
/// only the client's side denies there.
const POLICIES: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: own}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers, namespace: own}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 7000, protocol: UDP}, {port: 7000, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients, namespace: own}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: own}
spec: {podSelector: {matchLabels: {app: open}}, policyTypes: [Ingress], ingress: [{}]}
"#;

/// A running pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    /// The first of them.
    pub(super) address: IpAddr,
    /// One of each family.
    pub(super) addresses: Vec<IpAddr>,
    netns: File,
}

impl Pod {
    /// The same pod for another thread.
    pub(super) fn try_clone(&self) -> Result<Self, Fault> {
        let netns = self.netns.try_clone().map_err(ClusterError::io("the namespace of a pod"))?;
        Ok(Self { name: self.name.clone(), address: self.address, addresses: self.addresses.clone(), netns })
    }

    /// Its network namespace under a name of this machine's, too.
    pub(super) fn adopt(&self, name: String) -> Result<Netns, LabError> {
        Netns::adopt(name, &self.netns)
    }

    /// Runs `f` in a thread in the pod's network namespace. Sockets that it makes stay there wherever they are moved to.
    pub(super) fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        thread::scope(|scope| {
            let job = scope.spawn(|| {
                setns(&self.netns, CloneFlags::CLONE_NEWNET).map_err(|e| LabError::Io {
                    what: format!("cannot enter the network namespace of {}", self.name),
                    source: e.into(),
                })?;
                Ok(f())
            });
            job.join().unwrap_or_else(|_| Err(LabError::Panicked(self.name.clone())))
        })
    }
}

/// The suite's pods: of each kind one on the first node and one on the second.
#[derive(Debug)]
pub(super) struct Pods {
    pub(super) servers: [Pod; 2],
    pub(super) clients: [Pod; 2],
    pub(super) strangers: [Pod; 2],
    pub(super) open: [Pod; 2],
}

const APPS: [&str; 4] = ["server", "client", "stranger", "open"];

impl Pods {
    /// Makes them where they are not there yet, and finds their namespaces.
    pub(super) fn ensure(cluster: &Cluster) -> Result<Self, Fault> {
        let mut objects =
            vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
        for (node, number) in two(cluster)?.into_iter().zip(1..) {
            for app in APPS {
                objects.push(pod(&format!("{app}-{number}"), app, node.name())?);
            }
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        cluster.kubectl_with(&["apply", "-f", "-"], &list.to_string())?;
        let ready = ["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=120s"];
        cluster.kubectl(&ready)?;
        Self::find(cluster)
    }

    /// Finds those that run.
    pub(super) fn find(cluster: &Cluster) -> Result<Self, Fault> {
        let nodes = two(cluster)?;
        let pair = |app: &str| -> Result<[Pod; 2], Fault> {
            Ok([find(nodes[0], &format!("{app}-1"))?, find(nodes[1], &format!("{app}-2"))?])
        };
        let [servers, clients, strangers, open] = APPS;
        Ok(Self {
            servers: pair(servers)?,
            clients: pair(clients)?,
            strangers: pair(strangers)?,
            open: pair(open)?,
        })
    }
}

/// The policies come into being.
pub(super) fn apply_policies(cluster: &Cluster) -> Result<(), Fault> {
    cluster.kubectl_with(&["apply", "-f", "-"], POLICIES)?;
    Ok(())
}

/// The first two nodes.
fn two(cluster: &Cluster) -> Result<[&ClusterNode; 2], Fault> {
    match cluster.nodes() {
        [one, two, ..] => Ok([one, two]),
        _ => wrong("the suite takes two workers"),
    }
}

/// A pod that does nothing by itself.
pub(super) fn pod(name: &str, app: &str, node: &str) -> Result<Value, Fault> {
    Ok(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "enableServiceLinks": false,
            "automountServiceAccountToken": false, "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": agnhost_image()?, "imagePullPolicy": "Never"}]}}))
}

/// The pod of this name by what CNI says of it on its node: the newest result that names it.
pub(super) fn find(node: &ClusterNode, name: &str) -> Result<Pod, Fault> {
    let script = "cd /var/lib/cni/results && ls -t | grep -- '-eth0$' | xargs cat";
    let text = node.exec(&["sh", "-c", script])?;
    let results = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let is_it = |result: &Value| {
        let arguments = result["cniArgs"].as_array().into_iter().flatten();
        let mut names = arguments.filter(|pair| pair[0] == "K8S_POD_NAME").map(|pair| &pair[1]);
        names.any(|found| found == name)
    };
    let Some(result) = results.filter_map(Result::ok).find(is_it) else {
        return wrong(format!("CNI knows no pod {name} on {}", node.name()));
    };
    let interfaces = result["result"]["interfaces"].as_array().into_iter().flatten();
    let sandbox =
        interfaces.filter_map(|interface| interface["sandbox"].as_str()).find(|path| !path.is_empty());
    let addresses = result["result"]["ips"].as_array().into_iter().flatten();
    let addresses = addresses.filter_map(|ip| ip["address"].as_str()?.split('/').next()?.parse().ok());
    let addresses: Vec<IpAddr> = addresses.collect();
    let (Some(sandbox), Some(&address)) = (sandbox, addresses.first()) else {
        return wrong(format!("CNI's result for {name} has no namespace or address: {result}"));
    };
    // As this process sees it. /var/run is a link to /run in the node, which would be followed to this machine's.
    let file = Path::new(sandbox).file_name().unwrap_or_default();
    let path = Path::new("/proc").join(node.init().to_string()).join("root/run/netns").join(file);
    let netns = File::open(&path).map_err(ClusterError::io(path.display().to_string()))?;
    Ok(Pod { name: name.to_owned(), address, addresses, netns })
}
