//! What a probe reports when it does not get through, and how fast.

use crate::{expect, firewall, three_pods};
use conformance::{
    lab::{Family, Place, Pod},
    probe::{Outcome, Probe, Transport},
};
use std::time::Instant;

#[test]
fn a_dropped_probe_is_seen_to_be_dropped_and_a_rejected_one_refused() {
    let (lab, [a, b, c]) = three_pods("dropped");
    let to = |pod: &Pod, verdict| {
        format!("ip daddr {} {verdict}\nip6 daddr {} {verdict}\n", pod.ipv4(), pod.ipv6())
    };
    let rules = firewall(&(to(&b, "drop") + &to(&c, "reject")));
    lab.nft(1, &rules).expect("the rules");
    for family in Family::BOTH {
        // Same-node traffic is bridged: that it is dropped shows that br_netfilter is on.
        expect(&lab, Outcome::Dropped, &Transport::ALL.map(|t| Probe::new(t, &a, b.address(family), 80)));
        let refused = [Transport::Tcp, Transport::Udp].map(|t| Probe::new(t, &a, c.address(family), 80));
        expect(&lab, Outcome::Refused, &refused);
        expect(&lab, Outcome::Allowed, &[Probe::tcp(Place::Outside, a.address(family), 80)]);
    }
    let nowhere = Probe::tcp(&a, [172, 16, 9, 9], 80);
    lab.exec(&a, &["ip", "route", "del", "default"]).expect("the route is gone");
    expect(&lab, Outcome::NoRoute, &[nowhere]);
}

#[test]
fn a_closed_port_is_refused() {
    let (lab, [a, b, _]) = three_pods("closed");
    for family in Family::BOTH {
        let closed = [Transport::Tcp, Transport::Udp, Transport::Sctp]
            .map(|t| Probe::new(t, &a, b.address(family), 4));
        expect(&lab, Outcome::Refused, &closed);
        // Errors for many at once are not rate limited.
        let many: Vec<_> = (1000..1500).map(|port| Probe::udp(&a, b.address(family), port)).collect();
        expect(&lab, Outcome::Refused, &many);
    }
}

#[test]
fn two_thousand_probes_take_under_two_seconds_when_most_are_dropped() {
    let (lab, [a, b, c]) = three_pods("many");
    let rules = firewall("ct direction original tcp dport != 80 drop");
    lab.nft(1, &rules).expect("the rules");
    let ports = [80, 443, 5432, 8080, 9000];
    let pairs = [(&a, &b), (&b, &a), (&a, &c), (&b, &c)];
    let probes: Vec<_> = (0..2000)
        .map(|i| {
            let (from, to) = pairs[i % pairs.len()];
            Probe::tcp(from, to.address(Family::BOTH[i / 4 % 2]), ports[i / 8 % ports.len()])
        })
        .collect();
    let start = Instant::now();
    let replies = lab.probe_all(&probes).expect("replies");
    let took = start.elapsed();
    println!("{} probes, a fifth allowed, in {took:?}", probes.len());
    for (probe, reply) in probes.iter().zip(&replies) {
        let wanted = if probe.port == 80 { Outcome::Allowed } else { Outcome::Dropped };
        assert_eq!(reply.outcome, wanted, "{probe}");
    }
    assert!(took.as_secs_f64() < 2.0, "{took:?}");

    lab.exec(Place::Node(1), &["nft", "delete", "table", "inet", "test"]).expect("the table is gone");
    let start = Instant::now();
    expect(&lab, Outcome::Allowed, &probes);
    println!("{} probes, all allowed, in {:?}", probes.len(), start.elapsed());
}
