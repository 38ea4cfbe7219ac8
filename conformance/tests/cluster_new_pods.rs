//! On a real cluster: pods that start under default deny on real kubelets, each trying to connect from its first instruction,
//! while others try to reach it from outside. Needs root; builds Kubernetes if it has not been built.
//!
//! `PALISADE_CLUSTER_PODS` sets the number of pods (40; the figure is 200).

use conformance::{
    cluster::{Cluster, ClusterError, Engine, Options, agnhost_image},
    lab::Netns,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const NAMESPACE: &str = "race";
/// agnhost's answers: HTTP and UDP.
const HTTP: u16 = 8080;
const UDP: u16 = 8081;
/// Pods that are created with one request.
const TOGETHER: usize = 20;
/// How long all of that may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a connection may take on a busy machine.
const TIMEOUT: &str = "--timeout=3s";
/// Counts the openings of connections to servers, by client, before and after Palisade's table has judged them.
const SYNS: &str = "table inet witness {
    set before { type ipv4_addr; flags dynamic; counter; }
    set after { type ipv4_addr; flags dynamic; counter; }
    chain first {
        type filter hook forward priority -10;
        ip daddr SERVER tcp dport 8080 tcp flags & (syn | ack) == syn add @before { ip saddr }
    }
    chain last {
        type filter hook forward priority 10;
        ip daddr SERVER tcp dport 8080 tcp flags & (syn | ack) == syn add @after { ip saddr }
    }
}";

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

struct Race {
    cluster: Cluster,
    image: String,
    count: usize,
}

impl Race {
    fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.cluster.kubectl_with(&["create", "-f", "-"], &list.to_string()).expect("created");
    }

    fn get(&self, arguments: &[&str]) -> Value {
        let text = self.cluster.kubectl(&[arguments, &["--namespace", NAMESPACE, "-o", "json"]].concat());
        serde_json::from_str(&text.expect("an answer")).expect("JSON")
    }

    fn container(&self, name: &str, arguments: &[&str]) -> Value {
        json!({"name": name, "image": self.image, "imagePullPolicy": "Never", "args": arguments})
    }

    fn serving(&self) -> Value {
        self.container("serve", &["netexec", &format!("--http-port={HTTP}"), &format!("--udp-port={UDP}")])
    }

    fn pod(&self, name: &str, app: &str, node: usize, containers: &[Value]) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app}},
            "spec": {"nodeName": self.cluster.nodes()[node].name(), "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0, "enableServiceLinks": false,
                "automountServiceAccountToken": false, "containers": containers}})
    }

    /// Waits until every pod of an app is so; gives them.
    fn wait(&self, app: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let list = self.get(&["get", "pods", "-l", &format!("app={app}")]);
            let pods = list["items"].as_array().cloned().unwrap_or_default();
            if !pods.is_empty() && pods.iter().all(&is_so) {
                return pods;
            }
            assert!(Instant::now() < end, "{app}: not {what} within {PATIENCE:?}: {list}");
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// What is known of a pod whose first connection failed, and what its node's policyd did in that minute.
    fn tell(&self, pod: &Value) {
        let (name, node) = (&pod["metadata"]["name"], &pod["spec"]["nodeName"]);
        let said = self.cluster.kubectl(&[
            "logs",
            name.as_str().unwrap_or_default(),
            "-n",
            NAMESPACE,
            "-c",
            "first",
        ]);
        println!("{name} on {node} ({}): {said:?}", pod["status"]["podIP"]);
        println!("{}", pod["status"]["containerStatuses"]);
        let field = format!("--field-selector=spec.nodeName={}", node.as_str().unwrap_or_default());
        let get = ["get", "pods", "-n", "palisade-system", &field, "-o", "name"];
        let daemon = self.cluster.kubectl(&get).unwrap_or_default();
        let log = self.cluster.kubectl(&["logs", daemon.trim(), "-n", "palisade-system", "--tail=2000"]);
        let started = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let minutes: BTreeSet<String> = started
            .filter_map(|status| status["state"]["terminated"]["startedAt"].as_str())
            .map(|at| at.chars().take("2026-11-27T06:05".len()).collect())
            .collect();
        for line in log.unwrap_or_default().lines() {
            if minutes.iter().any(|minute| line.contains(minute.as_str())) {
                println!("{line}");
            }
        }
    }

    /// The addresses of an app's pods, which are on one node each, in the order of nodes.
    fn addresses(&self, app: &str) -> Vec<IpAddr> {
        let ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        let pods = self.wait(app, "ready", ready);
        let address = |node: &str| {
            let pod = pods.iter().find(|pod| pod["spec"]["nodeName"] == node).expect("a pod a node");
            pod["status"]["podIP"].as_str().and_then(|ip| ip.parse().ok()).expect("an address")
        };
        self.cluster.nodes().iter().map(|node| address(node.name())).collect()
    }
}

