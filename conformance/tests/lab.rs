//! The lab tried on itself: without any policy everything that a cluster allows gets through, and what a firewall drops
//! is seen to be dropped. Needs root.

use conformance::{
    lab::{Family, Lab, LabError, Place, Pod, PodSpec, Service, addresses, ownership},
    probe::{
        Delivery, Outcome, Probe, Reply, Side, Transport,
        craft::{self, Ipv4, Ipv6, Tcp},
    },
};
use policy_model::object::Protocol;
use std::{io::BufRead, net::IpAddr, os::unix::process::CommandExt, sync::Arc, time::Duration};

const VIP4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 10));
const VIP6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x10));

/// Two nodes; `a` and `b` on the first, `c` on the second.
fn three_pods(test: &str) -> (Lab, [Arc<Pod>; 3]) {
    let lab = Lab::builder(test).nodes(2).build().unwrap_or_else(|e| panic!("{e}"));
    let specs = [("a", 1), ("b", 1), ("c", 2)].map(|(name, node)| PodSpec::new(node, "default", name));
    let pods = lab.add_pods(&specs).expect("three pods");
    (lab, pods.try_into().expect("three pods"))
}

/// Sends the probes and says which did not end as wanted.
fn expect(lab: &Lab, wanted: Outcome, probes: &[Probe]) -> Vec<Reply> {
    let replies = lab.probe_all(probes).expect("replies");
    let wrong: Vec<_> = probes
        .iter()
        .zip(&replies)
        .filter(|(_, r)| r.outcome != wanted)
        .map(|(p, r)| format!("{p} was {}", r.outcome))
        .collect();
    assert!(wrong.is_empty(), "wanted {wanted}, but {wrong:#?}");
    replies
}

/// A table `inet test` with these rules on the forward path, before everybody else's.
fn firewall(rules: &str) -> String {
    format!("table inet test {{\nchain forward {{\ntype filter hook forward priority -10;\n{rules}\n}}\n}}\n")
}

/// A probe of every transport and both families.
fn every_probe(from: impl Into<Place>, to: impl Fn(Family) -> IpAddr) -> Vec<Probe> {
    let from = from.into();
    let of = |family| Transport::ALL.map(|t| Probe::new(t, &from, to(family), 80));
    Family::BOTH.into_iter().flat_map(of).collect()
}

#[test]
fn pods_reach_each_other_on_one_node_and_across_nodes() {
    let (lab, pods) = three_pods("reach");
    for to in &pods {
        let probes: Vec<_> = pods.iter().flat_map(|from| every_probe(from, |f| to.address(f))).collect();
        let replies = expect(&lab, Outcome::Allowed, &probes);
        for (probe, reply) in probes.iter().zip(&replies).filter(|(p, _)| p.transport != Transport::Icmp) {
            assert!(reply.is_from(to), "{probe} was answered by {reply:?}");
            let Place::Pod(key) = &probe.from else { unreachable!("all sources are pods") };
            let from = lab.pod(&key.namespace, &key.name).expect("the source");
            assert_eq!(
                reply.client(),
                Some(from.address(Family::of(probe.to))),
                "{probe}: pods see each other as they are"
            );
        }
    }
}

#[test]
fn nodes_pods_and_the_outside_reach_each_other() {
    let (lab, [a, _, c]) = three_pods("around");
    for family in Family::BOTH {
        let node = |n| lab.address(Place::Node(n), family).expect("a node's address");
        let client = |probe: Probe| {
            let replies = expect(&lab, Outcome::Allowed, &[probe]);
            replies[0].client().expect("an answer")
        };
        let first = |n| family.pick(addresses::pod4(n, 0).into(), IpAddr::from(addresses::pod6(n, 0)));
        let gateway = |n| family.pick(addresses::pod4(n, 1).into(), IpAddr::from(addresses::pod6(n, 1)));
        let internet =
            family.pick(IpAddr::from([203, 0, 113, 77]), "2001:db8::77".parse().expect("an address"));

        assert_eq!(client(Probe::tcp(Place::Node(1), a.address(family), 80)), gateway(1), "node to its pod");
        assert_eq!(
            client(Probe::tcp(Place::Node(1), c.address(family), 80)),
            first(1),
            "node to another node's pod"
        );
        assert_eq!(client(Probe::tcp(&a, node(1), 80)), a.address(family), "pod to its node");
        assert_eq!(client(Probe::tcp(&a, node(2), 80)), node(1), "pod to another node is masqueraded");
        assert_eq!(client(Probe::udp(&a, internet, 53)), node(1), "pod to the internet is masqueraded");
        let from_internet = Probe::udp(Place::Outside, a.address(family), 80).from_address(internet);
        assert_eq!(client(from_internet), internet, "outside to a pod keeps its address");
    }
}

