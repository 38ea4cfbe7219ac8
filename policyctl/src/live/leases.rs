//! What the nodes say of themselves: one Lease each in Palisade's namespace.

use super::{
    Connection, LiveError,
    objects::{LEASES, NODES, POLICIES},
};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The annotation that has a node's report as JSON.
const ANNOTATION: &str = "palisade.dev/status";

/// A node's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The node.
    pub node: String,
    /// When policyd last renewed it.
    pub renewed: Option<Timestamp>,
    /// How many seconds a renewal holds.
    pub holds: i64,
    /// What policyd says; or why that cannot be read.
    pub report: Result<Report, String>,
}

/// What policyd says of its node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Report {
    /// Of policyd.
    pub version: String,
    /// Number of the ruleset in force.
    pub revision: u64,
    /// Resource version up to which NetworkPolicies are in force; `None` before the first revision.
    pub policies: Option<String>,
    /// `live`, `starting` or `refused`.
    pub state: String,
    /// Since when it is in that state.
    pub since: Option<Timestamp>,
    /// What went wrong last, if it is not mended.
    pub last_error: Option<String>,
    /// The node's pods.
    pub pods: u64,
    /// Those that some policy isolates.
    pub isolated: u64,
    /// Programs in its kernel.
    pub programs: u64,
    /// Packets that policy dropped in the last minute.
    pub dropped_per_minute: u64,
}

/// A policy's version, and when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its resource version, a number that grows (KEP-5504).
    pub version: u64,
    /// The newest time in its metadata.
    pub changed: Option<Timestamp>,
}

/// All that `status` is made of.
#[derive(Debug, Default)]
pub struct Marks {
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// Their Leases.
    pub leases: Vec<Lease>,
    /// Every policy.
    pub policies: Vec<Mark>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    resource_version: String,
    creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    managed_fields: Vec<ManagedFields>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ManagedFields {
    time: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    renew_time: Option<Timestamp>,
    lease_duration_seconds: Option<i64>,
}

impl Connection {
    /// Reads nodes, their Leases, and how new the policies are.
    ///
    /// # Errors
    /// The API server does not give one of the lists.
    pub fn marks(&self) -> Result<Marks, LiveError> {
        self.wait(async {
            let nodes = self.list(&NODES).await?.items;
            let leases = self.list(&LEASES).await?.items;
            let policies = self.list(&POLICIES).await?.items;
            let odd = |e: serde_json::Error| LiveError::Odd {
                server: self.server().to_owned(),
                resource: LEASES.name,
                reason: e.to_string(),
            };
            let read = |items: &[Box<serde_json::value::RawValue>]| {
                items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<Vec<Object>, _>>()
            };
            Ok(Marks {
                nodes: read(&nodes).map_err(odd)?.into_iter().map(|node| node.metadata.name).collect(),
                leases: read(&leases).map_err(odd)?.into_iter().map(lease).collect(),
                policies: read(&policies).map_err(odd)?.iter().filter_map(mark).collect(),
            })
        })
    }
}

fn lease(object: Object) -> Lease {
    let report = match object.metadata.annotations.get(ANNOTATION) {
        Some(text) => serde_json::from_str(text).map_err(|error| format!("{ANNOTATION}: {error}")),
        None => Err(format!("it has no annotation {ANNOTATION}")),
    };
    Lease {
        node: object.metadata.name,
        renewed: object.spec.renew_time,
        holds: object.spec.lease_duration_seconds.unwrap_or(60),
        report,
    }
}

fn mark(object: &Object) -> Option<Mark> {
    let metadata = &object.metadata;
    let times = metadata.managed_fields.iter().filter_map(|fields| fields.time);
    let changed = times.chain(metadata.creation_timestamp).max();
    Some(Mark { version: metadata.resource_version.parse().ok()?, changed })
}
