//! The simulator as a judge: the compiled ruleset of every node that a flow passes, walked packet by packet.

use super::Judge;
use compiler::{
    Compiler, Event,
    config::Config,
    ir::Family,
    sim::{self, Flow, Links, Moment, Outcome, Route, Verdict},
};
use policy_model::{
    cluster::Cluster,
    object::Node,
    verdict::{self, Endpoint},
};
use policyctl::assertions::Probe;
use std::net::IpAddr;

/// The packets of a flow that must pass if it is allowed. A flow whose first packet is dropped is denied.
const MOMENTS: [Moment; 3] = [Moment::First, Moment::Established, Moment::Reply];

/// One compiler for each node of a cluster.
#[derive(Debug)]
pub struct Simulator<'a> {
    cluster: &'a Cluster,
    nodes: Vec<(&'a Node, Compiler)>,
}

impl<'a> Simulator<'a> {
    /// Compiles the cluster for each of its nodes.
    #[must_use]
    pub fn new(cluster: &'a Cluster) -> Self {
        let compile = |node: &'a Node| {
            let mut compiler = Compiler::new(Config::new(node.name.clone(), "cni0"));
            cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
            compiler.commit();
            (node, compiler)
        };
        Self { cluster, nodes: cluster.nodes().map(compile).collect() }
    }

    /// The ways of a flow's packets through the nodes that they pass, in order; `None` if nobody can send it.
    fn walks(&self, flow: &verdict::Flow) -> Option<Vec<Walk<'_>>> {
        let ends = [address(&flow.source)?, address(&flow.destination)?];
        let [from, to] = ends.map(|end| Place::of(self.cluster, end));
        if [from, to].contains(&Place::Unheld) {
            return None;
        }
        let flow = Flow::new(ends[0], ends[1], flow.protocol, flow.port);
        let mut walks = Vec::new();
        for moment in MOMENTS {
            for (node, compiler) in &self.nodes {
                let Some(route) = route(node, from, to) else { continue };
                let (hook, packet) = flow.packet(route, &Links::default(), moment);
                let outcome = sim::evaluate(compiler.ruleset(), Family::Inet, hook, &packet);
                walks.push(Walk {
                    node: &node.name,
                    moment,
                    outcome: outcome.map_err(|error| error.to_string()),
                });
            }
        }
        Some(walks)
    }
}

impl Judge for Simulator<'_> {
    /// A flow that is let in but not answered is neither allowed nor denied; it is given as denied, which fails the
    /// assertion that allows it, and no packet of a denied flow may pass.
    fn allows(&mut self, probe: &Probe) -> Option<bool> {
        Some(self.walks(&probe.flow)?.iter().all(Walk::passes))
    }

    fn reason(&mut self, probe: &Probe) -> String {
        let walks = self.walks(&probe.flow).unwrap_or_default();
        let stopped = walks.iter().find(|walk| !walk.passes());
        stopped.or(walks.first()).map_or_else(|| "no node judges it".to_owned(), Walk::describe)
    }
}

/// One packet's way through one node.
struct Walk<'a> {
    node: &'a str,
    moment: Moment,
    /// The end of the walk, or why the kernel would not have loaded the ruleset.
    outcome: Result<Outcome<'a>, String>,
}

impl Walk<'_> {
    fn passes(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|outcome| outcome.verdict == Verdict::Accept)
    }

    fn describe(&self) -> String {
        let steps = match &self.outcome {
            Ok(outcome) => outcome.trace.iter().map(|step| format!("\n      {step}")).collect(),
            Err(refused) => format!(" {refused}"),
        };
        format!("{:?} packet on {}:{steps}", self.moment, self.node)
    }
}

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    /// A policed pod's, on this node.
    Pod(Option<&'a str>),
    /// One of a node's own; `overlay` if it is of its pod range, so that it is reached through the overlay.
    Node { name: &'a str, overlay: bool },
    /// In a pod range, but no pod has it.
    Unheld,
    /// Anywhere else.
    Outside,
}

impl<'a> Place<'a> {
    fn of(cluster: &'a Cluster, address: IpAddr) -> Self {
        if let Some(pod) = cluster.claimants(address).next() {
            return Self::Pod(pod.node.as_deref());
        }
        let in_range = |node: &Node| node.pod_cidrs.iter().any(|range| range.contains(&address));
        match cluster.nodes().find(|node| node.own_addresses().any(|own| own == address)) {
            Some(node) => Self::Node { name: &node.name, overlay: in_range(node) },
            None if cluster.nodes().any(in_range) => Self::Unheld,
            None => Self::Outside,
        }
    }

    fn is_pod_of(self, node: &Node) -> bool {
        matches!(self, Self::Pod(Some(name)) if *name == *node.name)
    }

    fn is_node(self, node: &Node) -> bool {
        matches!(self, Self::Node { name, .. } if *name == *node.name)
    }

    fn is_behind_overlay(self) -> bool {
        matches!(self, Self::Pod(_) | Self::Node { overlay: true, .. })
    }
}

/// How packets between two places pass a node; `None` if its rules are not asked.
fn route(node: &Node, from: Place<'_>, to: Place<'_>) -> Option<Route> {
    match (from.is_pod_of(node), to.is_pod_of(node)) {
        (true, true) => Some(Route::Bridged),
        (true, false) if to.is_node(node) => Some(Route::ToNode),
        (true, false) if to.is_behind_overlay() => Some(Route::ToOverlay),
        (true, false) => Some(Route::ToOutside),
        (false, true) if from.is_node(node) => Some(Route::FromNode),
        (false, true) if from.is_behind_overlay() => Some(Route::FromOverlay),
        (false, true) => Some(Route::FromOutside),
        (false, false) => None,
    }
}

fn address(endpoint: &Endpoint) -> Option<IpAddr> {
    match endpoint {
        Endpoint::Pod { address, .. } => *address,
        Endpoint::Address(address) => Some(*address),
    }
}
