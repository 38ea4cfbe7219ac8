//! Whether a node's kernel enforces what the policies say: a proof for all packets, not a sample.
//!
//! Every local pod's reach is rebuilt from the kernel's own chains and sets ([`compiler::reach`]) and compared with the
//! model's: for each of its addresses, both directions, and packets of both orientations. Two reaches are equal or they are
//! not. What leads packets to a pod's program is fixed on a node, and is compared with what it should be, rule for rule
//! ([`fixed`]).

mod difference;
mod fixed;
mod report;
#[cfg(test)]
mod tests;

pub use difference::{Differing, Finding};
pub use report::{json, text};

use compiler::{
    ir::{Family, Ruleset},
    reach::reach,
    readback::Readback,
    skeleton::Orientation,
};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::Direction,
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    num::NonZero,
    sync::Arc,
    thread,
};

/// What a node's kernel and the model have in common, and what not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The node.
    pub node: String,
    /// Number of its ruleset.
    pub revision: u64,
    /// Local pods whose reaches were compared.
    pub pods: usize,
    /// Reaches that were compared: address, direction and orientation.
    pub reaches: usize,
    /// Elements of the kernel's sets and maps.
    pub elements: usize,
    /// Rules of the kernel's chains.
    pub rules: usize,
    /// In how many operations the kernel differs from what policyd wants there.
    pub drift: usize,
    /// What differs. Empty = equal.
    pub findings: Vec<Finding>,
    /// What there is nothing to compare with.
    pub notes: Vec<String>,
}

impl Proof {
    /// Whether nothing differs.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether what differs may be due to the two being read at two moments: policyd's kernel holds what policyd wants.
    #[must_use]
    pub fn may_be_early(&self) -> bool {
        !self.holds() && self.drift == 0
    }
}

/// A pod and the addresses by which the kernel or the API server knows it.
struct Local<'a> {
    pod: &'a Pod,
    addresses: BTreeSet<IpAddr>,
}

/// Compares a node's kernel with the policies. `terminating` are namespaces that are being deleted: their policies may be
/// gone from the API server and still hold on the node.
#[must_use]
pub fn prove(kernel: &Readback, cluster: &Cluster, terminating: &BTreeSet<Arc<str>>) -> Proof {
    let tables = kernel.ruleset.tables.values();
    let mut proof = Proof {
        node: kernel.node.clone(),
        revision: kernel.revision,
        pods: 0,
        reaches: 0,
        elements: tables.clone().flat_map(|table| table.sets.values()).map(|set| set.elements.len()).sum(),
        rules: tables.flat_map(|table| table.chains.values()).map(|chain| chain.rules.len()).sum(),
        drift: kernel.drift,
        findings: fixed::findings(kernel, cluster),
        notes: Vec::new(),
    };
    let locals = locals(kernel, cluster, &mut proof.notes);
    proof.findings.extend(unknown_addresses(kernel, &locals));
    let (ending, compared): (Vec<_>, Vec<_>) =
        locals.into_iter().partition(|local| terminating.contains(&local.pod.key.namespace));
    if !ending.is_empty() {
        proof.notes.push(format!(
            "{} pods of namespaces that are being deleted are left out: their policies hold until the last pod is gone",
            ending.len()
        ));
    }
    proof.pods = compared.len();
    proof.reaches = compared.iter().map(|local| local.addresses.len() * 4).sum();
    proof.findings.extend(compare(kernel, cluster, &compared));
    proof
}

/// The node's pods: those that the API server binds to it and those that policyd knows.
fn locals<'a>(kernel: &Readback, cluster: &'a Cluster, notes: &mut Vec<String>) -> Vec<Local<'a>> {
    let mut locals: BTreeMap<&ObjectKey, Local<'a>> = BTreeMap::new();
    for pod in cluster.pods().filter(|pod| pod.is_policed() && pod.node.as_deref() == Some(&*kernel.node)) {
        let addresses = pod.ips.iter().copied().collect();
        locals.insert(&pod.key, Local { pod, addresses });
    }
    for known in &kernel.pods {
        let key = known.pod.split_once('/').map(|(namespace, name)| ObjectKey::new(namespace, name));
        let pod = key.as_ref().and_then(|key| cluster.pod(key)).filter(|pod| pod.is_policed());
        let Some(pod) = pod else {
            notes.push(format!(
                "{} is on the node and not in the cluster: there is nothing to compare it with",
                known.pod
            ));
            continue;
        };
        let local = locals.entry(&pod.key).or_insert_with(|| Local { pod, addresses: BTreeSet::new() });
        local.addresses.extend(&known.addresses);
    }
    locals.into_values().collect()
}

/// Addresses that the kernel lets in or out as a local pod's and that are nobody's.
fn unknown_addresses(kernel: &Readback, locals: &[Local<'_>]) -> Vec<Finding> {
    let of_kernel = kernel.pods.iter().flat_map(|pod| pod.addresses.iter().copied());
    let known: BTreeSet<IpAddr> =
        locals.iter().flat_map(|local| local.addresses.iter().copied()).chain(of_kernel).collect();
    let unknown =
        fixed::dispatched(&kernel.ruleset).into_iter().filter(|(_, address)| !known.contains(address));
    unknown.map(|(map, address)| Finding::Stranger { map, address }).collect()
}

/// Compares all pods, on all processors: the model's reaches are what takes time.
fn compare(kernel: &Readback, cluster: &Cluster, locals: &[Local<'_>]) -> Vec<Finding> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = locals.len().div_ceil(workers).max(1);
    let ruleset = &kernel.ruleset;
    thread::scope(|scope| {
        let parts: Vec<_> = locals
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    part.iter().flat_map(|local| pod(ruleset, cluster, local)).collect::<Vec<_>>()
                })
            })
            .collect();
        // A worker that panics has met a bug, which must not pass for equality.
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What differs of one pod: of each direction the smallest range.
fn pod(ruleset: &Ruleset, cluster: &Cluster, local: &Local<'_>) -> Vec<Finding> {
    let key = &local.pod.key;
    let of_direction = |direction| {
        let mut differing: Vec<Differing> = Vec::new();
        // What takes time is done once for all addresses that are the pod's alone.
        let of_pod = OnceCell::new();
        for &address in &local.addresses {
            // An address of the pod's that is in no status, such as its link-local one, is judged as the pod is.
            let mut claimants = cluster.claimants(address).map(|pod| &pod.key);
            let model = match (claimants.next(), claimants.next()) {
                (Some(only), None) if only == key => {
                    of_pod.get_or_init(|| cluster.reach(key, direction)).same_family(address)
                }
                (Some(_), _) => cluster.reach_of_address(address, direction),
                (None, _) => cluster.reach_at(key, address, direction),
            };
            for orientation in Orientation::BOTH {
                match reach(ruleset, address, direction, orientation) {
                    Ok(kernel) => {
                        differing.extend(Differing::smallest(&model, &kernel, address, orientation))
                    }
                    Err(why) => {
                        return Some(Finding::Unclear {
                            pod: key.clone(),
                            address,
                            direction,
                            why: why.to_string(),
                        });
                    }
                }
            }
        }
        let ranges = differing.iter().map(|differing| differing.ranges).sum();
        let smallest = differing.into_iter().min_by_key(Differing::size)?;
        Some(Finding::Reach { pod: key.clone(), direction, smallest: Box::new(smallest), ranges })
    };
    Direction::BOTH.into_iter().filter_map(of_direction).collect()
}

/// The table that policy is in.
fn inet(ruleset: &Ruleset) -> Option<&compiler::ir::Table> {
    ruleset.tables.get(&Family::Inet)
}
