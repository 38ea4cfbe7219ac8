//! What the loop is told, and asked.

use crate::{
    nft::{Counter, Entry, Error, Part},
    node::facts::Facts,
    report::Status,
};
use compiler::{
    ir::{Family, Name},
    readback::Readback,
};
use ipnet::IpNet;
use policy_model::{
    cluster::Change,
    verdict::{Flow, Verdict},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// One message to the loop.
#[derive(Debug)]
pub enum Input {
    /// Objects of the cluster have changed.
    Changes {
        /// In order.
        changes: Vec<Change>,
        /// When the source was told of them: the clock of event-to-kernel starts here.
        seen: Instant,
    },
    /// The host has changed.
    Host {
        /// The whole new reading.
        facts: Box<Facts>,
        /// When it was read.
        seen: Instant,
    },
    /// What was sent before this holds all policies up to this version of the API server.
    PoliciesAt(u64),
    /// Somebody else has changed our tables.
    Foreign,
    /// A part of our tables, or why it cannot be read.
    Part(Box<Result<Part, Error>>),
    /// The conntrack entries that were asked for.
    Conntrack {
        /// Or why they cannot be read.
        entries: Result<Vec<Entry>, Error>,
        /// How long that took.
        took: Duration,
    },
    /// A question; the answer goes back over its channel.
    Ask(Question),
    /// End the loop; the tables stay in force.
    Stop,
}

/// What HTTP clients and the writer of this node's status ask. Who no longer waits for the answer gets none.
#[derive(Debug)]
pub enum Question {
    /// Every program with its steps, sets and pods.
    Programs(oneshot::Sender<Value>),
    /// What the kernel holds, read back now.
    Kernel(oneshot::Sender<Result<Box<Readback>, Error>>),
    /// What the model says about a flow.
    Verdict(Box<Flow>, oneshot::Sender<Verdict>),
    /// The kernel's named counters; `None` if they cannot be read now.
    Counters(oneshot::Sender<Option<BTreeMap<(Family, Name), Counter>>>),
    /// `spec.podCIDRs` of this node's object; empty where there is none.
    PodRanges(oneshot::Sender<Vec<IpNet>>),
    /// Whether all that is wanted is in force.
    Status(oneshot::Sender<Status>),
}