/// What a container of a pod ended with.
fn exit_of(pod: &Value, container: &str) -> Option<i64> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let status = statuses.iter().find(|status| status["name"] == container)?;
    status["state"]["terminated"]["exitCode"].as_i64()
}

/// Sends a question to every address again and again; gives who answered and how many were asked.
fn bombard(from: &Netns, targets: &[SocketAddr], stop: &AtomicBool) -> (u64, BTreeSet<IpAddr>) {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("the namespace").expect("a socket");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let (mut sent, mut answered, mut buffer) = (0, BTreeSet::new(), [0; 256]);
    let mut hear = || {
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            answered.insert(from.ip());
        }
    };
    while !stop.load(Ordering::Relaxed) {
        for target in targets {
            sent += u64::from(socket.send_to(b"hostname", target).is_ok());
        }
        hear();
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
    hear();
    (sent, answered)
}

/// Each client's SYNs in a set of the witness, on all nodes.
fn syns(cluster: &Cluster, set: &str) -> Result<BTreeMap<String, u64>, ClusterError> {
    let mut counted = BTreeMap::new();
    for node in cluster.nodes() {
        let text = node.exec(&["nft", "--json", "list", "set", "inet", "witness", set])?;
        let listing: Value = serde_json::from_str(&text).expect("JSON of nft");
        let sets = listing["nftables"].as_array().into_iter().flatten().filter_map(|item| item.get("set"));
        for element in sets.filter_map(|set| set["elem"].as_array()).flatten() {
            let element = &element["elem"];
            let (client, packets) = (element["val"].as_str(), element["counter"]["packets"].as_u64());
            counted.insert(client.expect("an address").to_owned(), packets.expect("a counter"));
        }
    }
    Ok(counted)
}

/// Ways from the control plane, which is no node, to the pods of each node; gives the addresses that their pods can have.
fn outside(cluster: &Cluster) -> Vec<SocketAddr> {
    let mut targets = Vec::new();
    for node in cluster.nodes() {
        let arguments = ["get", "node", node.name(), "-o", "jsonpath={.spec.podCIDR}"];
        let range = cluster.kubectl(&arguments).expect("a range");
        let via = node.addresses()[0].to_string();
        cluster.control_plane().exec(&["ip", "route", "add", range.trim(), "via", &via]).expect("a way");
        let first: Ipv4Addr = range.split('/').next().and_then(|a| a.parse().ok()).expect("an address");
        let address = |last| Ipv4Addr::from_bits(first.to_bits() + last).into();
        targets.extend((2..=254).map(|last| SocketAddr::new(address(last), UDP)));
    }
    targets
}

/// The upper bounds of event-to-kernel times over all nodes, at half and at 99 of 100 events, in seconds.
fn latency(cluster: &Cluster) -> (f64, f64) {
    let mut buckets: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for node in cluster.nodes() {
        let page = node.netns().enter(|| {
            let mut stream = TcpStream::connect("127.0.0.1:9469").ok()?;
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: policyd\r\nConnection: close\r\n\r\n").ok()?;
            let mut page = String::new();
            stream.read_to_string(&mut page).ok()?;
            Some(page)
        });
        for line in page.expect("the namespace").unwrap_or_default().lines() {
            let Some(rest) = line.strip_prefix("palisade_event_to_kernel_seconds_bucket{le=\"") else {
                continue;
            };
            let Some((bound, count)) = rest.split_once("\"} ") else { continue };
            let (Ok(bound), Ok(count)) = (bound.replace("+Inf", "inf").parse::<f64>(), count.parse::<f64>())
            else {
                continue;
            };
            buckets.entry(bound.to_bits()).or_insert((bound, 0.0)).1 += count;
        }
    }
    let all = buckets.values().map(|(_, count)| *count).fold(0.0, f64::max);
    let at = |share: f64| {
        let bucket = buckets.values().find(|(_, count)| *count >= all * share);
        bucket.map_or(f64::NAN, |(bound, _)| *bound)
    };
    (at(0.5), at(0.99))
}

