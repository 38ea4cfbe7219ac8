//! Flows that conntrack has the wrong way round go on when their ends are isolated: behind a switch at first not, in tables made
//! anew without one lost datagram.

use super::ground::{self, End, app, ingress};
use conformance::{
    enforced::{Enforced, Manifests},
    lab::{Netns, Pod},
};
use policy_model::{
    cluster::Cluster,
    object::Protocol,
    policy::{Peer, PolicyPort, PortMatch, Rule},
    selector::Selector,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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

/// A client and a server that answers each of its datagrams.
struct Flow {
    node: Netns,
    client: (UdpSocket, SocketAddr),
    server: (UdpSocket, SocketAddr),
}

/// What the client has sent, and what of it was answered.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Counts {
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Flow {
    fn new(node: Netns, pods: &[Arc<Pod>]) -> Self {
        let [client, server] = [(0, CLIENT), (1, SERVER)].map(|(pod, port): (usize, u16)| {
            let address = SocketAddr::new(pods[pod].ipv4().into(), port);
            let socket =
                pods[pod].netns().enter(|| UdpSocket::bind(address)).expect("a pod").expect("a socket");
            socket.set_read_timeout(Some(WAIT)).expect("a patience");
            (socket, address)
        });
        Self { node, client, server }
    }

    /// As if conntrack had begun to look between a request and its answer.
    fn turn(&self) {
        self.server.0.send_to(b"answer", self.client.1).expect("an answer");
        let mut buffer = [0; 16];
        self.client.0.recv_from(&mut buffer).expect("the answer");
        assert!(self.is_turned(), "{}", self.entries());
    }

    fn entries(&self) -> String {
        let line = ["conntrack", "-L", "-p", "udp", "--dport", &CLIENT.to_string()];
        self.node.exec(&line).expect("conntrack")
    }

    fn is_turned(&self) -> bool {
        let [server, client] = [self.server.1.ip(), self.client.1.ip()];
        self.entries().contains(&format!("src={server} dst={client} sport={SERVER}"))
    }

    /// Lets the flow go on while `work` is done, and until nothing is under way any more.
    fn goes_on<T>(&self, work: impl FnOnce(&Counts) -> T) -> (T, Counts) {
        let (stop, sending, counts) = (AtomicBool::new(false), AtomicBool::new(true), Counts::default());
        let done = thread::scope(|scope| {
            let end = End(&stop);
            scope.spawn(|| {
                let mut buffer = [0; 16];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((length, from)) = self.server.0.recv_from(&mut buffer) else { continue };
                    self.server.0.send_to(&buffer[..length], from).expect("the client is there");
                }
            });
            scope.spawn(|| {
                let mut buffer = [0; 16];
                while !stop.load(Ordering::Relaxed) {
                    if self.client.0.recv_from(&mut buffer).is_ok() {
                        counts.answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let sender = scope.spawn(|| {
                while sending.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed) {
                    self.client.0.send_to(b"request", self.server.1).expect("the server is there");
                    counts.sent.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(EVERY);
                }
            });
            thread::sleep(MOMENT);
            let done = work(&counts);
            thread::sleep(MOMENT);
            sending.store(false, Ordering::Relaxed);
            sender.join().expect("the sender");
            thread::sleep(2 * WAIT);
            drop(end);
            done
        });
        (done, counts)
    }
}

#[test]
fn a_flow_that_conntrack_has_the_wrong_way_round_goes_on_when_its_ends_are_isolated() {
    let (lab, pods) = ground::raise("turned", &[53]);
    let mut cluster = ground::cluster(&pods, ingress("nobody", app("nobody"), Vec::new()));
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");
    let flow = Flow::new(enforced.lab().node(1).netns().clone(), &pods);
    flow.turn();

    isolate(&mut cluster);
    let ((commits, since), counts) = flow.goes_on(|counts| {
        let commits = enforced.update(&Manifests::of(&cluster)).expect("the policies").concat();
        // It is denied until it is found, behind the switch.
        let denied = counts.answered();
        let begin = Instant::now();
        while counts.answered() < denied + 20 && begin.elapsed() < LONGEST {
            thread::sleep(EVERY);
        }
        (commits, (counts.answered(), counts.sent()))
    });
    assert!(!commits.is_empty(), "the policies change something");
    let (sent, answered) = (counts.sent(), counts.answered());
    println!("{sent} datagrams, {} not answered", sent - answered);
    assert!(sent - since.1 > 50, "{sent} datagrams are no flow");
    assert!(answered - since.0 >= sent - since.1, "it does not go on: {}", flow.entries());
    assert!(!flow.is_turned());
}

#[test]
fn tables_made_anew_lose_nothing_of_flows_that_conntrack_has_the_wrong_way_round() {
    let (lab, pods) = ground::raise("turned anew", &[53]);
    let mut cluster = ground::cluster(&pods, ingress("nobody", app("nobody"), Vec::new()));
    isolate(&mut cluster);
    let node = lab.node(1).netns().clone();
    // Conntrack looks at nothing where no rule asks it.
    node.nft("table inet watch {\nchain forward {\ntype filter hook forward priority 400;\nct state new counter\n}\n}\n")
        .expect("a table that asks conntrack");
    let flow = Flow::new(node.clone(), &pods);
    flow.turn();
    let (mut enforced, counts) =
        flow.goes_on(|_| Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd"));
    let all_answered = |when: &str, counts: &Counts| {
        let [sent, answered] = [counts.sent(), counts.answered()];
        println!("{when}: {sent} datagrams, {} not answered", sent - answered);
        assert!(sent > 100, "{sent} datagrams are no flow");
        assert_eq!(answered, sent, "{when}: {}", flow.entries());
        assert!(!flow.is_turned(), "{when}: {}", flow.entries());
    };
    all_answered("policyd's first revision", &counts);

    // The same when somebody has taken the tables away while policyd was not there to see it.
    enforced.daemon_mut(1).kill();
    for table in ["inet palisade", "bridge palisade"] {
        node.nft(&format!("delete table {table}")).expect("they are there");
    }
    node.exec(&["conntrack", "-D", "-p", "udp"]).expect("conntrack forgets");
    flow.turn();
    let ((), counts) = flow.goes_on(|_| {
        let daemon = enforced.daemon_mut(1);
        daemon.restart().expect("policyd");
        daemon.wait_until_ready(LONGEST).expect("policyd");
    });
    all_answered("tables that were taken away", &counts);
}