#[test]
fn link_local_addresses_reach_pods_of_the_same_node_only() {
    let (lab, [a, b, c]) = three_pods("linklocal");
    expect(
        &lab,
        Outcome::Allowed,
        &[Probe::tcp(&a, b.link_local(), 80), Probe::udp(Place::Node(1), b.link_local(), 80)],
    );
    let far = lab.probe(Probe::udp(&a, c.link_local(), 80)).expect("a reply");
    assert_ne!(far.outcome, Outcome::Allowed);
}

#[test]
fn a_cluster_ip_leads_to_its_backends_and_hairpins_are_masqueraded() {
    let (lab, [a, b, c]) = three_pods("clusterip");
    let service = Service::new("default", "web")
        .cluster_ip(VIP4)
        .cluster_ip(VIP6)
        .port(Protocol::Tcp, 80, 8080, None)
        .port(Protocol::Udp, 53, 53, None)
        .port(Protocol::Sctp, 80, 80, None)
        .backend(&b);
    lab.set_services(std::slice::from_ref(&service)).expect("the Service");
    for (family, vip) in [(Family::V4, VIP4), (Family::V6, VIP6)] {
        for from in [&a, &c] {
            let probes = [Probe::tcp(from, vip, 80), Probe::udp(from, vip, 53), Probe::sctp(from, vip, 80)];
            for reply in expect(&lab, Outcome::Allowed, &probes) {
                assert!(reply.is_from(&b));
                assert_eq!(reply.client(), Some(from.address(family)));
            }
        }
        let gateway = family.pick(addresses::pod4(1, 1).into(), IpAddr::from(addresses::pod6(1, 1)));
        let hairpin = &expect(&lab, Outcome::Allowed, &[Probe::tcp(&b, vip, 80)])[0];
        assert!(hairpin.is_from(&b));
        assert_eq!(hairpin.client(), Some(gateway), "a pod sees itself through the Service as its gateway");
        expect(&lab, Outcome::Refused, &[Probe::tcp(&a, vip, 81), Probe::udp(&a, vip, 80)]);
    }
    // Without a live backend it is refused; when the backend is back, it works again.
    lab.delete_pod(b.key()).expect("b is deleted");
    expect(&lab, Outcome::Refused, &[Probe::tcp(&a, VIP4, 80), Probe::tcp(&a, VIP6, 80)]);
    lab.add_pod(PodSpec::new(2, "default", "b")).expect("b on the other node");
    expect(&lab, Outcome::Allowed, &[Probe::tcp(&a, VIP4, 80), Probe::tcp(&a, VIP6, 80)]);
}

#[test]
fn a_node_port_masquerades_or_keeps_the_client_as_its_policy_says() {
    let (lab, [_, b, c]) = three_pods("nodeport");
    let service = |name: &str, last: u8, node_port| {
        Service::new("default", name)
            .cluster_ip([10, 96, 0, last])
            .cluster_ip(
                addresses::SERVICES6
                    .replace("::/112", &format!("::{last}"))
                    .parse::<IpAddr>()
                    .expect("an address"),
            )
            .port(Protocol::Tcp, 80, 80, Some(node_port))
            .backend(&b)
    };
    lab.set_services(&[service("cluster", 20, 30080), service("local", 21, 30081).local()])
        .expect("the Services");
    for family in Family::BOTH {
        let node = |n| lab.address(Place::Node(n), family).expect("a node's address");
        let outside = lab.address(Place::Outside, family).expect("its address");
        let client = |probe| expect(&lab, Outcome::Allowed, &[probe])[0].client();
        let gateway = family.pick(addresses::pod4(1, 1).into(), IpAddr::from(addresses::pod6(1, 1)));
        let first2 = family.pick(addresses::pod4(2, 0).into(), IpAddr::from(addresses::pod6(2, 0)));

        assert_eq!(
            client(Probe::tcp(Place::Outside, node(1), 30080)),
            Some(gateway),
            "Cluster, backend here"
        );
        assert_eq!(
            client(Probe::tcp(Place::Outside, node(2), 30080)),
            Some(first2),
            "Cluster, backend on another node"
        );
        assert_eq!(
            client(Probe::tcp(Place::Outside, node(1), 30081)),
            Some(outside),
            "Local keeps the client"
        );
        expect(&lab, Outcome::Dropped, &[Probe::tcp(Place::Outside, node(2), 30081)]);
        assert_eq!(
            client(Probe::tcp(&c, node(2), 30081)),
            Some(c.address(family)),
            "pods are short-circuited"
        );
    }
}

