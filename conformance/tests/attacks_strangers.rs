//! Pods that a node does not know, or does not know any more: nothing comes from them and nothing reaches them, but for
//! what their own node sends. Needs root.

use compiler::{Event, config::UnknownPods};
use conformance::{
    attack::{
        Ground, Host, Installed,
        packet::{udp4, udp6},
    },
    lab::{Lab, LabError, PodSpec},
    probe::{Delivery, Outcome, Probe, Side, Transport, craft},
};
use policy_model::cluster::Change;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

fn addresses(host: &Host) -> [IpAddr; 2] {
    [host.v4.into(), host.v6.into()]
}

/// Ways from and to a pod that the node was never told of.
fn ways_of_a_stranger(ground: &Ground, stranger: &Host) -> Vec<Probe> {
    let cast = &ground.cast;
    let mut probes = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp, Transport::Icmp] {
        let mut add = |from: &Host, to: IpAddr| {
            let port = if transport == Transport::Icmp { 0 } else { 80 };
            probes.push(Probe::new(transport, &from.place, to, port));
        };
        for index in 0..2 {
            let of = |host: &Host| addresses(host)[index];
            add(stranger, of(&cast.c));
            add(stranger, of(&cast.b));
            add(&cast.c, of(stranger));
            add(stranger, of(&cast.d));
            add(&cast.d, of(stranger));
            add(stranger, of(&cast.outside));
            add(&cast.outside, of(stranger));
            add(stranger, of(&cast.nodes[0]));
        }
        add(stranger, cast.c.local.into());
        add(&cast.c, stranger.local.into());
    }
    probes
}

#[test]
fn an_unknown_pod_reaches_nobody_and_only_its_node_reaches_it() -> Result<(), LabError> {
    let ground = Ground::raise("unknown")?;
    let lab = &ground.lab;
    let tables = Installed::install(lab)?;
    let stranger = Host::of_pod(&lab.add_pod(PodSpec::new(1, "default", "z"))?)?;
    let ways = ways_of_a_stranger(&ground, &stranger);
    let by_node = addresses(&stranger).map(|to| Probe::tcp(&ground.cast.nodes[0].place, to, 80));
    assert_outcomes("under policies", lab, &ways, |_| Outcome::Dropped)?;
    assert_outcomes("under policies", lab, &by_node, |_| Outcome::Allowed)?;

    tables.remove()?;
    ground.forget()?;
    assert_outcomes("without our tables", lab, &ways, |_| Outcome::Allowed)
}

#[test]
fn an_unknown_pod_that_may_pass_is_still_judged_by_the_other_side() -> Result<(), LabError> {
    let ground = Ground::raise("unknown-ok")?;
    let lab = &ground.lab;
    let _tables = Installed::install_with(lab, |config| config.unknown_pods = UnknownPods::Allow)?;
    let stranger = Host::of_pod(&lab.add_pod(PodSpec::new(1, "default", "z"))?)?;
    let isolated = [&ground.cast.b, &ground.cast.d].map(addresses).concat();
    assert_outcomes("with --unknown-pods allow", lab, &ways_of_a_stranger(&ground, &stranger), |probe| {
        if isolated.contains(&probe.to) { Outcome::Dropped } else { Outcome::Allowed }
    })
}

fn assert_outcomes(
    when: &str,
    lab: &Lab,
    probes: &[Probe],
    wanted: impl Fn(&Probe) -> Outcome,
) -> Result<(), LabError> {
    let replies = lab.probe_all(probes)?;
    let wrong: Vec<_> = probes
        .iter()
        .zip(&replies)
        .filter(|(probe, reply)| reply.outcome != wanted(probe))
        .map(|(probe, reply)| format!("{probe} is {}", reply.outcome))
        .collect();
    assert!(wrong.is_empty(), "{when}: {wrong:#?}");
    Ok(())
}

/// An mDNS datagram to all of the bridge, over both families, and who might hear it.
fn group_deliveries(from: &Host, to: &Host, marker: &str) -> Vec<Delivery> {
    let (v4, v6) = (Ipv4Addr::new(224, 0, 0, 251), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb));
    let markers = [format!("{marker} over 4"), format!("{marker} over 6")];
    let frames = [
        craft::ethernet(
            [1, 0, 0x5e, 0, 0, 0xfb],
            from.mac,
            craft::IPV4,
            &udp4(from.v4, v4, (5353, 5353), markers[0].as_bytes()),
        ),
        craft::ethernet(
            [0x33, 0x33, 0, 0, 0, 0xfb],
            from.mac,
            craft::IPV6,
            &udp6(from.v6, v6, (5353, 5353), markers[1].as_bytes()),
        ),
    ];
    let pairs = frames.into_iter().zip(&markers);
    pairs.map(|(f, m)| Delivery::new(&from.place, vec![f], &to.place, m.as_bytes())).collect()
}

