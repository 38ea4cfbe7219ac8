//! Echo requests, and the errors that a flow's destination sends.

use super::super::case::Fault;
use super::{
    cells::{Cells, ECHO, Expected, tcp, udp},
    scene::{CLIENTS, SERVERS, STRANGERS, Scene},
};

/// Nobody listens there.
const EMPTY: u16 = 7099;

/// Neither end hears or says anything but this: clients send datagrams to the second server, and anything to the first.
const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: everybody}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: the-first}
spec:
  podSelector: {matchLabels: {name: server-1}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: the-second}
spec:
  podSelector: {matchLabels: {name: server-2}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 1, endPort: 65535, protocol: UDP}]
";

pub(super) fn icmp(scene: &mut Scene) -> Result<String, Fault> {
    let mut cells = Cells::of(scene);
    let [first, second] = SERVERS;
    for client in CLIENTS {
        cells.open(client, first, &[ECHO])?.shut(client, second, &[ECHO])?;
        cells.open(client, second, &[udp(7000)])?;
        for server in SERVERS {
            cells.add(client, server, &[udp(EMPTY)], [Expected::Refused; 2])?;
        }
        cells.add(client, first, &[tcp(EMPTY)], [Expected::Refused; 2])?;
    }
    for server in SERVERS {
        cells.shut(STRANGERS[0], server, &[ECHO])?;
    }
    cells.judge(POLICIES)
}
