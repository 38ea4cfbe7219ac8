//! The list of wanted connections: the JSON of `matrix -o json` (design, section 6).

use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
    reach::AddressRange,
};
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr};

/// What is wanted: every pair that is not here is to be denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Between workloads, by their names as `ns/name[Kind]`.
    pub inside: BTreeMap<(String, String), PortSet>,
    /// From addresses outside to workloads.
    pub from_outside: Vec<(AddressRange, String, PortSet)>,
    /// From workloads to addresses outside.
    pub to_outside: Vec<(String, AddressRange, PortSet)>,
}

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    /// No JSON, or not of that form.
    #[error("this is no matrix in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of something else.
    #[error("this is a {0}, and a Matrix is needed, as `policyctl matrix -o json` writes it")]
    Kind(String),
    /// A row that says nothing that policy could do.
    #[error("rows[{row}]: {message}")]
    Row {
        /// From 0.
        row: usize,
        /// What is wrong with it.
        message: String,
    },
}

#[derive(Deserialize)]
struct RawMatrix {
    kind: String,
    rows: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    source: String,
    destination: String,
    connections: Vec<RawConnections>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConnections {
    protocol: String,
    ports: String,
}

enum End {
    Inside(String),
    Outside(AddressRange),
}

impl Wanted {
    /// Reads the JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with the row that it is in.
    pub fn parse(text: &str) -> Result<Self, WantedError> {
        let raw: RawMatrix = serde_json::from_str(text)?;
        if raw.kind != "Matrix" {
            return Err(WantedError::Kind(raw.kind));
        }
        let mut wanted = Self::default();
        for (row, raw) in raw.rows.into_iter().enumerate() {
            wanted.add(raw).map_err(|message| WantedError::Row { row, message })?;
        }
        Ok(wanted)
    }

    fn add(&mut self, raw: RawRow) -> Result<(), String> {
        let ports = raw
            .connections
            .iter()
            .try_fold(PortSet::none(), |all, item| Ok::<_, String>(all.union(&ports(item)?)))?;
        if ports.is_empty() {
            return Err("connections is empty; leave the row out for a pair that may not talk".to_owned());
        }
        match (end(&raw.source)?, end(&raw.destination)?) {
            (End::Inside(source), End::Inside(destination)) => {
                let known = self.inside.entry((source, destination)).or_default();
                *known = known.union(&ports);
            }
            (End::Outside(range), End::Inside(destination)) => {
                self.from_outside.push((range, destination, ports))
            }
            (End::Inside(source), End::Outside(range)) => self.to_outside.push((source, range, ports)),
            (End::Outside(_), End::Outside(_)) => {
                return Err("both ends are addresses outside; no policy has a say there".to_owned());
            }
        }
        Ok(())
    }
}

/// `ns/name[Kind]`, or `a.b.c.d-e.f.g.h`, a CIDR or an address.
fn end(text: &str) -> Result<End, String> {
    let is_workload = text.ends_with(']') && text.contains('[') && text.contains('/');
    if is_workload {
        return Ok(End::Inside(text.to_owned()));
    }
    let address = |text: &str| text.trim().parse::<IpAddr>().ok();
    let range = match text.split_once('-') {
        Some((lo, hi)) => address(lo).zip(address(hi)),
        None => {
            let block = text.parse::<ipnet::IpNet>().ok().map(|block| (block.network(), block.broadcast()));
            block.or_else(|| address(text).map(|address| (address, address)))
        }
    };
    match range {
        Some((lo, hi)) if lo <= hi && lo.is_ipv4() == hi.is_ipv4() => {
            Ok(End::Outside(AddressRange { lo, hi }))
        }
        _ => Err(format!(
            "\"{text}\" is no end; write ns/name[Kind] (as `policyctl matrix` does) or first-last address"
        )),
    }
}

fn ports(item: &RawConnections) -> Result<PortSet, String> {
    if item.protocol == "ANY" {
        let is_all = item.ports == "all";
        return is_all.then(PortSet::all).ok_or_else(|| "ANY goes with ports \"all\" only".to_owned());
    }
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == item.protocol);
    let protocol = protocol
        .ok_or_else(|| format!("\"{}\" is no protocol; write TCP, UDP, SCTP or ANY", item.protocol))?;
    if item.ports == "all" {
        return Ok(PortSet::none().with(protocol, PortRanges::all()));
    }
    let range = |part: &str| {
        let (lo, hi) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        number(lo).zip(number(hi)).filter(|(lo, hi)| lo <= hi)
    };
    let ranges: Option<PortRanges> = item.ports.split(',').map(range).collect();
    let ranges =
        ranges.ok_or_else(|| format!("\"{}\" are no ports; write all, or 80,443,8000-8100", item.ports))?;
    Ok(PortSet::none().with(protocol, ranges))
}
