//! The node's container runtime, asked which sandboxes run: for pods that no result of CNI names.
//!
//! ```text
//!   socket ── Client (runtime.v1) ── sandbox: status to claim ── Sandboxes ── the host's thread ── Facts::claims
//! ```
//!
//! It is a repair of CNI's files and never more than they are: see [`Facts::claims`](crate::node::facts::Facts::claims). In
//! a thread of its own, with a limit of time for every question, so that nobody waits for a runtime that does not answer.

mod client;
mod error;
mod follow;
mod proto;
mod sandbox;
mod socket;
mod state;

pub use error::CriError;
pub use follow::{follow, look_once};
pub use socket::{RuntimeSocket, USUAL};
pub use state::{Answer, State, Watched};
