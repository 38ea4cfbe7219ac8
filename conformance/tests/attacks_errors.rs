//! ICMP errors: those about a permitted flow arrive, whoever sends them, and nothing else does. Needs root.

use conformance::{
    attack::{
        Ground, Host, Installed,
        packet::{ip4, ip6, udp4, udp6, unfragmented},
    },
    lab::{Family, LabError},
    probe::{
        WAIT,
        craft::{self, Ipv4, Ipv6, UDP},
    },
};
use std::net::IpAddr;

/// `a` may send UDP on the same ports to `d` as to `b`.
const TO_THE_OTHER_NODE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends-udp-to-d, namespace: default }
spec:
  podSelector: { matchLabels: { pod: a } }
  policyTypes: [Egress]
  egress:
    - to: [{ podSelector: { matchLabels: { pod: d } } }]
      ports: [{ protocol: UDP, port: 8000, endPort: 8100 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: d-hears-udp-of-a, namespace: default }
spec:
  podSelector: { matchLabels: { pod: d } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ podSelector: { matchLabels: { pod: a } } }]
      ports: [{ protocol: UDP, port: 8000, endPort: 8100 }]
";

/// A port that the policies permit and nobody serves.
const PERMITTED: u16 = 8001;
/// One that they do not.
const FORBIDDEN: u16 = 7999;

/// A datagram from `a` and the error that comes back.
struct Case {
    name: String,
    frame: Vec<u8>,
    marker: Vec<u8>,
    /// Type and code of the error.
    error: (u8, u8),
    family: Family,
}

/// A datagram with a hop limit and a payload of some size, to a port.
fn datagram(ground: &Ground, to: &Host, family: Family, port: u16, hops: u8, payload: &[u8]) -> Vec<u8> {
    let a = &ground.cast.a;
    let own = ground.cast.pods()[..3].contains(&to);
    let mac = if own { to.mac } else { ground.cast.gateways[0] };
    let ends: [IpAddr; 2] = family.pick([a.v4.into(), to.v4.into()], [a.v6.into(), to.v6.into()]);
    let datagram = craft::udp(ends[0], ends[1], 3000, port, payload);
    let packet = family.pick(
        unfragmented(Ipv4 { ttl: hops, ..Ipv4::new(a.v4, to.v4, UDP) }.packet(&datagram)),
        Ipv6::new(a.v6, to.v6, UDP).hops(hops).packet(&datagram),
    );
    craft::ethernet(mac, a.mac, family.pick(craft::IPV4, craft::IPV6), &packet)
}

/// Errors that come from hosts and routers as they are.
fn cases(ground: &Ground, port: u16) -> Vec<Case> {
    let cast = &ground.cast;
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let (unreachable, exceeded) = family.pick(((3, 3), (11, 0)), ((1, 4), (3, 0)));
        for (what, to, hops, error) in [
            ("port unreachable on its own node", &cast.b, 64, unreachable),
            ("port unreachable on the other node", &cast.d, 64, unreachable),
            ("time exceeded by its own node", &cast.d, 1, exceeded),
            ("time exceeded by the other node", &cast.d, 2, exceeded),
        ] {
            let marker = format!("ERR{:03}", cases.len()).into_bytes();
            let frame = datagram(ground, to, family, port, hops, &marker);
            cases.push(Case { name: format!("{what}, {family:?}"), frame, marker, error, family });
        }
    }
    cases
}

/// A datagram of 1,400 bytes that fits nowhere.
fn large(ground: &Ground, port: u16, what: &str) -> Vec<Case> {
    let case = |family: Family| {
        let marker = format!("BIG{what}{family:?}").into_bytes();
        let payload = [&marker[..], &[0; 1340]].concat();
        let frame = datagram(ground, &ground.cast.d, family, port, 64, &payload);
        let error = family.pick((3, 4), (2, 0));
        Case { name: format!("too big for {what}, {family:?}"), frame, marker, error, family }
    };
    Family::BOTH.map(case).into()
}

