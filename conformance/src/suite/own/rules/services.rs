//! What leads to pods by another address: Services, node ports, load balancers, host ports.

use super::super::case::{Fault, wrong};
use super::{
    cells::{Cells, Expected, Kind, tcp, udp},
    nodes::overlay,
    scene::{BESIDE, CLIENTS, HOST_PORT, NAMESPACE, NODES, OUTSIDE, SERVERS, STRANGERS, Scene, blocks_of},
};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The Services, all of the first server, by the names that cases use.
const SERVICE: &str = "service";
const CLUSTER: &str = "cluster";
const LOCAL: &str = "local";
/// Their port, and where it leads.
const PORT: u16 = 80;
const SERVER: u16 = 7000;
const KINDS: [Kind; 2] = [tcp(PORT), udp(PORT)];

/// Makes a Service of the first server; gives its addresses a name.
fn service(scene: &mut Scene, name: &str, more: &Value) -> Result<(), Fault> {
    let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": PORT, "targetPort": SERVER});
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"name": SERVERS[0]}, "ipFamilyPolicy": "PreferDualStack", "ports": [port("TCP"), port("UDP")]}});
    for (field, value) in more.as_object().into_iter().flatten() {
        service["spec"][field] = value.clone();
    }
    scene.apply(&service.to_string())?;
    let path = r#"jsonpath={range .spec.clusterIPs[*]}{@}{"\n"}{end}"#;
    let addresses = scene.cluster().kubectl(&["get", "service", name, "-n", NAMESPACE, "-o", path])?;
    scene.name(name, None, addresses.lines().filter_map(|line| line.parse().ok()).collect());
    Ok(())
}

const TO_SERVERS: &str = "
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
metadata: {name: strangers}
spec:
  podSelector: {matchLabels: {app: stranger}}
  policyTypes: [Egress]
  egress: [{to: [BLOCKS]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}, {podSelector: {matchLabels: {app: stranger}}}]}]
";

pub(super) fn cluster_address(scene: &mut Scene) -> Result<String, Fault> {
    service(scene, SERVICE, &json!({}))?;
    let mut cells = Cells::of(scene);
    for client in CLIENTS {
        cells.open(client, SERVICE, &KINDS)?;
    }
    for stranger in STRANGERS {
        cells.shut(stranger, SERVICE, &KINDS)?;
    }
    cells.shut(SERVERS[1], SERVICE, &KINDS)?;
    cells.judge(&TO_SERVERS.replace("BLOCKS", &scene.blocks(SERVICE)?))
}

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: everybody}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

pub(super) fn itself(scene: &mut Scene) -> Result<String, Fault> {
    service(scene, SERVICE, &json!({}))?;
    let mut cells = Cells::of(scene);
    cells.open(SERVERS[0], SERVICE, &KINDS)?.open(SERVERS[0], SERVERS[0], &[tcp(SERVER), udp(SERVER)])?;
    for other in [CLIENTS[0], CLIENTS[1], SERVERS[1]] {
        cells.shut(other, SERVICE, &KINDS)?;
    }
    cells.judge(CLOSED)
}

/// The first server lets in the host outside, and the second node by its address on the overlay.
const CLIENT_OUTSIDE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [BLOCKS]}]
";

/// Asks as the host outside with both its addresses. `direct` leads to the first node, which has the server, by names of targets and
/// what they are asked; `around` to the second, of which policy sees the overlay's address, or nothing comes through.
fn true_clients(
    scene: &Scene,
    direct: &[(&str, &[Kind])],
    around: &[(&str, &[Kind])],
    nowhere: &[(&str, &[Kind])],
) -> Result<String, Fault> {
    let mut counted = Vec::new();
    // Named: the host outside, and then the other node too.
    for with_node in [false, true] {
        let mut cells = Cells::of(scene);
        for (target, kinds) in direct {
            cells.open(OUTSIDE, target, kinds)?.shut(BESIDE, target, kinds)?;
        }
        for (target, kinds) in around {
            let judged = if with_node { Expected::Open } else { Expected::Shut };
            for client in [OUTSIDE, BESIDE] {
                cells.add(client, target, kinds, [Expected::Open, judged])?;
            }
        }
        for (target, kinds) in nowhere {
            cells.add(OUTSIDE, target, kinds, [Expected::Nowhere; 2])?;
        }
        let mut blocks = scene.blocks(OUTSIDE)?;
        if with_node {
            blocks = format!("{blocks}, {}", blocks_of(&overlay(scene, 2)?));
        }
        counted.push(cells.judge(&CLIENT_OUTSIDE.replace("BLOCKS", &blocks))?);
    }
    Ok(counted.join("; with the other node's overlay address named "))
}