/// How often each datagram of `from` to all is heard by `to`.
fn heard(lab: &Lab, from: &Host, to: &Host, marker: &str) -> Result<Vec<usize>, LabError> {
    lab.deliver_all(&group_deliveries(from, to, marker), Duration::from_millis(200))
}

#[test]
fn an_unknown_pod_hears_no_group_and_is_heard_by_none() -> Result<(), LabError> {
    let ground = Ground::raise("unknown-mc")?;
    let (lab, cast) = (&ground.lab, &ground.cast);
    let known = lab.pods();
    let stranger = Host::of_pod(&lab.add_pod(PodSpec::new(1, "default", "z"))?)?;
    let tables = Installed::install_for(lab, &known, |_| {})?;
    assert_eq!(heard(lab, &cast.c, &cast.a, "c to a")?, [1, 1], "between known pods");
    assert_eq!(heard(lab, &cast.c, &stranger, "c to z")?, [0, 0]);
    assert_eq!(heard(lab, &stranger, &cast.c, "z to c")?, [0, 0]);
    assert_eq!(heard(lab, &stranger, &cast.b, "z to b")?, [0, 0]);
    tables.remove()?;

    // Where unknown pods may pass, they are heard by those who hear everybody.
    let tables = Installed::install_for(lab, &known, |config| config.unknown_pods = UnknownPods::Allow)?;
    assert_eq!(heard(lab, &stranger, &cast.c, "z to c, allowed")?, [1, 1]);
    assert_eq!(heard(lab, &stranger, &cast.b, "z to b, isolated")?, [0, 0]);
    tables.remove()?;
    assert_eq!(heard(lab, &stranger, &cast.b, "z to b, open")?, [1, 1], "without our tables");
    assert_eq!(heard(lab, &cast.c, &stranger, "c to z, open")?, [1, 1], "without our tables");
    Ok(())
}

/// What is left of a pod that the API has deleted: replies of its flows must not reach the next pod of its address.
#[test]
fn flows_of_a_pod_that_is_no_longer_known_stop_in_both_roles() -> Result<(), LabError> {
    let ground = Ground::raise("forgotten")?;
    let (lab, cast) = (&ground.lab, &ground.cast);
    let mut tables = Installed::install(lab)?;
    let every = Duration::from_millis(5);
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    for (from, to) in [
        (&cast.c, &cast.a),
        (&cast.c, &cast.e),
        (&cast.c, &cast.outside),
        (&cast.b, &cast.c),
        (&cast.d, &cast.c),
        (&cast.outside, &cast.c),
    ] {
        for address in addresses(to) {
            let to = SocketAddr::new(address, 80);
            let stream = lab.open_stream(&from.place, to)?;
            Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
            streams.push((format!("TCP {} to {address}", from.place), stream));
            let flow = lab.open_udp_flow(&from.place, to, every)?;
            datagrams.push((format!("UDP {} to {address}", from.place), flow));
        }
    }
    for side in Side::BOTH {
        for (name, stream) in &streams {
            assert!(stream.flows(side, Duration::from_secs(3)), "{name}: nothing at the {side:?}");
        }
        for (name, flow) in &datagrams {
            let before = flow.received(side);
            let came =
                || (0..300).any(|_| flow.received(side) > before || flow.received_during(side, every) > 0);
            assert!(came(), "{name}: nothing at the {side:?}");
        }
    }
    let pod = lab.pod("default", "c").ok_or_else(|| LabError::Unknown("c".to_owned()))?;
    tables.apply([
        Event::from(Change::PodDeleted(pod.key().clone())),
        Event::PortDeleted(pod.container_id().into()),
    ])?;
    for side in Side::BOTH {
        for (name, flow) in &datagrams {
            let count = flow.received_during(side, Duration::from_millis(50));
            assert_eq!(count, 0, "{name}: datagrams arrive at the {side:?}");
        }
        for (name, stream) in &streams {
            let bytes = stream.received_during(side, Duration::from_millis(50));
            assert_eq!(bytes, 0, "{name}: bytes arrive at the {side:?}");
        }
    }
    Ok(())
}
