//! Peers: pods in IPv6, and blocks of addresses.

use super::super::case::Fault;
use super::{
    cells::{Cells, ECHO, tcp, udp},
    scene::{BESIDE, CLIENTS, OUTSIDE, SERVERS, STRANGERS, Scene, single},
};

const PODS_AND_PORTS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: 7000}, {port: 7001, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Ingress, Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]
";

pub(super) fn ipv6(scene: &mut Scene) -> Result<String, Fault> {
    if !scene.has(false) {
        return Err(Fault::Skipped("its cluster has no IPv6"));
    }
    let by_ipv6 = |name| format!("{name} by IPv6");
    for name in SERVERS.into_iter().chain(STRANGERS) {
        let address = scene.address(name, false)?;
        scene.name(&by_ipv6(name), None, vec![address]);
    }
    let mut cells = Cells::of(scene);
    for server in SERVERS.map(by_ipv6) {
        for client in CLIENTS {
            cells.open(client, &server, &[tcp(7000), udp(7001)])?;
            cells.shut(client, &server, &[udp(7000), tcp(7001), ECHO])?;
            cells.shut(client, &by_ipv6(STRANGERS[0]), &[tcp(7000), udp(7001), ECHO])?;
        }
        for stranger in STRANGERS {
            cells.shut(stranger, &server, &[tcp(7000), udp(7001), ECHO])?;
        }
    }
    cells.judge(PODS_AND_PORTS)
}

const BLOCKS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress:
    - from:
";
/// Of hosts beside the cluster and of pods, with whom they leave out.
const EXCEPT: [(&str, &str); 4] = [
    ("172.30.0.0/24", BESIDE),
    ("fd00:30::/64", BESIDE),
    ("10.244.0.0/16", CLIENTS[1]),
    ("fd00:244::/56", CLIENTS[1]),
];

pub(super) fn block_ingress(scene: &mut Scene) -> Result<String, Fault> {
    let mut cells = Cells::of(scene);
    let kinds = [tcp(7000), udp(7000), ECHO];
    for server in SERVERS {
        cells.open(OUTSIDE, server, &kinds)?.shut(BESIDE, server, &kinds)?;
        cells.open(CLIENTS[0], server, &kinds)?.shut(CLIENTS[1], server, &kinds)?;
        cells.open(STRANGERS[0], server, &kinds)?.open(STRANGERS[1], server, &kinds)?;
    }
    let mut policies = BLOCKS.to_owned();
    for (block, name) in EXCEPT.into_iter().filter(|(block, _)| scene.has(!block.contains(':'))) {
        let except = single(scene.address(name, !block.contains(':'))?);
        policies.push_str(&format!("        - ipBlock: {{cidr: '{block}', except: ['{except}']}}\n"));
    }
    cells.judge(&policies)
}

const ONE_OUTSIDE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
    - to: [BLOCKS]
      ports: [{port: 7000}, {port: 7000, protocol: UDP}]
";

pub(super) fn external_egress(scene: &mut Scene) -> Result<String, Fault> {
    let mut cells = Cells::of(scene);
    let kinds = [tcp(7000), udp(7000)];
    for client in CLIENTS {
        cells.open(client, OUTSIDE, &kinds)?.shut(client, OUTSIDE, &[tcp(7001), ECHO])?;
        cells.shut(client, BESIDE, &kinds)?.shut(client, SERVERS[0], &kinds)?;
    }
    cells.open(STRANGERS[0], BESIDE, &kinds)?;
    cells.judge(&ONE_OUTSIDE.replace("BLOCKS", &scene.blocks(OUTSIDE)?))
}
