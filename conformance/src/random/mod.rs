//! A random cluster over a lab: the same pods on the same nodes, with labels, namespaces and policies drawn from a seed.

mod cluster;
mod draw;
mod questions;

pub use cluster::{NAMESPACES, NODES, PODS, POLICIES, cluster, specs};
pub use draw::Draw;
pub use questions::{PORTS, SERVED, questions};