pub(super) fn node_port(scene: &mut Scene) -> Result<String, Fault> {
    let mut kinds = Vec::new();
    for policy in ["Cluster", "Local"] {
        let name = policy.to_lowercase();
        service(scene, &name, &json!({"type": "NodePort", "externalTrafficPolicy": policy}))?;
        let path = r#"jsonpath={range .spec.ports[*]}{.nodePort}{"\n"}{end}"#;
        let ports = scene.cluster().kubectl(&["get", "service", &name, "-n", NAMESPACE, "-o", path])?;
        let ports: Vec<u16> = ports.lines().filter_map(|line| line.parse().ok()).collect();
        let [tcp_port, udp_port] = *ports else {
            return wrong(format!("the Service {name} has the node ports {ports:?}"));
        };
        kinds.push([tcp(tcp_port), udp(udp_port)]);
    }
    let [cluster, local] = &*kinds else { return wrong("two Services are made") };
    let [first, second] = NODES;
    true_clients(scene, &[(first, cluster), (first, local)], &[(second, cluster)], &[(second, local)])
}

/// The addresses of a load balancer, in ranges for documentation (RFC 5737, RFC 3849).
fn balanced(scene: &Scene, number: u8) -> Vec<IpAddr> {
    let v4 = Ipv4Addr::new(198, 51, 100, number).into();
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)).into();
    [v4, v6].into_iter().filter(|address: &IpAddr| scene.has(address.is_ipv4())).collect()
}

pub(super) fn load_balancer(scene: &mut Scene) -> Result<String, Fault> {
    // Two for each Service: the first leads to the first node, the second to the second.
    let names = |of: &str| [1, 2].map(|node| format!("load balancer of {of} at node-{node}"));
    for (name, policy, first) in [(CLUSTER, "Cluster", 1), (LOCAL, "Local", 3)] {
        service(scene, name, &json!({"type": "LoadBalancer", "externalTrafficPolicy": policy}))?;
        for (balancer, number) in names(name).iter().zip(first..) {
            let addresses = balanced(scene, number);
            scene.route(&addresses, number - first + 1)?;
            scene.name(balancer, None, addresses);
        }
        let addresses = balanced(scene, first).into_iter().chain(balanced(scene, first + 1));
        let ingress: Vec<Value> = addresses.map(|address| json!({"ip": address})).collect();
        let status = json!({"status": {"loadBalancer": {"ingress": ingress}}}).to_string();
        let patch = [
            "patch",
            "service",
            name,
            "-n",
            NAMESPACE,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &status,
        ];
        scene.cluster().kubectl(&patch)?;
    }
    let ([cluster, around], [local, nowhere]) = (names(CLUSTER), names(LOCAL));
    true_clients(scene, &[(&cluster, &KINDS), (&local, &KINDS)], &[(&around, &KINDS)], &[(&nowhere, &KINDS)])
}

pub(super) fn host_port(scene: &mut Scene) -> Result<String, Fault> {
    let kinds = [tcp(HOST_PORT), udp(HOST_PORT)];
    let mut cells = Cells::of(scene);
    cells.open(OUTSIDE, NODES[0], &kinds)?.shut(BESIDE, NODES[0], &kinds)?;
    cells.shut(STRANGERS[0], NODES[0], &kinds)?.shut(STRANGERS[1], NODES[0], &kinds)?;
    cells.judge(&CLIENT_OUTSIDE.replace("BLOCKS", &scene.blocks(OUTSIDE)?))
}