#[test]
fn a_host_port_leads_to_its_pod_while_the_pod_lives() {
    let (lab, [_, _, c]) = three_pods("hostport");
    let spec = PodSpec::new(1, "default", "ingress").host_port(Protocol::Tcp, 8088, 80);
    let pod = lab.add_pod(spec).expect("a pod with a host port");
    for family in Family::BOTH {
        let node = lab.address(Place::Node(1), family).expect("a node's address");
        for reply in expect(
            &lab,
            Outcome::Allowed,
            &[Probe::tcp(Place::Outside, node, 8088), Probe::tcp(&c, node, 8088)],
        ) {
            assert!(reply.is_from(&pod));
        }
    }
    lab.delete_pod(pod.key()).expect("deleted");
    expect(&lab, Outcome::Refused, &[Probe::tcp(Place::Outside, lab.node(1).ipv4(), 8088)]);
}

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
    let start = std::time::Instant::now();
    let replies = lab.probe_all(&probes).expect("replies");
    let took = start.elapsed();
    println!("{} probes, a fifth allowed, in {took:?}", probes.len());
    for (probe, reply) in probes.iter().zip(&replies) {
        let wanted = if probe.port == 80 { Outcome::Allowed } else { Outcome::Dropped };
        assert_eq!(reply.outcome, wanted, "{probe}");
    }
    assert!(took.as_secs_f64() < 2.0, "{took:?}");

    lab.exec(Place::Node(1), &["nft", "delete", "table", "inet", "test"]).expect("the table is gone");
    let start = std::time::Instant::now();
    expect(&lab, Outcome::Allowed, &probes);
    println!("{} probes, all allowed, in {:?}", probes.len(), start.elapsed());
}

#[test]
fn a_stream_counts_its_bytes_in_both_directions_until_it_is_cut() {
    let (lab, [a, b, c]) = three_pods("stream");
    let cut = firewall("meta l4proto tcp drop");
    let streams = [
        lab.open_stream(&a, (b.ipv4(), 80).into()).expect("same node"),
        lab.open_stream(&a, (c.ipv6(), 80).into()).expect("other node"),
    ];
    assert_eq!(streams[1].server(), &Place::from(&c));
    for stream in &streams {
        for side in Side::BOTH {
            assert!(!stream.flows(side, Duration::from_millis(50)), "nobody sends yet");
        }
        stream.send(Side::Client, true);
        assert!(stream.flows(Side::Server, Duration::from_secs(1)));
        assert_eq!(stream.received(Side::Client), 0);
        stream.send(Side::Server, true);
        assert!(stream.flows(Side::Client, Duration::from_secs(1)));
    }
    lab.nft(1, &cut).expect("the cut");
    for stream in &streams {
        for side in Side::BOTH {
            assert_eq!(stream.received_during(side, Duration::from_millis(100)), 0);
        }
    }
    lab.exec(Place::Node(1), &["nft", "delete", "table", "inet", "test"]).expect("mended");
    for stream in &streams {
        assert!(stream.flows(Side::Server, Duration::from_secs(3)), "it resumes after a retransmission");
        stream.close_sending(Side::Client).expect("half closed");
        assert!(wait(|| stream.ended(Side::Server)));
        assert!(stream.flows(Side::Client, Duration::from_secs(3)), "the other half goes on");
    }
    let blocked = lab.nft(1, &cut).and_then(|()| lab.open_stream(&a, (b.ipv4(), 80).into()).map(drop));
    assert!(matches!(blocked, Err(LabError::NotEstablished { .. })), "{blocked:?}");
}

