//! A node reboots while others send to its pods.

use super::{
    case::{Fault, eventually, wrong},
    ground::Ground,
    pods::{self, NAMESPACE, PERMITTED, Pod},
    traffic::Traffic,
};
use crate::{cluster::ClusterError, lab::LabError};
use serde_json::json;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Between two questions to each address of the node.
const ROUND: Duration = Duration::from_millis(100);
/// An answer to what was sent before a table was there may come this much later.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
const MOMENT: Duration = Duration::from_millis(1500);
/// Where a node's state is on disk.
const STATE: &str = "/var/lib/palisade/objects.jsonl";
/// What answers: its answers begin at its first instruction.
const NAME: &str = "booted";

pub(super) fn rebooted(ground: &mut Ground) -> Result<String, Fault> {
    ground.ensure_installed()?;
    let node = ground.cluster.nodes()[0].name().to_owned();
    let mut pod = pods::pod(NAME, "server", &node)?;
    pod["spec"]["containers"][0]["args"] = json!(["netexec", format!("--udp-port={PERMITTED}")]);
    ground.cluster.kubectl_with(&["create", "-f", "-"], &pod.to_string())?;
    let ready = ["wait", "--namespace", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=120s"];
    ground.cluster.kubectl(&ready)?;
    ground.require_in_force()?;
    // It is written once in half a minute at most, and what is newer than that is not in it.
    let node_of = &ground.cluster.nodes()[0];
    let is_kept = || Ok(node_of.exec(&["grep", "--quiet", NAME, STATE]).is_ok());
    eventually("the state on disk has the pod", is_kept)?;
    let targets = addresses(ground, &node)?;
    let path = "jsonpath={.spec.clusterIP}";
    let api = ground.cluster.kubectl(&["get", "service", "kubernetes", "--output", path])?;
    // Only what speaks to the API server by its Service: the kubelet has its address.
    let cut = format!(
        "table ip cut {{ chain output {{ type filter hook output priority -200; ip daddr {} counter drop; }}; }}",
        api.trim()
    );

    let (client, stranger) =
        (ground.pods()?.clients[1].try_clone()?, ground.pods()?.strangers[1].try_clone()?);
    let stop = AtomicBool::new(false);
    let (began, protected, clients, strangers) = thread::scope(|scope| {
        let clients = scope.spawn(|| ask(&client, &targets, &stop));
        let strangers = scope.spawn(|| ask(&stranger, &targets, &stop));
        let done = boot(ground, &cut);
        stop.store(true, Ordering::Relaxed);
        let panicked = |_| Err(LabError::Panicked("questions".to_owned()).into());
        let clients = clients.join().unwrap_or_else(panicked)?;
        let strangers = strangers.join().unwrap_or_else(panicked)?;
        let (began, protected) = done?;
        Ok::<_, Fault>((began, protected, clients, strangers))
    })?;
    let isolated_from = protected + ON_ITS_WAY;
    let passed = strangers.iter().filter(|at| **at > isolated_from).count();
    let open = strangers.iter().filter(|at| (began..=isolated_from).contains(at)).count();
    let answered = clients.iter().filter(|at| **at > isolated_from).count();
    if passed > 0 || answered == 0 {
        return wrong(format!(
            "by the state on disk {answered} answers to a client came and {passed} to a stranger, who may get none"
        ));
    }
    ground.cluster.nodes()[0].exec(&["nft", "delete", "table", "ip", "cut"])?;
    ground.require_in_force()?;
    ground.pods_changed()?;
    let after = Traffic::run_for(ground.pods()?, MOMENT)?;
    after.require_exact("the node has booted")?;
    Ok(format!(
        "tables {:.1} s after the node's begin; until then {open} answers to a stranger (docs/security.md: not promised), from then on by the \
         state on disk 0, and {answered} to a client; with the API server again {}",
        (protected - began).as_secs_f64(),
        after.text()
    ))
}

/// Reboots the first node, without the API server for its policyd, and waits until a client is answered again. Gives when it
/// began and when Palisade's table was there.
fn boot(ground: &mut Ground, cut: &str) -> Result<(Instant, Instant), Fault> {
    let mut began = Instant::now();
    ground.cluster.reboot(0, |netns| {
        netns.nft(cut)?;
        began = Instant::now();
        Ok(())
    })?;
    let node = &ground.cluster.nodes()[0];
    let has_table = || Ok(node.exec(&["nft", "list", "chain", "inet", "palisade", "forward"]).is_ok());
    eventually("Palisade's table is there again", has_table)?;
    let protected = Instant::now();
    // What the API server says of the pods may be older than the boot, but for the number of their starts.
    let status = r#"jsonpath={range .items[?(@.spec.nodeName=="NODE")]}{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}{"\n"}{end}"#;
    let status = status.replace("NODE", node.name());
    eventually("every pod of the node has started again", || {
        let said = ground.cluster.kubectl(&["get", "pods", "--namespace", NAMESPACE, "--output", &status])?;
        Ok(!said.is_empty() && said.lines().all(|line| line.ends_with(" true") && !line.starts_with("0 ")))
    })?;
    thread::sleep(Duration::from_secs(5));
    let dropped = node.exec(&["nft", "list", "table", "ip", "cut"])?;
    if dropped.contains("packets 0 ") {
        return wrong("policyd has not been kept from the API server: it did not try");
    }
    Ok((began, protected))
}

/// The addresses that pods of a node can have.
fn addresses(ground: &Ground, node: &str) -> Result<Vec<SocketAddr>, Fault> {
    let range = ground.cluster.kubectl(&["get", "node", node, "--output", "jsonpath={.spec.podCIDR}"])?;
    let first = range.split('/').next().and_then(|address| address.parse::<Ipv4Addr>().ok());
    let Some(first) = first else {
        return wrong(format!("node {node} has no range of IPv4 addresses: {range}"));
    };
    let address = |last| Ipv4Addr::from_bits(first.to_bits() + last);
    Ok((2..=254).map(|last| (address(last), PERMITTED).into()).collect())
}

/// Asks every address for its name, round after round; gives when answers came.
fn ask(from: &Pod, targets: &[SocketAddr], stop: &AtomicBool) -> Result<Vec<Instant>, Fault> {
    let made = from.enter(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    })?;
    let socket = made.map_err(ClusterError::io(format!("a socket of {}", from.name)))?;
    let (mut answers, mut buffer, mut next) = (Vec::new(), [0; 512], Instant::now());
    while !stop.load(Ordering::Relaxed) {
        for target in targets {
            // An address without a pod is refused by its node.
            let _ = socket.send_to(b"hostname", target);
        }
        next += ROUND;
        while next > Instant::now() {
            while let Ok((len, _)) = socket.recv_from(&mut buffer) {
                answers.extend(buffer[..len].starts_with(NAME.as_bytes()).then(Instant::now));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(answers)
}
