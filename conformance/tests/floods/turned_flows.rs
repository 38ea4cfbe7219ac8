//! Flows that conntrack has the wrong way round go on when their ends are isolated.

use super::ground::{self, End, app, ingress};
use conformance::enforced::{Enforced, Manifests};
use policy_model::{
    cluster::Cluster,
    object::Protocol,
    policy::{Peer, PolicyPort, PortMatch, Rule},
    selector::Selector,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const SERVER: u16 = 7001;
const CLIENT: u16 = 40_001;
/// Between two datagrams of the client.
const EVERY: Duration = Duration::from_millis(2);
/// How long the flow goes on before and after it is isolated.
const MOMENT: Duration = Duration::from_millis(400);
/// Until it is found.
const LONGEST: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_millis(100);

/// Nobody hears anybody, but the server its client.
fn isolate(cluster: &mut Cluster) {
    let peers = vec![Peer::Pods { namespaces: None, pods: app("client") }];
    let ports = vec![PolicyPort { protocol: Protocol::Udp, port: PortMatch::Range(SERVER, SERVER) }];
    cluster.insert_policy(ingress("all", Selector::everything(), Vec::new()));
    cluster.insert_policy(ingress("server", app("server"), vec![Rule { peers, ports }]));
}

#[test]
fn a_flow_that_conntrack_has_the_wrong_way_round_goes_on_when_its_ends_are_isolated() {
    let (lab, pods) = ground::raise("turned", &[53]);
    let [client, server] = [(0, CLIENT), (1, SERVER)].map(|(pod, port): (usize, u16)| {
        let address = SocketAddr::new(pods[pod].ipv4().into(), port);
        let socket = pods[pod].netns().enter(|| UdpSocket::bind(address)).expect("a pod").expect("a socket");
        socket.set_read_timeout(Some(WAIT)).expect("a patience");
        (socket, address)
    });
    let mut cluster = ground::cluster(&pods, ingress("nobody", app("nobody"), Vec::new()));
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");

    // As if conntrack had begun to look between a request and its answer.
    server.0.send_to(b"answer", client.1).expect("an answer");
    let mut buffer = [0; 16];
    client.0.recv_from(&mut buffer).expect("the answer");
    let node = enforced.lab().node(1).netns().clone();
    let entries =
        || node.exec(&["conntrack", "-L", "-p", "udp", "--dport", &CLIENT.to_string()]).expect("conntrack");
    assert!(entries().contains(&format!("src={} dst={}", server.1.ip(), client.1.ip())), "{}", entries());

    let (stop, sending) = (AtomicBool::new(false), AtomicBool::new(true));
    let (sent, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    isolate(&mut cluster);
    let (commits, since) = thread::scope(|scope| {
        let end = End(&stop);
        scope.spawn(|| {
            let mut buffer = [0; 16];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = server.0.recv_from(&mut buffer) else { continue };
                server.0.send_to(&buffer[..length], from).expect("the client is there");
            }
        });
        scope.spawn(|| {
            let mut buffer = [0; 16];
            while !stop.load(Ordering::Relaxed) {
                if client.0.recv_from(&mut buffer).is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let sender = scope.spawn({
            let (client, sending, sent, stop) = (&client.0, &sending, &sent, &stop);
            move || {
                while sending.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed) {
                    client.send_to(b"request", server.1).expect("the server is there");
                    sent.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(EVERY);
                }
            }
        });
        thread::sleep(MOMENT);
        let commits = enforced.update(&Manifests::of(&cluster)).expect("the policies").concat();
        // It is denied until it is found, behind the switch.
        let denied = answered.load(Ordering::Relaxed);
        let begin = Instant::now();
        while answered.load(Ordering::Relaxed) < denied + 20 && begin.elapsed() < LONGEST {
            thread::sleep(EVERY);
        }
        let since = (answered.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
        thread::sleep(MOMENT);
        sending.store(false, Ordering::Relaxed);
        sender.join().expect("the sender");
        thread::sleep(2 * WAIT);
        drop(end);
        (commits, since)
    });
    assert!(!commits.is_empty(), "the policies change something");
    let (sent, answered) = (sent.into_inner(), answered.into_inner());
    println!("{sent} datagrams, {} not answered", sent - answered);
    assert!(sent - since.1 > 50, "{sent} datagrams are no flow");
    assert!(answered - since.0 >= sent - since.1, "it does not go on: {}", entries());
    assert!(!entries().contains(&format!("src={} dst={} sport={SERVER}", server.1.ip(), client.1.ip())));
}