#[test]
fn a_udp_flow_knows_each_datagram_that_was_lost() {
    let (lab, [a, b, _]) = three_pods("udpflow");
    let flow = lab.open_udp_flow(&a, (b.ipv4(), 80).into(), Duration::from_millis(1)).expect("a flow");
    assert!(wait(|| flow.received(Side::Client) > 50 && flow.received(Side::Server) > 50));
    let (up, down) = flow.settle();
    assert_eq!((up.lost, down.lost), (vec![], vec![]), "nothing is lost without a reason");
    assert_eq!((up.sent, down.sent), (up.received, down.received));

    let rules = firewall(&format!("ip daddr {} udp dport 80 drop", b.ipv4()));
    lab.nft(1, &rules).expect("the rules");
    for _ in 0..3 {
        flow.send(Side::Client, true);
        flow.send(Side::Server, true);
        let (before, sent) = (flow.received(Side::Server), flow.sent(Side::Client));
        assert!(wait(|| flow.sent(Side::Client) > sent + 10));
        let (lost, other) = flow.settle();
        assert_eq!(lost.received, before);
        assert_eq!(lost.lost.len() as u64, lost.sent - before);
        assert!(other.lost.is_empty(), "the other direction is open");
    }
}

#[test]
fn injected_frames_are_seen_where_they_arrive_and_nowhere_else() {
    let (lab, [a, b, c]) = three_pods("frames");
    let mac = |text: &str| addresses::mac_bytes(text).expect("a MAC");
    let frame = |to: &str, marker: &[u8]| {
        // An ethertype for experiments: no stack looks at it, only the bridge carries it.
        [&mac(to)[..], &mac(a.mac()), &[0x88, 0xb5], marker, &[0; 50]].concat()
    };
    let seen = |to: &Arc<Pod>, at: &Arc<Pod>, marker: &[u8]| {
        lab.deliver(&a, vec![frame(to.mac(), marker)], at, marker).expect("a delivery")
    };
    assert_eq!(seen(&b, &b, b"first frame"), 1);
    assert_eq!(seen(&b, &c, b"second frame"), 0);
    assert_eq!(seen(&c, &c, b"third frame"), 0, "the other node is not on this bridge");
    let both = [b"frame no. 1", b"frame no. 2"].map(|m| Delivery::new(&a, vec![frame(b.mac(), m); 2], &b, m));
    let counts = lab.deliver_all(&both, Duration::from_secs(1)).expect("deliveries");
    assert!(counts.iter().all(|&n| n >= 1), "{counts:?}");

    let capture = lab.capture(Place::Node(1), "cni0").expect("a capture");
    expect(&lab, Outcome::Allowed, &[Probe::icmp(&a, c.ipv4())]);
    assert!(!capture.take().expect("frames").is_empty());
}

#[test]
fn crafted_packets_are_understood_by_the_receiving_kernel() {
    let (lab, [a, b, c]) = three_pods("craft");
    let mac = |text: &str| addresses::mac_bytes(text).expect("a MAC");
    let gateway = mac(lab.node(1).bridge_mac());
    let v4 = |to: &Pod, protocol, payload: &[u8]| Ipv4::new(a.ipv4(), to.ipv4(), protocol).packet(payload);
    let v6 = |to: &Pod, next, payload: &[u8]| Ipv6::new(a.ipv6(), to.ipv6(), next).packet(payload);
    let ends = |to: &Pod, f| (a.address(f), to.address(f));
    // Who gets a frame answers it; the answer comes back to a with the token, which only it and the request hold.
    for (to, first_hop) in [(&b, mac(b.mac())), (&c, gateway)] {
        for family in Family::BOTH {
            let (from_ip, to_ip) = ends(to, family);
            let token = format!("token {} {family:?}", to.key());
            let datagram = craft::udp(from_ip, to_ip, 1111, 80, token.as_bytes());
            let echo = family.pick(
                craft::icmp(8, 0, [0, 1, 0, 1], token.as_bytes()),
                craft::icmpv6(a.ipv6(), to.ipv6(), 128, 0, [0, 1, 0, 1], token.as_bytes()),
            );
            let packets = match family {
                Family::V4 => [v4(to, craft::UDP, &datagram), v4(to, craft::ICMP, &echo)],
                Family::V6 => [
                    v6(to, craft::DESTINATION_OPTIONS, &craft::options(craft::UDP, &datagram)),
                    v6(to, craft::ICMPV6, &echo),
                ],
            };
            let ethertype = family.pick(craft::IPV4, craft::IPV6);
            for packet in packets {
                let frame = craft::ethernet(first_hop, mac(a.mac()), ethertype, &packet);
                let answers = lab.deliver(&a, vec![frame], &a, &token.as_bytes()[..8]).expect("a delivery");
                assert!(answers >= 1, "{} does not answer {packet:02x?}", to.key());
            }
        }
    }
    // The pod's kernel answers a SYN to a closed port with a reset, and resets carry the acknowledged number.
    let syn = Tcp { sequence: 0x0bad_cafe, ..Tcp::new(1112, 4, craft::SYN) };
    let (from_ip, to_ip) = ends(&b, Family::V4);
    let frame = craft::ethernet(
        mac(b.mac()),
        mac(a.mac()),
        craft::IPV4,
        &v4(&b, craft::TCP, &syn.segment(from_ip, to_ip, b"")),
    );
    assert_eq!(lab.deliver(&a, vec![frame], &a, &0x0bad_caff_u32.to_be_bytes()).expect("a delivery"), 1);
}

