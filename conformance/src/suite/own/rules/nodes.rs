//! Nodes, and the pods that are on their network.

use super::super::case::{Fault, wrong};
use super::{
    cells::{Cells, ECHO, tcp, udp},
    scene::{CLIENTS, NODES, SERVERS, STRANGERS, Scene, blocks_of},
};
use std::net::IpAddr;

/// Servers let clients in, as hostNetwork pods are labelled, and the first server the other node by its address too.
const LABELS_AND_A_BLOCK: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: the-first}
spec:
  podSelector: {matchLabels: {name: server-1}}
  ingress: [{from: [BLOCKS]}]
";

pub(super) fn host_source(scene: &mut Scene) -> Result<String, Fault> {
    let kinds = [tcp(7000), udp(7000), ECHO];
    let mut cells = Cells::of(scene);
    cells.open(NODES[0], SERVERS[0], &kinds)?.open(NODES[1], SERVERS[1], &kinds)?;
    cells.open(NODES[1], SERVERS[0], &kinds)?.shut(NODES[0], SERVERS[1], &kinds)?;
    cells.open(CLIENTS[0], SERVERS[1], &kinds)?.shut(STRANGERS[1], SERVERS[0], &kinds)?;
    cells.judge(&LABELS_AND_A_BLOCK.replace("BLOCKS", &blocks_of(&overlay(scene, 2)?)))
}

/// The addresses that a node, counted from 1, has on Flannel's overlay, from which it reaches pods of other nodes: the first of its ranges.
pub(super) fn overlay(scene: &Scene, node: usize) -> Result<Vec<IpAddr>, Fault> {
    let devices = [(true, "flannel.1"), (false, "flannel-v6.1")];
    let node = &scene.cluster().nodes()[node - 1];
    let mut addresses = Vec::new();
    for (_, device) in devices.into_iter().filter(|(v4, _)| scene.has(*v4)) {
        let text = node.exec(&["ip", "-brief", "address", "show", "dev", device, "scope", "global"])?;
        let found = text.split_whitespace().find_map(|word| word.split('/').next()?.parse::<IpAddr>().ok());
        match found {
            Some(found) => addresses.push(found),
            None => return wrong(format!("{device} of {} has no address: {text}", node.name())),
        }
    }
    Ok(addresses)
}

/// Everybody is isolated for ingress, and clients may send to the first node alone, and to hostNetwork pods by their labels, which
/// means nobody.
const NODE_BY_A_BLOCK: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: everybody}
spec: {podSelector: {}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
    - to: [BLOCKS]
      ports: [{port: 7000}, {port: 7000, protocol: UDP}]
    - to: [{podSelector: {matchLabels: {app: client}}}]
";

pub(super) fn host_destination(scene: &mut Scene) -> Result<String, Fault> {
    let kinds = [tcp(7000), udp(7000)];
    let mut cells = Cells::of(scene);
    for client in CLIENTS {
        cells.open(client, NODES[0], &kinds)?.shut(client, NODES[0], &[tcp(7001)])?;
        cells.shut(client, NODES[1], &kinds)?;
    }
    for node in NODES {
        cells.open(STRANGERS[0], node, &kinds)?.open(SERVERS[1], node, &kinds)?;
    }
    cells.judge(&NODE_BY_A_BLOCK.replace("BLOCKS", &scene.blocks(NODES[0])?))
}

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress, Egress]}
";

pub(super) fn own_node(scene: &mut Scene) -> Result<String, Fault> {
    let kinds = [tcp(7000), udp(7000), ECHO];
    let mut cells = Cells::of(scene);
    for i in [0, 1] {
        cells.open(NODES[i], SERVERS[i], &kinds)?.shut(NODES[1 - i], SERVERS[i], &kinds)?;
        cells.shut(SERVERS[i], NODES[i], &kinds)?.shut(SERVERS[i], NODES[1 - i], &kinds)?;
        cells.open(CLIENTS[i], NODES[i], &kinds)?;
    }
    cells.judge(CLOSED)
}
