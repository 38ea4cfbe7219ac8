//! Ranges of ports, and the directions that a policy is about.

use super::super::case::Fault;
use super::{
    cells::{Cells, ECHO, tcp, udp},
    scene::{CLIENTS, SERVERS, STRANGERS, Scene},
};

const RANGE: [u16; 4] = [7000, 7001, 7002, 7003];
const BEYOND: [u16; 2] = [6999, 7004];

const RANGES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 7000, endPort: 7003}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 7000, endPort: 7003}]}]
";

pub(super) fn end_port(scene: &mut Scene) -> Result<String, Fault> {
    let mut cells = Cells::of(scene);
    // To servers their ingress decides, of clients to strangers the clients' egress.
    let ingress = STRANGERS.map(|from| SERVERS.map(|to| (from, to)));
    let egress = CLIENTS.map(|from| STRANGERS.map(|to| (from, to)));
    for (from, to) in [ingress, egress].into_iter().flatten().flatten() {
        cells.open(from, to, &RANGE.map(tcp))?;
        cells.shut(from, to, &BEYOND.map(tcp))?.shut(from, to, &RANGE.map(udp))?;
    }
    cells.judge(RANGES)
}

const NO_TYPES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: without-egress-rules}
spec: {podSelector: {matchLabels: {app: server}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: with-egress-rules}
spec:
  podSelector: {matchLabels: {app: stranger}}
  egress: [{to: [{podSelector: {matchLabels: {name: client-2}}}]}]
";

pub(super) fn policy_types(scene: &mut Scene) -> Result<String, Fault> {
    let kinds = [tcp(7000), udp(7000), ECHO];
    let mut cells = Cells::of(scene);
    for server in SERVERS {
        // Isolated for ingress, and not for egress.
        cells.shut(CLIENTS[0], server, &kinds)?.open(server, CLIENTS[0], &kinds)?;
    }
    for stranger in STRANGERS {
        // Isolated in both directions.
        cells.shut(CLIENTS[0], stranger, &kinds)?.shut(stranger, CLIENTS[0], &kinds)?;
        cells.open(stranger, CLIENTS[1], &kinds)?;
    }
    cells.judge(NO_TYPES)
}