#[test]
fn a_pod_of_one_family_has_no_address_of_the_other() {
    let (lab, [a, ..]) = three_pods("family");
    let four = lab.add_pod(PodSpec::new(1, "default", "four").only(Family::V4)).expect("a pod");
    expect(&lab, Outcome::Allowed, &[Probe::tcp(&a, four.ipv4(), 80), Probe::tcp(&a, four.link_local(), 80)]);
    assert_ne!(lab.probe(Probe::tcp(&a, four.ipv6(), 80)).expect("a reply").outcome, Outcome::Allowed);
    assert!(!lab.node(1).cni_dir().join(format!("networks/cbr0/{}", four.ipv6())).exists());
}

#[test]
fn a_started_pod_answers_before_its_result_is_written() {
    let (lab, [a, ..]) = three_pods("started");
    let new = lab.start_pods(&[PodSpec::new(2, "default", "new")]).expect("a pod").remove(0);
    let cni = lab.node(2).cni_dir();
    let result = cni.join(format!("results/cbr0-{}-eth0", new.container_id()));
    expect(&lab, Outcome::Allowed, &every_probe(&a, |f| new.address(f)));
    assert!(cni.join(format!("networks/cbr0/{}", new.ipv4())).exists() && !result.exists());
    lab.finish_pod(&new).expect("its result");
    assert!(result.exists());
}

#[test]
fn a_lab_without_root_says_that_it_needs_root() {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "a_closed_port_is_refused"]).uid(65_534).gid(65_534);
    let output = command.output().expect("this program as nobody");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("needs root"), "{said}");
}

#[test]
fn a_pod_leaves_the_files_that_a_real_one_leaves() {
    let (lab, [a, b, _]) = three_pods("files");
    let dir = lab.node(1).cni_dir();
    let text = |path: &str| std::fs::read_to_string(dir.join(path));
    let lease = format!("{}\r\neth0", a.container_id());
    assert_eq!(text(&format!("networks/cbr0/{}", a.ipv4())).expect("the lease"), lease);
    assert_eq!(text(&format!("networks/cbr0/{}", a.ipv6())).expect("the lease"), lease);
    assert_eq!(text("networks/cbr0/last_reserved_ip.0").expect("the last lease"), b.ipv4().to_string());

    let cache = format!("results/cbr0-{}-eth0", a.container_id());
    let cache: serde_json::Value = serde_json::from_str(&text(&cache).expect("the cache")).expect("JSON");
    assert_eq!(cache["kind"], "cniCacheV1");
    let arguments: std::collections::BTreeMap<String, String> =
        serde_json::from_value(cache["cniArgs"].as_array().expect("arguments").iter().fold(
            serde_json::Map::new().into(),
            |mut all: serde_json::Value, pair| {
                all[pair[0].as_str().expect("a key")] = pair[1].clone();
                all
            },
        ))
        .expect("strings");
    assert_eq!(arguments["K8S_POD_NAMESPACE"], "default");
    assert_eq!(arguments["K8S_POD_NAME"], "a");
    assert_eq!(arguments["K8S_POD_UID"], a.uid());
    let veth = &cache["result"]["interfaces"][1];
    assert_eq!(veth["name"], a.host_veth());
    let link = lab
        .exec(Place::Node(1), &["ip", "-o", "link", "show", a.host_veth()])
        .expect("the host veth is there");
    assert!(link.contains(veth["mac"].as_str().expect("a MAC")) && link.contains("master cni0"), "{link}");
    assert_eq!(cache["result"]["ips"][0]["address"], format!("{}/24", a.ipv4()));
    assert_eq!(cache["result"]["interfaces"][2]["mac"], a.mac());

    lab.delete_pod(a.key()).expect("deleted");
    let left = |folder: &str| std::fs::read_dir(dir.join(folder)).expect("the folder").count();
    // Of b: a lease in each family, the scratch file, its cache and that of its loopback.
    assert_eq!((left("networks/cbr0"), left("flannel"), left("results")), (2 + 3, 1, 2));
    let again = lab
        .add_pod(PodSpec::new(1, "default", "heir").ipv4(a.ipv4()).ipv6(a.ipv6()))
        .expect("its address is free");
    assert_eq!((again.ipv4(), again.ipv6()), (a.ipv4(), a.ipv6()));
    expect(&lab, Outcome::Allowed, &every_probe(&b, |f| again.address(f)));
    let taken = lab.add_pod(PodSpec::new(1, "default", "thief").ipv4(b.ipv4()));
    assert!(matches!(taken, Err(LabError::Invalid(_))), "{taken:?}");
}

