//! The benches' cluster as a folder of manifests.

use crate::cluster::{Size, changes};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::Pod,
    policy::{NetworkPolicy, Peer, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{collections::BTreeMap, fs, io, path::Path};

/// Writes a file a namespace, in YAML as people have it.
pub(crate) fn write(folder: &Path, size: &Size) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for change in changes(size) {
        let (namespace, text) = match change {
            Change::Namespace(namespace) => (
                namespace.name.to_string(),
                format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n  labels: {}\n",
                    namespace.name,
                    labels(&namespace.labels)
                ),
            ),
            Change::Pod(object) => (object.key.namespace.to_string(), pod(&object)),
            Change::Policy(object) => (object.key.namespace.to_string(), policy(&object)),
            _ => continue,
        };
        let file = files.entry(namespace).or_default();
        *file += "---\n";
        *file += &text;
    }
    files
        .into_iter()
        .try_for_each(|(namespace, text)| fs::write(folder.join(format!("{namespace}.yaml")), text))
}

fn labels(labels: &Labels) -> String {
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}: \"{value}\"")).collect();
    format!("{{{}}}", labels.join(", "))
}

fn pod(pod: &Pod) -> String {
    let ips: Vec<_> = pod.ips.iter().map(|ip| format!("{{ip: \"{ip}\"}}")).collect();
    let ports: Vec<_> = pod
        .ports
        .iter()
        .map(|port| {
            format!(
                "{{name: {}, protocol: {}, containerPort: {}}}",
                port.name,
                port.protocol.name(),
                port.port
            )
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n  namespace: {}\n  labels: {}\nspec:\n  nodeName: {}\n  \
         containers:\n  - name: main\n    image: registry.example/main\n    ports: [{}]\nstatus:\n  phase: Running\n  podIPs: [{}]\n",
        pod.key.name,
        pod.key.namespace,
        labels(&pod.labels),
        pod.node.as_deref().unwrap_or_default(),
        ports.join(", "),
        ips.join(", ")
    )
}

/// The cluster's selectors ask for one value of a label, or for nothing.
fn selector(selector: &Selector) -> String {
    let labels = selector.requirements().iter().filter_map(|requirement| match requirement {
        Requirement::In(key, values) => Some(format!("{key}: {}", values.first()?)),
        _ => None,
    });
    format!("{{matchLabels: {{{}}}}}", labels.collect::<Vec<_>>().join(", "))
}

fn policy(policy: &NetworkPolicy) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n  podSelector: {}\n",
        policy.key.name,
        policy.key.namespace,
        selector(&policy.pod_selector)
    );
    for (rules, field, side) in [(&policy.ingress, "ingress", "from"), (&policy.egress, "egress", "to")] {
        let Some(rules) = rules else { continue };
        text += &format!("  {field}:\n");
        text.extend(rules.iter().map(|rule| self::rule(rule, side)));
    }
    let types = if policy.egress.is_some() { "[Ingress, Egress]" } else { "[Ingress]" };
    text + "  policyTypes: " + types + "\n"
}

fn rule(rule: &Rule, side: &str) -> String {
    let peers: Vec<_> = rule.peers.iter().map(peer).collect();
    let ports: Vec<_> = rule
        .ports
        .iter()
        .map(|port| match port.port {
            PortMatch::Range(first, last) => {
                format!("{{protocol: {}, port: {first}, endPort: {last}}}", port.protocol.name())
            }
            _ => format!("{{protocol: {}}}", port.protocol.name()),
        })
        .collect();
    let list = |name: &str, items: Vec<String>| {
        if items.is_empty() { String::new() } else { format!("{name}: [{}]", items.join(", ")) }
    };
    let parts = [list(side, peers), list("ports", ports)];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("  - {{{}}}\n", parts.join(", "))
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods { namespaces: None, pods } => format!("{{podSelector: {}}}", selector(pods)),
        Peer::Pods { namespaces: Some(namespaces), pods } => {
            format!("{{namespaceSelector: {}, podSelector: {}}}", selector(namespaces), selector(pods))
        }
        Peer::IpBlock { cidr, except } => {
            let except: Vec<_> = except.iter().map(|cidr| format!("\"{cidr}\"")).collect();
            format!("{{ipBlock: {{cidr: \"{cidr}\", except: [{}]}}}}", except.join(", "))
        }
    }
}
