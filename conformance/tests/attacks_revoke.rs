//! A permission that is taken away in the middle of a transfer: not one byte more arrives, whichever side took it away and
//! whatever way the flow takes. Needs root.

use conformance::{
    attack::{Ground, Host, Installed, matrix},
    lab::{Family, LabError},
    probe::{Side, Stream, UdpFlow},
};
use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

/// How long is watched whether something arrives.
const WATCH: Duration = Duration::from_millis(400);
/// How long a flow may take to go on: TCP waits longer after each loss.
const PATIENCE: Duration = Duration::from_secs(8);

/// With the policies of the lab, `a` may also send UDP to `d`.
const ALLOWED: &str = include_str!("../src/attack/policies.yaml");
const ALSO_UDP: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends-udp-to-d, namespace: default }
spec:
  podSelector: { matchLabels: { pod: a } }
  policyTypes: [Egress]
  egress: [{ to: [{ podSelector: { matchLabels: { pod: d } } }], ports: [{ protocol: UDP, port: 80 }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears-udp-of-a, namespace: default }
spec:
  podSelector: { matchLabels: { pod: d } }
  policyTypes: [Ingress]
  ingress: [{ from: [{ podSelector: { matchLabels: { pod: a } } }], ports: [{ protocol: UDP, port: 80 }] }]
";

/// The same policies without anything for `a` at the servers: `b` and `d` hear nobody.
const SERVERS_REVOKE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: b-hears, namespace: default }
spec: { podSelector: { matchLabels: { pod: b } }, policyTypes: [Ingress] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears, namespace: default }
spec: { podSelector: { matchLabels: { pod: d } }, policyTypes: [Ingress] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears-udp-of-a, namespace: default }
spec: { podSelector: { matchLabels: { pod: d } }, policyTypes: [Ingress] }
";

/// The same policies without anything that `a` may send.
const CLIENT_REVOKES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends, namespace: default }
spec: { podSelector: { matchLabels: { pod: a } }, policyTypes: [Egress] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends-udp-to-d, namespace: default }
spec: { podSelector: { matchLabels: { pod: a } }, policyTypes: [Egress] }
";

