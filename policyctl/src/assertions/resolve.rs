//! From a test file to assertions about one cluster.

use super::{
    Assertion, Probe, TestFile, TestFileError, TestFileFault,
    file::{Entry, Family, Test},
};
use crate::endpoint::{Destination, Endpoint, Slices};
use policy_model::{
    cluster::Cluster,
    verdict::{self, Flow},
};
use std::net::IpAddr;

impl TestFile {
    /// Turns every entry into an assertion about `cluster`; `slices` say who is behind Services without a selector.
    ///
    /// # Errors
    /// Every entry that names what the cluster does not have, or that stands for no flow at all.
    pub fn resolve(&self, cluster: &Cluster, slices: &Slices) -> Result<Vec<Assertion>, Vec<TestFileError>> {
        let (mut assertions, mut errors) = (Vec::new(), Vec::new());
        for test in &self.tests {
            for entry in &test.entries {
                match assertion((cluster, slices), test, entry) {
                    Ok(assertion) => assertions.push(assertion),
                    Err(fault) => errors.push(TestFileError {
                        place: entry.place,
                        test: Some(test.name.to_string()),
                        fault,
                    }),
                }
            }
        }
        if errors.is_empty() { Ok(assertions) } else { Err(errors) }
    }
}

fn assertion(
    (cluster, slices): (&Cluster, &Slices),
    test: &Test,
    entry: &Entry,
) -> Result<Assertion, TestFileFault> {
    let about = format!("{} -> {}", entry.source, entry.target);
    let mut probes = Vec::new();
    for target in &entry.targets {
        let destinations = target.resolve(cluster, slices)?;
        for source in &entry.sources {
            let keep_self = source.is_single() && target.endpoint.is_single();
            let sources = source.resolve(cluster, slices)?;
            let before = probes.len();
            probes.extend(pairs(&sources, &destinations, test.family, keep_self));
            if probes.len() == before {
                return Err(TestFileFault::NoFlow(pair_name(source, target)));
            }
        }
    }
    Ok(Assertion {
        test: test.name.clone(),
        about,
        place: entry.place,
        expect: entry.expect,
        require: test.require,
        probes,
    })
}

fn pair_name(source: &Endpoint, target: &crate::endpoint::Target) -> String {
    format!("{source} -> {target}")
}

/// Every source with every destination that it can send to: of one address family, and not itself where one end is a
/// pattern that happens to match both.
fn pairs(
    sources: &[verdict::Endpoint],
    destinations: &[Destination],
    family: Option<Family>,
    keep_self: bool,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    for source in sources {
        for destination in destinations {
            let ends = [address(source), address(&destination.endpoint)];
            if !share_family(ends, family) || (!keep_self && is_same(source, &destination.endpoint)) {
                continue;
            }
            let any_address = ends[1].or(ends[0]);
            probes.push(Probe {
                flow: Flow {
                    source: source.clone(),
                    destination: destination.endpoint.clone(),
                    protocol: destination.transport.number(any_address),
                    port: destination.port,
                },
                transport: destination.transport,
                service: destination.service.clone(),
            });
        }
    }
    probes
}

fn address(endpoint: &verdict::Endpoint) -> Option<IpAddr> {
    match endpoint {
        verdict::Endpoint::Pod { address, .. } => *address,
        verdict::Endpoint::Address(address) => Some(*address),
    }
}

/// An end without an address (a workload's template) goes with every family.
fn share_family(ends: [Option<IpAddr>; 2], family: Option<Family>) -> bool {
    let is_v4 = family.map(|family| family == Family::V4);
    let mut families = ends.into_iter().flatten().map(|address| address.is_ipv4()).chain(is_v4);
    let first = families.next();
    families.all(|family| Some(family) == first)
}

fn is_same(source: &verdict::Endpoint, destination: &verdict::Endpoint) -> bool {
    match (source, destination) {
        (verdict::Endpoint::Pod { key: a, .. }, verdict::Endpoint::Pod { key: b, .. }) => a == b,
        _ => address(source).is_some() && address(source) == address(destination),
    }
}
