//! kube-router itself, in the lab: it follows a real API server that has a plan's objects, and writes its iptables rules and ipsets on
//! the client's node. Then it is ended, so that it changes nothing while it is measured; what it has written stays.

use super::{Contender, Stage, cluster::Plan};
use crate::{
    cluster::{ApiServer, ClusterError, KubeRouter},
    enforced::Manifests,
};
use policy_model::cluster::Cluster;
use serde_json::{Value, json};
use std::{collections::BTreeSet, thread, time::Duration};

/// Pods that are on no node of the lab: with 100 policies each ipset of peers has ten.
const REMOTE_PODS: usize = 1_000;
/// The node of the client, of the server beside it, and of kube-router.
const NODE: u8 = 1;
/// The table that its rules are in: Flannel and kube-proxy have tables of their own in the lab.
const TABLE: (&str, &str) = ("ip", "filter");
/// How `iptables-save` begins the line of a policy's chain.
const CHAIN: &str = ":KUBE-NWPLCY-";
/// For how long it must have written nothing to be done.
const QUIET: Duration = Duration::from_secs(2);

/// kube-router's rules for a plan, asleep. IPv4, and the client's node alone.
///
/// # Errors
/// What [`ApiServer::start`] and [`KubeRouter::start`] say; [`ClusterError::Server`] if its rules are not all there after a minute.
pub fn kube_router(stage: &Stage, plan: &Plan) -> Result<Contender, ClusterError> {
    let lab = stage.lab();
    let node = lab.node(NODE);
    let api = ApiServer::start("bench api")?;
    api.link(node.netns(), NODE)?;
    let cluster: Cluster = plan.changes(lab, REMOTE_PODS).into_iter().collect();
    let mut list = Manifests::of(&cluster).list();
    api.kubectl(&["create", "--filename", "-"], &list.to_string())?;
    // It takes those for its own whose host has its node's address.
    let host = json!(node.ipv4().to_string());
    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let running = items.into_iter().filter(|item| item["kind"] == "Pod").map(|mut pod| {
        if pod["spec"]["nodeName"] == *node.name() {
            pod["status"]["hostIP"] = host.clone();
        }
        pod
    });
    list["items"] = Value::Array(running.collect());
    api.kubectl(&["replace", "--subresource=status", "--filename", "-"], &list.to_string())?;

    let mut program = KubeRouter::start(&api, node.netns(), &node.name())?;
    let mut last = String::new();
    let written = || {
        let saved = node.netns().exec(&["iptables-save", "--table", TABLE.1])?;
        // Without the time and the counters of chains, which change by themselves.
        let rules: String = saved.lines().filter(|line| line.starts_with("-A ")).collect();
        let chains: BTreeSet<&str> = saved
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| word.starts_with(CHAIN))
            .collect();
        thread::sleep(QUIET);
        Ok(chains.len() >= plan.policies && rules == std::mem::replace(&mut last, rules.clone()))
    };
    program.wait_until("all its chains are written", written)?;
    drop(program);
    let name = format!("kube-router v2.1.0 itself, {} policies, iptables and ipsets", plan.policies);
    let (family, table) = TABLE;
    // Nothing is added to it but that it sleeps; on the other node it is empty.
    Ok(Contender::of_tables(&name, &[(family, table, String::new())], lab.nodes().len()))
}
