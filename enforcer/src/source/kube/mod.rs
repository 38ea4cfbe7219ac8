//! The cluster by its API server: namespaces, nodes, Services, NetworkPolicies and pods, listed once and then watched.
//!
//! ```text
//!   API server ── one connection a kind ── Follower (x5) ── News ── Merge ── Input::Changes ── the loop
//! ```
//!
//! What security needs of a watch, and where it is:
//! - Nothing is in force before every kind's list is complete (`merge`).
//! - A torn, silent, refused or expired watch deletes nothing. What is missing from a new list is deleted once that list is
//!   complete (`announced`).
//! - Lists and streaming lists are consistent reads, so that an API server with an old cache does not turn time back.
//! - A policy that is deleted with its namespace holds until the namespace's last pod is gone
//!   ([`TerminationHold`](policy_model::cluster::TerminationHold)), whichever watch is ahead (`parking`).
//! - An object that cannot be understood is reported and skipped; what it said before stays.
//!
//! kube's own `watcher` is not used: it has no way back from streaming lists, one object that it cannot decode ends every
//! list, its lists may be older than what was seen before, and a connection that died silently is noticed after five minutes.

mod announced;
mod backoff;
mod connection;
mod decode;
mod fault;
mod follower;
mod kind;
mod known;
mod merge;
mod news;
mod parking;
mod reader;
pub mod server;
mod slim;
mod wire;

pub(crate) use backoff::Backoff;
pub use connection::{ConnectError, Connection, Credentials};
pub use fault::Fault;
pub use merge::Source;
pub(crate) use reader::ObjectReader;