/// What of a lab is left on this machine.
fn leftovers(id: &str) -> Vec<String> {
    let names = |dir: &str| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(dir).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default()
    };
    let all = [names("/run/netns"), names(ownership::STATE_DIR)].concat();
    all.iter().map(|p| p.display().to_string()).filter(|p| p.contains(id)).collect()
}

/// The links of the machine's own network namespace.
fn own_links() -> Vec<String> {
    let links = std::fs::read_dir("/sys/class/net").expect("links");
    links.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn nothing_is_left_after_a_drop_or_a_panic_not_even_processes() {
    let links = own_links();
    let (lab, [a, ..]) = three_pods("gone");
    let id = lab.id().to_owned();
    let mut sleeper = a.netns().command("sleep").arg("1000").spawn().expect("a process in the pod");
    assert!(leftovers(&id).len() > 5, "the lab is there");
    drop(lab);
    assert_eq!(leftovers(&id), Vec::<String>::new());
    assert_eq!(own_links(), links);
    assert!(wait(|| sleeper.try_wait().expect("its state").is_some()), "the process is gone");

    let id = Arc::new(std::sync::Mutex::new(String::new()));
    let outcome = std::thread::spawn({
        let id = id.clone();
        move || {
            let (lab, _) = three_pods("panic");
            lab.id().clone_into(&mut id.lock().expect("the id"));
            panic!("this panic is part of the test");
        }
    });
    assert!(outcome.join().is_err());
    let id = id.lock().expect("the id").clone();
    assert!(id.starts_with("pal-panic-"));
    assert_eq!(leftovers(&id), Vec::<String>::new());
}

/// Not a test of its own: the process that [`nothing_is_left_after_a_signal`] kills.
#[test]
#[ignore = "a part of another test"]
fn a_lab_that_waits_to_be_killed() {
    let (lab, _) = three_pods("killed");
    println!("lab {}", lab.id());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn nothing_is_left_after_a_signal() {
    for signal in ["INT", "TERM", "KILL"] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "a_lab_that_waits_to_be_killed"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a second process");
        let output = std::io::BufReader::new(child.stdout.take().expect("its output"));
        let id = output
            .lines()
            .find_map(|line| Some(line.ok()?.split_once("lab pal-")?.1.to_owned()))
            .expect("the id of its lab");
        assert!(leftovers(&id).len() > 5, "the lab is there");
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        child.wait().expect("its end");
        assert!(wait(|| leftovers(&id).is_empty()), "after SIG{signal}: {:?}", leftovers(&id));
    }
}

#[test]
fn a_kept_lab_stays_until_it_is_removed() {
    let (lab, _) = three_pods("kept");
    let id = lab.keep().expect("kept");
    ownership::sweep().expect("a sweep");
    assert!(leftovers(&id).len() > 5);
    assert!(ownership::kept().expect("the kept ones").contains(&id));
    ownership::remove(&id).expect("removed");
    assert_eq!(leftovers(&id), Vec::<String>::new());
    assert!(matches!(ownership::remove("../../etc"), Err(LabError::Invalid(_))));
}

/// Waits up to two seconds.
fn wait(mut condition: impl FnMut() -> bool) -> bool {
    (0..400).any(|_| {
        condition() || {
            std::thread::sleep(Duration::from_millis(5));
            false
        }
    })
}
