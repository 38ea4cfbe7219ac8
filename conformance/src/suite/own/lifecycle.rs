//! Palisade comes, is changed, goes and comes again, and is taken away, while traffic flows.

use super::{
    case::{Case, Fault, eventually, wrong},
    ground::Ground,
    node_state::NodeState,
    pods::{self, NAMESPACE, PERMITTED, Pod},
    traffic::Traffic,
};
use crate::cluster::engine::palisade;
use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

pub(super) const CASES: &[Case<Ground>] = &[
    Case {
        name: "installed",
        proves: "kubectl apply isolates, no permitted packet is lost meanwhile, and status, verify and explain --node say so of the real nodes",
        prove: installed,
    },
    Case {
        name: "confined",
        proves: "policyd's container has no right but CAP_NET_ADMIN, a seccomp filter, and a root that it cannot write to",
        prove: super::confined::confined,
    },
    Case {
        name: "upgraded",
        proves: "another image is rolled out and rolled back under traffic with 0 lost and 0 leaked",
        prove: upgraded,
    },
    Case {
        name: "reinstalled",
        proves: "Palisade is deleted and applied again under traffic: policies hold while it is gone",
        prove: reinstalled,
    },
    Case {
        name: "uninstalled",
        proves: "deploy/uninstall.yaml leaves every node as it was before, and loses nothing that is permitted",
        prove: uninstalled,
    },
    Case {
        name: "rebooted",
        proves: "a node whose processes and tables have gone isolates by the state on its disk while policyd cannot reach the API server, from policyd's first revision on",
        prove: super::reboot::rebooted,
    },
];

/// How long traffic flows when nothing happens.
const MOMENT: Duration = Duration::from_millis(1500);
/// The tag of the other image.
const OTHER: &str = "upgraded";
/// Whether nftables sees bridged traffic.
const BRIDGED: [&str; 2] = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];
const UNINSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/uninstall.yaml");

fn installed(ground: &mut Ground) -> Result<String, Fault> {
    // Without an engine every probe arrives: they tell the truth.
    let open = Traffic::run_for(ground.pods()?, MOMENT)?;
    if open.lost + open.failed > 0 || open.leaked != open.probes {
        return wrong(format!("without an engine everything should pass: {}", open.text()));
    }
    // Some distributions have them off. What policyd init turns on, policyd cleanup must turn off again.
    let off = BRIDGED.map(|switch| format!("net.bridge.{switch}=0"));
    ground.cluster.nodes()[0].exec(&["sysctl", "-w", &off[0], &off[1]])?;
    let traffic = Traffic::start(ground.pods()?)?;
    ground.ensure_installed()?;
    let meanwhile = traffic.stop()?;
    if meanwhile.lost + meanwhile.failed > 0 {
        return wrong(format!("while it is installed: {}", meanwhile.text()));
    }
    let tally = Traffic::run_for(ground.pods()?, MOMENT)?;
    tally.require_exact("it has just been installed")?;
    ground.require_in_force()?;
    for (client, code) in [("client-1", 0), ("client-2", 0), ("stranger-1", 1), ("stranger-2", 1)] {
        let line = format!("explain --node own/{client} own/server-1:{PERMITTED}/UDP -o json");
        let answer = ground.require_policyctl(&line, code)?.json();
        if answer["kernel"]["agrees"] != true {
            return wrong(format!("{line}: the kernel disagrees: {answer}"));
        }
    }
    Ok(format!("while it was installed {} datagrams, 0 lost; then {}", meanwhile.sent, tally.text()))
}

fn upgraded(ground: &mut Ground) -> Result<String, Fault> {
    ground.ensure_installed()?;
    let image = palisade::load(&ground.cluster, OTHER)?;
    let first = images(ground)?;
    let traffic = Traffic::start(ground.pods()?)?;
    let [policyd, init] = ["policyd", "init"].map(|container| format!("{container}={image}"));
    let set = ["set", "image", palisade::DAEMONSET, "--namespace", palisade::NAMESPACE, &policyd, &init];
    ground.cluster.kubectl(&set)?;
    palisade::wait(&ground.cluster)?;
    let second = images(ground)?;
    ground.cluster.kubectl(&["rollout", "undo", palisade::DAEMONSET, "--namespace", palisade::NAMESPACE])?;
    palisade::wait(&ground.cluster)?;
    let third = images(ground)?;
    let tally = traffic.stop()?;
    if second.iter().any(|found| *found != image) || third != first || first == second {
        return wrong(format!("the pods ran {first:?}, then {second:?}, then {third:?}"));
    }
    tally.require_exact("it is upgraded and rolled back")?;
    ground.require_in_force()?;
    Ok(tally.text())
}

