//! A network namespace with a pod bridge and veths, CNI's files in a folder, and the daemon's loop on the real kernel.

use super::observed::observed;
use compiler::{delta::Delta, ir::Family};
use enforcer::{
    apply::{Daemon, Input},
    nft::{Backend, Kernel},
    node::{
        tracker::{Settings, Tracker},
        watch::{self, CniFolders},
    },
    observe::metrics::Metrics,
};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{ObjectKey, Pod},
    policy::NetworkPolicy,
    selector::Selector,
};
use std::{
    fs,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The namespace is that of the calling thread and of what it starts.
pub(crate) struct Host {
    dir: PathBuf,
    inputs: Sender<Input>,
    /// When the kernel took a transaction.
    pub(crate) taken: Receiver<Instant>,
    kernel: std::cell::RefCell<Kernel>,
    work: Option<JoinHandle<()>>,
}

pub(crate) fn ip(lines: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("run ip");
    child.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("lines");
    assert!(child.wait().expect("ip ends").success(), "ip: {lines}");
}

/// Makes a namespace with a bridge and so many veths on it, `veth1` and so on.
pub(crate) fn namespace(veths: u8) {
    assert!(geteuid().is_root(), "this test makes a network namespace: run it as root");
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    let mut lines = String::from(
        "link set lo up\nlink add cni0 type bridge\naddr add 10.244.1.1/24 dev cni0\nlink set cni0 up\n",
    );
    for n in 1..=veths {
        lines += &veth(n);
    }
    ip(&lines);
}

pub(crate) fn veth(n: u8) -> String {
    format!(
        "link add veth{n} address {} type veth peer name p{n}\nlink set veth{n} master cni0 up\n",
        host_mac(n)
    )
}

pub(crate) fn host_mac(n: u8) -> String {
    format!("0a:58:00:00:01:{n:02x}")
}

pub(crate) fn address(n: u8) -> IpAddr {
    [10, 244, 1, n].into()
}

/// A pod bound to this node; with an address if its status has one.
pub(crate) fn pod(name: &str, status: Option<u8>) -> Change {
    Change::Pod(Pod {
        key: ObjectKey::new("shop", name),
        labels: Labels::from_iter([("app", name)]),
        ips: status.map(address).into_iter().collect(),
        node: Some("w1".into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    })
}

/// Isolates every pod of the namespace for ingress.
pub(crate) fn default_deny() -> Change {
    Change::Policy(NetworkPolicy {
        key: ObjectKey::new("shop", "deny"),
        pod_selector: Selector::everything(),
        ingress: Some(Vec::new()),
        egress: None,
    })
}

pub(crate) fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("palisade-local-{}-{name}", std::process::id()))
}

impl Host {
    /// In the namespace that the thread is in.
    pub(crate) fn start(name: &str, changes: Vec<Change>) -> Self {
        let dir = temporary(name);
        fs::create_dir_all(&dir).expect("a folder");
        let (inputs, received) = channel();
        let hosts = inputs.clone();
        let report = move |facts, seen| hosts.send(Input::Host { facts: Box::new(facts), seen }).is_ok();
        let facts = watch::follow(&CniFolders::new(&dir.join("cni"), None), None, report).expect("a reading");
        let (sender, taken) = channel();
        let taken_now = move |_: &Delta| {
            // The test may have ended.
            let _ = sender.send(Instant::now());
        };
        let backend = observed(Kernel::open().expect("nftables"), taken_now);
        let mut daemon =
            Daemon::new(backend, Tracker::new(Settings::new("w1")), facts, changes, Arc::new(Metrics::new()));
        daemon.start().expect("the first revision");
        let work = Some(thread::spawn(move || daemon.run(&received)));
        let kernel = std::cell::RefCell::new(Kernel::open().expect("nftables"));
        Self { dir, inputs, taken, kernel, work }
    }

    pub(crate) fn tell(&self, changes: Vec<Change>) {
        self.inputs.send(Input::Changes { changes, seen: Instant::now() }).expect("the loop runs");
    }

    pub(crate) fn cni(&self, path: &str) -> PathBuf {
        self.dir.join("cni").join(path)
    }

    pub(crate) fn lease_path(&self, n: u8) -> PathBuf {
        self.cni(&format!("networks/cbr0/{}", address(n)))
    }

    pub(crate) fn result_path(&self, container: &str) -> PathBuf {
        self.cni(&format!("results/cbr0-{container}-eth0"))
    }

    pub(crate) fn lease(&self, container: &str, n: u8) {
        put(&self.lease_path(n), &format!("{container}\r\neth0"));
    }

    /// With the host's veth of number `veth`.
    pub(crate) fn result(&self, container: &str, pod: &str, n: u8, veth: u8) {
        put(
            &self.result_path(container),
            &result(container, pod, n, &format!("veth{veth}"), &host_mac(veth)),
        );
    }

    /// Who the kernel takes an address for: the comment of its element; empty if it is nobody's.
    pub(crate) fn owner(&self, n: u8) -> String {
        let dump = self.kernel.borrow_mut().dump().expect("the tables");
        let key = compiler::ir::Key::address(address(n));
        let table = &dump.ruleset.tables[&Family::Inet];
        let owners: Vec<String> = ["egress4-o", "egress4-r", "ingress4-o", "ingress4-r"]
            .iter()
            .map(|map| {
                let element = table.sets[*map].elements.get(&key);
                let comment = element.map(|attributes| attributes.as_ref().and_then(|a| a.comment.clone()));
                comment
                    .map_or_else(String::new, |comment| comment.map_or_else(|| "?".into(), |c| c.to_string()))
            })
            .collect();
        assert!(owners.iter().all(|owner| *owner == owners[0]), "in all maps alike: {owners:?}");
        owners[0].clone()
    }

    /// The verdict of an address's ingress: a program's chain, or "return".
    pub(crate) fn ingress(&self, n: u8) -> String {
        let dump = self.kernel.borrow_mut().dump().expect("the tables");
        let key = compiler::ir::Key::address(address(n));
        let element = dump.ruleset.tables[&Family::Inet].sets["ingress4-o"].elements.get(&key).cloned();
        element.flatten().map_or_else(String::new, |attributes| format!("{:?}", attributes.verdict))
    }

    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
        let ended = self.work.take().map(JoinHandle::join);
        let _ = fs::remove_dir_all(&self.dir);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the loop ends when it is told to");
    }
}

/// As the plugins write: in place.
pub(crate) fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

pub(crate) fn result(container: &str, pod: &str, n: u8, veth: &str, mac: &str) -> String {
    format!(
        r#"{{"kind": "cniCacheV1", "containerId": "{container}", "ifName": "eth0", "networkName": "cbr0",
            "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "{pod}"], ["K8S_POD_UID", "0123abcd"]],
            "result": {{"cniVersion": "1.0.0", "ips": [{{"address": "{}/24", "interface": 2}}], "interfaces": [
                {{"name": "cni0", "mac": "0a:58:0a:f4:01:01"}}, {{"name": "{veth}", "mac": "{mac}"}},
                {{"name": "eth0", "mac": "02:00:00:00:01:{n:02x}", "sandbox": "/run/netns/cni-{container}"}}]}}}}"#,
        address(n)
    )
}
