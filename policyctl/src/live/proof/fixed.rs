//! What is the same on every node with the same settings: the chains from the hooks to the programs, and the guards'.

use super::{Finding, inet};
use compiler::{
    ir::{DataType, Family, Name, Ruleset, Set, SetSpec, Table},
    readback::Readback,
    skeleton::{self, AddressFamily, Orientation, dispatch_map, nodes_set},
};
use policy_model::{cluster::Cluster, policy::Direction};
use std::{collections::BTreeSet, net::IpAddr};

/// Every fixed object that is not there or not as the node's settings want it, and everything that is not ours.
pub(super) fn findings(kernel: &Readback, cluster: &Cluster) -> Vec<Finding> {
    let mut findings: Vec<Finding> = kernel
        .foreign
        .iter()
        .map(|foreign| Finding::Fixed {
            object: foreign.object.clone(),
            what: format!("not Palisade's: {}", foreign.what),
        })
        .collect();
    for (family, wanted) in &skeleton::ruleset(&kernel.config).tables {
        match kernel.ruleset.tables.get(family) {
            Some(held) => table(*family, wanted, held, &mut findings),
            None => findings.push(Finding::Fixed {
                object: format!("table {family} {}", compiler::ir::TABLE),
                what: "it is not there: nothing is enforced".to_owned(),
            }),
        }
    }
    findings.extend(nodes(kernel, cluster));
    findings
}

/// The addresses of all nodes, to whose overlay no pod may send.
fn nodes(kernel: &Readback, cluster: &Cluster) -> Option<Finding> {
    let table = inet(&kernel.ruleset)?;
    let held: BTreeSet<IpAddr> = AddressFamily::BOTH
        .into_iter()
        .filter_map(|family| Some(addresses(table.sets.get(nodes_set(family))?, family.data_type())))
        .flatten()
        .collect();
    let of_cluster = cluster.nodes().flat_map(|node| node.own_addresses().collect::<Vec<_>>());
    let wanted: BTreeSet<IpAddr> = of_cluster.chain(kernel.config.addresses.iter().copied()).collect();
    let missing = wanted.difference(&held).next().map(|address| format!("{address} of a node is not in it"));
    let too_many = || held.difference(&wanted).next().map(|address| format!("{address} in it is no node's"));
    let what = missing.or_else(too_many)?;
    Some(Finding::Fixed { object: format!("sets inet {} nodes4 and nodes6", compiler::ir::TABLE), what })
}

fn table(family: Family, wanted: &Table, held: &Table, findings: &mut Vec<Finding>) {
    let mut find = |kind: &str, name: &Name, what: String| {
        findings
            .push(Finding::Fixed { object: format!("{kind} {family} {} {name}", compiler::ir::TABLE), what });
    };
    for (name, chain) in &wanted.chains {
        match held.chains.get(name) {
            None => find("chain", name, "it is not there".to_owned()),
            Some(other) if other.base != chain.base => {
                find("chain", name, "it hangs at another hook".to_owned())
            }
            Some(other) if other.rules != chain.rules => {
                let same = chain.rules.iter().zip(&other.rules).take_while(|(a, b)| a == b).count();
                let rule = |rules: &[compiler::ir::Rule]| {
                    rules
                        .get(same)
                        .map_or_else(|| "the end".to_owned(), |rule| compiler::text::rule(family, rule))
                };
                let what =
                    format!("rule {same} is `{}` and should be `{}`", rule(&other.rules), rule(&chain.rules));
                find("chain", name, what);
            }
            Some(_) => {}
        }
    }
    for (name, set) in &wanted.sets {
        match held.sets.get(name) {
            None => find("set", name, "it is not there".to_owned()),
            Some(other) if !fits(&set.spec, &other.spec) => {
                find("set", name, "it is of another type".to_owned())
            }
            // What a fixed set holds from the start never changes.
            Some(other) if set.elements.iter().any(|(key, value)| other.elements.get(key) != Some(value)) => {
                find("set", name, "an element of it is not there".to_owned());
            }
            Some(_) => {}
        }
    }
    // Other chains are programs, and none of them hangs at a hook.
    for (name, chain) in &held.chains {
        if chain.base.is_some() && !wanted.chains.contains_key(name) {
            find("chain", name, "a base chain that is not Palisade's".to_owned());
        }
    }
}

fn fits(wanted: &SetSpec, held: &SetSpec) -> bool {
    (&wanted.key, wanted.interval, wanted.verdicts) == (&held.key, held.interval, held.verdicts)
}

/// Every address that a dispatch map has, with the map.
pub(super) fn dispatched(ruleset: &Ruleset) -> Vec<(Name, IpAddr)> {
    let Some(table) = inet(ruleset) else { return Vec::new() };
    let mut found = Vec::new();
    for direction in Direction::BOTH {
        for family in AddressFamily::BOTH {
            for orientation in Orientation::BOTH {
                let name = Name::from(dispatch_map(direction, family, orientation));
                let Some(map) = table.sets.get(&name) else { continue };
                found.extend(addresses(map, family.data_type()).map(|address| (name.clone(), address)));
            }
        }
    }
    found
}

fn addresses(map: &Set, kind: DataType) -> impl Iterator<Item = IpAddr> {
    map.elements.keys().filter_map(move |key| key.first_address(kind))
}
