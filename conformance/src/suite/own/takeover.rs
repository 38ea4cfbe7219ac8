//! Palisade takes over from kube-router, while traffic flows.

use super::{
    case::{Case, Fault, eventually, wrong},
    ground::Ground,
    traffic::Traffic,
};
use crate::{
    cluster::{ClusterError, ClusterNode, engine::palisade},
    lab::LabError,
};
use std::time::Duration;

pub(super) const CASES: &[Case<Ground>] = &[Case {
    name: "takeover from kube-router",
    proves: "installed beside kube-router, which is then ended and its rules and sets removed: 0 lost, 0 leaked, and nobody else's rule is touched",
    prove: from_kube_router,
}];

const MOMENT: Duration = Duration::from_millis(1500);
/// The names of what kube-router's firewall has in the kernel.
const ITS_OWN: &str = "KUBE-ROUTER-|KUBE-POD-FW-|KUBE-NWPLCY-";

fn from_kube_router(ground: &mut Ground) -> Result<String, Fault> {
    eventually("kube-router enforces", || {
        let tally = Traffic::run_for(ground.pods()?, MOMENT)?;
        Ok(tally.leaked == 0 && tally.lost + tally.failed == 0)
    })?;
    let others = each_node(ground, |node| rules(node, true))?;
    let its = each_node(ground, |node| rules(node, false))?;
    if its.iter().any(String::is_empty) {
        return wrong("kube-router has no rule to be removed");
    }

    let traffic = Traffic::start(ground.pods()?)?;
    ground.ensure_installed()?;
    let daemons = daemons(ground)?;
    for daemon in &daemons {
        match takeover(ground, daemon) {
            Err(Fault::Cluster(ClusterError::Lab(LabError::Command { message, .. })))
                if message.contains("kube-router runs") => {}
            Ok(said) => return wrong(format!("{daemon} takes over from a kube-router that runs: {said}")),
            Err(fault) => return Err(fault),
        }
    }
    // kube-router gives its chains new names with each change that it sees, so they are looked for by their jumps.
    let still = each_node(ground, |node| rules(node, false))?;
    if still.iter().any(|rules| !rules.contains("-j KUBE-ROUTER-FORWARD")) {
        return wrong("a takeover that was refused has removed something");
    }
    ground.cluster.end_kube_router();
    let mut said = Vec::new();
    for daemon in &daemons {
        said.push(takeover(ground, daemon)?);
    }
    let tally = traffic.stop()?;

    tally.require_exact("Palisade takes over")?;
    let left = each_node(ground, |node| rules(node, false))?;
    if left.iter().any(|left| !left.is_empty()) {
        return wrong(format!("of kube-router there is still: {}", left.join("\n")));
    }
    for (before, after) in others.iter().zip(each_node(ground, |node| rules(node, true))?) {
        if *before != after {
            return wrong(format!("rules of others were\n{before}\nand are\n{after}"));
        }
    }
    let alone = Traffic::run_for(ground.pods()?, MOMENT)?;
    alone.require_exact("Palisade enforces alone")?;
    ground.require_in_force()?;
    let removed: Vec<&str> =
        said.iter().flat_map(|said| said.lines()).filter(|line| line.starts_with("removed")).collect();
    if removed.is_empty() {
        return wrong(format!("no takeover says what it has removed: {said:?}"));
    }
    Ok(format!("{}; afterwards {}", tally.text(), alone.text()))
}

/// Of each node what `ask` gives.
fn each_node(
    ground: &Ground,
    ask: impl Fn(&ClusterNode) -> Result<String, ClusterError>,
) -> Result<Vec<String>, ClusterError> {
    ground.cluster.nodes().iter().map(ask).collect()
}

/// Rules and chains of iptables in all tables and families, and names of ipsets: those of others, or kube-router's own. Without
/// counters and comments.
fn rules(node: &ClusterNode, of_others: bool) -> Result<String, ClusterError> {
    let invert = if of_others { "-v" } else { "" };
    let script = format!(
        "(iptables-save; ip6tables-save; ipset list -name | sed 's/^/ipset /') | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//' \
         | grep -E {invert} '{ITS_OWN}|ipset (inet6:)?KUBE-(SRC|DST)-' || true"
    );
    node.exec(&["sh", "-c", &script])
}

/// Palisade's pods.
fn daemons(ground: &Ground) -> Result<Vec<String>, Fault> {
    let get = ["get", "pods", "--namespace", palisade::NAMESPACE, "--output", "name"];
    Ok(ground.cluster.kubectl(&get)?.lines().map(str::to_owned).collect())
}

/// The one command, as docs/install.md has it.
fn takeover(ground: &Ground, daemon: &str) -> Result<String, Fault> {
    let exec = ["exec", "--namespace", palisade::NAMESPACE, daemon, "--container", "policyd", "--"];
    let command = ["policyd", "takeover", "--from", "kube-router"];
    Ok(ground.cluster.kubectl(&[&exec[..], &command].concat())?)
}
