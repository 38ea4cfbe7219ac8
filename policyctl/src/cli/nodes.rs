//! The nodes that a verb asks, and how they are reached.

use super::{CliError, Session};
use crate::live::{Agents, Connection, LiveError};
use clap::Args;
use compiler::readback::Readback;
use std::{sync::Arc, time::Duration};

/// How often a cluster and a node that differ are read, before it counts: they cannot be read at one moment.
pub(super) const ATTEMPTS: u32 = 3;
/// Between two readings.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Where policyd is asked.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct AgentArgs {
    /// Ask the policyd of a node at this address, and not through the API server; may be given more than once
    #[arg(long, value_name = "NODE=HOST:PORT", help_heading = "Cluster")]
    pub(super) address: Vec<String>,
    /// Ask the one policyd at this address
    #[arg(long, value_name = "URL", help_heading = "Cluster")]
    pub(super) policyd: Option<String>,
}

impl AgentArgs {
    /// Whether somebody is named.
    pub(super) fn is_given(&self) -> bool {
        !self.address.is_empty() || self.policyd.is_some()
    }

    /// Those that are named, or else those of the cluster.
    pub(super) fn agents(&self, session: &Session) -> Result<Agents, CliError> {
        if self.is_given() {
            return Ok(Agents::named(&self.address, self.policyd.as_deref())?);
        }
        let connection = match &session.live {
            Some(live) => live.connection.clone(),
            // The objects are from files; the nodes are the cluster's.
            None => match Connection::open(&session.common.access()) {
                Err(LiveError::NoKubeconfig { .. }) => return Err(LiveError::NoAgents.into()),
                opened => Arc::new(opened?),
            },
        };
        Ok(Agents::of_cluster(&connection)?)
    }
}

/// Whether an answer is of the node that was asked.
pub(super) fn require_node(node: &str, kernel: &Readback) -> Result<(), LiveError> {
    if kernel.node == node {
        return Ok(());
    }
    let reason = format!("who answers there is the policyd of node {}", kernel.node);
    Err(LiveError::Node { node: node.to_owned(), reason })
}