/// One of the servers' rules stays, for other ports of the same peer.
const SERVERS_REVOKE_A_PORT: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: b-hears, namespace: default }
spec:
  podSelector: { matchLabels: { pod: b } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ podSelector: { matchLabels: { pod: a } } }]
      ports: [{ protocol: UDP, port: 8000, endPort: 8100 }, { protocol: TCP, port: 81 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears, namespace: default }
spec:
  podSelector: { matchLabels: { pod: d } }
  policyTypes: [Ingress]
  ingress: [{ from: [{ podSelector: { matchLabels: { pod: a } } }], ports: [{ protocol: TCP, port: 81 }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears-udp-of-a, namespace: default }
spec: { podSelector: { matchLabels: { pod: d } }, policyTypes: [Ingress] }
";

/// One of the client's rules stays, for other ports of the same peers.
const CLIENT_REVOKES_A_PORT: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends, namespace: default }
spec:
  podSelector: { matchLabels: { pod: a } }
  policyTypes: [Egress]
  egress:
    - to: [{ podSelector: { matchExpressions: [{ key: pod, operator: In, values: [b, d] }] } }]
      ports: [{ protocol: UDP, port: 8000, endPort: 8100 }, { protocol: TCP, port: 81 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends-udp-to-d, namespace: default }
spec: { podSelector: { matchLabels: { pod: a } }, policyTypes: [Egress] }
";

enum Kind {
    Tcp(Stream),
    Udp(UdpFlow),
}

/// A flow from `a`, and which ends of it receive.
struct Flow {
    name: String,
    kind: Kind,
    receivers: Vec<Side>,
    /// Not through a Service.
    direct: bool,
}

impl Flow {
    fn tcp(ground: &Ground, name: &str, to: IpAddr, direct: bool) -> Self {
        let stream = ground.lab.open_stream(&ground.cast.a.place, SocketAddr::new(to, 80));
        let stream = stream.unwrap_or_else(|e| panic!("{name}: {e}"));
        Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
        let name = format!("TCP {name} ({to})");
        Self { name, kind: Kind::Tcp(stream), receivers: Side::BOTH.to_vec(), direct }
    }

    fn udp(ground: &Ground, name: &str, to: IpAddr, direct: bool) -> Self {
        let every = Duration::from_millis(5);
        let flow = ground.lab.open_udp_flow(&ground.cast.a.place, SocketAddr::new(to, 80), every);
        let kind = Kind::Udp(flow.unwrap_or_else(|e| panic!("{name}: {e}")));
        Self { name: format!("UDP {name} ({to})"), kind, receivers: Side::BOTH.to_vec(), direct }
    }

    /// One end has said its last word; only the other sends.
    fn half_closed(mut self, by: Side) -> Self {
        if let Kind::Tcp(stream) = &self.kind {
            stream.close_sending(by).expect("half closed");
        }
        self.receivers = vec![by];
        self.name += &format!(", half closed by the {by:?}");
        self
    }

    fn received(&self, side: Side) -> u64 {
        match &self.kind {
            Kind::Tcp(stream) => stream.received(side),
            Kind::Udp(flow) => flow.received(side),
        }
    }

    /// Counts what has arrived by now.
    fn empty(&self) {
        match &self.kind {
            Kind::Tcp(stream) => drop(stream.received_during(Side::Client, Duration::ZERO)),
            Kind::Udp(flow) => drop(flow.received_during(Side::Client, Duration::ZERO)),
        }
    }

    fn is_udp(&self) -> bool {
        matches!(self.kind, Kind::Udp(_))
    }
}

/// Every flow of the table of cases: direct, through a Service, to the other node, half closed, and datagrams.
fn open_all(ground: &Ground) -> Vec<Flow> {
    let mut flows = Vec::new();
    for family in Family::BOTH {
        let at = |host: &Host| family.pick(IpAddr::from(host.v4), host.v6.into());
        let (b, d) = (at(&ground.cast.b), at(&ground.cast.d));
        let [to_b, to_d] = matrix::services_of_b_and_d(family);
        flows.extend([
            Flow::tcp(ground, "a to b", b, true),
            Flow::tcp(ground, "a to the Service of b", to_b, false),
            Flow::tcp(ground, "a to d", d, true),
            Flow::tcp(ground, "a to the Service of d", to_d, false),
            Flow::tcp(ground, "a to b", b, true).half_closed(Side::Client),
            Flow::tcp(ground, "a to b", b, true).half_closed(Side::Server),
            Flow::tcp(ground, "a to d", d, true).half_closed(Side::Client),
            Flow::udp(ground, "a to b", b, true),
            Flow::udp(ground, "a to the Service of b", to_b, false),
            Flow::udp(ground, "a to d", d, true),
        ]);
    }
    flows
}

/// Which ends of which flows get something within `time`, and how much.
fn arriving(flows: &[Flow], time: Duration) -> Vec<(&Flow, Side, u64)> {
    flows.iter().for_each(Flow::empty);
    let ends: Vec<_> = flows.iter().flat_map(|f| f.receivers.iter().map(move |&side| (f, side))).collect();
    let before: Vec<_> = ends.iter().map(|(flow, side)| flow.received(*side)).collect();
    thread::sleep(time);
    let after = ends.iter().map(|(flow, side)| flow.received(*side));
    let counts: Vec<_> = after.zip(before).map(|(after, before)| after - before).collect();
    ends.into_iter().zip(counts).map(|((flow, side), count)| (flow, side, count)).collect()
}

/// Fails with the names of those that still get something.
fn assert_silence(when: &str, flows: &[Flow], exempt: impl Fn(&Flow) -> bool) {
    let loud: Vec<_> = arriving(flows, WATCH)
        .into_iter()
        .filter(|(flow, _, count)| *count > 0 && !exempt(flow))
        .map(|(flow, side, count)| format!("{}: {count} at the {side:?}", flow.name))
        .collect();
    assert!(loud.is_empty(), "{when}: {loud:#?}");
}

/// Fails with the names of those that get nothing for a long time.
fn assert_flowing(when: &str, flows: &[Flow], only: impl Fn(&Flow) -> bool) {
    flows.iter().for_each(Flow::empty);
    let ends: Vec<_> = flows
        .iter()
        .filter(|flow| only(flow))
        .flat_map(|flow| flow.receivers.iter().map(move |&side| (flow, side, flow.received(side))))
        .collect();
    let silent = || -> Vec<_> {
        let still = ends.iter().filter(|(flow, side, before)| flow.received(*side) == *before);
        still.map(|(flow, side, _)| format!("{} at the {side:?}", flow.name)).collect()
    };
    let rounds = PATIENCE.as_millis() / 20;
    let done = (0..rounds).any(|_| {
        thread::sleep(Duration::from_millis(20));
        silent().is_empty()
    });
    assert!(done, "{when}: nothing arrives for {PATIENCE:?}: {:#?}", silent());
}

fn revoke(test: &str, revoked: &str) -> Result<(), LabError> {
    let ground = Ground::raise(test)?;
    matrix::set_services(&ground.lab, &ground.cast)?;
    let mut tables = Installed::install(&ground.lab)?;
    tables.apply_manifests(ALSO_UDP)?;
    let flows = open_all(&ground);
    assert_flowing("permitted", &flows, |_| true);

    tables.apply_manifests(revoked)?;
    assert_silence("revoked", &flows, |_| false);

    tables.apply_manifests(ALLOWED)?;
    tables.apply_manifests(ALSO_UDP)?;
    assert_flowing("permitted again, with its entry", &flows, |_| true);

    tables.apply_manifests(revoked)?;
    assert_silence("revoked again", &flows, |_| false);

    // Without their entries the flows are new ones: what the server sends would open one the other way round.
    for node in ground.lab.nodes() {
        node.netns().exec(&["conntrack", "-F"])?;
    }
    assert_silence("revoked, and its entry deleted", &flows, Flow::is_udp);
    // No datagram says who began: b and d may send to a, and a may answer.
    assert_flowing("datagrams of a revoked flow whose entry is deleted", &flows, |flow| {
        flow.is_udp() && flow.direct
    });
    tables.apply_manifests(ALLOWED)?;
    assert_flowing("permitted again, without its entry", &flows, |flow| flow.direct);
    Ok(())
}

#[test]
fn nothing_arrives_after_the_servers_side_revoked() -> Result<(), LabError> {
    revoke("revoke-in", SERVERS_REVOKE)
}

#[test]
fn nothing_arrives_after_the_clients_side_revoked() -> Result<(), LabError> {
    revoke("revoke-out", CLIENT_REVOKES)
}

#[test]
fn nothing_arrives_after_the_servers_side_revoked_one_port_of_several() -> Result<(), LabError> {
    revoke("revoke-in-port", SERVERS_REVOKE_A_PORT)
}

#[test]
fn nothing_arrives_after_the_clients_side_revoked_one_port_of_several() -> Result<(), LabError> {
    revoke("revoke-out-port", CLIENT_REVOKES_A_PORT)
}

#[test]
fn nothing_of_a_flow_to_the_node_arrives_after_a_revoke() -> Result<(), LabError> {
    let ground = Ground::raise("revoke-node")?;
    let (c, node) = (&ground.cast.c, &ground.cast.nodes[0]);
    let mut tables = Installed::install(&ground.lab)?;
    let every = Duration::from_millis(5);
    let mut flows = Vec::new();
    for address in [IpAddr::from(node.v4), node.v6.into()] {
        let to = SocketAddr::new(address, 80);
        let stream = ground.lab.open_stream(&c.place, to)?;
        Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
        let datagrams = ground.lab.open_udp_flow(&c.place, to, every)?;
        for (what, kind) in [("TCP", Kind::Tcp(stream)), ("UDP", Kind::Udp(datagrams))] {
            let name = format!("{what} c to node 1 ({address})");
            flows.push(Flow { name, kind, receivers: Side::BOTH.to_vec(), direct: true });
        }
    }
    assert_flowing("permitted", &flows, |_| true);
    tables.apply_manifests(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: c-sends-nothing, namespace: default }
spec: { podSelector: { matchLabels: { pod: c } }, policyTypes: [Egress] }
",
    )?;
    assert_silence("revoked", &flows, |_| false);
    ground.lab.node(1).netns().exec(&["conntrack", "-F"])?;
    // A node may open flows to its pods, and a datagram of the node's does.
    assert_silence("revoked, and its entry deleted", &flows, Flow::is_udp);
    Ok(())
}
