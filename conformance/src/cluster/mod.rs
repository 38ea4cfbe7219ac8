//! Real Kubernetes servers on this machine, built from their Go modules.
//!
//! [`Binaries`] builds them once into a cache outside the sources. [`ApiServer`] is the fast inner loop: etcd and a
//! kube-apiserver alone, in a network namespace of their own, ready in about four seconds. Pods that are created there with
//! a node's name and a status look to a watcher like a busy cluster, with no kubelet at all.
//!
//! Everything lives in namespaces and folders of [`lab::ownership`](crate::lab::ownership), so it goes away with its owner
//! however that ends.

mod api_server;
mod binaries;
mod certificates;
mod error;
mod etcd;
mod go;
mod kept;

pub use api_server::{ApiServer, Identity};
pub use binaries::Binaries;
pub use error::ClusterError;
pub use kept::Kept;
