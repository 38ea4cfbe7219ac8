//! The lab's hosts as objects of the API, and the policies over them.

use crate::lab::{Lab, LabError, Pod, addresses};
use compiler::config::Port;
use policy_model::{
    cluster::Change,
    labels::Labels,
    manifest,
    object::{Node, Pod as PodObject},
};
use std::sync::Arc;

/// The nodes and pods of a lab. Each pod has one label, `pod`, with its name.
#[must_use]
pub fn cluster(lab: &Lab) -> Vec<Change> {
    cluster_with(lab, &lab.pods())
}

/// The nodes of a lab and some of its pods.
pub(super) fn cluster_with(lab: &Lab, pods: &[Arc<Pod>]) -> Vec<Change> {
    let nodes = lab.nodes().iter().map(|node| {
        let n = node.index();
        let ranges = [format!("{}/24", addresses::pod4(n, 0)), format!("{}/64", addresses::pod6(n, 0))];
        Change::Node(Node {
            name: node.name().into(),
            addresses: vec![node.ipv4().into(), node.ipv6().into()],
            pod_cidrs: ranges.iter().filter_map(|range| range.parse().ok()).collect(),
        })
    });
    nodes.chain(pods.iter().map(|pod| Change::Pod(pod_object(lab, pod)))).collect()
}

fn pod_object(lab: &Lab, pod: &Pod) -> PodObject {
    PodObject {
        key: pod.key().clone(),
        labels: Labels::default().with("pod", &pod.key().name),
        ips: pod.addresses().collect(),
        node: Some(lab.node(pod.node()).name().into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    }
}

/// A pod's interface as its node knows it.
///
/// # Errors
/// [`LabError::Io`] if the node has no such link.
pub fn port(lab: &Lab, pod: &Pod) -> Result<Port, LabError> {
    let netns = lab.node(pod.node()).netns();
    let index = netns.enter(|| nix::net::if_::if_nametoindex(pod.host_veth()))?;
    let ifindex = index.map_err(LabError::io(format!("{} on {}", pod.host_veth(), netns.name())))?;
    let mac = addresses::mac_bytes(pod.mac())
        .ok_or_else(|| LabError::Invalid(format!("`{}` is no MAC", pod.mac())))?;
    let id: Arc<str> = pod.container_id().into();
    Ok(Port { id, pod: pod.key().clone(), ifindex, mac, addresses: pod.addresses().collect() })
}

/// The policies of every attack: `policies.yaml`.
///
/// # Errors
/// [`LabError::Invalid`] if the file is wrong.
pub fn policies() -> Result<Vec<Change>, LabError> {
    parse(include_str!("policies.yaml"))
}

pub(super) fn parse(text: &str) -> Result<Vec<Change>, LabError> {
    let parsed = manifest::parse("policies.yaml", text);
    if !parsed.problems.is_empty() {
        let problems: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
        return Err(LabError::Invalid(problems.join("\n")));
    }
    Ok(parsed.objects.into_iter().filter_map(|object| object.value.into_change()).collect())
}