#[test]
fn pods_on_real_kubelets_are_judged_from_their_first_instruction() -> Result<(), ClusterError> {
    let mut options = Options::new("race");
    options.workers = 2;
    options.engine = Engine::Palisade;
    let race = Race {
        cluster: Cluster::start(&options)?,
        image: agnhost_image()?,
        count: setting("PALISADE_CLUSTER_PODS", 40).min(200),
    };
    let allow = |name: &str, app: &str, side: &str, peers: &str, peer: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [side],
                side.to_lowercase(): [{peers: [{"podSelector": {"matchLabels": {"app": peer}}}], "ports": [{"port": HTTP}]}]}})
    };
    race.apply(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "deny", "namespace": NAMESPACE},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
        allow("clients", "client", "Egress", "to", "server"),
        allow("servers", "server", "Ingress", "from", "client"),
    ]);
    let nodes = race.cluster.nodes().len();
    for app in ["server", "vault"] {
        let pods: Vec<_> =
            (0..nodes).map(|n| race.pod(&format!("{app}-{n}"), app, n, &[race.serving()])).collect();
        race.apply(&pods);
    }
    let (servers, vaults) = (race.addresses("server"), race.addresses("vault"));
    let targets = outside(&race.cluster);
    for (node, server) in race.cluster.nodes().iter().zip(&servers) {
        node.exec_with(&["nft", "-f", "-"], &SYNS.replace("SERVER", &server.to_string()))?;
    }

    let stop = AtomicBool::new(false);
    let (clients, sent, answered) = thread::scope(|scope| {
        let bomb = scope.spawn(|| bombard(race.cluster.control_plane(), &targets, &stop));
        let numbers: Vec<usize> = (0..race.count).collect();
        for together in numbers.chunks(TOGETHER) {
            let pods = together.iter().map(|&n| {
                let node = n % nodes;
                let to = |address: IpAddr| SocketAddr::new(address, HTTP).to_string();
                let (server, vault) = (to(servers[node]), to(vaults[node]));
                let first = race.container("first", &["connect", &server, TIMEOUT]);
                let forbidden = race.container("forbidden", &["connect", &vault, TIMEOUT]);
                race.pod(&format!("client-{n}"), "client", node, &[first, forbidden, race.serving()])
            });
            race.apply(&pods.collect::<Vec<_>>());
            let ended = |pod: &Value| exit_of(pod, "first").is_some() && exit_of(pod, "forbidden").is_some();
            race.wait("client", "through with their connections", ended);
        }
        let clients = race.wait("client", "through with their connections", |_| true);
        stop.store(true, Ordering::Relaxed);
        let (sent, answered) = bomb.join().expect("probes");
        (clients, sent, answered)
    });

    let names =
        |pods: Vec<&Value>| pods.iter().map(|pod| pod["metadata"]["name"].to_string()).collect::<Vec<_>>();
    let (before, after) = (syns(&race.cluster, "before")?, syns(&race.cluster, "after")?);
    let dropped = |pod: &Value| {
        let address = pod["status"]["podIP"].as_str().unwrap_or_default();
        before.get(address) != after.get(address)
    };
    let has_failed = |pod: &&Value| exit_of(pod, "first") != Some(0) || dropped(pod);
    let failed = names(clients.iter().filter(has_failed).collect());
    let passed = names(clients.iter().filter(|pod| exit_of(pod, "forbidden") == Some(0)).collect());
    let (half, most) = latency(&race.cluster);
    println!("{} pods on {nodes} real kubelets, {sent} datagrams to them from outside", clients.len());
    println!("packets that passed against policy: {}", answered.len() + passed.len());
    println!("permitted first connections that failed on the pod's own node: {}", failed.len());
    println!(
        "from what policyd is told to the kernel, all events: p50 under {:.1} ms, p99 under {:.1} ms",
        half * 1e3,
        most * 1e3
    );
    println!(
        "no start waits for policyd, so that it delays only those whose first SYN it drops: {} of {}",
        clients.iter().filter(|pod| dropped(pod)).count(),
        before.len()
    );
    assert_eq!(before.len(), race.count, "each client's opening was seen");
    for pod in clients.iter().filter(has_failed) {
        race.tell(pod);
    }
    assert_eq!(clients.len(), race.count);
    assert!(answered.is_empty(), "from outside: {answered:?}");
    assert!(passed.is_empty(), "to the vault: {passed:?}");
    assert!(failed.is_empty(), "{failed:?}");

    // The probes see what they look for: without policies everybody answers.
    race.cluster.kubectl(&["delete", "networkpolicy", "--all", "--namespace", NAMESPACE])?;
    let stop = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let bomb = scope.spawn(|| bombard(race.cluster.control_plane(), &targets, &stop));
        thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        bomb.join().expect("probes").1
    });
    let expected: BTreeSet<IpAddr> =
        clients.iter().filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok()).collect();
    assert_eq!(expected.len(), race.count, "every client has an address");
    assert!(expected.is_subset(&answered), "{:?} do not answer", expected.difference(&answered));
    Ok(())
}