/// Sends each datagram and gives the names of those whose error does not come back.
fn missing(ground: &Ground, cases: &[Case]) -> Result<Vec<String>, LabError> {
    let a = &ground.cast.a.place;
    let mut missing = Vec::new();
    for case in cases {
        let capture = ground.lab.capture(a, "eth0")?;
        ground.lab.inject(a, "eth0", std::slice::from_ref(&case.frame))?;
        let deadline = std::time::Instant::now() + WAIT;
        let mut came = false;
        while !came && std::time::Instant::now() < deadline {
            came = capture.take()?.iter().any(|frame| is_error(frame, case));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if !came {
            missing.push(case.name.clone());
        }
    }
    Ok(missing)
}

/// Whether a frame is the error that a case waits for: of its type, about its datagram.
fn is_error(frame: &[u8], case: &Case) -> bool {
    let header = 14 + case.family.pick(20, 40);
    frame.get(header..header + 2) == Some(&[case.error.0, case.error.1])
        && conformance::probe::contains(frame, &case.marker)
}

/// Sends the large datagrams while some links of a node are narrow.
fn missing_while_narrow(
    ground: &Ground,
    node: u8,
    links: &[&str],
    cases: &[Case],
) -> Result<Vec<String>, LabError> {
    let netns = ground.lab.node(node).netns();
    let set = |link: &str, mtu: &str| netns.exec(&["ip", "link", "set", link, "mtu", mtu]).map(drop);
    let mtu = |link: &str| netns.exec(&["cat", &format!("/sys/class/net/{link}/mtu")]);
    let before: Vec<String> = links.iter().map(|link| mtu(link)).collect::<Result<_, _>>()?;
    links.iter().try_for_each(|link| set(link, "1300"))?;
    let missing = missing(ground, cases)?;
    links.iter().zip(&before).try_for_each(|(link, mtu)| set(link, mtu.trim()))?;
    Ok(missing)
}

/// All cases; the links are made narrow one after the other.
fn all_missing(ground: &Ground, port: u16) -> Result<Vec<String>, LabError> {
    ground.forget()?;
    let mut all = missing(ground, &cases(ground, port))?;
    let overlay = ["flannel.1", "flannel-v6.1"];
    all.extend(missing_while_narrow(ground, 1, &overlay, &large(ground, port, "the overlay"))?);
    let bridge = large(ground, port, "the other node's bridge");
    all.extend(missing_while_narrow(ground, 2, &["cni0"], &bridge)?);
    Ok(all)
}

#[test]
fn errors_about_permitted_flows_arrive_and_forbidden_flows_cause_none() -> Result<(), LabError> {
    let ground = Ground::raise("icmp-errors")?;
    let none = Vec::<String>::new();
    assert_eq!(all_missing(&ground, PERMITTED)?, none, "without our tables");
    assert_eq!(all_missing(&ground, FORBIDDEN)?, none, "without our tables");
    let mut tables = Installed::install(&ground.lab)?;
    tables.apply_manifests(TO_THE_OTHER_NODE)?;
    assert_eq!(all_missing(&ground, PERMITTED)?, none, "under policies");
    let denied = all_missing(&ground, FORBIDDEN)?;
    // A router looks at hop limit and size before it asks the forward hook (ip_forward): it says nothing of the pod behind.
    let of_first_router =
        |case: &Case| case.name.contains("by its own node") || case.name.contains("the overlay");
    let mut all = cases(&ground, FORBIDDEN);
    all.extend(large(&ground, FORBIDDEN, "the other node's bridge"));
    let all: Vec<_> = all.into_iter().filter(|c| !of_first_router(c)).map(|case| case.name).collect();
    assert_eq!(denied, all, "errors about forbidden flows");
    Ok(())
}

/// What `c` sends to `b`, as if it were a router that could not deliver what `b` had answered to `a`.
fn forged(ground: &Ground, family: Family, kind: (u8, u8), marker: &[u8]) -> Vec<u8> {
    let (a, b, c) = (&ground.cast.a, &ground.cast.b, &ground.cast.c);
    let packet = family.pick(
        ip4(
            c.v4,
            b.v4,
            craft::ICMP,
            &craft::icmp(kind.0, kind.1, [0; 4], &udp4(b.v4, a.v4, (80, 2000), marker)),
        ),
        ip6(
            c.v6,
            b.v6,
            craft::ICMPV6,
            &craft::icmpv6(c.v6, b.v6, kind.0, kind.1, [0; 4], &udp6(b.v6, a.v6, (80, 2000), marker)),
        ),
    );
    craft::ethernet(b.mac, c.mac, family.pick(craft::IPV4, craft::IPV6), &packet)
}

fn arrives(ground: &Ground, family: Family, kind: (u8, u8), marker: &str) -> Result<bool, LabError> {
    let frame = forged(ground, family, kind, marker.as_bytes());
    let (b, c) = (&ground.cast.b.place, &ground.cast.c.place);
    Ok(ground.lab.deliver(c, vec![frame], b, marker.as_bytes())? > 0)
}

/// A documented limit: whoever knows a live flow's addresses and ports can send an error about it, as every router can.
#[test]
fn an_error_by_a_stranger_passes_while_its_flow_has_an_entry_and_a_redirect_never() -> Result<(), LabError> {
    let ground = Ground::raise("icmp-stranger")?;
    let mut tables = Installed::install(&ground.lab)?;
    let (a, b) = (&ground.cast.a, &ground.cast.b);
    for family in Family::BOTH {
        let (unreachable, redirect) = family.pick(((3, 3), (5, 1)), ((1, 4), (137, 0)));
        assert!(!arrives(&ground, family, unreachable, "before the flow")?);
        let (ethertype, packet) = family.pick(
            (craft::IPV4, udp4(a.v4, b.v4, (2000, 80), b"the first datagram")),
            (craft::IPV6, udp6(a.v6, b.v6, (2000, 80), b"the first datagram")),
        );
        let frame = craft::ethernet(b.mac, a.mac, ethertype, &packet);
        assert!(ground.lab.deliver(&a.place, vec![frame], &b.place, b"the first datagram")? > 0);
        assert!(arrives(&ground, family, unreachable, "while it lives")?);
        assert!(!arrives(&ground, family, redirect, "a redirect about it")?);
    }
    tables.apply_manifests(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: b-hears, namespace: default }
spec: { podSelector: { matchLabels: { pod: b } }, policyTypes: [Ingress] }
",
    )?;
    for family in Family::BOTH {
        let unreachable = family.pick((3, 3), (1, 4));
        assert!(arrives(&ground, family, unreachable, "after its revoke")?);
    }
    ground.forget()?;
    for family in Family::BOTH {
        let unreachable = family.pick((3, 3), (1, 4));
        assert!(!arrives(&ground, family, unreachable, "without its entry")?);
    }
    Ok(())
}
