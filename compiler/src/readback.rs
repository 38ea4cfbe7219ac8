//! What a node says that its kernel holds: the answer to `GET /v1/kernel` of policyd, which policyctl reads.
//!
//! The names of the fields are part of the interface between the two programs. Bytes are hexadecimal digits, in the byte
//! order of [`ir::Key`](crate::ir::Key).

use crate::{LocalPod, config::Config, ir::Ruleset};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Our tables as they were read back from the kernel for this answer, and what the node knows to go with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readback {
    /// [`Self::KIND`].
    pub kind: String,
    /// Of policyd.
    pub version: String,
    /// The node's name.
    pub node: String,
    /// Number of the ruleset that was in force.
    pub revision: u64,
    /// Settings that the fixed chains follow from.
    pub config: Config,
    /// The node's pods.
    pub pods: Vec<ReadbackPod>,
    /// In how many operations the tables differ from what policyd wants there: it has not repaired them yet, or cannot.
    pub drift: usize,
    /// What is in our tables and nobody of ours has put there.
    pub foreign: Vec<ForeignObject>,
    /// The tables.
    pub ruleset: Ruleset,
}

/// A pod of the node, as policyd knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadbackPod {
    /// `ns/name`.
    pub pod: String,
    /// Addresses by which its packets are told, link-local ones too.
    pub addresses: Vec<IpAddr>,
    /// Name of its program for what it receives; none where it is not isolated.
    pub ingress: Option<String>,
    /// Name of its program for what it sends.
    pub egress: Option<String>,
    /// Policies that select it, as `ns/name`.
    pub policies: Vec<String>,
}

/// Something in our tables that the ruleset has no words for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignObject {
    /// Where it is.
    pub object: String,
    /// What it is.
    pub what: String,
}

impl Readback {
    /// What [`Self::kind`] says.
    pub const KIND: &str = "Kernel";
}

impl From<LocalPod> for ReadbackPod {
    fn from(pod: LocalPod) -> Self {
        let [ingress, egress] = pod.programs.map(|program| program.map(|name| name.to_string()));
        let policies = pod.policies.iter().map(ToString::to_string).collect();
        Self { pod: pod.key.to_string(), addresses: pod.addresses, ingress, egress, policies }
    }
}
