//! The cluster's own DNS, as policies meet it.

use policy_model::object::{NamedPort, ObjectKey, Pod, Protocol};
use std::net::Ipv4Addr;

/// Where NodeLocal DNSCache listens on every node, unless told otherwise.
pub(crate) const NODE_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);

/// Where it is.
pub(crate) const NAMESPACE: &str = "kube-system";

/// Whether a pod is a server of the cluster's DNS: CoreDNS and kube-dns are labelled so by every distribution.
pub(crate) fn is_server(pod: &Pod) -> bool {
    &*pod.key.namespace == NAMESPACE && pod.labels.get("k8s-app").is_some_and(|app| &**app == "kube-dns")
}

/// CoreDNS as every distribution installs it, for folders that do not have it.
pub(crate) fn imagined() -> Pod {
    let port = |name: &str, protocol| NamedPort { name: name.into(), protocol, port: 53 };
    Pod {
        key: ObjectKey::new(NAMESPACE, "kube-dns"),
        labels: [("k8s-app", "kube-dns")].into_iter().collect(),
        ips: Default::default(),
        node: None,
        host_network: false,
        terminal: false,
        ports: vec![port("dns", Protocol::Udp), port("dns-tcp", Protocol::Tcp)],
        owner: None,
    }
}