/// The image of each of Palisade's pods.
fn images(ground: &Ground) -> Result<Vec<String>, Fault> {
    let path = r#"jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}"#;
    let get = ["get", "pods", "--namespace", palisade::NAMESPACE, "--output", path];
    let images: Vec<String> = ground.cluster.kubectl(&get)?.lines().map(str::to_owned).collect();
    if images.len() != ground.cluster.nodes().len() {
        return wrong(format!(
            "{} pods of Palisade for {} nodes",
            images.len(),
            ground.cluster.nodes().len()
        ));
    }
    Ok(images)
}

fn reinstalled(ground: &mut Ground) -> Result<String, Fault> {
    ground.ensure_installed()?;
    let traffic = Traffic::start(ground.pods()?)?;
    ground.cluster.kubectl(&["delete", "--filename", palisade::MANIFEST, "--wait", "--timeout=90s"])?;
    thread::sleep(MOMENT);
    // A pod that is made now is a client by its labels, and nobody is there to say so.
    let late = late(ground)?;
    let server = SocketAddr::new(ground.pods()?.servers[0].address, PERMITTED);
    let alone = connects(&late, server)?;
    palisade::apply(&ground.cluster)?;
    palisade::wait(&ground.cluster)?;
    let labels = || connects(&late, server);
    eventually("the pod that was made meanwhile may do what its labels say", labels)?;
    let tally = traffic.stop()?;
    if alone {
        return wrong(
            "a pod that was made while Palisade was gone has a connection, and docs/install.md says it has none",
        );
    }
    tally.require_exact("it is deleted and applied again")?;
    ground.require_in_force()?;
    ground.cluster.kubectl(&["delete", "pod", "late", "--namespace", NAMESPACE, "--wait"])?;
    Ok(tally.text())
}

/// Makes one more pod on the first node.
fn late(ground: &Ground) -> Result<Pod, Fault> {
    let node = &ground.cluster.nodes()[0];
    ground
        .cluster
        .kubectl_with(&["create", "-f", "-"], &pods::pod("late", "client", node.name())?.to_string())?;
    let wait = ["wait", "--namespace", NAMESPACE, "--for=condition=Ready", "pod/late", "--timeout=60s"];
    ground.cluster.kubectl(&wait)?;
    pods::find(node, "late")
}

fn connects(from: &Pod, to: SocketAddr) -> Result<bool, Fault> {
    Ok(from.enter(|| TcpStream::connect_timeout(&to, MOMENT).is_ok())?)
}

fn uninstalled(ground: &mut Ground) -> Result<String, Fault> {
    ground.ensure_installed()?;
    let traffic = Traffic::start(ground.pods()?)?;
    ground.cluster.kubectl(&["apply", "--filename", UNINSTALL])?;
    palisade::wait(&ground.cluster)?;
    ground.cluster.kubectl(&["delete", "--filename", palisade::MANIFEST, "--wait", "--timeout=90s"])?;
    ground.uninstalled();
    let meanwhile = traffic.stop()?;
    if meanwhile.lost + meanwhile.failed > 0 {
        return wrong(format!("while it is uninstalled: {}", meanwhile.text()));
    }
    let before = ground.before.take().unwrap_or_default();
    let mut lines = 0;
    for (node, before) in ground.cluster.nodes().iter().zip(&before) {
        let mut differences = Vec::new();
        // The kubelet tidies up after the last pod in its own time.
        let same = eventually("the node is as it was", || {
            differences = before.differences(&NodeState::of(node)?);
            Ok(differences.is_empty())
        });
        if same.is_err() {
            return wrong(format!("{} is not as it was before:\n{}", node.name(), differences.join("\n")));
        }
        lines += before.len();
    }
    let after = Traffic::run_for(ground.pods()?, MOMENT)?;
    if after.leaked != after.probes {
        return wrong(format!("something still drops: {}", after.text()));
    }
    Ok(format!(
        "{} datagrams meanwhile, 0 lost; {lines} lines of sysctls, nftables, links and files of {} nodes are as before",
        meanwhile.sent,
        before.len()
    ))
}
