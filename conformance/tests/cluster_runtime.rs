//! On a real node: CNI's results are wiped under a living pod whose status tells no address, and policyd has it from containerd.
//! Needs root; builds Kubernetes if it has not been built.

use conformance::{
    cluster::{Cluster, ClusterNode, Options, agnhost_image},
    enforced,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const NAMESPACE: &str = "shop";
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls again and again until there is an answer.
fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

struct Ground {
    cluster: Cluster,
}

impl Ground {
    fn node(&self) -> &ClusterNode {
        &self.cluster.nodes()[0]
    }

    /// A pod on the node, once its network is there; gives its address.
    fn start_pod(&self, name: &str) -> String {
        let image = agnhost_image().expect("an image");
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
            "spec": {"nodeName": self.node().name(), "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{"name": "c", "image": image, "imagePullPolicy": "Never", "args": ["pause"]}]}});
        self.cluster.kubectl_with(&["create", "-f", "-"], &pod.to_string()).expect("created");
        wait(&format!("the address of {name}"), || self.status_address(name))
    }

    fn status_address(&self, name: &str) -> Option<String> {
        let path = "jsonpath={.status.podIP}";
        let address =
            self.cluster.kubectl(&["get", "pod", name, "-n", NAMESPACE, "-o", path]).expect("a pod");
        (!address.is_empty()).then_some(address)
    }

    /// A signal to a daemon of the node, by its name: in the node's own process namespace there is one of it.
    fn signal(&self, signal: &str, program: &str) {
        self.node().exec(&["pkill", signal, "-x", program]).expect("a signal");
    }

    fn shell(&self, line: &str) {
        self.node().exec(&["sh", "-c", line]).expect(line);
    }

    fn check(&self, arguments: &[&str]) -> Value {
        let policyd = enforced::binary().expect("policyd");
        let mut command = vec![policyd.to_str().expect("a path"), "check", "-o", "json"];
        command.extend(arguments);
        let answer: Value =
            serde_json::from_str(&self.node().exec(&command).expect("checked")).expect("JSON");
        let checks = answer["checks"].as_array().expect("checks");
        let runtime = checks.iter().find(|check| check["fact"] == "container_runtime");
        runtime.cloned().unwrap_or_default()
    }
}

/// policyd on the node; killed at the end.
struct Policyd<'a> {
    node: &'a ClusterNode,
    child: Child,
    log: PathBuf,
}

impl<'a> Policyd<'a> {
    /// Ready.
    fn start(ground: &'a Ground, name: &str, arguments: &[&str]) -> Self {
        let node = ground.node();
        let log = node.dir().join(format!("{name}.log"));
        let mut command = Command::new(enforced::binary().expect("policyd"));
        command.args(["run", "--kubeconfig"]).arg(ground.cluster.kubeconfig());
        command.args(["--node-name", node.name(), "--state-dir"]).arg(node.dir().join("policyd"));
        command.args(arguments).stderr(File::create(&log).expect("a log"));
        let child = node.spawn(command).expect("policyd starts");
        let policyd = Self { node, child, log };
        wait("policyd is ready", || {
            policyd.get("/readyz").filter(|answer| answer.starts_with("HTTP/1.0 200"))
        });
        policyd
    }

    fn get(&self, path: &str) -> Option<String> {
        let answer = self.node.netns().enter(|| {
            let mut stream = TcpStream::connect("127.0.0.1:9469").ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        answer.expect("the namespace")
    }

    /// IPv4 addresses of each local pod, as the tables are wanted, which the kernel does not differ from.
    fn pods(&self) -> BTreeMap<String, Vec<String>> {
        let answer = wait("what the kernel holds", || self.get("/v1/kernel"));
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let kernel: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(kernel["drift"], 0, "{kernel}");
        let address =
            |address: &Value| address.as_str().filter(|a| !a.starts_with("fe80")).map(str::to_owned);
        let pod = |pod: &Value| {
            let addresses = pod["addresses"].as_array().expect("addresses").iter().filter_map(address);
            (pod["pod"].as_str().expect("a name").to_owned(), addresses.collect())
        };
        kernel["pods"].as_array().expect("pods").iter().map(pod).collect()
    }

    fn addresses(&self, pod: &str) -> Vec<String> {
        self.pods().remove(&format!("{NAMESPACE}/{pod}")).unwrap_or_default()
    }

    /// Lines of the log about the runtime.
    fn said(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).expect("the log");
        log.lines().filter(|line| line.contains(r#"fact="runtime""#)).map(str::to_owned).collect()
    }

    /// 0 it holds, 1 somebody should know; none while nothing is known of it.
    fn fact(&self) -> Option<String> {
        let page = self.get("/metrics")?;
        let name = r#"palisade_node_fact{fact="container_runtime"} "#;
        page.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
    }
}

impl Drop for Policyd<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the guard of pods' ports knows this address.
fn is_guarded(node: &ClusterNode, address: &str) -> bool {
    let tables = node.exec(&["nft", "list", "tables"]).expect("tables");
    if !tables.contains("bridge palisade") {
        return false;
    }
    let table = node.exec(&["nft", "list", "table", "bridge", "palisade"]).expect("a table");
    table.split([' ', ',', '\n']).any(|word| word == address)
}

#[test]
fn a_pod_whose_result_is_lost_is_known_by_its_sandbox() {
    let mut options = Options::new("runtime");
    options.workers = 2;
    let ground = Ground { cluster: Cluster::start(&options).expect("a cluster") };
    let cluster = &ground.cluster;
    cluster.kubectl(&["create", "namespace", NAMESPACE]).expect("a namespace");
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}});
    cluster.kubectl_with(&["create", "-f", "-"], &policy.to_string()).expect("a policy");
    let old = ground.start_pod("old");
    println!("old is {old}");

    // Nobody says its address any more but the runtime: the kubelet stands still, and its status and CNI's results are lost.
    ground.signal("-STOP", "kubelet");
    let remove = r#"[{"op": "remove", "path": "/status/podIP"}, {"op": "remove", "path": "/status/podIPs"}]"#;
    cluster
        .kubectl(&[
            "patch",
            "pod",
            "old",
            "-n",
            NAMESPACE,
            "--subresource=status",
            "--type=json",
            "-p",
            remove,
        ])
        .expect("patched");
    ground.shell("rm /var/lib/cni/results/*");
    assert_eq!(ground.status_address("old"), None);

    let without = Policyd::start(&ground, "without", &[]);
    assert_eq!(without.addresses("old"), Vec::<String>::new(), "nobody has told");
    assert!(!is_guarded(ground.node(), &old));
    assert_eq!((without.fact(), without.said()), (None, Vec::new()), "it is not asked");
    drop(without);

    let policyd = Policyd::start(&ground, "policyd", &["--cri-socket", "auto"]);
    wait("old by its sandbox", || (policyd.addresses("old") == [old.clone()]).then_some(()));
    assert!(is_guarded(ground.node(), &old), "its port, with its hardware address");
    wait("the fact", || policyd.fact().filter(|mark| mark == "0"));
    assert_eq!(policyd.said(), Vec::<String>::new(), "nothing is wrong");
    let found = ground.check(&["--cri-socket", "auto"]);
    assert_eq!((&found["status"], &found["value"]), (&json!("ok"), &json!("answers")), "{found}");
    assert!(
        found["what"].as_str().is_some_and(|what| what.ends_with("1 of them known by it alone")),
        "{found}"
    );

    // Another pod has a result again, so that leases count again: the old one's is its own all the same.
    ground.signal("-CONT", "kubelet");
    let new = ground.start_pod("new");
    wait("new by its result", || (policyd.addresses("new") == [new.clone()]).then_some(()));
    assert_eq!(policyd.addresses("old"), std::slice::from_ref(&old));
    assert!(is_guarded(ground.node(), &old) && is_guarded(ground.node(), &new));

    // Results are lost while policyd runs.
    ground.shell("rm /var/lib/cni/results/*");
    wait("both by their sandboxes", || {
        (is_guarded(ground.node(), &old) && is_guarded(ground.node(), &new)).then_some(())
    });
    let before = policyd.pods();
    assert_eq!(before.len(), 2, "{before:?}");

    // A runtime that does not answer: said once, and the tables are as they were.
    ground.signal("-STOP", "containerd");
    wait("the runtime is missed", || policyd.fact().filter(|mark| mark == "1"));
    assert_eq!(policyd.pods(), before);
    assert!(is_guarded(ground.node(), &old) && is_guarded(ground.node(), &new));
    let found = ground.check(&["--cri-socket", "auto"]);
    assert_eq!((&found["status"], &found["value"]), (&json!("warn"), &json!("no answer")), "{found}");
    let [said] = &policyd.said()[..] else { panic!("one line: {:?}", policyd.said()) };
    assert!(said.contains("WARN") && said.contains("is not answered within"), "{said}");
    ground.signal("-CONT", "containerd");
    wait("it answers again", || policyd.fact().filter(|mark| mark == "0"));
    assert_eq!(policyd.pods(), before);

    // A sandbox that has gone claims nothing: what is left of the pod would be one that was never seen.
    cluster.kubectl(&["delete", "pod", "old", "-n", NAMESPACE, "--wait=false"]).expect("deleted");
    wait("old has gone", || (!policyd.pods().contains_key("shop/old")).then_some(()));
    assert!(!is_guarded(ground.node(), &old));
    assert_eq!(policyd.addresses("new"), [new]);
}
