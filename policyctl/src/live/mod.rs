//! A cluster that runs: its objects from an API server, and what its nodes say of themselves and of their kernels.
//!
//! [`Access`] says which API server and as whom; [`Connection::state`] reads the same [`Snapshot`](crate::input::Snapshot)
//! as a folder gives, so every verb works on both. [`Agents`] are the `policyd` of the nodes: reached through the API server's
//! port-forward, since they listen on their node's loopback device only, or at addresses that somebody names.
//!
//! What is done with the answers knows no network: [`proof`] compares a kernel with the model, [`walk`] follows one packet
//! through it, [`status`] says who is up to date, [`listing`] what is there.

mod access;
mod agents;
mod error;
mod http;
mod leases;
pub mod listing;
mod objects;
pub mod proof;
pub mod status;
pub mod walk;

pub use access::{Access, Connection};
pub use agents::{Agent, Agents, Where};
pub use error::LiveError;
pub use leases::{Lease, Report};
pub use objects::State;

/// Where Palisade lives in a cluster.
pub const NAMESPACE: &str = "palisade-system";
