//! The loop with a kernel in memory: what it is told ends up there, together and in time.

use enforcer::{
    apply::{Daemon, Input, Question},
    nft::fake::{Fake, Fault},
    node::{
        facts::Facts,
        tracker::{Settings, Tracker},
    },
    observe::metrics::Metrics,
};
use nix::errno::Errno;
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{ObjectKey, Pod},
    policy::{NetworkPolicy, Peer, Rule},
    selector::Selector,
    verdict::{Endpoint, Flow},
};
use std::{
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

struct Loop {
    inputs: Sender<Input>,
    kernel: Fake,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    fn start(changes: Vec<Change>) -> Self {
        let (kernel, metrics) = (Fake::new(), Arc::new(Metrics::new()));
        let tracker = Tracker::new(Settings::new("w1"));
        let mut daemon = Daemon::new(kernel.clone(), tracker, Facts::default(), changes, metrics.clone());
        daemon.start().expect("the first revision");
        let (inputs, receiver) = channel();
        let thread = Some(thread::spawn(move || daemon.run(&receiver)));
        Self { inputs, kernel, metrics, thread }
    }

    fn send(&self, changes: Vec<Change>) {
        self.inputs.send(Input::Changes { changes, seen: Instant::now() }).expect("the loop runs");
    }

    fn has(&self, last: u8) -> bool {
        let key = compiler::ir::Key::from_bytes(&[10, 244, 1, last]);
        let ruleset = self.kernel.ruleset();
        let table = ruleset.tables.get(&compiler::ir::Family::Inet);
        table.is_some_and(|table| table.sets["egress4-o"].elements.contains_key(&key))
    }

    fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(5);
        while !is_so() {
            assert!(Instant::now() < end, "not in time: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn metric(&self, name: &str) -> String {
        let text = self.metrics.encode().expect("metrics");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a metric");
        line[name.len()..].trim().to_owned()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the loop ends when it is told to");
    }
}

fn pod(last: u8) -> Pod {
    Pod {
        key: ObjectKey::new("shop", format!("p{last}")),
        labels: Labels::default(),
        ips: [[10, 244, 1, last].into()].into_iter().collect(),
        node: Some("w1".into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    }
}

#[test]
fn a_burst_is_few_transactions_and_all_of_it_is_in_force() {
    let host = Loop::start(vec![Change::Pod(pod(1))]);
    assert!(host.has(1) && host.metrics.is_ready());
    for last in 2..202 {
        host.send(vec![Change::Pod(pod(last))]);
    }
    host.eventually("all 200 pods are there", || (1..202).all(|last| host.has(last)));
    let transactions = host.kernel.transactions();
    assert!(transactions < 20, "{transactions} transactions for 200 pods in a row");
    host.eventually("each input is measured", || {
        host.metric("palisade_event_to_kernel_seconds_count") == "200"
    });
    assert_eq!(host.metric("palisade_local_pods "), "201");
}

#[test]
fn a_foreign_change_is_repaired_and_counted() {
    let host = Loop::start(vec![Change::Pod(pod(1))]);
    host.kernel.flush();
    assert!(!host.has(1));
    host.inputs.send(Input::Foreign).expect("the loop runs");
    host.eventually("repaired", || host.has(1));
    host.eventually("counted", || host.metric("palisade_drift_repaired_total ") != "0");
}

#[test]
fn what_is_refused_is_tried_again_by_itself() {
    let host = Loop::start(vec![Change::Pod(pod(1))]);
    // The commit, and then every try with the fixed part refused: nothing can be left out.
    for _ in 0..2 {
        host.kernel.inject(Fault::Refuse(0, Errno::ENOMEM));
    }
    host.send(vec![Change::Pod(pod(2))]);
    host.eventually("in force after a while", || host.has(2));
    assert_eq!(host.metric("palisade_refusals_total "), "2");
}

#[test]
fn what_is_refused_is_tried_again_however_much_is_committed_meanwhile() {
    let host = Loop::start(vec![Change::Pod(pod(1))]);
    // The commit, and then its program when all is tried as a whole.
    for _ in 0..2 {
        host.kernel.inject(Fault::Refuse(0, Errno::EINVAL));
    }
    let cidr = "192.0.2.0/24".parse().expect("a range");
    let rule = Rule { peers: vec![Peer::IpBlock { cidr, except: Vec::new() }], ports: Vec::new() };
    host.send(vec![Change::Policy(NetworkPolicy {
        key: ObjectKey::new("shop", "all"),
        pod_selector: Selector::everything(),
        ingress: Some(vec![rule]),
        egress: None,
    })]);
    host.eventually("its pod is denied", || host.metric("palisade_quarantined_pods ") == "1");
    let healed = (2..250).any(|last| {
        host.send(vec![Change::Pod(pod(last))]);
        thread::sleep(Duration::from_millis(20));
        host.metric("palisade_quarantined_pods ") == "0"
    });
    assert!(healed, "the first try comes after a second, and five have passed");
}

#[test]
fn questions_are_answered_from_the_same_state() {
    let host = Loop::start(vec![Change::Pod(pod(1)), Change::Pod(pod(2))]);
    let (sender, answer) = oneshot::channel();
    host.inputs.send(Input::Ask(Question::Programs(sender))).expect("the loop runs");
    let programs = answer.blocking_recv().expect("an answer");
    assert_eq!(programs["pods"][0]["pod"], "shop/p1");

    let (sender, answer) = oneshot::channel();
    let [source, destination] = [1, 2].map(|last| Endpoint::Address([10, 244, 1, last].into()));
    let flow = Flow { source, destination, protocol: 6, port: Some(80) };
    host.inputs.send(Input::Ask(Question::Verdict(Box::new(flow), sender))).expect("the loop runs");
    assert!(answer.blocking_recv().expect("an answer").allowed);
}
