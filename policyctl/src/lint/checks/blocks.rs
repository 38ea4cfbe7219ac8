//! P008 to P011: blocks of addresses that cover more, or less, than it seems.

use crate::lint::{
    Code, Finding,
    context::{Context, RuleAt, listed},
    cover,
};
use ipnet::IpNet;
use policy_model::{policy::Peer, portset::PortSet, reach::Reach};
use std::net::IpAddr;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    context
        .rules()
        .flat_map(|rule| {
            let peers = rule.rule.peers.iter().enumerate();
            peers.flat_map(move |(index, peer)| match peer {
                Peer::IpBlock { cidr, except } => {
                    of_block(context, &Block { rule, index, cidr: *cidr, except })
                }
                Peer::Pods { .. } => Vec::new(),
            })
        })
        .collect()
}

struct Block<'a> {
    rule: RuleAt<'a>,
    index: usize,
    cidr: IpNet,
    except: &'a [IpNet],
}

impl Block<'_> {
    fn covers(&self, address: &IpAddr) -> bool {
        self.cidr.contains(address) && !self.except.iter().any(|block| block.contains(address))
    }

    /// Whether it has an address in common with a range.
    fn meets(&self, range: &IpNet) -> bool {
        let is_in = |outer: &IpNet, inner: &IpNet| outer.contains(inner);
        (is_in(&self.cidr, range) || is_in(range, &self.cidr))
            && !self.except.iter().any(|block| is_in(block, range))
    }

    fn is_single(&self) -> bool {
        self.cidr.prefix_len() == self.cidr.max_prefix_len()
    }
}

fn of_block(context: &Context<'_>, block: &Block<'_>) -> Vec<Finding> {
    let found = [pods(context, block), nodes(context, block), service(context, block)];
    found.into_iter().flatten().chain(exceptions(context, block)).collect()
}

fn finding(context: &Context<'_>, block: &Block<'_>, code: Code, message: String, remedy: String) -> Finding {
    let path = block.rule.peer_path(block.index).field("ipBlock");
    context.finding(code, &block.rule.policy.key, &path, message, remedy)
}

fn pods(context: &Context<'_>, block: &Block<'_>) -> Option<Finding> {
    let cluster = context.cluster();
    let covered = cluster.claims().filter(|(address, _)| block.covers(address));
    let pods: Vec<String> =
        covered.flat_map(|(_, pods)| pods.map(|pod| pod.key.to_string()).collect::<Vec<_>>()).collect();
    let cidr = block.cidr;
    if block.is_single() {
        return (!pods.is_empty()).then(|| {
            let message =
                format!("{cidr} is the address of {}, which changes when the pod is made anew", listed(pods));
            finding(context, block, Code::P008, message, "name the pod by podSelector".to_owned())
        });
    }
    let ranges: Vec<IpNet> = cluster
        .nodes()
        .flat_map(|node| &node.pod_cidrs)
        .filter(|range| block.meets(range))
        .copied()
        .collect();
    let message = match (pods.is_empty(), ranges.is_empty()) {
        (true, true) => return None,
        (false, _) => format!("{cidr} covers pods too: {}", listed(pods.clone())),
        (true, false) => format!(
            "{cidr} covers addresses that pods get: {}",
            listed(ranges.iter().map(ToString::to_string))
        ),
    };
    let inner = aggregated(ranges, &block.cidr);
    let remedy = match inner.is_empty() {
        true => "cut the pod ranges out with except, and name pods by podSelector".to_owned(),
        false => {
            format!("if pods are not meant, write except: [{}]; name pods by podSelector", inner.join(", "))
        }
    };
    Some(finding(context, block, Code::P008, message, remedy))
}

/// Ranges that are an exception of a block, as few as say the same.
fn aggregated(ranges: Vec<IpNet>, within: &IpNet) -> Vec<String> {
    const SHOWN: usize = 4;
    let inner: Vec<IpNet> =
        ranges.into_iter().filter(|range| within.contains(range) && within != range).collect();
    let fewest = IpNet::aggregate(&inner);
    if fewest.len() > SHOWN { Vec::new() } else { fewest.iter().map(ToString::to_string).collect() }
}

fn nodes(context: &Context<'_>, block: &Block<'_>) -> Option<Finding> {
    let covers = |addresses: &[IpAddr]| addresses.iter().any(|address| block.covers(address));
    let nodes = context.cluster().nodes().filter(|node| covers(&node.addresses));
    let names: Vec<String> = nodes.map(|node| node.name.to_string()).collect();
    if names.is_empty() || block.is_single() {
        return None;
    }
    let what = if names.len() == 1 { "node" } else { "nodes" };
    let message = format!(
        "{} covers {what} {}: the kubelet, node ports and pods on the host network",
        block.cidr,
        listed(names)
    );
    Some(finding(context, block, Code::P009, message, Code::P009.info().remedy.to_owned()))
}

fn service(context: &Context<'_>, block: &Block<'_>) -> Option<Finding> {
    if !block.is_single() {
        return None;
    }
    let address = block.cidr.addr();
    let service = context.cluster().services().find(|service| service.cluster_ips.contains(&address))?;
    let message = format!(
        "{address} is the address of Service {}, which no policy ever sees: it is a pod's by then",
        service.key
    );
    Some(finding(context, block, Code::P010, message, Code::P010.info().remedy.to_owned()))
}

/// Exceptions of which every address is allowed all the same, by another block or by a rule without peers.
fn exceptions(context: &Context<'_>, block: &Block<'_>) -> Vec<Finding> {
    let rule = block.rule;
    let mut findings = Vec::new();
    for (number, except) in block.except.iter().enumerate() {
        let cut = Reach::block(*except, &[], PortSet::all());
        let wider = block.except.iter().find(|other| *other != except && other.contains(except));
        let why = match wider {
            Some(wider) => Some(format!("it is part of {wider}, which is cut out too")),
            None => allowed_by(block, &cut),
        };
        let Some(why) = why else { continue };
        // Exceptions are sorted in the model: the text has them in any order.
        let path = rule.peer_path(block.index).field("ipBlock").field("except");
        let message = format!("except {except} (number {} in order) cuts nothing: {why}", number + 1);
        findings.push(context.finding(
            Code::P011,
            &rule.policy.key,
            &path,
            message,
            Code::P011.info().remedy,
        ));
    }
    findings
}

fn allowed_by(block: &Block<'_>, cut: &Reach) -> Option<String> {
    let rules = block.rule.policy.rules(block.rule.direction).unwrap_or_default();
    let mut left = cut.clone();
    for (number, other) in
        rules.iter().enumerate().filter(|(_, other)| cover::ports(&other.ports, &block.rule.rule.ports))
    {
        let name = format!("{}[{number}]", block.rule.direction);
        if other.peers.is_empty() {
            return Some(format!("{name} allows every address"));
        }
        for (index, peer) in other.peers.iter().enumerate() {
            let Peer::IpBlock { cidr, except } = peer else { continue };
            if number == block.rule.index && index == block.index {
                continue;
            }
            left = left.difference(&Reach::block(*cidr, except, PortSet::all()));
            if left.is_empty() {
                return Some(format!(
                    "{name}.{}[{index}] allows these addresses",
                    block.rule.direction.peers_field()
                ));
            }
        }
    }
    None
}
