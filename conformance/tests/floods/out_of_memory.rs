//! The kernel kills `policyd` for want of memory, again and again, as a container with too small a limit: what was in force stays in
//! force all the while, and once there is memory it goes on.

use super::ground;
use conformance::{
    enforced::{Enforced, Manifests, Policyd},
    lab::MemoryLimit,
};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Protocol},
    policy::{NetworkPolicy, PolicyPort, PortMatch, Rule},
    selector::Selector,
};
use std::{
    fmt::Write,
    fs, thread,
    time::{Duration, Instant},
};

const PERMITTED: u16 = 53;
const FORBIDDEN: u16 = 54;
/// What `policyd` may have beyond what it holds, in bytes: enough for its work so far.
const ROOM: u64 = 8 << 20;
/// Pods of elsewhere, each with so many bytes of comment: their file alone is twice of that.
const TOO_MANY: usize = 2_000;
const COMMENT: usize = 8_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn only(port: u16) -> NetworkPolicy {
    let port = PolicyPort { protocol: Protocol::Udp, port: PortMatch::Range(port, port) };
    NetworkPolicy {
        key: ObjectKey::new("default", "all"),
        pod_selector: Selector::everything(),
        ingress: Some(vec![Rule { peers: Vec::new(), ports: vec![port] }]),
        egress: None,
    }
}

fn crowd() -> String {
    let comment = "#".repeat(COMMENT);
    (0..TOO_MANY).fold(String::new(), |mut text, n| {
        let address = format!("10.200.{}.{}", n / 250, n % 250 + 1);
        writeln!(
            text,
            "{comment}\napiVersion: v1\nkind: Pod\nmetadata: {{name: crowd-{n}, namespace: crowd, labels: {{app: crowd, n: \"{n}\"}}}}\n\
             spec: {{nodeName: elsewhere, containers: [{{name: c, image: i}}]}}\n\
             status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}\n---"
        )
        .expect("a string takes it");
        text
    })
}

/// Waits until the kernel has killed what is in the group.
fn killed(limit: &MemoryLimit) {
    let end = Instant::now() + PATIENCE;
    while limit.kills() == 0 {
        assert!(Instant::now() < end, "it has enough memory");
        thread::sleep(Duration::from_millis(5));
    }
}

fn starved(policyd: &Policyd) {
    killed(&MemoryLimit::around(policyd.pid(), ROOM).expect("a control group"));
}

#[test]
fn a_daemon_that_the_kernel_kills_for_want_of_memory_loses_nothing_and_lets_nothing_pass() {
    let (lab, pods) = ground::raise("memory", &[PERMITTED, FORBIDDEN]);
    let mut cluster: Cluster = ground::cluster(&pods, only(PERMITTED));
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");
    let netns = enforced.lab().node(1).netns().clone();
    let ports = [PERMITTED, FORBIDDEN];
    ground::watch(&netns, pods[1].ipv4(), &ports);
    let (crowded, alone) = (enforced.folder().join("crowd.yaml"), tempfile::tempdir().expect("a folder"));
    Manifests::of(&cluster).write(alone.path()).expect("what is in force");

    ground::under_flood(&pods, &ports, || {
        // It runs well, until it is told of more than it has room for.
        let limit = MemoryLimit::around(enforced.daemon(1).pid(), ROOM).expect("a control group");
        thread::sleep(Duration::from_millis(300));
        assert_eq!(limit.kills(), 0, "it has enough for what it did");
        fs::write(&crowded, crowd()).expect("a file");
        killed(&limit);
        enforced.daemon_mut(1).kill();
        drop(limit);
        for _ in 0..3 {
            assert_eq!(enforced.daemon(1).difference_from(alone.path()).expect("the kernel"), None);
            enforced.daemon_mut(1).restart().expect("policyd");
            starved(enforced.daemon(1));
        }
        // With memory it reads all of it, and nothing of what was in force changes.
        enforced.daemon_mut(1).restart().expect("policyd");
        enforced.daemon_mut(1).wait_until_ready(PATIENCE).expect("policyd");
        assert_eq!(enforced.daemon(1).difference_from(alone.path()).expect("the kernel"), None);
    });
    let [[sent, passed], [attempted, against]] = ground::counted(&netns)[..] else { panic!("two ports") };
    println!("killed 4 times: {} of {sent} lost, {against} of {attempted} passed", sent - passed);
    assert!(sent > 10_000 && attempted > 10_000, "{sent} and {attempted} datagrams are no flood");
    assert_eq!((sent - passed, against), (0, 0));

    // It follows what changes.
    cluster.insert_policy(only(FORBIDDEN));
    let reads = enforced.daemon(1).reads();
    Manifests::of(&cluster).write(enforced.folder()).expect("another policy");
    enforced.daemon_mut(1).wait_until_read(reads, PATIENCE).expect("policyd");
    ground::under_flood(&pods, &[FORBIDDEN], || thread::sleep(Duration::from_millis(100)));
    let [_, [_, passed]] = ground::counted(&netns)[..] else { panic!("two ports") };
    assert!(passed > 0, "what is permitted now passes");
}
